package homie

import (
	"errors"
	"fmt"
	"math"
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
		return devices.Color(uint8(math.Round(f[0])), uint8(math.Round(f[1])), uint8(math.Round(f[2]))), nil
	case way == "hsv" && max(f[1], f[2]) <= 100:
		return fromHSV(f[0], f[1]/100, f[2]/100), nil
	}
	return devices.Value{}, fail
}

func writeColor(v devices.Value, way string, five bool) (string, error) {
	r, g, b, ok := v.Color()
	if !ok {
		return "", wrong(v, "colour")
	}
	prefix := ""
	if five {
		prefix = way + ","
	}
	if way == "hsv" {
		h, s, v := toHSV(r, g, b)
		return fmt.Sprintf("%s%.0f,%.0f,%.0f", prefix, h, s*100, v*100), nil
	}
	return fmt.Sprintf("%s%d,%d,%d", prefix, r, g, b), nil
}

// fromHSV makes a colour of a hue in degrees and a saturation and a value from 0 to 1.
func fromHSV(h, s, v float64) devices.Value {
	part := func(n float64) uint8 {
		k := math.Mod(n+h/60, 6)
		return uint8(math.Round(255 * (v - v*s*max(0, min(k, 4-k, 1)))))
	}
	return devices.Color(part(5), part(3), part(1))
}

func toHSV(r, g, b uint8) (h, s, v float64) {
	most, least := float64(max(r, g, b)), float64(min(r, g, b))
	spread := most - least
	if spread == 0 {
		return 0, 0, most / 255
	}
	switch uint8(most) {
	case r:
		h = math.Mod(float64(g)-float64(b), spread*6) / spread
	case g:
		h = (float64(b)-float64(r))/spread + 2
	default:
		h = (float64(r)-float64(g))/spread + 4
	}
	if h *= 60; h < 0 {
		h += 360
	}
	return h, spread / most, most / 255
}
