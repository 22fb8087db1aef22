package component

import (
	"fmt"
	"strconv"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

// templateLight is a light with one template for what turns it on, with everything that is set beside, and one for each
// thing that it says.
func (b *builder) templateLight() error {
	on, off := b.writer("command_topic", "command_on_template"), b.writer("command_topic", "command_off_template")
	if on == nil {
		return b.must("command_topic")
	}
	if on.template == nil && on.err == nil || off.template == nil && off.err == nil {
		return fmt.Errorf("it has no command_on_template or no command_off_template")
	}
	state := "state_topic"
	if !b.Has("state_template") {
		state = ""
	}
	lit := func(vars template.Map) ([]discovery.Message, error) {
		vars["state"] = template.String("on")
		return on.publish(template.String("on"), "", vars)
	}
	dark := func() ([]discovery.Message, error) {
		return off.publish(template.String("off"), "", template.Map{"state": template.String("off")})
	}
	b.add("", devices.Point{Kind: devices.KindSwitch}, b.sources(state, "state_template", parseSwitch("on", "off")),
		func(v devices.Value) ([]discovery.Message, error) {
			is, err := toBool(v)
			switch {
			case err != nil:
				return nil, err
			case is:
				return lit(template.Map{})
			}
			return dark()
		})
	uses := func(name string) bool { return on.template != nil && strings.Contains(on.template.String(), name) }
	if b.Has("brightness_template") || uses("brightness") {
		b.add("brightness", percentPoint(255), b.given("brightness_template", scaled(0, 255, 0, 100)),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := dim(v, 255)
				switch {
				case err != nil:
					return nil, err
				case f == 0:
					return dark()
				}
				return lit(template.Map{"brightness": template.Int(int64(f))})
			})
	}
	if b.Has("red_template") && b.Has("green_template") && b.Has("blue_template") {
		b.add("color", devices.Point{Kind: devices.KindColor}, b.channels(), func(v devices.Value) ([]discovery.Message, error) {
			n, err := rgb.of(v)
			if err != nil {
				return nil, err
			}
			_, vars := colorVars(rgb, n)
			hue, saturation := rgbToHue([3]float64(n))
			vars["hue"], vars["sat"] = template.Float(hue), template.Float(saturation)
			return lit(vars)
		})
	}
	if b.Has("color_temp_template") {
		warm := b.warmth()
		b.add("color_temp", warm.point(), b.given("color_temp_template", warm.parse), func(v devices.Value) ([]discovery.Message, error) {
			f, err := warm.to(v)
			if err != nil {
				return nil, err
			}
			return lit(template.Map{"color_temp": template.Int(int64(f))})
		})
	}
	if effects := b.list("effect_list"); len(effects) > 0 {
		b.add("effect", devices.Point{Kind: devices.KindChoice, Options: effects}, b.given("effect_template", parseOption(effects)),
			func(v devices.Value) ([]discovery.Message, error) {
				s, err := toOption(v, effects)
				if err != nil {
					return nil, err
				}
				return lit(template.Map{"effect": template.String(s)})
			})
	}
	return nil
}

// given are the sources on the state topic, when there is the template for it.
func (b *builder) given(templateKey string, parse parseFunc) []discovery.Source {
	if !b.Has(templateKey) {
		return nil
	}
	return b.sources("state_topic", templateKey, parse)
}

// channels reads a colour of three templates, one a channel.
func (b *builder) channels() []discovery.Source {
	topic := b.topic("state_topic")
	if topic == "" {
		return nil
	}
	readers := [3]reader{b.reader("red_template"), b.reader("green_template"), b.reader("blue_template")}
	return []discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
		var n [3]float64
		for i, r := range readers {
			text, err := r.read(m)
			if err != nil || unknown(text) {
				return devices.Value{}, err
			}
			if n[i], err = strconv.ParseFloat(text, 64); err != nil {
				return devices.Value{}, fmt.Errorf("value: %s is not a number", discovery.Quote([]byte(text)))
			}
		}
		return discovery.RGB(n), nil
	}}}
}
