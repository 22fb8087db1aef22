package homeassistant

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
)

var goodName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// values are what a point of any kind is told to become.
var values = []devices.Value{{}, devices.Number(-1), devices.Number(50), devices.Number(1e300), devices.Bool(true), devices.Text("open"),
	devices.Text("None"), devices.Color(255, 136, 0), devices.Time(time.Unix(1767225600, 0))}

// FuzzAnnouncement announces anything beside something good, reads and sets all there is, and takes it back.
func FuzzAnnouncement(f *testing.F) {
	states := discoverytest.States(f, "testdata")
	for i, m := range discoverytest.Announcements(f, "testdata") {
		f.Add(m.Topic, m.Payload, states[i%len(states)].Payload)
	}
	f.Add("homeassistant/cover/x/config", []byte(`{"cmd_t":"c","set_pos_t":"p","pos_t":"p","pos_open":0,"pos_clsd":0,"tilt_min":5,"tilt_max":5,"tilt_cmd_t":"t"}`), []byte("1e400"))
	f.Add("homeassistant/fan/x/config", []byte(`{"cmd_t":"c","pct_cmd_t":"p","pct_stat_t":"p","spd_rng_min":9,"spd_rng_max":-9}`), []byte("NaN"))
	f.Add("homeassistant/device/x/config", []byte(`{"dev":{"ids":[null,{},[],"",1]},"cmps":{"":{"p":"light"},"a":null,"b":[]}}`), []byte("{}"))
	f.Fuzz(func(t *testing.T, topic string, payload, state []byte) {
		c := New(Options{})
		take(c, `sensor/lamp/power {"stat_t":"lamp","uniq_id":"lamp-power","dev":{"ids":["lamp"],"name":"Lamp"}}`)
		if c.Device("lamp") == nil {
			t.Fatal("no lamp")
		}
		changed, _ := c.Take(discovery.NewMessage(topic, payload))
		for _, key := range changed {
			if key == "" || len(key) > 400 || strings.ContainsAny(key, "\x00\n") {
				t.Fatalf("key %q", key)
			}
			if d := c.Device(key); d != nil {
				use(t, d, state)
			}
		}
		if d := c.Device("lamp"); topic != "homeassistant/sensor/lamp/power/config" && (d == nil || len(d.Points) == 0) {
			t.Fatal("it took the lamp")
		}
		c.Take(discovery.NewMessage(topic, nil))
		take(c, "sensor/lamp/power ")
		if n := len(c.announced) + len(c.owners) + len(c.groups.identities) + len(c.groups.named) + len(c.groups.anchored) + len(c.groups.keyed); n > 0 {
			t.Fatalf("%d things are left", n)
		}
	})
}

// use reads and sets everything of a device.
func use(t *testing.T, d *discovery.Device, state []byte) {
	if len(d.Points) > discovery.MaxPoints || len(d.Notes) > discovery.MaxNotes {
		t.Fatalf("%d points, %d notes", len(d.Points), len(d.Notes))
	}
	names := make(map[string]bool)
	for _, p := range d.Points {
		if !goodName.MatchString(p.Name) || names[p.Name] {
			t.Fatalf("point %q", p.Name)
		}
		names[p.Name] = true
		if p.Readable != (len(p.Sources) > 0) || p.Writable != (p.Write != nil) || p.Confirms && !(p.Readable && p.Writable) {
			t.Fatalf("point %s is %v, %v, %v", p.Name, p.Readable, p.Writable, p.Confirms)
		}
		if p.Low > p.High || p.Step < 0 || p.Kind == devices.KindChoice && len(p.Options)+len(p.States) == 0 {
			t.Fatalf("point %+v", p.Point)
		}
		for _, source := range p.Sources {
			if source.Topic == "" || strings.ContainsAny(source.Topic, "#\x00") {
				t.Fatalf("topic %q", source.Topic)
			}
			v, err := source.Read(discovery.NewMessage(source.Topic, state))
			if err != nil && !v.IsZero() {
				t.Fatalf("%v and %v", v, err)
			}
		}
		if p.Write == nil {
			continue
		}
		for _, v := range values {
			messages, err := p.Write(v)
			if len(messages) > 4 || err != nil && len(messages) > 0 {
				t.Fatalf("%s %v: %v, %v", p.Name, v, messages, err)
			}
			for _, m := range messages {
				if m.Topic == "" || strings.ContainsAny(m.Topic, "+#") {
					t.Fatalf("published on %q", m.Topic)
				}
			}
			if _, isNumber := v.Number(); isNumber && p.Kind == devices.KindSwitch && !errors.Is(err, devices.ErrValue) && err == nil {
				t.Fatalf("%s is a switch and took %v", p.Name, v)
			}
		}
	}
	for _, a := range append([]*discovery.Availability{d.Available}, availabilities(d)...) {
		if a != nil {
			for _, topic := range a.Topics {
				topic.Read(discovery.NewMessage(topic.Topic, state))
			}
		}
	}
}

func availabilities(d *discovery.Device) (all []*discovery.Availability) {
	for _, p := range d.Points {
		all = append(all, p.Available)
	}
	return all
}
