package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/gpio"
)

// consumer is what `gpioinfo` shows as the holder of our lines.
const consumer = "tidings"

func kernelOpener() Opener {
	return func(chip string) (Chip, error) { return openChip(gpiocdevKernel{}, chip) }
}

// gpiocdevKernel is the kernel's character device through gpiocdev.
type gpiocdevKernel struct{}

func (gpiocdevKernel) paths() []string {
	names := gpiocdev.Chips()
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = "/dev/" + name
	}
	return paths
}

func (gpiocdevKernel) open(path string) (cdevChip, error) {
	// gpiocdev takes no links, and those of udev are what stays when chips are counted anew.
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		var c *gpiocdev.Chip
		if c, err = gpiocdev.NewChip(real, gpiocdev.WithConsumer(consumer)); err == nil {
			return gpiocdevChip{c}, nil
		}
	}
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, gpiocdev.ErrNotCharacterDevice):
		return nil, fmt.Errorf("%s: is no GPIO chip: correct chip", path)
	case errors.As(err, &pathErr):
		err = pathErr.Err
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

type gpiocdevChip struct{ *gpiocdev.Chip }

func (c gpiocdevChip) about() cdevAbout {
	return cdevAbout{name: c.Name, label: c.Label, lines: c.Lines(), debounces: c.UapiAbiVersion() >= 2}
}

func (c gpiocdevChip) line(offset int) (cdevInfo, error) {
	info, err := c.LineInfo(offset)
	return cdevInfo{name: info.Name, consumer: info.Consumer}, err
}

func (c gpiocdevChip) request(offset int, r request) (cdevLine, error) {
	options := r.options()
	if r.notify != nil {
		options = append(options, gpiocdev.WithEventHandler(func(e gpiocdev.LineEvent) {
			var now unix.Timespec
			if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
				now = unix.NsecToTimespec(int64(e.Timestamp))
			}
			r.notify(stampedEdge{e.Type == gpiocdev.LineEventRisingEdge, edgeTime(e.Timestamp, time.Duration(now.Nano()), time.Now()), e.LineSeqno})
		}))
	}
	line, err := c.RequestLine(offset, options...)
	if err != nil {
		return nil, err // and no *Line that is nil in an interface that is not
	}
	return line, nil
}

// options says a request in gpiocdev's words, but for the event handler.
func (r request) options() []gpiocdev.LineReqOption {
	if r.output {
		value := 0
		if r.level {
			value = 1
		}
		return []gpiocdev.LineReqOption{gpiocdev.AsOutput(value)}
	}
	options := []gpiocdev.LineReqOption{gpiocdev.AsInput}
	switch r.pull {
	case gpio.PullUp:
		options = append(options, gpiocdev.WithPullUp)
	case gpio.PullDown:
		options = append(options, gpiocdev.WithPullDown)
	case gpio.Float:
		options = append(options, gpiocdev.WithBiasDisabled)
	}
	if r.debounce > 0 {
		options = append(options, gpiocdev.WithDebounce(r.debounce))
	}
	switch r.edge {
	case gpio.RisingEdge:
		options = append(options, gpiocdev.WithRisingEdge)
	case gpio.FallingEdge:
		options = append(options, gpiocdev.WithFallingEdge)
	case gpio.BothEdges:
		options = append(options, gpiocdev.WithBothEdges)
	}
	return options
}

// edgeTime turns the kernel's stamp of an edge, since the machine started, into a time with Go's monotonic clock.
// Before Linux 5.7 stamps are of the wall clock: one that cannot be recent is not believed.
func edgeTime(stamp, sinceStart time.Duration, now time.Time) time.Time {
	if ago := sinceStart - stamp; ago > 0 && ago < time.Minute {
		return now.Add(-ago)
	}
	return now
}
