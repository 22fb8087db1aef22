package component

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// jsonLight is a light that says and takes everything in one JSON object: state, brightness, color, color_temp, effect.
func (b *builder) jsonLight() error {
	modes := b.list("supported_color_modes")
	for _, old := range []string{"brightness", "color_temp", "rgb", "hs", "xy"} { // before there were modes
		if b.Flag(old, false) && !slices.Contains(modes, old) {
			modes = append(modes, old)
		}
	}
	w, state := b.writer("command_topic", ""), b.topic("state_topic")
	if w == nil {
		return b.must("command_topic")
	}
	member := func(key string, parse func(v any) (devices.Value, error)) []discovery.Source {
		if state == "" {
			return nil
		}
		return []discovery.Source{{Topic: state, Read: func(m *discovery.Message) (devices.Value, error) {
			object, err := object(m)
			if err != nil {
				return devices.Value{}, err
			}
			v, ok := object[key]
			if !ok {
				return devices.Value{}, discovery.ErrAbsent
			}
			if v == nil {
				return devices.Value{}, nil
			}
			return parse(v)
		}}}
	}
	b.add("", devices.Point{Kind: devices.KindSwitch}, member("state", asText(parseSwitch("ON", "OFF"))),
		func(v devices.Value) ([]discovery.Message, error) {
			on, err := toBool(v)
			switch {
			case err != nil:
				return nil, err
			case on:
				return w.text(`{"state":"ON"}`)
			}
			return w.text(`{"state":"OFF"}`)
		})
	set := func(key, value string) ([]discovery.Message, error) {
		return w.text(`{"state":"ON",` + strconv.Quote(key) + `:` + value + `}`)
	}
	percent := func(key string, scale float64) {
		b.add(key, percentPoint(scale), member(key, asText(scaled(0, scale, 0, 100))),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := dim(v, scale)
				switch {
				case err != nil:
					return nil, err
				case f == 0 && key == "brightness":
					return w.text(`{"state":"OFF"}`)
				}
				return set(key, integer(f))
			})
	}
	if slices.ContainsFunc(modes, func(mode string) bool { return mode != "onoff" }) {
		percent("brightness", b.scale("brightness_scale"))
	}
	b.jsonColor(modes, member, set)
	if slices.Contains(modes, "color_temp") {
		warm := b.warmth()
		b.add("color_temp", warm.point(), inMode(member("color_temp", asText(warm.parse)), "color_temp"),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := warm.to(v)
				if err != nil {
					return nil, err
				}
				return set("color_temp", integer(f))
			})
	}
	if slices.Contains(modes, "white") {
		percent("white", b.scale("white_scale"))
	}
	if effects := b.list("effect_list"); len(effects) > 0 && b.Flag("effect", false) {
		b.add("effect", devices.Point{Kind: devices.KindChoice, Options: effects}, member("effect", asOption(effects)),
			func(v devices.Value) ([]discovery.Message, error) {
				s, err := toOption(v, effects)
				if err != nil {
					return nil, err
				}
				quoted, err := json.Marshal(s)
				if err != nil {
					return nil, fmt.Errorf("%w: %q", devices.ErrValue, s)
				}
				return set("effect", string(quoted))
			})
	}
	return nil
}

// colorKeys are the members of "color" in each form.
var colorKeys = [...][]string{rgb: {"r", "g", "b"}, rgbw: {"r", "g", "b", "w"}, rgbww: {"r", "g", "b", "c", "w"}, hs: {"h", "s"}, xy: {"x", "y"}}

// jsonColor adds the colour, which is written in the best form that the light takes and read in the one that it says.
func (b *builder) jsonColor(modes []string, member func(string, func(any) (devices.Value, error)) []discovery.Source,
	set func(key, value string) ([]discovery.Message, error)) {
	for f, name := range colorForms {
		if !slices.Contains(modes, name) {
			continue
		}
		form := colorForm(f)
		part := b.add("color", devices.Point{Kind: devices.KindColor}, inMode(member("color", parseColor), colorForms[:]...),
			func(v devices.Value) ([]discovery.Message, error) {
				n, err := form.of(v)
				if err != nil {
					return nil, err
				}
				value := "{"
				for i, key := range colorKeys[form] {
					if i > 0 {
						value += ","
					}
					value += strconv.Quote(key) + ":" + devices.Number(n[i]).String()
				}
				return set("color", value+"}")
			})
		part.Confirms = part.Confirms && form.exact()
		return
	}
}

// parseColor reads the member "color" in whichever form it is.
func parseColor(v any) (devices.Value, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return devices.Value{}, fmt.Errorf("value: the colour is not an object")
	}
	for _, form := range []colorForm{rgbww, rgbw, rgb, xy, hs} {
		n := make([]float64, 0, form.numbers())
		for _, key := range colorKeys[form] {
			text, _ := plain(object[key])
			if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
				n = append(n, f)
			}
		}
		if len(n) == form.numbers() {
			return form.value(n), nil
		}
	}
	return devices.Value{}, discovery.ErrAbsent
}

// inMode reads a member only of a message whose color_mode is one of modes, or that has none: a lamp that shines white says
// the colour of that white, too.
func inMode(sources []discovery.Source, modes ...string) []discovery.Source {
	for i, s := range sources {
		sources[i].Read = func(m *discovery.Message) (devices.Value, error) {
			if object, err := object(m); err == nil {
				if mode, ok := object["color_mode"].(string); ok && !slices.Contains(modes, mode) {
					return devices.Value{}, discovery.ErrAbsent
				}
			}
			return s.Read(m)
		}
	}
	return sources
}

// object is the payload as a JSON object; what is empty says nothing.
func object(m *discovery.Message) (map[string]any, error) {
	if len(m.Payload) == 0 {
		return nil, discovery.ErrAbsent
	}
	tree, err := m.JSON()
	if err != nil {
		return nil, err
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("payload: %s is not a JSON object", discovery.Quote(m.Payload))
	}
	return object, nil
}

// asText reads a plain value of JSON as the text it is.
func asText(parse parseFunc) func(any) (devices.Value, error) {
	return func(v any) (devices.Value, error) {
		text, ok := plain(v)
		if !ok {
			return devices.Value{}, fmt.Errorf("value: it is neither a text nor a number")
		}
		if unknown(text) {
			return devices.Value{}, nil
		}
		return parse(text)
	}
}

// asOption reads one of a list, which may have an option that is called None.
func asOption(options []string) func(any) (devices.Value, error) {
	parse := asText(parseOption(options))
	return func(v any) (devices.Value, error) {
		if s, ok := v.(string); ok && slices.Contains(options, s) {
			return devices.Text(s), nil
		}
		return parse(v)
	}
}

func integer(f float64) string { return strconv.FormatInt(int64(math.Round(f)), 10) }
