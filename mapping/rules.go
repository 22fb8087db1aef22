package mapping

import (
	"reflect"
	"slices"
	"time"

	"tidings/devices"
)

// A Change is one thing that happened, as drivers and people tell it: one of its fields is set, or none when only time passed.
type Change struct {
	Announce *devices.Info     // a device exists, or is another one now
	Withdraw *Withdrawal       // a device does not exist any more
	Link     *Link             // a device can be reached, or not
	Readings []devices.Reading // raw, of any devices; the slice is not kept

	Acknowledge *Acknowledge // somebody has seen alerts
	Silence     *Silence     // somebody wants to hear nothing of alerts for a while
	Undelivered *Undelivered // a message did not reach whom it was for
}

// A Withdrawal is what Sink.Withdraw says.
type Withdrawal struct {
	ID  devices.ID
	Why devices.Why
}

// A Link is what Sink.Link says.
type Link struct {
	ID    devices.ID
	Up    bool
	Cause error
}

// RulesOptions is what Rules has to know of the rest of the gateway.
type RulesOptions struct {
	// PresenceInterval is the least time between two presences of a device that differ in values only. Default 10 s.
	PresenceInterval time.Duration
	// CanSee decides who of an alert's recipients is told of a device: Access.CanSee. Nil: all of them.
	CanSee func(bare string, id devices.ID) bool
	// Location is where quiet hours are. Nil: the system's time zone.
	Location *time.Location
}

func (o RulesOptions) withDefaults() RulesOptions {
	if o.PresenceInterval <= 0 {
		o.PresenceInterval = defaultInterval
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	return o
}

// defaultInterval is `presence_interval` where it is not given.
const defaultInterval = 10 * time.Second

// Rules turns changes into intents. It is the one writer of its registry, in which the values it puts are mapped.
//
// Rules belong to one goroutine. Time is what Step is told; durations are monotonic when that has Go's monotonic clock.
type Rules struct {
	cfg *Config
	reg *devices.Registry
	o   RulesOptions

	zero    time.Time     // the first time Step was told; device times count from here
	now     time.Duration // of the Step that runs, or the last one
	told    time.Time     // the same as it was told
	adopted bool          // what the registry held at the start has been taken over

	devices  map[devices.ID]*device
	due      dueHeap
	shapes   map[string][]*shape // by the driver's points
	programs programs
	watchers map[devices.ID][]*instance // alerts of other devices that name a point of this one
	restored map[instanceKey]AlertState // of devices not announced yet

	series     map[devices.ID][]*series      // of the points of a device
	dependents map[devices.ID][]*computation // of other devices that name a point of this one
	queued     [][]*computation              // to be done, by rank
	made       []devices.Reading             // see Made
	derived    map[*device]*derived          // of the devices with something computed or delayed
	counters   map[seriesKey]CounterState    // that nothing asks for at present
	windows    map[seriesKey]WindowState     // likewise

	misfits map[string]string // why an alert cannot begin, as it was last said

	silences []silence // those that are over, too, until another one comes
	active   []Alert   // see Active; nil when it has to be made

	alertChanges uint64 // see AlertChanges

	events   []event // of the Step that runs
	snapshot *State  // of the last Step, once it was asked for
	touched  []*device
	out      []Intent
	buf      []byte
	values   []devices.Value
}

// NewRules makes the rules for one configuration and one registry. What the registry holds already is taken over in the
// first Step, which reports it as appeared.
func NewRules(cfg *Config, reg *devices.Registry, o RulesOptions) *Rules {
	return &Rules{
		cfg: cfg, reg: reg, o: o.withDefaults(), devices: map[devices.ID]*device{}, shapes: map[string][]*shape{},
		watchers: map[devices.ID][]*instance{}, restored: map[instanceKey]AlertState{},
		series: map[devices.ID][]*series{}, dependents: map[devices.ID][]*computation{},
		derived: map[*device]*derived{}, counters: map[seriesKey]CounterState{}, windows: map[seriesKey]WindowState{},
		misfits: map[string]string{},
	}
}

// A device is what the rules know of one. Times count from Rules.zero.
type device struct {
	model *Device
	shape *shape
	cause string // why it cannot be reached

	appeared time.Duration
	heard    time.Duration // the last reading, if everHeard
	changed  time.Duration // when online last changed
	since    time.Duration // when the announced state began
	sent     time.Duration // the last presence
	showSent time.Duration // the last presence with another show
	due      time.Duration // when it wants to be looked at, if queued >= 0; never earlier than really needed

	status string    // as last announced
	shown  []float64 // by primary point: the number last shown, NaN for none; nil when no primary point has a deadband
	alerts []*instance

	queued    int32 // index in Rules.due, or -1
	critical  int16 // active critical alerts
	state     announced
	show      shows
	why       whyOffline // behind status
	up        bool
	everHeard bool
	everSent  bool
	wasOnline bool // in the last presence
	online    bool // now, undamped
	early     bool // it has not been silent for long enough to say that it is offline
	dirty     bool // status may have changed
	touched   bool // in Rules.touched
	evaluate  bool // values its alerts depend on have changed
}

// announced is what the world was last told of a device.
type announced uint8

const (
	notAnnounced announced = iota
	announcedOffline
	announcedOnline
)

// Step tells the rules what time it is and what happened, and returns what follows. The slice is valid until the next
// Step. Everything that was due at now has been dealt with when it returns.
func (r *Rules) Step(now time.Time, c Change) []Intent {
	r.begin(now)
	for len(r.due) > 0 && r.due[0].due <= r.now {
		r.touch(r.due[0])
		r.flush()
	}
	switch {
	case c.Announce != nil:
		r.announce(*c.Announce)
	case c.Withdraw != nil:
		r.withdraw(*c.Withdraw)
	case c.Link != nil:
		r.link(*c.Link)
	case c.Acknowledge != nil:
		r.acknowledge(c.Acknowledge)
	case c.Silence != nil:
		r.silence(c.Silence)
	case c.Undelivered != nil:
		r.undelivered(c.Undelivered)
	}
	for i := range c.Readings {
		r.read(&c.Readings[i])
	}
	r.flush()
	r.endEvents()
	return r.out
}

// endEvents has what happened in this Step be over: conditions see an event in the Step that tells it, and in no other.
func (r *Rules) endEvents() {
	if len(r.events) == 0 {
		return
	}
	for _, e := range r.events {
		if d := r.devices[e.device]; d != nil && (len(d.alerts) > 0 || r.derives(d)) {
			d.evaluate = true
			r.touch(d)
		}
		r.touchWatchers(e.device)
	}
	r.events = r.events[:0]
	r.flush()
}

// An event is one that was told in this Step.
type event struct {
	device devices.ID
	point  string
}

// flush settles the devices touched, and those that settling touches: the ones whose alerts look at them.
func (r *Rules) flush() {
	for i := 0; ; {
		if len(r.derived) > 0 || len(r.series) > 0 {
			r.derive(i)
		}
		if i == len(r.touched) {
			break
		}
		for n := len(r.touched); i < n; i++ {
			r.settle(r.touched[i])
		}
	}
	r.touched = r.touched[:0]
}

// begin starts a Step.
func (r *Rules) begin(now time.Time) {
	clear(r.out)
	r.out, r.made, r.snapshot = r.out[:0], r.made[:0], nil
	if r.zero.IsZero() {
		r.zero = now
	}
	// A clock that goes back must not undo what was decided.
	r.now, r.told = max(r.now, now.Sub(r.zero)), now
	if r.adopted {
		return
	}
	r.adopted = true
	for _, id := range r.reg.IDs() {
		state, _ := r.reg.State(id)
		r.announce(*state.Info)
		d := r.devices[id]
		d.up = state.Up
		d.cause = causeWords(state.Cause)
		if d.everHeard = !state.Heard.IsZero(); d.everHeard {
			d.heard = state.Heard.Sub(r.zero)
		}
	}
	r.flush()
}

// at is a time that others see. It counts from the last Step: a board that has no clock of its own is told what day it is when
// the gateway has long been running, and zero is of the day before.
func (r *Rules) at(t time.Duration) time.Time { return r.told.Add(t - r.now) }

// Next is when Step wants to be called although nothing happened; zero when only a change can bring anything.
func (r *Rules) Next() time.Time {
	if len(r.due) == 0 {
		return time.Time{}
	}
	return r.zero.Add(r.due[0].due)
}

// Device returns the present model of a device, or nil.
func (r *Rules) Device(id devices.ID) *Device {
	if d := r.devices[id]; d != nil {
		return d.model
	}
	return nil
}

// Online reports whether a device can be used as of the last Step, not damped by settle, and when not, why.
func (r *Rules) Online(id devices.ID) (online bool, why string) {
	d := r.devices[id]
	if d == nil {
		return false, "there is no such device"
	}
	if d.model.Disabled {
		return false, "disabled"
	}
	online, reason := r.reachable(d)
	if online {
		return true, ""
	}
	return false, r.offlineWords(d, reason)
}

// touch makes sure that d is settled before the Step ends.
func (r *Rules) touch(d *device) {
	if !d.touched {
		d.touched = true
		r.touched = append(r.touched, d)
	}
}

// settle brings everything about a device in line with what is known now.
func (r *Rules) settle(d *device) {
	d.touched = false
	if r.devices[d.model.ID] != d {
		return // withdrawn in this Step
	}
	r.updateOnline(d)
	r.updateAlerts(d)
	r.updatePresence(d)
	r.schedule(d)
}

// announce takes a device in, or what changed of it.
func (r *Rules) announce(info devices.Info) {
	d := r.devices[info.ID]
	cfg := r.cfg.Devices[info.ID]
	shape := r.share(info.Points, cfg)
	info.Points = shape.raw
	r.reg.Announce(info)
	model := r.cfg.model(&info, shape)
	if d == nil {
		d = &device{appeared: r.now, queued: -1}
		r.devices[info.ID] = d
	}
	r.replace(d, model, shape)
}

// replace gives d another model and says so when it differs.
func (r *Rules) replace(d *device, model *Device, s *shape) {
	s.users++
	if d.shape != nil {
		r.release(d.shape)
	}
	// Primary and Settle too: whoever shows a device wants the new model.
	before := d.model
	d.model, d.shape = model, s
	r.bind(d)
	r.renote(d)
	same := before != nil && reflect.DeepEqual(before, model)
	if before != nil && before.Disabled && !model.Disabled {
		// It begins anew: what it said before it was disabled says nothing about now.
		d.appeared, d.everHeard = r.now, false
	}
	if same {
		d.model = before
	} else {
		d.shown = nil
		if s.damped(model.Primary) {
			d.shown = nothingShown(len(model.Primary))
		}
		r.out = append(r.out, Appeared{Device: model})
	}
	r.watch(d)
	r.remake(d, before)
	if !same {
		r.reconsider(model.ID)
	}
	d.dirty, d.evaluate = true, true
	r.touch(d)
}

// withdraw takes a device out, or notes that it will be back.
func (r *Rules) withdraw(w Withdrawal) {
	d := r.devices[w.ID]
	if d == nil {
		return
	}
	if w.Why == devices.Restarting {
		r.link(Link{ID: w.ID, Cause: errRestarting})
		return
	}
	r.unwatch(d)
	r.underive(d, r.derived[d])
	delete(r.devices, w.ID)
	r.unqueue(d)
	r.release(d.shape)
	r.reg.Withdraw(w.ID)
	r.out = append(r.out, Gone{ID: w.ID})
	r.touchWatchers(w.ID)
	r.reconsider(w.ID)
	r.stir(d, -1) // what others make of it is not known any more
}

// link notes whether a device can be reached.
func (r *Rules) link(l Link) {
	d := r.devices[l.ID]
	if d == nil {
		return
	}
	r.reg.Link(l.ID, l.Up, l.Cause, r.at(r.now))
	cause := ""
	if !l.Up {
		cause = causeWords(l.Cause)
	}
	if d.up != l.Up || d.cause != cause {
		d.up, d.cause, d.dirty = l.Up, cause, true
		r.touch(d)
	}
}

// read takes a reading: gives it its meaning and notes what has to be looked at.
func (r *Rules) read(raw *devices.Reading) {
	d := r.devices[raw.Device]
	if d == nil {
		return
	}
	i := d.model.index(raw.Point)
	if i < 0 {
		return
	}
	reading := d.model.Points[i].FromRaw(*raw)
	if at := r.at(r.now); reading.At.IsZero() || reading.At.After(at) {
		reading.At = at
	}
	r.delay(d, i, &reading)
	before, _ := r.reg.Read(reading)
	if d.model.Points[i].Kind == devices.KindEvent && reading.Quality == devices.Good {
		r.events = append(r.events, event{raw.Device, raw.Point})
		before = devices.PointState{} // the same again is news, too
	}
	first := !d.everHeard
	// Heard is when we heard it, whatever clock the device has.
	d.everHeard, d.heard = true, r.now
	if !sameReading(before, reading) {
		r.changed(d, i, reading)
	} else if !first && d.online && d.show != away {
		return // nothing new, and nobody was waiting for it
	}
	r.touch(d)
}

// changed notes what has to be looked at because a point reads something else.
func (r *Rules) changed(d *device, i int, reading devices.Reading) {
	d.evaluate = true
	if k := slices.Index(d.model.Primary, i); k >= 0 && d.noteShown(k, reading) {
		d.dirty = true
	}
	r.touch(d)
	r.touchWatchers(d.model.ID)
}

// sameReading reports whether a reading says what the one before said.
func sameReading(before devices.PointState, r devices.Reading) bool {
	return !before.At.IsZero() && before.Quality == r.Quality && before.Value == r.Value && sameCause(before.Err, r.Err)
}

func sameCause(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a == b || a.Error() == b.Error()
}

// touchWatchers has those alerts of other devices looked at that name this one.
func (r *Rules) touchWatchers(id devices.ID) {
	for _, i := range r.watchers[id] {
		i.device.evaluate = true
		r.touch(i.device)
	}
}
