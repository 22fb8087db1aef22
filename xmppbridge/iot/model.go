package iot

import (
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// A Category is a set of kinds of fields.
type Category uint8

// The categories of a field.
const (
	Momentary  Category = 1 << iota // what it is now
	Peak                            // the highest or lowest of a time
	Status                          // of the device itself
	Computed                        // from other values
	Identity                        // what does not change
	Historical                      // what was

	categories = 6
	// All is every category.
	All = 1<<categories - 1
)

// A Request asks for fields (the element req).
type Request struct {
	ID         string // unique for its sender
	Nodes      []string
	Fields     []string // empty: all
	Categories Category
	From, To   time.Time // of historical fields; zero: open
	When       time.Time // when to read; zero: at once
}

// A Subscription asks to be told of changes (the element subscribe).
type Subscription struct {
	ID         string // unique for its sender
	Nodes      []string
	Conditions []Condition // empty: any change of any field
	Categories Category
	// Min and Max are the least and the most time between two events; zero where they were not given.
	Min, Max time.Duration
	Now      bool // the values of now are wanted, too
}

// A Condition says which change of a field is an event. Its zero value, with a field, is any change.
type Condition struct {
	Field string
	// Known is the value the subscriber has, from which change is measured; empty: the present one.
	Known string
	// By, Up and Down are how far a number has to go, in any direction, up or down; 0 where it was not given.
	By, Up, Down float64
}

// Any reports whether every change counts.
func (c Condition) Any() bool { return c.By == 0 && c.Up == 0 && c.Down == 0 }

// Met reports whether going from one number to another is an event.
func (c Condition) Met(from, to float64) bool {
	change := to - from
	switch {
	case c.Any():
		return change != 0
	case c.Up > 0 && change >= c.Up, c.Down > 0 && -change >= c.Down:
		return true
	}
	return c.By > 0 && (change >= c.By || -change >= c.By)
}

// A Control sets parameters (the element set): by Params or, where Form is not nil, by a submitted form.
type Control struct {
	Nodes  []string
	Params []Param
	Form   *stream.Element // jabber:x:data
}

// A Param is one parameter to set.
type Param struct {
	Name string
	Kind ParamKind
	// Value is a boolean, a number or a text; a text as it came for kinds that no device here takes.
	Value devices.Value
}

// A ParamKind is the type a parameter was sent as.
type ParamKind uint8

// The kinds of a parameter.
const (
	BoolParam ParamKind = iota
	NumberParam
	TextParam // of a string or an enumeration
	OtherParam
)

// A FieldKind is the type a field is sent as.
type FieldKind uint8

// The kinds of a field.
const (
	BoolField FieldKind = iota
	NumberField
	TextField
	EnumField
)

// A Field is one value.
type Field struct {
	Name       string
	Kind       FieldKind
	Value      string // as XML Schema writes it
	Unit       string // of a number
	Type       string // of an enumeration: what it is called
	Categories Category
	Automatic  bool // read by a machine
	Writable   bool // a control parameter of the same name sets it
	At         time.Time
}

// A Block is what one device has to say. Device is empty where it goes without saying.
type Block struct {
	Device string
	Fields []Field
}

// A SyntaxError says what cannot be read.
type SyntaxError struct {
	Param string // the parameter it is about; empty: the whole
	Text  string
}

func (e *SyntaxError) Error() string {
	if e.Param == "" {
		return e.Text
	}
	return e.Param + ": " + e.Text
}
