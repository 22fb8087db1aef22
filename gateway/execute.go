package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

// maxWaiting is how many requests may wait for one device.
const maxWaiting = 8

// An executor carries out requests. It is the only way to a driver's Do.
type executor struct {
	router   *router
	access   func() *mapping.Access
	actuator func(devices.ID) (devices.Actuator, bool)

	mu    sync.Mutex
	lines map[devices.ID]*line
}

// A line lets one request at a time through to a device, in the order they came.
type line struct {
	turn    chan struct{} // holds one token
	waiting int
}

func newExecutor(r *router, access func() *mapping.Access, actuator func(devices.ID) (devices.Actuator, bool)) *executor {
	return &executor{router: r, access: access, actuator: actuator, lines: map[devices.ID]*line{}}
}

// Execute implements devices.Executor.
func (e *executor) Execute(ctx context.Context, r devices.Request) (devices.Outcome, error) {
	outcome, err := e.execute(ctx, r)
	log := e.router.log.With("device", r.Device, "point", r.Point, "value", outcome.Value.String(), "by", string(r.By), "via", string(r.Via))
	if err != nil {
		log.Info("command not done", "err", err)
	} else {
		log.Info("command done", "confirmed", outcome.Confirmed)
	}
	return outcome, err
}

func (e *executor) execute(ctx context.Context, r devices.Request) (devices.Outcome, error) {
	d, p, value, err := e.check(r)
	if err != nil {
		return devices.Outcome{Value: r.Value}, err
	}
	out := devices.Outcome{Value: value}
	leave, err := e.enter(ctx, d.ID)
	if err != nil {
		return out, fmt.Errorf("%s: %w", d.Name, err)
	}
	defer leave()
	// What was true before waiting may have changed since.
	if _, _, _, err := e.check(r); err != nil {
		return out, err
	}
	actuator, ok := e.actuator(d.ID)
	if !ok {
		return out, fmt.Errorf("%s: %w", d.Name, devices.ErrDown)
	}
	return e.write(ctx, actuator, d, p, out)
}

// Check implements devices.Executor.
func (e *executor) Check(r devices.Request) error {
	_, _, _, err := e.check(r)
	return err
}

// check is the one place that decides whether a request may go ahead: access, existence, danger, range, and whether
// the device is there.
func (e *executor) check(r devices.Request) (*mapping.Device, *mapping.Point, devices.Value, error) {
	var none devices.Value
	access := e.access()
	local := r.By == devices.Control
	d, state, ok := e.router.Device(r.Device)
	if !ok || !local && !access.CanSee(string(r.By), r.Device) {
		return nil, nil, none, fmt.Errorf("%s: %w", r.Device, devices.ErrUnknownDevice)
	}
	p := d.Point(r.Point)
	switch {
	case d.Disabled: // no driver says which points it has
		return nil, nil, none, disabled(d)
	case p == nil:
		return nil, nil, none, fmt.Errorf("%s: %s: %w", d.Name, r.Point, devices.ErrUnknownPoint)
	case !local && !access.CanControl(string(r.By), r.Device):
		return nil, nil, none, fmt.Errorf("%s: %w: your role may see it but not control it", d.Name, devices.ErrForbidden)
	case !p.Writable:
		return nil, nil, none, fmt.Errorf("%s: %s: %w", d.Name, p.Label, devices.ErrNotWritable)
	}
	value := devices.Bool(true)
	if p.Kind != devices.KindAction {
		var err error
		if value, err = p.Check(r.Value); err != nil {
			return nil, nil, none, err
		}
	}
	switch program := r.Via == devices.ViaIoT; {
	case program && !p.Programs:
		return nil, nil, none, fmt.Errorf("%s: %s: %w to programs: programs = true in its table lets them", d.Name, p.Label, devices.ErrForbidden)
	case p.Danger && !r.Confirmed && !program:
		return nil, nil, none, fmt.Errorf("%s: %s: %w", d.Name, p.Label, devices.ErrUnconfirmed)
	}
	if online, why := e.router.Online(r.Device); !online || !state.Up {
		if !state.Up && state.Cause != nil {
			why = state.Cause.Error()
		}
		return nil, nil, none, fmt.Errorf("%s is %w: %s", d.Name, devices.ErrDown, why)
	}
	return d, p, value, nil
}

// disabled refuses what is asked of a device that the configuration has taken out.
func disabled(d *mapping.Device) error {
	return fmt.Errorf("%s: %w: it is disabled in the configuration", d.Name, devices.ErrDown)
}

// enter waits for a device's turn; the function it returns gives it back.
func (e *executor) enter(ctx context.Context, id devices.ID) (leave func(), err error) {
	e.mu.Lock()
	l := e.lines[id]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		e.lines[id] = l
	}
	if l.waiting >= maxWaiting {
		e.mu.Unlock()
		return nil, devices.ErrBusy
	}
	l.waiting++
	e.mu.Unlock()
	done := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(e.lines, id)
		}
	}
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; done() }, nil
	case <-ctx.Done():
		done()
		return nil, devices.ErrTimeout
	}
}

// write tells the driver and waits for the reading that confirms it. The driver knows whether the device was asked.
func (e *executor) write(ctx context.Context, a devices.Actuator, d *mapping.Device, p *mapping.Point, out devices.Outcome) (devices.Outcome, error) {
	before, _ := e.router.registry.Point(d.ID, p.Name)
	obeyed := func(v devices.Value) bool { return p.Same(out.Value, v) || p.Nears(before.Value, out.Value, v) }
	w := e.router.confirms.await(pointKey{d.ID, p.Name}, obeyed)
	defer w.stop()
	if off := d.TurnsOff(p, out.Value); off != nil {
		w.also(pointKey{d.ID, off.Name}, func(v devices.Value) bool { return v == devices.Bool(false) })
	}
	raw := out.Value
	if p.Kind != devices.KindAction {
		raw = p.ToRaw(out.Value)
	}
	result, err := a.Do(ctx, devices.Command{Device: d.ID, Point: p.Name, Value: raw})
	asked, wasAsked := errors.AsType[*devices.AskedError](err)
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	switch {
	case wasAsked && late:
		return out, &devices.AskedError{Err: devices.ErrTimeout}
	case wasAsked:
		return out, asked
	case late:
		return out, fmt.Errorf("%s: %w", d.Name, devices.ErrTimeout)
	case err != nil:
		return out, fmt.Errorf("%s: %w", d.Name, err)
	case !p.Confirms:
		return out, nil
	}
	timer := time.NewTimer(p.ConfirmWithin)
	defer timer.Stop()
	for {
		select {
		case at := <-w.seen:
			if !at.Before(result.Written) {
				out.Confirmed = true
				if now, ok := e.router.registry.Point(d.ID, p.Name); ok && now.Quality == devices.Good && obeyed(now.Value) {
					out.Reading = now.Value
				}
				return out, nil
			}
		case <-timer.C:
			return out, &devices.AskedError{Err: fmt.Errorf("%w within %s", devices.ErrNoConfirm, mapping.Duration(p.ConfirmWithin))}
		case <-ctx.Done():
			return out, &devices.AskedError{Err: devices.ErrTimeout}
		}
	}
}

// confirms tells those who wait for a value of a point when a reading brings it.
type confirms struct {
	mu      sync.Mutex
	waiting map[pointKey]*wait
}

// A wait is one request waiting. There is at most one a point: a device's requests take turns.
type wait struct {
	of   *confirms
	want map[pointKey]func(devices.Value) bool
	seen chan time.Time // when the reading was taken; the latest
}

func newConfirms() *confirms { return &confirms{waiting: map[pointKey]*wait{}} }

func (c *confirms) await(key pointKey, want func(devices.Value) bool) *wait {
	w := &wait{of: c, want: map[pointKey]func(devices.Value) bool{}, seen: make(chan time.Time, 1)}
	w.also(key, want)
	return w
}

// also has a value of another point do, too.
func (w *wait) also(key pointKey, want func(devices.Value) bool) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.want[key] = want
	w.of.waiting[key] = w
}

func (w *wait) stop() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	for key := range w.want {
		if w.of.waiting[key] == w {
			delete(w.of.waiting, key)
		}
	}
}

// see looks through readings that the registry has taken in.
func (c *confirms) see(registry *devices.Registry, readings []devices.Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		return
	}
	for _, r := range readings {
		key := pointKey{r.Device, r.Point}
		w := c.waiting[key]
		if w == nil {
			continue
		}
		now, ok := registry.Point(r.Device, r.Point)
		if !ok || now.Quality != devices.Good || !w.want[key](now.Value) {
			continue
		}
		select { // only the latest counts
		case <-w.seen:
		default:
		}
		w.seen <- now.At
	}
}
