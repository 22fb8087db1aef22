package component

import (
	"errors"
	"fmt"

	"tidings/drivers/mqtt/discovery"
)

const maxAvailability = 16 // topics of one component

// availability is what says whether the component is there; nil for one that is always there. What is the same for two
// components has the same signature.
func (b *builder) availability() (available *discovery.Availability, signature string, err error) {
	type topic struct{ topic, on, off, template string }
	var topics []topic
	list, ok := b.Config["availability"].([]any)
	if !ok && b.Has("availability") {
		list = []any{b.Config["availability"]}
	}
	for _, item := range list {
		entry, ok := item.(map[string]any)
		if !ok {
			continue
		}
		c := Config(entry)
		topics = append(topics, topic{c.Text("topic", ""), c.Text("payload_available", "online"),
			c.Text("payload_not_available", "offline"), c.Text("value_template", "")})
	}
	if t := b.Text("availability_topic", ""); t != "" {
		topics = append(topics, topic{t, b.Text("payload_available", "online"), b.Text("payload_not_available", "offline"),
			b.Text("availability_template", "")})
	}
	if len(topics) == 0 {
		return nil, "", nil
	}
	if len(topics) > maxAvailability {
		return nil, "", fmt.Errorf("it has %d topics of availability, of which at most %d are read", len(topics), maxAvailability)
	}
	mode := b.Text("availability_mode", "latest")
	signature = fmt.Sprintf("%s %q", mode, topics)
	if last := b.templates.last; last.signature == signature { // the components of a device come one after the other
		return last.available, last.signature, nil
	}
	available = &discovery.Availability{Topics: make([]discovery.AvailabilityTopic, len(topics))}
	switch mode {
	case "all":
		available.Mode = discovery.All
	case "any":
		available.Mode = discovery.Any
	case "latest":
	default:
		return nil, "", fmt.Errorf("its availability_mode %q is none of all, any, latest", mode)
	}
	whole := true
	for i, t := range topics {
		if !goodTopic(t.topic) {
			return nil, "", fmt.Errorf("its availability: %s is not a topic that can be read", discovery.Quote([]byte(t.topic)))
		}
		var r reader
		if t.template != "" {
			if r.template, r.err = b.templates.parse(t.template); r.err != nil {
				r.err = fmt.Errorf("availability: %w", r.err)
				b.note("%v", r.err)
				whole = false
			}
		}
		available.Topics[i] = discovery.AvailabilityTopic{Topic: t.topic, Read: online(r, t.on, t.off)}
	}
	if whole {
		b.templates.last.available, b.templates.last.signature = available, signature
	}
	return available, signature, nil
}

// online reads whether a message says that something is there.
func online(r reader, on, off string) func(*discovery.Message) (bool, error) {
	return func(m *discovery.Message) (bool, error) {
		text, err := r.read(m)
		if errors.Is(err, discovery.ErrAbsent) {
			text, err = "", nil
		}
		switch {
		case err != nil:
			return false, err
		case text == on:
			return true, nil
		case text == off:
			return false, nil
		}
		return false, fmt.Errorf("availability: %s is neither %q nor %q", discovery.Quote([]byte(text)), on, off)
	}
}
