package gateway

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

// An output takes what the rules intend. It must not block.
type output interface {
	present(mapping.Presence)
	turned(id devices.ID, online bool) // what its presence says is new in this
	alert(mapping.Alert, remembered)
	remember(remembered)  // what changed without anything to say
	meet(*mapping.Device) // before anybody else can see it
	appeared(*mapping.Device)
	gone(devices.ID)
	read([]devices.Reading) // the registry has them; the slice is not to be kept
}

// remembered is what of the rules survives a restart.
type remembered struct {
	mapping.State
	// Active is what was said in the alerts that are active, as earlier versions kept it.
	Active []mapping.Alert `json:"active,omitempty"`
}

// A router runs the rules: it takes what drivers say from the inbox, lets the rules step and hands on what they intend.
// It is the only writer of the registry. Its other methods answer from memory, from any goroutine.
type router struct {
	log      *slog.Logger
	inbox    *inbox
	registry *devices.Registry
	out      output
	calls    chan func()   // run between two steps
	ended    chan struct{} // closed when run has ended, whatever ended it
	beat     atomic.Int64
	confirms *confirms

	rules *mapping.Rules // only in run, or before it
	seen  uint64         // likewise: the rules' AlertChanges

	mu     sync.RWMutex
	models map[devices.ID]*mapping.Device
	sorted []*mapping.Device // never changed in place
	shown  map[devices.ID]mapping.Presence

	active   []mapping.Alert // the rules': never changed in place
	silences []mapping.SilenceState
}

func newRouter(rules *mapping.Rules, registry *devices.Registry, out output, log *slog.Logger) *router {
	return &router{
		log: log, inbox: newInbox(), registry: registry, out: out, rules: rules, calls: make(chan func()), ended: make(chan struct{}),
		confirms: newConfirms(), models: map[devices.ID]*mapping.Device{}, shown: map[devices.ID]mapping.Presence{},
	}
}

// heartbeat is how often the router shows that it is alive while nothing happens.
const heartbeat = time.Second

// run steps the rules until ctx is done. It runs once.
func (r *router) run(ctx context.Context) error {
	defer close(r.ended)
	timer := time.NewTimer(heartbeat)
	defer timer.Stop()
	var changes []mapping.Change
	var readings []devices.Reading
	for {
		r.beat.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
			return nil
		case f := <-r.calls:
			f()
		case <-r.inbox.ready:
			changes, readings = r.drain(changes, readings)
		case <-timer.C:
			r.step(mapping.Change{})
		}
		timer.Reset(r.wait())
	}
}

// drain takes in what the drivers have said. It is given slices to use and returns them, but the large ones of a house that starts.
func (r *router) drain(changes []mapping.Change, readings []devices.Reading) ([]mapping.Change, []devices.Reading) {
	changes, readings, events := r.inbox.take(changes, readings)
	for _, c := range changes {
		r.step(c)
	}
	begin := 0
	for _, i := range events { // each is seen before what was read after it, and by itself
		r.read(readings[begin:i])
		r.read(readings[i : i+1])
		begin = i + 1
	}
	r.read(readings[begin:])
	if cap(changes) > keptInbox {
		changes = nil
	}
	if cap(readings) > keptInbox {
		readings = nil
	}
	return changes, readings
}

// read takes readings in and shows them to those who wait for some.
func (r *router) read(readings []devices.Reading) {
	if len(readings) == 0 {
		return
	}
	r.step(mapping.Change{Readings: readings})
	r.confirms.see(r.registry, readings)
	r.out.read(readings)
}

// wait is how long nothing is due.
func (r *router) wait() time.Duration {
	next := r.rules.Next()
	if next.IsZero() {
		return heartbeat
	}
	return max(min(time.Until(next), heartbeat), 0)
}

// do runs f between two steps and waits for it. Once the router has ended nothing is run.
func (r *router) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case r.calls <- func() { f(); close(done) }:
		select {
		case <-done:
			return nil
		case <-r.ended: // f panicked
			return devices.ErrStopping
		}
	case <-r.ended:
		return devices.ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alive reports whether the router has been round lately: it is what the watchdog asks.
func (r *router) alive(within time.Duration) bool {
	return time.Since(time.Unix(0, r.beat.Load())) < within
}

// reload puts another configuration in force. It is called between two steps.
func (r *router) reload(cfg *mapping.Config, o mapping.RulesOptions) {
	r.drain(nil, nil) // what drivers that are stopped by now have said belongs to the old one
	r.carryOut(r.rules.Reload(cfg, o, time.Now()))
}

// restore takes over what an earlier life has kept, before run.
func (r *router) restore(m remembered) {
	for _, said := range m.Active {
		for i := range m.Alerts {
			if a := &m.Alerts[i]; a.Alert == said.Name && a.Device == said.Device && a.Text == "" {
				a.Text = said.Text
			}
		}
	}
	r.rules.Restore(m.State, time.Now())
	r.see()
}

// snapshot is what to keep. It is called between two steps, or when run has ended.
func (r *router) snapshot() remembered { return remembered{State: r.rules.Snapshot()} }

// farewell is the last of them.
func (r *router) farewell() remembered { return remembered{State: r.rules.Farewell()} }

// see takes over which alerts are active, and reports whether something about them has changed.
func (r *router) see() bool {
	changes := r.rules.AlertChanges()
	if changes == r.seen {
		return false
	}
	active, silences := r.rules.Active(), r.rules.Silences()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active, r.silences, r.seen = active, silences, changes
	return true
}

// step lets the rules take one change and carries out what they intend.
func (r *router) step(c mapping.Change) { r.carryOut(r.rules.Step(time.Now(), c)) }

func (r *router) carryOut(intents []mapping.Intent) {
	// Kept together at the end: a broker that goes takes ten thousand devices along in one step.
	var alerts []mapping.Alert
	for _, intent := range intents {
		switch i := intent.(type) {
		case mapping.Presence:
			r.mu.Lock()
			before := r.shown[i.Device]
			r.shown[i.Device] = i
			r.mu.Unlock()
			if before.Online != i.Online {
				r.log.Info("device changed", "device", i.Device, "online", i.Online, "status", i.Status)
				r.out.turned(i.Device, i.Online)
			}
			r.out.present(i)
		case mapping.Alert:
			r.log.Info("alert", "device", i.Device, "alert", i.Name, "occasion", i.Occasion, "by", i.By, "text", i.Text)
			if len(i.To) > 0 {
				alerts = append(alerts, i)
			}
		case mapping.Appeared:
			r.out.meet(i.Device)
			r.set(i.Device)
			r.out.appeared(i.Device)
		case mapping.Misfit:
			r.log.Warn("alert does not fit its device", "device", i.Device, "alert", i.Alert, "why", i.Why)
		case mapping.Gone:
			r.drop(i.ID)
			r.out.gone(i.ID)
		}
	}
	if made := r.rules.Made(); len(made) > 0 {
		r.out.read(made)
	}
	changed := r.see()
	switch {
	case len(alerts) > 0:
		state := r.snapshot()
		for _, a := range alerts {
			r.out.alert(a, state)
		}
	case changed:
		r.out.remember(r.snapshot())
	}
}

func (r *router) set(d *mapping.Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.models[d.ID] = d
	r.sorted = nil
}

func (r *router) drop(id devices.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.models, id)
	delete(r.shown, id)
	r.sorted = nil
}

// Device returns the model and the state of a device.
func (r *router) Device(id devices.ID) (*mapping.Device, devices.State, bool) {
	r.mu.RLock()
	d := r.models[id]
	r.mu.RUnlock()
	if d == nil {
		return nil, devices.State{}, false
	}
	state, ok := r.registry.State(id)
	return d, state, ok
}

// model returns the model of a device, or nil.
func (r *router) model(id devices.ID) *mapping.Device {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.models[id]
}

// Devices are all models, sorted by id. The slice is shared and never changed.
func (r *router) Devices() []*mapping.Device {
	r.mu.RLock()
	sorted := r.sorted
	r.mu.RUnlock()
	if sorted != nil {
		return sorted
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sorted == nil {
		r.sorted = make([]*mapping.Device, 0, len(r.models))
		for _, id := range slices.Sorted(maps.Keys(r.models)) {
			r.sorted = append(r.sorted, r.models[id])
		}
	}
	return r.sorted
}

// Online says whether a device is shown as online and, when not, why.
func (r *router) Online(id devices.ID) (online bool, why string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, known := r.shown[id]
	if !known {
		return false, "not heard yet"
	}
	if !p.Online {
		why = p.Status
	}
	return p.Online, why
}

// Alerts are the active alerts, oldest first.
func (r *router) Alerts() []mapping.Alert {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.active
}

// Silences are those under way.
func (r *router) Silences() []mapping.SilenceState {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(r.silences), func(s mapping.SilenceState) bool { return !s.Until.After(now) })
}

// Acknowledge implements xmppbridge.Desk.
func (r *router) Acknowledge(ctx context.Context, a mapping.Acknowledge) ([]mapping.Alert, error) {
	var done []mapping.Alert
	err := r.tell(ctx, mapping.Change{Acknowledge: &a}, func(i mapping.Alert) {
		if i.Occasion == mapping.Acknowledged {
			done = append(done, i)
		}
	})
	return done, err
}

// Silence implements xmppbridge.Desk.
func (r *router) Silence(ctx context.Context, s mapping.Silence) error {
	return r.tell(ctx, mapping.Change{Silence: &s}, func(mapping.Alert) {})
}

// Undelivered implements xmppbridge.Desk.
func (r *router) Undelivered(ctx context.Context, u mapping.Undelivered) error {
	return r.tell(ctx, mapping.Change{Undelivered: &u}, func(mapping.Alert) {})
}

// tell lets the rules take what people or the network say, between two other steps, and shows each what followed.
func (r *router) tell(ctx context.Context, c mapping.Change, each func(mapping.Alert)) error {
	return r.do(ctx, func() {
		intents := r.rules.Step(time.Now(), c)
		for _, i := range intents {
			if a, ok := i.(mapping.Alert); ok {
				each(a)
			}
		}
		r.carryOut(intents)
	})
}
