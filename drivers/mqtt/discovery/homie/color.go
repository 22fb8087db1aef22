package homie

import (
	"errors"
	"fmt"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// colors are the values of a color property. Version 5 says before each which way it is given ("rgb,255,0,0"), and its format
// which ways a device takes, the preferred one first; version 4 has one way as its format and numbers alone ("255,0,0").
func colors(format string, five bool) (datatype, error) {
	for way := range strings.SplitSeq(format, ",") {
		if way != "rgb" && way != "hsv" {
			continue
		}
		return datatype{devices.KindColor, func(s string) (devices.Value, error) { return parseColor(s, way) }, func(v devices.Value) (string, error) {
			return writeColor(v, way, five)
		}}, nil
	}
	return datatype{}, fmt.Errorf("colours as %.40q", format)
}

var errColor = errors.New("no colour")

func parseColor(s, way string) (devices.Value, error) {
	numbers := s
	if said, rest, _ := strings.Cut(s, ","); strings.Count(s, ",") == 3 {
		way, numbers = said, rest
	}
	n, ok := discovery.Numbers(numbers, 3)
	switch {
	case !ok || min(n[0], n[1], n[2]) < 0:
	case way == "rgb" && max(n[0], n[1], n[2]) <= 255:
		return discovery.RGB([3]float64(n)), nil
	case way == "hsv" && n[0] <= 360 && max(n[1], n[2]) <= 100:
		return discovery.RGB(discovery.HSV(n[0], n[1]/100, n[2]/100)), nil
	}
	return devices.Value{}, fmt.Errorf("payload: %s is %w", discovery.Quote([]byte(s)), errColor)
}

func writeColor(v devices.Value, way string, five bool) (string, error) {
	r, g, b, ok := v.Color()
	if !ok {
		return "", discovery.Wrong(v, "colour")
	}
	prefix := ""
	if five {
		prefix = way + ","
	}
	if way == "hsv" {
		h, s, v := discovery.ToHSV([3]float64{float64(r), float64(g), float64(b)})
		return fmt.Sprintf("%s%.0f,%.0f,%.0f", prefix, h, s*100, v*100), nil
	}
	return fmt.Sprintf("%s%d,%d,%d", prefix, r, g, b), nil
}
