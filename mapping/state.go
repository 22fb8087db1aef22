package mapping

import (
	"slices"
	"strings"
	"time"

	"tidings/devices"
)

// A State is what of the rules survives a restart: which alerts are active or about to be, who was told and what people
// said to it, and what was counted. It is made for JSON.
type State struct {
	Alerts   []AlertState   `json:"alerts,omitempty"`
	Silences []SilenceState `json:"silences,omitempty"`
	Counters []CounterState `json:"counters,omitempty"`
	Windows  []WindowState  `json:"windows,omitempty"` // of Farewell alone
}

// An AlertState is one alert on one device that is not idle, or of whose end somebody has yet to be told.
type AlertState struct {
	Alert  string     `json:"alert"`
	Device devices.ID `json:"device"`
	Since  time.Time  `json:"since"` // when its condition began to hold
	Active bool       `json:"active,omitempty"`
	Sent   bool       `json:"sent,omitempty"` // somebody was told. Before there was Told: everyone
	Idle   bool       `json:"idle,omitempty"` // it is over

	Text      string    `json:"text,omitempty"`
	Began     time.Time `json:"began,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Told      []string  `json:"told,omitempty"`
	Failed    []string  `json:"failed,omitempty"` // of these, whom it did not reach
	By        string    `json:"by,omitempty"`     // who has acknowledged it
	Repeat    time.Time `json:"repeat,omitzero"`
	Escalate  time.Time `json:"escalate,omitzero"`
	Escalated bool      `json:"escalated,omitempty"`
	Damped    bool      `json:"damped,omitempty"`
	Gone      bool      `json:"gone,omitempty"` // of a damped one: its condition does not hold at the moment
	Steady    time.Time `json:"steady,omitzero"`
}

// A SilenceState is a [Silence] that was begun.
type SilenceState struct {
	Alert  string     `json:"alert,omitempty"`
	Device devices.ID `json:"device,omitempty"`
	Who    string     `json:"who,omitempty"`
	Until  time.Time  `json:"until"`
}

// Snapshot returns the state to be kept, as it is after the last Step. It is shared until the next one, however often
// it is asked for: not to be changed.
func (r *Rules) Snapshot() State {
	if r.snapshot == nil {
		s := r.state()
		r.snapshot = &s
	}
	return *r.snapshot
}

func (r *Rules) state() State {
	s := State{Silences: r.Silences(), Counters: r.counterStates()}
	for _, d := range r.devices {
		for _, i := range d.alerts {
			if i.state != idle || i.life != nil && len(i.life.told) > 0 {
				s.Alerts = append(s.Alerts, r.keep(i))
			}
		}
	}
	for _, a := range r.restored {
		s.Alerts = append(s.Alerts, a)
	}
	slices.SortFunc(s.Alerts, func(a, b AlertState) int {
		if a.Alert != b.Alert {
			return strings.Compare(a.Alert, b.Alert)
		}
		return strings.Compare(string(a.Device), string(b.Device))
	})
	return s
}

// Restore takes over the state of an earlier life: an alert that was active is not sent again, and is still active
// until a value says otherwise; a `for` that was running runs on, the time in between included. Call it before the
// first Step. Alerts that the configuration does not have any more are forgotten, and those of devices it does not know
// after a month: they may be discovered again until then.
func (r *Rules) Restore(s State, now time.Time) {
	if r.zero.IsZero() {
		r.zero, r.told = now, now
	}
	r.snapshot = nil
	r.alertsChanged()
	r.restoreSeries(s, now)
	for _, kept := range s.Silences {
		r.silences = append(r.silences, silence{kept.Alert, kept.Device, kept.Who, min(kept.Until.Sub(r.zero), longestSilence)})
	}
	for _, a := range s.Alerts {
		if r.cfg.Devices[a.Device] == nil && now.Sub(a.Since) > orphaned {
			continue
		}
		if slices.ContainsFunc(r.cfg.Alerts, func(c *AlertConfig) bool { return c.Name == a.Alert && Match(c.Device, string(a.Device)) }) {
			r.restored[instanceKey{a.Alert, a.Device}] = a
		}
	}
}

// orphaned is how long the alert of a device that is not configured is kept.
const orphaned = 30 * 24 * time.Hour

// restore gives an instance the state it had before a restart.
func (r *Rules) restore(i *instance) {
	key := instanceKey{i.alert.Name, i.device.model.ID}
	a, ok := r.restored[key]
	if !ok {
		return
	}
	delete(r.restored, key)
	// A wall clock that was set back must not put it into the future.
	i.since = min(a.Since.Sub(r.zero), r.now)
	if i.state = pending; a.Idle {
		i.state = idle
	}
	if !a.Active && len(a.Told) == 0 {
		return // nobody waits for its end
	}
	if a.Active {
		i.state = active
	}
	r.revive(i, a)
}

// Reload takes a new configuration and new options in the place of the old ones. Devices keep their online state and what they read,
// alerts that are in both configurations go on as they are; only what changed is reported. Drivers announce and
// withdraw what they have now as at any time.
func (r *Rules) Reload(cfg *Config, o RulesOptions, now time.Time) []Intent {
	r.begin(now)
	r.cfg, r.o = cfg, o.withDefaults()
	r.programs = programs{}
	clear(r.misfits)
	r.alertsChanged()
	for key := range r.restored {
		if !slices.ContainsFunc(cfg.Alerts, func(a *AlertConfig) bool { return a.Name == key.alert }) {
			delete(r.restored, key)
		}
	}
	for _, id := range r.reg.IDs() {
		state, _ := r.reg.State(id)
		if d := r.devices[id]; d != nil {
			s := r.share(d.shape.raw[:d.shape.own], cfg.Devices[id])
			r.reread(d, state, s)
			info := *state.Info
			if s.own < len(s.raw) || d.shape.own < len(d.shape.raw) {
				info.Points = s.raw
				r.reg.Announce(info)
			}
			r.replace(d, cfg.model(&info, s), s)
		}
	}
	r.flush()
	return r.out
}

// reread gives the last readings of a device their new meaning: a driver that only tells changes may say nothing for
// hours. What was faulty stays so until the next reading: nobody knows any more what the device said.
func (r *Rules) reread(d *device, state devices.State, s *shape) {
	for i, p := range state.Points[:d.shape.own] {
		before := &d.shape.points[i] // the model's own, which are those of its shape
		k := slices.IndexFunc(s.points[:s.own], func(p Point) bool { return p.Name == before.Name })
		if k < 0 {
			continue // it is computed now
		}
		now := &s.points[k]
		if p.Quality != devices.Good || p.At.IsZero() || before == now {
			continue
		}
		reading := now.FromRaw(devices.Reading{Device: d.model.ID, Point: now.Name, Value: before.ToRaw(p.Value), At: p.At})
		if reading.Value != p.Value || reading.Quality != p.Quality {
			r.reg.Read(reading)
		}
	}
}
