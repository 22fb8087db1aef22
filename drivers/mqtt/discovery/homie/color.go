package homie

import (
	"errors"
	"fmt"
	"strconv"
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
	fail := fmt.Errorf("payload: %s is %w", discovery.Quote([]byte(s)), errColor)
	parts := strings.Split(s, ",")
	if len(parts) == 4 {
		way, parts = parts[0], parts[1:]
	}
	var f [3]float64
	for i := range f {
		var err error
		if len(parts) <= i {
			return devices.Value{}, fail
		}
		if f[i], err = strconv.ParseFloat(strings.TrimSpace(parts[i]), 64); err != nil || f[i] < 0 || f[i] > 360 {
			return devices.Value{}, fail
		}
	}
	switch {
	case len(parts) != 3:
	case way == "rgb" && max(f[0], f[1], f[2]) <= 255:
		return discovery.RGB(f), nil
	case way == "hsv" && max(f[1], f[2]) <= 100:
		return discovery.RGB(discovery.HSV(f[0], f[1]/100, f[2]/100)), nil
	}
	return devices.Value{}, fail
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
