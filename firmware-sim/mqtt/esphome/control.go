package esphome

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Switch is a relay.
type Switch struct {
	Common
	On bool
}

func (s *Switch) component() string { return "switch" }

func (*Switch) config(map[string]any, func(string) string) {}

func (s *Switch) step(time.Time) []state { return []state{{"state", onOff(s.On), false}} }

func (s *Switch) take(_ time.Time, _, payload string) {
	switch strings.ToUpper(payload) {
	case "ON":
		s.On = true
	case "OFF":
		s.On = false
	case "TOGGLE":
		s.On = !s.On
	}
}

// A Cover moves for Travel from one end to the other.
type Cover struct {
	Common
	Class    string
	Travel   time.Duration // default 10 s
	Position float64       // 0 is closed, 1 open

	target float64
	moves  bool
	at     time.Time
}

func (c *Cover) component() string { return "cover" }

// A cover with a position has no state topic.
func (c *Cover) config(to map[string]any, topic func(string) string) {
	delete(to, "stat_t")
	to["pos_t"], to["set_pos_t"] = topic("position/state"), topic("position/command")
	if c.Class != "" {
		to["dev_cla"] = c.Class
	}
}

func (c *Cover) step(now time.Time) []state {
	travel := c.Travel
	if travel == 0 {
		travel = 10 * time.Second
	}
	if c.moves {
		far := float64(now.Sub(c.at)) / float64(travel)
		if c.target > c.Position {
			c.Position = min(c.Position+far, c.target)
		} else {
			c.Position = max(c.Position-far, c.target)
		}
		c.moves = c.Position != c.target
	}
	c.at = now
	return []state{{"position/state", strconv.Itoa(int(math.Round(c.Position * 100))), false}}
}

func (c *Cover) take(now time.Time, topic, payload string) {
	c.step(now)
	target := c.Position
	switch strings.ToUpper(payload) {
	case "OPEN":
		target = 1
	case "CLOSE":
		target = 0
	default:
		if percent, err := strconv.ParseFloat(payload, 64); err == nil && topic == "position/command" && percent >= 0 && percent <= 100 {
			target = percent / 100
		}
	}
	c.target, c.moves = target, target != c.Position
}

// A Climate is a thermostat that heats. Its room is what Temperature says.
type Climate struct {
	Common
	Target      float64
	Mode        string // off, heat, auto
	Temperature func(time.Time) float64
}

func (c *Climate) component() string { return "climate" }

func (c *Climate) config(to map[string]any, topic func(string) string) {
	delete(to, "stat_t")
	delete(to, "cmd_t")
	to["curr_temp_t"] = topic("current_temperature/state")
	to["mode_cmd_t"], to["mode_stat_t"] = topic("mode/command"), topic("mode/state")
	to["modes"] = []string{"off", "heat", "auto"}
	to["temp_cmd_t"], to["temp_stat_t"] = topic("target_temperature/command"), topic("target_temperature/state")
	to["min_temp"], to["max_temp"], to["temp_step"], to["temp_unit"] = 7, 28, 0.5, "C"
	to["act_t"] = topic("action/state")
}

func (c *Climate) step(now time.Time) []state {
	action := "off"
	if at := c.Temperature(now); c.Mode != "off" {
		action = "idle"
		if at < c.Target {
			action = "heating"
		}
	}
	return []state{
		{"mode/state", c.Mode, false}, {"action/state", action, false},
		{"target_temperature/state", strconv.FormatFloat(c.Target, 'f', 1, 64), false},
		{"current_temperature/state", strconv.FormatFloat(c.Temperature(now), 'f', 1, 64), true},
	}
}

func (c *Climate) take(_ time.Time, topic, payload string) {
	switch topic {
	case "mode/command":
		if word := strings.ToLower(payload); slices.Contains([]string{"off", "heat", "auto"}, word) {
			c.Mode = word
		}
	case "target_temperature/command":
		if t, err := strconv.ParseFloat(payload, 64); err == nil && t >= 7 && t <= 28 {
			c.Target = t
		}
	}
}

// A Fan has Speeds from 1 on.
type Fan struct {
	Common
	On     bool
	Speed  int
	Speeds int
}

func (f *Fan) component() string { return "fan" }

func (f *Fan) config(to map[string]any, topic func(string) string) {
	to["pct_cmd_t"], to["pct_stat_t"] = topic("speed_level/command"), topic("speed_level/state")
	to["spd_rng_max"] = f.Speeds
}

func (f *Fan) step(time.Time) []state {
	return []state{{"state", onOff(f.On), false}, {"speed_level/state", strconv.Itoa(f.Speed), false}}
}

func (f *Fan) take(_ time.Time, topic, payload string) {
	if topic == "speed_level/command" {
		if n, err := strconv.Atoi(payload); err == nil && n >= 0 && n <= f.Speeds {
			if f.On = n > 0; f.On {
				f.Speed = n
			}
		}
		return
	}
	switch strings.ToUpper(payload) {
	case "ON":
		f.On = true
	case "OFF":
		f.On = false
	case "TOGGLE":
		f.On = !f.On
	}
}

// A Lock is a door's.
type Lock struct {
	Common
	Unlocked bool
}

func (l *Lock) component() string { return "lock" }

func (*Lock) config(map[string]any, func(string) string) {}

func (l *Lock) step(time.Time) []state {
	return []state{{"state", map[bool]string{true: "UNLOCKED", false: "LOCKED"}[l.Unlocked], false}}
}

func (l *Lock) take(_ time.Time, _, payload string) {
	switch strings.ToUpper(payload) {
	case "LOCK":
		l.Unlocked = false
	case "UNLOCK":
		l.Unlocked = true
	}
}

// A Number can be set.
type Number struct {
	Common
	Value, Min, Max, Step float64
	Unit                  string
}

func (n *Number) component() string { return "number" }

func (n *Number) config(to map[string]any, _ func(string) string) {
	to["min"], to["max"], to["step"] = n.Min, n.Max, n.Step
	if n.Unit != "" {
		to["unit_of_meas"] = n.Unit
	}
}

func (n *Number) step(time.Time) []state {
	return []state{{"state", strconv.FormatFloat(n.Value, 'f', -1, 64), false}}
}

func (n *Number) take(_ time.Time, _, payload string) {
	if v, err := strconv.ParseFloat(payload, 64); err == nil && v >= n.Min && v <= n.Max {
		n.Value = v
	}
}

// A Select is one of several.
type Select struct {
	Common
	Options []string
	Value   string
}

func (s *Select) component() string { return "select" }

func (s *Select) config(to map[string]any, _ func(string) string) { to["ops"] = s.Options }

func (s *Select) step(time.Time) []state { return []state{{"state", s.Value, false}} }

func (s *Select) take(_ time.Time, _, payload string) {
	if slices.Contains(s.Options, payload) {
		s.Value = payload
	}
}

// A Button does something.
type Button struct {
	Common
	Class   string
	Pressed func()
}

func (b *Button) component() string { return "button" }

func (b *Button) config(to map[string]any, _ func(string) string) {
	delete(to, "stat_t")
	if b.Class != "" {
		to["dev_cla"] = b.Class
	}
}

func (*Button) step(time.Time) []state { return nil }

func (b *Button) take(_ time.Time, _, payload string) {
	if payload == "PRESS" && b.Pressed != nil {
		b.Pressed()
	}
}
