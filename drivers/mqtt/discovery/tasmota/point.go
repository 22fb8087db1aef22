package tasmota

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// The types of a relay.
const (
	noRelay = iota
	relay
	light
	shutter
)

// The types of a light.
const (
	dimmer = iota + 1
	coldWarm
	rgb
	rgbw
	rgbcct
)

// A builder makes the points of one device.
type builder struct {
	config *config
	out    *discovery.Device
	taken  map[string]bool
	ask    []discovery.Message
}

func (b *builder) add(p discovery.Point) {
	if len(b.out.Points) < discovery.MaxPoints && !b.taken[p.Name] {
		b.taken[p.Name] = true
		b.out.Points = append(b.out.Points, p)
	}
}

func (b *builder) note(format string, args ...any) {
	if len(b.out.Notes) < discovery.MaxNotes {
		b.out.Notes = append(b.out.Notes, fmt.Sprintf(format, args...))
	}
}

// states are the messages that have the state of what is switched, each with the value at a path.
func (b *builder) states(parse func(any) (devices.Value, error), path ...string) []discovery.Source {
	return []discovery.Source{
		discovery.At(b.config.telemetry("STATE"), parse, path...),
		discovery.At(b.config.state("RESULT"), parse, path...),
	}
}

// measured are the messages with what sensors measure.
func (b *builder) measured(parse func(any) (devices.Value, error), path ...string) []discovery.Source {
	return []discovery.Source{
		discovery.At(b.config.telemetry("SENSOR"), parse, path...),
		discovery.At(b.config.state("STATUS10"), parse, append([]string{"StatusSNS"}, path...)...),
	}
}

// writes makes a command of what a value is in one.
func (b *builder) writes(command string, payload func(devices.Value) (string, error)) func(devices.Value) ([]discovery.Message, error) {
	topic := b.config.command(command)
	return func(v devices.Value) ([]discovery.Message, error) {
		text, err := payload(v)
		if err != nil {
			return nil, err
		}
		return []discovery.Message{*discovery.NewMessage(topic, []byte(text))}, nil
	}
}

// relays makes the points of what is switched.
func (b *builder) relays() {
	c := b.config
	used := 0
	for _, r := range c.Relays {
		if r != noRelay {
			used++
		}
	}
	shutters := 0
	for i := 0; i < len(c.Relays); i++ {
		suffix := strconv.Itoa(i + 1)
		switch kind := c.Relays[i]; kind {
		case noRelay:
		case relay, light:
			b.relay(i, suffix, used == 1, kind == light || c.option("30"))
		case shutter:
			shutters++
			b.shutter(shutters)
			i++ // one relay moves it up, the next down
		default:
			b.note("not understood: relay %s of type %d", suffix, kind)
		}
	}
}

func (b *builder) relay(i int, suffix string, only, isLight bool) {
	c := b.config
	name, label := "power", ""
	if isLight {
		name, b.out.Class = "light", "light"
	}
	if !only {
		name += suffix
	}
	if i < len(c.Friendly) && c.Friendly[i] != nil && *c.Friendly[i] != c.Name {
		label = *c.Friendly[i]
	}
	sources := b.states(b.word, "POWER"+suffix)
	command := "POWER" + suffix
	if only { // it has no number, but with SetOption26
		sources = append(sources, b.states(b.word, "POWER")...)
		command = "POWER"
	}
	p := discovery.Point{Sources: sources, Write: b.writes(command, func(v devices.Value) (string, error) {
		on, ok := v.Bool()
		if !ok {
			return "", discovery.Wrong(v, "switch position")
		}
		if on {
			return c.Words[1], nil
		}
		return c.Words[0], nil
	})}
	p.Point = devices.Point{Name: name, Label: label, Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true}
	b.add(p)
	// The last light has what the hardware can dim and colour; those before it are single channels.
	if last := !slices.Contains(c.Relays[i+1:], light); isLight && c.Relays[i] == light && last {
		b.light(c.Light)
	}
}

// word reads the device's word for on or off.
func (b *builder) word(v any) (devices.Value, error) {
	switch discovery.Text(v) {
	case b.config.Words[1]:
		return devices.Bool(true), nil
	case b.config.Words[0]:
		return devices.Bool(false), nil
	}
	return devices.Value{}, fmt.Errorf("it says %.60v, which is neither %q nor %q", v, b.config.Words[1], b.config.Words[0])
}

func (b *builder) light(kind int) {
	if kind < dimmer {
		return
	}
	if b.config.option("68") {
		b.note("not understood: channels that are dimmed one by one (SetOption68)")
		return
	}
	point := func(p devices.Point) devices.Point {
		p.Readable, p.Writable, p.Confirms = true, true, true
		return p
	}
	b.add(discovery.Point{
		Point:   point(devices.Point{Name: "brightness", Kind: devices.KindNumber, Unit: "%", High: 100, Step: 1}),
		Sources: b.states(discovery.Number, "Dimmer"), Write: b.writes("Dimmer", integer),
	})
	if kind >= rgb {
		b.add(discovery.Point{
			Point: point(devices.Point{Name: "color", Kind: devices.KindColor}),
			// The hue and the saturation alone: the brightness has its own point.
			Sources: b.states(hsb, "HSBColor"),
			Write: b.writes("Color2", func(v devices.Value) (string, error) {
				red, green, blue, ok := v.Color()
				if !ok {
					return "", discovery.Wrong(v, "colour")
				}
				return fmt.Sprintf("%d,%d,%d", red, green, blue), nil
			}),
		})
	}
	if kind == coldWarm || kind == rgbcct {
		low, high := 153.0, 500.0
		if b.config.option("82") {
			low, high = 200, 380
		}
		b.add(discovery.Point{
			Point: point(devices.Point{Name: "color_temp", Kind: devices.KindNumber, Unit: "K", Low: math.Round(1e6 / high), High: math.Round(1e6 / low), Step: 50}),
			Sources: b.states(func(v any) (devices.Value, error) {
				mireds, ok := discovery.Float(v)
				if !ok || mireds <= 0 {
					return devices.Value{}, fmt.Errorf("it says %.60v, which is no colour temperature", v)
				}
				return devices.Number(math.Round(1e6 / mireds)), nil
			}, "CT"),
			Write: b.writes("CT", func(v devices.Value) (string, error) {
				kelvin, ok := v.Number()
				if !ok || kelvin <= 0 {
					return "", discovery.Wrong(v, "colour temperature")
				}
				return strconv.FormatFloat(math.Round(min(high, max(low, 1e6/kelvin))), 'f', 0, 64), nil
			}),
		})
	}
}

// shutter makes the points of the nth shutter.
func (b *builder) shutter(n int) {
	c := b.config
	suffix := ""
	if slices.Index(c.Relays, shutter) >= 0 && len(c.Relays) > 2 && count(c.Relays, shutter) > 2 {
		suffix = strconv.Itoa(n)
	}
	b.out.Class = "cover"
	key, number := "Shutter"+strconv.Itoa(n), strconv.Itoa(n)
	sources := func(parse func(any) (devices.Value, error), path ...string) []discovery.Source {
		at := append([]string{key}, path...)
		return append(b.measured(parse, at...), discovery.At(c.state("RESULT"), parse, at...))
	}
	cover := discovery.Point{Sources: sources(shutterState), Write: func(v devices.Value) ([]discovery.Message, error) {
		state, _ := v.Text()
		command, ok := map[string]string{"open": "ShutterOpen", "closed": "ShutterClose", "stopped": "ShutterStop"}[state]
		if !ok {
			return nil, discovery.Wrong(v, "state of a shutter")
		}
		return []discovery.Message{*discovery.NewMessage(c.command(command+number), nil)}, nil
	}}
	cover.Point = devices.Point{Name: "cover" + suffix, Kind: devices.KindChoice, Class: "cover", Options: []string{"open", "closed", "stopped"},
		States: []string{"opening", "closing"}, Readable: true, Writable: true, Confirms: true}
	position := discovery.Point{Sources: sources(numberOrText, "Position"), Write: b.writes("ShutterPosition"+number, integer)}
	position.Point = devices.Point{Name: "position" + suffix, Kind: devices.KindNumber, Unit: "%", High: 100, Step: 1,
		Readable: true, Writable: true, Confirms: true}
	b.add(cover)
	b.add(position)
	b.ask = append(b.ask, *discovery.NewMessage(c.command("ShutterPosition"+number), nil))
}

func count(list []int, what int) (n int) {
	for _, v := range list {
		if v == what {
			n++
		}
	}
	return n
}

// shutterState makes a state of {"Position":50,"Direction":0,"Target":50}.
func shutterState(v any) (devices.Value, error) {
	o, _ := v.(map[string]any)
	position, ok := discovery.Float(o["Position"])
	if !ok {
		return devices.Value{}, discovery.ErrAbsent
	}
	switch direction, _ := discovery.Float(o["Direction"]); {
	case direction > 0:
		return devices.Text("opening"), nil
	case direction < 0:
		return devices.Text("closing"), nil
	case position > 0:
		return devices.Text("open"), nil
	}
	return devices.Text("closed"), nil
}

// inputs makes the points of switches and buttons that do not work the relays themselves.
func (b *builder) inputs() {
	c := b.config
	if c.option("114") {
		for i, kind := range c.Switches {
			if kind < 0 {
				continue
			}
			key := "Switch" + strconv.Itoa(i+1)
			p := discovery.Point{Sources: append(b.measured(b.word, key), discovery.At(c.state("RESULT"), b.word, key, "Action"))}
			p.Point = devices.Point{Name: "switch" + strconv.Itoa(i+1), Kind: devices.KindSwitch, Readable: true}
			if i < len(c.Named) && c.Named[i] != nil {
				p.Label = *c.Named[i]
			}
			b.add(p)
		}
	}
	if c.option("73") {
		for i, on := range c.Buttons {
			if on == 0 {
				continue
			}
			n := strconv.Itoa(i + 1)
			p := discovery.Point{Sources: []discovery.Source{{Topic: c.state("RESULT"), Read: func(m *discovery.Message) (devices.Value, error) {
				return pressed(m, "Button"+n)
			}}}}
			p.Point = devices.Point{Name: "button" + n, Kind: devices.KindEvent, Readable: true}
			b.add(p)
		}
	}
}

// pressed is what a message tells of a button. One that cannot be read does not tell that anything has happened.
func pressed(m *discovery.Message, key string) (devices.Value, error) {
	doc, _ := m.JSON()
	action, _ := discovery.In(doc, key, "Action")
	s := strings.ToLower(discovery.Text(action))
	if s == "" {
		return devices.Value{}, discovery.ErrAbsent
	}
	return devices.Text(s), nil
}

// signal is how well the device hears its access point.
func (b *builder) signal() {
	p := discovery.Point{Sources: b.states(discovery.Number, "Wifi", "Signal")}
	p.Point = devices.Point{Name: "signal", Kind: devices.KindNumber, Class: "signal_strength", Unit: "dBm", Readable: true}
	b.add(p)
}

// numberOrText reads a number of what the firmware also answers with a text.
func numberOrText(v any) (devices.Value, error) {
	if s, ok := v.(string); ok {
		v = json.Number(s)
	}
	return discovery.Number(v)
}

func integer(v devices.Value) (string, error) {
	f, ok := v.Number()
	if !ok {
		return "", discovery.Wrong(v, "number")
	}
	return strconv.FormatFloat(math.Round(f), 'f', 0, 64), nil
}

// hsb reads "30,100,80": hue in degrees, saturation and brightness in percent.
func hsb(v any) (devices.Value, error) {
	n, ok := discovery.Numbers(discovery.Text(v), 3)
	if !ok || n[0] < 0 || n[0] > 360 || n[1] < 0 || n[1] > 360 {
		return devices.Value{}, fmt.Errorf("it says %.60v, which is no colour", v)
	}
	return discovery.RGB(discovery.HSV(n[0], min(n[1]/100, 1), 1)), nil // its brightness has a point of its own
}
