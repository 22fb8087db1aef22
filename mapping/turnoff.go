package mapping

import (
	"strings"

	"tidings/devices"
)

// TurnsOff is the switch that setting p to v turns off: a lamp of brightness 0 is off, as is a fan of speed 0, and many say only
// that, and keep the brightness they had for when they are on again. It is nil where there is none.
//
// It is the switch before the point, or the one that the point is called after, as in "ring" and "ring_brightness".
func (d *Device) TurnsOff(p *Point, v devices.Value) *Point {
	if f, ok := v.Number(); !ok || f != 0 || p.Unit != "%" {
		return nil
	}
	for _, what := range []string{"brightness", "speed"} {
		before, ok := strings.CutSuffix(p.Name, what)
		if !ok {
			continue
		}
		if i := d.index(strings.TrimSuffix(before, "_")); i >= 0 {
			return d.Points[i].turnedOff()
		}
		for i := d.index(p.Name) - 1; i >= 0; i-- {
			if q := &d.Points[i]; q.Kind == devices.KindSwitch && q.Writable && !q.Minor {
				return q.turnedOff()
			}
		}
	}
	return nil
}

// turnedOff is p where it is a switch that can be turned off and says so.
func (p *Point) turnedOff() *Point {
	if p.Kind == devices.KindSwitch && p.Writable && p.Readable {
		return p
	}
	return nil
}
