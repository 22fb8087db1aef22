package gpio

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/drivers/handover"
)

// driver is one chip and the devices on it. Everything is fixed when it is built; what changes while it runs is the loop's.
type driver struct {
	name    string
	chip    string
	open    Opener
	log     *slog.Logger
	memory  devices.Memory // nil: totals begin at 0
	devices []device
	desk    *handover.Desk[job]
}

type device struct {
	id    devices.ID
	lines []lineConfig
}

// A job is a command on its way to the loop.
type job struct {
	line  *lineConfig
	on    bool
	total float64 // of a line whose pulses are counted
}

// Run keeps the chip open until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	defer d.desk.Open()()
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
		info.Points = append(info.Points, dev.lines[i].info()...)
		sources[i] = dev.lines[i].source
	}
	info.Address = strings.TrimSpace(d.chip + " " + strings.Join(sources, ", "))
	return info
}

// Do sets an output, starts its pulse, or sets the total of a line whose pulses are counted. A pulse while one is under way is refused with devices.ErrBusy; "off" ends
// one.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	j, err := d.target(cmd)
	if err != nil {
		return devices.Result{}, fmt.Errorf("gpio %s: %w", d.name, err)
	}
	return d.desk.Ask(ctx, j, fmt.Errorf("gpio %s: %s: %w", d.name, cmd.Device, devices.ErrDown))
}

// target finds the line a command is for and what it is to be set to.
func (d *driver) target(cmd devices.Command) (j job, err error) {
	i := slices.IndexFunc(d.devices, func(dev device) bool { return dev.id == cmd.Device })
	if i < 0 {
		return job{}, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
	}
	lines := d.devices[i].lines
	n := slices.IndexFunc(lines, func(l lineConfig) bool { return l.has(cmd.Point) })
	if n < 0 {
		return job{}, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	}
	l := &lines[n]
	on, isBool := cmd.Value.Bool()
	total, isNumber := cmd.Value.Number()
	counts := l.counts != nil && l.counts.total == cmd.Point
	switch {
	case !l.output && !counts:
		return job{}, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrNotWritable)
	case l.action:
		return job{line: l, on: true}, nil
	case counts && !isNumber, !counts && !isBool:
		return job{}, fmt.Errorf("%s: %s: %q: %w", cmd.Device, cmd.Point, cmd.Value, devices.ErrValue)
	}
	return job{line: l, on: on, total: total}, nil
}
