package xmppbridge

import (
	"slices"
	"strconv"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// Data forms (XEP-0004) with validation (XEP-0122).
const (
	nsForm     = "jabber:x:data"
	nsValidate = "http://jabber.org/protocol/xdata-validate"
)

// newForm begins a form of type "form" or "result".
func newForm(typ, title, instructions string) *stream.Element {
	x := stream.New(nsForm, "x", "type", typ)
	if title != "" {
		x.Add(stream.New(nsForm, "title").AddText(title))
	}
	if instructions != "" {
		x.Add(stream.New(nsForm, "instructions").AddText(instructions))
	}
	return x
}

// newField makes a field with values.
func newField(name, typ, label string, values ...string) *stream.Element {
	f := stream.New(nsForm, "field", "var", name, "type", typ, "label", label)
	for _, v := range values {
		f.Add(stream.New(nsForm, "value").AddText(v))
	}
	return f
}

// describe says what a field takes.
func describe(field *stream.Element, text string) {
	field.Add(stream.New(nsForm, "desc").AddText(text))
}

// maxListed bounds the values that a list field offers.
const maxListed = 1000

// addOption offers one value of a list field, unless it offers very many already.
func addOption(field *stream.Element, label, value string) {
	if len(field.Nodes) >= maxListed {
		return
	}
	field.Add(stream.New(nsForm, "option", "label", label).Add(stream.New(nsForm, "value").AddText(value)))
}

// validateNumber asks for a decimal, in a range where there is one (XEP-0122 §3.2).
func validateNumber(field *stream.Element, limits mapping.Span) {
	v := stream.New(nsValidate, "validate", "datatype", "xs:decimal")
	if !limits.Set() {
		v.Add(stream.New(nsValidate, "basic"))
	} else {
		v.Add(stream.New(nsValidate, "range",
			"min", strconv.FormatFloat(limits.Low, 'f', -1, 64), "max", strconv.FormatFloat(limits.High, 'f', -1, 64)))
	}
	field.Add(v)
}

// required marks a field as such.
func required(field *stream.Element) *stream.Element {
	return field.Add(stream.New(nsForm, "required"))
}

// A table is a form of type result with columns and rows (XEP-0004 §3.4).
type table struct {
	title   string
	columns []string // labels; the field names are c1, c2, …
	rows    [][]string
}

func (t table) element() *stream.Element {
	x := newForm("result", t.title, "")
	name := func(i int) string { return "c" + strconv.Itoa(i+1) }
	reported := stream.New(nsForm, "reported")
	for i, label := range t.columns {
		reported.Add(newField(name(i), "text-single", label))
	}
	x.Add(reported)
	for _, row := range t.rows {
		item := stream.New(nsForm, "item")
		for i, cell := range row {
			item.Add(stream.New(nsForm, "field", "var", name(i)).Add(stream.New(nsForm, "value").AddText(cell)))
		}
		x.Add(item)
	}
	return x
}

// submitted reads a form of type submit: each field's values. ok is false for what is no such form: a field without a
// name, an element where a form was expected, a form of another type.
func submitted(x *stream.Element) (values map[string][]string, ok bool) {
	if !x.Is(nsForm, "x") || x.Attr("type") != "submit" {
		return nil, false
	}
	values = map[string][]string{}
	for f := range x.Children() {
		if !f.Is(nsForm, "field") {
			continue
		}
		name := f.Attr("var")
		if name == "" {
			return nil, false
		}
		if _, twice := values[name]; twice {
			return nil, false
		}
		list := []string{}
		for v := range f.Children() {
			if v.Is(nsForm, "value") {
				list = append(list, v.Content())
			}
		}
		values[name] = list
	}
	return values, true
}

// formBool reads a boolean field (XEP-0004 §3.3): absent and empty are false.
func formBool(values []string) (value, ok bool) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return false, true
	}
	if len(values) > 1 || !slices.Contains([]string{"1", "true", "0", "false"}, values[0]) {
		return false, false
	}
	return values[0] == "1" || values[0] == "true", true
}
