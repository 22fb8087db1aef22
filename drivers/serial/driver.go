package serial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/port"
)

const (
	// retryFirst and retryMost bound how long a port that is not there is left alone before it is tried again.
	retryFirst, retryMost = 250 * time.Millisecond, 10 * time.Second
	// settled is how long a port has to stay open for the next loss to be met with quick retries again: a board that
	// resets in a loop is not to be hammered.
	settled = 10 * time.Second
)

// driver is one port with what is spoken on it.
type driver struct {
	name    string
	port    string
	mode    port.Mode
	open    port.Opener
	dialect dialect
	infos   []devices.Info // of the dialect
	log     *slog.Logger

	mu    sync.Mutex
	talk  conversation // nil while the port is not open
	cause error        // why it is not; nil before the first try
}

var _ devices.Actuator = (*driver)(nil)

// Run keeps the port open until ctx is done. It never returns an error: a port that is not there may come.
func (d *driver) Run(ctx context.Context, out devices.Sink) error {
	for _, info := range d.infos {
		out.Announce(info)
	}
	defer d.attach(nil, nil)
	retry := retryFirst
	for {
		opened := time.Now()
		err := d.once(ctx, out)
		if ctx.Err() != nil {
			return nil
		}
		err = fmt.Errorf("serial %s: %w", d.name, port.Explain(d.port, err))
		d.attach(nil, err)
		out.Health(err)
		for _, info := range d.infos {
			out.Link(info.ID, false, err)
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
	p, err := d.open(ctx, d.port, d.mode)
	if err != nil {
		return err
	}
	defer p.Close()
	d.log.Info("port open", "port", d.port)
	talk := d.dialect.begin(p, out)
	d.attach(talk, nil)
	out.Health(nil)
	if err = talk.run(ctx); ctx.Err() == nil {
		d.log.Info("port gone", "port", d.port, "err", err)
	}
	return err
}

// attach says where commands go from now on; to no conversation, why there is none.
func (d *driver) attach(talk conversation, cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.talk, d.cause = talk, cause
}

// Do sets one point. How several callers get their turn is the dialect's to say; those who wait are bounded by their
// ctx, and by whoever lets them call.
func (d *driver) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	if err := d.writable(cmd.Device, cmd.Point); err != nil {
		return devices.Result{}, err
	}
	d.mu.Lock()
	talk, cause := d.talk, d.cause
	d.mu.Unlock()
	switch {
	case talk != nil:
		return talk.do(ctx, cmd)
	case cause != nil:
		return devices.Result{}, fmt.Errorf("%w: %w", devices.ErrDown, cause)
	}
	return devices.Result{}, fmt.Errorf("serial %s: %w", d.name, devices.ErrDown)
}

func (d *driver) writable(id devices.ID, name string) error {
	i := slices.IndexFunc(d.infos, func(info devices.Info) bool { return info.ID == id })
	if i < 0 {
		return fmt.Errorf("%s: %w", id, devices.ErrUnknownDevice)
	}
	for _, p := range d.infos[i].Points {
		switch {
		case p.Name != name:
		case !p.Writable:
			return fmt.Errorf("%s %s: %w", id, name, devices.ErrNotWritable)
		default:
			return nil
		}
	}
	return fmt.Errorf("%s %s: %w", id, name, devices.ErrUnknownPoint)
}

// like makes an error of cause that says of asking what err says.
func like(err, cause error) error {
	if _, asked := errors.AsType[*devices.AskedError](err); asked {
		return &devices.AskedError{Err: cause}
	}
	return cause
}
