package homie

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// A Property is one value of a node.
type Property struct {
	ID, Name string
	Datatype string // integer, float, boolean, string, enum, color, datetime, duration, json
	Format   string // 0:100, a,b,c, rgb
	Unit     string
	Settable bool
	Volatile bool // not retained: it happens

	// Value is what a property measures; one that is set has what it was set to, Initial at first.
	Value   func(time.Time) string
	Initial string
	// Glide is how long a settable number takes from one end of its format to the other; 0: it is there at once.
	Glide time.Duration

	value  string
	target float64
	glides bool
	moved  time.Time
}

// A Node is a part of a device.
type Node struct {
	ID, Name, Type string
	Properties     []*Property
}

// A Device is firmware. What is exported is set before it starts.
type Device struct {
	Version int    // 5 (the default) or 4
	Ident   string // in its topics: a–z, 0–9 and -
	Name    string
	Nodes   []*Node
	Every   time.Duration

	revision int
	renamed  bool
	gone     bool
	alert    string
	said     time.Time
	last     map[*Property]string
}

// base is what its topics begin with.
func (d *Device) base() string {
	if d.Version == 4 {
		return "homie/" + d.Ident
	}
	return "homie/5/" + d.Ident
}

// ID is the client's.
func (d *Device) ID() string { return "homie-" + d.Ident }

// Will says that the device is lost.
func (d *Device) Will() board.Message { return d.state("lost") }

func (d *Device) keep(topic, payload string, about board.About) board.Message {
	return board.Message{Topic: d.base() + "/" + topic, Payload: payload, Retained: true, QoS: 2, About: about}
}

func (d *Device) state(word string) board.Message { return d.keep("$state", word, board.Presence) }

// Filters are what it listens to.
func (d *Device) Filters() []string { return []string{d.base() + "/+/+/set"} }

// Start describes the device and says all values.
func (d *Device) Start(now time.Time) []board.Message {
	if d.last == nil {
		for _, n := range d.Nodes {
			for _, p := range n.Properties {
				p.value, p.moved = p.Initial, now
			}
		}
	}
	d.last = map[*Property]string{}
	if d.gone {
		return nil
	}
	out := append([]board.Message{d.state("init")}, d.describe(false)...)
	if d.alert != "" {
		out = append(out, d.keep("$alert/"+alertID, d.alert, board.State))
	}
	out = append(out, d.Step(now)...)
	return append(out, d.state("ready"))
}

const alertID = "service"

// Alert raises an alert for people, or with an empty text takes it back (version 5).
func (d *Device) Alert(text string) []board.Message {
	d.alert = text
	return []board.Message{d.keep("$alert/"+alertID, text, board.State)}
}

func (d *Device) name() string {
	if d.renamed {
		return d.Name + " 2"
	}
	return d.Name
}

// describe says what there is, or takes that back.
func (d *Device) describe(back bool) []board.Message {
	if d.Version == 4 {
		return d.attributes(back)
	}
	nodes := map[string]any{}
	for _, n := range d.Nodes {
		properties := map[string]any{}
		for _, p := range n.Properties {
			about := map[string]any{"name": p.Name, "datatype": p.Datatype}
			for key, text := range map[string]string{"format": p.Format, "unit": p.Unit} {
				if text != "" {
					about[key] = text
				}
			}
			if p.Settable {
				about["settable"] = true
			}
			if p.Volatile {
				about["retained"] = false
			}
			properties[p.ID] = about
		}
		nodes[n.ID] = map[string]any{"name": n.Name, "type": n.Type, "properties": properties}
	}
	text := ""
	if !back {
		d.revision++
		text = board.JSON(map[string]any{"homie": "5.0", "version": d.revision, "name": d.name(), "nodes": nodes})
	}
	return []board.Message{d.keep("$description", text, board.Announcement)}
}

// attributes are those of version 4.
func (d *Device) attributes(back bool) (out []board.Message) {
	say := func(topic, text string) {
		if back {
			text = ""
		}
		out = append(out, d.keep(topic, text, board.Announcement))
	}
	var nodes []string
	for _, n := range d.Nodes {
		nodes = append(nodes, n.ID)
		say(n.ID+"/$name", n.Name)
		say(n.ID+"/$type", n.Type)
		var properties []string
		for _, p := range n.Properties {
			properties = append(properties, p.ID)
			topic := n.ID + "/" + p.ID
			say(topic+"/$name", p.Name)
			say(topic+"/$datatype", p.Datatype)
			say(topic+"/$settable", strconv.FormatBool(p.Settable))
			say(topic+"/$retained", strconv.FormatBool(!p.Volatile))
			if p.Format != "" {
				say(topic+"/$format", p.Format)
			}
			if p.Unit != "" {
				say(topic+"/$unit", p.Unit)
			}
		}
		say(n.ID+"/$properties", strings.Join(properties, ","))
	}
	say("$homie", "4.0.0")
	say("$name", d.name())
	say("$extensions", "")
	say("$implementation", "esp8266")
	say("$nodes", strings.Join(nodes, ","))
	return out
}

// Step says what has changed, or is due.
func (d *Device) Step(now time.Time) []board.Message {
	if d.gone {
		return nil
	}
	every := d.Every
	if every == 0 {
		every = 10 * time.Second
	}
	due := now.Sub(d.said) >= every || len(d.last) == 0
	if due {
		d.said = now
	}
	var out []board.Message
	for _, n := range d.Nodes {
		for _, p := range n.Properties {
			if p.Volatile {
				continue
			}
			if p.Value != nil {
				if due {
					out = append(out, d.say(n, p, p.Value(now)))
				}
				continue
			}
			p.glide(now)
			if d.last[p] != p.value {
				out = append(out, d.say(n, p, p.value))
			}
		}
	}
	return out
}

func (d *Device) say(n *Node, p *Property, value string) board.Message {
	d.last[p] = value
	return d.keep(n.ID+"/"+p.ID, value, board.State)
}

// Happen has a property say something that is not kept.
func (d *Device) Happen(node, property, value string) []board.Message {
	return []board.Message{{Topic: d.base() + "/" + node + "/" + property, Payload: value}}
}

// glide moves a number towards where it goes.
func (p *Property) glide(now time.Time) {
	at, err := strconv.ParseFloat(p.value, 64)
	low, high, ok := p.limits()
	if !p.glides || err != nil || !ok {
		p.moved = now
		return
	}
	step := float64(now.Sub(p.moved)) / float64(p.Glide) * (high - low)
	p.moved = now
	if p.target > at {
		at = min(at+step, p.target)
	} else {
		at = max(at-step, p.target)
	}
	p.glides = at != p.target
	p.value = strconv.FormatFloat(at, 'f', 0, 64)
}

func (p *Property) limits() (low, high float64, ok bool) {
	a, b, _ := strings.Cut(p.Format, ":")
	b, _, _ = strings.Cut(b, ":")
	low, err := strconv.ParseFloat(a, 64)
	high, err2 := strconv.ParseFloat(b, 64)
	return low, high, err == nil && err2 == nil
}

// takes reports whether a payload is a value of a property.
func (p *Property) takes(payload string) bool {
	switch p.Datatype {
	case "boolean":
		return payload == "true" || payload == "false"
	case "enum":
		return slices.Contains(strings.Split(p.Format, ","), payload)
	case "integer", "float":
		v, err := strconv.ParseFloat(payload, 64)
		low, high, bounded := p.limits()
		return err == nil && (!bounded || v >= low && v <= high)
	case "color":
		return strings.Count(payload, ",") >= 2
	}
	return true
}

// Take sets a property. What it does not take it ignores, as the convention asks for.
func (d *Device) Take(now time.Time, topic, payload string) []board.Message {
	parts := strings.Split(strings.TrimPrefix(topic, d.base()+"/"), "/")
	if len(parts) != 3 || d.gone {
		return nil
	}
	for _, n := range d.Nodes {
		for _, p := range n.Properties {
			if n.ID != parts[0] || p.ID != parts[1] || !p.Settable || !p.takes(payload) {
				continue
			}
			if p.Glide > 0 {
				p.glide(now)
				p.target, _ = strconv.ParseFloat(payload, 64)
				p.glides = true
				var out []board.Message
				if d.Version != 4 {
					out = append(out, d.keep(n.ID+"/"+p.ID+"/$target", payload, board.State))
				}
				return append(out, d.Step(now)...)
			}
			if p.Volatile {
				return d.Happen(n.ID, p.ID, payload)
			}
			p.value = payload
			return []board.Message{d.say(n, p, payload)}
		}
	}
	return nil
}

// Stop says that the device goes.
func (d *Device) Stop() []board.Message { return []board.Message{d.state("disconnected")} }

// Rename gives the device another name.
func (d *Device) Rename(_ time.Time, on bool) []board.Message {
	d.renamed = on
	return append(append([]board.Message{d.state("init")}, d.describe(false)...), d.state("ready"))
}

// Vanish takes the device away: an empty $state, and all that was kept of it.
func (d *Device) Vanish(now time.Time, on bool) []board.Message {
	if d.gone = on; !on {
		return d.Start(now)
	}
	out := append([]board.Message{d.state("")}, d.describe(true)...)
	for _, n := range d.Nodes {
		for _, p := range n.Properties {
			if !p.Volatile {
				out = append(out, d.keep(n.ID+"/"+p.ID, "", board.Announcement))
			}
		}
	}
	return out
}
