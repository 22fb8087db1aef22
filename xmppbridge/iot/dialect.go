package iot

import (
	"cmp"
	"time"

	"tidings/xmppbridge/stream"
)

// A Dialect is one way to say it.
type Dialect struct {
	// Data, Events and Control are the namespaces of sensor data, event subscriptions and control. Events is empty where
	// the dialect has none.
	Data, Events, Control string
	// ByMessage says that values are never in the answer itself: that is Accepted, and they come by message.
	ByMessage bool
	words     *vocabulary
}

// A vocabulary is the words of a dialect: names of elements and attributes.
type vocabulary struct {
	id, node, nodeID, field, name       string
	values, time, value                 string
	unit, enumType, automatic, writable string
	categories                          [categories][]string // attributes, the first for writing
	periods                             [periods][]string    // likewise, of historical fields; empty where there is no word for it
	fields                              [4]string            // by FieldKind
	params                              map[string]literal
	paramError                          string // the attribute that names the parameter
}

// Dialects are all there are.
func Dialects() []*Dialect { return []*Dialect{ieee, nf, nfi, xep} }

// Of finds the dialect of a namespace.
func Of(space string) (*Dialect, bool) {
	for _, d := range []*Dialect{ieee, nf, nfi, xep} {
		if space != "" && (space == d.Data || space == d.Control || space == d.Events) {
			return d, true
		}
	}
	return nil, false
}

// Namespaces are those of a dialect, for service discovery.
func (d *Dialect) Namespaces() []string {
	if d.Events == "" {
		return []string{d.Data, d.Control}
	}
	return []string{d.Data, d.Control, d.Events}
}

// xmlTime is how a time is written: xs:dateTime in UTC, to the millisecond.
const xmlTime = "2006-01-02T15:04:05.000Z"

// Values says what devices have to say. more: that is not all.
func (d *Dialect) Values(id string, blocks []Block, more bool) *stream.Element {
	w := d.words
	out := stream.New(d.Data, w.values, w.id, id)
	switch {
	case more && !d.ByMessage:
		out.SetAttr("more", "true")
	case !more && d.ByMessage:
		out.SetAttr("done", "true")
	}
	for _, b := range blocks {
		at := out
		if b.Device != "" {
			at = stream.New(d.Data, w.node, w.nodeID, b.Device)
			out.Add(at)
		}
		d.addFields(at, b.Fields)
	}
	return out
}

// addFields groups fields by time, those with the same time that follow each other.
func (d *Dialect) addFields(out *stream.Element, fields []Field) {
	w := d.words
	var group *stream.Element
	var of string
	for i := range fields {
		f := &fields[i]
		if at := f.At.UTC().Format(xmlTime); group == nil || at != of {
			group, of = stream.New(d.Data, w.time, w.value, at), at
			out.Add(group)
		}
		e := stream.New(d.Data, w.fields[f.Kind], w.name, f.Name)
		// An empty text is a value, too: SetAttr would leave it out.
		e.Attrs = append(e.Attrs, stream.Attr{Name: w.value, Value: f.Value})
		e.SetAttr(w.unit, f.Unit)
		e.SetAttr(w.enumType, f.Type)
		for i, names := range w.categories {
			if f.Categories&(1<<i) != 0 && len(names) > 0 {
				e.SetAttr(names[0], "true")
			}
		}
		for i, names := range w.periods {
			if f.Categories&Historical != 0 && cmp.Or(f.Periods, Readings)&(1<<i) != 0 && len(names) > 0 {
				e.SetAttr(names[0], "true")
			}
		}
		if f.Automatic {
			e.SetAttr(w.automatic, "true")
		}
		if f.Writable {
			e.SetAttr(w.writable, "true")
		}
		group.Add(e)
	}
}

// Accepted says that a request or subscription is taken on. queued: it has to wait.
func (d *Dialect) Accepted(id string, queued bool) *stream.Element {
	e := stream.New(d.Data, "accepted", d.words.id, id)
	if queued {
		e.SetAttr("queued", "true")
	}
	return e
}

// Started says that a request that had to wait, or takes long, is being worked on.
func (d *Dialect) Started(id string) *stream.Element {
	return stream.New(d.Data, "started", d.words.id, id)
}

// Done says that there is nothing more to come.
func (d *Dialect) Done(id string) *stream.Element {
	if d.ByMessage {
		return d.Values(id, nil, false)
	}
	return stream.New(d.Data, "done", d.words.id, id)
}

// Cancelled answers a cancel; nil, an empty result, where the dialect has no word for it.
func (d *Dialect) Cancelled(id string) *stream.Element {
	if d.ByMessage {
		return stream.New(d.Data, "cancelled", d.words.id, id)
	}
	return nil
}

// Failure says by message that a device could not be read, and that nothing more comes; nil where the dialect has no
// word for it.
func (d *Dialect) Failure(id, device, text string, at time.Time) *stream.Element {
	if !d.ByMessage {
		return nil
	}
	w := d.words
	return stream.New(d.Data, "failure", w.id, id, "done", "true").Add(
		stream.New(d.Data, "error", w.nodeID, device, "timestamp", at.UTC().Format(xmlTime)).AddText(text))
}

// Rejected stands beside the error of a request for data; nil where the error is enough.
func (d *Dialect) Rejected(id, text string) *stream.Element {
	if !d.ByMessage {
		return nil
	}
	return stream.New(d.Data, "rejected", d.words.id, id).Add(stream.New(d.Data, "error").AddText(text))
}

// A Written is what was set: parameters by name, of devices by node, which are left out where they go without saying.
type Written struct{ Nodes, Params []string }

// Set says that parameters have been set.
func (d *Dialect) Set(done Written) *stream.Element {
	if d.ByMessage {
		return stream.New(d.Control, "setResponse", "responseCode", "OK")
	}
	out := stream.New(d.Control, "resp")
	for _, n := range done.Nodes {
		out.Add(stream.New(d.Control, "nd", "id", n))
	}
	for _, p := range done.Params {
		out.Add(stream.New(d.Control, "p", "n", p))
	}
	return out
}

// codes are the response codes of XEP-0325 by the condition of the error; others are OtherError.
var codes = map[string]string{
	stream.ItemNotFound:          "NotFound",
	stream.Forbidden:             "InsufficientPrivileges",
	stream.ResourceConstraint:    "Locked",
	stream.FeatureNotImplemented: "NotImplemented",
}

// NotSet stands beside the error of a control; nil where the error is enough. form: a form was submitted.
func (d *Dialect) NotSet(e *stream.StanzaError, param string, form bool) *stream.Element {
	if !d.ByMessage {
		return nil
	}
	code, ok := codes[e.Condition]
	switch {
	case !ok && form && e.Condition == stream.BadRequest:
		code = "FormError"
	case !ok:
		code = "OtherError"
	}
	out := stream.New(d.Control, "setResponse", "responseCode", code)
	if param != "" {
		out.Add(stream.New(d.Control, "parameter", "name", param))
	}
	return out.Add(stream.New(d.Control, "error", "var", param).AddText(e.Text))
}

// ParamError is the application's condition that names the parameter an error is about.
func (d *Dialect) ParamError(param, text string) *stream.Element {
	return stream.New(d.Control, "paramError", d.words.paramError, param).AddText(text)
}
