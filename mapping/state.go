package mapping

import (
	"slices"
	"strings"
	"time"

	"tidings/devices"
)

// A State is what of the rules survives a restart: which alerts are active or about to be. It is made for JSON.
type State struct {
	Alerts []AlertState `json:"alerts,omitempty"`
}

// An AlertState is one alert on one device that is not idle.
type AlertState struct {
	Alert  string     `json:"alert"`
	Device devices.ID `json:"device"`
	Since  time.Time  `json:"since"` // when its condition began to hold
	Active bool       `json:"active,omitempty"`
	Sent   bool       `json:"sent,omitempty"` // somebody was told, and is told when it is over
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
	var s State
	for _, d := range r.devices {
		for _, i := range d.alerts {
			if i.state != idle {
				s.Alerts = append(s.Alerts, AlertState{
					Alert: i.alert.Name, Device: d.model.ID, Since: r.at(i.since), Active: i.state == active, Sent: i.sent,
				})
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
	i.state, i.sent = pending, a.Sent
	if a.Active {
		i.state = active
	}
}

// Reload takes a new configuration and new options in the place of the old ones. Devices keep their online state and what they read,
// alerts that are in both configurations go on as they are; only what changed is reported. Drivers announce and
// withdraw what they have now as at any time.
func (r *Rules) Reload(cfg *Config, o RulesOptions, now time.Time) []Intent {
	r.begin(now)
	r.cfg, r.o = cfg, o.withDefaults()
	r.programs = programs{}
	for key := range r.restored {
		if !slices.ContainsFunc(cfg.Alerts, func(a *AlertConfig) bool { return a.Name == key.alert }) {
			delete(r.restored, key)
		}
	}
	for _, id := range r.reg.IDs() {
		state, _ := r.reg.State(id)
		if d := r.devices[id]; d != nil {
			s := r.share(state.Info.Points, cfg.Devices[id])
			r.reread(d, state, s)
			r.replace(d, cfg.model(state.Info, s), s)
		}
	}
	r.flush()
	return r.out
}

// reread gives the last readings of a device their new meaning: a driver that only tells changes may say nothing for
// hours. What was faulty stays so until the next reading: nobody knows any more what the device said.
func (r *Rules) reread(d *device, state devices.State, s *shape) {
	for i, p := range state.Points {
		before, now := &d.model.Points[i], &s.points[i]
		if p.Quality != devices.Good || p.At.IsZero() || before == now {
			continue
		}
		reading := now.FromRaw(devices.Reading{Device: d.model.ID, Point: now.Name, Value: before.ToRaw(p.Value), At: p.At})
		if reading.Value != p.Value || reading.Quality != p.Quality {
			r.reg.Read(reading)
		}
	}
}
