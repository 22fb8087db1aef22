package component

import (
	"encoding/base64"
	"fmt"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// event says what happened, in a JSON object with an event_type. One that the broker had kept is over.
func (b *builder) event() error {
	types := b.list("event_types")
	topic := b.topic("state_topic")
	if topic == "" {
		return b.must("state_topic")
	}
	r, parse := b.reader("value_template"), parseOption(types)
	b.add("", devices.Point{Kind: devices.KindEvent, Class: b.word("device_class")},
		[]discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
			if m.Retained {
				return devices.Value{}, discovery.ErrAbsent
			}
			text, err := r.read(m)
			if err == nil && (unknown(text) || strings.TrimSpace(text) == "{}") {
				err = discovery.ErrAbsent
			}
			if err != nil {
				return devices.Value{}, err
			}
			if !strings.HasPrefix(strings.TrimSpace(text), "{") {
				return devices.Value{}, fmt.Errorf("value: %s is not a JSON object with an event_type", discovery.Quote([]byte(text)))
			}
			return member("event_type", parse)(text)
		}}}, nil)
	return nil
}

// trigger is one of the things that can happen to a device, as a button that is pressed. All of the same button, or all that
// the device calls the same, are one point.
func (b *builder) trigger() error {
	if kind := b.Text("automation_type", ""); kind != "trigger" {
		return fmt.Errorf("its automation_type %q is not trigger", kind)
	}
	topic, kind, subtype := b.topic("topic"), b.Text("type", ""), b.Text("subtype", "")
	if topic == "" || kind == "" || subtype == "" {
		return fmt.Errorf("it has no topic, type or subtype")
	}
	if len(kind) > maxOption || len(subtype) > maxOption {
		return fmt.Errorf("its type or subtype is longer than %d bytes", maxOption)
	}
	name, happened := kind, subtype
	if press, ok := strings.CutPrefix(kind, "button_"); ok {
		name, happened = subtype, press
	}
	payload, any, r := b.Text("payload", ""), !b.Has("payload"), b.reader("value_template")
	part := b.add("", devices.Point{Kind: devices.KindEvent},
		[]discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
			text, err := r.read(m)
			if err != nil {
				return devices.Value{}, err
			}
			if m.Retained || !any && text != payload {
				return devices.Value{}, discovery.ErrAbsent
			}
			return devices.Text(happened), nil
		}}}, nil)
	part.Named = name
	return nil
}

// tag is a scanner of tags, whose event is the tag that was seen.
func (b *builder) tag() error {
	topic := b.topic("topic")
	if topic == "" {
		return b.must("topic")
	}
	r := b.reader("value_template")
	b.add("", devices.Point{Kind: devices.KindEvent}, []discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
		text, err := r.read(m)
		if err == nil && (m.Retained || unknown(text)) {
			err = discovery.ErrAbsent
		}
		if err != nil {
			return devices.Value{}, err
		}
		return parseText(text)
	}}}, nil)
	return nil
}

// tracker says where something is: home, not_home, or the name of a zone.
func (b *builder) tracker() error {
	states := []state{{b.Text("payload_home", "home"), "home"}, {b.Text("payload_not_home", "not_home"), "not_home"}}
	reset := b.Text("payload_reset", "None")
	known := parseState(states)
	b.add("", devices.Point{Kind: devices.KindText}, b.sources("state_topic", "value_template", func(text string) (devices.Value, error) {
		if text == reset {
			return devices.Value{}, nil
		}
		if v, err := known(text); err == nil {
			return v, nil
		}
		return parseText(text)
	}), nil)
	for _, name := range []string{"latitude", "longitude"} {
		b.add(name, devices.Point{Kind: devices.KindNumber, Unit: "°"}, b.sources("json_attributes_topic", "json_attributes_template",
			func(text string) (devices.Value, error) {
				if !strings.HasPrefix(strings.TrimSpace(text), "{") {
					return devices.Value{}, discovery.ErrAbsent
				}
				return member(name, parseNumber)(text)
			}), nil)
	}
	return b.must("state_topic")
}

// camera is a topic with pictures.
func (b *builder) camera() error {
	b.pictures("topic")
	return b.must("topic")
}

// image is a topic with pictures, or one that says where they are.
func (b *builder) image() error {
	b.pictures("image_topic")
	b.add("url", devices.Point{Kind: devices.KindText}, b.sources("url_topic", "url_template", parseText), nil)
	return b.must("image_topic")
}

func (b *builder) pictures(key string) {
	topic := b.topic(key)
	if topic == "" {
		return
	}
	encoded := b.Text("image_encoding", "") == "b64" || b.Text("encoding", "") == "b64"
	b.add("", devices.Point{Kind: devices.KindImage}, []discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
		data := string(m.Payload)
		switch {
		case data == "":
			return devices.Value{}, discovery.ErrAbsent
		case encoded:
			if len(data) > base64.StdEncoding.EncodedLen(devices.MaxImage) {
				return devices.Value{}, fmt.Errorf("payload: a picture of %d bytes in base64 is too large", len(data))
			}
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(data))
			if err != nil {
				return devices.Value{}, fmt.Errorf("payload: the picture is not base64")
			}
			data = string(raw)
		}
		v, err := devices.Image(data, devices.MaxImage)
		if err != nil {
			return v, fmt.Errorf("payload: %w", err)
		}
		return v, nil
	}}}, nil)
}
