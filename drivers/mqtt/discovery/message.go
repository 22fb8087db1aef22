package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"tidings/drivers/mqtt/template"
)

// A Message is what came on a topic, or what is to be published there. Its JSON is decoded once, when first asked for; a
// Message that is read is not for several goroutines.
type Message struct {
	Topic    string
	Payload  []byte
	Retained bool // of one that came: the broker had kept it; of one to publish: it is to be kept
	QoS      int8 // of one to publish; -1: the connection's

	decoded bool
	tree    any
	err     error
	vars    *template.Payload
}

// NewMessage makes a message that came, or is to be published with the connection's quality of service.
func NewMessage(topic string, payload []byte) *Message {
	return &Message{Topic: topic, Payload: payload, QoS: -1}
}

// JSON is the payload as encoding/json decodes it, with numbers as [json.Number]: one value and nothing after it. What it
// returns is shared and not to be changed.
func (m *Message) JSON() (any, error) {
	if !m.decoded {
		m.decoded = true
		if parts := bytes.Count(m.Payload, []byte(",")) + bytes.Count(m.Payload, []byte("[")) + bytes.Count(m.Payload, []byte("{")); parts > maxParts {
			m.err = fmt.Errorf("payload: %s is not JSON that can be read: it has %d parts, and at most %d are taken", Quote(m.Payload), parts, maxParts)
			return nil, m.err
		}
		dec := json.NewDecoder(bytes.NewReader(m.Payload))
		dec.UseNumber() // a counter beyond 2⁵³ keeps its digits in a text
		if err := dec.Decode(&m.tree); err != nil {
			m.tree, m.err = nil, fmt.Errorf("payload: %s is not JSON", Quote(m.Payload))
		} else if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			m.tree, m.err = nil, fmt.Errorf("payload: %s has more after its JSON", Quote(m.Payload))
		}
	}
	return m.tree, m.err
}

// maxParts bounds the values of a JSON document: in memory each takes many times its length. A picture in JSON is one.
const maxParts = 1 << 16

// Forget lets go of what was decoded of the message, for one that is kept.
func (m *Message) Forget() {
	m.decoded, m.tree, m.err, m.vars = false, nil, nil, nil
}

// Vars is the message as value templates see it. It is made once, so that all of them decode its JSON once.
func (m *Message) Vars() *template.Payload {
	if m.vars == nil {
		m.vars = &template.Payload{Text: string(m.Payload)}
	}
	return m.vars
}

// Work is how many steps templates have taken to read the message since it came, or was forgotten.
func (m *Message) Work() int {
	if m.vars == nil {
		return 0
	}
	return m.vars.Steps()
}

// Quote quotes a payload for an error, cut to what fits a line.
func Quote(payload []byte) string {
	const shown = 60
	if len(payload) > shown {
		return strconv.Quote(string(payload[:shown])) + "…"
	}
	return strconv.Quote(string(payload))
}
