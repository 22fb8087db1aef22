package gpio

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"periph.io/x/conn/v3/gpio"

	"tidings/devices"
)

// lineConfig is what the configuration says of one line.
type lineConfig struct {
	device    devices.ID
	point     string
	action    bool // of kind action: nothing to read
	source    string
	output    bool
	pull      gpio.Pull
	activeLow bool
	debounce  time.Duration
	initial   bool
	pulse     time.Duration // 0: none
	safe      devices.Value // zero: let go as it is
	counts    *countConfig  // of an input whose pulses are counted; nil: its level is read
}

func (c *lineConfig) level(on bool) gpio.Level { return gpio.Level(on != c.activeLow) }
func (c *lineConfig) on(level gpio.Level) bool { return bool(level) != c.activeLow }

// has reports whether a point is one of the line.
func (c *lineConfig) has(point string) bool {
	return c.point == point || c.counts != nil && c.counts.has(point)
}

// info is the point as the device announces it, or the two of a line whose pulses are counted. The line is read back after
// every write, so a switch confirms.
func (c *lineConfig) info() []devices.Point {
	if c.counts != nil {
		return c.counts.info()
	}
	p := devices.Point{Name: c.point, Kind: devices.KindSwitch, Readable: true, Writable: c.output, Confirms: c.output}
	if c.action {
		p.Kind, p.Readable, p.Confirms = devices.KindAction, false, false
	}
	return []devices.Point{p}
}

// faults are the readings of a line that cannot be read.
func (c *lineConfig) faults(at time.Time, err error) (out []devices.Reading) {
	for _, p := range c.info() {
		out = append(out, devices.Reading{Device: c.device, Point: p.Name, Quality: devices.Faulty, At: at, Err: err})
	}
	return out
}

// A line is one line that is held. It belongs to the loop.
type line struct {
	*lineConfig
	pin gpio.PinIO

	on     bool // the last reading
	faulty bool // it could not be read

	// Of an input: how its changes are noticed and, where the chip does not do it, debounced. The level that
	// differs from the last reading is held since the last edge; once it has been for debounce, it is a reading.
	debounce time.Duration // ours; 0: none, or the chip's
	since    time.Time     // zero: nothing differs
	poll     time.Duration // 0: by edges
	pollAt   time.Time
	stop     chan struct{} // closed to end the watcher; nil: none
	stopped  chan struct{} // closed by the watcher

	// Of an output: when its pulse ends.
	offAt time.Time // zero: none

	pulses *pulses // of an input whose pulses are counted
}

// How often an input is looked at when its chip has no edges. A quarter of the time a level has to hold catches
// most bounces; people's hands need no better than 20 ms.
const (
	slowPoll = 20 * time.Millisecond
	fastPoll = 2 * time.Millisecond
)

// take takes hold of the line and sets it up. An output has its initial state from the first moment on.
func (l *line) take() error {
	if l.output {
		return l.pin.Out(l.level(l.initial))
	}
	d, offered := l.pin.(Debouncer)
	offered = offered && l.lineConfig.debounce > 0 && d.Debounce(l.lineConfig.debounce) == nil
	if !offered {
		l.debounce = l.lineConfig.debounce
	}
	edges := gpio.BothEdges
	if l.counts != nil && l.debounce == 0 {
		edges = l.counts.edge
		l.pulses.byEdge = true
	}
	err := l.pin.In(l.pull, edges)
	if err == nil || errors.Is(err, syscall.EBUSY) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENODEV) {
		return err
	}
	// No interrupts, then; the kernel's debouncing needs them too.
	if offered {
		if err := d.Debounce(0); err != nil {
			return err
		}
		l.debounce = l.lineConfig.debounce
	}
	if l.pin.In(l.pull, gpio.NoEdge) != nil {
		return err // the first error says more
	}
	l.poll = slowPoll
	if l.pulses != nil {
		l.pulses.byEdge, l.poll = false, fastPoll
	} else if l.debounce > 0 {
		l.poll = max(fastPoll, min(slowPoll, l.debounce/4))
	}
	return nil
}

// observe takes in the level of an input. An edge begins the wait anew, because the line moved; a level that was
// only looked at does not. It reports whether there is a reading.
func (l *line) observe(on bool, at time.Time, edge bool) bool {
	switch {
	case on == l.on:
		l.since = time.Time{}
		return false
	case l.debounce == 0:
		l.on = on
		return true
	case edge || l.since.IsZero():
		l.since = at
	}
	return false
}

// next is when the line wants the loop's attention; zero: it does not.
func (l *line) next() time.Time {
	at := l.offAt
	var report time.Time
	if l.pulses != nil {
		report = l.pulses.next()
	}
	for _, t := range []time.Time{l.pollAt, l.settleAt(), report} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// settleAt is when what differs has held for long enough; zero: nothing differs.
func (l *line) settleAt() time.Time {
	if l.since.IsZero() {
		return time.Time{}
	}
	return l.since.Add(l.debounce)
}

// edge is what a watcher tells the loop.
type edge struct {
	line  *line
	known bool // the pin said which level it was; else the loop reads it
	on    bool
	at    time.Time
	n     uint32 // how many edges this is the last of: those nobody was told of are among them
	ended bool   // the pin will tell of no more edges
}

// watch starts the goroutine that waits for the line's edges. It ends after unwatch, which waits for it, or when the
// pin has no more edges to tell of. A line whose edges nobody takes keeps them in its own buffer; only the latest
// level matters, and that is what is read.
func (l *line) watch(edges chan<- edge) {
	l.stop, l.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.stopped)
		var last uint32
		for {
			e := edge{line: l, ended: !l.pin.WaitForEdge(-1), at: time.Now(), n: 1}
			if r, ok := l.pin.(EdgeReader); ok && !e.ended {
				var level gpio.Level
				level, e.at = r.LastEdge()
				e.known, e.on = true, l.lineConfig.on(level)
			}
			if c, ok := l.pin.(EdgeCounter); ok && !e.ended {
				if number := c.EdgeNumber(); number != 0 {
					e.n = number - last
					last = number
				}
			}
			select {
			case edges <- e:
			case <-l.stop:
				return
			}
			if e.ended {
				return
			}
		}
	}()
}

// release lets go of the line: a pulse ends, an output goes to its safe state, the watcher stops.
func (l *line) release() error {
	var err error
	safe, isSafe := l.safe.Bool()
	switch {
	case l.output && isSafe:
		err = l.pin.Out(l.level(safe))
	case !l.offAt.IsZero():
		err = l.pin.Out(l.level(false))
	}
	if l.stop != nil {
		close(l.stop)
	}
	if halted := l.pin.Halt(); err == nil {
		err = halted
	}
	if l.stopped != nil {
		<-l.stopped
	}
	return err
}
