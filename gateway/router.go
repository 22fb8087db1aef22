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
	appeared(*mapping.Device)
	gone(devices.ID)
	read([]devices.Reading) // the registry has them; the slice is not to be kept
}

// remembered is what of the rules survives a restart: their own state, and what was said in the alerts that are active.
type remembered struct {
	mapping.State
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

	mu     sync.RWMutex
	models map[devices.ID]*mapping.Device
	sorted []*mapping.Device // never changed in place
	shown  map[devices.ID]mapping.Presence
	active []mapping.Alert
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

// drain takes in what the drivers have said. It is given slices to use and returns them.
func (r *router) drain(changes []mapping.Change, readings []devices.Reading) ([]mapping.Change, []devices.Reading) {
	changes, readings = r.inbox.take(changes, readings)
	for _, c := range changes {
		r.step(c)
	}
	if len(readings) > 0 {
		r.step(mapping.Change{Readings: readings})
		r.confirms.see(r.registry, readings)
		r.out.read(readings)
	}
	return changes, readings
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
	r.prune()
}

// restore takes over what an earlier life has kept, before run.
func (r *router) restore(m remembered) {
	r.rules.Restore(m.State, time.Now())
	r.active = m.Active
	r.prune()
}

// snapshot is what to keep. It is called between two steps, or when run has ended.
func (r *router) snapshot() remembered { return remembered{r.rules.Snapshot(), r.Alerts()} }

// prune forgets active alerts that the rules do not have any more, and of whose end nobody could be told.
func (r *router) prune() {
	state := r.rules.Snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = slices.DeleteFunc(slices.Clone(r.active), func(a mapping.Alert) bool {
		return !slices.ContainsFunc(state.Alerts, func(s mapping.AlertState) bool {
			return s.Active && s.Alert == a.Name && s.Device == a.Device
		})
	})
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
			r.log.Info("alert", "device", i.Device, "alert", i.Name, "over", i.Recovery, "text", i.Text)
			alerts = append(alerts, i)
		case mapping.Appeared:
			r.set(i.Device)
			r.out.appeared(i.Device)
		case mapping.Gone:
			r.drop(i.ID)
			r.out.gone(i.ID)
		}
	}
	if len(alerts) == 0 {
		return
	}
	r.keep(alerts)
	state := r.snapshot()
	for _, a := range alerts {
		r.out.alert(a, state)
	}
}

// keep notes which alerts are active.
func (r *router) keep(said []mapping.Alert) {
	last := make(map[string]int, len(said)) // by key: of an alert that comes and goes in one step the end counts
	for i, a := range said {
		last[a.Key] = i
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = slices.DeleteFunc(slices.Clone(r.active), func(x mapping.Alert) bool { _, again := last[x.Key]; return again })
	for i, a := range said {
		if !a.Recovery && last[a.Key] == i {
			r.active = append(r.active, a)
		}
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
	r.active = slices.DeleteFunc(slices.Clone(r.active), func(x mapping.Alert) bool { return x.Device == id })
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
