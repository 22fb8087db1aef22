package mapping

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"tidings/devices"
)

// colors are the names that people call colours by, as CSS has them (CSS Color Module Level 4, section 6.1), and "warm white".
var colors = map[string]devices.Value{
	"red": devices.Color(255, 0, 0), "green": devices.Color(0, 128, 0), "blue": devices.Color(0, 0, 255), "white": devices.Color(255, 255, 255),
	"black": devices.Color(0, 0, 0), "yellow": devices.Color(255, 255, 0), "orange": devices.Color(255, 165, 0), "purple": devices.Color(128, 0, 128),
	"pink": devices.Color(255, 192, 203), "cyan": devices.Color(0, 255, 255), "magenta": devices.Color(255, 0, 255), "lime": devices.Color(0, 255, 0),
	"turquoise": devices.Color(64, 224, 208), "teal": devices.Color(0, 128, 128), "navy": devices.Color(0, 0, 128), "violet": devices.Color(238, 130, 238),
	"indigo": devices.Color(75, 0, 130), "gold": devices.Color(255, 215, 0), "brown": devices.Color(165, 42, 42), "gray": devices.Color(128, 128, 128),
	"silver": devices.Color(192, 192, 192), "maroon": devices.Color(128, 0, 0), "olive": devices.Color(128, 128, 0), "coral": devices.Color(255, 127, 80),
	"salmon": devices.Color(250, 128, 114), "crimson": devices.Color(220, 20, 60), "lavender": devices.Color(230, 230, 250), "ivory": devices.Color(255, 255, 240),
	"khaki": devices.Color(240, 230, 140), "tomato": devices.Color(255, 99, 71), "chocolate": devices.Color(210, 105, 30), "beige": devices.Color(245, 245, 220),
	"warm white": devices.Color(255, 214, 170),
}

// colorNames is the way back.
var colorNames = func() map[devices.Value]string {
	out := make(map[devices.Value]string, len(colors))
	for _, name := range slices.Sorted(maps.Keys(colors)) {
		out[colors[name]] = name
	}
	return out
}()

// parseColor reads "red", "#ff8800", "ff8800", "#f80" or "255, 136, 0".
func parseColor(s string) (devices.Value, bool) {
	s = strings.ToLower(strings.Join(strings.Fields(s), " "))
	if s == "grey" {
		s = "gray"
	}
	if v, ok := colors[s]; ok {
		return v, true
	}
	hex := strings.TrimPrefix(s, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	if _, err := strconv.ParseUint(hex, 16, 32); err == nil && len(hex) == 6 {
		s = "#" + hex
	}
	v, err := devices.ParseValue(devices.KindColor, s)
	return v, err == nil
}

// appendColor writes a colour for people: its name where it has one.
func appendColor(dst []byte, v devices.Value) []byte {
	if name, ok := colorNames[v]; ok {
		return append(dst, name...)
	}
	return v.Append(dst)
}

// sameColor reports whether a light shows the colour it was asked for. Lamps take a colour apart into hue and saturation, and
// have the brightness apart from it: both are compared at full brightness, with what rounding takes.
func sameColor(asked, got devices.Value) bool {
	const near = 0.08
	a, okA := brightest(asked)
	g, okG := brightest(got)
	for i := range a {
		if d := a[i] - g[i]; d > near || d < -near {
			return false
		}
	}
	return okA && okG
}

func brightest(v devices.Value) (rgb [3]float64, ok bool) {
	r, g, b, ok := v.Color()
	most := float64(max(r, g, b, 1))
	return [3]float64{float64(r) / most, float64(g) / most, float64(b) / most}, ok
}
