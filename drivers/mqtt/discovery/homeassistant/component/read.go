package component

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

// A reader makes of a message what the value template makes of it; without one, the payload itself.
type reader struct {
	template *template.Template
	err      error // why there is no template although there should be
}

// reader is the one of a template's key.
func (b *builder) reader(key string) reader {
	source, ok := b.Config[key].(string)
	if !ok || source == "" {
		return reader{}
	}
	t, err := b.templates.parse(source)
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
		b.note("%v", err)
		return reader{err: err}
	}
	return reader{template: t}
}

// read is what a message says, or discovery.ErrAbsent when that is nothing.
func (r reader) read(m *discovery.Message) (string, error) {
	if r.err != nil {
		return "", r.err
	}
	if len(m.Payload) == 0 {
		return "", discovery.ErrAbsent
	}
	if r.template == nil {
		if !utf8.Valid(m.Payload) {
			return "", fmt.Errorf("payload: %s is not UTF-8", discovery.Quote(m.Payload))
		}
		return string(m.Payload), nil
	}
	out, err := r.template.Execute(m.Vars())
	switch {
	case err != nil && !errors.Is(err, template.ErrUndefined):
		return "", err
	case err == nil && out.Text != "":
		return out.Text, nil
	case err == nil && out.Undefined == "":
		return "", discovery.ErrAbsent
	}
	// What the template asked for is not in this message. It is in none if they are no JSON, or if it asks for what is not there.
	if !strings.Contains(r.template.String(), "value") {
		return "", fmt.Errorf("template: %s is undefined, and nothing of the message is asked for", cmp.Or(out.Undefined, "a variable"))
	}
	if strings.Contains(r.template.String(), "value_json") {
		if _, err := m.JSON(); err != nil {
			return "", err
		}
	}
	return "", discovery.ErrAbsent
}

// unknown reports whether a text says that the device does not know.
func unknown(text string) bool { return text == "None" || text == "null" }

// nothing reports whether a text is one of the words that devices have for what they do not know.
func nothing(text string) bool {
	switch strings.ToLower(text) {
	case "unknown", "unavailable", "none", "null":
		return true
	}
	return false
}

type parseFunc func(text string) (devices.Value, error)

// topic is the topic of a key to read; empty, with a note, when it is none.
func (b *builder) topic(key string) string { return b.goodTopic(key, goodFilter) }

func (b *builder) goodTopic(key string, good func(string) bool) string {
	topic, _ := b.Config[key].(string)
	if topic == "" || good(topic) {
		return topic
	}
	b.note("%s: %s is not a topic that can be used", key, discovery.Quote([]byte(topic)))
	return ""
}

// sources is the one source on the topic of a key, read by the template of another key; none without a topic.
func (b *builder) sources(topicKey, templateKey string, parse parseFunc) []discovery.Source {
	topic := b.topic(topicKey)
	if topic == "" {
		return nil
	}
	return source(topic, b.reader(templateKey), parse)
}

func source(topic string, r reader, parse parseFunc) []discovery.Source {
	return []discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
		text, err := r.read(m)
		if err != nil || unknown(text) {
			return devices.Value{}, err
		}
		return parse(text)
	}}}
}

// choices are the sources of one of a list, which may have an option that is called None.
func (b *builder) choices(topicKey, templateKey string, options []string) []discovery.Source {
	parse, none := parseOption(options), slices.Contains(options, "None")
	topic := b.topic(topicKey)
	if topic == "" {
		return nil
	}
	r := b.reader(templateKey)
	return []discovery.Source{{Topic: topic, Read: func(m *discovery.Message) (devices.Value, error) {
		text, err := r.read(m)
		if err != nil || unknown(text) && !none {
			return devices.Value{}, err
		}
		return parse(text)
	}}}
}

// parseNumber reads a number; in words that devices have for it, one that is not known.
func parseNumber(text string) (devices.Value, error) {
	f, known, err := number(text)
	if err != nil || !known {
		return devices.Value{}, err
	}
	return devices.Number(f), nil
}

// number is the number of a text; known is false for the words that say that there is none.
func number(text string) (f float64, known bool, err error) {
	text = strings.TrimSpace(text)
	f, err = strconv.ParseFloat(text, 64)
	if err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) && !strings.ContainsAny(text, "xXpP_") {
		return f, true, nil
	}
	if nothing(text) || strings.EqualFold(text, "nan") {
		return 0, false, nil
	}
	return 0, false, fmt.Errorf("value: %s is not a number", discovery.Quote([]byte(text)))
}

// scaled reads a number of a device's range as one of people's.
func scaled(low, high, toLow, toHigh float64) parseFunc {
	return func(text string) (devices.Value, error) {
		f, known, err := number(text)
		if err != nil || !known {
			return devices.Value{}, err
		}
		return devices.Number(math.Round(rescale(f, low, high, toLow, toHigh))), nil
	}
}

// rescale moves a number from one range to another.
func rescale(f, low, high, toLow, toHigh float64) float64 {
	if low == high {
		return toLow
	}
	f = toLow + (f-low)/(high-low)*(toHigh-toLow)
	return max(min(toLow, toHigh), min(max(toLow, toHigh), f))
}

// parseSwitch reads the words for on and for off, in any case if it has to be.
func parseSwitch(on, off string) parseFunc {
	return func(text string) (devices.Value, error) {
		for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
			switch {
			case same(text, on):
				return devices.Bool(true), nil
			case same(text, off):
				return devices.Bool(false), nil
			}
		}
		if nothing(text) {
			return devices.Value{}, nil
		}
		return devices.Value{}, fmt.Errorf("value: %s is neither %q nor %q", discovery.Quote([]byte(text)), on, off)
	}
}

func parseText(text string) (devices.Value, error) {
	if len(text) > maxText {
		return devices.Value{}, fmt.Errorf("value: a text of %d bytes: at most %d are taken", len(text), maxText)
	}
	return devices.Text(text), nil
}

// parseOption reads one of a list, in any case if it has to be; of an empty list, any.
func parseOption(options []string) parseFunc {
	return func(text string) (devices.Value, error) {
		if len(options) == 0 || slices.Contains(options, text) {
			return parseText(text)
		}
		for _, option := range options {
			if strings.EqualFold(option, text) {
				return devices.Text(option), nil
			}
		}
		if nothing(text) {
			return devices.Value{}, nil
		}
		shown := options
		if len(shown) > 10 {
			shown = append(slices.Clone(shown[:10]), "…")
		}
		return devices.Value{}, fmt.Errorf("value: %s is none of %s", discovery.Quote([]byte(text)), strings.Join(shown, ", "))
	}
}

// A state is one that a device may say it is in: its word for it and ours.
type state struct{ said, word string }

// parseState reads the device's word for a state.
func parseState(states []state) parseFunc {
	return func(text string) (devices.Value, error) {
		for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
			for _, s := range states {
				if same(text, s.said) {
					return devices.Text(s.word), nil
				}
			}
		}
		if nothing(text) {
			return devices.Value{}, nil
		}
		said := make([]string, len(states))
		for i, s := range states {
			said[i] = s.said
		}
		return devices.Value{}, fmt.Errorf("value: %s is none of %s", discovery.Quote([]byte(text)), strings.Join(said, ", "))
	}
}

// parseTime reads a time as devices.ParseValue does.
func parseTime(text string) (devices.Value, error) { return devices.ParseValue(devices.KindTime, text) }
