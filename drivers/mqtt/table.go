package mqtt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/mqtt/discovery"
)

// silence is the default for offline_after of a device without an availability topic.
const silence = 5 * time.Minute

// A table is one of [devices]: a device by hand, or, with match, what is said of one that announces itself.
type table struct {
	id       devices.ID
	match    string            // empty: by hand
	disabled bool              // with match: it is left out
	hand     *discovery.Device // the device as the table alone has it; nil when device is there
	device   *device           // by hand
	safe     map[string]devices.Value
	entries  []*entry // with match: its points

	availability    string
	online, offline string // empty: not given
}

// An entry is the table of one point.
type entry struct {
	*codec
	name   string
	kinded bool // the table says the kind
	source string
	given  map[string]bool // which keys the driver declares are there; nil of points by hand
}

// over is a discovered device with what the table says in place of what it says itself, key by key.
func (t *table) over(said *discovery.Device) *discovery.Device {
	dev := *said
	dev.Points, dev.Notes = slices.Clone(said.Points), slices.Clip(said.Notes)
	switch {
	case t.availability != "":
		dev.Available, dev.Silence = t.hand.Available, 0
	case (t.online != "" || t.offline != "") && said.Available != nil:
		dev.Available = &discovery.Availability{Mode: said.Available.Mode}
		for _, topic := range said.Available.Topics {
			dev.Available.Topics = append(dev.Available.Topics, t.availabilityOn(topic.Topic))
		}
	}
	for _, e := range t.entries {
		i := slices.IndexFunc(dev.Points, func(p discovery.Point) bool { return p.Name == e.name })
		switch {
		case i >= 0:
			dev.Points[i] = e.over(dev.Points[i])
		case e.source != "" || e.command != "":
			dev.Points = append(dev.Points, e.point())
		default:
			dev.Notes = append(dev.Notes, fmt.Sprintf("points.%s: it announces no point of that name, and the table names no source or command", e.name))
		}
	}
	return &dev
}

// over is a discovered point with what its table says.
func (e *entry) over(p discovery.Point) discovery.Point {
	c := e.codec
	if !e.kinded {
		own := *e.codec
		c, own.kind = &own, p.Kind
	}
	kind := p.Kind
	p.Kind = c.kind
	if len(c.options) > 0 {
		p.Options = c.options
	}
	if e.given["source"] || e.given["path"] || e.given["on"] || e.given["off"] || e.given["max_size"] || e.kinded && c.kind != kind {
		topics := []string{e.source}
		if e.source == "" {
			topics = topics[:0]
			for _, s := range p.Sources {
				topics = append(topics, s.Topic)
			}
		}
		p.Sources = make([]discovery.Source, len(topics))
		for i, topic := range topics {
			p.Sources[i] = discovery.Source{Topic: topic, Read: c.read}
		}
	}
	switch said := p.Write; {
	case e.command != "":
		p.Write = c.messages
	case said == nil:
	case e.given["write"] || e.given["on"] || e.given["off"]:
		p.Write = func(v devices.Value) ([]discovery.Message, error) {
			messages, err := said(v)
			if err != nil || len(messages) == 0 {
				return messages, err
			}
			payload, err := c.encode(v)
			last := messages[len(messages)-1]
			last.Payload = payload
			last.Retained = e.retained(last.Retained)
			return []discovery.Message{last}, err
		}
	case e.given["retain"]:
		p.Write = func(v devices.Value) ([]discovery.Message, error) {
			messages, err := said(v)
			for i := range messages {
				messages[i].Retained = c.retain
			}
			return messages, err
		}
	}
	return p
}

func (e *entry) retained(said bool) bool {
	if e.given["retain"] {
		return e.retain
	}
	return said
}

// point is the point that the table alone makes.
func (e *entry) point() discovery.Point {
	p := discovery.Point{Point: devices.Point{Name: e.name, Kind: e.kind, Options: e.options}}
	if e.source != "" {
		p.Sources = []discovery.Source{{Topic: e.source, Read: e.read}}
	}
	if e.command != "" {
		p.Write = e.messages
	}
	return p
}

// availabilityOn is a topic on which the table's words say whether the device is there.
func (t *table) availabilityOn(topic string) discovery.AvailabilityTopic {
	online, offline := cmp.Or(t.online, "online"), cmp.Or(t.offline, "offline")
	return discovery.AvailabilityTopic{Topic: topic, Read: func(m *discovery.Message) (bool, error) {
		switch strings.TrimSpace(string(m.Payload)) {
		case online:
			return true, nil
		case offline:
			return false, nil
		}
		return false, fmt.Errorf("neither online (%q) nor offline (%q)", online, offline)
	}}
}

// absent is why a device that has not announced itself is not there.
func (t *table) absent() error {
	return errors.New("not announced itself yet: nothing on this broker calls itself " + t.match + ": is it switched on, and is that what `tidings devices` calls it?")
}

// table reads a table of [devices].
func (b *builder) table(dc devices.DeviceConfig) *table {
	t := dc.Table
	out := &table{
		id: dc.ID, match: t.String("match"), disabled: dc.Disabled,
		availability: t.String("availability"), online: t.String("online"), offline: t.String("offline"),
	}
	matched := t.Has("match")
	if matched {
		b.match(t, out)
	}
	if t.Has("availability") {
		b.topic(t, "availability", out.availability)
	} else if key := cmp.Or(has(t, "online"), has(t, "offline")); key != "" && !matched {
		b.mistake(t, key, "%s: is a payload of the availability topic, and there is none", key)
	}
	if cmp.Or(out.online, "online") == cmp.Or(out.offline, "offline") {
		b.mistake(t, cmp.Or(has(t, "offline"), "online"), "online and offline are both %q", cmp.Or(out.online, "online"))
	}
	out.hand = &discovery.Device{Address: out.availability, Points: make([]discovery.Point, 0, len(dc.Points))}
	if out.availability != "" {
		out.hand.Available = &discovery.Availability{Topics: []discovery.AvailabilityTopic{out.availabilityOn(out.availability)}}
	} else if !matched {
		out.hand.Silence = silence
	}
	for _, pc := range dc.Points {
		e := b.entry(pc, matched)
		if matched {
			out.entries = append(out.entries, e)
		}
		if !pc.Safe.IsZero() {
			if out.safe == nil {
				out.safe = map[string]devices.Value{}
			}
			out.safe[pc.Name] = pc.Safe
		}
		if e.source == "" && e.command == "" {
			continue
		}
		p := e.point()
		out.hand.Points = append(out.hand.Points, p)
		out.hand.Address = cmp.Or(out.hand.Address, e.source, e.command)
		b.cameras = b.cameras || p.Kind == devices.KindImage
	}
	return out
}

// match checks the name of a discovered device.
func (b *builder) match(t *schema.Table, out *table) {
	convention, key, ok := strings.Cut(out.match, ":")
	switch {
	case !ok || !validKey(key):
		b.mistake(t, "match", "match: %q is not the name of a discovered device: `tidings devices` has them, as in \"homeassistant:0x00158d0001\"", out.match)
	case slices.Contains(b.discovery, convention):
	case conventionNamed(convention) != nil:
		b.mistake(t, "match", "match: nothing is discovered by %q here: add it to discovery of the driver", convention)
	default:
		b.mistake(t, "match", "match: there is no convention %q, only %s", convention, conventionNames())
	}
	if other := b.matches[out.match]; other != "" {
		b.mistake(t, "match", "match: %s is [devices.%s] already", out.match, other)
	}
	b.matches[out.match] = string(out.id)
}

// entry reads the table of a point. One of a matched device may leave out what the device says itself.
func (b *builder) entry(pc devices.PointConfig, matched bool) *entry {
	t := pc.Table
	e := &entry{
		name: pc.Name, kinded: !matched || pc.KindGiven, source: t.String("source"),
		codec: &codec{
			kind: pc.Kind, options: pc.Options, command: t.String("command"),
			on: scalar(t, "on"), off: scalar(t, "off"), retain: t.Bool("retain", false),
		},
	}
	if matched {
		e.given = map[string]bool{}
		for _, key := range []string{"source", "path", "on", "off", "max_size", "write", "retain"} {
			e.given[key] = t.Has(key)
		}
	}
	if t.Has("source") {
		b.topic(t, "source", e.source)
	}
	if t.Has("command") {
		b.topic(t, "command", e.command)
	}
	if !t.Has("source") && !t.Has("command") && !matched {
		b.mistake(t, "", "neither source nor command: name the topic it is read from, or the one that sets it")
	}
	if e.kinded && e.kind == devices.KindAction && e.source != "" {
		b.mistake(t, "source", "source: an action has nothing to read: name the topic that does it in command")
	}
	if e.kinded && e.kind == devices.KindEvent && e.command != "" {
		b.mistake(t, "command", "command: an event happens, it cannot be set")
	}
	if t.Has("path") {
		var err error
		if e.path, err = parsePath(t.String("path")); err != nil {
			b.mistake(t, "path", "path: %q %v", t.String("path"), err)
		}
		if e.source == "" && !matched {
			b.mistake(t, "path", "path: there is no source to look in")
		}
	}
	b.picture(t, e)
	b.payloads(t, e)
	b.commands(t, e, pc.Safe, matched)
	return e
}
