package iot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// What a request may hold: a home has fewer devices than that, and whoever has more reads all of them at once.
const (
	maxNodes  = 1000
	maxFields = 200
	maxParams = 100
	maxID     = 256 // bytes of an id or a name
)

func wrong(format string, args ...any) error { return &SyntaxError{Text: fmt.Sprintf(format, args...)} }

// ReadRequest reads a req.
func (d *Dialect) ReadRequest(e *stream.Element) (Request, error) {
	r := Request{}
	var err error
	if r.ID, err = d.ReadID(e); err != nil {
		return r, err
	}
	if r.Nodes, err = d.nodes(e, d.Data); err != nil {
		return r, err
	}
	for c := range e.Children() {
		if c.Is(d.Data, d.words.field) {
			name, err := d.fieldName(c, len(r.Fields))
			if err != nil {
				return r, err
			}
			r.Fields = append(r.Fields, name)
		}
	}
	if r.Categories, err = d.categories(e); err != nil {
		return r, err
	}
	if err := d.readPeriods(e, &r); err != nil {
		return r, err
	}
	for _, t := range []struct {
		name string
		at   *time.Time
	}{{"from", &r.From}, {"to", &r.To}, {"when", &r.When}} {
		if *t.at, err = readTime(e.Attr(t.name)); err != nil {
			return r, wrong("%s: %v", t.name, err)
		}
	}
	if !r.From.IsZero() && !r.To.IsZero() && r.To.Before(r.From) {
		return r, wrong("to is before from")
	}
	return r, nil
}

// ReadSubscription reads a subscribe. Fields and nodes in it are in the namespace of events.
func (d *Dialect) ReadSubscription(e *stream.Element) (Subscription, error) {
	s := Subscription{}
	var err error
	if s.ID, err = d.ReadID(e); err != nil {
		return s, err
	}
	if s.Nodes, err = d.nodes(e, d.Events); err != nil {
		return s, err
	}
	for c := range e.Children() {
		if !c.Is(d.Events, d.words.field) {
			continue
		}
		cond := Condition{Known: c.Attr(d.words.value)}
		if cond.Field, err = d.fieldName(c, len(s.Conditions)); err != nil {
			return s, err
		}
		if len(cond.Known) > maxID {
			return s, wrong("%s: the known value is too long", cond.Field)
		}
		for _, t := range []struct {
			name string
			to   *float64
		}{{"by", &cond.By}, {"up", &cond.Up}, {"dn", &cond.Down}} {
			if *t.to, err = threshold(c.Attr(t.name)); err != nil {
				return s, wrong("%s: %s: %v", cond.Field, t.name, err)
			}
		}
		if slices.ContainsFunc(s.Conditions, func(other Condition) bool { return other.Field == cond.Field }) {
			return s, wrong("the field %s stands there twice", cond.Field)
		}
		s.Conditions = append(s.Conditions, cond)
	}
	if s.Categories, err = d.categories(e); err != nil {
		return s, err
	}
	s.Categories = orUsual(s.Categories)
	if s.Now, err = readBool(e.Attr("req")); err != nil {
		return s, wrong("req: %v", err)
	}
	for _, t := range []struct {
		name string
		to   *time.Duration
	}{{"minInt", &s.Min}, {"maxInt", &s.Max}} {
		if *t.to, err = readDuration(e.Attr(t.name)); err != nil {
			return s, wrong("%s: %v", t.name, err)
		}
	}
	if s.Max > 0 && s.Max < s.Min {
		return s, wrong("maxInt is less than minInt")
	}
	return s, nil
}

// ReadControl reads a set: one form or parameters, not both.
func (d *Dialect) ReadControl(e *stream.Element) (Control, error) {
	c := Control{}
	var err error
	if c.Nodes, err = d.nodes(e, d.Control); err != nil {
		return c, err
	}
	for p := range e.Children() {
		switch {
		case p.Is("jabber:x:data", "x"):
			if c.Form != nil {
				return c, wrong("one form is enough")
			}
			c.Form = p
		case p.Space != d.Control || p.Name == d.words.node:
		default:
			read, known := d.words.params[p.Name]
			if !known {
				return c, wrong("there is no type %s", cut(p.Name))
			}
			name := p.Attr(d.words.name)
			switch {
			case name == "" || len(name) > maxID:
				return c, wrong("a parameter has a name")
			case len(c.Params) >= maxParams:
				return c, wrong("more than %d parameters", maxParams)
			case slices.ContainsFunc(c.Params, func(other Param) bool { return other.Name == name }):
				return c, &SyntaxError{Param: name, Text: "it stands there twice"}
			}
			param := Param{Name: name, Kind: read.kind}
			if param.Value, err = read.parse(p.Attr(d.words.value)); err != nil {
				return c, &SyntaxError{Param: name, Text: err.Error()}
			}
			c.Params = append(c.Params, param)
		}
	}
	if c.Form != nil && len(c.Params) > 0 {
		return c, wrong("a form or parameters, not both")
	}
	if c.Form == nil && len(c.Params) == 0 {
		return c, wrong("there is nothing to set")
	}
	return c, nil
}

// ReadNodes are the nodes of a getForm.
func (d *Dialect) ReadNodes(e *stream.Element) ([]string, error) { return d.nodes(e, d.Control) }

// ReadID is the id of a request, a subscription, a cancel or an unsubscribe.
func (d *Dialect) ReadID(e *stream.Element) (string, error) {
	id := e.Attr(d.words.id)
	if id == "" || len(id) > maxID {
		return "", wrong("a request has an attribute %s of at most %d bytes", d.words.id, maxID)
	}
	return id, nil
}

func (d *Dialect) nodes(e *stream.Element, space string) ([]string, error) {
	var out []string
	for c := range e.Children() {
		if !c.Is(space, d.words.node) {
			continue
		}
		id := c.Attr(d.words.nodeID)
		switch {
		case id == "" || len(id) > maxID:
			return nil, wrong("a node has an id")
		case len(out) >= maxNodes:
			return nil, wrong("more than %d nodes", maxNodes)
		}
		out = append(out, id)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func (d *Dialect) fieldName(f *stream.Element, before int) (string, error) {
	name := f.Attr(d.words.name)
	switch {
	case name == "" || len(name) > maxID:
		return "", wrong("a field has a name")
	case before >= maxFields:
		return "", wrong("more than %d fields", maxFields)
	}
	return name, nil
}

// readPeriods reads which historical fields are asked for; where that is not said, it is the readings as they were kept.
func (d *Dialect) readPeriods(e *stream.Element, r *Request) error {
	for i, names := range d.words.periods {
		for _, name := range names {
			on, err := readBool(e.Attr(name))
			if err != nil {
				return wrong("%s: %v", name, err)
			}
			if on {
				r.Categories |= Historical
				r.Periods |= 1 << i
			}
		}
	}
	if r.Categories&Historical != 0 && r.Periods == 0 {
		r.Periods = Readings
	}
	r.Categories = orUsual(r.Categories)
	return nil
}

// orUsual is what is asked for where nothing is named: all that does not come from a history.
func orUsual(c Category) Category {
	if c == 0 {
		return All &^ Stored
	}
	return c
}

// categories reads which are asked for.
func (d *Dialect) categories(e *stream.Element) (Category, error) {
	var out Category
	read := func(name string, c Category) error {
		on, err := readBool(e.Attr(name))
		if err != nil {
			return wrong("%s: %v", name, err)
		}
		if on {
			out |= c
		}
		return nil
	}
	for i, names := range d.words.categories {
		for _, name := range names {
			if err := read(name, 1<<i); err != nil {
				return 0, err
			}
		}
	}
	if err := read("all", All); err != nil {
		return 0, err
	}
	return out, nil
}

// A literal is a type of parameters.
type literal struct {
	kind  ParamKind
	parse func(string) (devices.Value, error)
}

var (
	booleanLiteral = literal{BoolParam, func(s string) (devices.Value, error) {
		on, err := readBool(s)
		if s == "" {
			err = errNoBool
		}
		return devices.Bool(on), err
	}}
	intLiteral    = literal{NumberParam, integer(32)}
	longLiteral   = literal{NumberParam, integer(64)}
	doubleLiteral = literal{NumberParam, func(s string) (devices.Value, error) {
		f, err := readNumber(s)
		return devices.Number(f), err
	}}
	textLiteral  = literal{TextParam, func(s string) (devices.Value, error) { return devices.Text(s), nil }}
	otherLiteral = literal{OtherParam, func(s string) (devices.Value, error) { return devices.Text(s), nil }}
)

func integer(bits int) func(string) (devices.Value, error) {
	return func(s string) (devices.Value, error) {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, bits)
		if err != nil {
			return devices.Value{}, fmt.Errorf("%q is no integer of %d bits", cut(s), bits)
		}
		return devices.Number(float64(n)), nil
	}
}

// threshold reads how far a value has to go; 0 is what is not there. A threshold of nothing is any change, which is the
// same.
func threshold(s string) (float64, error) {
	if s == "" {
		return 0, nil
	}
	f, err := readNumber(s)
	if err == nil && f < 0 {
		err = fmt.Errorf("%s is negative", cut(s))
	}
	return f, err
}

// readNumber reads a finite xs:double.
func readNumber(s string) (float64, error) {
	trimmed := strings.TrimSpace(s)
	f, err := strconv.ParseFloat(trimmed, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(trimmed, "xXpP_") {
		return 0, fmt.Errorf("%q is no number", cut(s))
	}
	return f, nil
}

var errNoBool = fmt.Errorf("it is neither true nor false")

// readBool reads an xs:boolean; what is not there is false.
func readBool(s string) (bool, error) {
	switch strings.TrimSpace(s) {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	}
	return false, errNoBool
}

// readTime reads an xs:dateTime; one without a zone is in UTC, and one that is not there is the zero time.
func readTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-09-22T15:22:33Z", cut(s))
}

// cut keeps of what somebody sent what a line of a log or an error can show.
func cut(s string) string {
	const enough = 40
	if len(s) > enough {
		return strings.ToValidUTF8(s[:enough], "") + "…"
	}
	return s
}
