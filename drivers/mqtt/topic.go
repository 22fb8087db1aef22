package mqtt

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// A topic is one that some device wants, subscribed to once however many do.
type topic struct {
	name     string // of a source it may have + for some levels
	uses     []*use
	answered bool     // the broker has said whether it is granted, on this connection,
	refused  bool     // and that it is not
	held     *message // what came last, while some use waits for it
}

// maxHeld bounds the messages held for devices that are not there yet, in bytes of all.
const maxHeld = 16 << 20

// maxUnwanted bounds the topics to unsubscribe from, while the broker is slow; of others the messages are dropped.
const maxUnwanted = 100_000

// put announces a device in the place of the one before it, if any, and asks for its topics: for those that were there
// before too, so that the broker says again what it retained.
func (d *driver) put(dev *device) {
	before := d.devices[dev.info.ID]
	if before == dev { // made when the driver was, and said to nobody yet
		before = nil
	}
	if before != nil {
		dev.resume(before)
	}
	d.mu.Lock()
	d.devices[dev.info.ID] = dev
	d.mu.Unlock()
	for i := range dev.uses {
		u := &dev.uses[i]
		name := u.topicName()
		t := d.topics[name]
		if t == nil {
			t = &topic{name: name}
			d.topics[name] = t
			if strings.Contains(name, "+") {
				d.wild[last(name)] = append(d.wild[last(name)], t)
			}
		}
		u.topic = t
		t.uses = append(t.uses, u)
		if u.point != nil && u.point.Kind == devices.KindEvent && u.source != nil {
			d.countEvents(name, 1)
		}
		d.wanted[name] = true
	}
	d.uses += len(dev.uses)
	if before != nil {
		d.detach(before)
	}
	d.out.Announce(dev.info)
	if dev.up { // as the one before it
		d.tellValues(dev)
		for i := range dev.points {
			d.overdue(&dev.points[i], time.Now())
		}
	}
	d.judge(dev)
}

// drop withdraws a device.
func (d *driver) drop(dev *device) {
	d.mu.Lock()
	delete(d.devices, dev.info.ID)
	d.mu.Unlock()
	d.detach(dev)
	d.out.Withdraw(dev.info.ID, devices.Gone)
}

// detach lets go of the topics of a device that is replaced or withdrawn.
func (d *driver) detach(dev *device) {
	dev.gone = true
	d.uses -= len(dev.uses)
	for i := range dev.uses {
		u := &dev.uses[i]
		t := u.topic
		t.uses = slices.DeleteFunc(t.uses, func(other *use) bool { return other == u })
		if u.point != nil && u.point.Kind == devices.KindEvent && u.source != nil {
			d.countEvents(t.name, -1)
		}
		d.release(u)
		if len(t.uses) == 0 {
			delete(d.topics, t.name)
			if strings.Contains(t.name, "+") {
				d.wild[last(t.name)] = slices.DeleteFunc(d.wild[last(t.name)], func(other *topic) bool { return other == t })
				if len(d.wild[last(t.name)]) == 0 {
					delete(d.wild, last(t.name))
				}
			}
			delete(d.wanted, t.name)
			delete(d.refused, t.name)
			if len(d.unwanted) < maxUnwanted {
				d.unwanted[t.name] = true
			}
		}
	}
}

// ask has the session subscribe to what is wanted now and was not, and unsubscribe the rest. While it has much to do already that
// is put off until it answers, so that devices that change faster than the broker hears of it have each topic wait once.
func (d *driver) ask() {
	if d.session != nil && d.session.wire.busy() {
		return
	}
	if len(d.unwanted) > 0 {
		for name := range d.unwanted {
			if d.topics[name] != nil || d.ofConvention(name) {
				delete(d.unwanted, name)
			}
		}
		if d.session != nil {
			d.session.wire.unsubscribe(sorted(d.unwanted))
		}
		clear(d.unwanted)
	}
	if len(d.wanted) > 0 {
		if d.session != nil {
			d.session.wire.subscribe(sorted(d.wanted), d.config.qos)
		}
		clear(d.wanted)
	}
}

// answer hears from the broker which topics are granted.
func (d *driver) answer(a answer) {
	touched := map[*device]bool{}
	for _, name := range a.topics {
		if d.ofConvention(name) {
			d.looks.open = false
			d.looks.dropped = d.looks.dropped || a.again
		}
		refused := a.refused[name]
		d.refuse(name, refused)
		t := d.topics[name]
		if t == nil {
			continue
		}
		t.answered, t.refused = true, refused
		for _, u := range t.uses {
			touched[u.device] = true
		}
	}
	for dev := range touched {
		d.judge(dev)
	}
}

// refuse notes whether a topic is refused, for the health of the connection.
func (d *driver) refuse(name string, refused bool) {
	if refused {
		d.refused[name] = true
	} else {
		delete(d.refused, name)
	}
}

// refusal is the error of a topic that the broker does not grant.
func (d *driver) refusal(name string) error {
	return fmt.Errorf("mqtt %s: the broker refuses the topic %q: allow user %q to read it", d.name, name, d.config.username)
}

// handle makes readings of a message.
func (d *driver) handle(in incoming) {
	d.log.Debug("mqtt message", "topic", in.topic, "retained", in.retained, "bytes", len(in.payload))
	m := &message{at: in.at}
	m.Message = discovery.Message{Topic: in.topic, Payload: in.payload, Retained: in.retained, QoS: -1}
	ours := d.announcement(m)
	if ours && d.echoed(m) {
		return
	}
	if t := d.topics[in.topic]; t != nil {
		d.deliver(t, m)
		ours = true
	}
	for _, t := range d.wild[last(in.topic)] {
		if matches(t.name, in.topic) {
			d.deliver(t, m)
			ours = true
		}
	}
	if !ours {
		d.strange(in.topic)
	}
}

// An echo is the event that came last on a topic.
type echo struct {
	sum uint64 // of its payload
	at  time.Time
}

// echoTime is how long after an event the same one is its echo.
const echoTime = time.Second

// echoed reports whether a message is another copy of the event before it. A topic that is one of a convention's filters, and of an
// event of a device, too, is subscribed to twice, and some brokers send a copy for each subscription (MQTT 3.1.1, section 3.3.5).
// What happens again says another time.
func (d *driver) echoed(m *message) bool {
	if m.Retained || d.events[m.Topic] == 0 {
		return false
	}
	before, now := d.echoes[m.Topic], echo{maphash.Bytes(d.seed, m.Payload), m.at}
	d.echoes[m.Topic] = now
	return before.sum == now.sum && now.at.Sub(before.at) < echoTime
}

// last is the last level of a topic.
func last(topic string) string { return topic[strings.LastIndexByte(topic, '/')+1:] }

// deliver hands a message to those who want its topic.
func (d *driver) deliver(t *topic, m *message) {
	if len(m.Payload) == 0 { // takes a retained message back; it is no state
		return
	}
	for _, u := range slices.Clone(t.uses) {
		if u.watch == nil {
			continue
		}
		now, before := time.Now(), m.Work()
		if !d.affordsWork(u.device, 1, now) {
			continue
		}
		u.watch.hear(u.word, &m.Message)
		d.worked(u.device, &m.Message, before, now)
		if u.point == nil {
			d.judge(u.device)
		} else if u.device.up {
			d.judgePoint(u.point, false)
		}
	}
	var readings []devices.Reading
	for _, u := range t.uses {
		if u.source == nil {
			continue
		}
		if !u.device.up || u.point.down != nil {
			d.hold(u, m)
			continue
		}
		readings = u.read(d, m, readings)
	}
	if t.held == m {
		m.Forget()
	}
	if len(readings) > 0 {
		d.out.Publish(readings...)
	}
}

// hold keeps a message until the point it is for can be believed. What happened meanwhile to an event is over then.
func (d *driver) hold(u *use, m *message) {
	t := u.topic
	if u.point.Kind == devices.KindEvent {
		return
	}
	if t.held != m {
		before := 0
		if t.held != nil {
			before = len(t.held.Payload)
		}
		d.held -= before
		t.held = nil
		if d.held+len(m.Payload) > maxHeld {
			return
		}
		d.held += len(m.Payload)
		t.held = m
	}
	u.waiting = true
}

// catchUp reads the message that a use has waited for.
func (d *driver) catchUp(u *use) {
	if !u.waiting || !u.device.up || u.point.down != nil {
		return
	}
	if m := u.topic.held; m != nil {
		if readings := u.read(d, m, nil); len(readings) > 0 {
			d.out.Publish(readings...)
		}
	}
	d.release(u)
}

// release has a use wait no longer; a message that nobody waits for is forgotten.
func (d *driver) release(u *use) {
	u.waiting = false
	t := u.topic
	if t.held == nil || slices.ContainsFunc(t.uses, func(u *use) bool { return u.waiting }) {
		return
	}
	d.held -= len(t.held.Payload)
	t.held = nil
}

// read appends the reading that a message has for a point, if any.
func (u *use) read(d *driver, m *message, out []devices.Reading) []devices.Reading {
	p := u.point
	event := p.Kind == devices.KindEvent
	if event && m.Retained { // happened before, nobody knows when
		return out
	}
	rd := devices.Reading{Device: u.device.info.ID, Point: p.Name, At: m.at}
	now, before := time.Now(), m.Work()
	if !d.affordsWork(u.device, int(p.steps), now) {
		d.warn(fmt.Sprintf("%s: %v", u.device.info.ID, errBusy))
		rd.Quality, rd.Err = devices.Faulty, errBusy
		return append(out, rd)
	}
	v, err := read(p, u.source, &m.Message)
	p.steps = int32(1 + d.worked(u.device, &m.Message, before, now))
	if failure, ok := errors.AsType[*panicError](err); ok {
		d.log.Error("mqtt reading failed", "device", u.device.info.ID, "point", p.Name, "topic", m.Topic, "err", err, "stack", string(failure.stack))
	}
	switch {
	case errors.Is(err, discovery.ErrAbsent) && (p.heard || event):
		return out // what is not said has not changed
	case errors.Is(err, discovery.ErrAbsent):
		rd.Quality, rd.Err = devices.Unknown, err
	case err != nil:
		rd.Quality, rd.Err = devices.Faulty, err
	case v.IsZero() && event:
		return out
	case v.IsZero():
		rd.Quality = devices.Unknown
		p.heard = true
	default:
		rd.Value = v
		p.heard = true
	}
	d.schedule(p, rd)
	return append(out, rd)
}
