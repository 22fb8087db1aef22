package shelly

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

// Options are what can be set.
type Options struct {
	Source string // the topic that answers come below; it is this gateway's alone
}

const (
	maxPrefix  = 200                      // bytes of a topic's prefix
	maxPending = 3 * discovery.MaxDevices // requests, the latest: all devices may come at once
	maxAnswers = 24 << 20                 // bytes of what all devices answer; in memory it is some times as much
	who        = "who"                    // the level of answers of devices that are not known yet
)

// methods are those that say all there is to know of a device.
var methods = []string{"Shelly.GetDeviceInfo", "Shelly.GetConfig", "Shelly.GetStatus"}

// A Convention asks Shelly devices what they are. It belongs to one goroutine.
type Convention struct {
	source     string
	devices    map[string]*device // by key
	at         map[string]string  // keys by prefix
	pending    map[int]asked      // by the id of a request
	last       int
	size       int // bytes of all answers that are known
	connection int // counts them
}

// asked is a request without an answer yet.
type asked struct{ prefix, method string }

// A device is what is known of one.
type device struct {
	key, prefix string
	info        info
	config      map[string]any
	status      map[string]any
	problem     string              // why it says nothing of itself
	refused     string              // the method that it says so of
	answers     map[string]answered // by method
	garbled     bool                // it has said what nobody can read, and nothing else since
}

// answered is an answer that came.
type answered struct {
	size       int // in bytes
	connection int // on which it came
}

// info is what Shelly.GetDeviceInfo answers.
type info struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Model   string `json:"model"`
	App     string `json:"app"`
	Version string `json:"ver"`
	Gen     int    `json:"gen"`
}

// New makes the convention.
func New(o Options) *Convention {
	return &Convention{source: o.Source, devices: map[string]*device{}, at: map[string]string{}, pending: map[int]asked{}}
}

// Filters are the topics on which devices say that they are there, and answer; a prefix may have two levels. What of their other
// messages changes what they are comes by their events.
func (c *Convention) Filters() []string {
	return []string{"+/online", "+/+/online", "+/events/rpc", "+/+/events/rpc", c.source + "/+/rpc"}
}

// Start has nothing to ask for: who is there has said so, retained. What devices are may have changed since the last connection.
func (c *Convention) Start() []discovery.Message {
	c.connection++
	return nil
}

// Take hears that a device is there, what it answers, and that it is set up otherwise.
func (c *Convention) Take(m *discovery.Message) ([]string, []discovery.Message) {
	if rest, ok := strings.CutPrefix(m.Topic, c.source+"/"); ok && strings.HasSuffix(rest, "/rpc") {
		return c.answer(m)
	}
	if prefix, ok := strings.CutSuffix(m.Topic, "/events/rpc"); ok {
		return nil, c.event(c.devices[c.at[prefix]], m)
	}
	prefix, ok := strings.CutSuffix(m.Topic, "/online")
	if !ok || len(prefix) > maxPrefix || strings.HasPrefix(prefix, "shellies/") { // those are the first generation's
		return nil, nil
	}
	switch string(m.Payload) {
	case "true":
		if m.Retained && c.complete(c.devices[c.at[prefix]]) { // the broker says again what it kept
			return nil, nil
		}
		return nil, c.askAll(prefix)
	case "":
		key := c.at[prefix]
		if key == "" {
			return nil, nil
		}
		for _, a := range c.devices[key].answers {
			c.size -= a.size
		}
		delete(c.at, prefix)
		delete(c.devices, key)
		return []string{key}, nil
	}
	return nil, nil
}

// event hears what a device says of itself, and returns what it is asked for that.
func (c *Convention) event(d *device, m *discovery.Message) (ask []discovery.Message) {
	if d == nil {
		return nil
	}
	doc, err := m.JSON()
	if err != nil {
		d.garbled = true
		return nil
	}
	if d.garbled { // what has not changed since it would not say again
		d.garbled = false
		ask = append(ask, c.askStatus(d))
	}
	if reconfigured(doc) {
		ask = append(ask, c.askAll(d.prefix)...)
	}
	return ask
}

// askStatus asks a device how it is, for its points.
func (c *Convention) askStatus(d *device) discovery.Message {
	return request(d.prefix, c.source+"/"+d.key, 0, "Shelly.GetStatus", nil)
}

// reconfigured reports whether a message says that a device is set up otherwise than before.
func reconfigured(doc any) bool {
	events, _ := discovery.In(doc, "params", "events")
	list, _ := events.([]any)
	for _, e := range list {
		if what, _ := discovery.In(e, "event"); what == "config_changed" || what == "component_added" || what == "component_removed" {
			return true
		}
	}
	return false
}

// complete reports whether a device has answered on this connection all that it is asked.
func (c *Convention) complete(d *device) bool {
	return d != nil && !slices.ContainsFunc(methods, func(method string) bool {
		a, came := d.answers[method]
		return !came || a.connection != c.connection
	})
}

// askAll asks a device all that there is to know.
func (c *Convention) askAll(prefix string) []discovery.Message {
	var out []discovery.Message
	for _, method := range methods {
		c.last++
		delete(c.pending, c.last-maxPending) // it was never answered
		c.pending[c.last] = asked{prefix, method}
		out = append(out, request(prefix, c.source+"/"+who, c.last, method, nil))
	}
	return out
}

// request is a call of a method. See https://shelly-api-docs.shelly.cloud/gen2/General/RPCProtocol.
func request(prefix, source string, id int, method string, params map[string]any) discovery.Message {
	call := struct {
		ID     int            `json:"id"`
		Source string         `json:"src"`
		Method string         `json:"method"`
		Params map[string]any `json:"params,omitempty"`
	}{id, source, method, params}
	payload, _ := json.Marshal(call) // of plain values: it cannot fail
	return *discovery.NewMessage(prefix+"/rpc", payload)
}

// answer hears what a device answers to the questions of askAll.
func (c *Convention) answer(m *discovery.Message) ([]string, []discovery.Message) {
	of := strings.TrimSuffix(strings.TrimPrefix(m.Topic, c.source+"/"), "/rpc")
	if of != who {
		if d := c.devices[of]; d != nil {
			_, err := m.JSON()
			d.garbled = d.garbled || err != nil
		}
		return nil, nil
	}
	if len(m.Payload) > discovery.MaxAnnouncement {
		return nil, nil
	}
	doc, err := m.JSON()
	if err != nil {
		return nil, nil
	}
	number, _ := discovery.In(doc, "id")
	text, _ := discovery.Scalar(number)
	id, err := strconv.Atoi(text)
	question, ours := c.pending[id]
	if err != nil || !ours {
		return nil, nil
	}
	delete(c.pending, id)
	source, _ := discovery.In(doc, "src")
	d, changed := c.known(question.prefix, discovery.Text(source))
	if d == nil {
		return nil, nil
	}
	if c.hear(d, question.method, doc, m.Payload) || changed {
		return []string{d.key}, nil
	}
	return nil, nil
}

// hear takes an answer of a device, and reports whether it says anything else than before.
func (c *Convention) hear(d *device, method string, doc any, payload []byte) bool {
	size := d.answers[method].size
	defer func() { d.answers[method] = answered{size, c.connection} }()
	before := d.problem
	if failure, ok := discovery.In(doc, "error"); ok {
		d.problem, d.refused = refusal(failure), method
		return d.problem != before
	}
	if c.size+len(payload)-size > maxAnswers {
		d.problem, d.refused = "there is no room for what it says, beside what all others say", method
		return d.problem != before
	}
	c.size += len(payload) - size
	size = len(payload)
	if d.refused == method {
		d.problem, d.refused = "", ""
	}
	result, _ := discovery.In(doc, "result")
	what, _ := result.(map[string]any)
	changed := d.problem != before
	switch method {
	case "Shelly.GetDeviceInfo":
		var answer struct {
			Result info `json:"result"`
		}
		if json.Unmarshal(payload, &answer) == nil {
			changed = changed || d.info != answer.Result
			d.info = answer.Result
		}
	case "Shelly.GetConfig":
		changed = changed || !reflect.DeepEqual(d.config, what)
		d.config = what
	case "Shelly.GetStatus":
		changed = changed || (d.status == nil) != (what == nil) || !alike(d.status, what)
		d.status = what
	}
	return changed
}

// lasting are the values of a status that say what a device is, and not how it is at the moment.
var lasting = []string{"pos_control", "wakeup_period"}

// alike reports whether two statuses have the same parts, and the same lasting values.
func alike(x, y any) bool {
	a, isMap := x.(map[string]any)
	b, both := y.(map[string]any)
	if !isMap || !both {
		return isMap == both
	}
	if len(a) != len(b) {
		return false
	}
	for key, of := range a {
		other, has := b[key]
		if !has || !alike(of, other) || slices.Contains(lasting, key) && !reflect.DeepEqual(of, other) {
			return false
		}
	}
	return true
}

func refusal(failure any) string {
	if code, _ := discovery.In(failure, "code"); code == json.Number("401") {
		return "it wants a password for what is asked of it: turn its authentication off, which the broker's users stand in for"
	}
	message, _ := discovery.In(failure, "message")
	return fmt.Sprintf("it does not say what it is: %.100v", message)
}

// known is the device with a prefix, by the id that it answers with, and whether it was not there before.
func (c *Convention) known(prefix, key string) (d *device, changed bool) {
	if !isID(key) {
		return nil, false
	}
	if was := c.at[prefix]; was != "" && was != key {
		return nil, false // a device is at one place, and a place has one device, until it is taken back
	}
	d = c.devices[key]
	switch {
	case d != nil && d.prefix == prefix:
		return d, false
	case d != nil: // its prefix was changed; what it said before holds until its other answers have come
		delete(c.at, d.prefix)
		moved := *d
		moved.prefix = prefix
		for method, a := range moved.answers {
			a.connection = elsewhere
			moved.answers[method] = a
		}
		d = &moved
	case len(c.devices) >= discovery.MaxDevices:
		return nil, false
	default:
		d = &device{key: key, prefix: prefix, answers: map[string]answered{}}
	}
	c.devices[key], c.at[prefix] = d, key
	return d, true
}

// elsewhere is the connection of answers that came from another place.
const elsewhere = -1

// isID reports whether a text is an id of the maker's, "shellyplus1pm-a8032ab12345", which is also a level of a topic.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Device makes a device of what it has answered.
func (c *Convention) Device(key string) *discovery.Device {
	d := c.devices[key]
	if d == nil {
		return nil
	}
	out := &discovery.Device{Key: key, Name: d.info.Name, Model: strings.TrimSpace("Shelly " + d.info.App), Version: d.info.Version, Address: d.prefix}
	if d.info.Model != "" {
		out.Model += " (" + d.info.Model + ")"
	}
	out.Available = &discovery.Availability{Topics: []discovery.AvailabilityTopic{{Topic: d.prefix + "/online", Read: there}}}
	switch {
	case d.problem != "":
		out.Notes = []string{d.problem}
		return out
	case d.info.ID == "" || d.config == nil || d.status == nil: // its other answers are under way
		return nil
	}
	if out.Name == "" {
		name, _ := discovery.In(d.config, "sys", "device", "name")
		out.Name = discovery.Text(name)
	}
	b := &builder{device: d, source: c.source + "/" + key, out: out, taken: map[string]bool{}}
	b.build()
	if sleep := d.sleeps(); sleep > 0 {
		out.Available, out.Silence = nil, 2*sleep
		return out
	}
	out.Ask = []discovery.Message{c.askStatus(d)}
	return out
}

func there(m *discovery.Message) (bool, error) {
	switch string(m.Payload) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("online says %s, which is neither true nor false", discovery.Quote(m.Payload))
}
