package mqtt

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

const (
	calm    = 200 * time.Millisecond // a device is made when its announcements have been quiet for so long,
	longest = 2 * time.Second        // or this long after the first
	// grace is how long retained announcements may take to come again after a reconnect.
	grace = 2 * time.Minute

	maxHeard = 60_000 // retained announcements of one convention of which it is known that they were there
)

// A convention is one by which devices announce themselves, and what came of it. The goroutine in Run owns it.
type convention struct {
	discovery.Convention
	name     string
	filters  []string
	settling map[string]*settling  // by key: what is announced at this moment
	known    map[string]devices.ID // by key: what the device is announced as
	heard    map[string]bool       // topics of retained announcements; true: on this connection
	paces    map[string]pace       // by key
	later    later
	weights  map[string]int // by topic: what it takes to know what was announced there
	weight   int            // of all
}

// settling is a device of which announcements are coming.
type settling struct{ first, last time.Time }

func newConvention(name string, c discovery.Convention) *convention {
	return &convention{
		Convention: c, name: name, filters: c.Filters(),
		settling: map[string]*settling{}, known: map[string]devices.ID{}, heard: map[string]bool{},
		paces: map[string]pace{}, weights: map[string]int{},
	}
}

// matches reports whether announcements come on a topic.
func (c *convention) matches(topic string) bool {
	for _, f := range c.filters {
		if matches(f, topic) {
			return true
		}
	}
	return false
}

// matches reports whether a topic is of a filter: MQTT 3.1.1, section 4.7.
func matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") != strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, filterRest, filterMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case f != "+" && f != t:
			return false
		case !topicMore:
			return !filterMore || filterRest == "#"
		case !filterMore:
			return false
		}
		filter, topic = filterRest, topicRest
	}
}

// ofConvention reports whether a topic is one of the filters, word for word.
func (d *driver) ofConvention(topic string) bool {
	for _, c := range d.conventions {
		for _, f := range c.filters {
			if f == topic {
				return true
			}
		}
	}
	return d.config.birth && topic == d.config.statusTopic()
}

// announcement hands a message to the conventions it is for and reports whether there are any.
func (d *driver) announcement(m *message) (ours bool) {
	if d.config.birth && m.Topic == d.config.statusTopic() {
		d.homeAssistant = string(m.Payload) == "online"
		ours = true
	}
	for _, c := range d.conventions {
		if !c.matches(m.Topic) {
			continue
		}
		ours = true
		switch heard, known := c.heard[m.Topic]; {
		case len(m.Payload) == 0:
			delete(c.heard, m.Topic)
		case m.Retained && !heard && (known || len(c.heard) < maxHeard):
			c.heard[m.Topic] = true
			d.look()
		case known:
			c.heard[m.Topic] = true
		}
		d.take(c, &m.Message)
	}
	return ours
}

// take has a convention hear a message.
func (d *driver) take(c *convention, m *discovery.Message) {
	now := time.Now()
	if d.putOff(c, m, now) {
		return
	}
	if !c.affords(m) {
		d.warn(fmt.Sprintf("there are too many announcements of %s: what is new is left out", c.name))
		return
	}
	var changed []string
	var publish []discovery.Message
	err := func() (err error) {
		defer failed(&err, "hearing an announcement")
		changed, publish = c.Take(m)
		return nil
	}()
	if err != nil {
		d.warn(fmt.Sprintf("%s: %v", m.Topic, err))
	}
	c.weigh(m, len(changed) > 0)
	if len(changed) > 0 {
		c.later.taken.add(weight(m.Payload), now)
	}
	for _, key := range changed {
		if s := c.settling[key]; s != nil {
			s.last = now
		} else if len(c.settling) < 2*discovery.MaxDevices {
			c.settling[key] = &settling{first: now, last: now}
			d.alarms.add(now.Add(calm), func(now time.Time) { d.settle(c, key, now) })
		}
	}
	if d.session != nil {
		d.session.wire.publish(d.allowed(publish))
	}
	if r, ok := c.Convention.(discovery.Reporter); ok {
		for _, text := range r.Report() {
			d.warn(text)
		}
	}
}

// settle makes a device of what was announced, once that has calmed down.
func (d *driver) settle(c *convention, key string, now time.Time) {
	s := c.settling[key]
	due := s.last.Add(calm)
	if end := s.first.Add(longest); end.Before(due) {
		due = end
	}
	if next := c.paces[key].next(); next.After(due) {
		due = next
	}
	if now.Before(due) {
		d.alarms.add(due, func(now time.Time) { d.settle(c, key, now) })
		return
	}
	delete(c.settling, key)
	c.paced(key, now)
	var said *discovery.Device
	err := func() (err error) {
		defer failed(&err, "making a device of what it announced")
		said = c.Device(key)
		return nil
	}()
	if err != nil {
		d.warn(fmt.Sprintf("%s %q: %v", c.name, key, err))
		return
	}
	match := c.name + ":" + key
	if said != nil {
		said = d.config.ignore.apply(match, said)
	}
	if said == nil {
		d.lose(c, key)
		return
	}
	id, known := c.known[key]
	if !known {
		switch {
		case !validKey(key):
			d.warn(fmt.Sprintf("a device of %s calls itself %q, which is no name: it is left out", c.name, key))
			return
		case len(c.known) >= discovery.MaxDevices && d.matched[match] == nil:
			d.warn(fmt.Sprintf("more than %d devices of %s: the others are left out", discovery.MaxDevices, c.name))
			return
		}
		id = devices.ID(match)
	}
	t := d.matched[match]
	if t != nil {
		if t.disabled {
			return
		}
		id, said = t.id, t.over(said)
	}
	dev := d.newDevice(id, match, t, said)
	if err := d.crowded(dev, d.devices[id]); err != nil {
		d.warn(fmt.Sprintf("%s is left out: %v", match, err))
		return
	}
	c.known[key] = id
	d.put(dev)
}

// lose withdraws a device that is announced no longer. One with a table of its own is announced as not there.
func (d *driver) lose(c *convention, key string) {
	id, known := c.known[key]
	if !known {
		return
	}
	delete(c.known, key)
	if t := d.matched[c.name+":"+key]; t != nil {
		d.put(d.fromTable(t))
		return
	}
	d.drop(d.devices[id])
}

// begin asks each convention what to publish at the start of a connection, and sees to what may be gone since the last.
func (d *driver) begin(s *session) {
	for _, c := range d.conventions {
		err := func() (err error) {
			defer failed(&err, "beginning")
			s.wire.publish(c.Start())
			return nil
		}()
		if err != nil {
			d.warn(fmt.Sprintf("%s: %v", c.name, err))
		}
		if len(c.heard) == 0 {
			continue
		}
		for topic := range c.heard {
			c.heard[topic] = false
		}
		d.sweepLater(s, c)
	}
	if d.config.birth {
		d.homeAssistant = false
		d.alarms.add(time.Now().Add(time.Second+rand.N(4*time.Second)), func(time.Time) {
			if d.session == s && !d.homeAssistant {
				s.wire.publish([]discovery.Message{{Topic: d.config.statusTopic(), Payload: []byte("online"), QoS: -1}})
			}
		})
	}
}

func (d *driver) sweepLater(s *session, c *convention) {
	d.alarms.add(time.Now().Add(grace), func(time.Time) {
		switch {
		case d.session != s:
		case d.looks.set || d.looks.open: // some are still to come
			d.sweepLater(s, c)
		case d.looks.dropped:
			d.log.Debug("mqtt announcements that did not come again are kept: the broker drops some", "convention", c.name)
		default:
			d.sweep(c)
		}
	})
}

// sweep takes back the retained announcements that were there on an earlier connection and did not come again on this one: they
// were removed meanwhile. A broker that has less than half of them has lost its memory; then nobody is gone, and what is announced
// stays until it is announced anew or the gateway is started again.
func (d *driver) sweep(c *convention) {
	var missing []string
	for topic, there := range c.heard {
		if !there {
			missing = append(missing, topic)
		}
	}
	if 2*len(missing) > len(c.heard) {
		d.log.Warn("mqtt broker has lost retained announcements: the devices stay", "convention", c.name, "lost", len(missing))
		return
	}
	for _, topic := range missing {
		delete(c.heard, topic)
		d.take(c, discovery.NewMessage(topic, nil))
	}
}
