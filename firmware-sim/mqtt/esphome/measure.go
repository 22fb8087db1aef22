package esphome

import (
	"strconv"
	"time"
)

// A Sensor is a number.
type Sensor struct {
	Common
	Class, Unit string
	Digits      int  // after the point
	Counts      bool // state_class: total_increasing
	Value       func(time.Time) float64
}

func (s *Sensor) component() string { return "sensor" }

func (s *Sensor) config(c map[string]any, _ func(string) string) {
	delete(c, "cmd_t")
	if s.Class != "" {
		c["dev_cla"] = s.Class
	}
	if s.Unit != "" {
		c["unit_of_meas"] = s.Unit
	}
	c["stat_cla"] = "measurement"
	if s.Counts {
		c["stat_cla"] = "total_increasing"
	}
}

func (s *Sensor) step(now time.Time) []state {
	return []state{{"state", strconv.FormatFloat(s.Value(now), 'f', s.Digits, 64), true}}
}

func (*Sensor) take(time.Time, string, string) {}

// A Binary is something that is or is not.
type Binary struct {
	Common
	Class string
	On    func(time.Time) bool
}

func (b *Binary) component() string { return "binary_sensor" }

func (b *Binary) config(c map[string]any, _ func(string) string) {
	delete(c, "cmd_t")
	if b.Class != "" {
		c["dev_cla"] = b.Class
	}
}

func (b *Binary) step(now time.Time) []state { return []state{{"state", onOff(b.On(now)), false}} }

func (*Binary) take(time.Time, string, string) {}

// A Text is a text_sensor.
type Text struct {
	Common
	Value func(time.Time) string
}

func (t *Text) component() string { return "sensor" }

func (t *Text) config(c map[string]any, _ func(string) string) { delete(c, "cmd_t") }

func (t *Text) step(now time.Time) []state { return []state{{"state", t.Value(now), false}} }

func (*Text) take(time.Time, string, string) {}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}
