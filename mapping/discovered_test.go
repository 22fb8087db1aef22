package mapping

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// blinds is a device as a discovery makes it.
func blinds() devices.Info {
	return devices.Info{
		ID: "homeassistant:0x1", Name: "Kitchen blinds", Area: "Kitchen", Class: "cover", Match: "homeassistant:0x1", Version: "1.2",
		Points: []devices.Point{
			{Name: "cover", Kind: devices.KindChoice, Class: "cover", Options: []string{"open", "closed", "stopped"}, States: []string{"opening", "closing"},
				Readable: true, Writable: true, Confirms: true},
			{Name: "position", Kind: devices.KindNumber, Label: "Blind position", Unit: "%", Low: 0, High: 100, Step: 1, Digits: 1, Readable: true, Writable: true, Confirms: true},
			{Name: "led_color", Kind: devices.KindColor, Label: "LED color", Readable: true, Writable: true, Confirms: true},
			{Name: "seen", Kind: devices.KindTime, Readable: true},
		},
	}
}

func modelOf(t *testing.T, info devices.Info, file string) *Device {
	t.Helper()
	cfg := &Config{Devices: map[devices.ID]*DeviceConfig{}}
	if file != "" {
		discovering := devices.Type{Name: "mqtt", Discovers: func(t *schema.Table) bool { return len(t.Strings("discovery")) > 0 }}
		var problems []string
		if cfg, problems = readFile(t, file, ReadOptions{Types: map[string]devices.Type{"house": discovering}}); len(problems) > 0 {
			t.Fatal(problems)
		}
	}
	r := NewRules(cfg, devices.NewRegistry(), RulesOptions{Location: time.FixedZone("", 3600)})
	r.Step(time.Now(), Change{Announce: &info})
	return r.Device(info.ID)
}

func TestDiscoveredDevice(t *testing.T) {
	t.Parallel()
	d := modelOf(t, blinds(), "")
	if d.Name != "Kitchen blinds" || d.Location != "Kitchen" || d.Class != "cover" || d.Match != "homeassistant:0x1" || d.Version != "1.2" {
		t.Errorf("%+v", d)
	}
	var names []string
	for _, a := range d.Actions() {
		names = append(names, a.Name+"="+a.Node)
	}
	if got := strings.Join(names, ", "); got != "Open=cover/open, Close=cover/closed, Stop=cover/stopped, Set blind position…=position/set, Set LED color…=led_color/set" {
		t.Error(got)
	}
	for said, want := range map[string]string{
		"open": "cover/open ", "stop": "cover/stopped ", "CLOSE": "cover/closed ", "position 40": "position/set 40", "blind position to 40 %": "position/set 40 %",
		"red": "led_color/set red", "#ff8800": "led_color/set #ff8800", "to 40 %": "position/set 40 %", "100": "", "colour red": "led_color/set red",
		"color red": "led_color/set red", "set led color #ff8800": "led_color/set #ff8800", "halt": "", "blind 40": "",
	} {
		a, value := d.Understand(strings.Fields(said))
		got := ""
		if a != nil {
			got = a.Node + " " + value
		}
		if got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
	position := d.Point("position")
	if _, err := position.Check(devices.Number(101)); err == nil {
		t.Error("101 % taken")
	}
	if got := position.Format(devices.Number(40.2)); got != "40 %" {
		t.Error(got)
	}
	if got := d.Point("seen").Format(devices.Time(time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC))); got != "2026-01-02 04:04" {
		t.Error(got)
	}
}

// What a cover answers on its way has accepted; what it answers on another way has not.
func TestChoiceObeys(t *testing.T) {
	t.Parallel()
	cover := modelOf(t, blinds(), "").Point("cover")
	for _, c := range []struct {
		asked, got string
		same       bool
	}{
		{"open", "open", true}, {"open", "opening", true}, {"open", "closing", false}, {"open", "closed", false},
		{"stopped", "open", true}, {"stopped", "closing", false}, {"closed", "Closing", true},
	} {
		if got := cover.Same(devices.Text(c.asked), devices.Text(c.got)); got != c.same {
			t.Errorf("asked %s, got %s: %v", c.asked, c.got, got)
		}
	}
	for state, good := range map[string]bool{"opening": true, "OPEN": true, "jammed": false} {
		if r := cover.FromRaw(devices.Reading{Value: devices.Text(state)}); (r.Quality == devices.Good) != good {
			t.Errorf("%s: %v %v", state, r.Quality, r.Err)
		}
	}
	if _, err := cover.Check(devices.Text("opening")); err == nil {
		t.Error("opening can be asked for")
	}
	if v, err := cover.Parse("Close"); err != nil || v != devices.Text("closed") {
		t.Error(v, err)
	}
	own := *cover
	own.Options = []string{"open", "closed", "half"}
	if own.verbs() != nil {
		t.Error("a cover with a word of its own has verbs that leave it out")
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	p := modelOf(t, blinds(), "").Point("led_color")
	for said, want := range map[string]devices.Value{
		"Red": devices.Color(255, 0, 0), "#f80": devices.Color(255, 136, 0), "ff8800": devices.Color(255, 136, 0), "1, 2,3": devices.Color(1, 2, 3),
		"warm  white": devices.Color(255, 214, 170), "grey": devices.Color(128, 128, 128), "#12345": {}, "reddish": {}, "": {}, "0x1234": {},
	} {
		if got, err := p.Parse(said); got != want || (err == nil) == want.IsZero() {
			t.Errorf("%q: %v, %v", said, got, err)
		}
	}
	if a, b := p.Format(devices.Color(255, 0, 0)), p.Format(devices.Color(255, 136, 0)); a != "red" || b != "#ff8800" {
		t.Error(a, b)
	}
	for _, c := range []struct {
		asked, got devices.Value
		same       bool
	}{
		{devices.Color(128, 0, 0), devices.Color(255, 3, 0), true},
		{devices.Color(255, 136, 0), devices.Color(255, 128, 0), true},
		{devices.Color(255, 0, 0), devices.Color(0, 255, 0), false},
		{devices.Color(0, 0, 0), devices.Color(0, 0, 0), true},
		{devices.Color(0, 0, 0), devices.Text("black"), false},
	} {
		if got := p.Same(c.asked, c.got); got != c.same {
			t.Errorf("%v and %v: %v", c.asked, c.got, got)
		}
	}
}

// A table with match overrides key by key: what it does not say stays as the device has it.
func TestOverride(t *testing.T) {
	t.Parallel()
	info := blinds()
	info.ID = "blinds"
	d := modelOf(t, info, `
[drivers.house]
type = "mqtt"
broker = "mqtt://127.0.0.1"
discovery = ["homeassistant"]
[devices.blinds]
driver = "house"
match = "homeassistant:0x1"
location = "Upstairs"
primary = ["position"]
[devices.blinds.points.position]
precision = 1
range = [10, 90]
[devices.blinds.points.cover]
danger = true
[alerts.shut]
device = "blinds"
when = "position < 20 and cover == 'closed'"
to = ["alice@example.org"]
[alerts.low]
device = "homeassistant:*"
when = "battery < 10"
to = ["alice@example.org"]
[access]
"alice@example.org" = "admin"
`)
	position := d.Point("position")
	if d.Name != "Kitchen blinds" || d.Location != "Upstairs" || d.Class != "cover" || len(d.Primary) != 1 || d.Primary[0] != 1 {
		t.Errorf("%+v", d)
	}
	if position.Precision != 1 || position.Range != (Span{10, 90}) || position.Unit != "%" || position.Step != 1 || position.Kind != devices.KindNumber {
		t.Errorf("%+v", position)
	}
	if cover := d.Point("cover"); !cover.Danger || cover.Kind != devices.KindChoice || len(cover.Options) != 3 || len(cover.States) != 2 {
		t.Errorf("%+v", cover)
	}
}

// TestUnknownNames: where devices are discovered, a name that is none of the file's may be what one of them is called.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	const found = "[drivers.house]\ntype = \"mqtt\"\n"
	const way = "that was discovered goes by what `tidings devices garage-door` shows as its match, as in %s, or by the name of a table with that as match"
	for _, c := range []struct{ file, want string }{
		{withAlert(`device = "garage-door"`), `alerts.test: there is no device "garage-door"`},
		{found + withAlert(`device = "garage-door"`), `alerts.test: there is no device "garage-door" in this file: one ` + fmt.Sprintf(way, `device = "homeassistant:…"`)},
		{found + withAlert("when = 'temperature > devices.garage-door.open'"), `alerts.test: when: there is no device "garage-door" in this file: one ` + fmt.Sprintf(way, `devices["homeassistant:…"].open`)},
		{found + withAlert(`device = "garage-door"`) + "\n[devices.garage-dor]\ndriver = \"house\"", `alerts.test: there is no device "garage-door" in this file: did you mean "garage-dor"? One ` + fmt.Sprintf(way, `device = "homeassistant:…"`)},
		{found + withPoint("value = \"devices.garage-door.open + 1\""), `devices.box.points.p: value: there is no device "garage-door" in this file: one ` + fmt.Sprintf(way, `devices["homeassistant:…"].open`)},
		{found + house + "[access.\"c@b\"]\nrole = \"viewer\"\ndevices = [\"garage-door\"]", `access."c@b": there is no device "garage-door" in this file: one ` + fmt.Sprintf(way, `devices = ["homeassistant:…"]`)},
		// And so they are written.
		{found + withAlert("device = \"homeassistant:0x1\"\nwhen = \"open\""), ""},
		{found + withAlert("when = 'devices[\"homeassistant:0x1\"].open'"), ""},
		{found + withPoint("value = 'devices[\"homeassistant:0x1\"].level + 1'"), ""},
		{found + house + "[access.\"c@b\"]\nrole = \"viewer\"\ndevices = [\"homeassistant:0x1\"]", ""},
	} {
		o := options()
		o.Types = map[string]devices.Type{"house": {Discovers: func(*schema.Table) bool { return true }}}
		_, problems := readFile(t, c.file, o)
		if got := strings.Join(problems, "\n"); got != c.want && !strings.HasSuffix(got, ": "+c.want) || strings.Contains(got, "\n") {
			t.Errorf("got\n  %s\nwant\n  %s", got, c.want)
		}
	}
}

// What a device says of itself is cut to what fits, and is one line.
func TestLongNames(t *testing.T) {
	t.Parallel()
	info := blinds()
	info.Name, info.Points[0].Label = strings.Repeat("x", 5000), "a\nb"+strings.Repeat("ö", 5000)
	d := modelOf(t, info, "")
	if len(d.Name) > maxName+3 || len(d.Points[0].Label) > maxLabel+3 || strings.Contains(d.Points[0].Label, "\n") {
		t.Errorf("%d %q", len(d.Name), d.Points[0].Label)
	}
}

// An event is told each time, and is over when it was told.
func TestEventAlert(t *testing.T) {
	t.Parallel()
	cfg := mustParse(t, `
[drivers.attic]
type = "serial"
[devices.door]
driver = "attic"
[devices.door.points.bell]
kind = "event"
[alerts.rang]
device = "door"
when = "bell == 'ring'"
text = "Somebody is at the door: {{.bell}}"
to = ["alice@example.org"]
[alerts.lamp]
device = "door"
when = "bell != '' and bell != 'ring'"
to = ["alice@example.org"]
[access]
"alice@example.org" = "admin"
`)
	r := NewRules(cfg, devices.NewRegistry(), RulesOptions{})
	now := time.Now()
	said := func(c Change) (out []string) {
		t.Helper()
		now = now.Add(time.Minute)
		for _, i := range r.Step(now, c) {
			if a, ok := i.(Alert); ok && len(a.To) > 0 {
				out = append(out, a.Text)
			}
		}
		return out
	}
	event := func(what string) Change {
		return Change{Readings: []devices.Reading{{Device: "door", Point: "bell", Value: devices.Text(what), At: now}}}
	}
	said(Change{Announce: &devices.Info{ID: "door", Points: []devices.Point{{Name: "bell", Kind: devices.KindEvent, Readable: true}}}})
	said(Change{Link: &Link{ID: "door", Up: true}})
	for i := range 3 {
		if got := said(event("ring")); len(got) != 1 || got[0] != "Somebody is at the door: ring" {
			t.Errorf("ring %d: %q", i, got)
		}
		if got := said(Change{}); len(got) != 0 {
			t.Errorf("after ring %d: %q", i, got)
		}
	}
	if got := said(event("knock")); len(got) != 1 || got[0] != "Door: bell is knock (lamp)" && got[0] != "door: bell is knock (lamp)" {
		t.Errorf("knock: %q", got)
	}
	if len(r.Active()) != 0 {
		t.Error("an event is still active")
	}
}

// A discovered device has the address of what it was called when it was first met, and no other device's.
func TestIntroduce(t *testing.T) {
	t.Parallel()
	a := NewAddresses(Component, LayoutContact, "things.example.org", "home", nil)
	a.Reserve("alice")
	a.Configure("greenhouse")
	for _, c := range []struct {
		id   devices.ID
		name string
		want string
	}{
		{"homeassistant:1", "Kitchen lamp", "kitchen-lamp"},
		{"homeassistant:2", "kitchen LAMP", "kitchen-lamp-2"},
		{"homeassistant:1", "Renamed", "kitchen-lamp"},
		{"homeassistant:3", "Greenhouse", "greenhouse-2"},
		{"homeassistant:4", "home", "home-2"},
		{"homeassistant:5", "alice", "alice-2"},
		{"homeassistant:6", "照明", "homeassistant-6"},
		{"greenhouse", "Other", "greenhouse"},
	} {
		a.Introduce(c.id, c.name)
		if got := a.Slug(c.id); got != c.want {
			t.Errorf("%s called %q: %s, want %s", c.id, c.name, got, c.want)
		}
	}
	again := NewAddresses(Component, LayoutContact, "things.example.org", "home", a.Kept())
	again.Introduce("homeassistant:2", "Kitchen lamp")
	if got := again.Slug("homeassistant:2"); got != "kitchen-lamp-2" {
		t.Errorf("after a restart it is %s", got)
	}
}

// TestTelling has devices as they announce themselves: what presence shows is what one wants to know.
func TestTelling(t *testing.T) {
	t.Parallel()
	number := func(class, unit string) devices.Point {
		return devices.Point{Name: class, Kind: devices.KindNumber, Class: class, Unit: unit, Readable: true}
	}
	binary := func(class string) devices.Point {
		return devices.Point{Name: class, Kind: devices.KindSwitch, Class: class, Readable: true}
	}
	relay := devices.Point{Name: "relay", Kind: devices.KindSwitch, Readable: true, Writable: true}
	for want, points := range map[string][]devices.Point{
		"temperature humidity":    {number("battery", "%"), number("humidity", "%"), number("atmospheric_pressure", "hPa"), number("temperature", "°C")},
		"relay power":             {relay, number("current", "A"), number("energy", "kWh"), number("power", "W"), number("voltage", "V")},
		"occupancy temperature":   {number("illuminance", "lx"), number("temperature", "°C"), binary("occupancy"), number("battery", "%")},
		"door":                    {number("battery", "%"), number("voltage", "mV"), binary("door")},
		"power energy":            {{Name: "a_power", Kind: devices.KindNumber, Class: "power", Unit: "W", Readable: true}, number("energy", "kWh"), number("power", "W")},
		"battery signal_strength": {number("battery", "%"), number("signal_strength", "dBm")},
	} {
		d := modelOf(t, devices.Info{ID: "homeassistant:0x2", Match: "homeassistant:0x2", Points: points}, "")
		var names []string
		for _, i := range d.Primary {
			names = append(names, d.Points[i].Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	byHand := modelOf(t, devices.Info{ID: "weather", Points: []devices.Point{number("humidity", "%"), number("battery", "%"), number("temperature", "°C")}}, "")
	if len(byHand.Primary) != 2 || byHand.Primary[0] != 0 || byHand.Primary[1] != 1 {
		t.Error("of a device by hand not the first two:", byHand.Primary)
	}
}

// TestUnderway moves a blind to 40 %.
func TestUnderway(t *testing.T) {
	t.Parallel()
	position := modelOf(t, blinds(), "").Point("position")
	before, asked := devices.Number(100), devices.Number(40)
	for got, want := range map[float64]struct {
		nears bool
		reads string
	}{100: {false, "going to 40 %, now 100 %"}, 99: {true, "going to 40 %, now 99 %"}, 41: {true, "going to 40 %, now 41 %"}, 40: {false, ""}, 39: {false, "going to 40 %, now 39 %"}} {
		reads, underway := position.Underway(asked, devices.Number(got))
		if !underway {
			reads = ""
		}
		if nears := position.Nears(before, asked, devices.Number(got)); nears != want.nears || reads != want.reads {
			t.Errorf("%v: %v %q, want %v", got, nears, reads, want)
		}
	}
	target := Point{Kind: devices.KindNumber, Unit: "°C"}
	if target.Nears(devices.Number(20), devices.Number(25), devices.Number(22)) {
		t.Error("a set point that stopped short counts as taken")
	}
}
