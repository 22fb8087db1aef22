package homie

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

// Options are what can be set.
type Options struct {
	Prefix string // of the topics ("domain" in version 5); empty: homie
}

// Bounds of one device.
const (
	maxID     = 64 // bytes of an id
	maxAlerts = 20
	maxText   = 1024 // bytes of an attribute or an alert
)

// A Convention is Homie, versions 5 and 4. It belongs to one goroutine.
type Convention struct {
	prefix  string
	seed    maphash.Seed
	devices map[string]*device
}

// A device is what is known of one.
type device struct {
	key    string
	alerts map[string]string // version 5, with those that are over; they may come before the description

	description *description // version 5
	problem     string       // why there is none
	sum         uint64       // of what was said of it

	attributes map[string]string // version 4, by what follows the device in their topics
}

// New makes the convention.
func New(o Options) *Convention {
	if o.Prefix = strings.Trim(o.Prefix, "/"); o.Prefix == "" {
		o.Prefix = "homie"
	}
	return &Convention{prefix: o.Prefix, seed: maphash.MakeSeed(), devices: map[string]*device{}}
}

// The attributes of version 4 by their depth: those of a device, of a node and of a property.
var (
	ofDevice   = []string{"$homie", "$name", "$nodes", "$implementation", "$fw/version"}
	ofNode     = []string{"$name", "$properties"}
	ofProperty = []string{"$name", "$datatype", "$format", "$settable", "$retained", "$unit"}
)

// Filters are the topics of descriptions. The states of devices are availability topics of theirs.
func (c *Convention) Filters() []string {
	filters := []string{c.prefix + "/5/+/$description", c.prefix + "/5/+/$alert/+"}
	for wildcards, attributes := range map[string][]string{"/+/": ofDevice, "/+/+/": ofNode, "/+/+/+/": ofProperty} {
		for _, a := range attributes {
			filters = append(filters, c.prefix+wildcards+a)
		}
	}
	slices.Sort(filters)
	return filters
}

// Start has nothing to ask for.
func (c *Convention) Start() []discovery.Message { return nil }

// Take hears an attribute.
func (c *Convention) Take(m *discovery.Message) ([]string, []discovery.Message) {
	rest, ok := strings.CutPrefix(m.Topic, c.prefix+"/")
	if !ok {
		return nil, nil
	}
	if five, ok := strings.CutPrefix(rest, "5/"); ok {
		id, attribute, _ := strings.Cut(five, "/")
		return c.take(id, func(d *device) bool { return d.five(c.seed, attribute, m.Payload) }), nil
	}
	id, attribute, _ := strings.Cut(rest, "/")
	return c.take(id, func(d *device) bool { return d.four(attribute, string(m.Payload)) }), nil
}

// take has a device hear something, and returns whom that changes.
func (c *Convention) take(id string, hear func(*device) bool) []string {
	if !isID(id) {
		return nil
	}
	d := c.devices[id]
	if d == nil {
		if len(c.devices) >= discovery.MaxDevices {
			return nil
		}
		d = &device{key: id, alerts: map[string]string{}, attributes: map[string]string{}}
	}
	if !hear(d) {
		return nil
	}
	if c.devices[id] = d; d.empty() {
		delete(c.devices, id)
	}
	return []string{id}
}

// isID reports whether a topic's level is an id of a device: lower-case letters, digits and hyphens in both versions; capitals and
// underscores are seen in the wild.
func isID(s string) bool {
	return s != "" && s != "5" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

func (d *device) empty() bool {
	for _, text := range d.alerts {
		if text != "" {
			return false
		}
	}
	return d.description == nil && d.problem == "" && len(d.attributes) == 0
}

func (d *device) root() string {
	if d.description == nil || d.description.Root == d.key || !isID(d.description.Root) {
		return ""
	}
	return d.description.Root
}

// five hears an attribute of version 5. It reports whether something else is known now.
func (d *device) five(seed maphash.Seed, attribute string, payload []byte) bool {
	if attribute == "$description" {
		known, sum := d.description != nil || d.problem != "", maphash.Bytes(seed, payload)
		if known && sum == d.sum {
			return false
		}
		d.description, d.problem, d.sum = nil, "", sum
		if len(payload) == 0 {
			clear(d.alerts)
			return known
		}
		var err error
		if d.description, err = parseDescription(payload); err != nil {
			d.problem = err.Error()
		}
		return true
	}
	id, ok := strings.CutPrefix(attribute, "$alert/")
	if !ok || !isID(id) || len(payload) > maxText {
		return false
	}
	before, known := d.alerts[id]
	if !known && (len(payload) == 0 || len(d.alerts) >= maxAlerts) {
		return false
	}
	d.alerts[id] = string(payload)
	return !known || before != string(payload)
}

// four hears an attribute of version 4.
func (d *device) four(attribute, text string) bool {
	if len(text) > maxText || len(attribute) > 3*maxID {
		return false
	}
	before, known := d.attributes[attribute]
	switch {
	case text == "":
		delete(d.attributes, attribute)
		return known
	case !known && len(d.attributes) >= 8*discovery.MaxPoints:
		return false
	}
	d.attributes[attribute] = text
	return before != text
}

// Device makes a device of its description, or of its attributes.
func (c *Convention) Device(key string) *discovery.Device {
	d := c.devices[key]
	if d == nil {
		return nil
	}
	base := c.prefix + "/" + key
	about := d.description
	switch {
	case about != nil || d.problem != "":
		base = c.prefix + "/5/" + key
	case d.attributes["$homie"] != "":
		about = d.assembled()
	default: // not all of it has come yet
		return nil
	}
	out := &discovery.Device{Key: key, Address: base}
	out.Available = &discovery.Availability{Mode: discovery.All, Topics: []discovery.AvailabilityTopic{state(base)}}
	if root := d.root(); root != "" {
		out.Available.Topics = append(out.Available.Topics, state(c.prefix+"/5/"+root))
	}
	if about == nil {
		out.Notes = []string{d.problem}
		return out
	}
	out.Name, out.Model, out.Version = about.Name, about.Type, about.firmware
	build(out, base, about)
	for _, id := range slices.Sorted(maps.Keys(d.alerts)) {
		out.Points = append(out.Points, alert(id, d.alerts[id]))
	}
	return out
}

// state is the topic that says how a device is.
func state(base string) discovery.AvailabilityTopic {
	return discovery.AvailabilityTopic{Topic: base + "/$state", Read: func(m *discovery.Message) (bool, error) {
		switch s := string(m.Payload); s {
		case "ready", "sleeping", "alert":
			return true, nil
		case "init", "disconnected", "lost":
			return false, nil
		}
		return false, errState(m.Payload)
	}}
}

// A description is what a device says of itself, in the words of version 5.
type description struct {
	Name  string           `json:"name"`
	Type  string           `json:"type"`
	Root  string           `json:"root"`
	Nodes map[string]*node `json:"nodes"`

	firmware string
	order    []string // of the nodes; nil: by their ids
}

type node struct {
	Name       string               `json:"name"`
	Type       string               `json:"type"`
	Properties map[string]*property `json:"properties"`

	order []string
}

type property struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Format   string `json:"format"`
	Unit     string `json:"unit"`
	Settable bool   `json:"settable"`
	Retained *bool  `json:"retained"` // nil: it is

	five bool // it is of version 5
}

func parseDescription(payload []byte) (*description, error) {
	if len(payload) > discovery.MaxAnnouncement {
		return nil, errTooLong
	}
	var d description
	if err := json.Unmarshal(payload, &d); err != nil {
		return nil, errJSON(err)
	}
	for _, n := range d.Nodes {
		if n == nil {
			continue
		}
		for _, p := range n.Properties {
			if p != nil {
				p.five = true
			}
		}
	}
	return &d, nil
}

// assembled is the description that the attributes of version 4 are.
func (d *device) assembled() *description {
	a := d.attributes
	out := &description{Name: a["$name"], Type: a["$implementation"], firmware: a["$fw/version"], Nodes: map[string]*node{}}
	properties := 0
	for id := range strings.SplitSeq(a["$nodes"], ",") {
		id = strings.TrimSuffix(strings.TrimSpace(id), "[]") // a list of version 3, whose nodes are not read
		if !isID(id) || out.Nodes[id] != nil {
			continue
		}
		n := &node{Name: a[id+"/$name"], Type: a[id+"/$type"], Properties: map[string]*property{}}
		for p := range strings.SplitSeq(a[id+"/$properties"], ",") {
			p = strings.TrimSuffix(strings.TrimSpace(p), ":settable")
			if !isID(p) || n.Properties[p] != nil || properties == 8*discovery.MaxPoints {
				continue
			}
			properties++
			at := id + "/" + p + "/"
			retained := a[at+"$retained"] != "false"
			n.Properties[p] = &property{Name: a[at+"$name"], Datatype: a[at+"$datatype"], Format: a[at+"$format"], Unit: a[at+"$unit"],
				Settable: a[at+"$settable"] == "true", Retained: &retained}
			n.order = append(n.order, p)
		}
		out.Nodes[id] = n
		out.order = append(out.order, id)
	}
	return out
}
