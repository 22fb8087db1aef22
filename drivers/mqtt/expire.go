package mqtt

import (
	"fmt"
	"time"

	"tidings/devices"
)

// schedule keeps what time will do to a reading of a point that has something of the kind.
func (d *driver) schedule(p *point, rd devices.Reading) {
	t := p.extras
	if t == nil {
		return
	}
	t.last, t.offAt, t.staleAt = devices.Reading{}, time.Time{}, time.Time{}
	if rd.Quality != devices.Good {
		return
	}
	t.last = rd
	if on, ok := rd.Value.Bool(); ok && on && t.offDelay > 0 {
		t.offAt = rd.At.Add(t.offDelay)
	}
	if t.expire > 0 {
		t.staleAt = rd.At.Add(t.expire)
	}
	if at := t.next(); !at.IsZero() && !t.set {
		t.set = true
		d.alarms.add(at, func(now time.Time) { d.alarm(p, now) })
	}
}

// next is when there is something to do; zero: never.
func (t *extras) next() time.Time {
	if t.staleAt.IsZero() || !t.offAt.IsZero() && t.offAt.Before(t.staleAt) {
		return t.offAt
	}
	return t.staleAt
}

// alarm looks at a point whose time has come, or was put off meanwhile.
func (d *driver) alarm(p *point, now time.Time) {
	p.extras.set = false
	if p.device.gone || !p.device.up { // what is due is done when it comes up
		return
	}
	d.overdue(p, now)
}

// overdue does what time has done to the reading of a point of a device that is up, and sees to the next alarm.
func (d *driver) overdue(p *point, now time.Time) {
	t := p.extras
	if t == nil {
		return
	}
	rd := devices.Reading{Device: p.device.info.ID, Point: p.Name, At: now}
	if !t.offAt.IsZero() && !now.Before(t.offAt) {
		t.offAt = time.Time{}
		rd.Value = devices.Bool(false)
		t.last = rd
		if p.down == nil {
			d.out.Publish(rd)
		}
	}
	if !t.staleAt.IsZero() && !now.Before(t.staleAt) {
		t.staleAt, t.offAt, t.last = time.Time{}, time.Time{}, devices.Reading{}
		if p.down == nil {
			d.out.Publish(devices.Reading{Device: p.device.info.ID, Point: p.Name, At: now, Quality: devices.Stale, Err: fmt.Errorf("nothing new for %v", t.expire)})
		}
	}
	if at := t.next(); !at.IsZero() && !t.set {
		t.set = true
		d.alarms.add(at, func(now time.Time) { d.alarm(p, now) })
	}
}
