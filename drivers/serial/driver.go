package serial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"tidings/devices"
)

const (
	// retryFirst and retryMost bound how long a port that is not there is left alone before it is tried again.
	retryFirst, retryMost = 250 * time.Millisecond, 10 * time.Second
	// settled is how long a port has to stay open for the next loss to be met with quick retries again: a board that
	// resets in a loop is not to be hammered.
	settled = 10 * time.Second
	// silence is after how long a quiet device is taken for offline where the configuration does not say.
	silence = 5 * time.Minute
)

// errReader is how reading ended when it panicked.
var errReader = errors.New("internal error while reading: the log says where")

// driver is one port with its devices.
type driver struct {
	name     string
	port     string
	mode     Mode
	open     Opener
	protocol protocol
	devices  []*device
	log      *slog.Logger

	mu      sync.Mutex
	session *session // nil while the port is not open
	cause   error    // why it is not; nil before the first try
}

var _ devices.Actuator = (*driver)(nil)

// Run keeps the port open until ctx is done. It never returns an error: a port that is not there may come.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	for _, dev := range d.devices {
		d.announce(out, dev, nil)
	}
	defer d.attach(nil, nil)
	retry := retryFirst
	for {
		opened := time.Now()
		err := d.once(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		err = fmt.Errorf("serial %s: %w", d.name, explain(d.port, err))
		d.attach(nil, err)
		out.Health(err)
		for _, dev := range d.devices {
			out.Link(dev.id, false, err)
		}
		if time.Since(opened) >= settled {
			retry = retryFirst
		}
		if !sleep(ctx, retry) {
			return nil
		}
		retry = min(2*retry, retryMost)
	}
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once opens the port and keeps it until it is gone, which is the error, or ctx is done.
func (d *driver) once(ctx context.Context, out devices.Sink) error {
	port, err := d.open(d.port, d.mode)
	if err != nil {
		return err
	}
	d.log.Info("port open", "port", d.port)
	s := newSession(port)
	d.attach(s, nil)
	out.Health(nil)
	for _, dev := range d.devices {
		out.Link(dev.id, true, nil)
	}
	gone := make(chan error, 1)
	go func() {
		err := errReader
		// What a board says must not end the gateway, whatever it is.
		defer func() {
			if p := recover(); p != nil {
				d.log.Error("panic", "port", d.port, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
			gone <- err
		}()
		err = newReader(d, out).read(port)
	}()
	select {
	case err = <-gone:
		s.end()
		_ = port.Close()
		d.log.Info("port gone", "port", d.port, "err", err)
		return err
	case <-ctx.Done():
		d.attach(nil, nil)
		s.end()
		d.makeSafe(s)
		_ = port.Close()
		<-gone
		return nil
	}
}

// attach says where commands go from now on; to no session, why there is none.
func (d *driver) attach(s *session, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.session, d.cause = s, cause
}

func (d *driver) announce(out devices.Sink, dev *device, notes []string) {
	info := devices.Info{ID: dev.id, Driver: d.name, Address: d.port, Silence: silence, Notes: notes}
	for _, p := range dev.points {
		info.Points = append(info.Points, p.Point)
	}
	out.Announce(info)
}

// Do writes the line that sets one point. The lines of several callers go out one after the other; those who wait are
// bounded by their ctx, and by whoever lets them call.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	p, err := d.point(cmd.Device, cmd.Point)
	if err != nil {
		return devices.Result{}, err
	}
	line, err := p.command(d.protocol, cmd.Value)
	if err != nil {
		return devices.Result{}, fmt.Errorf("%s %s: %w", cmd.Device, cmd.Point, err)
	}
	d.mu.Lock()
	s, cause := d.session, d.cause
	d.mu.Unlock()
	if s == nil {
		if cause != nil {
			return devices.Result{}, fmt.Errorf("%w: %w", devices.ErrDown, cause)
		}
		return devices.Result{}, fmt.Errorf("serial %s: %w", d.name, devices.ErrDown)
	}
	written, err := s.write(ctx, line, writeWithin)
	if err != nil {
		return devices.Result{}, like(err, fmt.Errorf("serial %s: %s: %w", d.name, d.port, err))
	}
	d.log.Debug("written", "device", cmd.Device, "line", line)
	return devices.Result{Written: written}, nil
}

func (d *driver) point(id devices.ID, name string) (*point, error) {
	for _, dev := range d.devices {
		if dev.id != id {
			continue
		}
		switch p := dev.point(name); {
		case p == nil:
			return nil, fmt.Errorf("%s %s: %w", id, name, devices.ErrUnknownPoint)
		case !p.Writable:
			return nil, fmt.Errorf("%s %s: %w", id, name, devices.ErrNotWritable)
		default:
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", id, devices.ErrUnknownDevice)
}

// makeSafe writes the safe values, all within safeWithin: a port that takes nothing must not hold up the end. The
// session has ended, so nothing else is written to it, now or later.
func (d *driver) makeSafe(s *session) {
	deadline := time.Now().Add(safeWithin)
	for _, dev := range d.devices {
		for _, p := range dev.points {
			if p.safe.IsZero() {
				continue
			}
			line, err := p.command(d.protocol, p.safe)
			if err == nil {
				err = s.finish(line, deadline)
			}
			if err != nil {
				d.log.Warn("safe value not written", "device", dev.id, "point", p.Name, "err", err)
				if errors.Is(err, devices.ErrTimeout) {
					return
				}
			}
		}
	}
}
