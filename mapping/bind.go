package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"tidings/devices"
)

// Units that only the devices can say are known once they are there. Then computed points get them as those do whose units the
// configuration says: the unit of what they are made of, or a number converted to their own; and what cannot be added or compared is
// a fault.

// unitNow is the unit of what an expression of a device results in, by what the devices in it now say, and why there is none where
// units contradict each other.
func (r *Rules) unitNow(e *expression, own *Device) (unit, why string) {
	unit, err := (&unitReader{e, func(ref *ref) string {
		of := own
		if ref.device != "" {
			of = r.Device(ref.device)
		}
		if of == nil || ref.state {
			return ""
		}
		p := of.Point(ref.point)
		if p == nil || p.Kind != devices.KindNumber {
			return ""
		}
		return p.Unit
	}}).read()
	if err != nil {
		return "", err.Error()
	}
	return unit, ""
}

// unitMisfit says which units in the conditions of an alert contradict each other on a device.
func (r *Rules) unitMisfit(a *AlertConfig, d *device) string {
	for _, e := range a.conditions() {
		if _, why := r.unitNow(e, d.model); why != "" {
			return why
		}
	}
	return ""
}

// bind gives the computed points of a device their units, and faults to those that cannot be computed since units contradict each
// other. The device's model has to be one that nobody was shown yet.
func (r *Rules) bind(d *device) {
	model, own := d.model, d.shape.own
	model.Points, model.faults = d.shape.points, nil
	if own == len(model.Points) {
		return
	}
	type point struct {
		index int
		c     *pointConfig
	}
	var computed []point
	for i := own; i < len(model.Points); i++ {
		computed = append(computed, point{i, findPoint(d.shape.config, model.Points[i].Name)})
	}
	slices.SortStableFunc(computed, func(a, b point) int { return cmp.Compare(a.c.rank, b.c.rank) })
	faults, some, cloned := make([]string, len(computed)), false, false
	for _, p := range computed {
		unit, why := r.unitNow(p.c.value, model)
		if why == "" {
			was, now := &model.Points[p.index], model.Points[p.index]
			if err := now.measuredIn(unit, p.c.has&hasUnit != 0); err != nil {
				why = err.Error()
			} else if now.Unit != was.Unit || now.Scale != was.Scale || now.Offset != was.Offset {
				if !cloned { // the shape's are of other devices, too
					model.Points, cloned = slices.Clone(model.Points), true
				}
				model.Points[p.index] = now
			}
		}
		faults[p.index-own], some = why, some || why != ""
	}
	if some {
		model.faults = &faults
	}
}

// fault says why a computed point cannot be computed whatever is read; empty where it can.
func (d *device) fault(index int) string {
	if d.model.faults == nil {
		return ""
	}
	return (*d.model.faults)[index-d.shape.own]
}

// measuredIn has a computed point be made of something in a unit. A point that has its own unit by its table keeps it.
func (p *Point) measuredIn(unit string, own bool) error {
	if p.Kind != devices.KindNumber || unit == "" {
		return nil
	}
	if !own && unitFits(p.Class, unit) {
		p.Unit = unit
	}
	from, to := units[unit], units[p.Unit]
	switch {
	case unit == p.Unit:
		p.Scale, p.Offset = 1, 0
	case from.of != "" && from.of == to.of:
		p.Scale, p.Offset, _ = conversion(unit, p.Unit)
		if p.Class == "temperature_delta" {
			p.Offset = 0
		}
	case !own:
		return fmt.Errorf("the value is in %s, which contradicts class = %q, which has %s", unit, p.Class, unitsInWords(p.Class))
	case from.of != "" && to.of != "":
		return errors.New("unit = " + quoted(p.Unit) + " contradicts the value, which is in " + unit)
	}
	return nil
}

// reconsider brings in line with a device what others make of it, when it has another model or is gone.
func (r *Rules) reconsider(id devices.ID) {
	var others []*device
	known := map[*device]bool{}
	note := func(d *device) {
		if !known[d] {
			known[d] = true
			others = append(others, d)
		}
	}
	for _, c := range r.dependents[id] {
		note(c.device)
	}
	for _, i := range r.watchers[id] {
		note(i.device)
	}
	for _, d := range others {
		r.rebind(d)
	}
}

// rebind gives a device the units and the notes that follow from what others now are.
func (r *Rules) rebind(d *device) {
	before, own := d.model, d.shape.own
	if r.devices[before.ID] != d {
		return
	}
	model := *before
	d.model = &model
	r.bind(d)
	bound := !reflect.DeepEqual(model.faults, before.faults) || !reflect.DeepEqual(model.Points[own:], before.Points[own:])
	if noted := r.renote(d); bound || noted {
		r.out = append(r.out, Appeared{Device: &model})
	} else {
		d.model = before
	}
	if bound || slices.ContainsFunc(d.alerts, func(i *instance) bool { return i.unfit != (r.unitMisfit(i.alert, d) != "") }) {
		r.watch(d)
		d.evaluate = true
		r.touch(d)
	}
	if !bound {
		return
	}
	for _, c := range r.derived[d].computed {
		c.done = false
	}
	if d.dirty = true; d.shown != nil {
		d.shown = nothingShown(len(d.shown))
	}
	r.reconsider(before.ID)
}
