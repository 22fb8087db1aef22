package mapping

import (
	"strings"
	"testing"

	"tidings/devices"
)

func TestUnderstandDiscovered(t *testing.T) {
	t.Parallel()
	number := func(name, unit string, high float64) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindNumber, Unit: unit, High: high, Readable: true, Writable: true}
	}
	choice := func(name string, options ...string) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindChoice, Options: options, Readable: true, Writable: true}
	}
	toggle := func(name string) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindSwitch, Readable: true, Writable: true}
	}
	minor := func(p devices.Point) devices.Point {
		p.Minor = true
		return p
	}
	color := devices.Point{Name: "color", Kind: devices.KindColor, Readable: true, Writable: true}
	for _, device := range []struct {
		points []devices.Point
		menu   string
		said   map[string]string
	}{
		{[]devices.Point{toggle("light"), number("brightness", "%", 100), color, number("color_temp", "K", 6500), choice("effect", "rainbow", "red"),
			minor(toggle("do_not_disturb")), minor(choice("power_on_behavior", "on", "off", "previous"))},
			"Light on, Light off, Set brightness…, Set color…, Set color temperature…, Set effect…, Do not disturb on, Do not disturb off, Set power on behavior…",
			map[string]string{"on": "light/on ", "dim to 40": "brightness/set 40", "40%": "brightness/set 40%", "40": "", "blue": "color/set blue",
				"red": "", "rainbow": "effect/set rainbow", "color temp 2700": "color_temp/set 2700", "color temperature 2700": "color_temp/set 2700",
				"2700 K": "color_temp/set 2700 K", "color #00ff00": "color/set #00ff00", "previous": "", "power on behavior previous": "power_on_behavior/set previous",
				"set": "", "dim": "", "warm white": "color/set warm white"}},
		{[]devices.Point{number("target", "°C", 30), choice("mode", "off", "heat"), choice("swing_mode", "off", "vertical"), minor(toggle("child_lock"))},
			"Set target…, Set mode…, Set swing mode…, Child lock on, Child lock off",
			map[string]string{"heat": "mode/set heat", "off": "mode/set off", "mode off": "mode/set off", "vertical": "swing_mode/set vertical",
				"21.5 °C": "target/set 21.5 °C", "21.5": "", "22": "", "target 22": "target/set 22", "temperature 21.5": "target/set 21.5", "child lock on": "child_lock/on "}},
	} {
		d := modelOf(t, devices.Info{ID: "homeassistant:0x3", Match: "homeassistant:0x3", Points: device.points}, "")
		var menu []string
		for _, a := range d.Actions() {
			menu = append(menu, a.Name)
		}
		if got := strings.Join(menu, ", "); got != device.menu {
			t.Errorf("menu: %s", got)
		}
		for said, want := range device.said {
			got := ""
			if a, value := d.Understand(strings.Fields(said)); a != nil {
				got = a.Node + " " + value
			}
			if got != want {
				t.Errorf("%q: %q, want %q", said, got, want)
			}
		}
	}
}
