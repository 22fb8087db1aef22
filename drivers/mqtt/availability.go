package mqtt

import (
	"errors"
	"fmt"

	"tidings/drivers/mqtt/discovery"
)

// A watch is what the topics of an availability said on this connection.
type watch struct {
	*discovery.Availability
	said   []word
	latest int // the index of the one heard last; -1: none
}

// A word is what one topic said.
type word struct {
	heard bool
	err   error // why it is not there; nil: it is
}

// newWatch makes a watch that has heard nothing; nil of nil.
func newWatch(a *discovery.Availability) *watch {
	if a == nil {
		return nil
	}
	return &watch{Availability: a, said: make([]word, len(a.Topics)), latest: -1}
}

// topics are its topics; none of nil.
func (w *watch) topics() []discovery.AvailabilityTopic {
	if w == nil {
		return nil
	}
	return w.Topics
}

// forget has it heard nothing.
func (w *watch) forget() {
	if w != nil {
		clear(w.said)
		w.latest = -1
	}
}

// hear takes a message on the topic of that index.
func (w *watch) hear(i int, m *discovery.Message) {
	t := w.Topics[i]
	up, err := readAvailability(t.Read, m)
	switch {
	case err != nil:
		err = fmt.Errorf("%s says %s: %w", t.Topic, discovery.Quote(m.Payload), err)
	case !up:
		err = fmt.Errorf("%s says %s", t.Topic, saying(m))
	}
	w.said[i], w.latest = word{true, err}, i
}

// saying is what a message says, for people: of an object that has a single text, as {"state": "offline"}, that.
func saying(m *discovery.Message) string {
	tree, err := m.JSON()
	if object, ok := tree.(map[string]any); err == nil && ok && len(object) == 1 {
		for _, value := range object {
			if text, ok := value.(string); ok {
				return discovery.Quote([]byte(text))
			}
		}
	}
	return discovery.Quote(m.Payload)
}

// errNowhere is of an availability without topics.
var errNowhere = errors.New("it does not say where to hear from it")

// down is why it is not there; nil: it is.
func (w *watch) down() error {
	if w == nil {
		return nil
	}
	if w.Mode == discovery.Latest && w.latest >= 0 {
		return w.said[w.latest].err
	}
	if len(w.Topics) == 0 {
		return errNowhere
	}
	var why error
	for i, s := range w.said {
		err := s.err
		if !s.heard {
			err = fmt.Errorf("nothing heard from it: %s says nothing yet", w.Topics[i].Topic)
		}
		if err == nil && w.Mode == discovery.Any {
			return nil
		}
		// What was said goes before what was not.
		if err != nil && (why == nil || s.heard && w.Mode != discovery.All) {
			why = err
		}
	}
	return why
}

// resume takes over what was heard by the watch before this one.
func (w *watch) resume(before *watch) {
	if w == nil || before == nil {
		return
	}
	for i, t := range w.Topics {
		for j, u := range before.Topics {
			if t.Topic == u.Topic {
				w.said[i] = before.said[j]
				if before.latest == j {
					w.latest = i
				}
			}
		}
	}
}
