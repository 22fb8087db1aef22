package gpio

import (
	"fmt"
	"slices"
	"time"

	"periph.io/x/conn/v3/gpio"

	"tidings/devices"
	"tidings/devices/schema"
)

// points are the points of a device's tables: numbers where pulses are counted.
func points(_, device *schema.Table) []devices.Point {
	var out []devices.Point
	for _, t := range device.Table("points").Tables() {
		p := devices.Point{Name: t.Name(), Kind: devices.KindSwitch, Readable: true, Writable: t.String("direction") == "out"}
		switch {
		case t.Has("rate"):
			p.Kind = devices.KindNumber
		case t.Has("count"):
			p.Kind, p.Writable = devices.KindNumber, true
		}
		out = append(out, p)
	}
	return out
}

// counter makes a line one whose pulses are counted.
func (b *builder) counter(p devices.PointConfig, l *lineConfig) {
	t := p.Table
	for _, key := range []string{"pulse", "initial", "safe"} {
		if t.Has(key) {
			b.mistake(t, key, "%s is for outputs, and pulses are counted at an input", key)
		}
	}
	switch {
	case l.output:
		b.mistake(t, "direction", "pulses are counted at an input: leave direction out")
	case t.Has("active_low"):
		b.mistake(t, "active_low", "active_low has no meaning where pulses are counted: count says which edge is one")
	case p.Kind != devices.KindNumber:
		b.mistake(t, "kind", "kind is %s: pulses are a number", p.Kind)
	case l.debounce > maxDebounce:
		b.mistake(t, "debounce", "debounce is %v: at most %v", l.debounce, maxDebounce)
	}
	l.counts = &countConfig{edge: edges[t.StringOr("count", "rising")]}
	if !t.Has("rate") {
		l.counts.total = p.Name
		return
	}
	l.counts.rate, l.counts.per = p.Name, t.Duration("rate", 0)
	if d, err := schema.ParseDuration(t.String("rate")); err == nil && (d < minRate || d > maxRate) {
		b.mistake(t, "rate", "rate is %q: from %v to %v", t.String("rate"), minRate, maxRate)
	}
}

// The time a rate is counted in: a second for a wind gauge, an hour for a meter.
const (
	minRate = time.Second
	maxRate = 24 * time.Hour
)

var edges = map[string]gpio.Edge{"rising": gpio.RisingEdge, "falling": gpio.FallingEdge, "both": gpio.BothEdges}

// rate adds a point that says how fast pulses come: to the line that another point of the device counts, or as a line of its
// own.
func (b *builder) rate(id devices.ID, lines []lineConfig, p devices.PointConfig) []lineConfig {
	source, _ := b.sourceOf(p)
	i := slices.IndexFunc(lines, func(l lineConfig) bool { return source != "" && l.source == source && l.counts != nil })
	if i < 0 || lines[i].counts.rate != "" { // the second rate of a line is told that the line is taken
		return append(lines, b.line(id, p))
	}
	for _, key := range []string{"count", "pull", "debounce"} {
		if p.Table.Has(key) {
			b.mistake(p.Table, key, "%s is said where the line is counted: in %s", key, fmt.Sprintf("%s.%s", id, lines[i].point))
		}
	}
	var own lineConfig
	b.counter(p, &own)
	lines[i].counts.rate, lines[i].counts.per = own.counts.rate, own.counts.per
	return lines
}
