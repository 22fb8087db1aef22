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

// Stored are the categories of what comes from a history.
const Stored = Peak | Computed | Historical

// A Period is a set of kinds of historical fields: the readings as they were kept, and values at the beginnings of some time.
type Period uint8

// The periods of a historical field. They are those of XEP-0323 §5.6; a week begins on Monday.
const (
	Readings Period = 1 << iota
	Minutes
	Hours
	Days
	Weeks
	Months
	Quarters
	Years

	periods = 8
)

// Next is the first beginning of a minute, hour, … of the set after t, in the zone of t; zero for Readings alone.
func (p Period) Next(t time.Time) (next time.Time) {
	y, m, d := t.Date()
	midnight := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, t.Location()) }
	for _, c := range []struct {
		period Period
		at     time.Time
	}{
		{Minutes, t.Truncate(time.Minute).Add(time.Minute)},
		{Hours, t.Truncate(time.Minute).Add(time.Duration(60-t.Minute()) * time.Minute)},
		{Days, midnight(y, m, d+1)},
		{Weeks, midnight(y, m, d+7-(int(t.Weekday())+6)%7)},
		{Months, midnight(y, m+1, 1)},
		{Quarters, midnight(y, m+3-(m-1)%3, 1)},
		{Years, midnight(y+1, time.January, 1)},
	} {
		if p&c.period != 0 && c.at.After(t) && (next.IsZero() || c.at.Before(next)) {
			next = c.at
		}
	}
	return next
}

// At are those of the set that begin at t, in the zone of t.
func (p Period) At(t time.Time) (at Period) {
	before := t.Add(-time.Millisecond)
	for one := Minutes; one != 0; one <<= 1 {
		if p&one != 0 && one.Next(before).Equal(t) {
			at |= one
		}
	}
	return at
}

// A Request asks for fields (the element req).
type Request struct {
	ID         string // unique for its sender
	Nodes      []string
	Fields     []string // empty: all
	Categories Category
	Periods    Period    // of historical fields, where they are asked for
	From, To   time.Time // of historical fields, both included; zero: open
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
	Periods    Period // of a historical field
	Automatic  bool   // read by a machine
	Writable   bool   // a control parameter of the same name sets it
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
