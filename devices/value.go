package devices

import (
	"fmt"
	"math"
	"strconv"
	"strings"
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
)

// A Value is one measured or commanded quantity: a number, a boolean or a text, or a handle to a picture. It is comparable with ==, safe to
// copy, and the zero Value means "not known".
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

// String is the value without a unit: the shortest decimal that reads back as the same number, "true" or "false",
// the text itself, "picture (JPEG, 34 kB)", or "" when not known. Devices and programs get this form; what people see is made by mapping.
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
	case ImageKind:
		return append(dst, "picture ("+imageTypes[v.bits].name+", "+size(len(v.text))+")"...)
	}
	return dst
}

// ParseValue reads a value written by a device or a file as a point of the given kind wants it: a switch takes
// true/false, on/off, 1/0, yes/no and open/closed in any case; a number takes Go's decimal syntax. It reports what it
// could not read.
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
	case KindImage:
		return Value{}, fmt.Errorf("value: a picture cannot be written as text")
	}
	return Text(s), nil
}

// quoteShort quotes what a device said, cut to what fits a line of a log.
func quoteShort(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "…"
	}
	return strconv.Quote(s)
}
