package mqtt

import (
	"fmt"
	"time"

	"tidings/drivers/mqtt/discovery"
)

const (
	maxTaken = 80_000_000 // by weight, of what was announced in the last seconds: more is put off
	maxLater = 16 << 20   // bytes of what is put off
)

// Later are announcements that are put off while too much is announced, the latest of each topic.
type later struct {
	taken   work // the weight of what was announced lately
	waiting map[string]*discovery.Message
	order   []string // the topics of waiting, the first one first
	bytes   int      // of their payloads
	set     bool     // an alarm will look
}

// putOff reports whether an announcement is to be heard later, since reading them takes all the time there is. Those of a convention
// whose answers come on one topic do not stand for each other, and are never put off.
func (d *driver) putOff(c *convention, m *discovery.Message, now time.Time) bool {
	l := &c.later
	old, waits := l.waiting[m.Topic]
	if c.name == "shelly" || !waits && l.taken.lately(now) <= maxTaken {
		return false
	}
	size := l.bytes + len(m.Payload)
	if waits {
		size -= len(old.Payload)
	}
	if size > maxLater || !waits && len(l.waiting) >= maxTopics {
		d.warn(fmt.Sprintf("more is announced by %s than can be read: some is left out until it is announced again", c.name))
		return true
	}
	if l.waiting == nil {
		l.waiting = map[string]*discovery.Message{}
	}
	if !waits {
		l.order = append(l.order, m.Topic)
	}
	l.bytes = size
	l.waiting[m.Topic] = &discovery.Message{Topic: m.Topic, Payload: m.Payload, Retained: m.Retained, QoS: m.QoS}
	d.lookLater(c, now)
	return true
}

// lookLater sees to it that what is put off is heard.
func (d *driver) lookLater(c *convention, now time.Time) {
	if c.later.set {
		return
	}
	c.later.set = true
	d.alarms.add(now.Add(time.Second), func(now time.Time) {
		l := &c.later
		l.set = false
		for len(l.order) > 0 && l.taken.lately(now) <= maxTaken {
			m := l.waiting[l.order[0]]
			delete(l.waiting, m.Topic)
			l.order = l.order[1:]
			l.bytes -= len(m.Payload)
			d.take(c, m)
		}
		if len(l.order) > 0 {
			d.lookLater(c, now)
		}
	})
}
