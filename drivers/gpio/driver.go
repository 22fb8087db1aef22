package gpio

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"tidings/devices"
)

// driver is one chip and the devices on it. Everything but ended is fixed when it is built; what changes while it
// runs is the loop's.
type driver struct {
	name    string
	chip    string
	open    Opener
	log     *slog.Logger
	devices []device
	jobs    chan job // unbuffered: a command waits in its caller until the loop takes it

	mu    sync.Mutex
	ended chan struct{} // closed when the Run that is under way ends; nil while there is none
}

type device struct {
	id    devices.ID
	lines []lineConfig
}

// A job is a command on its way to the loop.
type job struct {
	line  *lineConfig
	on    bool
	reply chan<- answer // has room for the one answer
}

type answer struct {
	result devices.Result
	err    error
}

// Run keeps the chip open until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	ended := make(chan struct{})
	d.mu.Lock()
	d.ended = ended
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.ended = nil
		d.mu.Unlock()
		close(ended)
	}()
	for i := range d.devices {
		out.Announce(d.info(&d.devices[i]))
	}
	newLoop(d, out).run(ctx)
	return nil
}

func (d *driver) info(dev *device) devices.Info {
	info := devices.Info{ID: dev.id, Driver: d.name}
	sources := make([]string, len(dev.lines))
	for i := range dev.lines {
		info.Points = append(info.Points, dev.lines[i].info())
		sources[i] = dev.lines[i].source
	}
	info.Address = strings.TrimSpace(d.chip + " " + strings.Join(sources, ", "))
	return info
}

// Do sets an output, or starts its pulse. A pulse while one is under way is refused with devices.ErrBusy; "off" ends
// one.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	l, on, err := d.target(cmd)
	if err != nil {
		return devices.Result{}, fmt.Errorf("gpio %s: %w", d.name, err)
	}
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	d.mu.Lock()
	ended := d.ended
	d.mu.Unlock()
	down := fmt.Errorf("gpio %s: %s: %w", d.name, cmd.Device, devices.ErrDown)
	if ended == nil {
		return devices.Result{}, down
	}
	reply := make(chan answer, 1)
	select {
	case d.jobs <- job{line: l, on: on, reply: reply}:
	case <-ended:
		return devices.Result{}, down
	case <-ctx.Done():
		return devices.Result{}, ctx.Err()
	}
	select {
	case a := <-reply: // the loop answers every job it takes
		return a.result, a.err
	case <-ctx.Done():
		return devices.Result{}, &devices.AskedError{Err: ctx.Err()} // the loop has it
	}
}

// target finds the line a command is for and what it is to be set to.
func (d *driver) target(cmd devices.Command) (l *lineConfig, on bool, err error) {
	i := slices.IndexFunc(d.devices, func(dev device) bool { return dev.id == cmd.Device })
	if i < 0 {
		return nil, false, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
	}
	lines := d.devices[i].lines
	n := slices.IndexFunc(lines, func(l lineConfig) bool { return l.point == cmd.Point })
	if n < 0 {
		return nil, false, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	}
	l = &lines[n]
	on, isBool := cmd.Value.Bool()
	switch {
	case !l.output:
		return nil, false, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrNotWritable)
	case l.action:
		return l, true, nil
	case !isBool:
		return nil, false, fmt.Errorf("%s: %s: %q: %w", cmd.Device, cmd.Point, cmd.Value, devices.ErrValue)
	}
	return l, on, nil
}
