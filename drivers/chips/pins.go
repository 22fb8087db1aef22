package chips

import (
	"tidings/devices"
	"tidings/devices/schema"
)

// A pinKind is what the points of a chip are whose points are its pins or channels.
type pinKind struct {
	example string // of a source
	parse   func(source string) (pin int, ok bool)
	point   devices.Point   // without its name
	unasked []devices.Point // that there are where no table says which, by the name of their source; nil: none
	keys    []string        // the point's keys it knows besides source
}

// channel makes the channel of a pin. The table may be nil.
func (k *pinKind) channel(name, source string, t *schema.Table) (channel, bool) {
	pin, ok := k.parse(source)
	ch := channel{Point: k.point, source: source, pin: pin, fullScale: defaultFullScale}
	ch.Name = name
	if t != nil && t.String("direction") == "out" {
		ch.Writable = true
	}
	ch.Confirms = ch.Writable
	ch.output = ch.Writable
	return ch, ok
}

// read reads the other keys of a point's table.
func (k *pinKind) read(ch *channel, t *schema.Table, mistake mistake) {
	ch.activeLow = t.Bool("active_low", false)
	ch.pullUp = t.String("pull") == "up"
	ch.fullScale = t.Float("full_scale", defaultFullScale)
	if t.Has("full_scale") && !(ch.fullScale > 0 && ch.fullScale <= maxFullScale) {
		mistake(t, "full_scale", "full_scale is %g: it is more than nothing and at most %g", ch.fullScale, maxFullScale)
	}
	if t.Has("pull") && ch.output {
		mistake(t, "pull", "pull is for inputs, and %s is an output", ch.source)
	}
	if v, ok := t.Get("initial"); ok {
		if !ch.output {
			mistake(t, "initial", "initial is for outputs: say direction = \"out\" if %s is one", ch.source)
		}
		switch said := v.V.(type) {
		case bool:
			ch.initial = devices.Bool(said)
		case int64:
			ch.initial = devices.Number(float64(said))
		case float64:
			ch.initial = devices.Number(said)
		}
		if ch.output && !ch.takes(ch.initial) {
			mistake(t, "initial", "initial is %v, and %s cannot be set to that", v.V, ch.source)
		}
	}
}
