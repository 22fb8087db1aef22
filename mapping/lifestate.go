package mapping

import (
	"slices"
	"time"
)

// keep is what of an alert survives a restart.
func (r *Rules) keep(i *instance) AlertState {
	s := AlertState{Alert: i.alert.Name, Device: i.device.model.ID, Since: r.at(i.since), Active: i.state == active, Idle: i.state == idle}
	l := i.life
	if l == nil {
		return s
	}
	s.Text, s.By, s.Escalated, s.Damped, s.Gone = l.text, l.by, l.escalated, l.damped, l.gone
	s.Told, s.Failed, s.Sent = slices.Clone(l.told), slices.Clone(l.fails), len(l.told) > 0
	s.Began, s.Repeat = l.id, r.at(l.repeat)
	if i.state != active {
		s.Ended = r.at(l.ended)
	}
	if i.alert.Escalate != nil {
		s.Escalate = r.at(l.escalate)
	}
	if l.damped {
		s.Steady = r.at(l.steady)
	}
	return s
}

// revive gives an alert the life it had before a restart.
func (r *Rules) revive(i *instance, s AlertState) {
	at := func(t time.Time, missing time.Duration) time.Duration {
		if t.IsZero() {
			return missing
		}
		return t.Sub(r.zero)
	}
	l := &life{id: s.began(), text: s.Text, told: s.Told, fails: s.Failed, by: s.By, escalated: s.Escalated, damped: s.Damped, gone: s.Gone,
		began: min(at(s.began(), i.since), r.now), ended: min(at(s.Ended, r.now), r.now), steady: min(at(s.Steady, r.now), r.now),
		repeat: min(at(s.Repeat, r.now), r.now+i.alert.Repeat)}
	if s.Sent && len(s.Told) == 0 {
		l.told = slices.Clone(i.alert.To)
	}
	if e := i.alert.Escalate; e != nil {
		l.escalate = min(at(s.Escalate, r.now+e.After), r.now+e.After)
	}
	l.said = len(l.told) > 0
	i.life = l
	r.alertsChanged()
}

// began is when it became active. Earlier versions kept only since when its condition had held.
func (s *AlertState) began() time.Time {
	if s.Began.IsZero() {
		return s.Since
	}
	return s.Began
}
