package tasmota

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"

	"tidings/drivers/mqtt/discovery"
)

const prefix = "tasmota/discovery/"

// maxTopic bounds the parts that topics are made of, in bytes; the firmware has room for 100 of a full topic.
const maxTopic = 128

// A Convention is Tasmota's own discovery. It belongs to one goroutine.
type Convention struct {
	seed    maphash.Seed
	devices map[string]*device
}

// New makes the convention.
func New() *Convention { return &Convention{seed: maphash.MakeSeed(), devices: map[string]*device{}} }

// Filters are the topics of announcements.
func (c *Convention) Filters() []string { return []string{prefix + "+/config", prefix + "+/sensors"} }

// Start has nothing to ask for: announcements are retained.
func (c *Convention) Start() []discovery.Message { return nil }

// A device is what is known of one.
type device struct {
	config  *config
	problem string
	sensors map[string]any

	configSum, sensorsSum uint64 // of the announcements; 0: there is none
}

// config is the announcement, with the names that the firmware gives its keys.
type config struct {
	Name     string           `json:"dn"`
	Friendly []*string        `json:"fn"`
	Host     string           `json:"hn"`
	Model    string           `json:"md"`
	Offline  string           `json:"ofln"`
	Online   string           `json:"onln"`
	Words    []string         `json:"state"` // off, on, toggle, hold
	Version  string           `json:"sw"`
	Topic    string           `json:"t"`
	Full     string           `json:"ft"`
	Prefixes []string         `json:"tp"` // commands, states, telemetry
	Relays   []int            `json:"rl"`
	Switches []int            `json:"swc"`
	Named    []*string        `json:"swn"`
	Buttons  []int            `json:"btn"`
	Options  map[string]int64 `json:"so"`
	Light    int              `json:"lt_st"`
	Shutters []int            `json:"sho"`

	mac string
}

// Take hears an announcement.
func (c *Convention) Take(m *discovery.Message) ([]string, []discovery.Message) {
	mac, what, _ := strings.Cut(strings.TrimPrefix(m.Topic, prefix), "/")
	if !strings.HasPrefix(m.Topic, prefix) || what != "config" && what != "sensors" || !isMAC(mac) || len(m.Payload) > discovery.MaxAnnouncement {
		return nil, nil
	}
	d := c.devices[mac]
	if d == nil {
		if len(c.devices) >= discovery.MaxDevices || len(m.Payload) == 0 {
			return nil, nil
		}
		d = &device{}
		c.devices[mac] = d
	}
	sum := &d.configSum
	if what == "sensors" {
		sum = &d.sensorsSum
	}
	said := uint64(0)
	if len(m.Payload) > 0 {
		said = maphash.Bytes(c.seed, m.Payload)
	}
	if said == *sum {
		return nil, nil
	}
	*sum = said
	switch what {
	case "config":
		d.config, d.problem = nil, ""
		if len(m.Payload) == 0 {
			delete(c.devices, mac)
			break
		}
		cfg := &config{mac: mac}
		if err := json.Unmarshal(m.Payload, cfg); err != nil {
			d.problem = fmt.Sprintf("its announcement is not what the firmware's is: %v", err)
			break
		}
		d.config = cfg
	case "sensors":
		d.sensors = nil
		if tree, err := m.JSON(); err == nil { // with its numbers as they were written
			root, _ := tree.(map[string]any)
			d.sensors, _ = root["sn"].(map[string]any)
		}
		if d.config == nil && d.problem == "" && d.sensors == nil {
			delete(c.devices, mac)
		}
	}
	return []string{mac}, nil
}

func isMAC(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789ABCDEFabcdef") == ""
}

// Device makes a device of its announcements.
func (c *Convention) Device(key string) *discovery.Device {
	d := c.devices[key]
	switch {
	case d == nil || d.config == nil && d.problem == "":
		return nil
	case d.problem != "":
		return &discovery.Device{Key: key, Address: prefix + key, Notes: []string{d.problem}, Available: never()}
	}
	cfg := d.config
	out := &discovery.Device{Key: key, Name: cfg.Name, Model: strings.TrimSpace("Tasmota " + cfg.Model), Version: cfg.Version, Address: prefix + key}
	if err := cfg.check(); err != nil {
		out.Notes, out.Available = []string{err.Error()}, never()
		return out
	}
	out.Address = cfg.telemetry("")
	out.Available = &discovery.Availability{Topics: []discovery.AvailabilityTopic{{Topic: cfg.telemetry("LWT"), Read: cfg.there}}}
	b := &builder{config: cfg, out: out, taken: map[string]bool{}}
	b.relays()
	b.inputs()
	b.sensors(d.sensors)
	b.signal()
	out.Ask = append(b.ask, *discovery.NewMessage(cfg.command("STATE"), nil), *discovery.NewMessage(cfg.command("STATUS"), []byte("10")))
	return out
}

// never is the availability of a device of which nothing can be heard.
func never() *discovery.Availability { return &discovery.Availability{Mode: discovery.Any} }

func (c *config) there(m *discovery.Message) (bool, error) {
	switch text := string(m.Payload); text {
	case c.Online:
		return true, nil
	case c.Offline:
		return false, nil
	}
	return false, fmt.Errorf("LWT says %s, which is neither %q nor %q", discovery.Quote(m.Payload), c.Online, c.Offline)
}

// check says what of an announcement cannot be worked with.
func (c *config) check() error {
	switch {
	case c.Topic == "" || c.Full == "" || len(c.Prefixes) < 3:
		return fmt.Errorf("it does not say its topics (t, ft, tp)")
	case max(len(c.Topic), len(c.Full), len(c.Host), len(c.Prefixes[0]), len(c.Prefixes[1]), len(c.Prefixes[2])) > maxTopic:
		return fmt.Errorf("its topics are longer than the firmware's can be")
	case strings.ContainsAny(c.command(""), "+#\x00") || strings.ContainsAny(c.telemetry("")+c.state(""), "+#\x00"):
		return fmt.Errorf("its topic %.60q has a wildcard", c.telemetry(""))
	case len(c.Relays) > 64 || len(c.Switches) > 64 || len(c.Buttons) > 64:
		return fmt.Errorf("it has more than 64 relays, switches or buttons")
	}
	if len(c.Words) < 2 {
		c.Words = []string{"OFF", "ON"}
	}
	if c.Online == "" && c.Offline == "" {
		c.Online, c.Offline = "Online", "Offline"
	}
	return nil
}

func (c *config) command(what string) string   { return c.full(0) + what }
func (c *config) state(what string) string     { return c.full(1) + what }
func (c *config) telemetry(what string) string { return c.full(2) + what }

// full is the full topic with one of the prefixes.
func (c *config) full(prefix int) string {
	if prefix >= len(c.Prefixes) {
		return ""
	}
	id := c.mac
	if len(id) == 12 {
		id = id[6:]
	}
	topic := strings.NewReplacer("%prefix%", c.Prefixes[prefix], "%topic%", c.Topic, "%hostname%", c.Host, "%id%", id).Replace(c.Full)
	if !strings.HasSuffix(topic, "/") {
		topic += "/"
	}
	return topic
}

func (c *config) option(number string) bool { return c.Options[number] != 0 }
