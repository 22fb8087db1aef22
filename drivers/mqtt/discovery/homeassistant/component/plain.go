package component

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// digits are the decimals that the device suggests to show.
func (b *builder) digits() uint8 {
	if !b.Has("suggested_display_precision") {
		return 0
	}
	return uint8(1 + max(0, min(9, b.number("suggested_display_precision", 0))))
}

func (b *builder) sensor() error {
	p := devices.Point{Class: b.word("device_class"), Unit: b.word("unit_of_measurement"), Digits: b.digits()}
	parse := parseFunc(parseNumber)
	options := b.list("options")
	switch {
	case p.Class == "timestamp" || p.Class == "date":
		p.Kind, parse = devices.KindTime, parseTime
	case len(options) > 0:
		p.Kind, p.Options, parse = devices.KindChoice, options, parseOption(options)
	case p.Class == "enum" || p.Unit == "" && p.Digits == 0 && p.Class == "" && !b.Has("state_class"):
		p.Kind, parse = devices.KindText, parseText
	}
	b.add("", p, b.sources("state_topic", "value_template", parse), nil)
	return b.must("state_topic")
}

// must says that a key is missing when no part was made for want of it.
func (b *builder) must(key string) error {
	switch {
	case len(b.parts) > 0:
		return nil
	case len(b.notes) > 0:
		return fmt.Errorf("%s", b.notes[0])
	case b.Has(key):
		return fmt.Errorf("nothing of it can be read or set")
	}
	return fmt.Errorf("it has no %s", key)
}

func (b *builder) binarySensor() error {
	p := devices.Point{Kind: devices.KindSwitch, Class: b.word("device_class")}
	on, off := b.Text("payload_on", "ON"), b.Text("payload_off", "OFF")
	part := b.add("", p, b.sources("state_topic", "value_template", parseSwitch(on, off)), nil)
	part.OffDelay = seconds(max(0, b.number("off_delay", 0)))
	return b.must("state_topic")
}

// onOff adds the part that a thing with a command topic is: on or off.
func (b *builder) onOff(class, templateKey string) {
	on, off := b.Text("payload_on", "ON"), b.Text("payload_off", "OFF")
	b.add("", devices.Point{Kind: devices.KindSwitch, Class: class},
		b.sources("state_topic", templateKey, parseSwitch(b.Text("state_on", on), b.Text("state_off", off))),
		writeSwitch(b.writer("command_topic", "command_template"), on, off))
}

func (b *builder) toggle() error {
	b.onOff(b.word("device_class"), "value_template")
	return b.must("command_topic")
}

func (b *builder) button() error { return b.action(b.Text("payload_press", "PRESS")) }
func (b *builder) scene() error  { return b.action(b.Text("payload_on", "ON")) }

func (b *builder) action(payload string) error {
	b.add("", devices.Point{Kind: devices.KindAction, Class: b.word("device_class")}, nil,
		writeAction(b.writer("command_topic", "command_template"), payload))
	return b.must("command_topic")
}

func (b *builder) numeric() error {
	p := devices.Point{Kind: devices.KindNumber, Class: b.word("device_class"), Unit: b.word("unit_of_measurement"),
		Low: b.number("min", 1), High: b.number("max", 100), Step: math.Abs(b.number("step", 1)), Digits: b.digits()}
	if p.Low > p.High {
		return fmt.Errorf("its min %v is above its max %v", p.Low, p.High)
	}
	reset := b.Text("payload_reset", "None")
	parse := func(text string) (devices.Value, error) {
		if text == reset {
			return devices.Value{}, nil
		}
		return parseNumber(text)
	}
	var write writeFunc
	if w := b.writer("command_topic", "command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			f, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			return w.number(f)
		}
	}
	b.add("", p, b.sources("state_topic", "value_template", parse), write)
	return b.must("command_topic")
}

func (b *builder) choice() error {
	options := b.list("options")
	if len(options) == 0 {
		return fmt.Errorf("it has no options")
	}
	b.add("", devices.Point{Kind: devices.KindChoice, Options: options},
		b.choices("state_topic", "value_template", options), writeOption(b.writer("command_topic", "command_template"), options))
	return b.must("command_topic")
}

// text is one that can be set. What is a password is not read: it would be shown.
func (b *builder) text() error {
	low, high := int(b.number("min", 0)), int(b.number("max", 255))
	var pattern *regexp.Regexp
	if s := b.Text("pattern", ""); s != "" && len(s) <= maxOption {
		pattern, _ = regexp.Compile("^(?:" + s + ")") // of what Go cannot match, the device has to judge
	}
	var sources []discovery.Source
	if b.Text("mode", "text") != "password" {
		sources = b.sources("state_topic", "value_template", parseText)
	}
	var write writeFunc
	if w := b.writer("command_topic", "command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			s, err := toText(v)
			if err != nil {
				return nil, err
			}
			if n := utf8.RuneCountInString(s); n < low || n > high {
				return nil, fmt.Errorf("%w: it takes %d to %d characters", devices.ErrValue, low, high)
			}
			if pattern != nil && !pattern.MatchString(s) {
				return nil, fmt.Errorf("%w: it has to look like %s", devices.ErrValue, pattern)
			}
			return w.text(s)
		}
	}
	b.add("", devices.Point{Kind: devices.KindText}, sources, write)
	return b.must("command_topic")
}

// notify takes messages for people.
func (b *builder) notify() error {
	var write writeFunc
	if w := b.writer("command_topic", "command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			s, err := toText(v)
			if err != nil {
				return nil, err
			}
			return w.text(s)
		}
	}
	b.add("", devices.Point{Kind: devices.KindText}, nil, write)
	return b.must("command_topic")
}

func (b *builder) date() error { return b.moment("date", time.DateOnly, time.Local) }

func (b *builder) datetime() error {
	return b.moment("timestamp", "2006-01-02T15:04:05-07:00", time.UTC)
}

// moment is a time that can be set.
func (b *builder) moment(class, layout string, zone *time.Location) error {
	if name := b.Text("timezone", ""); name != "" {
		if z, err := time.LoadLocation(name); err == nil {
			zone = z
		}
	}
	var write writeFunc
	if w := b.writer("command_topic", "command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			t, ok := v.Time()
			if !ok {
				return nil, fmt.Errorf("%w: %q is not a time", devices.ErrValue, v)
			}
			return w.text(t.In(zone).Format(layout))
		}
	}
	b.add("", devices.Point{Kind: devices.KindTime, Class: class}, b.sources("state_topic", "value_template", parseTime), write)
	return b.must("command_topic")
}

// clock is a time of the day.
func (b *builder) clock() error {
	var write writeFunc
	if w := b.writer("command_topic", "command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			s, err := toText(v)
			if err != nil {
				return nil, err
			}
			for _, layout := range []string{time.TimeOnly, "15:04"} {
				if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
					return w.text(t.Format(time.TimeOnly))
				}
			}
			return nil, fmt.Errorf("%w: %q is not a time of the day, as in 18:30", devices.ErrValue, s)
		}
	}
	b.add("", devices.Point{Kind: devices.KindText}, b.sources("state_topic", "value_template", parseText), write)
	return b.must("command_topic")
}

// modes adds a part that is one of several: its topics, and the keys of its templates.
func (b *builder) modes(suffix, topics string, templates [2]string, options []string) {
	if len(options) == 0 {
		return
	}
	b.add(suffix, devices.Point{Kind: devices.KindChoice, Options: options},
		b.sources(topics+"_state_topic", templates[0], parseOption(options)),
		writeOption(b.writer(topics+"_command_topic", templates[1]), options))
}

// orDefault is a list, or what stands for one that is not there.
func orDefault(list []string, otherwise ...string) []string {
	if len(list) > 0 {
		return list
	}
	return slices.Clone(otherwise)
}
