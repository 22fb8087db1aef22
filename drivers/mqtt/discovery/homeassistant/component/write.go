package component

import (
	"fmt"
	"math"
	"strconv"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

type writeFunc = func(devices.Value) ([]discovery.Message, error)

// A writer publishes what a command template makes of a value; without one, the value itself.
type writer struct {
	topic    string
	template *template.Template
	err      error // why there is no template although there should be
	qos      int8
	retain   bool
}

// writer is the one on the topic of a key with the template of another key; nil without a topic.
func (b *builder) writer(topicKey, templateKey string) *writer {
	topic := b.goodTopic(topicKey, goodTopic)
	if topic == "" {
		return nil
	}
	w := &writer{topic: topic, qos: b.qos, retain: b.retain}
	source, ok := b.Config[templateKey].(string)
	if !ok || source == "" {
		return w
	}
	if w.template, w.err = b.templates.parse(source); w.err != nil {
		w.err = fmt.Errorf("%s: %w", templateKey, w.err)
		b.note("%v", w.err)
	}
	return w
}

// publish makes the message for a value, which is the template's variable of that name, with further ones.
func (w *writer) publish(value template.Value, plain string, more template.Map) ([]discovery.Message, error) {
	if w.err != nil {
		return nil, w.err
	}
	payload := plain
	if w.template != nil {
		vars := template.Map{"value": value}
		for name, v := range more {
			vars[name] = v
		}
		out, err := w.template.Execute(vars)
		if err != nil {
			return nil, err
		}
		payload = out.Text
	}
	return []discovery.Message{{Topic: w.topic, Payload: []byte(payload), QoS: w.qos, Retained: w.retain}}, nil
}

func (w *writer) text(s string) ([]discovery.Message, error) {
	return w.publish(template.String(s), s, nil)
}

// integer publishes a number without a decimal point.
func (w *writer) integer(f float64, more template.Map) ([]discovery.Message, error) {
	i := int64(math.Round(f))
	return w.publish(template.Int(i), strconv.FormatInt(i, 10), more)
}

// number publishes a number, with a decimal point only when it has to be.
func (w *writer) number(f float64) ([]discovery.Message, error) {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return w.integer(f, nil)
	}
	return w.publish(template.Float(f), strconv.FormatFloat(f, 'f', -1, 64), nil)
}

// float publishes a number that always has a decimal point, as Python prints one.
func (w *writer) float(f float64) ([]discovery.Message, error) {
	return w.publish(template.Float(f), float(f), nil)
}

// float writes a number as Python prints one.
func float(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if f == math.Trunc(f) {
		s += ".0"
	}
	return s
}

// The values a point is set to, or what is wrong with what came instead.

func toNumber(v devices.Value) (float64, error) {
	f, ok := v.Number()
	if !ok {
		return 0, fmt.Errorf("%w: %q is no number", devices.ErrValue, v)
	}
	return f, nil
}

func toBool(v devices.Value) (bool, error) {
	on, ok := v.Bool()
	if !ok {
		return false, fmt.Errorf("%w: %q is neither on nor off", devices.ErrValue, v)
	}
	return on, nil
}

func toText(v devices.Value) (string, error) {
	s, ok := v.Text()
	if !ok {
		return "", fmt.Errorf("%w: %q is not a text", devices.ErrValue, v)
	}
	return s, nil
}

func toOption(v devices.Value, options []string) (string, error) {
	s, err := toText(v)
	if err != nil {
		return "", err
	}
	for _, option := range options {
		if s == option {
			return s, nil
		}
	}
	return "", fmt.Errorf("%w: %q is none of what it may be set to", devices.ErrValue, s)
}

// writeSwitch publishes one of two payloads.
func writeSwitch(w *writer, on, off string) writeFunc {
	if w == nil {
		return nil
	}
	return func(v devices.Value) ([]discovery.Message, error) {
		is, err := toBool(v)
		if err != nil {
			return nil, err
		}
		if is {
			return w.text(on)
		}
		return w.text(off)
	}
}

// writeOption publishes one of a list.
func writeOption(w *writer, options []string) writeFunc {
	if w == nil {
		return nil
	}
	return func(v devices.Value) ([]discovery.Message, error) {
		s, err := toOption(v, options)
		if err != nil {
			return nil, err
		}
		return w.text(s)
	}
}

// writeAction publishes the same whatever is asked.
func writeAction(w *writer, payload string) writeFunc {
	if w == nil {
		return nil
	}
	return func(devices.Value) ([]discovery.Message, error) { return w.text(payload) }
}

// A command brings about a state: what is published for it, and where.
type command struct {
	word    string
	payload string
	writer  *writer
}

// writeState publishes what brings about a state. Commands without a writer are left out.
func writeState(commands []command) (options []string, write writeFunc) {
	can := make([]command, 0, len(commands))
	for _, c := range commands {
		if c.writer != nil {
			can = append(can, c)
			options = append(options, c.word)
		}
	}
	if len(can) == 0 {
		return nil, nil
	}
	return options, func(v devices.Value) ([]discovery.Message, error) {
		s, err := toOption(v, options)
		if err != nil {
			return nil, err
		}
		for _, c := range can {
			if c.word == s {
				return c.writer.text(c.payload)
			}
		}
		return nil, nil
	}
}
