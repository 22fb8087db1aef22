package mapping

import (
	"slices"

	"tidings/devices"
)

// What a condition names of a device that announces itself is known only once it has done so. Where it has not what an alert that is
// for this device alone asks for, the alert can never begin: the device's notes say so, for as long as that is the case.

// renote brings the notes of a device in line with its alerts, and reports whether they were others. The device's model has to be
// one that nobody was shown yet.
func (r *Rules) renote(d *device) bool {
	model := d.model
	before := model.Notes[model.said:]
	var notes []string
	if !model.Disabled {
		for _, a := range r.cfg.Alerts {
			one := a.Device == string(model.ID)
			why := ""
			switch {
			case one:
				why = r.misfit(a, d)
			case Match(a.Device, string(model.ID)) && a.runsOn(model):
				why = r.unitMisfit(a, d) // of several devices those are meant that have the points
			}
			if why != "" {
				notes = append(notes, cutLine("alert "+a.Name+": "+why, maxMessage))
			}
			if one || why != "" {
				r.tellMisfit(a, model.ID, why)
			}
		}
	}
	if slices.Equal(before, notes) {
		return false
	}
	model.Notes = slices.Concat(model.Notes[:model.said], notes)
	return true
}

// tellMisfit says once why an alert cannot begin; of one for several devices once in all.
func (r *Rules) tellMisfit(a *AlertConfig, id devices.ID, why string) {
	before, said := r.misfits[a.Name]
	switch {
	case why == "":
		delete(r.misfits, a.Name)
	case before == why, said && a.Device != string(id):
	default:
		r.misfits[a.Name] = why
		r.out = append(r.out, Misfit{Device: id, Alert: a.Name, Why: why})
	}
}

// misfit says why the condition of an alert can never hold on a device, or never be over, as the devices in it are now known to be. It
// is empty where it can, and where one of them is not there.
func (r *Rules) misfit(a *AlertConfig, d *device) string {
	for _, e := range a.conditions() {
		why := d.model.lacks(e)
		if why == "" {
			why = r.misuse(e, d)
		}
		if why == "" {
			if err := r.untrue(e, d); err != nil {
				why = err.Error()
			}
		}
		if why == "" {
			_, why = r.unitNow(e, d.model)
		}
		if why != "" && e == a.until {
			why = "until: " + why
		}
		if why != "" {
			return why
		}
	}
	return ""
}

// untrue says why an expression on the points that its devices have is no condition.
func (r *Rules) untrue(e *expression, d *device) error {
	key := []byte{byte(devices.BoolKind)}
	for i := range e.refs {
		ref := &e.refs[i]
		of := d
		if ref.device != "" {
			of = r.devices[ref.device]
		}
		kind := devices.BoolKind
		switch {
		case ref.fold != present:
			kind = devices.NumberKind
		case ref.state && ref.device == "":
		case of == nil || of.model.Disabled:
			return nil
		default:
			if p := of.model.Point(ref.point); p != nil {
				kind = valueKind(p.Kind)
			}
		}
		key = append(key, byte(kind))
	}
	return r.programs.of(e, key).err
}

// lacks says which point of its own that an expression names a device does not have. It is empty when it has all.
func (d *Device) lacks(e *expression) string {
	for i := range e.refs {
		if ref := &e.refs[i]; ref.device == "" && !ref.state && d.index(ref.point) < 0 {
			return d.hasNo(ref.point)
		}
	}
	return ""
}

// hasNo says that a device does not have a point, and which one is probably meant.
func (d *Device) hasNo(point string) string {
	names := []string{"offline", "online"}
	for i := range d.Points {
		names = append(names, d.Points[i].Name)
	}
	return d.Name + " has no point " + quoted(point) + didYouMean(point, names, "")
}
