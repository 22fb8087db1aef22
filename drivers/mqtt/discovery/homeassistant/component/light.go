package component

import (
	"fmt"
	"math"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

// light is a light of one of three schemas.
func (b *builder) light() error {
	switch schema := b.Text("schema", "basic"); schema {
	case "basic":
		return b.basicLight()
	case "json":
		return b.jsonLight()
	case "template":
		return b.templateLight()
	default:
		return fmt.Errorf("its schema %q is none of basic, json, template", schema)
	}
}

// percentPoint is a number from 0 to 100 % that the device counts in so many steps. The second of three is shown as 67 %, as which it
// is read.
func percentPoint(steps float64) devices.Point {
	p := devices.Point{Kind: devices.KindNumber, Unit: "%", Low: 0, High: 100, Step: 1}
	if steps < 100 {
		p.Step, p.Digits = 100/steps, 1
	}
	return p
}

// A warmth is how a light counts its colour temperature.
type warmth struct {
	kelvin    bool
	low, high float64 // K
}

// warmth of the keys, which say mireds or Kelvin.
func (b *builder) warmth() warmth {
	w := warmth{kelvin: b.Flag("color_temp_kelvin", false), low: 2000, high: 6535}
	if m := b.number("max_mireds", 0); m > 0 {
		w.low = math.Round(1e6 / m)
	}
	if m := b.number("min_mireds", 0); m > 0 {
		w.high = math.Round(1e6 / m)
	}
	w.low, w.high = b.number("min_kelvin", w.low), b.number("max_kelvin", w.high)
	return w
}

// point is the colour temperature in K. Mireds are coarse: 50 K is about one of them where they are coarsest.
func (w warmth) point() devices.Point {
	p := devices.Point{Kind: devices.KindNumber, Unit: "K", Low: w.low, High: w.high}
	if !w.kelvin {
		p.Step = 50
	}
	return p
}

// from makes K of the device's number.
func (w warmth) from(f float64) devices.Value {
	switch {
	case w.kelvin:
		return devices.Number(f)
	case f <= 0:
		return devices.Value{}
	}
	return devices.Number(math.Round(1e5/f) * 10)
}

func (w warmth) parse(text string) (devices.Value, error) {
	f, known, err := number(text)
	if err != nil || !known {
		return devices.Value{}, err
	}
	return w.from(f), nil
}

// to makes the device's number of K.
func (w warmth) to(v devices.Value) (float64, error) {
	f, err := toNumber(v)
	if err != nil {
		return 0, err
	}
	if w.kelvin {
		return math.Round(f), nil
	}
	if f <= 0 {
		return 0, fmt.Errorf("%w: a colour temperature is above 0 K", devices.ErrValue)
	}
	return math.Round(1e6 / f), nil
}

// dim makes the device's brightness of percent; at least one step of what is more than nothing.
func dim(v devices.Value, scale float64) (float64, error) {
	f, err := toNumber(v)
	if err != nil {
		return 0, err
	}
	if f <= 0 {
		return 0, nil
	}
	return max(1, min(scale, math.Round(f*scale/100))), nil
}

func (b *builder) scale(key string) float64 { return max(1, b.number(key, 255)) }

func (b *builder) basicLight() error {
	b.onOff("", "state_value_template")
	onType := b.Text("on_command_type", "last")
	power, on, off := b.writer("command_topic", ""), b.Text("payload_on", "ON"), b.Text("payload_off", "OFF")
	if power == nil {
		return b.must("command_topic")
	}
	// lit publishes what turns the light on beside its new brightness or colour: before or after it, or not at all where
	// the brightness does that.
	lit := func(style []discovery.Message, err error) ([]discovery.Message, error) {
		if err != nil || onType == "brightness" {
			return style, err
		}
		turnOn, err := power.text(on)
		if onType == "first" {
			return append(turnOn, style...), err
		}
		return append(style, turnOn...), err
	}
	if w, scale := b.writer("brightness_command_topic", "brightness_command_template"), b.scale("brightness_scale"); w != nil {
		b.add("brightness", percentPoint(scale),
			b.sources("brightness_state_topic", "brightness_value_template", scaled(0, scale, 0, 100)),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := dim(v, scale)
				switch {
				case err != nil:
					return nil, err
				case f == 0:
					return power.text(off)
				}
				return lit(w.integer(f, nil))
			})
		if onType == "brightness" { // turning it on is making it bright
			b.parts[0].Write = func(v devices.Value) ([]discovery.Message, error) {
				is, err := toBool(v)
				switch {
				case err != nil:
					return nil, err
				case is:
					return w.integer(scale, nil)
				}
				return power.text(off)
			}
		}
	}
	b.basicColor(lit)
	if w, warm := b.writer("color_temp_command_topic", "color_temp_command_template"), b.warmth(); w != nil {
		b.add("color_temp", warm.point(), b.sources("color_temp_state_topic", "color_temp_value_template", warm.parse),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := warm.to(v)
				if err != nil {
					return nil, err
				}
				return lit(w.integer(f, nil))
			})
	}
	if w, scale := b.writer("white_command_topic", ""), b.scale("white_scale"); w != nil {
		b.add("white", percentPoint(scale), nil, func(v devices.Value) ([]discovery.Message, error) {
			f, err := dim(v, scale)
			if err != nil {
				return nil, err
			}
			return lit(w.integer(f, nil))
		})
	}
	if w, effects := b.writer("effect_command_topic", "effect_command_template"), b.list("effect_list"); w != nil && len(effects) > 0 {
		b.add("effect", devices.Point{Kind: devices.KindChoice, Options: effects},
			b.choices("effect_state_topic", "effect_value_template", effects),
			func(v devices.Value) ([]discovery.Message, error) {
				s, err := toOption(v, effects)
				if err != nil {
					return nil, err
				}
				return lit(w.text(s))
			})
	}
	return nil
}

// basicColor adds the colour of a light with topics for it, in the best form that it takes.
func (b *builder) basicColor(lit func([]discovery.Message, error) ([]discovery.Message, error)) {
	for f, name := range colorForms {
		form := colorForm(f)
		w := b.writer(name+"_command_topic", name+"_command_template")
		if w == nil {
			continue
		}
		part := b.add("color", devices.Point{Kind: devices.KindColor},
			b.sources(name+"_state_topic", name+"_value_template", form.parse),
			func(v devices.Value) ([]discovery.Message, error) {
				n, err := form.of(v)
				if err != nil {
					return nil, err
				}
				text, more := colorVars(form, n)
				return lit(w.publish(template.String(text), text, more))
			})
		part.Confirms = part.Confirms && form.exact()
		return
	}
}

// colorVars are the numbers of a colour with commas between, and as variables of a command template.
func colorVars(form colorForm, n []float64) (text string, more template.Map) {
	names := [...][]string{rgb: {"red", "green", "blue"}, rgbw: {"red", "green", "blue", "white"},
		rgbww: {"red", "green", "blue", "cold_white", "warm_white"}, hs: {"hue", "sat"}, xy: {"x", "y"}}[form]
	more = make(template.Map, len(n))
	for i, f := range n {
		s := devices.Number(f).String()
		value := template.Int(int64(f))
		if form == hs || form == xy {
			s, value = float(f), template.Float(f)
		}
		if i > 0 {
			text += ","
		}
		text += s
		more[names[i]] = value
	}
	return text, more
}
