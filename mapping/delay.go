package mapping

import (
	"time"

	"tidings/devices"
)

// A delayed is a switch that is not shown as on, or as off, before it has stayed so for a while.
type delayed struct {
	index int           // of the point in the device's model
	since time.Duration // when it began to be the other one, if waits
	waits bool
}

// delays makes the delays of a device that has another model. What is waited for in the one before is waited for still.
func (r *Rules) delays(d *device, before *Device) []delayed {
	var now []delayed
	for i := range d.model.Points {
		if p := &d.model.Points[i]; p.DelayOn > 0 || p.DelayOff > 0 {
			now = append(now, delayed{index: i})
		}
	}
	was := r.derived[d]
	if was == nil {
		return now
	}
	for _, old := range was.delayed {
		if !old.waits {
			continue
		}
		i := d.model.index(before.Points[old.index].Name)
		if h := delayOf(now, i); h != nil {
			h.since, h.waits = old.since, true
		} else if i >= 0 {
			r.turn(d, i)
		}
	}
	return now
}

// delayOf is the delay of a point, or nil.
func delayOf(all []delayed, i int) *delayed {
	for k := range all {
		if all[k].index == i {
			return &all[k]
		}
	}
	return nil
}

// delay has a reading say what is shown: the state before, while the other one has not stayed for long enough.
func (r *Rules) delay(d *device, i int, reading *devices.Reading) {
	of := r.derived[d]
	if of == nil {
		return
	}
	h := delayOf(of.delayed, i)
	if h == nil {
		return
	}
	on, isOn := reading.Value.Bool()
	before, _ := r.reg.Point(reading.Device, reading.Point)
	was, wasKnown := before.Value.Bool()
	if !isOn || !wasKnown || before.Quality != devices.Good || on == was {
		h.waits = false
		return
	}
	if !h.waits {
		h.since, h.waits = r.now, true
		r.touch(d)
	}
	if r.now >= h.since+d.model.Points[i].delayTo(on) {
		h.waits = false
		return
	}
	reading.Value = devices.Bool(was)
}

// delayTo is how long the point has to stay on, or off, to be shown so.
func (p *Point) delayTo(on bool) time.Duration {
	if on {
		return p.DelayOn
	}
	return p.DelayOff
}

// endDelays shows what has stayed for long enough.
func (r *Rules) endDelays(d *device) {
	of := r.derived[d]
	if of == nil {
		return
	}
	for k := range of.delayed {
		if h := &of.delayed[k]; !h.waits {
			continue
		} else if due, ok := r.delayDue(d, h); ok && due <= r.now {
			h.waits = false
			r.turn(d, h.index)
		}
	}
}

// turn shows a switch as what it has been for some time.
func (r *Rules) turn(d *device, i int) {
	name := d.model.Points[i].Name
	before, _ := r.reg.Point(d.model.ID, name)
	if on, ok := before.Value.Bool(); ok {
		r.record(d, i, devices.Reading{Device: d.model.ID, Point: name, Value: devices.Bool(!on), At: r.at(r.now)})
	}
}

// delayDue is when a delay ends, of a device whose points are known.
func (r *Rules) delayDue(d *device, h *delayed) (time.Duration, bool) {
	if !h.waits || !d.online || d.model.Disabled {
		return 0, false
	}
	p := &d.model.Points[h.index]
	before, _ := r.reg.Point(d.model.ID, p.Name)
	was, _ := before.Value.Bool()
	return h.since + p.delayTo(!was), true
}
