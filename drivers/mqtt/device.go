package mqtt

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// A device is one that is announced: made of a table, of what it announced itself, or of both. It is replaced when either
// says something else. The goroutine in Run owns it; up, cause and the down of its points are written under driver.mu.
type device struct {
	info      devices.Info
	table     *table // nil: discovered, and nothing is said of it
	points    []point
	uses      []use
	available *watch              // nil: it is there while the broker is
	ask       []discovery.Message // see discovery.Device.Ask
	work      work                // of its templates

	absent bool // of a table with match: nothing has announced itself by that name
	asking bool // it has other points than before, and is to be asked for them once their topics are heard
	gone   bool // replaced or withdrawn
	linked bool // the sink knows whether it is up
	up     bool
	cause  error
}

// A point is one point of a device. There may be many thousands: what few have is apart, and what is announced of them is
// shared with other devices that are alike.
type point struct {
	*devices.Point // one of device.info.Points
	sources        []discovery.Source
	write          func(devices.Value) ([]discovery.Message, error)
	device         *device
	down           error   // why it cannot be believed
	heard          bool    // a reading has come on this connection
	steps          int32   // what it took to read it the last time; 0: it was not read yet
	extras         *extras // nil: it has none
}

// extras are what few points have.
type extras struct {
	available        *watch        // nil: it can be believed while its device is there
	value            devices.Value // what the announcement itself says
	expire, offDelay time.Duration

	last           devices.Reading // the last good one
	offAt, staleAt time.Time       // when it goes off, or stale; zero: never
	set            bool            // an alarm will look
}

func newExtras(p *discovery.Point) *extras {
	x := &extras{available: newWatch(p.Available), value: p.Value, expire: p.Expire, offDelay: p.OffDelay}
	if x.available == nil && x.value.IsZero() && x.expire <= 0 && x.offDelay <= 0 {
		return nil
	}
	return x
}

// watch is the availability of the point alone; nil: it has none.
func (p *point) watch() *watch {
	if p.extras == nil {
		return nil
	}
	return p.extras.available
}

// value is what the announcement itself says of the point.
func (p *point) value() devices.Value {
	if p.extras == nil {
		return devices.Value{}
	}
	return p.extras.value
}

// A use is what a topic is good for: a source of a point, or a word on the availability of a point or of its device.
type use struct {
	topic   *topic
	device  *device
	point   *point
	source  *discovery.Source // nil: on availability
	watch   *watch            // nil: a source
	word    int               // the index in watch
	waiting bool              // the message that the topic holds is to be read once it can be
}

// newDevice makes the device that said describes. Its topics are not subscribed to yet. Where its points are like those of
// another device, it has them in common with that.
func newDevice(driver string, id devices.ID, match string, t *table, said *discovery.Device, other []devices.Point) *device {
	notes := slices.Clip(said.Notes)
	if match != "" { // else it is all of a table, which means what it says
		said = bounded(said, func(text string) { notes = append(notes, text) })
	}
	dev := &device{table: t, available: newWatch(said.Available), ask: said.Ask}
	dev.info = devices.Info{
		ID: id, Driver: driver, Match: match,
		Name: clean(said.Name), Model: clean(said.Model), Version: clean(said.Version), Area: clean(said.Area), Class: clean(said.Class),
		Address: clean(said.Address), Silence: said.Silence,
	}
	if topic := misspelt(said.Available); match != "" && topic != "" {
		notes = append(notes, fmt.Sprintf("its availability: %.100q is no topic that can be subscribed to", topic))
		dev.available = newWatch(&discovery.Availability{})
	}
	most := min(len(said.Points), discovery.MaxPoints)
	dev.points, dev.info.Points = make([]point, 0, most), make([]devices.Point, 0, most)
	for i := range said.Points {
		p := &said.Points[i]
		if len(dev.points) == discovery.MaxPoints {
			notes = append(notes, fmt.Sprintf("it has %d points: the first %d are taken", len(said.Points), discovery.MaxPoints))
			break
		}
		if !pointName.MatchString(p.Name) || dev.find(p.Name) != nil {
			notes = append(notes, fmt.Sprintf("%s: is no name for a point, or that of another", clean(p.Name)))
			continue
		}
		if topic := misspelt(p.Available, p.Sources...); match != "" && topic != "" {
			notes = append(notes, fmt.Sprintf("%s: %.100q is no topic that can be subscribed to", p.Name, topic))
			continue
		}
		dev.info.Points = append(dev.info.Points, announced(p))
		dev.points = append(dev.points, point{Point: &dev.info.Points[len(dev.points)], sources: p.Sources, write: p.Write, device: dev, extras: newExtras(p)})
	}
	if reflect.DeepEqual(dev.info.Points, other) {
		dev.info.Points = other
		for i := range dev.points {
			dev.points[i].Point = &other[i]
		}
	}
	for _, note := range notes[:min(len(notes), discovery.MaxNotes)] {
		dev.info.Notes = append(dev.info.Notes, clean(note))
	}
	dev.use()
	return dev
}

// pointName is what a point can be called.
var pointName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)

// announced is a point as it is announced.
func announced(p *discovery.Point) devices.Point {
	out := p.Point
	out.Readable, out.Writable = len(p.Sources) > 0 || !p.Value.IsZero(), p.Write != nil
	out.Confirms = len(p.Sources) > 0 && out.Writable
	out.Label, out.Unit, out.Class = clean(out.Label), clean(out.Unit), clean(out.Class)
	return out
}

// use lists what the device wants of topics: availability first, so that what comes on the same topic is read by it.
func (dev *device) use() {
	n := len(dev.available.topics())
	for i := range dev.points {
		n += len(dev.points[i].watch().topics()) + len(dev.points[i].sources)
	}
	dev.uses = make([]use, 0, n)
	watch := func(p *point, w *watch) {
		for i := range w.topics() {
			dev.uses = append(dev.uses, use{device: dev, point: p, watch: w, word: i})
		}
	}
	watch(nil, dev.available)
	for i := range dev.points {
		watch(&dev.points[i], dev.points[i].watch())
	}
	for i := range dev.points {
		p := &dev.points[i]
		for j := range p.sources {
			dev.uses = append(dev.uses, use{device: dev, point: p, source: &p.sources[j]})
		}
	}
}

// topicName is the topic it is of.
func (u *use) topicName() string {
	if u.watch != nil {
		return u.watch.Topics[u.word].Topic
	}
	return u.source.Topic
}

// resume takes over what was heard by the device before this one.
func (dev *device) resume(before *device) {
	dev.linked, dev.up, dev.cause, dev.work = before.linked, before.up, before.cause, before.work
	dev.asking = len(dev.ask) > 0 && (before.asking || !reflect.DeepEqual(dev.info.Points, before.info.Points))
	dev.available.resume(before.available)
	for i := range dev.points {
		for j := range before.points {
			p, was := &dev.points[i], &before.points[j]
			if p.Name != was.Name {
				continue
			}
			p.watch().resume(was.watch())
			if p.Kind != was.Kind { // what was heard is no reading of it
				continue
			}
			p.heard, p.down = was.heard, was.down
			if p.extras != nil && was.extras != nil {
				p.extras.last, p.extras.offAt, p.extras.staleAt = was.extras.last, was.extras.offAt, was.extras.staleAt
			}
		}
	}
}

// restart has the device heard nothing, as when it was made.
func (dev *device) restart() {
	dev.gone, dev.linked, dev.up, dev.cause = false, false, false, nil
	dev.available.forget()
	for i := range dev.points {
		dev.points[i].down, dev.points[i].heard = nil, false // by hand it has no extras
	}
	for i := range dev.uses {
		dev.uses[i].topic, dev.uses[i].waiting = nil, false
	}
}

// find returns the point of that name, or nil.
func (dev *device) find(name string) *point {
	for i := range dev.points {
		if dev.points[i].Name == name {
			return &dev.points[i]
		}
	}
	return nil
}

var errAsking = errors.New("the broker has not granted its topics yet")

// judge says how a device and its points are after something about them has changed.
func (d *driver) judge(dev *device) {
	was := dev.up
	d.link(dev, d.causeOf(dev))
	if !dev.up {
		return
	}
	for i := range dev.points {
		d.judgePoint(&dev.points[i], !was)
	}
	if was {
		if dev.asking && !slices.ContainsFunc(dev.uses, func(u use) bool { return !u.topic.answered }) {
			dev.asking = false
			d.session.wire.publish(d.allowed(dev.ask))
		}
		return
	}
	dev.asking = false
	d.tellValues(dev)
	d.session.wire.publish(d.allowed(dev.ask))
	for i := range dev.uses {
		d.catchUp(&dev.uses[i])
	}
	for i := range dev.points {
		d.overdue(&dev.points[i], time.Now())
	}
}

// tellValues publishes what a device's announcement itself says of its points.
func (d *driver) tellValues(dev *device) {
	for i := range dev.points {
		p := &dev.points[i]
		if p.value().IsZero() {
			continue
		}
		rd := devices.Reading{Device: dev.info.ID, Point: p.Name, Value: p.value(), At: time.Now()}
		d.schedule(p, rd)
		if p.down == nil {
			d.out.Publish(rd)
		}
	}
}

// causeOf is why a device is not there; nil: it is.
func (d *driver) causeOf(dev *device) error {
	if d.session == nil {
		return d.reason
	}
	if dev.absent {
		return dev.table.absent()
	}
	var refused error
	readable, denied := 0, 0
	for i := range dev.uses {
		u := &dev.uses[i]
		switch {
		case !u.topic.answered && !dev.up:
			return errAsking
		case u.topic.refused && u.watch != nil && u.point == nil:
			return d.refusal(u.topic.name)
		case u.source != nil:
			readable++
			if u.topic.refused {
				denied++
				refused = cmp.Or(refused, d.refusal(u.topic.name))
			}
		}
	}
	if dev.available == nil && readable > 0 && denied == readable {
		return refused
	}
	return dev.available.down()
}

// link takes a device up, when cause is nil, or down.
func (d *driver) link(dev *device, cause error) {
	if dev.linked && dev.up == (cause == nil) && (cause == nil || cause.Error() == dev.cause.Error()) {
		return
	}
	d.mu.Lock()
	dev.linked, dev.up, dev.cause = true, cause == nil, cause
	d.mu.Unlock()
	d.out.Link(dev.info.ID, dev.up, cause)
}

// judgePoint says of a point of a device that is up whether it can be believed. fresh: the device has just come up.
func (d *driver) judgePoint(p *point, fresh bool) {
	if len(p.sources) > 0 && fresh {
		var refused error
		for i := range p.device.uses {
			u := &p.device.uses[i]
			if u.point != p || u.source == nil {
				continue
			}
			if !u.topic.refused {
				refused = nil
				break
			}
			refused = d.refusal(u.topic.name)
		}
		if refused != nil {
			d.out.Publish(devices.Reading{Device: p.device.info.ID, Point: p.Name, Quality: devices.Faulty, At: time.Now(), Err: refused})
			return
		}
	}
	was, why := p.down, p.watch().down()
	if why == nil && was == nil || why != nil && was != nil && why.Error() == was.Error() && !fresh {
		return
	}
	d.mu.Lock()
	p.down = why
	d.mu.Unlock()
	switch {
	case len(p.sources) == 0 && p.value().IsZero() || p.Kind == devices.KindEvent:
	case why != nil:
		d.out.Publish(devices.Reading{Device: p.device.info.ID, Point: p.Name, Quality: devices.Unknown, At: time.Now(), Err: why})
	case p.extras != nil && !p.extras.last.At.IsZero(): // what it said before holds again, unless there is something newer
		d.out.Publish(p.extras.last)
		fallthrough
	default:
		for i := range p.device.uses {
			if u := &p.device.uses[i]; u.point == p {
				d.catchUp(u)
			}
		}
	}
}
