package serial

import (
	"errors"
	"iter"
	"time"

	"tidings/devices"
)

// A protocol makes messages of what devices say unasked, and puts values into commands. It is used by many goroutines.
type protocol interface {
	// source checks what a point, whose kind is given, is read from, and returns what is known of it before anything is
	// heard: at least the kind.
	source(name string, kind devices.PointKind) (devices.Point, error)
	// decoder makes what reads one session and hands what it finds to r.
	decoder(r *reader) decoder
	words() words
}

// words are a protocol's for people.
type words struct {
	messages string // what its messages are called: "lines"
	keys     string // the keys that may be wrong when nothing is understood: "baud and protocol"
}

// A commander is a protocol whose devices take lines of text.
type commander interface {
	// text is how a text value is put into a command.
	text(s string) (string, error)
}

// anySource is part of protocols whose fields have any names.
type anySource struct{}

func (anySource) source(_ string, kind devices.PointKind) (devices.Point, error) {
	return devices.Point{Kind: kind}, nil
}

func (anySource) words() words { return words{"lines", "baud and protocol"} }

// A decoder finds the messages of one session in its bytes. It tells the reader of each with said, and of what is none
// with skipped. Its memory is bounded, whatever comes.
type decoder interface {
	// feed takes the next piece, which came at the time at. How the bytes are cut into pieces makes no difference.
	feed(piece []byte, at time.Time)
	// midway says before the first piece that it may begin within a message.
	midway()
}

// fields are what one message says.
type fields interface {
	// find returns a field by the name or path that a point's source gives.
	find(source string) (field, bool)
}

// An offerer is a message that says by itself what is in it. Devices whose tables name no points get what it offers.
type offerer interface {
	offers() iter.Seq2[string, devices.Point] // by their sources
}

// A modeled message says what sent it.
type modeled interface {
	model() string
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
	unit string // of a number, where the message says it
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
	case p.Kind == devices.KindNumber && isNoNumber(f.text), p.Kind == devices.KindTime && f.text == "":
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
