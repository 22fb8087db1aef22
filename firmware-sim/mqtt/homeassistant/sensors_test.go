package homeassistant

import (
	"encoding/json"
	"testing"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

func TestSensors(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for single, each := range map[bool]int{false: 3, true: 2 + Points} {
		s := New(Options{Count: 10, Single: single, Every: 10 * time.Second})
		start := s.Start(now)
		if len(start) != 1+10*each {
			t.Errorf("single %v: %d messages", single, len(start))
		}
		for _, m := range start {
			if m.About != board.Presence && !json.Valid([]byte(m.Payload)) || !m.Retained {
				t.Errorf("%+v", m)
			}
		}
		said := map[string]bool{}
		for i := range 10 {
			for _, m := range s.Step(now.Add(time.Duration(i+1) * time.Second)) {
				said[m.Topic] = true
			}
		}
		if len(said) != 10 {
			t.Errorf("%d of 10 sensors said something in their time", len(said))
		}
		for _, m := range s.Vanish(now, true) {
			if m.Payload != "" {
				t.Errorf("still announced: %+v", m)
			}
		}
	}
}

// BenchmarkStart makes what a thousand sensors say at the start.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		New(Options{Count: 1000}).Start(time.Unix(0, 0))
	}
}
