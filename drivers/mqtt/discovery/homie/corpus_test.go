package homie

import (
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
)

func TestCorpus(t *testing.T) {
	t.Parallel()
	discoverytest.Run(t, "testdata", func() discovery.Convention { return New(Options{}) })
}

// Half a description of version 4 is no device yet, and ids that are none are nobody's.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for topic, payload := range map[string]string{
		"homie/x/$name": "X", "homie/x/$nodes": "a", "homie/5/$description": "{}", "homie/5/a b/$description": "{}", "other/x/$homie": "4.0",
		"homie/" + strings.Repeat("x", 65) + "/$homie": "4.0", "homie/$homie": "4",
	} {
		changed, _ := c.Take(discovery.NewMessage(topic, []byte(payload)))
		for _, key := range changed {
			if d := c.Device(key); d != nil {
				t.Errorf("%s: %+v", topic, d)
			}
		}
	}
	if changed, _ := c.Take(discovery.NewMessage("homie/x/$homie", []byte("4.0.0"))); len(changed) != 1 || c.Device("x") == nil {
		t.Error("the device is not there when it is complete")
	}
}

// A description that cannot be read is a device that says why.
func TestBadDescription(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for payload, want := range map[string]string{"{": "is not what the convention has", strings.Repeat("x", discovery.MaxAnnouncement+1): "longer than"} {
		c.Take(discovery.NewMessage("homie/5/x/$description", []byte(payload)))
		d := c.Device("x")
		if d == nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], want) {
			t.Errorf("%.20q: %+v", payload, d)
		}
	}
}

// Brokers send what they kept in any order, and send it again at each connection.
func TestOrder(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take := func(topic, payload string) bool {
		changed, _ := c.Take(discovery.NewMessage("homie/5/x/"+topic, []byte(payload)))
		return len(changed) == 1
	}
	take("$alert/battery", "low")
	const description = `{"name": "X", "nodes": {"n": {"properties": {"p": {"datatype": "float"}}}}}`
	if !take("$description", description) {
		t.Fatal("nothing has changed")
	}
	d := c.Device("x")
	if d == nil || len(d.Points) != 2 || d.Points[1].Value != devices.Text("low") {
		t.Fatalf("an alert that comes before the description is lost: %+v", d)
	}
	if take("$description", description) || take("$alert/battery", "low") {
		t.Error("what says the same again changes something")
	}
	if !take("$description", "{") || !take("$description", "") || c.Device("x") != nil || len(c.devices) != 0 {
		t.Error("a device whose description could not be read stays when it is taken back")
	}
	take("$alert/battery", "low")
	take("$alert/battery", "")
	if len(c.devices) != 0 {
		t.Error("an alert that is over, of no device, is kept")
	}
}

func FuzzTake(f *testing.F) {
	for _, m := range discoverytest.Announcements(f, "testdata") {
		f.Add(m.Topic, m.Payload, []byte("rgb,1,2,3"))
	}
	f.Fuzz(func(t *testing.T, topic string, payload, state []byte) {
		c := New(Options{})
		c.Take(discovery.NewMessage("homie/x/$homie", []byte("4")))
		changed, _ := c.Take(discovery.NewMessage(topic, payload))
		for _, key := range changed {
			d := c.Device(key)
			if d == nil {
				continue
			}
			for _, p := range d.Points {
				for _, s := range p.Sources {
					_, _ = s.Read(discovery.NewMessage(s.Topic, state))
				}
				if p.Write != nil {
					for _, v := range []devices.Value{devices.Number(1e9), devices.Bool(true), devices.Text("x"), devices.Color(1, 2, 3)} {
						_, _ = p.Write(v)
					}
				}
			}
		}
	})
}
