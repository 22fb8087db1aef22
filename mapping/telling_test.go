package mapping

import (
	"strings"
	"testing"
	"time"

	"tidings/devices"
)

// What devices call their points is written as people do.
func TestTellingLabels(t *testing.T) {
	t.Parallel()
	for called, want := range map[string]string{"WiFi Signal": "WiFi Signal", "PM2.5": "PM2.5", "Soil moisture": "soil moisture", "barrier_state": "barrier state",
		"IP": "IP", "Hot_water mode": "hot_water mode"} {
		d := modelOf(t, devices.Info{ID: "homeassistant:1", Points: []devices.Point{{Name: "x", Label: called, Readable: true}}}, "")
		if got := d.Points[0].name(); got != want {
			t.Errorf("%q: %q, want %q", called, got, want)
		}
	}
	d := modelOf(t, devices.Info{ID: "homie:1", Points: []devices.Point{{Name: "on", Kind: devices.KindSwitch, Readable: true, Writable: true}}}, "")
	if a := d.Actions(); a[0].Name != "On" || a[1].Name != "Off" {
		t.Errorf("%+v", a)
	}
	if a, _ := d.Understand([]string{"off"}); a == nil || a.Node != "on/off" {
		t.Errorf("off: %+v", a)
	}
}

// A valve is open, and not its "open".
func TestTellingOpen(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{"valve": "Valve", "garage_door": "Garage door", "": "Opening"} {
		d := modelOf(t, devices.Info{ID: "homie:1", Points: []devices.Point{{Name: "open", Label: "Open", Class: class, Kind: devices.KindSwitch, Readable: true, Writable: true}}}, "")
		if got := d.Points[0].Label; got != want {
			t.Errorf("%q: %s", class, got)
		}
		if a := d.Actions(); a[0].Name != "Open" || a[1].Name != "Close" {
			t.Errorf("%q: %+v", class, a)
		}
		if a, _ := d.Understand([]string{"open"}); a == nil || a.Node != "open/on" {
			t.Errorf("%q: %+v", class, a)
		}
	}
}

// What configures a device, or says how that does, is shown of it when there is nothing else; two numbers of one unit are told apart;
// a light that is on is not called light again.
func TestTellingLine(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		class string
		said  map[string]devices.Value
		all   []devices.Point
	}{
		"20.5 °C · target 21 °C": {"climate", map[string]devices.Value{"child_lock": devices.Bool(true), "current_temperature": num(20.5), "target": num(21)}, []devices.Point{
			{Name: "child_lock", Kind: devices.KindSwitch, Minor: true, Readable: true, Writable: true},
			{Name: "current_temperature", Kind: devices.KindNumber, Class: "temperature", Unit: "°C", Readable: true},
			{Name: "target", Kind: devices.KindNumber, Class: "temperature", Unit: "°C", Readable: true, Writable: true}}},
		"closed · lawn": {"", map[string]devices.Value{"open": devices.Bool(false), "program": devices.Text("lawn")}, []devices.Point{
			{Name: "program", Kind: devices.KindChoice, Options: []string{"lawn", "beds"}, Readable: true, Writable: true},
			{Name: "open", Kind: devices.KindSwitch, Class: "valve", Readable: true, Writable: true}}},
		"power off · 21.2 °C": {"", map[string]devices.Value{"power": devices.Bool(false), "target": num(80), "temperature": num(21.2)}, []devices.Point{
			{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true},
			{Name: "target", Kind: devices.KindNumber, Unit: "°C", Readable: true, Writable: true},
			{Name: "temperature", Kind: devices.KindNumber, Unit: "°C", Readable: true}}},
		"48 % · target humidity 60 %": {"", map[string]devices.Value{"target_humidity": num(60), "humidity": num(48)}, []devices.Point{
			{Name: "target_humidity", Kind: devices.KindNumber, Unit: "%", Readable: true, Writable: true},
			{Name: "humidity", Kind: devices.KindNumber, Unit: "%", Readable: true}}},
		"40 % · humidity 48 %": {"", map[string]devices.Value{"position": num(40), "humidity": num(48)}, []devices.Point{
			{Name: "position", Kind: devices.KindNumber, Unit: "%", Readable: true, Writable: true},
			{Name: "humidity", Kind: devices.KindNumber, Unit: "%", Readable: true}}},
		"on · 50 %": {"light", map[string]devices.Value{"light": devices.Bool(true), "brightness": num(50)}, []devices.Point{
			{Name: "light", Kind: devices.KindSwitch, Readable: true, Writable: true},
			{Name: "brightness", Kind: devices.KindNumber, Unit: "%", Readable: true, Writable: true}}},
		"closed": {"", map[string]devices.Value{"contact": devices.Bool(false), "device_temperature": num(23)}, []devices.Point{
			{Name: "device_temperature", Kind: devices.KindNumber, Class: "temperature", Unit: "°C", Minor: true, Readable: true},
			{Name: "contact", Kind: devices.KindSwitch, Class: "door", Readable: true}}},
	} {
		w := newWorld(t, "")
		w.up(devices.Info{ID: "homeassistant:1", Match: "homeassistant:1", Class: c.class, Points: c.all})
		var readings []devices.Reading
		for point, v := range c.said {
			readings = append(readings, devices.Reading{Device: "homeassistant:1", Point: point, Value: v})
		}
		w.step(Change{Readings: readings})
		w.wait(time.Minute)
		state, _ := w.reg.State("homeassistant:1")
		if got := w.rules.Device("homeassistant:1").Summary(state); got != want {
			t.Errorf("summary: %s, want %s", got, want)
		}
		if got := strings.Join(w.take(), "\n"); !strings.HasSuffix(got, "online: "+want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whoever writes a device down may begin with what it is to be: that is called so.
func TestTellingTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `[devices.stove]
driver = "line"
settle = "0s"`)
	w.up(devices.Info{ID: "stove", Driver: "line", Points: []devices.Point{
		{Name: "target", Kind: devices.KindNumber, Unit: "°C", Readable: true, Writable: true},
		{Name: "temperature", Kind: devices.KindNumber, Unit: "°C", Readable: true}}})
	w.step(Change{Readings: []devices.Reading{{Device: "stove", Point: "target", Value: num(21)}, {Device: "stove", Point: "temperature", Value: num(19)}}})
	if got := w.take(); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], "online: target 21 °C · 19 °C") {
		t.Errorf("%q", got)
	}
}
