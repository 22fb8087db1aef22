package component

import (
	"fmt"
	"math"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// A colorForm is a form in which a light says and takes its colour.
type colorForm uint8

const (
	rgb colorForm = iota
	rgbw
	rgbww
	hs
	xy
)

// colorForms by their names as colour modes, the best first: one that loses nothing, then those that lose brightness.
var colorForms = [...]string{rgb: "rgb", rgbw: "rgbw", rgbww: "rgbww", hs: "hs", xy: "xy"}

// numbers is how many numbers a colour has in the form.
func (f colorForm) numbers() int { return [...]int{rgb: 3, rgbw: 4, rgbww: 5, hs: 2, xy: 2}[f] }

// exact reports whether a colour that is set comes back as it was.
func (f colorForm) exact() bool { return f == rgb }

// value makes a colour of the numbers of a form.
func (f colorForm) value(n []float64) devices.Value {
	switch f {
	case hs:
		return discovery.RGB(hueToRGB(n[0], n[1]))
	case xy:
		return discovery.RGB(xyToRGB(n[0], n[1]))
	case rgbw, rgbww: // white adds to all, and the brightest of all stays as bright as the brightest of the channels
		white := n[3]
		if f == rgbww {
			white = max(n[3], n[4])
		}
		return discovery.RGB(evenly([3]float64{n[0] + white, n[1] + white, n[2] + white}, max(n[0], n[1], n[2], white)))
	}
	return discovery.RGB([3]float64{n[0], n[1], n[2]})
}

// of makes the numbers of a form of a colour.
func (f colorForm) of(v devices.Value) ([]float64, error) {
	r, g, b, ok := v.Color()
	if !ok {
		return nil, fmt.Errorf("%w: %q is not a colour", devices.ErrValue, v)
	}
	c := [3]float64{float64(r), float64(g), float64(b)}
	switch f {
	case hs:
		h, s := rgbToHue(c)
		return []float64{h, s}, nil
	case xy:
		x, y := rgbToXY(c)
		return []float64{x, y}, nil
	case rgbw:
		white := min(c[0], c[1], c[2])
		rest := evenly([3]float64{c[0] - white, c[1] - white, c[2] - white}, max(c[0], c[1], c[2]))
		if rest == [3]float64{} {
			return []float64{0, 0, 0, white}, nil
		}
		return []float64{math.Round(rest[0]), math.Round(rest[1]), math.Round(rest[2]), white}, nil
	case rgbww:
		return []float64{c[0], c[1], c[2], 0, 0}, nil
	}
	return c[:], nil
}

// parse reads the numbers of a form with commas between.
func (f colorForm) parse(text string) (devices.Value, error) {
	n, ok := discovery.Numbers(text, f.numbers())
	if !ok {
		return devices.Value{}, fmt.Errorf("value: %q is not a colour of %d numbers", cut(text), f.numbers())
	}
	return f.value(n), nil
}

func cut(s string) string { return s[:min(len(s), 60)] }

// evenly makes the brightest of three be top.
func evenly(c [3]float64, top float64) [3]float64 {
	brightest := max(c[0], c[1], c[2])
	if brightest <= 0 {
		return [3]float64{}
	}
	for i := range c {
		c[i] *= top / brightest
	}
	return c
}

// hueToRGB is a colour of a hue in degrees and a saturation in percent, as bright as can be.
func hueToRGB(hue, saturation float64) [3]float64 {
	hue, saturation = math.Mod(math.Mod(hue, 360)+360, 360), max(0, min(100, saturation))/100
	return discovery.HSV(hue, saturation, 1)
}

// rgbToHue is the hue in degrees and the saturation in percent, to the thousandth.
func rgbToHue(c [3]float64) (hue, saturation float64) {
	hue, saturation, _ = discovery.ToHSV(c)
	return thousandth(hue), thousandth(saturation * 100)
}

func thousandth(f float64) float64 { return math.Round(f*1000) / 1000 }

// The matrices between CIE 1931 and the wide gamut of coloured lamps under D65 are the ones that Philips published for Hue:
// https://developers.meethue.com/develop/application-design-guidance/color-conversion-formulas-rgb-to-xy-and-back/.

// xyToRGB is a colour of a chromaticity, as bright as can be.
func xyToRGB(x, y float64) [3]float64 {
	if y <= 0 || x < 0 {
		return [3]float64{}
	}
	cx, cz := x/y, (1-x-y)/y
	c := evenly([3]float64{
		max(0, cx*1.656492-0.354851-cz*0.255038),
		max(0, -cx*0.707196+1.655397+cz*0.036152),
		max(0, cx*0.051713-0.121364+cz*1.011530)}, 1)
	for i, f := range c {
		if f <= 0.0031308 {
			c[i] = 12.92 * f * 255
		} else {
			c[i] = (1.055*math.Pow(f, 1/2.4) - 0.055) * 255
		}
	}
	return c
}

// rgbToXY is the chromaticity, to the thousandth; of black, that of white.
func rgbToXY(c [3]float64) (x, y float64) {
	for i, f := range c {
		if f /= 255; f > 0.04045 {
			c[i] = math.Pow((f+0.055)/1.055, 2.4)
		} else {
			c[i] = f / 12.92
		}
	}
	cx := c[0]*0.664511 + c[1]*0.154324 + c[2]*0.162028
	cy := c[0]*0.283881 + c[1]*0.668433 + c[2]*0.047685
	cz := c[0]*0.000088 + c[1]*0.072310 + c[2]*0.986039
	if cx+cy+cz == 0 {
		return 0.323, 0.329
	}
	return thousandth(cx / (cx + cy + cz)), thousandth(cy / (cx + cy + cz))
}
