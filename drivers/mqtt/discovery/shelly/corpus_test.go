package shelly

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
)

func newTest() *Convention { return New(Options{Source: "tidings-test"}) }

func TestCorpus(t *testing.T) {
	t.Parallel()
	discoverytest.Run(t, "testdata", func() discovery.Convention { return newTest() })
}

// hear has a convention hear a topic and a payload a time.
func hear(c *Convention, lines ...string) (changed []string) {
	for i := 0; i < len(lines); i += 2 {
		changed, _ = c.Take(discovery.NewMessage(lines[i], []byte(lines[i+1])))
	}
	return changed
}

// How warm the device itself is comes behind what people have it for.
func TestDeviceTemperature(t *testing.T) {
	t.Parallel()
	c := newTest()
	hear(c, "one/online", "true", "tidings-test/who/rpc", `{"id":1,"src":"one-1","result":{"id":"one-1"}}`,
		"tidings-test/who/rpc", `{"id":2,"src":"one-1","result":{}}`,
		"tidings-test/who/rpc", `{"id":3,"src":"one-1","result":{"switch:0":{"id":0,"output":true,"temperature":{"tC":48.1}},"temperature:100":{"id":100,"tC":21}}}`)
	minor := map[string]bool{}
	for _, p := range c.Device("one-1").Points {
		minor[p.Name] = p.Minor
	}
	if len(minor) != 3 || minor["power"] || minor["temperature"] || !minor["device_temperature"] {
		t.Errorf("%v", minor)
	}
}

// A device that sleeps is there while it has not been silent for too long, and is asked nothing when it comes.
func TestSleeper(t *testing.T) {
	t.Parallel()
	c := newTest()
	hear(c, "ht/online", "true", "tidings-test/who/rpc", `{"id":1,"src":"ht-1","result":{"id":"ht-1"}}`,
		"tidings-test/who/rpc", `{"id":2,"src":"ht-1","result":{}}`,
		"tidings-test/who/rpc", `{"id":3,"src":"ht-1","result":{"sys":{"wakeup_period":7200}}}`)
	d := c.Device("ht-1")
	if d == nil || d.Available != nil || d.Silence != 4*time.Hour || d.Ask != nil {
		t.Errorf("%+v", d)
	}
}

// What is not asked for is no answer, and no device can take the place of another.
func TestStrangers(t *testing.T) {
	t.Parallel()
	c := newTest()
	info := func(id, src string) []string {
		return []string{"tidings-test/who/rpc", `{"id":` + id + `,"src":"` + src + `","result":{"id":"` + src + `"}}`}
	}
	if changed := hear(c, info("1", "x-1")...); changed != nil {
		t.Errorf("an answer to nothing: %v", changed)
	}
	hear(c, "a/online", "true")
	if changed := hear(c, info("1", "x-1")...); len(changed) != 1 {
		t.Errorf("an answer: %v", changed)
	}
	if changed := hear(c, info("1", "x-1")...); changed != nil {
		t.Errorf("an answer twice: %v", changed)
	}
	if changed := hear(c, info("2", "x-2")...); changed != nil {
		t.Errorf("another device at the same place: %v", changed)
	}
	if changed := hear(c, info("3", "#/+")...); changed != nil {
		t.Errorf("an id that is none: %v", changed)
	}
	if _, publish := c.Take(discovery.NewMessage("shellies/shelly1-AABBCC/online", []byte("true"))); publish != nil {
		t.Errorf("the first generation is asked: %v", publish)
	}
	// One that wants a password says so.
	hear(c, "b/online", "true", "tidings-test/who/rpc", `{"id":4,"src":"y-1","error":{"code":401,"message":"{}"}}`)
	if d := c.Device("y-1"); d == nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "password") {
		t.Errorf("%+v", d)
	}
}

// One that wants a password tells what it is without, each time that it is asked, and stays what it was.
func TestPassword(t *testing.T) {
	t.Parallel()
	c := newTest()
	for i := range 2 {
		hear(c, "b/online", "true")
		for j, answer := range []string{`"result":{"id":"y-1"}`, `"error":{"code":401,"message":"{}"}`, `"error":{"code":401,"message":"{}"}`} {
			hear(c, "tidings-test/who/rpc", fmt.Sprintf(`{"id":%d,"src":"y-1",%s}`, 3*i+j+1, answer))
			if d := c.Device("y-1"); i+j > 0 && (d == nil || len(d.Notes) != 1) {
				t.Errorf("after answer %d of %d: %+v", j+1, i+1, d)
			}
		}
	}
}

// All devices of a large house may be there when the gateway comes, and answer when each has been asked.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newTest()
	const many = 1000
	for i := range many {
		hear(c, fmt.Sprintf("s%d/online", i), "true")
	}
	for i := range 3 * many {
		hear(c, "tidings-test/who/rpc", fmt.Sprintf(`{"id":%d,"src":"s-%d","result":{"id":"x"}}`, i+1, i/3))
	}
	for i := range many {
		if c.Device(fmt.Sprintf("s-%d", i)) == nil {
			t.Fatalf("device %d is not there", i)
		}
	}
	for range maxPending {
		hear(c, "nobody/online", "true")
	}
	if len(c.pending) > maxPending {
		t.Errorf("%d requests are remembered", len(c.pending))
	}
}

// A device is asked once a connection, and when it comes, but not each time that the broker says what it kept; the same answers
// again make nothing of it.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	c := newTest()
	status := func(watts int, more string) string {
		return fmt.Sprintf(`{"switch:0":{"id":0,"output":%t,"apower":%d},"sys":{"uptime":%d}%s}`, watts > 0, watts, 3*watts, more)
	}
	// once has the device come, and answer what it is asked. It returns how often it was asked, and whether that changed it.
	once := func(retained bool, name, status string) (asked int, changed bool) {
		online := discovery.NewMessage("x/online", []byte("true"))
		online.Retained = retained
		_, publish := c.Take(online)
		for i, m := range publish {
			var call struct{ ID int }
			if err := json.Unmarshal(m.Payload, &call); err != nil {
				t.Fatal(err)
			}
			result := []string{`{"id":"x-1","name":"` + name + `"}`, `{"switch:0":{"name":null}}`, status}[i]
			keys, _ := c.Take(discovery.NewMessage("tidings-test/who/rpc", fmt.Appendf(nil, `{"id":%d,"src":"x-1","result":%s}`, call.ID, result)))
			changed = changed || len(keys) > 0
		}
		return len(publish), changed
	}
	for _, s := range []struct {
		what         string
		connect      bool
		retained     bool
		name, status string
		asked        int
		changed      bool
	}{
		{"the first time", true, true, "X", status(0, ""), 3, true},
		{"kept, as the broker says again", false, true, "X", status(1, ""), 0, false},
		{"at the next connection", true, true, "X", status(2, ""), 3, false},
		{"come again", false, false, "X", status(0, ""), 3, false},
		{"with another name", false, false, "Y", status(3, ""), 3, true},
		{"with another part", true, true, "Y", status(3, `,"temperature:100":{"tC":20}`), 3, true},
		{"with a value that says what it is", false, false, "Y", status(3, `,"cover:0":{"pos_control":false}`), 3, true},
		{"with another of these", false, false, "Y", status(3, `,"cover:0":{"pos_control":true}`), 3, true},
		{"kept then", false, true, "Y", status(3, ""), 0, false},
	} {
		if s.connect {
			c.Start()
		}
		if asked, changed := once(s.retained, s.name, s.status); asked != s.asked || changed != s.changed {
			t.Errorf("%s: asked %d times, changed: %t", s.what, asked, changed)
		}
	}
}

// A device whose prefix was changed is the same device at another place.
func TestMoved(t *testing.T) {
	t.Parallel()
	c := newTest()
	all := func(prefix string, first int, lines ...string) {
		hear(c, prefix+"/online", "true")
		for i, result := range []string{`{"id":"x-1","name":"X"}`, `{}`, `{"switch:0":{"output":true}}`} {
			hear(c, "tidings-test/who/rpc", `{"id":`+string(rune('0'+first+i))+`,"src":"x-1","result":`+result+`}`)
		}
	}
	all("old", 1)
	hear(c, "new/online", "true", "tidings-test/who/rpc", `{"id":4,"src":"x-1","result":{"id":"x-1","name":"X"}}`)
	if d := c.Device("x-1"); d == nil || d.Address != "new" || len(d.Points) != 1 {
		t.Errorf("while its other answers are under way: %+v", d)
	}
	hear(c, "old/online", "")
	all("new", 7)
	if d := c.Device("x-1"); d == nil || d.Address != "new" {
		t.Errorf("%+v", d)
	}
	if changed := hear(c, "old/online", ""); changed != nil {
		t.Errorf("the old place takes it along: %v", changed)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, m := range discoverytest.Announcements(f, "testdata") {
		f.Add(m.Payload, []byte(`{"params":{"switch:0":{"output":true}}}`))
	}
	f.Fuzz(func(t *testing.T, answer, state []byte) {
		c := newTest()
		hear(c, "x/online", "true", "tidings-test/who/rpc", `{"id":1,"src":"x-1","result":{"id":"x-1"}}`)
		for _, id := range []string{"2", "3"} {
			payload := `{"id":` + id + `,"src":"x-1","result":` + string(answer) + `}`
			hear(c, "tidings-test/who/rpc", payload)
		}
		c.Take(discovery.NewMessage("tidings-test/who/rpc", answer))
		for key := range c.devices {
			d := c.Device(key)
			if d == nil {
				continue
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
		}
	})
}

// TestRoomForAnswers: what devices answer has an end, and there is room again when one goes.
func TestRoomForAnswers(t *testing.T) {
	t.Parallel()
	c := New(Options{Source: "us"})
	filler := strings.Repeat("x", 240_000)
	answer := func(i int) *discovery.Device {
		prefix := fmt.Sprintf("shelly-%d", i)
		_, asked := c.Take(discovery.NewMessage(prefix+"/online", []byte("true")))
		for _, m := range asked {
			var call struct {
				ID int `json:"id"`
			}
			if err := json.Unmarshal(m.Payload, &call); err != nil {
				t.Fatal(err)
			}
			c.Take(discovery.NewMessage("us/who/rpc", fmt.Appendf(nil, `{"id":%d,"src":%q,"result":{"id":%q,"filler":%q}}`, call.ID, prefix, prefix, filler)))
		}
		return c.Device(prefix)
	}
	full := 0
	for i := range 45 {
		if d := answer(i); d == nil {
			t.Fatal("a device says nothing")
		} else if len(d.Notes) > 0 && strings.Contains(d.Notes[0], "no room") {
			full++
		}
	}
	if full < 5 || full > 20 || c.size > maxAnswers {
		t.Errorf("%d of 45 have no room, %d bytes are kept", full, c.size)
	}
	c.Take(discovery.NewMessage("shelly-0/online", nil))
	if d := answer(44); d == nil || len(d.Notes) > 0 {
		t.Errorf("there is no room after one has gone: %+v", d)
	}
}
