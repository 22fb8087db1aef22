package pwm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"syscall"
	"time"

	"tidings/devices"
	"tidings/drivers/handover"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
	probeEvery = 2 * time.Second
)

// driver is one chip and the devices on it. Everything is fixed when it is built; what changes while it runs is in the
// outputs, which belong to the goroutine of Run.
type driver struct {
	name    string
	chip    string
	root    string
	open    Opener
	log     *slog.Logger
	devices []*device
	desk    *handover.Desk[job]
}

type device struct {
	id      devices.ID
	outputs []*output
}

// output is one channel of the chip.
type output struct {
	device   devices.ID
	point    string
	channel  int
	period   int // in ns
	inverted bool
	initial  float64       // %
	safe     devices.Value // zero: left as it is

	asked devices.Value // as it was commanded last, since Run began
	is    devices.Value // what was published last
}

// A job is a command on its way to the loop.
type job struct {
	output *output
	value  devices.Value
}

// Run keeps the outputs until ctx is done.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	defer d.desk.Open()()
	for _, dev := range d.devices {
		out.Announce(d.info(dev))
	}
	l := &loop{driver: d, out: out, files: d.open(d.root)}
	l.run(ctx)
	return nil
}

func (d *driver) info(dev *device) devices.Info {
	info := devices.Info{ID: dev.id, Driver: d.name, Address: d.chip}
	for i, o := range dev.outputs {
		info.Points = append(info.Points, point(o.point))
		info.Address += map[bool]string{true: " ", false: ", "}[i == 0] + strconv.Itoa(o.channel)
	}
	return info
}

// Do sets an output.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	o, err := d.target(cmd)
	if err != nil {
		return devices.Result{}, fmt.Errorf("pwm %s: %w", d.name, err)
	}
	return d.desk.Ask(ctx, job{output: o, value: cmd.Value}, fmt.Errorf("pwm %s: %s: %w", d.name, cmd.Device, devices.ErrDown))
}

// target finds the output that a command is for.
func (d *driver) target(cmd devices.Command) (*output, error) {
	i := slices.IndexFunc(d.devices, func(dev *device) bool { return dev.id == cmd.Device })
	if i < 0 {
		return nil, fmt.Errorf("%s: %w", cmd.Device, devices.ErrUnknownDevice)
	}
	n := slices.IndexFunc(d.devices[i].outputs, func(o *output) bool { return o.point == cmd.Point })
	if n < 0 {
		return nil, fmt.Errorf("%s: %s: %w", cmd.Device, cmd.Point, devices.ErrUnknownPoint)
	}
	if percent, ok := cmd.Value.Number(); !ok || percent < 0 || percent > 100 {
		return nil, fmt.Errorf("%s: %s: %q: %w: give a number from 0 to 100", cmd.Device, cmd.Point, cmd.Value, devices.ErrValue)
	}
	return d.devices[i].outputs[n], nil
}

// loop is one Run.
type loop struct {
	*driver
	out   devices.Sink
	files Files
	up    bool
	why   error
	wait  time.Duration // until the chip is tried again
}

func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			l.leave()
			return
		case j := <-l.desk.Jobs():
			j.Answer(l.do(j.What))
			continue
		case <-timer.C:
		}
		timer.Reset(l.step())
	}
}

// step sets the chip up, or looks after it, and says when it wants to be called again.
func (l *loop) step() time.Duration {
	if !l.up {
		if err := l.setUp(); err != nil {
			l.lost(err)
			l.wait = min(max(2*l.wait, firstRetry), lastRetry)
			return l.wait
		}
		l.up, l.why, l.wait = true, nil, 0
		l.log.Info("chip set up", "chip", l.chip)
		l.out.Health(nil)
		for _, dev := range l.devices {
			l.out.Link(dev.id, true, nil)
			for _, o := range dev.outputs {
				o.is = devices.Value{}
			}
		}
	}
	for _, dev := range l.devices {
		for _, o := range dev.outputs {
			if err := l.look(o); err != nil {
				l.lost(err)
				return firstRetry
			}
		}
	}
	return probeEvery
}

// lost takes all devices down, once for the same reason.
func (l *loop) lost(err error) {
	err = fmt.Errorf("pwm %s: %s: %w%s", l.name, l.chip, err, wayOut(err))
	l.up = false
	if l.why != nil && l.why.Error() == err.Error() {
		return
	}
	l.why = err
	l.out.Health(err)
	for _, dev := range l.devices {
		l.out.Link(dev.id, false, err)
	}
}

func wayOut(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ": let the gateway write below /sys/class/pwm"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV):
		return ": switch it on (on a Raspberry Pi: dtoverlay=pwm-2chan in /boot/firmware/config.txt), or correct chip"
	}
	return ""
}

// setUp sets every output up with its initial value.
func (l *loop) setUp() error {
	npwm, err := l.files.Read(l.chip + "/npwm")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(npwm)
	if err != nil {
		return fmt.Errorf("npwm is %q, which is no number", npwm)
	}
	for _, dev := range l.devices {
		for _, o := range dev.outputs {
			if o.channel >= n {
				return fmt.Errorf("there is no channel %d of %s.%s: it has %d", o.channel, o.device, o.point, n)
			}
			if err := l.take(o); err != nil {
				return fmt.Errorf("channel %d: %w", o.channel, err)
			}
		}
	}
	return nil
}

// take exports a channel and sets it up: off while its period changes, and on with its initial value.
func (l *loop) take(o *output) error {
	if _, err := l.files.Read(l.file(o, "enable")); errors.Is(err, fs.ErrNotExist) {
		// One that is exported already was so by us, before a crash, or is to be ours all the same.
		if err := l.files.Write(l.chip+"/export", strconv.Itoa(o.channel)); err != nil && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	polarity := "normal"
	if o.inverted {
		polarity = "inversed"
	}
	o.asked = devices.Number(o.initial)
	steps := []struct{ file, value string }{
		{"duty_cycle", "0"}, // the kernel takes no period that is shorter than it
		{"period", strconv.Itoa(o.period)},
		{"duty_cycle", strconv.Itoa(o.duty(o.initial))},
		{"enable", "1"},
	}
	if is, err := l.files.Read(l.file(o, "polarity")); err == nil && is != polarity {
		steps = slices.Insert(steps, 1, struct{ file, value string }{"enable", "0"}, struct{ file, value string }{"polarity", polarity})
	} else if o.inverted && err != nil {
		return fmt.Errorf("it cannot be inverted: %w", err)
	}
	for i, s := range steps {
		err := l.files.Write(l.file(o, s.file), s.value)
		if i == 0 && errors.Is(err, syscall.EINVAL) {
			continue // one without a period yet
		}
		if s.value == "0" && s.file == "enable" && errors.Is(err, syscall.EINVAL) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
	}
	return nil
}

func (o *output) duty(percent float64) int { return int(percent/100*float64(o.period) + 0.5) }

// look reads an output, and publishes what is new.
func (l *loop) look(o *output) error {
	var n [3]int
	for i, file := range []string{"enable", "period", "duty_cycle"} {
		text, err := l.files.Read(l.file(o, file))
		if err != nil {
			return fmt.Errorf("channel %d: %w", o.channel, err)
		}
		if n[i], err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("channel %d: %s is %q, which is no number", o.channel, file, text)
		}
	}
	var is devices.Value
	asked, _ := o.asked.Number()
	switch enabled, period, duty := n[0] != 0, n[1], n[2]; {
	case !enabled || period == 0:
		is = devices.Number(0)
	case period == o.period && duty == o.duty(asked):
		is = o.asked // that is what it means
	default:
		is = devices.Number(float64(int(10000*float64(duty)/float64(period)+0.5)) / 100)
	}
	if is != o.is {
		o.is = is
		l.publish(o)
	}
	return nil
}

func (l *loop) publish(o *output) {
	l.out.Publish(devices.Reading{Device: o.device, Point: o.point, Value: o.is, At: time.Now()})
}

// do carries out one command.
func (l *loop) do(j job) (devices.Result, error) {
	switch {
	case !l.up && l.why != nil:
		return devices.Result{}, fmt.Errorf("%w: %w", devices.ErrDown, l.why)
	case !l.up:
		return devices.Result{}, fmt.Errorf("pwm %s: %s: %w", l.name, j.output.device, devices.ErrDown)
	}
	percent, _ := j.value.Number()
	written := time.Now()
	if err := l.files.Write(l.file(j.output, "duty_cycle"), strconv.Itoa(j.output.duty(percent))); err != nil {
		return devices.Result{}, &devices.AskedError{Err: fmt.Errorf("pwm %s: %s: channel %d: %w", l.name, l.chip, j.output.channel, err)}
	}
	l.log.Debug("output set", "device", j.output.device, "point", j.output.point, "percent", percent)
	j.output.asked, j.output.is = j.value, devices.Value{}
	if err := l.look(j.output); err != nil {
		l.lost(err)
	}
	return devices.Result{Written: written}, nil
}

// leave sets outputs to their safe values.
func (l *loop) leave() {
	if !l.up {
		return
	}
	for _, dev := range l.devices {
		for _, o := range dev.outputs {
			safe, ok := o.safe.Number()
			if !ok {
				continue
			}
			if err := l.files.Write(l.file(o, "duty_cycle"), strconv.Itoa(o.duty(safe))); err != nil {
				l.log.Warn("output let go in an unknown state", "device", o.device, "point", o.point, "err", err)
			}
		}
	}
}
