package gpio

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/gpio"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/handover"
)

// Bounds of the configuration: longer than these is a slip of the unit, not a bouncing contact or a pulse.
const (
	maxDebounce = time.Minute
	maxPulse    = time.Hour
)

// Type describes the driver. open is what opens its chips; nil is the kernel's character device.
func Type(open Opener) devices.Type {
	if open == nil {
		open = kernelOpener()
	}
	return devices.Type{
		Name: "gpio",
		Help: "Lines of a GPIO chip: contacts, buttons, motion detectors and the pulses of meters as inputs, relays and lamps as outputs. " +
			"Lines are given by name (GPIO17) or by number on the chip; `gpioinfo` lists both. The user needs the group gpio.",
		Kind: devices.KindSwitch,
		Connection: []schema.Key{
			{Name: "chip", Kind: schema.String, Default: "gpiochip0", Help: "the chip: its name, its label or a path"},
		},
		Point: []schema.Key{
			{Name: "source", Kind: schema.Scalar, Help: "the line: its name or its number on the chip"},
			{Name: "direction", Kind: schema.String, Default: "in", Choices: []string{"in", "out"}, Help: "whether the line is read or set"},
			{Name: "pull", Kind: schema.String, Choices: []string{"up", "down", "none"}, Help: "the chip's own resistor at an input; left as it is by default"},
			{Name: "active_low", Kind: schema.Bool, Default: "false", Help: "on is the low level, as with a contact to ground"},
			{Name: "debounce", Kind: schema.Duration, Default: "0s", Help: "a change of an input shorter than this is not a reading"},
			{Name: "initial", Kind: schema.Bool, Default: "false", Help: "what an output is set to when the chip is opened"},
			{Name: "pulse", Kind: schema.Duration, Help: "an output is on for this long, then off again"},
			{Name: "count", Kind: schema.String, Choices: []string{"rising", "falling", "both"}, Help: "the point counts pulses of an input, at these edges: a number that is kept over restarts and can be set"},
			{Name: "rate", Kind: schema.Duration, Help: "the point is how many pulses come in this time, by the time between them; its line may be one that another point of the device counts"},
		},
		Writes: func(p *schema.Table) bool {
			return p.String("direction") == "out" || p.Has("count") && !p.Has("rate")
		},
		Points: points,
		Build:  func(c devices.Connection) devices.Driver { return build(c, open) },
	}
}

// build makes the driver of a table. What contradicts itself is recorded, and then there is no driver.
func build(c devices.Connection, open Opener) devices.Driver {
	d := &driver{
		name: c.Name,
		chip: c.Table.StringOr("chip", "gpiochip0"),
		open: open,
		log:  c.Log,
		desk: handover.New[job](),

		memory: c.Memory,
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	b := builder{owner: map[string]string{}}
	if d.chip == "" {
		b.mistake(c.Table, "chip", "chip is empty: name one, as in %q", "gpiochip0")
	}
	for _, dc := range c.Devices {
		dev := device{id: dc.ID}
		for _, p := range dc.Points {
			if !p.Table.Has("rate") {
				dev.lines = append(dev.lines, b.line(dc.ID, p))
			}
		}
		for _, p := range dc.Points { // the lines they may share are known now
			if p.Table.Has("rate") {
				dev.lines = b.rate(dc.ID, dev.lines, p)
			}
		}
		d.devices = append(d.devices, dev)
	}
	if b.mistakes {
		return nil
	}
	return d
}

// builder reads point tables and remembers whose lines are taken.
type builder struct {
	owner    map[string]string // by source
	mistakes bool
}

func (b *builder) mistake(t *schema.Table, key, format string, args ...any) {
	t.Errorf(key, format, args...)
	b.mistakes = true
}

func (b *builder) line(id devices.ID, p devices.PointConfig) lineConfig {
	t := p.Table
	l := lineConfig{
		device:    id,
		point:     p.Name,
		action:    p.Kind == devices.KindAction,
		source:    b.source(id, p),
		output:    t.String("direction") == "out",
		pull:      pull(t.String("pull")),
		activeLow: t.Bool("active_low", false),
		debounce:  t.Duration("debounce", 0),
		initial:   t.Bool("initial", false),
		pulse:     t.Duration("pulse", 0),
		safe:      p.Safe,
	}
	switch direction := t.StringOr("direction", "in"); {
	case direction != "in" && direction != "out": // Check said so; what else is wrong depends on it
	case t.Has("count") || t.Has("rate"):
		b.counter(p, &l)
	case p.Kind != devices.KindSwitch && p.Kind != devices.KindAction:
		b.mistake(t, "kind", "kind is %s: a line is a switch, with pulse an action, and with count or rate a number", p.Kind)
	case l.output:
		b.output(t, l)
	default:
		b.input(t, l)
	}
	return l
}

func (b *builder) output(t *schema.Table, l lineConfig) {
	for _, key := range []string{"pull", "debounce"} {
		if t.Has(key) {
			b.mistake(t, key, "%s is for inputs, and direction is out", key)
		}
	}
	if l.action && !t.Has("pulse") {
		b.mistake(t, "kind", "an action needs pulse, which says how long the line is on")
	}
	safe, isBool := l.safe.Bool()
	if !l.safe.IsZero() && !isBool {
		b.mistake(t, "safe", "safe is %s: a line is true or false", l.safe)
	}
	if !t.Has("pulse") {
		return
	}
	if d, err := schema.ParseDuration(t.String("pulse")); err == nil && (d == 0 || d > maxPulse) {
		b.mistake(t, "pulse", "pulse is %q: it is longer than nothing and at most %v", t.String("pulse"), maxPulse)
	}
	if l.initial {
		b.mistake(t, "initial", "a line with pulse begins off: initial cannot be true")
	}
	if safe {
		b.mistake(t, "safe", "a pulse ends off, also when the gateway stops: safe cannot be true")
	}
}

func (b *builder) input(t *schema.Table, l lineConfig) {
	for _, key := range []string{"pulse", "initial", "safe"} {
		if t.Has(key) {
			b.mistake(t, key, "%s is for outputs: say direction = \"out\" if the line is one", key)
		}
	}
	if l.action && !t.Has("pulse") {
		b.mistake(t, "kind", "an action is an output with pulse: say direction = \"out\"")
	}
	if l.debounce > maxDebounce {
		b.mistake(t, "debounce", "debounce is %v: at most %v", l.debounce, maxDebounce)
	}
}

// source reads the line of a point and sees that no other point has it.
func (b *builder) source(id devices.ID, p devices.PointConfig) string {
	source, ok := b.sourceOf(p)
	if !ok {
		b.mistake(p.Table, "source", "source is a line's name or its number on the chip, as in %q or %d", "GPIO17", 17)
		return ""
	}
	me := fmt.Sprintf("%s.%s", id, p.Name)
	if other, taken := b.owner[source]; taken {
		b.mistake(p.Table, "source", "line %s is already that of %s", source, other)
	}
	b.owner[source] = me
	return source
}

// sourceOf reads the name or number of a line, in one form for both ways of writing a number.
func (b *builder) sourceOf(p devices.PointConfig) (source string, ok bool) {
	v, _ := p.Table.Get("source")
	switch s := v.V.(type) {
	case string:
		source = strings.TrimSpace(s)
		if n, err := strconv.Atoi(source); err == nil {
			source = strconv.Itoa(n)
		}
	case int64:
		source = strconv.FormatInt(s, 10)
	}
	return source, source != "" && source[0] != '-'
}

func pull(word string) gpio.Pull {
	switch word {
	case "up":
		return gpio.PullUp
	case "down":
		return gpio.PullDown
	case "none":
		return gpio.Float
	}
	return gpio.PullNoChange
}
