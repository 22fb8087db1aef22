package tasmota

import (
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
)

func TestCorpus(t *testing.T) {
	t.Parallel()
	discoverytest.Run(t, "testdata", func() discovery.Convention { return New() })
}

// A device that has come is asked for what it would say only every five minutes.
func TestAsk(t *testing.T) {
	t.Parallel()
	c := New()
	for _, m := range discoverytest.Announcements(t, "testdata") {
		c.Take(m)
	}
	var got []string
	for _, m := range c.Device("84F3EB334455").Ask {
		got = append(got, strings.TrimSpace(m.Topic+" "+string(m.Payload)))
	}
	if s := strings.Join(got, ", "); s != "cmnd/bedroom/ShutterPosition1, cmnd/bedroom/STATE, cmnd/bedroom/STATUS 10" {
		t.Error(s)
	}
}

// What is no announcement of the firmware's is a device that says why, and never there.
func TestBadAnnouncements(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{`:          "not what the firmware's is",
		`{"dn":"x"}`: "does not say its topics",
		`{"dn":"x","t":"#","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"]}`: "has a wildcard",
		// Filled in, this would be a topic of gigabytes.
		`{"dn":"x","t":"` + strings.Repeat("t", 100_000) + `","ft":"` + strings.Repeat("%topic%", 15_000) + `","tp":["cmnd","stat","tele"]}`: "longer than",
	} {
		c := New()
		c.Take(discovery.NewMessage("tasmota/discovery/600194AABBCC/config", []byte(payload)))
		d := c.Device("600194AABBCC")
		if d == nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], want) || d.Available == nil || len(d.Points) > 0 {
			t.Errorf("%s: %+v", payload, d)
		}
	}
	for _, topic := range []string{"tasmota/discovery/x/config", "tasmota/discovery/600194AABBCC", "other/600194AABBCC/config"} {
		if changed, _ := New().Take(discovery.NewMessage(topic, []byte("{}"))); changed != nil {
			t.Errorf("%s: %v", topic, changed)
		}
	}
}

// Brokers send what they kept again at each connection.
func TestSameAgain(t *testing.T) {
	t.Parallel()
	c := New()
	for i := range 2 {
		for topic, payload := range map[string]string{"config": `{"dn":"x","t":"x","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"]}`, "sensors": `{"sn":{}}`} {
			changed, _ := c.Take(discovery.NewMessage("tasmota/discovery/600194AABBCC/"+topic, []byte(payload)))
			if len(changed) > 0 != (i == 0) {
				t.Errorf("%s, said %d times: %v", topic, i+1, changed)
			}
		}
	}
	if changed, _ := c.Take(discovery.NewMessage("tasmota/discovery/600194AABBCC/config", nil)); len(changed) != 1 || c.Device("600194AABBCC") != nil {
		t.Error("it stays when it is taken back")
	}
}

func FuzzTake(f *testing.F) {
	for _, m := range discoverytest.Announcements(f, "testdata") {
		f.Add(strings.HasSuffix(m.Topic, "/config"), m.Payload, []byte(`{"POWER":"ON"}`))
	}
	f.Fuzz(func(t *testing.T, isConfig bool, payload, state []byte) {
		c, topic := New(), "tasmota/discovery/600194AABBCC/sensors"
		if isConfig {
			topic = "tasmota/discovery/600194AABBCC/config"
		} else {
			c.Take(discovery.NewMessage("tasmota/discovery/600194AABBCC/config", []byte(`{"dn":"x","t":"x","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"]}`)))
		}
		c.Take(discovery.NewMessage(topic, payload))
		d := c.Device("600194AABBCC")
		if d == nil {
			return
		}
		for _, p := range d.Points {
			for _, s := range p.Sources {
				_, _ = s.Read(discovery.NewMessage(s.Topic, state))
			}
			if p.Write != nil {
				for _, v := range []devices.Value{devices.Number(1e9), devices.Bool(true), devices.Text("open"), devices.Color(1, 2, 3)} {
					_, _ = p.Write(v)
				}
			}
		}
	})
}
