package mapping

import (
	"slices"
	"strings"
	"time"

	"tidings/devices"
)

// An instance is one alert on one device.
//
//	idle ── when holds ──▶ pending ── has held for `for` ──▶ active
//	  ▲                      │                                 │
//	  └──── does not ────────┴──── until (or not when) ────────┘
//
// Values that are not known, and all values of a device that cannot be reached, leave it as it is: an alert neither
// begins nor ends by something not known. A pending one whose time is up then waits for the next known value.
type instance struct {
	alert  *AlertConfig
	device *device
	since  time.Duration // when `when` began to hold; since Rules.zero
	state  instanceState
	life   *life // what became of it since it was active; nil where it never was, or long ago
	unfit  bool  // units in its conditions contradict each other: it cannot be looked at
}

type instanceState uint8

const (
	idle instanceState = iota
	pending
	active
)

// instanceKey names an instance.
type instanceKey struct {
	alert  string
	device devices.ID
}

// String is Alert.Key.
func (k instanceKey) String() string { return k.alert + "/" + string(k.device) }

// watch makes the instances of d: of every alert for it whose points it has. Those it has already stay as they are.
func (r *Rules) watch(d *device) {
	old := d.alerts
	r.unwatchForeign(d)
	defer r.letGoAll(conditions(old), d.model.ID) // at last: what goes on is retained before
	d.alerts = nil
	if d.model.Disabled {
		r.endAll(d, old)
		return
	}
	for _, a := range r.cfg.Alerts {
		if !Match(a.Device, string(d.model.ID)) || !a.runsOn(d.model) {
			continue
		}
		i := &instance{alert: a, device: d}
		if n := slices.IndexFunc(old, func(o *instance) bool { return o.alert.Name == a.Name }); n >= 0 {
			i = old[n]
			i.alert = a
			old = slices.Delete(old, n, n+1)
		} else {
			r.restore(i)
		}
		if i.unfit = r.unitMisfit(a, d) != ""; i.unfit {
			r.end(i, "is not watched any more")
		}
		d.alerts = append(d.alerts, i)
		r.retain(a.when, d.model.ID)
		r.retain(a.until, d.model.ID)
		for _, id := range a.foreign() {
			r.watchers[id] = append(r.watchers[id], i)
		}
	}
	for _, i := range old {
		r.end(i, "is not watched any more")
	}
	d.critical = 0
	for _, i := range d.alerts {
		if i.state == active && i.alert.Level == Critical {
			d.critical++
		}
	}
}

// conditions are the expressions of alerts that look at a point over time.
func conditions(alerts []*instance) []*expression {
	var out []*expression
	for _, i := range alerts {
		for _, e := range i.alert.conditions() {
			if e.folds() {
				out = append(out, e)
			}
		}
	}
	return out
}

// folds reports whether e looks at a point over time.
func (e *expression) folds() bool {
	return slices.ContainsFunc(e.refs, func(r ref) bool { return r.fold != present })
}

// endAll takes back the alerts of a device that is disabled, those of an earlier life too.
func (r *Rules) endAll(d *device, old []*instance) {
	for _, a := range r.cfg.Alerts {
		if _, ok := r.restored[instanceKey{a.Name, d.model.ID}]; ok && Match(a.Device, string(d.model.ID)) {
			i := &instance{alert: a, device: d}
			r.restore(i)
			old = append(old, i)
		}
	}
	for _, i := range old {
		r.end(i, "was disabled")
	}
	d.critical = 0
}

// unwatch ends the instances of a device that is gone.
func (r *Rules) unwatch(d *device) {
	r.unwatchForeign(d)
	r.letGoAll(conditions(d.alerts), d.model.ID)
	for _, i := range d.alerts {
		r.end(i, "was removed")
	}
	d.alerts = nil
}

// end takes back an alert that nothing watches any more: at once, whatever the hour, for there is no later.
func (r *Rules) end(i *instance, how string) {
	if l := i.life; l != nil {
		if i.state == active {
			l.ended = r.now
		}
		r.emit(i, Over, l.told, i.device.model.Name+" "+how+r.over(i))
		r.alertsChanged()
	}
	i.state, i.life = idle, nil
}

func (r *Rules) unwatchForeign(d *device) {
	for _, i := range d.alerts {
		for _, id := range i.alert.foreign() {
			rest := slices.DeleteFunc(r.watchers[id], func(o *instance) bool { return o.device == d })
			if len(rest) == 0 {
				delete(r.watchers, id)
			} else {
				r.watchers[id] = rest
			}
		}
	}
}

// conditions are when, and until where there is one.
func (a *AlertConfig) conditions() []*expression {
	if a.until == nil {
		return []*expression{a.when}
	}
	return []*expression{a.when, a.until}
}

// foreign are the other devices an alert looks at.
func (a *AlertConfig) foreign() []devices.ID {
	var out []devices.ID
	for _, e := range a.conditions() {
		for _, ref := range e.refs {
			if ref.device != "" && !slices.Contains(out, ref.device) {
				out = append(out, ref.device)
			}
		}
	}
	return out
}

// runsOn reports whether a device has the points of its own that an alert for it names.
func (a *AlertConfig) runsOn(d *Device) bool {
	return a.when.runsOn(d) && (a.until == nil || a.until.runsOn(d))
}

// runsOn reports whether a device has the points of its own that e names.
func (e *expression) runsOn(d *Device) bool {
	for _, ref := range e.refs {
		if ref.device == "" && !ref.state && d.index(ref.point) < 0 {
			return false
		}
	}
	return true
}

// updateAlerts moves the alerts of a device on.
func (r *Rules) updateAlerts(d *device) {
	if d.model.Disabled {
		return
	}
	for _, i := range d.alerts {
		if d.evaluate || i.isDue(r.now) {
			r.updateAlert(i)
		}
	}
	d.evaluate = false
}

// isDue reports whether an alert is to be looked at although nothing has happened.
func (i *instance) isDue(now time.Duration) bool {
	return i.state == pending && i.since+i.alert.For <= now || i.life != nil && i.life.waits && i.life.due <= now
}

func (r *Rules) updateAlert(i *instance) {
	switch {
	case i.unfit:
		return
	case i.state != active:
		r.updateIdle(i)
	case i.life.damped:
		r.updateDamped(i)
	default:
		if over, known := r.isOver(i); known && over {
			r.clear(i, r.now)
		}
	}
	r.attend(i)
}

func (r *Rules) updateIdle(i *instance) {
	holds, known := r.holds(i.alert.when, i.device)
	switch {
	case !known:
		return
	case !holds:
		i.state = idle
		return
	case i.state == idle:
		i.state, i.since = pending, r.now
	}
	if r.now-i.since >= i.alert.For {
		r.fire(i)
	}
}

// isOver reports whether what is active is over, if that is known.
func (r *Rules) isOver(i *instance) (over, known bool) {
	if i.alert.until != nil {
		return r.holds(i.alert.until, i.device)
	}
	holds, known := r.holds(i.alert.when, i.device)
	return !holds, known
}

// holds evaluates a condition. It reports false when a value in it is not known.
func (r *Rules) holds(e *expression, d *device) (holds, known bool) {
	r.values = r.values[:0]
	for k := range e.refs {
		v, ok := r.value(&e.refs[k], d)
		if !ok {
			return false, false
		}
		r.values = append(r.values, v)
	}
	return r.programs.holds(e, r.values)
}

// value is what a reference stands for, if that is known.
func (r *Rules) value(ref *ref, d *device) (devices.Value, bool) {
	if ref.fold != present {
		return r.foldedValue(ref, d.model.ID)
	}
	if ref.device != "" {
		if d = r.devices[ref.device]; d == nil || d.model.Disabled {
			return devices.Value{}, false
		}
	}
	if ref.state && (ref.device == "" || d.model.index(ref.point) < 0) {
		// The damped state: an alert is not for what presence does not show.
		return devices.Bool((d.state == announcedOnline) == (ref.point == "online")), d.state == announcedOnline || d.state == announcedOffline && !d.early
	}
	if !d.online {
		return devices.Value{}, false
	}
	state, ok := r.reg.Point(d.model.ID, ref.point)
	if i := d.model.index(ref.point); i >= 0 && d.model.Points[i].Kind == devices.KindEvent {
		if slices.Contains(r.events, event{d.model.ID, ref.point}) {
			return state.Value, !state.Value.IsZero()
		}
		return devices.Text(""), true
	}
	return state.Value, ok && state.Quality == devices.Good && !state.Value.IsZero()
}

// message is what is said of an alert that is active.
func (r *Rules) message(i *instance) string {
	if t := i.alert.text; t != nil {
		return t.fill(func(name string) string { return r.field(i.device, name) })
	}
	return r.describe(i) + " (" + i.alert.Name + ")"
}

// over is how a recovery ends: " (too-hot over, lasted 4 min)".
func (r *Rules) over(i *instance) string {
	text := " (" + i.alert.Name + " over"
	if lasted := i.life.ended - i.since; lasted >= time.Second {
		text += ", lasted " + Duration(lasted)
	}
	return text + ")"
}

// field is what {{.name}} stands for.
func (r *Rules) field(d *device, name string) string {
	if p := d.model.Point(name); p != nil {
		state, _ := r.reg.Point(d.model.ID, name)
		return p.FormatState(state)
	}
	switch name {
	case "device":
		return d.model.Name
	case "location":
		return d.model.Location
	}
	return ""
}

// describe says what is behind a change of an alert that is now active or over: "Greenhouse: temperature is 36.2 °C",
// "Lamp is offline: silent for 5 min", "Greenhouse: temperature is 32.8 °C, fine again".
func (r *Rules) describe(i *instance) string {
	d := i.device
	var parts []string
	state := false
	for _, ref := range i.alert.when.refs {
		of := d
		if ref.device != "" {
			of = r.devices[ref.device]
		}
		if of == nil {
			continue
		}
		p := of.model.Point(ref.point)
		switch {
		case ref.state && of == d:
			state = true
		case ref.state && p == nil:
			parts = append(parts, of.model.Name+" is "+of.stateWord())
		case p != nil:
			s, _ := r.reg.Point(of.model.ID, p.Name)
			phrase := p.phrase(s)
			if ref.fold != present {
				v, known := r.foldedValue(&ref, d.model.ID)
				phrase = ref.phrase(p, v, known)
			}
			if of != d {
				phrase = of.model.Name + " " + strings.TrimPrefix(phrase, "it ")
			}
			parts = append(parts, phrase)
		}
	}
	text := d.model.Name
	if state {
		text += " is " + d.stateWord()
		if i.state == idle && d.online {
			text = d.model.Name + " is back online"
		} else if _, why := r.reachable(d); d.state == announcedOffline && why != whyNot {
			text += ": " + r.offlineWords(d, why)
		}
		if len(parts) > 0 {
			text += "; "
		}
	} else if len(parts) > 0 {
		text += ": "
	}
	text += strings.Join(parts, ", ")
	if i.state == idle && !state {
		text += ", fine again"
	}
	return cutLine(text, maxMessage)
}

// stateWord is the announced state.
func (d *device) stateWord() string {
	if d.state == announcedOnline {
		return "online"
	}
	return "offline"
}

// phrase says what a point reads inside a sentence: "temperature is 36.2 °C", "it is open", "motion".
func (p *Point) phrase(s devices.PointState) string {
	words := wordsOf(p.Class)
	switch {
	case s.Quality != devices.Good || s.At.IsZero() || p.Kind != devices.KindSwitch || words == plainWords:
	case p.itself():
		return "it is " + p.FormatState(s)
	case words.turnOn == "":
		return p.FormatState(s)
	}
	return p.name() + " is " + p.FormatState(s)
}
