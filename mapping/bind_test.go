package mapping

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

// measuring is a discovered device with one number for each name, as in "target °C".
func measuring(id devices.ID, points ...string) devices.Info {
	info := devices.Info{ID: id, Name: label(string(id)), Driver: "attic"}
	for _, p := range points {
		name, unit, _ := strings.Cut(p, " ")
		info.Points = append(info.Points, devices.Point{Name: name, Kind: devices.KindNumber, Unit: unit, Readable: true})
	}
	return info
}

// boundHouse names the points of devices that announce themselves.
const boundHouse = `
[access]
"alice@example.org" = "admin"
[devices.thermostat]
driver = "attic"
match = "homeassistant:1"
[devices.boiler]
driver = "attic"
match = "homeassistant:2"
[devices.hall]
driver = "attic"
match = "homeassistant:3"
[devices.house.points.sum]
value = "devices.thermostat.target + devices.thermostat.current"
kind = "number"
[devices.house.points.more]
value = "sum + 1"
[devices.house.points.fahrenheit]
value = "devices.house.more"
unit = "°F"
[devices.house.points.wrong]
value = "devices.thermostat.target + devices.boiler.power"
kind = "number"
[devices.house.points.mean]
value = "mean(devices.boiler.power, '10m')"
[devices.house.points.kilowatts]
value = "devices.boiler.power"
kind = "number"
class = "power"
unit = "kW"
[devices.house.points.odd]
value = "devices.boiler.power"
kind = "number"
unit = "°C"
[devices.house.points.charge]
value = "devices.boiler.power"
kind = "number"
class = "battery"
[devices.house.points.truth]
value = "devices.thermostat.target > devices.boiler.power"
[alerts.warm]
device = "hall"
when = "temp > devices.thermostat.target"
to = ["alice@example.org"]
[alerts.each]
device = "h*"
when = "temp > devices.thermostat.target"
to = ["alice@example.org"]
`

// A computed point has the unit of what discovered devices measure it in, as of what the configuration says; what cannot be added or
// compared is a fault.
func TestBoundUnits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, boundHouse)
	states := func(want map[string]string) {
		t.Helper()
		for point, state := range want {
			w.wantState("house", point, state)
		}
	}
	w.up(devices.Info{ID: "house"})
	w.up(measuring("thermostat", "target °C", "current °C"))
	w.up(measuring("boiler", "power W"))
	w.read("thermostat", "target", num(20))
	w.read("thermostat", "current", num(9))
	w.read("boiler", "power", num(1500))
	states(map[string]string{
		"sum": "29 °C", "more": "30 °C", "fahrenheit": "86 °F", "mean": "1500 W", "kilowatts": "1.5 kW",
		"wrong":  "fault: °C and W cannot be added or compared: one is a unit of temperature, the other of power",
		"truth":  "fault: °C and W cannot be added or compared: one is a unit of temperature, the other of power",
		"odd":    `fault: unit = "°C" contradicts the value, which is in W`,
		"charge": `fault: the value is in W, which contradicts class = "battery", which has %`,
	})
	// The devices are others now: all that is made of them follows.
	w.up(measuring("thermostat", "target °F", "current °F"))
	w.up(measuring("boiler", "power °F"))
	w.read("boiler", "power", num(15))
	states(map[string]string{
		"sum": "29 °F", "more": "30 °F", "fahrenheit": "30 °F", "wrong": "35 °F", "truth": "on",
		"kilowatts": `fault: unit = "kW" contradicts the value, which is in °F`, "odd": "-9.444 °C",
	})
	w.up(measuring("thermostat", "target °F", "current °C"))
	states(map[string]string{"sum": `fault: °F and °C cannot be added or compared as they are: write convert(…, "°C", "°F") around one of them`, "wrong": "35 °F"})
	// A reload and one back change nothing.
	before := w.rules.Device("house")
	w.rules.Reload(mustParse(t, boundHouse), RulesOptions{}, w.now)
	if w.rules.Device("house") != before {
		t.Error("a reload that changes nothing made another model")
	}
	w.step(Change{Withdraw: &Withdrawal{ID: "boiler", Why: devices.Gone}})
	states(map[string]string{"wrong": "unknown", "kilowatts": "unknown"})
}

// An alert never compares what is in two units: it says so, and begins once they are one.
func TestBoundAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t, boundHouse)
	alerts := func() (out []string) {
		for _, line := range w.take() {
			if _, alert, ok := strings.Cut(line, " alert "); ok {
				out = append(out, alert)
			} else if _, over, ok := strings.Cut(line, " over "); ok {
				out = append(out, "over "+over)
			}
		}
		return out
	}
	w.up(measuring("hall", "temp °F"))
	w.up(measuring("thermostat", "target °C"))
	w.step(Change{Readings: []devices.Reading{{Device: "hall", Point: "temp", Value: num(68)}, {Device: "thermostat", Point: "target", Value: num(25)}}})
	w.wait(time.Minute)
	if got := alerts(); len(got) > 0 {
		t.Errorf("68 °F and 25 °C: %q", got)
	}
	const why = `°F and °C cannot be added or compared as they are: write convert(…, "°C", "°F") around one of them`
	if got := w.rules.Device("hall").Notes; len(got) != 2 || got[0] != "alert warm: "+why || got[1] != "alert each: "+why {
		t.Errorf("notes %q", got)
	}
	w.up(measuring("thermostat", "target °F")) // it has said 25
	if got := alerts(); len(got) != 2 || len(w.rules.Device("hall").Notes) > 0 {
		t.Errorf("68 °F and 25 °F: %q, notes %q", got, w.rules.Device("hall").Notes)
	}
	w.up(measuring("thermostat", "target °C"))
	if got := alerts(); len(got) != 2 || !strings.Contains(got[0], "is not watched any more") || len(w.rules.Active()) > 0 {
		t.Errorf("°F and °C again: %q", got)
	}
	w.wait(time.Minute)
	if got := alerts(); len(got) > 0 {
		t.Errorf("later: %q", got)
	}
	w.rules.Reload(mustParse(t, strings.ReplaceAll(boundHouse, "temp > devices.thermostat.target", "temp > convert(devices.thermostat.target, '°C', '°F')")), RulesOptions{}, w.now)
	w.step(Change{Readings: []devices.Reading{{Device: "hall", Point: "temp", Value: num(78)}}})
	if got := alerts(); len(got) != 2 {
		t.Errorf("78 °F and 25 °C: %q", got)
	}
}

// In whatever order devices come, change and go: units and notes are those that follow from what is there.
func TestBoundInAnyOrder(t *testing.T) {
	t.Parallel()
	file := boundHouse + `
[devices.boiler.points.own]
value = "devices.house.more"
kind = "number"
[devices.thermostat.points.all]
value = "devices.boiler.own - devices.house.wrong + target"
[alerts.own]
device = "boiler"
when = "own > devices.thermostat.all"
until = "power < 3"
to = ["alice@example.org"]
`
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, file)
		w.up(devices.Info{ID: "house"})
		present := map[devices.ID]devices.Info{}
		unit := func() string { return rapid.SampledFrom([]string{"", " °C", " °F", " W", " %"}).Draw(rt, "unit") }
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			id := rapid.SampledFrom([]devices.ID{"hall", "thermostat", "boiler"}).Draw(rt, "device")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				delete(present, id)
				w.step(Change{Withdraw: &Withdrawal{ID: id, Why: devices.Gone}})
				continue
			case 1:
				w.rules.Reload(mustParse(t, file), RulesOptions{}, w.now)
				continue
			}
			info := map[devices.ID]devices.Info{"hall": measuring("hall", "temp"+unit()), "boiler": measuring("boiler", "power"+unit()),
				"thermostat": measuring("thermostat", "target"+unit(), "current"+unit())}[id]
			present[id] = info
			w.up(info)
		}
		fresh := newWorld(t, file)
		for _, info := range present {
			fresh.up(info)
		}
		fresh.up(devices.Info{ID: "house"})
		for id := range fresh.rules.devices {
			got, want := w.rules.devices[id], fresh.rules.devices[id]
			if !reflect.DeepEqual(got.model, want.model) {
				rt.Fatalf("%s is\n%+v\nand not\n%+v", id, got.model, want.model)
			}
			for i := range want.alerts {
				if got.alerts[i].unfit != want.alerts[i].unfit {
					rt.Fatalf("%s of %s is unfit: %v", want.alerts[i].alert.Name, id, got.alerts[i].unfit)
				}
			}
		}
	})
}
