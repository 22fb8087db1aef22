package serial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/serial/port"
)

// silence is after how long a quiet device is taken for offline where the configuration does not say.
const silence = 5 * time.Minute

// errReader is how reading ended when it panicked.
var errReader = errors.New("internal error while reading: the log says where")

// A listener is the dialect of devices that speak by themselves, whatever the protocol, and may take lines of text. All
// are up while the port is open.
type listener struct {
	name     string // of the connection
	port     string
	protocol protocol
	devices  []*device
	log      *slog.Logger
}

// listening makes the builder of a listener.
func listening(build func(*schema.Table) (protocol, bool)) func(devices.Connection) (dialect, bool) {
	return func(c devices.Connection) (dialect, bool) {
		p, ok := build(c.Table)
		if p == nil {
			return nil, false
		}
		l := &listener{name: c.Name, port: c.Table.String("port"), protocol: p, log: c.Log}
		for _, dc := range c.Devices {
			dev, good := buildDevice(dc, p)
			l.devices = append(l.devices, dev)
			ok = ok && good
		}
		return l, ok
	}
}

// only is for a protocol without keys of its own.
func only(p protocol) func(*schema.Table) (protocol, bool) {
	return func(*schema.Table) (protocol, bool) { return p, true }
}

func (l *listener) infos() []devices.Info {
	infos := make([]devices.Info, len(l.devices))
	for i, dev := range l.devices {
		infos[i] = l.info(dev)
	}
	return infos
}

func (l *listener) info(dev *device) devices.Info {
	info := devices.Info{ID: dev.id, Driver: l.name, Address: l.port, Silence: silence, Model: dev.model}
	for _, p := range dev.points {
		info.Points = append(info.Points, p.Point)
	}
	return info
}

func (l *listener) begin(p port.Port, out devices.Sink) conversation {
	return &hearing{listener: l, port: p, out: out, session: newSession(p)}
}

// hearing is a listener's conversation.
type hearing struct {
	*listener
	port    port.Port
	out     devices.Sink
	session *session
}

// run reads on a goroutine of its own.
func (h *hearing) run(ctx context.Context) error {
	for _, dev := range h.devices {
		h.out.Link(dev.id, true, nil)
	}
	gone := make(chan error, 1)
	go func() {
		err := errReader
		// What a board says must not end the gateway, whatever it is.
		defer func() {
			if p := recover(); p != nil {
				h.log.Error("panic", "port", h.listener.port, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
			gone <- err
		}()
		err = newReader(h.listener, h.out).read(h.port)
	}()
	select {
	case err := <-gone:
		h.session.end()
		return err
	case <-ctx.Done():
		h.session.end()
		h.makeSafe()
		_ = h.port.SetReadDeadline(time.Unix(1, 0))
		<-gone
		return nil
	}
}

// do writes the line that sets one point. The lines of several callers go out one after the other.
func (h *hearing) do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	p := h.point(cmd.Device, cmd.Point)
	line, err := p.command(cmd.Value)
	if err != nil {
		return devices.Result{}, fmt.Errorf("%s %s: %w", cmd.Device, cmd.Point, err)
	}
	written, err := h.session.write(ctx, line, writeWithin)
	if err != nil {
		return devices.Result{}, like(err, fmt.Errorf("serial %s: %s: %w", h.name, h.listener.port, err))
	}
	h.log.Debug("written", "device", cmd.Device, "line", line)
	return devices.Result{Written: written}, nil
}

// point is one that is writable, as the driver has made sure.
func (l *listener) point(id devices.ID, name string) *point {
	for _, dev := range l.devices {
		if dev.id == id {
			return dev.point(name)
		}
	}
	return nil
}

// makeSafe writes the safe values, all within safeWithin: a port that takes nothing must not hold up the end. The
// session has ended, so nothing else is written to it, now or later.
func (h *hearing) makeSafe() {
	deadline := time.Now().Add(safeWithin)
	for _, dev := range h.devices {
		if dev.open {
			continue // it has none, and the reader may be adding to its points
		}
		for _, p := range dev.points {
			if p.safe.IsZero() {
				continue
			}
			line, err := p.command(p.safe)
			if err == nil {
				err = h.session.finish(line, deadline)
			}
			if err != nil {
				h.log.Warn("safe value not written", "device", dev.id, "point", p.Name, "err", err)
				if errors.Is(err, devices.ErrTimeout) {
					return
				}
			}
		}
	}
}
