package esphome

import (
	"encoding/json"
	"slices"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// A Light is one with red, green and blue channels.
type Light struct {
	Common
	On         bool
	Brightness int    // 0 to 255
	RGB        [3]int // 0 to 255 each
	Effects    []string
	Effect     string
}

func (l *Light) component() string { return "light" }

func (l *Light) config(to map[string]any, _ func(string) string) {
	to["schema"], to["clrm"], to["supported_color_modes"], to["brightness"] = "json", true, []string{"rgb"}, true
	if len(l.Effects) > 0 {
		to["effect"], to["fx_list"] = true, append(slices.Clone(l.Effects), "None")
	}
}

func (l *Light) step(time.Time) []state {
	s := map[string]any{"state": onOff(l.On), "color_mode": "rgb", "brightness": l.Brightness,
		"color": map[string]any{"r": l.RGB[0], "g": l.RGB[1], "b": l.RGB[2]}}
	if len(l.Effects) > 0 {
		s["effect"] = "None"
		if l.Effect != "" {
			s["effect"] = l.Effect
		}
	}
	return []state{{"state", board.JSON(s), false}}
}

func (l *Light) take(_ time.Time, _, payload string) {
	var call struct {
		State      string
		Brightness *float64
		Color      *struct{ R, G, B float64 }
		Effect     *string
	}
	if json.Unmarshal([]byte(payload), &call) != nil {
		return
	}
	switch call.State {
	case "ON":
		l.On = true
	case "OFF":
		l.On = false
	case "TOGGLE":
		l.On = !l.On
	}
	if call.Brightness != nil {
		l.Brightness = int(min(max(*call.Brightness, 0), 255))
	}
	if c := call.Color; c != nil {
		l.RGB = [3]int{int(min(max(c.R, 0), 255)), int(min(max(c.G, 0), 255)), int(min(max(c.B, 0), 255))}
	}
	if call.Effect != nil && (*call.Effect == "None" || slices.Contains(l.Effects, *call.Effect)) {
		if l.Effect = *call.Effect; l.Effect == "None" {
			l.Effect = ""
		}
	}
}
