package discovery

import (
	"encoding/json"
	"fmt"
	"strconv"

	"tidings/devices"
)

// In finds a value in a document as [Message.JSON] decodes it, by the names of objects and the indexes of lists on the way.
func In(doc any, path ...string) (any, bool) {
	for _, step := range path {
		switch d := doc.(type) {
		case map[string]any:
			v, ok := d[step]
			if !ok {
				return nil, false
			}
			doc = v
		case []any:
			i, err := strconv.ParseUint(step, 10, 31)
			if err != nil || i >= uint64(len(d)) {
				return nil, false
			}
			doc = d[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// At is a source that reads what a JSON payload has at a path. A payload that has nothing there says nothing of the point; null says
// that the device does not know.
func At(topic string, parse func(any) (devices.Value, error), path ...string) Source {
	return Source{Topic: topic, Read: func(m *Message) (devices.Value, error) {
		doc, err := m.JSON()
		if err != nil {
			return devices.Value{}, err
		}
		v, ok := In(doc, path...)
		if !ok {
			return devices.Value{}, ErrAbsent
		}
		if v == nil {
			return devices.Value{}, nil
		}
		return parse(v)
	}}
}

// Plain makes a source of one that reads texts: the payload as it is. An empty one says nothing.
func Plain(topic string, parse func(string) (devices.Value, error)) Source {
	return Source{Topic: topic, Read: func(m *Message) (devices.Value, error) {
		if len(m.Payload) == 0 {
			return devices.Value{}, ErrAbsent
		}
		return parse(string(m.Payload))
	}}
}

// Scalar is what a value of a JSON document is as text: a string as it is, a number as it was written, true or false; false for
// what has parts.
func Scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// Float is the number that a value of a JSON document is.
func Float(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// Number reads a number of a JSON document.
func Number(v any) (devices.Value, error) {
	f, ok := Float(v)
	if !ok {
		return devices.Value{}, fmt.Errorf("it says %.60v, which is no number", v)
	}
	return devices.Number(f), nil
}

// Wrong is the error of a value that is not what a point is set to: "switch position", "colour".
func Wrong(v devices.Value, want string) error {
	return fmt.Errorf("%w: %q is no %s", devices.ErrValue, v, want)
}

// Text is the text that a value of a JSON document is; empty for anything else.
func Text(v any) string {
	s, _ := v.(string)
	return s
}
