package mapping

import (
	"cmp"
	"slices"
	"time"

	"tidings/devices"
)

// An alert that comes and goes is said as often as this within this time, the last time with the words that it keeps
// changing. From then on it counts as active, and nothing is said of its coming and going, until it has been one of the
// two for longer. What comes once a minute is said each time.
const (
	flapCount  = 4
	flapWindow = 2 * time.Minute
	flapSteady = 5 * time.Minute
)

// returnedAgain is when a message that came back is sent again, while its alert is active and nobody has acknowledged it: a
// server may have been away.
const returnedAgain = 10 * time.Minute

// recheck is how often what is held back is looked at: the clock of a board may be set meanwhile.
const recheck = time.Minute

// A life is what became of an alert since it last became active: who was told, and what they said to it. What people
// know is what counts: whoever was told that it is active is told once that it is over, and whoever may not be told
// now, in quiet hours or because they silenced it, is told afterwards what is then still so.
type life struct {
	text  string // as it was said first; of one that is over, how that is said
	told  []string
	by    string   // who has acknowledged it
	fails []string // of told: whom the message did not reach
	again []string // of fails: who is told again, because theirs came back
	retry time.Duration
	said  bool // somebody was told

	id           time.Time // when it began, by the clock of that moment: tells it from others of the same alert
	began, ended time.Duration
	repeat       time.Duration // when it is said again
	escalate     time.Duration // when others are told
	escalated    bool

	begins []time.Duration // lately
	damped bool
	gone   bool          // of a damped one: its condition does not hold at the moment
	steady time.Duration // since when that has been so

	due   time.Duration // when it wants to be looked at, if it waits
	waits bool
}

// wake has the alert looked at, at the latest at a time.
func (l *life) wake(at time.Duration) {
	if !l.waits || at < l.due {
		l.due, l.waits = at, true
	}
}

// fire makes an alert active.
func (r *Rules) fire(i *instance) {
	i.state = active
	if i.alert.Level == Critical {
		i.device.critical++
	}
	l := i.life
	if l == nil {
		l = &life{}
		i.life = l
	}
	// Who was told of the one before and not yet of its end knows it as active: nothing is new to them.
	begins := slices.DeleteFunc(l.begins, func(t time.Duration) bool { return r.now-t >= flapWindow })
	*l = life{told: l.told, said: len(l.told) > 0, id: r.at(r.now).Round(0).Truncate(time.Millisecond), began: r.now, begins: append(begins, r.now), repeat: r.now + i.alert.Repeat, text: r.message(i)}
	if i.alert.Escalate != nil {
		l.escalate = r.now + i.alert.Escalate.After
	}
	if len(l.begins) >= flapCount {
		l.damped, l.steady = true, r.now
		l.text = cutLine(l.text, maxMessage) + " – it keeps changing: you hear of it again when it has been the same for " + Duration(flapSteady)
	}
	r.alertsChanged()
}

// updateDamped waits until what keeps changing stays as it is.
func (r *Rules) updateDamped(i *instance) {
	l := i.life
	gone, known := r.isOver(i)
	if l.gone && known { // it begins again by `when`, as any other
		gone, known = r.holds(i.alert.when, i.device)
		gone = !gone
	}
	if !known {
		return
	}
	if gone != l.gone {
		l.gone, l.steady = gone, r.now
	}
	switch {
	case r.now-l.steady < flapSteady:
	case gone:
		r.clear(i, l.steady)
	default:
		l.damped, l.begins = false, nil
	}
}

// clear ends an alert.
func (r *Rules) clear(i *instance, at time.Duration) {
	i.state = idle
	if i.alert.Level == Critical {
		i.device.critical--
	}
	l := i.life
	l.ended = at
	if l.damped {
		l.damped, l.begins = false, nil
	}
	l.text = r.describe(i) + r.over(i)
	r.alertsChanged()
}

// attend says what is to be said of an alert now, and notes when to look again.
func (r *Rules) attend(i *instance) {
	l := i.life
	if l == nil {
		return
	}
	l.waits = false
	if i.state == active {
		r.attendActive(i)
		return
	}
	if r.momentary(i) {
		l.told = nil // what happened is over with the telling
	}
	if len(l.told) > 0 {
		to, later := r.free(i, l.told)
		l.told = later
		r.emit(i, Over, to, l.text)
		if len(to) > 0 {
			r.alertsChanged()
		}
	}
	if n := len(l.begins); n > 0 && r.now-l.begins[n-1] < flapWindow {
		l.wake(l.begins[n-1] + flapWindow)
	} else if len(l.told) == 0 {
		i.life = nil
	}
}

// momentary reports whether an alert is about an event.
func (r *Rules) momentary(i *instance) bool {
	return slices.ContainsFunc(i.alert.when.refs, func(ref ref) bool {
		of := i.device
		if ref.device != "" {
			of = r.devices[ref.device]
		}
		if of == nil {
			return false
		}
		p := of.model.Point(ref.point)
		return p != nil && p.Kind == devices.KindEvent
	})
}

func (r *Rules) attendActive(i *instance) {
	l, a := i.life, i.alert
	if l.damped {
		l.wake(l.steady + flapSteady)
	}
	r.repeat(i)
	l.retell(r.now)
	if to, _ := r.free(i, l.untold(a.To)); len(to) > 0 {
		text := l.text
		if r.now > l.began {
			text = r.words(i) + r.sinceThen(i)
		}
		first := !l.said
		r.tell(i, Begun, to, text)
		if first {
			l.repeat = r.now + a.Repeat
			if a.Escalate != nil {
				l.escalate = r.now + a.Escalate.After
			}
		}
	}
	if a.Repeat > 0 && l.by == "" && len(l.told) > 0 {
		l.wake(l.repeat)
	}
	r.escalate(i)
}

// retell counts those as not told whose message came back, once some time has passed.
func (l *life) retell(now time.Duration) {
	switch {
	case len(l.again) == 0 || l.by != "":
		return
	case l.retry > now:
		l.wake(l.retry)
		return
	}
	returned := func(who string) bool { return slices.Contains(l.again, who) }
	l.told, l.fails = slices.DeleteFunc(l.told, returned), slices.DeleteFunc(l.fails, returned)
	l.again = nil
}

// repeat says an alert again that nobody has acknowledged.
func (r *Rules) repeat(i *instance) {
	l, a := i.life, i.alert
	if a.Repeat <= 0 || l.by != "" || len(l.told) == 0 || l.repeat > r.now {
		return
	}
	if until, quiet := r.quiet(i); quiet {
		l.repeat = min(until, r.now+recheck) // at its end
		return
	}
	to, _ := r.free(i, l.told)
	r.emit(i, Repeated, to, r.words(i)+" (still so after "+Duration(r.now-l.began)+")")
	l.repeat = r.now + a.Repeat
	r.alertsChanged()
}

// escalate tells others of an alert that nobody has acknowledged in time, or that reached nobody.
func (r *Rules) escalate(i *instance) {
	l, a := i.life, i.alert
	if a.Escalate == nil || l.by != "" {
		return
	}
	lost := l.said && !slices.ContainsFunc(l.told, func(who string) bool { return !slices.Contains(l.fails, who) })
	if !l.escalated {
		if until, quiet := r.quiet(i); quiet {
			l.wake(min(until, r.now+recheck))
			return
		}
		if l.escalate > r.now && !lost {
			l.wake(l.escalate)
			return
		}
		l.escalated = true
		r.alertsChanged()
	}
	why := "nobody has acknowledged it for " + Duration(r.now-l.began)
	if lost {
		why = "it reached nobody else"
	}
	if to, _ := r.free(i, l.untold(a.Escalate.To)); len(to) > 0 {
		r.tell(i, Escalated, to, r.words(i)+" ("+why+")")
	}
}

// words are what is said of an active alert later: what is so now, or, where that is not known, what was said first.
func (r *Rules) words(i *instance) string {
	if _, known := r.holds(i.alert.when, i.device); known || i.life.text == "" {
		return r.message(i)
	}
	return i.life.text
}

// sinceThen says what somebody has missed who was not to be told earlier.
func (r *Rules) sinceThen(i *instance) string {
	text := " (for " + Duration(r.now-i.life.began)
	if i.life.by != "" {
		text += ", acknowledged by " + i.life.by
	}
	return text + ")"
}

// untold are those of a list who do not know of the alert.
func (l *life) untold(list []string) []string {
	var out []string
	for _, who := range list {
		if !slices.Contains(l.told, who) {
			out = append(out, who)
		}
	}
	return out
}

// free divides people into those who may be told now and those who may be later. Who has no access to the device is in
// neither.
func (r *Rules) free(i *instance, list []string) (now, later []string) {
	for _, who := range list {
		if r.o.CanSee != nil && !r.o.CanSee(who, i.device.model.ID) {
			continue
		}
		if until, held := r.held(i, who); held {
			i.life.wake(min(until, r.now+recheck))
			later = append(later, who)
			continue
		}
		now = append(now, who)
	}
	return now, later
}

// tell says for the first time that an alert is active.
func (r *Rules) tell(i *instance, o Occasion, to []string, text string) {
	r.emit(i, o, to, text)
	i.life.told, i.life.said = append(i.life.told, to...), true
	r.alertsChanged()
}

// emit appends an alert's message, if there is somebody it is for who may see the device.
func (r *Rules) emit(i *instance, o Occasion, to []string, text string) {
	id := i.device.model.ID
	if r.o.CanSee != nil {
		to = slices.DeleteFunc(slices.Clone(to), func(who string) bool { return !r.o.CanSee(who, id) })
	}
	if len(to) == 0 {
		return
	}
	a := r.alert(i)
	a.To, a.Text, a.Occasion, a.At = to, cutLine(text, maxMessage+200), o, r.at(r.now)
	r.out = append(r.out, a)
}

// alert is an alert that is active or just was.
func (r *Rules) alert(i *instance) Alert {
	id, l := i.device.model.ID, i.life
	return Alert{
		Key: instanceKey{i.alert.Name, id}.String(), Name: i.alert.Name, Device: id, Level: i.alert.Level, To: i.alert.To,
		Text: l.text, By: l.by, Began: l.id, Offer: i.alert.Offer, Chart: i.alert.Chart, At: r.at(l.began),
	}
}

// alertsChanged has Active made anew.
func (r *Rules) alertsChanged() {
	r.active = nil
	r.alertChanges++
}

// AlertChanges counts the changes of what is active, of who knows of it, and of silences: while it stays the same, so do
// Active and Silences, and there is nothing of alerts to be stored anew.
func (r *Rules) AlertChanges() uint64 { return r.alertChanges }

// Active are the alerts that are active, oldest first, as of the last Step: also those that nobody was told of, and
// those of an earlier life whose devices have not been announced yet. The slice is shared and never changed.
func (r *Rules) Active() []Alert {
	if r.active != nil {
		return r.active
	}
	r.active = []Alert{}
	for _, d := range r.devices {
		for _, i := range d.alerts {
			if i.state == active {
				r.active = append(r.active, r.alert(i))
			}
		}
	}
	for key, s := range r.restored {
		if a := r.cfg.alert(key.alert); a != nil && s.Active {
			r.active = append(r.active, Alert{Key: key.String(), Name: key.alert, Device: key.device, Level: a.Level, To: a.To,
				Text: s.Text, By: s.By, Began: s.began(), Offer: a.Offer, Chart: a.Chart, At: s.began()})
		}
	}
	slices.SortFunc(r.active, func(a, b Alert) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return cmp.Compare(a.Key, b.Key)
	})
	return r.active
}

// alert finds an alert by its name.
func (c *Config) alert(name string) *AlertConfig {
	for _, a := range c.Alerts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// find returns the instances an address of alerts is for.
func (r *Rules) find(ref AlertRef) []*instance {
	var out []*instance
	in := func(d *device) {
		for _, i := range d.alerts {
			if ref.Alert == "" || ref.Alert == i.alert.Name {
				out = append(out, i)
			}
		}
	}
	if ref.Device != "" {
		if d := r.devices[ref.Device]; d != nil {
			in(d)
		}
		return out
	}
	for _, d := range r.devices {
		in(d)
	}
	slices.SortFunc(out, func(a, b *instance) int { return cmp.Compare(a.device.model.ID, b.device.model.ID) })
	return out
}
