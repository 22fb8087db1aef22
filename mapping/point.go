package mapping

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
)

// A Span is a closed interval of numbers. The zero value is no limit.
type Span struct{ Low, High float64 }

// Set reports whether s limits anything.
func (s Span) Set() bool { return s.Low < s.High }

// Contains reports whether f lies in s; everything lies in the zero Span.
func (s Span) Contains(f float64) bool { return !s.Set() || s.Low <= f && f <= s.High }

// A Point is one thing a device measures or does, as people see it: the driver's point merged with the configuration.
// It never changes, is shared between devices that are alike and is safe for concurrent use.
type Point struct {
	Name    string // [a-z][a-z0-9_]*
	Label   string // for people: "Pump", "Soil moisture"; what the device calls it, or made of its name
	Kind    devices.PointKind
	Class   string   // Home Assistant's device class; empty: none
	Unit    string   // of a number; empty: none
	Options []string // of a choice
	States  []string // of a choice: what it may be beside Options, as a cover may be "opening"

	Precision int     // digits after the point; -1: as the number comes
	Min, Max  float64 // mapped readings outside are faults; infinities where there is no bound
	Range     Span    // what may be commanded
	Step      float64 // commanded values are rounded to it; 0: not
	Deadband  float64 // changes smaller than this are not announced
	Scale     float64 // mapped = raw × Scale + Offset
	Offset    float64

	Readable bool
	Writable bool
	Confirms bool // a reading tells whether a command was obeyed
	Minor    bool // it configures the device or says how that itself does: other points come first
	Danger   bool // a command has to be confirmed by the person
	Programs bool // IoT IQs may set it, unasked
	History  bool // its readings are kept, where readings are

	DelayOn, DelayOff time.Duration // how long a switch has to stay on or off to be shown so

	ConfirmWithin time.Duration // how long the device has to confirm
	Safe          devices.Value // mapped; what it is set to when the gateway stops; zero: it is left alone

	called bool           // Label is the device's
	aim    bool           // it is what a point is to be that is only read: the target beside the temperature
	zone   *time.Location // of times that people see; nil: the system's
	short  bool           // of a number that was calculated: without a precision, what a person reads of it is shown
}

// Measured reports whether readings of the point are values: it is neither an action nor a picture.
func (p *Point) Measured() bool {
	return p.Readable && p.Kind != devices.KindAction && p.Kind != devices.KindImage
}

// Format writes a value for people: "21.4 °C", "48 %", "on", "open". A value not known is "unknown". Texts are cut to
// what fits a line.
func (p *Point) Format(v devices.Value) string { return string(p.AppendFormat(nil, v)) }

// AppendFormat appends what Format returns.
func (p *Point) AppendFormat(dst []byte, v devices.Value) []byte {
	if f, ok := v.Number(); ok {
		switch {
		case p.Precision >= 0:
			dst = appendFixed(dst, f, p.Precision)
		case p.short:
			dst = appendShort(dst, f)
		default:
			dst = v.Append(dst)
		}
		return appendUnit(dst, p.Unit)
	}
	if on, ok := v.Bool(); ok {
		return append(dst, wordsOf(p.Class).state(on)...)
	}
	if s, ok := v.Text(); ok {
		return append(dst, cutLine(s, maxShownText)...)
	}
	switch v.Kind() {
	case devices.ImageKind:
		return v.Append(dst)
	case devices.ColorKind:
		return appendColor(dst, v)
	case devices.TimeKind:
		t, _ := v.Time()
		return t.In(p.location()).AppendFormat(dst, "2006-01-02 15:04")
	}
	return append(dst, "unknown"...)
}

func (p *Point) location() *time.Location {
	if p.zone == nil {
		return time.Local
	}
	return p.zone
}

// appendFixed is strconv's 'f' format without the "-0.0" of small negative numbers.
func appendFixed(dst []byte, f float64, precision int) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', precision, 64)
	if len(dst) > start && dst[start] == '-' && !strings.ContainsAny(string(dst[start:]), "123456789") {
		dst = append(dst[:start], dst[start+1:]...)
	}
	return dst
}

// appendShort writes two digits after the point, or as many more as there have to be for four that count, and no zeros at the end.
func appendShort(dst []byte, f float64) []byte {
	digits := 2
	if a := math.Abs(f); a > 0 && a < 10 {
		digits = min(3-int(math.Floor(math.Log10(a))), 9)
	}
	start := len(dst)
	dst = appendFixed(dst, f, digits)
	if i := strings.IndexByte(string(dst[start:]), '.'); i >= 0 {
		dst = bytes.TrimRight(dst, "0")
		dst = bytes.TrimSuffix(dst, []byte("."))
	}
	return dst
}

// appendUnit puts a unit behind a number: a space, but none before the sign of an angle.
func appendUnit(dst []byte, unit string) []byte {
	if unit == "" {
		return dst
	}
	if unit != "°" {
		dst = append(dst, ' ')
	}
	return append(dst, unit...)
}

// FormatState writes the state of the point for people: its value as Format does, or "unknown", "fault: …",
// "no reading yet".
func (p *Point) FormatState(s devices.PointState) string { return string(p.appendState(nil, s)) }

func (p *Point) appendState(dst []byte, s devices.PointState) []byte {
	switch s.Quality {
	case devices.Good:
		if s.At.IsZero() {
			return append(dst, noReading...)
		}
		return p.AppendFormat(dst, s.Value)
	case devices.Stale:
		return append(dst, "out of date"...)
	case devices.Faulty:
		if s.Err == nil {
			return append(dst, "fault"...)
		}
		return append(append(dst, "fault: "...), cutLine(reason(s.Err), maxShownText)...)
	}
	return append(dst, "unknown"...)
}

// noReading is the state of a point, or of a whole device, that was never heard.
const noReading = "no reading yet"

// reason is what an error says of a point, without the name of the point, which stands beside it anyway.
func reason(err error) string {
	if fault, ok := errors.AsType[*faultError](err); ok {
		return fault.text
	}
	return err.Error()
}

// A faultError is a reading that cannot be.
type faultError struct{ point, text string }

func (e *faultError) Error() string { return e.point + ": " + e.text }
