package mapping

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// house is the file most tests start from.
const house = `
[access]
"alice@example.org" = "admin"
"*@family.example.org" = "operator"
"bob@example.net" = { role = "viewer", devices = ["greenhouse", "door*"] }

[drivers.attic]
type = "serial"
offline_after = "2m"

[drivers.pins]
type = "gpio"

[devices.greenhouse]
driver = "attic"
name = "Greenhouse"
location = "Garden"
settle = "10s"
[devices.greenhouse.points.temperature]
class = "temperature"
scale = 0.1
precision = 1
min = -40
max = 80
deadband = 0.2
[devices.greenhouse.points.humidity]
unit = "%"
[devices.greenhouse.points.target]
unit = "°C"
range = [5, 30]
step = 0.5
[devices.greenhouse.points.pump]
kind = "switch"
danger = true
safe = false
[devices.greenhouse.points.mode]
kind = "choice"
options = ["Auto", "Heat", "Off"]

[devices.front-door]
driver = "pins"
name = "Front door"
settle = "0s"
[devices.front-door.points.open]
kind = "switch"
[devices.front-door.points.bell]
kind = "action"
`

// testTypes are the types of the house's drivers, as far as mapping cares.
var testTypes = map[string]devices.Type{"attic": {Kind: devices.KindNumber}, "pins": {Kind: devices.KindSwitch}}

// options are those of a component.
func options() ReadOptions {
	return ReadOptions{Mode: Component, Layout: LayoutContact, Domain: "things.example.org", Hub: "home", Types: testTypes}
}

// readFile reads a file as the gateway does, without a driver's own keys, and returns its mistakes, a line each.
func readFile(t testing.TB, file string, o ReadOptions) (*Config, []string) {
	t.Helper()
	root, err := schema.Parse("gateway.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range root.Table("devices").Tables() {
		d.Check(schema.Spec{Keys: DeviceKeys})
		for _, p := range d.Table("points").Tables() {
			CheckPoint(p, schema.Join(PointKeys, []schema.Key{{Name: "on", Kind: schema.String}, {Name: "source", Kind: schema.String}}))
		}
	}
	for _, a := range root.Table("alerts").Tables() {
		a.Check(schema.Spec{Keys: AlertKeys})
	}
	cfg := Read(root, o)
	var out []string
	for _, p := range root.Problems().All() {
		out = append(out, p.String())
	}
	return cfg, out
}

// mustParse is readFile of a file without mistakes.
func mustParse(t testing.TB, file string) *Config {
	t.Helper()
	cfg, problems := readFile(t, file, options())
	if len(problems) > 0 {
		t.Fatalf("mistakes:\n%s", strings.Join(problems, "\n"))
	}
	return cfg
}

// greenhouseInfo is what the driver announces for the house's greenhouse.
func greenhouseInfo() devices.Info {
	return devices.Info{ID: "greenhouse", Driver: "attic", Address: "/dev/ttyUSB0", Silence: 5 * time.Minute, Points: []devices.Point{
		{Name: "temperature", Kind: devices.KindNumber, Readable: true},
		{Name: "humidity", Kind: devices.KindNumber, Readable: true},
		{Name: "target", Kind: devices.KindNumber, Readable: true, Writable: true, Confirms: true},
		{Name: "pump", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
		{Name: "mode", Kind: devices.KindChoice, Readable: true, Writable: true},
	}}
}

func doorInfo() devices.Info {
	return devices.Info{ID: "front-door", Driver: "pins", Points: []devices.Point{
		{Name: "open", Kind: devices.KindSwitch, Readable: true},
		{Name: "bell", Kind: devices.KindAction, Writable: true},
	}}
}

// A world runs rules on a clock of its own and writes down what they intend, a line each.
type world struct {
	t     testing.TB
	rules *Rules
	reg   *devices.Registry
	start time.Time
	now   time.Time
	lines []string
}

func newWorld(t testing.TB, file string) *world {
	reg := devices.NewRegistry()
	start := time.Now()
	return &world{t: t, rules: NewRules(mustParse(t, file), reg, RulesOptions{}), reg: reg, start: start, now: start}
}

// note writes intents down as "12s presence greenhouse online: 21.4 °C".
func (w *world) note(intents []Intent) {
	for _, intent := range intents {
		at := w.now.Sub(w.start).Round(time.Millisecond)
		switch i := intent.(type) {
		case Presence:
			state := "offline"
			if i.Online {
				state = "online"
			}
			if i.Show != "" {
				state += " " + i.Show
			}
			w.lines = append(w.lines, fmt.Sprintf("%v %s %s: %s", at, i.Device, state, i.Status))
		case Alert:
			kind := occasionNames[i.Occasion]
			if i.Occasion == Begun {
				kind = "alert"
			}
			w.lines = append(w.lines, fmt.Sprintf("%v %s %s to %s: %s", at, kind, i.Key, strings.Join(i.To, " "), i.Text))
		case Appeared:
			w.lines = append(w.lines, fmt.Sprintf("%v appeared %s", at, i.Device.ID))
		case Gone:
			w.lines = append(w.lines, fmt.Sprintf("%v gone %s", at, i.ID))
		}
	}
}

// step hands a change in and checks what must hold after every one.
func (w *world) step(c Change) {
	w.t.Helper()
	w.note(w.rules.Step(w.now, c))
	if next := w.rules.Next(); !next.IsZero() && !next.After(w.now) {
		w.t.Fatalf("at %v something is due at %v already", w.now.Sub(w.start), next.Sub(w.start))
	}
}

// wait lets time pass, stepping whenever something is due.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for n := 0; ; n++ {
		next := w.rules.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		if n > 100_000 {
			w.t.Fatal("the rules want to be called without end")
		}
		w.now = next
		w.step(Change{})
	}
	w.now = end
}

func (w *world) announce(info devices.Info) { w.t.Helper(); w.step(Change{Announce: &info}) }

func (w *world) link(id devices.ID, up bool, cause error) {
	w.t.Helper()
	w.step(Change{Link: &Link{ID: id, Up: up, Cause: cause}})
}

// read hands a raw reading in.
func (w *world) read(id devices.ID, point string, v devices.Value) {
	w.t.Helper()
	w.step(Change{Readings: []devices.Reading{{Device: id, Point: point, Value: v, At: w.now}}})
}

// take returns what was written down since the last time.
func (w *world) take() []string {
	out := w.lines
	w.lines = nil
	return out
}

// want compares what was written down since the last time.
func (w *world) want(want ...string) {
	w.t.Helper()
	if got := w.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		w.t.Fatalf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// roundTrip is what of a state comes back from a store.
func roundTrip(t testing.TB, s State) State {
	t.Helper()
	text, err := json.Marshal(s)
	var out State
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
