package mapping

import (
	"testing"

	"tidings/devices"
)

// Nothing is 0 %: which switch says so is the one that the number belongs to.
func TestTurnsOff(t *testing.T) {
	t.Parallel()
	toggle := func(name string) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindSwitch, Readable: true, Writable: true}
	}
	percent := func(name string) devices.Point {
		return devices.Point{Name: name, Kind: devices.KindNumber, Unit: "%", High: 100, Readable: true, Writable: true}
	}
	blind := toggle("light")
	blind.Readable = false
	for _, c := range []struct {
		points []devices.Point
		set    string
		to     float64
		want   string
	}{
		{[]devices.Point{toggle("light"), percent("brightness")}, "brightness", 0, "light"},
		{[]devices.Point{toggle("light"), percent("brightness")}, "brightness", 1, ""},
		{[]devices.Point{toggle("fan"), percent("speed"), toggle("oscillation")}, "speed", 0, "fan"},
		{[]devices.Point{toggle("ring"), toggle("relay"), percent("ring_brightness")}, "ring_brightness", 0, "ring"},
		{[]devices.Point{toggle("relay"), blind, percent("brightness")}, "brightness", 0, ""}, // the light does not say
		{[]devices.Point{toggle("child_lock"), percent("position")}, "position", 0, ""},
		{[]devices.Point{percent("brightness")}, "brightness", 0, ""},
	} {
		d := modelOf(t, devices.Info{ID: "homeassistant:1", Points: c.points}, "")
		got := ""
		if off := d.TurnsOff(d.Point(c.set), num(c.to)); off != nil {
			got = off.Name
		}
		if got != c.want {
			t.Errorf("%s %v: %q, want %q", c.set, c.to, got, c.want)
		}
	}
}
