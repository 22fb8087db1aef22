package chart

import (
	"math"
	"strconv"
	"strings"
)

// A scale is the axis of values: between low and high, with a mark every step.
type scale struct{ low, high, step float64 }

// marks is about how many steps an axis has.
const marks = 5

// newScale finds an axis with round marks around everything that is drawn.
func newScale(low, high float64) scale {
	if high-low < math.Max(math.Abs(high), math.Abs(low))*1e-9 || high == low { // constant: something to either side
		room := math.Abs(low) * 0.05
		if room == 0 {
			room = 1
		}
		low, high = low-room, high+room
	}
	step := math.Pow10(int(math.Floor(math.Log10((high - low) / marks))))
	for _, nice := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*nice) <= marks {
			step *= nice
			break
		}
	}
	s := scale{low: math.Floor(low/step+1e-9) * step, high: math.Ceil(high/step-1e-9) * step, step: step}
	if s.high == s.low {
		s.high += step
	}
	return s
}

// at are the values of the marks, from below.
func (s scale) at() []float64 {
	var out []float64
	for i := 0; ; i++ {
		v := s.low + float64(i)*s.step
		if v > s.high+s.step/2 || i > 4*marks {
			return out
		}
		out = append(out, v)
	}
}

// label writes a mark with as many decimals as the step needs, thousands and millions short: "−12.5", "250k".
func (s scale) label(v float64) string {
	suffix, by := "", 1.0
	switch reach := math.Max(math.Abs(s.low), math.Abs(s.high)); {
	case reach >= 1e15 || s.step < 1e-6:
		return minus(strconv.FormatFloat(v, 'g', 4, 64))
	case reach >= 1e9:
		suffix, by = "G", 1e9
	case reach >= 1e6:
		suffix, by = "M", 1e6
	case reach >= 1e5:
		suffix, by = "k", 1e3
	}
	decimals := max(0, -int(math.Floor(math.Log10(s.step/by)+1e-9)))
	text := strconv.FormatFloat(v/by, 'f', min(decimals, 9), 64)
	if strings.Trim(text, "-0.") == "" {
		return "0"
	}
	return minus(text) + suffix
}

// minus writes a negative number with the sign that is as wide as a plus.
func minus(s string) string { return strings.ReplaceAll(s, "-", "−") }
