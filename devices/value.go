package devices

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ValueKind says what a Value holds.
type ValueKind uint8

// The kinds of a value.
const (
	None       ValueKind = iota // not known
	NumberKind                  // a float64
	BoolKind                    // true or false
	TextKind                    // a string
	ImageKind                   // a picture
	ColorKind                   // red, green and blue of 8 bits each
	TimeKind                    // a point in time, to the millisecond
)

// A Value is one measured or commanded quantity: a number, a boolean, a text, a colour or a time, or a handle to a picture. It is
// comparable with ==, safe to copy, and the zero Value means "not known".
type Value struct {
	kind ValueKind
	bits uint64
	text string
}

// Number makes a numeric value. NaN and infinities are no numbers a device can measure: they give the zero Value.
func Number(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	if f == 0 {
		f = 0 // one zero: -0 would compare unequal by its bits
	}
	return Value{kind: NumberKind, bits: math.Float64bits(f)}
}

// Bool makes a switch value.
func Bool(b bool) Value {
	if b {
		return Value{kind: BoolKind, bits: 1}
	}
	return Value{kind: BoolKind}
}

// Text makes a text value.
func Text(s string) Value { return Value{kind: TextKind, text: s} }

// Color makes a colour (sRGB).
func Color(red, green, blue uint8) Value {
	return Value{kind: ColorKind, bits: uint64(red)<<16 | uint64(green)<<8 | uint64(blue)}
}

// Time makes a point in time, to the millisecond; the zone is not kept. The zero time gives the zero Value.
func Time(t time.Time) Value {
	if t.IsZero() {
		return Value{}
	}
	return Value{kind: TimeKind, bits: uint64(t.UnixMilli())}
}

// Kind says what v holds.
func (v Value) Kind() ValueKind { return v.kind }

// IsZero reports whether v is "not known".
func (v Value) IsZero() bool { return v.kind == None }

// Number returns the number v holds, and whether it holds one. A boolean is not a number.
func (v Value) Number() (float64, bool) {
	return math.Float64frombits(v.bits), v.kind == NumberKind
}

// Bool returns the boolean v holds, and whether it holds one.
func (v Value) Bool() (value, ok bool) { return v.bits == 1, v.kind == BoolKind }

// Text returns the text v holds, and whether it holds one.
func (v Value) Text() (string, bool) { return v.text, v.kind == TextKind }

// Color returns the colour v holds, and whether it holds one.
func (v Value) Color() (red, green, blue uint8, ok bool) {
	if v.kind != ColorKind {
		return 0, 0, 0, false
	}
	return uint8(v.bits >> 16), uint8(v.bits >> 8), uint8(v.bits), true
}

// Time returns the time v holds, in UTC, and whether it holds one.
func (v Value) Time() (time.Time, bool) {
	if v.kind != TimeKind {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(v.bits)).UTC(), true
}

// String is the value without a unit: the shortest decimal that reads back as the same number, "true" or "false",
// the text itself, "#ff8800", a time as RFC 3339 has it, "picture (JPEG, 34 kB)", or "" when not known. Devices and programs get this form; what people see is made by mapping.
func (v Value) String() string { return string(v.Append(nil)) }

// Append appends what String returns.
func (v Value) Append(dst []byte) []byte {
	switch v.kind {
	case NumberKind:
		f := math.Float64frombits(v.bits)
		if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e15) {
			return strconv.AppendFloat(dst, f, 'g', -1, 64)
		}
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	case BoolKind:
		return strconv.AppendBool(dst, v.bits == 1)
	case TextKind:
		return append(dst, v.text...)
	case ColorKind:
		const hex = "0123456789abcdef"
		dst = append(dst, '#')
		for shift := 20; shift >= 0; shift -= 4 {
			dst = append(dst, hex[v.bits>>shift&15])
		}
		return dst
	case TimeKind:
		return time.UnixMilli(int64(v.bits)).UTC().AppendFormat(dst, timeFormat)
	case ImageKind:
		return append(dst, "picture ("+imageTypes[v.bits].name+", "+size(len(v.text))+")"...)
	}
	return dst
}

// timeFormat is RFC 3339 with the milliseconds there are.
const timeFormat = "2006-01-02T15:04:05.999Z07:00"

// ParseValue reads a value written by a device or a file as a point of the given kind wants it: a switch takes
// true/false, on/off, 1/0, yes/no and open/closed in any case; a number takes Go's decimal syntax; a colour is #rrggbb, or
// red, green and blue from 0 to 255 with commas between; a time is as RFC 3339 has it, a date alone, or the seconds since 1970.
// It reports what it could not read.
func ParseValue(kind PointKind, s string) (Value, error) {
	trimmed := strings.TrimSpace(s)
	switch kind {
	case KindNumber:
		f, err := strconv.ParseFloat(trimmed, 64)
		v := Number(f)
		if err != nil || v.IsZero() || strings.ContainsAny(trimmed, "xX_pP") {
			return Value{}, fmt.Errorf("value: %s is not a number", quoteShort(s))
		}
		return v, nil
	case KindSwitch, KindAction:
		switch strings.ToLower(trimmed) {
		case "true", "on", "1", "yes", "open":
			return Bool(true), nil
		case "false", "off", "0", "no", "closed":
			return Bool(false), nil
		}
		return Value{}, fmt.Errorf("value: %s is neither on nor off", quoteShort(s))
	case KindColor:
		return parseColor(trimmed)
	case KindTime:
		return parseTime(trimmed)
	case KindImage:
		return Value{}, fmt.Errorf("value: a picture cannot be written as text")
	}
	return Text(s), nil
}

func parseColor(s string) (Value, error) {
	if hex, ok := strings.CutPrefix(s, "#"); ok && len(hex) == 6 {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			return Color(uint8(n>>16), uint8(n>>8), uint8(n)), nil
		}
	}
	if parts := strings.Split(s, ","); len(parts) == 3 {
		var rgb [3]uint8
		for i, part := range parts {
			n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 8)
			if err != nil {
				return Value{}, fmt.Errorf("value: %s is not a colour", quoteShort(s))
			}
			rgb[i] = uint8(n)
		}
		return Color(rgb[0], rgb[1], rgb[2]), nil
	}
	return Value{}, fmt.Errorf("value: %s is not a colour", quoteShort(s))
}

// times are how devices write a time; without a zone it is the machine's.
var times = []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}

func parseTime(s string) (Value, error) {
	for _, layout := range times {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return Time(t), nil
		}
	}
	// Milliseconds of the years 1 to 9999 fit; what does not is no time that a device means.
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 253402300800 {
		return Time(time.UnixMilli(int64(f * 1000))), nil
	}
	return Value{}, fmt.Errorf("value: %s is not a time", quoteShort(s))
}

// quoteShort quotes what a device said, cut to what fits a line of a log.
func quoteShort(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "…"
	}
	return strconv.Quote(s)
}
