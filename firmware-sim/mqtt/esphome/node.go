package esphome

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

const version = "2026.5.1"

// A Node is firmware. Its entities belong to it.
type Node struct {
	Name     string // in topics
	Title    string // its friendly name
	Area     string // empty: none
	MAC      string // 12 digits
	Board    string // default esp32dev
	Every    time.Duration
	Entities []Entity

	renamed bool
	gone    bool
	said    time.Time
	last    map[string]string // what each topic said
}

// An Entity is one of a node: Sensor, Binary, Text, Switch, Light, Cover, Climate, Fan, Lock, Number, Select or Button.
type Entity interface {
	about() *Common
	component() string
	// config adds what the entity announces; topic makes one of its topics.
	config(c map[string]any, topic func(string) string)
	// step brings it up to date and returns what its topics say; slow ones are what is said at reports only.
	step(now time.Time) (states []state)
	// take obeys a command on the topic that ends so.
	take(now time.Time, topic, payload string)
}

// A Common is what all entities have.
type Common struct {
	Name     string // empty: the node's own
	Icon     string
	Category string // config or diagnostic
}

func (c *Common) about() *Common { return c }

// A state is what a topic of an entity says.
type state struct {
	topic, value string
	slow         bool
}

// ID is the client's.
func (n *Node) ID() string { return n.Name + "-" + n.MAC }

// Will says that the node is offline.
func (n *Node) Will() board.Message { return n.presence("offline") }

func (n *Node) presence(word string) board.Message {
	return board.Message{Topic: n.Name + "/status", Payload: word, Retained: true, About: board.Presence}
}

// Filters are what it listens to.
func (n *Node) Filters() []string {
	return []string{n.Name + "/+/+/command", n.Name + "/+/+/+/command"}
}

// object is the id of an entity in topics.
func (n *Node) object(e Entity) string {
	name := cmp.Or(e.about().Name, n.Title, n.Name)
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, name)
}

func (n *Node) topicOf(e Entity) func(string) string {
	base := n.Name + "/" + e.component() + "/" + n.object(e) + "/"
	return func(end string) string { return base + end }
}

// announce announces all entities, or takes back what was announced.
func (n *Node) announce() []board.Message {
	var out []board.Message
	title := cmp.Or(n.Title, n.Name)
	if n.renamed {
		title += " 2"
	}
	device := map[string]any{"ids": n.MAC, "name": title, "sw": version + " (config hash 0x5b2c1f9e)", "mdl": cmp.Or(n.Board, "esp32dev"), "mf": "Espressif",
		"cns": [][]string{{"mac", n.MAC}}}
	if n.Area != "" {
		device["sa"] = n.Area
	}
	for _, e := range n.Entities {
		m := board.Message{Topic: "homeassistant/" + e.component() + "/" + n.Name + "/" + n.object(e) + "/config", Retained: true, About: board.Announcement}
		if !n.gone {
			about, topic := e.about(), n.topicOf(e)
			hash := fnv.New32()
			_, _ = hash.Write([]byte(cmp.Or(about.Name, n.Title)))
			c := map[string]any{"name": about.Name, "stat_t": topic("state"), "cmd_t": topic("command"), "avty_t": n.Name + "/status",
				"uniq_id": fmt.Sprintf("%s-%s-%08x", n.MAC, e.component(), hash.Sum32()), "dev": device}
			if about.Icon != "" {
				c["ic"] = about.Icon
			}
			if about.Category != "" {
				c["ent_cat"] = about.Category
			}
			e.config(c, topic)
			m.Payload = board.JSON(c)
		}
		out = append(out, m)
	}
	return out
}

// Start announces the node and says all states.
func (n *Node) Start(now time.Time) []board.Message {
	out := append([]board.Message{n.presence("online")}, n.announce()...)
	if n.gone {
		return out
	}
	n.last = map[string]string{}
	return append(out, n.Step(now)...)
}

// Step says what has changed, or is due.
func (n *Node) Step(now time.Time) []board.Message {
	if n.gone {
		return nil
	}
	every := n.Every
	if every == 0 {
		every = 10 * time.Second
	}
	due := now.Sub(n.said) >= every || len(n.last) == 0
	if due {
		n.said = now
	}
	var out []board.Message
	for _, e := range n.Entities {
		topic := n.topicOf(e)
		for _, s := range e.step(now) {
			full := topic(s.topic)
			last, told := n.last[full]
			if s.slow && !due || !s.slow && told && last == s.value {
				continue
			}
			n.last[full] = s.value
			out = append(out, board.Message{Topic: full, Payload: s.value, Retained: true})
		}
	}
	return out
}

// Take obeys a command, and says the states of that entity again.
func (n *Node) Take(now time.Time, topic, payload string) []board.Message {
	for _, e := range n.Entities {
		if end, ok := strings.CutPrefix(topic, n.Name+"/"+e.component()+"/"+n.object(e)+"/"); ok && !n.gone {
			e.take(now, end, payload)
			for _, s := range e.step(now) {
				if !s.slow {
					delete(n.last, n.topicOf(e)(s.topic))
				}
			}
			return n.Step(now)
		}
	}
	return nil
}

// Stop says that the node goes.
func (n *Node) Stop() []board.Message { return []board.Message{n.presence("offline")} }

// Rename gives the node another friendly name, as after an update of its firmware.
func (n *Node) Rename(_ time.Time, on bool) []board.Message {
	n.renamed = on
	return n.announce()
}

// Vanish takes the announcements back, as with discovery: clean, or makes them anew.
func (n *Node) Vanish(now time.Time, on bool) []board.Message {
	n.gone = on
	if on {
		return n.announce()
	}
	return n.Start(now)
}
