package mqtt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// maxText bounds a text value: it is to be shown to people, not a document.
const maxText = 4096

// A codec reads and writes the payloads of a point as its table says.
type codec struct {
	kind    devices.PointKind
	retain  bool
	limit   int32 // of a picture, in bytes
	options []string
	path    path
	on, off string // empty: what ParseValue takes is read, defaultOn and defaultOff are written

	command string // empty: not writable
	write   *template.Template
}

const defaultOn, defaultOff = "ON", "OFF"

// read makes a value of a message. Not known is the zero Value without an error.
func (p *codec) read(m *discovery.Message) (devices.Value, error) {
	text := string(m.Payload)
	if p.path != nil {
		tree, err := m.JSON()
		if err != nil {
			return devices.Value{}, err
		}
		v, ok := discovery.In(tree, p.path...)
		if !ok {
			return devices.Value{}, fmt.Errorf("%w: %s in %s", discovery.ErrAbsent, p.path, discovery.Quote(m.Payload))
		}
		if v == nil {
			return devices.Value{}, nil
		}
		if text, ok = discovery.Scalar(v); !ok {
			if _, list := v.([]any); list {
				return devices.Value{}, fmt.Errorf("payload: %s is an array: the path goes on with an index, as in %s.0", p.path, p.path)
			}
			return devices.Value{}, fmt.Errorf("payload: %s is an object: the path goes on with a name in it", p.path)
		}
	}
	if p.kind == devices.KindImage {
		return p.picture(text)
	}
	return p.parse(text)
}

// picture takes what a camera publishes: the file itself, in JSON as base64, also with "data:image/jpeg;base64," before it.
// An empty text in JSON says that there is none.
func (p *codec) picture(text string) (devices.Value, error) {
	if text == "" {
		return devices.Value{}, nil
	}
	if p.path != nil {
		if strings.HasPrefix(text, "data:") {
			_, text, _ = strings.Cut(text, ",")
		}
		if len(text) > base64.StdEncoding.EncodedLen(int(p.limit)) {
			return devices.Value{}, fmt.Errorf("payload: a picture of %d bytes in base64: at most %d bytes are taken (max_size)", len(text), p.limit)
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return devices.Value{}, fmt.Errorf("payload: the picture at %s is not base64", p.path)
		}
		text = string(data)
	}
	v, err := devices.Image(text, int(p.limit))
	if err != nil {
		return v, fmt.Errorf("payload: %w", err)
	}
	return v, nil
}

func (p *codec) parse(text string) (devices.Value, error) {
	word := strings.TrimSpace(text)
	if word == "None" || word == "null" { // what Home Assistant's conventions say for unknown
		return devices.Value{}, nil
	}
	switch p.kind {
	case devices.KindNumber:
		if strings.EqualFold(word, "nan") { // ESPHome's word for a sensor that does not answer
			return devices.Value{}, nil
		}
	case devices.KindSwitch:
		if p.on == "" && p.off == "" {
			break
		}
		on, off := p.payloads()
		switch {
		case word == on:
			return devices.Bool(true), nil
		case word == off:
			return devices.Bool(false), nil
		case strings.EqualFold(word, on):
			return devices.Bool(true), nil
		case strings.EqualFold(word, off):
			return devices.Bool(false), nil
		}
		return devices.Value{}, fmt.Errorf("payload: %s is neither %q nor %q", discovery.Quote([]byte(text)), on, off)
	case devices.KindChoice:
		if len(p.options) > 0 && !slices.Contains(p.options, text) {
			return devices.Value{}, fmt.Errorf("payload: %s is none of %s", discovery.Quote([]byte(text)), strings.Join(p.options, ", "))
		}
		fallthrough
	default:
		if len(text) > maxText {
			return devices.Value{}, fmt.Errorf("payload: a text of %d bytes: at most %d are taken", len(text), maxText)
		}
		if !utf8.ValidString(text) {
			return devices.Value{}, fmt.Errorf("payload: %s is not UTF-8", discovery.Quote([]byte(text)))
		}
	}
	return devices.ParseValue(p.kind, text)
}

// payloads are those for on and off.
func (p *codec) payloads() (on, off string) {
	on, off = p.on, p.off
	if on == "" {
		on = defaultOn
	}
	if off == "" {
		off = defaultOff
	}
	return on, off
}

// encode makes the payload that sets the point to v. The error wraps ErrValue when v is not of the point's kind.
func (p *codec) encode(v devices.Value) ([]byte, error) {
	var arg any
	plain := v.String()
	number, isNumber := v.Number()
	on, isBool := v.Bool()
	text, isText := v.Text()
	switch p.kind {
	case devices.KindNumber:
		if !isNumber {
			return nil, fmt.Errorf("%w: %q is no number", devices.ErrValue, plain)
		}
		arg = templateNumber(number)
	case devices.KindSwitch:
		if !isBool {
			return nil, fmt.Errorf("%w: %q is neither on nor off", devices.ErrValue, plain)
		}
		arg = on
		payloadOn, payloadOff := p.payloads()
		if plain = payloadOff; on {
			plain = payloadOn
		}
	case devices.KindAction:
		arg = true
		plain, _ = p.payloads()
	case devices.KindColor, devices.KindTime:
		if _, err := devices.ParseValue(p.kind, plain); err != nil || isText {
			return nil, fmt.Errorf("%w: %q is no %s", devices.ErrValue, plain, p.kind)
		}
		arg = plain
	default:
		if !isText {
			return nil, fmt.Errorf("%w: %q is no text", devices.ErrValue, plain)
		}
		arg = text
	}
	if p.write == nil {
		return []byte(plain), nil
	}
	var out bytes.Buffer
	if err := p.write.Execute(&out, map[string]any{"Value": arg}); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return out.Bytes(), nil
}

// messages are what is published to set the point to v.
func (p *codec) messages(v devices.Value) ([]discovery.Message, error) {
	payload, err := p.encode(v)
	if err != nil {
		return nil, err
	}
	return []discovery.Message{{Topic: p.command, Payload: payload, Retained: p.retain, QoS: -1}}, nil
}

// A templateNumber prints as devices write numbers (1000000, where %v of a float64 says 1e+06), and still takes
// printf's %.1f.
type templateNumber float64

// String is the shortest decimal.
func (n templateNumber) String() string { return devices.Number(float64(n)).String() }

// MarshalJSON is the same, for {{json .Value}}.
func (n templateNumber) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// parseWrite reads a `write` template.
func parseWrite(text string) (*template.Template, error) {
	return template.New("write").Option("missingkey=error").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
	}).Parse(text)
}

// sample is a value to try a template with.
func (p *codec) sample() devices.Value {
	switch p.kind {
	case devices.KindNumber:
		return devices.Number(1)
	case devices.KindSwitch, devices.KindAction:
		return devices.Bool(true)
	case devices.KindColor:
		return devices.Color(255, 128, 0)
	case devices.KindTime:
		return devices.Time(time.Unix(0, 0))
	}
	return devices.Text("x")
}
