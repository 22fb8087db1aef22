package serial

import (
	"errors"

	"tidings/devices"
)

// A protocol takes lines apart and puts values into commands. It is used by many goroutines.
type protocol interface {
	// parse takes one line of valid UTF-8 apart. The fields do not hold on to the line.
	parse(line []byte) (fields, error)
	// text is how a text value is put into a command.
	text(s string) (string, error)
	// synchronous reports whether half a line can never pass for a whole one.
	synchronous() bool
}

// protocols are the ones of this version, by their word in the configuration.
var protocols = map[string]protocol{"json": jsonLines{}, "keyvalue": keyValue{}}

// later are the protocols of the contract that this version does not speak.
var later = []string{"csv", "regexp", "modbus", "p1", "sds011"}

// fields are what one line says.
type fields interface {
	// find returns a field by the name or path that a point's source gives.
	find(source string) (field, bool)
}

// A fieldKind says how a field was written.
type fieldKind uint8

const (
	bare     fieldKind = iota // a number, true, false, a word
	quoted                    // a text in quotes
	null                      // JSON's null
	compound                  // a list or an object
)

// A field is one value as a line says it.
type field struct {
	kind fieldKind
	text string // without the quotes
}

// errEmpty is a line without any field.
var errEmpty = errors.New("no fields")

// value reads a field as a point of the given kind wants it. Quality is Unknown where the device says that it does
// not know, and Faulty, with the reason, where the field cannot be a value of the point.
func (f field) value(p *point) (devices.Value, devices.Quality, error) {
	switch {
	case f.kind == null:
		return devices.Value{}, devices.Unknown, nil
	case f.kind == compound:
		return devices.Value{}, devices.Faulty, errCompound
	case p.Kind == devices.KindNumber && isNoNumber(f.text):
		return devices.Value{}, devices.Unknown, nil
	}
	v, err := p.parse(f.text)
	if err != nil {
		return devices.Value{}, devices.Faulty, err
	}
	return v, devices.Good, nil
}

var errCompound = errors.New(`value: it is a list or an object: name a field in it, as in source = "sensors.0.t"`)

// isNoNumber reports whether a text is how C and Python print that there is no number.
func isNoNumber(s string) bool {
	switch s {
	case "", "nan", "NaN", "NAN", "-nan", "null", "None", "none":
		return true
	}
	return false
}
