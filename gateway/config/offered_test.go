package config

import (
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

const meterAlone = `
[xmpp]
mode = "local"
address = "home.arpa"
[access]
"alice@home.arpa" = "admin"
[drivers.dsmr]
type     = "serial"
port     = "/dev/ttyUSB0"
protocol = "p1"
[devices.meter]
driver  = "dsmr"
primary = ["power_import"]
`

// alertOf is an alert about the meter.
func alertOf(when string) string {
	return "[alerts.power]\ndevice = \"meter\"\nwhen = \"" + when + "\"\nto = [\"alice@home.arpa\"]\n"
}

// TestOfferedPoints: a device without tables of points has those that its messages can have, for all that names one.
func TestOfferedPoints(t *testing.T) {
	t.Parallel()
	sum := "[devices.meter.points.sum]\nvalue = \"energy_import_t1 + energy_import_t2\"\n"
	for name, c := range map[string]struct{ text, want string }{
		"alert":            {alertOf("power_import > 0.5"), ""},
		"text":             {alertOf("gas_time > gas_time or power_import > 0.5") + "text = \"{{.gas}}\"\n", ""},
		"M-Bus":            {alertOf("gas + gas_2 + warm_water + meter_4 > 3"), ""},
		"computed":         {sum + "[devices.other.points.p]\nvalue = \"devices.meter.tariff + devices.meter.sum\"\n", ""},
		"a mistake":        {alertOf("power_imprt > 0.5"), `alerts.power: when: meter has no point "power_imprt": did you mean "power_import"?`},
		"a text":           {alertOf("power_import == 'high'"), `alerts.power: when: invalid operation: == (mismatched types number and text)`},
		"units":            {alertOf("power_import > voltage_l1"), `alerts.power: when: kW and V cannot be added or compared: one is a unit of power, the other of voltage`},
		"taken out":        {alertOf("power_import > 0.5") + "[drivers.other]\ntype = \"serial\"\nport = \"/dev/ttyUSB1\"\nprotocol = \"p1\"\nenabled = false\n[devices.second]\ndriver = \"other\"\n[alerts.second]\ndevice = \"second\"\nwhen = \"gas > 1\"\nto = [\"alice@home.arpa\"]\n", ""},
		"tables":           {alertOf("power_import > 0.5") + "[devices.meter.points.power]\nsource = \"1-0:1.7.0\"\n", `alerts.power: when: meter has no point "power_import"`},
		"another protocol": {"[drivers.dust]\ntype = \"serial\"\nport = \"/dev/ttyUSB1\"\nprotocol = \"sds011\"\n[devices.dust]\ndriver = \"dust\"\n[alerts.dust]\ndevice = \"dust\"\nwhen = \"pm25 > 35 and pm10 > gas\"\nto = [\"alice@home.arpa\"]\n", `alerts.dust: when: dust has no point "gas"`},
	} {
		_, _, err := load(t, options(nil), meterAlone+c.text, nil)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestOfferedLater: what names a point is right as soon as the device has announced it, in whatever unit the device says it.
func TestOfferedLater(t *testing.T) {
	t.Parallel()
	cfg, _, err := load(t, options(nil), meterAlone+alertOf("power_import > 0.5")+
		"[devices.meter.points.twice]\nvalue = \"power_import * 2\"\n[devices.other.points.next]\nvalue = \"devices.meter.tariff + 1\"\n[devices.other.points.p]\nvalue = \"devices.meter.power_import + 1\"\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	reg := devices.NewRegistry()
	rules := mapping.NewRules(cfg.Mapping, reg, mapping.RulesOptions{})
	now := time.Unix(1e9, 0)
	alerts := 0
	step := func(c mapping.Change) {
		for _, i := range rules.Step(now, c) {
			if _, is := i.(mapping.Alert); is {
				alerts++
			}
		}
	}
	step(mapping.Change{Announce: &devices.Info{ID: "other"}})
	step(mapping.Change{Link: &mapping.Link{ID: "other", Up: true}})
	step(mapping.Change{Announce: &devices.Info{ID: "meter"}})
	step(mapping.Change{Link: &mapping.Link{ID: "meter", Up: true}})
	if s, _ := reg.Point("other", "next"); s.Quality == devices.Faulty {
		t.Errorf("before the first telegram: %v", s.Err)
	}
	number := func(name, unit string) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindNumber, Unit: unit, Readable: true}
	}
	step(mapping.Change{Announce: &devices.Info{ID: "meter", Points: []devices.Point{number("power_import", "W"), number("tariff", "")}}})
	step(mapping.Change{Readings: []devices.Reading{
		{Device: "meter", Point: "power_import", Value: devices.Number(750), At: now}, {Device: "meter", Point: "tariff", Value: devices.Number(2), At: now},
	}})
	for _, c := range []struct{ device, point, want string }{
		{"meter", "power_import", "0.75 kW"}, {"meter", "twice", "1.5"}, {"other", "next", "3"}, {"other", "p", "1.75 kW"},
	} {
		s, _ := reg.Point(devices.ID(c.device), c.point)
		if got := rules.Device(devices.ID(c.device)).Point(c.point).FormatState(s); got != c.want {
			t.Errorf("%s %s is %s, want %s", c.device, c.point, got, c.want)
		}
	}
	if alerts != 1 {
		t.Errorf("%d alerts, want one", alerts)
	}
}
