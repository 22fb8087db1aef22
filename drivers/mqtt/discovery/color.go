package discovery

import (
	"math"
	"strconv"
	"strings"

	"tidings/devices"
)

// Numbers reads so many numbers with commas between, as devices write colours; false for anything else.
func Numbers(text string, count int) ([]float64, bool) {
	parts := strings.Split(text, ",")
	if len(parts) != count {
		return nil, false
	}
	out := make([]float64, count)
	for i, part := range parts {
		var err error
		if out[i], err = strconv.ParseFloat(strings.TrimSpace(part), 64); err != nil || math.IsNaN(out[i]) || math.IsInf(out[i], 0) {
			return nil, false
		}
	}
	return out, true
}

// RGB makes a colour of red, green and blue, which count from 0 to 255 and are rounded; what is outside is cut off.
func RGB(c [3]float64) devices.Value {
	var b [3]uint8
	for i, f := range c {
		b[i] = uint8(math.Round(max(0, min(255, f))))
	}
	return devices.Color(b[0], b[1], b[2])
}

// HSV is red, green and blue from 0 to 255 of a hue in degrees from 0 to 360, and a saturation and a value from 0 to 1.
func HSV(hue, saturation, value float64) [3]float64 {
	channel := func(n float64) float64 {
		k := math.Mod(n+hue/60, 6)
		return 255 * (value - value*saturation*max(0, min(k, 4-k, 1)))
	}
	return [3]float64{channel(5), channel(3), channel(1)}
}

// ToHSV is the way back. What has no hue has 0.
func ToHSV(c [3]float64) (hue, saturation, value float64) {
	top, low := max(c[0], c[1], c[2]), min(c[0], c[1], c[2])
	if top == low {
		return 0, 0, top / 255
	}
	switch span := top - low; top {
	case c[0]:
		hue = math.Mod((c[1]-c[2])/span+6, 6)
	case c[1]:
		hue = (c[2]-c[0])/span + 2
	default:
		hue = (c[0]-c[1])/span + 4
	}
	return hue * 60, (top - low) / top, top / 255
}
