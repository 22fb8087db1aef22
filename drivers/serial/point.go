package serial

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// device is one device on the line, as it was configured.
type device struct {
	id     devices.ID
	where  []condition
	points []*point
	open   bool // no points are configured: it has what its messages offer
	named  bool // model is what the configuration says

	// What messages say. As the points of an open device, and the units of all, it is the reader's to change.
	model   string
	learned bool
}

// A condition is one field that a line has to have to be of a device.
type condition struct{ source, want string }

// owns reports whether a line is of the device. Without conditions every line is.
func (d *device) owns(line fields) bool {
	for _, c := range d.where {
		if f, ok := line.find(c.source); !ok || !sameText(f.text, c.want) || f.kind == null || f.kind == compound {
			return false
		}
	}
	return true
}

// sameText compares what a line says with what the configuration says: 1.0 is 1.
func sameText(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

func (d *device) point(name string) *point {
	for _, p := range d.points {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// point is one point of a device, as it was configured.
type point struct {
	devices.Point
	source  string
	on, off string // payloads of a switch; both empty: what ParseValue takes
	write   *template.Template
	proto   commander // of one that is writable
	safe    devices.Value
}

// parse reads a value as the device writes it.
func (p *point) parse(text string) (devices.Value, error) {
	switch {
	case p.on != "" || p.off != "":
		switch text {
		case p.on:
			return devices.Bool(true), nil
		case p.off:
			return devices.Bool(false), nil
		}
		return devices.Value{}, fmt.Errorf("value: %.60q is neither on = %q nor off = %q", text, p.on, p.off)
	case p.Kind == devices.KindChoice && len(p.Options) > 0 && !slices.Contains(p.Options, text):
		return devices.Value{}, fmt.Errorf("value: %.60q is none of %s", text, strings.Join(p.Options, ", "))
	case p.Kind == devices.KindNumber && (text == "true" || text == "false"):
		return devices.Value{}, fmt.Errorf("value: %s is not a number: is it kind = \"switch\"?", text)
	}
	return devices.ParseValue(p.Kind, text)
}

// command is the line that sets the point, without its end.
func (p *point) command(v devices.Value) (string, error) {
	data, err := p.operand(v)
	if err != nil {
		return "", fmt.Errorf("%w: %w", devices.ErrValue, err)
	}
	var b bytes.Buffer
	if err := p.write.Execute(&b, data); err != nil {
		return "", templateError(err)
	}
	line := b.String()
	switch {
	case strings.ContainsAny(line, "\r\n"):
		return "", errors.New("makes more than one line")
	case len(line) > MaxLine:
		return "", fmt.Errorf("makes a line of %d bytes, %d is the limit", len(line), MaxLine)
	case line == "":
		return "", errors.New("makes an empty line")
	}
	return line, nil
}

// operand is what a template knows: .Value, a number, true or false, or a text as the protocol writes one; a colour is
// "#ff8800", a time as RFC 3339 has it.
type operand struct{ Value any }

// number prints without an exponent where it can: boards read numbers with simple means.
type number float64

func (n number) String() string { return devices.Number(float64(n)).String() }

// word is a text as the protocol writes it, so that a template need not know how to quote.
type word string

func (p *point) operand(v devices.Value) (operand, error) {
	if p.Kind == devices.KindAction {
		v = devices.Bool(true) // any value does it
	}
	switch f, isNumber := v.Number(); {
	case isNumber && p.Kind == devices.KindNumber:
		return operand{number(f)}, nil
	case v.Kind() == devices.BoolKind && (p.Kind == devices.KindSwitch || p.Kind == devices.KindAction):
		b, _ := v.Bool()
		return operand{b}, nil
	case v.Kind() == devices.TextKind && (p.Kind == devices.KindText || p.Kind == devices.KindChoice):
		s, _ := v.Text()
		text, err := p.proto.text(s)
		return operand{word(text)}, err
	case v.Kind() == devices.ColorKind && p.Kind == devices.KindColor, v.Kind() == devices.TimeKind && p.Kind == devices.KindTime:
		text, err := p.proto.text(v.String())
		return operand{word(text)}, err
	}
	return operand{}, fmt.Errorf("%q for a point of kind %s", v, p.Kind)
}

// samples are values that a command is tried with when it is configured.
func (p *point) samples() []devices.Value {
	switch p.Kind {
	case devices.KindNumber:
		return []devices.Value{devices.Number(0), devices.Number(1.5)}
	case devices.KindSwitch:
		return []devices.Value{devices.Bool(false), devices.Bool(true)}
	case devices.KindChoice:
		var out []devices.Value
		for _, o := range p.Options {
			out = append(out, devices.Text(o))
		}
		return out
	case devices.KindText:
		return []devices.Value{devices.Text("text")}
	case devices.KindColor:
		return []devices.Value{devices.Color(0, 0, 0)}
	case devices.KindTime:
		return []devices.Value{devices.Time(time.Unix(1e9, 0))}
	}
	return []devices.Value{{}}
}

// templateError is a template's error without the library's own way to say where: the key is the place.
func templateError(err error) error {
	text := err.Error()
	text = strings.TrimPrefix(text, "template: ")
	text = strings.TrimPrefix(text, "write:")
	if i := strings.Index(text, `executing "write" at `); i >= 0 {
		text = text[i+len(`executing "write" at `):]
	} else if number, rest, ok := strings.Cut(text, ": "); ok && strings.Trim(number, "0123456789:") == "" {
		text = rest
	}
	text, _, _ = strings.Cut(text, ": serial.") // types of ours mean nothing to the reader
	text = strings.ReplaceAll(text, " in type serial.operand", `: there is only .Value, as in '{"pump":{{.Value}}}'`)
	return errors.New(text)
}

// buildPoint reads one table of points. It reports whether there was no mistake in it.
func buildPoint(pc devices.PointConfig, proto protocol) (*point, bool) {
	t, ok := pc.Table, true
	mistake := func(key, format string, args ...any) {
		ok = false
		t.Errorf(key, format, args...)
	}
	p := &point{source: t.String("source"), on: scalar(t, "on"), off: scalar(t, "off"), safe: pc.Safe}
	write := t.String("write")
	p.Point = devices.Point{
		Name: pc.Name, Kind: pc.Kind, Options: pc.Options,
		Readable: p.source != "" && pc.Kind != devices.KindAction,
		Writable: write != "",
	}
	p.Confirms = p.Readable && p.Writable
	if p.source != "" {
		known, err := proto.source(p.source, pc.Kind)
		switch {
		case err != nil:
			mistake("source", "source: %v", err)
		case known.Kind == devices.KindTime && pc.Kind == devices.KindNumber:
			mistake("source", "source: %q is a time: its kind is \"time\"", p.source)
		case known.Kind == devices.KindText && pc.Kind == devices.KindNumber:
			mistake("source", "source: %q is a text: its kind is \"text\"", p.source)
		}
		p.Class, p.Unit = known.Class, known.Unit
	}
	p.proto, _ = proto.(commander)
	switch {
	case write != "" && p.proto == nil:
		mistake("write", "write: this protocol only listens: what speaks it takes no commands")
		return p, false
	case p.source == "" && write == "":
		mistake("source", "source is missing: the field this point is read from")
	case p.Kind == devices.KindEvent && p.Writable:
		mistake("write", "write: what happens cannot be written: kind = \"event\" is only read")
		return p, false
	case p.Kind == devices.KindImage:
		mistake("kind", "kind: no picture comes over a serial line: pictures are for mqtt")
	case t.Has("on") != t.Has("off"):
		mistake("on", "on and off go together: what the device says for each")
	case t.Has("on") && p.Kind != devices.KindSwitch:
		mistake("on", "on and off are for kind = \"switch\", and this is a %s", p.Kind)
	case t.Has("on") && p.on == p.off:
		mistake("on", "on and off are both %q", p.on)
	case !p.safe.IsZero() && !p.Writable:
		mistake("safe", "safe needs write: how the value is set")
	}
	if !p.Writable {
		return p, ok
	}
	var err error
	if p.write, err = template.New("write").Option("missingkey=error").Parse(write); err != nil {
		mistake("write", "write: %v", templateError(err))
		return p, false
	}
	for _, v := range p.samples() {
		if _, err := p.command(v); err != nil {
			mistake("write", "write: %v", err)
			return p, false
		}
	}
	if !p.safe.IsZero() {
		if _, err := p.command(p.safe); err != nil {
			mistake("safe", "safe: %v", err)
		}
	}
	return p, ok
}

// scalar is the text of a string, number or boolean, as a device would write it.
func scalar(t *schema.Table, key string) string {
	v, ok := t.Get(key)
	if !ok {
		return ""
	}
	return scalarText(v.V)
}

func scalarText(v any) string {
	if f, ok := v.(float64); ok {
		return devices.Number(f).String()
	}
	return fmt.Sprint(v)
}
