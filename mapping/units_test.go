package mapping

import (
	"math"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// The factors of NIST SP 811, appendix B.8, to the digits that it prints, and a few temperatures.
func TestUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value    float64
		from, to string
		want     float64
	}{
		{212, "°F", "°C", 100}, {-40, "°F", "°C", -40}, {70, "°F", "°C", 21.11111}, {21.5, "°C", "°F", 70.7}, {0, "K", "°F", -459.67}, {25, "°C", "K", 298.15},
		{1, "kWh", "MJ", 3.6}, {1500, "Wh", "kWh", 1.5}, {1, "Gcal", "GJ", 4.184}, {1, "TWh", "MWh", 1e6},
		{1, "inHg", "Pa", 3386.389}, {1, "mmHg", "Pa", 133.3224}, {1, "psi", "Pa", 6894.757}, {1, "inH₂O", "Pa", 249.0889}, {1013.25, "hPa", "mbar", 1013.25}, {1, "bar", "kPa", 100},
		{1, "mph", "m/s", 0.44704}, {1, "kn", "m/s", 0.5144444}, {1, "ft/s", "m/s", 0.3048}, {36, "km/h", "m/s", 10}, {1, "in/h", "mm/h", 25.4},
		{1, "gal", "L", 3.785412}, {1, "ft³", "m³", 0.02831685}, {1, "fl. oz.", "mL", 29.57353}, {1, "CCF", "ft³", 100}, {1, "gal/min", "L/s", 0.06309020}, {1, "ft³/min", "m³/s", 4.719474e-4},
		{1, "mi", "m", 1609.344}, {1, "nmi", "m", 1852}, {1, "yd", "m", 0.9144},
		{1, "lb", "kg", 0.4535924}, {1, "oz", "g", 28.34952}, {1, "st", "lb", 14},
		{1, "d", "h", 24}, {1, "MiB", "kB", 1048.576}, {100, "Mbit/s", "MB/s", 12.5}, {230, "V", "kV", 0.23}, {1, "GHz", "MHz", 1000},
	} {
		scale, offset, ok := conversion(c.from, c.to)
		got := c.value*scale + offset
		if !ok || math.Abs(got-c.want) > math.Abs(c.want)*5e-7 {
			t.Errorf("%v %s = %v %s, and not %v", c.value, c.from, got, c.to, c.want)
		}
		back, more, _ := conversion(c.to, c.from)
		if again := got*back + more; math.Abs(again-c.value) > 1e-9*max(1, math.Abs(c.value)) {
			t.Errorf("%v %s = %v %s and back %v", c.value, c.from, got, c.to, again)
		}
	}
	if _, _, ok := conversion("°C", "kWh"); ok {
		t.Error("heat is no energy here")
	}
	// Units of one class are of one quantity, or nothing is known of them.
	for class, all := range numberClasses {
		for _, u := range all {
			if a, b := units[all[0]].of, units[u].of; a != "" && b != "" && a != b {
				t.Errorf("class %s: %s is a unit of %s, %s one of %s", class, all[0], a, u, b)
			}
		}
	}
}

// A unit other than the device's is converted to, for readings as for commands.
func TestUnitOfTheTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[devices.hall]
driver = "attic"
[devices.hall.points.temperature]
unit = "°C"
[devices.hall.points.target]
unit = "°C"
[devices.hall.points.raw]
unit = "°C"
scale = 0.1
[devices.hall.points.energy]
unit = "kWh"
precision = 1
[devices.hall.points.delta]
class = "temperature_delta"
unit = "K"
[devices.hall.points.odd]
unit = "W"
`)
	fahrenheit := devices.Point{Kind: devices.KindNumber, Unit: "°F", Readable: true}
	info := devices.Info{ID: "hall", Driver: "attic"}
	for _, name := range []string{"temperature", "target", "raw", "delta", "odd", "plain"} {
		p := fahrenheit
		if p.Name = name; name == "target" {
			p.Writable, p.Low, p.High, p.Step = true, 41, 95, 1
		}
		info.Points = append(info.Points, p)
	}
	info.Points = append(info.Points, devices.Point{Name: "energy", Kind: devices.KindNumber, Unit: "Wh", Readable: true})
	w.up(info)
	for _, p := range info.Points {
		w.read("hall", p.Name, num(70))
	}
	for name, want := range map[string]string{"temperature": "21.11 °C", "target": "21.11 °C", "raw": "7 °C", "energy": "0.1 kWh", "delta": "38.89 K", "odd": "70 W", "plain": "70 °F"} {
		w.wantState("hall", name, want)
	}
	p := w.rules.Device("hall").Point("target")
	if v, err := p.Check(num(20)); err != nil || p.ToRaw(v) != num(68) {
		t.Errorf("20 °C is commanded as %v (%v) of %v, %v", p.ToRaw(v), err, p.Range, p.Step)
	}
	for said, want := range map[string]devices.Value{"20": num(20), "68 °F": num(20), "68 f": num(20), "293.15K": num(20), "20 °c": num(20), "20 W": {}, "20 x": {}} {
		if v, err := p.Parse(said); v != want || (err == nil) == want.IsZero() {
			t.Errorf("%q is %v, %v", said, v, err)
		}
	}
	if _, err := w.rules.Device("hall").Point("odd").Parse("3 mw"); err == nil {
		t.Error("mw may be mW or MW, and one was chosen")
	}
	if _, err := p.Check(num(70)); err == nil || !strings.Contains(err.Error(), "it takes 5 °C to 35 °C") {
		t.Error(err)
	}
	if !p.Same(num(20), num(20.1)) || p.Same(num(20), num(21)) {
		t.Error("a reading of the same degree does not confirm, or one of another does")
	}
}

// The safe value of a point is in the unit of the table.
func TestUnitOfSafe(t *testing.T) {
	t.Parallel()
	o := options()
	o.Types = map[string]devices.Type{"attic": {Points: func(_, _ *schema.Table) []devices.Point {
		return []devices.Point{{Name: "target", Kind: devices.KindNumber, Unit: "°F", Readable: true, Writable: true}}
	}}}
	cfg, problems := readFile(t, "[drivers.attic]\n[devices.box]\ndriver = \"attic\"\n[devices.box.points.target]\nunit = \"°C\"\nsafe = 10\n", o)
	if raw := cfg.SafeRaw("box", "target"); len(problems) > 0 || raw != num(50) {
		t.Errorf("10 °C is %v °F: %v", raw, problems)
	}
}

// What a driver knows of a point before the device is there is checked with the file.
func TestUnitOfTheDriver(t *testing.T) {
	t.Parallel()
	o := options()
	o.Types = map[string]devices.Type{"attic": {Points: func(_, _ *schema.Table) []devices.Point {
		return []devices.Point{{Name: "power", Kind: devices.KindNumber, Unit: "W", Readable: true}, {Name: "heat", Kind: devices.KindNumber, Unit: "°F", Readable: true}}
	}}}
	for file, want := range map[string]string{
		"[devices.box.points.power]\nunit = \"kW\"":                                                             "",
		"[devices.box.points.power]\nunit = \"%\"":                                                              "",
		"[devices.box.points.power]\nunit = \"°C\"":                                                             `gateway.toml:5: devices.box.points.power: unit = "°C" contradicts the device, which measures in W`,
		"[devices.box.points.power]\nunit = \"°C\"\nscale = 0.1":                                                "",
		"[devices.box.points.sum]\nvalue = \"power + heat\"":                                                    `gateway.toml:5: devices.box.points.sum: value: W and °F cannot be added or compared: one is a unit of power, the other of temperature`,
		"[devices.box.points.used]\nvalue = \"energy(power)\"\n":                                                "",
		"[devices.box.points.used]\nvalue = \"energy(heat)\"\n":                                                 `gateway.toml:5: devices.box.points.used: value: energy is of a power, and heat is in °F: give the point the unit of a power, or take integral(heat, "h")`,
		"[devices.box.points.c]\nvalue = \"convert(heat, '°F', '°C')\"":                                         "",
		"[devices.box.points.heat]\nunit = \"°C\"\n[devices.box.points.c]\nvalue = \"heat + 1\"\nunit = \"°F\"": "",
	} {
		_, problems := readFile(t, "[drivers.attic]\n[devices.box]\ndriver = \"attic\"\n"+file, o)
		if got := strings.Join(problems, "\n"); got != want {
			t.Errorf("%s\n got %s\nwant %s", file, got, want)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{0: "0", 11: "11", 21.333333: "21.33", -7.0 / 3: "-2.333", 0.0123456: "0.01235", 123456.789: "123456.79", 9.99996: "10",
		-0.0000000001: "0", 100: "100", 1e12 + 0.5: "1000000000000.5"} {
		if got := string(appendShort([]byte("x00"), f)); got != "x00"+want {
			t.Errorf("%v is %q, and not %q", f, got, want)
		}
	}
}

// The lowest and highest of a window leave it on time, though nothing is read.
func TestWindowMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[access]
"alice@example.org" = "admin"
[devices.box]
driver = "attic"
[devices.box.points.t]
unit = "°C"
[devices.box.points.top]
value = "max(t, '1h')"
[alerts.steady]
device = "box"
when = "max(t, '1h') - min(t, '1h') < 1"
to = ["alice@example.org"]
`)
	w.up(computedInfo("box", "t"))
	w.read("box", "t", num(30))
	w.wait(time.Minute)
	w.take()
	w.read("box", "t", num(20))
	w.wait(time.Hour - time.Second)
	w.wantState("box", "top", "30 °C")
	w.wait(time.Second)
	w.wantState("box", "top", "20 °C")
	if got := w.take(); len(got) < 2 || !strings.HasPrefix(got[len(got)-1], "1h1m0s alert steady/box") && !strings.HasPrefix(got[len(got)-2], "1h1m0s alert steady/box") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// A point in another unit than the device's has the digits, the differences and the tolerance of that.
func TestUnitsThatAreFarApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[devices.charger]
driver = "attic"
[devices.charger.points.limit]
unit = "W"
[devices.charger.points.energy]
unit = "kWh"
[devices.charger.points.delta]
class = "temperature_delta"
unit = "K"
`)
	w.up(devices.Info{ID: "charger", Driver: "attic", Points: []devices.Point{
		{Name: "limit", Kind: devices.KindNumber, Unit: "kW", Readable: true, Writable: true, Confirms: true},
		{Name: "energy", Kind: devices.KindNumber, Unit: "Wh", Digits: 1, Readable: true},
		{Name: "delta", Kind: devices.KindNumber, Unit: "°C", Readable: true, Writable: true},
	}})
	w.read("charger", "energy", num(1234))
	w.wantState("charger", "energy", "1.234 kWh")
	limit, delta := w.rules.Device("charger").Point("limit"), w.rules.Device("charger").Point("delta")
	if limit.Same(num(1234), num(1500)) || !limit.Same(num(1234), num(1200)) {
		t.Error("1.5 kW confirms 1234 W, or 1.2 kW does not")
	}
	for said, want := range map[string]devices.Value{"2 °C": num(2), "9 °F": num(5), "3": num(3)} {
		if v, err := delta.Parse(said); v != want {
			t.Errorf("a difference of %q is %v, %v", said, v, err)
		}
	}
}
