package component

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

// cover is a blind, shutter, door or gate: what it is asked to be (open, closed, stopped), and where it is.
func (b *builder) cover() error {
	open, closed := b.number("position_open", 100), b.number("position_closed", 0)
	power, position := b.writer("command_topic", ""), b.writer("set_position_topic", "set_position_template")
	more := template.Map{"position_open": template.Int(int64(open)), "position_closed": template.Int(int64(closed)),
		"tilt_min": template.Int(int64(b.number("tilt_min", 0))), "tilt_max": template.Int(int64(b.number("tilt_max", 100)))}
	move := func(percent float64) ([]discovery.Message, error) {
		f := math.Round(rescale(percent, 0, 100, closed, open))
		vars := template.Map{"position": template.Int(int64(f))}
		for name, v := range more {
			vars[name] = v
		}
		return position.integer(f, vars)
	}
	p := devices.Point{Kind: devices.KindChoice, Class: "cover"}
	var write writeFunc
	p.Options, write = writeState([]command{
		{"open", b.Text("payload_open", "OPEN"), unless(power, b.null("payload_open"))},
		{"closed", b.Text("payload_close", "CLOSE"), unless(power, b.null("payload_close"))},
		{"stopped", b.Text("payload_stop", "STOP"), unless(power, b.null("payload_stop"))}})
	if power == nil && position != nil {
		p.Options = []string{"open", "closed"}
		write = func(v devices.Value) ([]discovery.Message, error) {
			s, err := toOption(v, p.Options)
			switch {
			case err != nil:
				return nil, err
			case s == "open":
				return move(100)
			}
			return move(0)
		}
	}
	states := []state{{b.Text("state_open", "open"), "open"}, {b.Text("state_closed", "closed"), "closed"},
		{b.Text("state_opening", "opening"), "opening"}, {b.Text("state_closing", "closing"), "closing"},
		{b.Text("state_stopped", "stopped"), "stopped"}}
	p.States = without([]string{"open", "closed", "opening", "closing", "stopped"}, p.Options)
	sources := b.sources("state_topic", "value_template", parseState(states))
	at := b.positions("position_topic", "position_template", "position")
	place := func(text string) (devices.Value, error) {
		f, known, err := number(text)
		if err != nil || !known {
			return devices.Value{}, err
		}
		return devices.Number(math.Round(rescale(f, closed, open, 0, 100))), nil
	}
	if sources == nil { // what is not said follows from where it is
		sources = at(func(text string) (devices.Value, error) { return openAbove(place(text)) })
	}
	b.add("", p, sources, write)
	var set writeFunc
	if position != nil {
		set = func(v devices.Value) ([]discovery.Message, error) {
			f, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			return move(max(0, min(100, f)))
		}
	}
	b.add("position", percentPoint(math.Abs(open-closed)), at(place), set)
	b.tilt(more)
	b.class = coverClass(b.word("device_class"))
	return b.must("command_topic")
}

// coverClass is what a device is whose cover has a device class.
func coverClass(class string) string {
	switch class {
	case "door", "garage", "gate", "window", "blind":
		return class
	case "awning", "curtain", "shade", "shutter":
		return "blind"
	}
	return "cover"
}

// openAbove is open of a position that is not 0.
func openAbove(v devices.Value, err error) (devices.Value, error) {
	f, ok := v.Number()
	switch {
	case err != nil || !ok:
		return devices.Value{}, err
	case f == 0:
		return devices.Text("closed"), nil
	}
	return devices.Text("open"), nil
}

func unless(w *writer, not bool) *writer {
	if not {
		return nil
	}
	return w
}

func without(list, others []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(others, s) })
}

// positions makes the sources on the topic of a position, whose template gives a number, or a JSON object with the number as
// a member.
func (b *builder) positions(topicKey, templateKey, name string) func(parseFunc) []discovery.Source {
	return func(parse parseFunc) []discovery.Source {
		return b.sources(topicKey, templateKey, member(name, parse))
	}
}

// member reads a text that is a JSON object by one of its members, and any other as it is.
func member(name string, parse parseFunc) parseFunc {
	return func(text string) (devices.Value, error) {
		if !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return parse(text)
		}
		var object map[string]any
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&object); err != nil {
			return devices.Value{}, fmt.Errorf("value: %s is not JSON", discovery.Quote([]byte(text)))
		}
		said, ok := object[name]
		if !ok {
			return devices.Value{}, discovery.ErrAbsent
		}
		s, ok := plain(said)
		if !ok || unknown(s) {
			return devices.Value{}, nil
		}
		return parse(s)
	}
}

// tilt adds the tilt of the slats of a cover.
func (b *builder) tilt(more template.Map) {
	w := b.writer("tilt_command_topic", "tilt_command_template")
	low, high := b.number("tilt_min", 0), b.number("tilt_max", 100)
	at := b.positions("tilt_status_topic", "tilt_status_template", "tilt_position")
	var write writeFunc
	if w != nil {
		opened, closed := b.number("tilt_opened_value", 100), b.number("tilt_closed_value", 0)
		write = func(v devices.Value) ([]discovery.Message, error) {
			f, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			set := rescale(f, 0, 100, low, high)
			switch f {
			case 0:
				set = closed
			case 100:
				set = opened
			}
			vars := template.Map{"tilt_position": template.Int(int64(math.Round(set)))}
			for name, v := range more {
				vars[name] = v
			}
			return w.integer(set, vars)
		}
	}
	part := b.add("tilt", percentPoint(math.Abs(high-low)), at(scaled(low, high, 0, 100)), write)
	part.Confirms = part.Confirms && !b.Flag("tilt_optimistic", false)
}

// valve is one that is open or closed, or that has a position between.
func (b *builder) valve() error {
	power := b.writer("command_topic", "command_template")
	open, closed := b.number("position_open", 100), b.number("position_closed", 0)
	reports := b.Flag("reports_position", false)
	p := devices.Point{Kind: devices.KindChoice, Class: "valve"}
	var write writeFunc
	opened, shut := b.Text("payload_open", "OPEN"), b.Text("payload_close", "CLOSE")
	if reports {
		opened, shut = integer(open), integer(closed)
	}
	commands := []command{{"open", opened, unless(power, b.null("payload_open"))}, {"closed", shut, unless(power, b.null("payload_close"))}}
	if b.Has("payload_stop") {
		commands = append(commands, command{"stopped", b.Text("payload_stop", "STOP"), power})
	}
	p.Options, write = writeState(commands)
	p.States = without([]string{"open", "closed", "opening", "closing"}, p.Options)
	place := func(text string) (devices.Value, error) {
		f, known, err := number(text)
		if err != nil || !known {
			return devices.Value{}, err
		}
		return devices.Number(math.Round(rescale(f, closed, open, 0, 100))), nil
	}
	stateOf := parseState([]state{{b.Text("state_open", "open"), "open"}, {b.Text("state_closed", "closed"), "closed"},
		{b.Text("state_opening", "opening"), "opening"}, {b.Text("state_closing", "closing"), "closing"}})
	if !reports {
		b.add("", p, b.sources("state_topic", "value_template", member("state", stateOf)), write)
		return b.must("command_topic")
	}
	b.add("", p, b.sources("state_topic", "value_template", func(text string) (devices.Value, error) {
		v, err := member("state", stateOf)(text)
		if err == nil && !v.IsZero() {
			return v, nil
		}
		return openAbove(member("position", place)(text))
	}), write)
	set := func(v devices.Value) ([]discovery.Message, error) {
		f, err := toNumber(v)
		if err != nil {
			return nil, err
		}
		return power.integer(rescale(f, 0, 100, closed, open), nil)
	}
	if power == nil {
		set = nil
	}
	b.add("position", percentPoint(math.Abs(open-closed)),
		b.sources("state_topic", "value_template", func(text string) (devices.Value, error) {
			v, err := member("position", place)(text)
			if err != nil && !errors.Is(err, discovery.ErrAbsent) {
				if _, stateErr := member("state", stateOf)(text); stateErr == nil {
					return devices.Value{}, discovery.ErrAbsent // only the state came
				}
			}
			return v, err
		}), set)
	return b.must("command_topic")
}
