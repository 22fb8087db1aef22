package shelly

import (
	"fmt"
	"math"
	"slices"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// components make the points of those that can be set or have kinds of their own.
var components = map[string]func(*builder, component){
	"switch": (*builder).relay, "cover": (*builder).cover, "input": (*builder).input, "thermostat": (*builder).thermostat,
	"light": lamp("Light.Set"), "rgb": lamp("RGB.Set"), "rgbw": lamp("RGBW.Set"), "cct": lamp("CCT.Set"),
	"boolean": (*builder).virtual, "number": (*builder).virtual, "enum": (*builder).virtual, "text": (*builder).virtual, "button": (*builder).virtual,
}

func (b *builder) relay(c component) {
	p := devices.Point{Name: "power", Kind: devices.KindSwitch, Label: c.label}
	if !c.only {
		p.Name = c.name
	}
	b.add(c, p, truth, []string{"output"}, set("Switch.Set", "on", asBool, "switch position"))
	b.fields(c, power)
}

func lamp(method string) func(*builder, component) {
	return func(b *builder, c component) {
		b.out.Class = "light"
		base, sub := "light", ""
		if !c.only {
			base, sub = c.name, c.name+"_"
		}
		b.add(c, devices.Point{Name: base, Kind: devices.KindSwitch, Label: c.label}, truth, []string{"output"}, set(method, "on", asBool, "switch position"))
		has := func(key string) bool { _, ok := c.status[key]; return ok }
		if has("brightness") {
			b.add(c, devices.Point{Name: sub + "brightness", Kind: devices.KindNumber, Unit: "%", High: 100, Step: 1}, discovery.Number, []string{"brightness"},
				set(method, "brightness", asRounded, "number"))
		}
		if has("rgb") {
			b.add(c, devices.Point{Name: sub + "color", Kind: devices.KindColor}, color, []string{"rgb"}, set(method, "rgb", asRGB, "colour"))
		}
		if has("white") {
			b.add(c, devices.Point{Name: sub + "white", Kind: devices.KindNumber, High: 255, Step: 1}, discovery.Number, []string{"white"},
				set(method, "white", asRounded, "number"))
		}
		if has("ct") {
			p := devices.Point{Name: sub + "color_temp", Kind: devices.KindNumber, Unit: "K", Low: 2700, High: 6500, Step: 50}
			low, _ := discovery.In(c.config, "ct_range", "0")
			high, _ := discovery.In(c.config, "ct_range", "1")
			if l, ok := discovery.Float(low); ok {
				if h, ok := discovery.Float(high); ok && l < h {
					p.Low, p.High = l, h
				}
			}
			b.add(c, p, discovery.Number, []string{"ct"}, set(method, "ct", asRounded, "colour temperature"))
		}
		b.fields(c, power)
	}
}

func asRounded(v devices.Value) (any, bool) {
	f, ok := v.Number()
	return math.Round(f), ok
}

func asRGB(v devices.Value) (any, bool) {
	r, g, b, ok := v.Color()
	return []int{int(r), int(g), int(b)}, ok
}

func color(v any) (devices.Value, error) {
	list, _ := v.([]any)
	var rgb [3]uint8
	for i := range rgb {
		var f float64
		ok := i < len(list)
		if ok {
			f, ok = discovery.Float(list[i])
		}
		if !ok || f < 0 || f > 255 {
			return devices.Value{}, fmt.Errorf("it says %.60v, which is no colour", v)
		}
		rgb[i] = uint8(f)
	}
	return devices.Color(rgb[0], rgb[1], rgb[2]), nil
}

func (b *builder) cover(c component) {
	b.out.Class = "cover"
	name, position := "cover", "position"
	if !c.only {
		name, position = c.name, c.name+"_position"
	}
	p := devices.Point{Name: name, Label: c.label, Kind: devices.KindChoice, Class: "cover", Options: []string{"open", "closed", "stopped"},
		States: []string{"opening", "closing", "calibrating"}}
	b.add(c, p, word, []string{"state"}, func(v devices.Value) (string, map[string]any, error) {
		state, _ := v.Text()
		method, ok := map[string]string{"open": "Cover.Open", "closed": "Cover.Close", "stopped": "Cover.Stop"}[state]
		if !ok {
			return "", nil, discovery.Wrong(v, "state of a cover")
		}
		return method, map[string]any{}, nil
	})
	// One that is not calibrated knows only whether it is quite open or closed.
	if control, _ := discovery.In(c.status, "pos_control"); control == true {
		b.add(c, devices.Point{Name: position, Kind: devices.KindNumber, Unit: "%", High: 100, Step: 1}, discovery.Number, []string{"current_pos"},
			set("Cover.GoToPosition", "pos", asRounded, "position"))
	}
	b.fields(c, power)
}

// input makes the point of an input, by what it is set up as.
func (b *builder) input(c component) {
	kind, _ := discovery.In(c.config, "type")
	p := devices.Point{Name: c.name, Label: c.label}
	switch kind {
	case "button":
		if b.taken[p.Name] {
			return
		}
		b.taken[p.Name] = true
		p.Kind, p.Readable = devices.KindEvent, true
		b.out.Points = append(b.out.Points, discovery.Point{Point: p, Sources: []discovery.Source{
			{Topic: b.prefix + "/events/rpc", Read: func(m *discovery.Message) (devices.Value, error) { return pushed(m, c.key) }},
		}})
	case "analog":
		p.Kind, p.Unit = devices.KindNumber, "%"
		b.add(c, p, discovery.Number, []string{"percent"}, nil)
	case "count":
		p.Kind = devices.KindNumber
		b.add(c, p, discovery.Number, []string{"counts", "total"}, nil)
	default:
		p.Kind = devices.KindSwitch
		b.add(c, p, truth, []string{"state"}, nil)
	}
}

// pushed is what happened to a button: the last of what a message tells of it, but for its mere going down and up.
func pushed(m *discovery.Message, key string) (devices.Value, error) {
	doc, err := m.JSON()
	if err != nil {
		return devices.Value{}, discovery.ErrAbsent
	}
	events, _ := discovery.In(doc, "params", "events")
	list, _ := events.([]any)
	for _, e := range slices.Backward(list) {
		of, _ := discovery.In(e, "component")
		what, _ := discovery.In(e, "event")
		if s := discovery.Text(what); of == key && s != "" && s != "btn_down" && s != "btn_up" {
			return devices.Text(s), nil
		}
	}
	return devices.Value{}, discovery.ErrAbsent
}

func (b *builder) thermostat(c component) {
	b.out.Class = "climate"
	sub := ""
	if !c.only {
		sub = c.name + "_"
	}
	config := func(key string, value func(devices.Value) (any, bool), want string) caller {
		inner := set("Thermostat.SetConfig", key, value, want)
		return func(v devices.Value) (string, map[string]any, error) {
			method, params, err := inner(v)
			return method, map[string]any{"config": params}, err
		}
	}
	b.add(c, devices.Point{Name: sub + "target", Kind: devices.KindNumber, Class: "temperature", Unit: "°C", Low: 5, High: 35, Step: 0.5}, discovery.Number,
		[]string{"target_C"}, config("target_C", asFloat, "temperature"))
	b.add(c, devices.Point{Name: sub + "current_temperature", Kind: devices.KindNumber, Class: "temperature", Unit: "°C"}, discovery.Number, []string{"current_C"}, nil)
	b.add(c, devices.Point{Name: sub + "enabled", Kind: devices.KindSwitch}, truth, []string{"enable"}, config("enable", asBool, "switch position"))
	b.add(c, devices.Point{Name: sub + "heating", Kind: devices.KindSwitch, Class: "running"}, truth, []string{"output"}, nil)
}

// virtual makes the point of a component that somebody made up.
func (b *builder) virtual(c component) {
	p := devices.Point{Name: discovery.PointName(c.kind + "_" + c.id.String()), Label: c.label}
	value := []string{"value"}
	switch c.kind {
	case "boolean":
		p.Kind = devices.KindSwitch
		b.add(c, p, truth, value, set("Boolean.Set", "value", asBool, "switch position"))
	case "number":
		p.Kind = devices.KindNumber
		low, _ := discovery.In(c.config, "min")
		high, _ := discovery.In(c.config, "max")
		if l, ok := discovery.Float(low); ok {
			if h, ok := discovery.Float(high); ok && l < h {
				p.Low, p.High = l, h
			}
		}
		unit, _ := discovery.In(c.config, "meta", "ui", "unit")
		p.Unit = discovery.Text(unit)
		b.add(c, p, discovery.Number, value, set("Number.Set", "value", asFloat, "number"))
	case "enum":
		p.Kind = devices.KindChoice
		options, _ := discovery.In(c.config, "options")
		list, _ := options.([]any)
		for _, o := range list {
			if s := discovery.Text(o); s != "" && len(p.Options) < 100 {
				p.Options = append(p.Options, s)
			}
		}
		b.add(c, p, word, value, set("Enum.Set", "value", asText, "text"))
	case "text":
		p.Kind = devices.KindText
		b.add(c, p, word, value, set("Text.Set", "value", asText, "text"))
	case "button":
		p.Kind = devices.KindAction
		b.add(c, p, nil, nil, func(devices.Value) (string, map[string]any, error) {
			return "Button.Trigger", map[string]any{"event": "single_push"}, nil
		})
	}
}
