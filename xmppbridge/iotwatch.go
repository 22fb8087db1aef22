package xmppbridge

import (
	"errors"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// The bounds of event subscriptions. A watch is one subscription's part of one device, about 400 bytes.
const (
	maxWatchesPerJID = 12000
	maxWatches       = 20000
	// leastEventTime is between two events of one device where a subscription asks for less, or does not say.
	leastEventTime = 100 * time.Millisecond
	// leastHeartbeat is the same for events that only say that nothing has changed.
	leastHeartbeat = time.Second
	// eventRetry is when an event that the server did not take is sent again, with the values of then.
	eventRetry = time.Second
)

// A watch is one device of one subscription. Its times count for that device alone.
type watch struct {
	key     programKey
	asker   asker
	from    string // our address, as it was asked
	dialect *iot.Dialect
	device  devices.ID
	named   bool
	want    iot.Category
	fields  map[string]bool // what an event says; nil: all
	min     time.Duration
	max     time.Duration // 0: nothing is said while nothing changes

	// What follows is guarded by events.mu.
	trips map[string]*trip // by field; a watch of all fields makes them as they come
	alarm alarm
	last  time.Time // of the last event
	due   bool      // something happened since
	heard bool      // a reading did: whatever else, the device was there
	ended bool
}

// A trip is what one field of a watch waits for.
type trip struct {
	cond iot.Condition
	base devices.Value // from which change is measured; zero: any value is one
}

// met reports whether a value is an event.
func (t *trip) met(v devices.Value) bool {
	if t.base.IsZero() {
		return true
	}
	from, okFrom := measure(t.base)
	to, okTo := measure(v)
	if !okFrom || !okTo {
		return t.base != v
	}
	return t.cond.Met(from, to)
}

// measure is a value as a number, a boolean as 0 or 1: programs give thresholds for both.
func measure(v devices.Value) (float64, bool) {
	if on, ok := v.Bool(); ok {
		if on {
			return 1, true
		}
		return 0, true
	}
	return v.Number()
}

// answerSubscribe answers subscribe. The first events come behind the answer.
func answerSubscribe(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		s, err := d.ReadSubscription(r.query)
		var list []*mapping.Device
		named := false
		if err == nil {
			list, named, err = b.nodes(r.asker, r.target, s.Nodes)
		}
		var fields map[string]bool
		for _, c := range s.Conditions {
			if fields == nil {
				fields = map[string]bool{}
			}
			if fields[c.Field] = true; err == nil && !hasField(list, c.Field) {
				err = stream.NewStanzaError(stream.ItemNotFound, "there is no field "+c.Field)
			}
		}
		var watches []*watch
		for _, device := range list {
			w := &watch{key: programKey{r.full, s.ID}, asker: r.asker, from: r.to, dialect: d, device: device.ID, named: named,
				want: s.Categories &^ iot.Historical, fields: fields, min: max(s.Min, leastEventTime), trips: map[string]*trip{}}
			if s.Max > 0 {
				w.max = max(s.Max, leastHeartbeat, w.min)
			}
			if err == nil {
				err = b.arm(w, device, s.Conditions)
			}
			watches = append(watches, w)
		}
		key := programKey{r.full, s.ID}
		if err == nil && !b.events.room(key, len(watches)) {
			err = stream.NewStanzaError(stream.ResourceConstraint, "too many subscriptions: end some")
		}
		if err != nil {
			return nil, b.refuseData(d, r, s.ID, err)
		}
		b.send(stream.Result(r.iq, d.Accepted(s.ID, false)))
		b.events.subscribe(key, watches, s.Now)
		return nil, errLater
	}
}

// answerUnsubscribe answers unsubscribe.
func answerUnsubscribe(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		id, err := d.ReadID(r.query)
		if err == nil && !b.events.end(programKey{r.full, id}) {
			err = stream.NewStanzaError(stream.ItemNotFound, "there is no subscription with this id")
		}
		if err != nil {
			return nil, b.refuseData(d, r, id, err)
		}
		return nil, nil
	}
}

// arm sets what each field of a watch waits for, from the values that the subscriber knows or from those of now.
func (b *Bridge) arm(w *watch, d *mapping.Device, conditions []iot.Condition) error {
	_, state, err := b.device(d.ID)
	if err != nil {
		return err
	}
	if len(conditions) == 0 { // every field there is: later ones are new, and so an event
		for i := range d.Points {
			conditions = append(conditions, iot.Condition{Field: d.Points[i].Name})
		}
		conditions = append(conditions, iot.Condition{Field: onlineField})
	}
	for _, c := range conditions {
		p := d.Point(c.Field)
		t := &trip{cond: c}
		switch {
		case p == nil && c.Field != onlineField || p != nil && !p.Measured():
			continue // never changes, or this device of several does not have it
		case p == nil:
			online, _ := b.o.House.Online(d.ID)
			t.base = devices.Bool(online)
		default:
			if s, ok := state.Point(p.Name); ok && s.Quality == devices.Good && !s.At.IsZero() {
				t.base = s.Value
			}
		}
		if c.Known != "" {
			kind := devices.KindSwitch
			if p != nil {
				kind = p.Kind
			}
			if t.base, err = devices.ParseValue(kind, c.Known); err != nil {
				return &iot.SyntaxError{Text: c.Field + ": " + err.Error()}
			}
		}
		w.trips[c.Field] = t
	}
	return nil
}

// value is what a field of a device has now, and the category it is in.
func (b *Bridge) value(id devices.ID, d *mapping.Device, state devices.State, field string) (devices.Value, iot.Category) {
	if p := d.Point(field); p != nil {
		if s, ok := state.Point(field); ok && s.Quality == devices.Good && !s.At.IsZero() {
			return s.Value, iot.Momentary
		}
		return devices.Value{}, iot.Momentary
	}
	if field != onlineField { // a point that a reload has taken out
		return devices.Value{}, iot.Momentary
	}
	online, _ := b.o.House.Online(id)
	return devices.Bool(online), iot.Status
}

// tell sends the event of a watch whose time has come. It is called without the lock.
func (e *events) tell(w *watch) {
	b := e.b
	now := time.Now()
	e.mu.Lock()
	if w.ended {
		e.mu.Unlock()
		return
	}
	heard := w.heard
	e.mu.Unlock()
	d, state, there := b.o.House.Device(w.device)
	if !there || !b.sees(w.asker, w.device) {
		e.endIf(func(other *watch) bool { return other == w })
		return
	}
	online, _ := b.o.House.Online(w.device)
	fields := b.fields(w.asker, d, state, w.want, w.fields, online || heard)
	something := len(fields) > 0 // not when it is away, and only what it measures is wanted
	var err error
	for len(fields) > 0 && err == nil {
		part := fields[:min(len(fields), maxEventFields)]
		fields = fields[len(part):]
		err = b.send(iotMessage(w.from, w.key.full,
			w.dialect.Values(w.key.id, []iot.Block{{Device: b.node(w.dialect, w.device, w.named), Fields: part}}, len(fields) > 0)))
	}
	switch {
	case errors.Is(err, ErrAway):
		b.gone(w.key.full)
		return
	case err != nil:
		e.set(&w.alarm, now.Add(eventRetry))
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.ended {
		return
	}
	w.due, w.heard = false, false
	if something {
		w.last = now
	}
	for field, t := range w.trips {
		v, _ := b.value(w.device, d, state, field)
		if !v.IsZero() {
			t.base = v
		}
	}
	if w.max > 0 {
		e.setLocked(&w.alarm, now.Add(w.max))
	}
}

// maxEventFields is how many fields one event's stanza says; more are sent in several.
const maxEventFields = 200

// trip looks whether the value of a field is an event for a watch, and has it told. e.mu is held.
func (e *events) trip(w *watch, field string, v devices.Value, of iot.Category, now time.Time) {
	t := w.trips[field]
	switch {
	case w.due || w.want&of == 0 || v.IsZero():
		return
	case t == nil && w.fields != nil:
		return
	case t == nil:
		w.trips[field] = &trip{cond: iot.Condition{Field: field}}
	case !t.met(v):
		return
	}
	w.due, w.heard = true, of == iot.Momentary
	at := now
	if next := w.last.Add(w.min); !w.last.IsZero() && next.After(now) {
		at = next
	}
	e.setLocked(&w.alarm, at)
}

// endProgram ends what belonged to a full JID: its subscriptions and its readouts.
func (b *Bridge) endProgram(full string) {
	b.events.endAll(full)
	for _, o := range b.readouts.endAll(full) {
		b.events.drop(&o.alarm)
	}
}
