package mqtt

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// What strangers announce is held to these bounds here, whatever their convention let through.
const (
	maxOptions = 256 // of one point, and as many states
	maxOption  = 255 // bytes of one
	maxUses    = 4 * discovery.MaxPoints
	maxAlike   = 20_000  // uses of one topic, by all devices
	maxWild    = 2_000   // topics with a + that end in the same level
	maxInAll   = 200_000 // uses of topics, by all devices of a connection
)

// crowded reports why there is no room for a device, in the place of the one before it if that is there.
func (d *driver) crowded(dev, before *device) error {
	inAll := d.uses + len(dev.uses)
	if before != nil {
		inAll -= len(before.uses)
	}
	if inAll > maxInAll {
		return fmt.Errorf("all devices together name more than %d topics", maxInAll)
	}
	for i := range dev.uses {
		name := dev.uses[i].topicName()
		t := d.topics[name]
		switch {
		case t != nil && len(t.uses) >= maxAlike:
			return fmt.Errorf("%q is a topic of too many points already", name)
		case t == nil && strings.Contains(name, "+") && len(d.wild[last(name)]) >= maxWild:
			return fmt.Errorf("%q is one of too many topics that end so", name)
		}
	}
	return nil
}

// seen is what people see of a letter; -1: nothing.
func seen(r rune) rune {
	switch {
	case r == utf8.RuneError, unicode.Is(unicode.Cf, r), unicode.Is(unicode.Noncharacter_Code_Point, r):
		return -1
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' '
	}
	return r
}

// selectable are the options that people can be offered, and how many cannot.
func selectable(options []string) (out []string, left int) {
	if len(options) == 0 {
		return options, 0
	}
	out = make([]string, 0, min(len(options), maxOptions))
	for i, o := range options {
		if len(out) == maxOptions {
			return out, left + len(options) - i
		}
		if o == "" || len(o) > maxOption || strings.Map(seen, o) != o || slices.Contains(out, o) {
			left++
			continue
		}
		out = append(out, o)
	}
	return out, left
}

// finite is a number that can be counted with, or 0.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// mayPublish reports why what a device says is to be published is not: no announcement makes others, or speaks for the gateway.
// Which other topics are a device's is for the broker's users to say.
func (d *driver) mayPublish(m *discovery.Message) error {
	if !publishable(m.Topic) || strings.HasPrefix(m.Topic, "$") {
		return fmt.Errorf("%.100q is no topic to publish to for a device", m.Topic)
	}
	for _, f := range d.filters {
		if matches(f, m.Topic) {
			return fmt.Errorf("%q is a topic of announcements: nothing is published there for a device", m.Topic)
		}
	}
	if m.Topic == d.config.statusTopic() {
		return fmt.Errorf("%q is Home Assistant's own topic: nothing is published there for a device", m.Topic)
	}
	return nil
}

// allowed are the messages that a device may have published.
func (d *driver) allowed(messages []discovery.Message) []discovery.Message {
	var out []discovery.Message
	for i := range messages {
		if err := d.mayPublish(&messages[i]); err != nil {
			d.warn(err.Error())
			continue
		}
		out = append(out, messages[i])
	}
	return out
}

// bounded is a device that announced itself with what there is room for. What is left out is noted.
func bounded(said *discovery.Device, note func(string)) *discovery.Device {
	dev := *said
	dev.Points = make([]discovery.Point, 0, len(said.Points))
	uses := 0
	for _, p := range said.Points {
		if uses += len(p.Sources); p.Available != nil {
			uses += len(p.Available.Topics)
		}
		if uses > maxUses {
			note(fmt.Sprintf("%s: it names more than %d topics: left out", p.Name, maxUses))
			break
		}
		p.Low, p.High, p.Step = finite(p.Low), finite(p.High), finite(p.Step)
		options, states := 0, 0
		p.Options, options = selectable(p.Options)
		p.States, states = selectable(p.States)
		if n := options + states; n > 0 {
			note(fmt.Sprintf("%s: %d of what it may be cannot be shown, or is too much: left out", p.Name, n))
		}
		dev.Points = append(dev.Points, p)
	}
	return &dev
}

// Bounds of what all announcements of one convention take, in bytes of memory: a house of a thousand devices has some 20 MB.
const (
	maxAnnounced = 64 << 20
	maxTopics    = 120_000
)

// weight is about what an announcement takes while it is known.
func weight(payload []byte) int {
	if len(payload) == 0 {
		return 0
	}
	return len(payload) + 300*bytes.Count(payload, []byte("{")) + 50*bytes.Count(payload, []byte(","))
}

// affords reports whether there is room for what a message announces in the place of what its topic announced before.
func (c *convention) affords(m *discovery.Message) bool {
	before, known := c.weights[m.Topic]
	return len(m.Payload) == 0 || c.weight-before+weight(m.Payload) <= maxAnnounced && (known || len(c.weights) < maxTopics)
}

// weigh notes what a message announces, if it is something that is kept.
func (c *convention) weigh(m *discovery.Message, kept bool) {
	before, known := c.weights[m.Topic]
	switch {
	case len(m.Payload) == 0:
		delete(c.weights, m.Topic)
	case known || kept:
		c.weights[m.Topic] = weight(m.Payload)
	}
	c.weight += c.weights[m.Topic] - before
}

// valueOf bounds a text that was read: it is for people, not a document.
func valueOf(v devices.Value) (devices.Value, error) {
	s, ok := v.Text()
	switch {
	case !ok:
		return v, nil
	case len(s) > maxText:
		return devices.Value{}, fmt.Errorf("payload: a text of %d bytes: at most %d are taken", len(s), maxText)
	case !utf8.ValidString(s):
		return devices.Value{}, fmt.Errorf("payload: %s is not UTF-8", discovery.Quote([]byte(s)))
	}
	return v, nil
}

// A pace is how a device that changes again and again is held back.
type pace struct {
	at   time.Time     // when it was made the last time
	wait time.Duration // until it may be again
}

const (
	restless    = 10 * time.Second // a device that changes within this changes often,
	longestWait = 30 * time.Second // and has to wait up to this long
)

// next is when a device may be made again at the earliest.
func (p pace) next() time.Time { return p.at.Add(p.wait) }

// paced notes that a device was made.
func (c *convention) paced(key string, now time.Time) {
	p := c.paces[key]
	switch {
	case p.at.IsZero() || now.Sub(p.at) > restless+p.wait:
		p.wait = 0
	default:
		p.wait = min(max(calm, 2*p.wait), longestWait)
	}
	p.at = now
	if len(c.paces) >= 2*discovery.MaxDevices {
		clear(c.paces)
	}
	c.paces[key] = p
}
