package mapping

import (
	"errors"
	"slices"

	"tidings/devices"
)

// A computation is a computed point of one device. It is done again in the Step in which something it is made of changes,
// after those that this is made of. While its device is not online it is left alone, as the device's other points are.
type computation struct {
	device *device
	index  int // of the point in the device's model
	config *pointConfig
	inputs []devices.Value // it was last done with; a zero one was not known
	done   bool            // it was done at all
	queued bool
}

// A derived is what is made of a device's readings; most have nothing.
type derived struct {
	computed []*computation // its computed points
	delayed  []delayed      // its switches with a delay
}

// remake makes what is made of the readings of a device that has another model than before, and ends what was.
func (r *Rules) remake(d *device, before *Device) {
	old := r.derived[d]
	now := derived{delayed: r.delays(d, before)}
	for i := d.shape.own; i < len(d.model.Points); i++ {
		c := &computation{device: d, index: i, config: findPoint(d.shape.config, d.model.Points[i].Name)}
		now.computed = append(now.computed, c)
		r.retain(c.config.value, d.model.ID)
		for _, id := range c.config.value.devices() {
			r.dependents[id] = append(r.dependents[id], c)
		}
	}
	r.underive(d, old)
	if len(now.computed) > 0 || len(now.delayed) > 0 {
		r.derived[d] = &derived{now.computed, now.delayed}
	}
}

// derives reports whether something is made of a device's readings, by itself or by others.
func (r *Rules) derives(d *device) bool {
	return r.derived[d] != nil || len(r.dependents[d.model.ID]) > 0 || len(r.series[d.model.ID]) > 0
}

// underive ends what was made of a device's readings.
func (r *Rules) underive(d *device, old *derived) {
	if old == nil {
		return
	}
	delete(r.derived, d)
	for _, c := range old.computed {
		for _, id := range c.config.value.devices() {
			rest := slices.DeleteFunc(r.dependents[id], func(other *computation) bool { return other == c })
			if len(rest) == 0 {
				delete(r.dependents, id)
			} else {
				r.dependents[id] = rest
			}
		}
		r.letGo(c.config.value, c.device.model.ID)
	}
}

// devices are the other devices an expression names.
func (e *expression) devices() []devices.ID {
	var out []devices.ID
	for i := range e.refs {
		if id := e.refs[i].device; id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// derive brings what is made of readings in line with them: delayed switches, points over time, and computed points, each
// after those it is made of. It deals with the devices touched from one of them on, and those that this touches.
func (r *Rules) derive(from int) {
	for {
		for ; from < len(r.touched); from++ {
			if d := r.touched[from]; r.devices[d.model.ID] == d {
				r.updateReach(d)
				r.endDelays(d)
				r.stir(d, -1)
			}
		}
		if !r.computeQueued() {
			return
		}
	}
}

// stir has everything looked at that is made of a device's points: its series, and the computations that come after a rank.
func (r *Rules) stir(d *device, rank int) {
	if r.feed(d) {
		d.evaluate = true
		r.touchWatchers(d.model.ID)
	}
	if of := r.derived[d]; of != nil {
		for _, c := range of.computed {
			r.queue(c, rank)
		}
	}
	for _, c := range r.dependents[d.model.ID] {
		r.queue(c, rank)
	}
}

// queue has a computation done, if its rank is higher than one.
func (r *Rules) queue(c *computation, rank int) {
	own := int(c.config.rank)
	if c.queued || own <= rank {
		return
	}
	c.queued = true
	for len(r.queued) <= own {
		r.queued = append(r.queued, nil)
	}
	r.queued[own] = append(r.queued[own], c)
}

// computeQueued does the computations that are queued, by rank. It reports whether there were any.
func (r *Rules) computeQueued() bool {
	some := false
	for rank := range r.queued {
		for i := 0; i < len(r.queued[rank]); i++ {
			c := r.queued[rank][i]
			c.queued, some = false, true
			r.recompute(c)
		}
		clear(r.queued[rank])
		r.queued[rank] = r.queued[rank][:0]
	}
	return some
}

// recompute does one computation, if what it is made of has changed.
func (r *Rules) recompute(c *computation) {
	d := c.device
	if r.devices[d.model.ID] != d || d.model.Disabled || !d.online {
		return
	}
	e := c.config.value
	r.values = r.values[:0]
	unknown := false
	for i := range e.refs {
		v, ok := r.value(&e.refs[i], d)
		if !ok {
			v, unknown = devices.Value{}, true
		}
		r.values = append(r.values, v)
	}
	if c.done && slices.Equal(c.inputs, r.values) {
		return
	}
	c.inputs, c.done = append(c.inputs[:0], r.values...), true
	p := &d.model.Points[c.index]
	reading := devices.Reading{Device: d.model.ID, Point: p.Name, At: r.at(r.now)}
	switch fault := d.fault(c.index); {
	case fault != "":
		reading = p.faulty(reading, fault)
	case unknown:
		reading.Quality = devices.Unknown
		if fault := r.misuse(e, d); fault != "" {
			reading = p.faulty(reading, fault)
		}
	default:
		v, err := r.programs.value(e, r.values, valueKind(p.Kind))
		if err != nil {
			reading = p.faulty(reading, "cannot be computed: "+err.Error())
			break
		}
		reading.Value = v
		reading = p.FromRaw(reading)
	}
	r.delay(d, c.index, &reading)
	if r.record(d, c.index, reading) {
		r.stir(d, int(c.config.rank))
	}
}

// record takes a reading that no driver sent. It reports whether it is another one than before.
func (r *Rules) record(d *device, i int, reading devices.Reading) bool {
	before, _ := r.reg.Point(reading.Device, reading.Point)
	if before.At.IsZero() && reading.Quality == devices.Unknown || sameReading(before, reading) {
		return false
	}
	r.reg.Put(reading)
	r.made = append(r.made, reading)
	r.changed(d, i, reading)
	return true
}

// Made are the readings that the last Step, Restore or Reload made itself: of computed points, and of switches whose delay is
// over. The registry has them. The slice is valid until the next one.
func (r *Rules) Made() []devices.Reading { return r.made }

// misuse says what of a device's points, as they are now known to be, an expression cannot take. It is empty when it can.
func (r *Rules) misuse(e *expression, d *device) string {
	for i := range e.refs {
		ref := &e.refs[i]
		of := d
		if ref.device != "" {
			of = r.devices[ref.device]
		}
		if ref.state || of == nil || of.model.Disabled {
			continue // not known, and that may change by itself
		}
		p := of.model.Point(ref.point)
		if p == nil && of.shape.own == 0 {
			continue // it has not announced a point so far
		}
		if p == nil {
			return of.model.hasNo(ref.point)
		}
		if err := ref.takes(p.Kind, p.Unit); err != nil {
			return err.Error()
		}
	}
	return ""
}

// takes says why a reference cannot be to a point of a kind with a unit. It is nil when it can.
func (ref *ref) takes(kind devices.PointKind, unit string) error {
	holds := valueKind(kind)
	switch {
	case kind == devices.KindAction:
		return errors.New(ref.point + " is an action and has no value")
	case kind == devices.KindImage:
		return errors.New(ref.point + " is a picture and has no value to compare")
	case ref.fold == present:
		return nil
	case holds != ref.fold.input() && ref.fold.input() == devices.BoolKind:
		return errors.New(ref.fold.String() + " is of a switch, and " + ref.point + " is a " + kind.String())
	case holds != ref.fold.input():
		return errors.New(ref.fold.String() + " is of a number, and " + ref.point + " is a " + kind.String())
	case ref.fold == energyOf && units[orWatt(unit)].of != "power":
		return errors.New("energy is of a power, and " + ref.point + " is in " + unit + `: give the point the unit of a power, or take integral(` + ref.point + `, "h")`)
	}
	return nil
}
