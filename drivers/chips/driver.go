package chips

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tidings/devices"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// driver is one bus and the chips on it. It is fixed when it is built.
type driver struct {
	kind  string // "i2c" or "spi"
	name  string
	path  string
	open  func(path string) (Bus, error)
	log   *slog.Logger
	chips []*config
}

// Run keeps the bus open, and a goroutine for each chip, until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	for _, c := range d.chips {
		out.Announce(d.info(c))
	}
	var retry backoff
	for ctx.Err() == nil {
		bus, err := d.open(d.path)
		if err == nil {
			d.log.Info("bus open", "bus", d.path)
			retry = backoff{}
			out.Health(nil)
			err = d.work(ctx, bus, out)
			if closed := bus.Close(); closed != nil && err == nil {
				d.log.Warn("closing the bus", "err", closed)
			}
		}
		if ctx.Err() != nil {
			break
		}
		err = fmt.Errorf("%s %s: %w%s", d.kind, d.name, err, wayOut(err, d.kind))
		out.Health(err)
		for _, c := range d.chips {
			out.Link(c.id, false, err)
		}
		retry.wait(ctx)
	}
	return nil
}

// work runs the chips on an open bus until ctx is done or the bus is gone, and says why it is.
func (d *driver) work(ctx context.Context, bus Bus, out devices.Sink) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	shared := &sharedBus{Bus: bus, turn: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	for _, c := range d.chips {
		w := &worker{driver: d, config: c, out: out, shut: c.desk.Open(), lost: cancel, bus: shared}
		wg.Go(func() { w.run(ctx) })
	}
	<-ctx.Done()
	wg.Wait()
	return context.Cause(ctx)
}

func (d *driver) info(c *config) devices.Info {
	info := devices.Info{ID: c.id, Driver: d.name, Model: c.model.title, Address: d.path}
	if c.addr != 0 {
		info.Address = fmt.Sprintf("%s 0x%02x", d.path, c.addr)
	}
	for i := range c.channels {
		info.Points = append(info.Points, c.channels[i].Point)
	}
	return info
}

// backoff spaces attempts out. The zero value is that of the first failure.
type backoff struct{ last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstRetry), lastRetry)
	return b.last
}

func (b *backoff) wait(ctx context.Context) {
	timer := time.NewTimer(b.next())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// A job is a command on its way to its chip.
type job struct {
	channel int
	value   devices.Value
}

// Do sets an output of a chip.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	chip, output, err := d.target(cmd)
	if err != nil {
		return devices.Result{}, fmt.Errorf("%s %s: %w", d.kind, d.name, err)
	}
	return d.chips[chip].desk.Ask(ctx, job{channel: output, value: cmd.Value}, fmt.Errorf("%s %s: %s: %w", d.kind, d.name, cmd.Device, devices.ErrDown))
}

// target finds the chip and the channel that a command is for.
func (d *driver) target(cmd devices.Command) (chip, output int, err error) {
	chip = slices.IndexFunc(d.chips, func(c *config) bool { return c.id == cmd.Device })
	if chip < 0 {
		return 0, 0, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
	}
	c := d.chips[chip]
	output = slices.IndexFunc(c.channels, func(ch channel) bool { return ch.Name == cmd.Point })
	if output < 0 {
		return 0, 0, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	}
	ch := &c.channels[output]
	if !ch.Writable {
		return 0, 0, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrNotWritable)
	}
	if !ch.takes(cmd.Value) {
		return 0, 0, fmt.Errorf("%s: %s: %q: %w", cmd.Device, cmd.Point, cmd.Value, devices.ErrValue)
	}
	return chip, output, nil
}

// takes reports whether a value is one that the channel can be set to.
func (ch *channel) takes(v devices.Value) bool {
	if ch.Kind == devices.KindSwitch {
		_, ok := v.Bool()
		return ok
	}
	f, ok := v.Number()
	return ok && (ch.Low == ch.High || f >= ch.Low && f <= ch.High)
}

// gone reports whether an error says that the bus is: not that of a chip.
func gone(bus Bus, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return bus.Check()
}
