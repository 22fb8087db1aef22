package xmppbridge

import (
	"context"
	"errors"
	"slices"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// What programs ask, in every dialect of package iot: readouts are in iotread.go, event subscriptions in iotwatch.go and
// iotevents.go, control in iotcontrol.go. Access is that of people: a viewer reads, an operator sets.

// iotFeature answers sensor data, event subscriptions and control, each in the dialect it was asked in.
func iotFeature() feature {
	f := feature{routes: map[routeKey]handler{}}
	for _, d := range iot.Dialects() {
		f.disco = append(f.disco, d.Namespaces()...)
		f.routes[routeKey{"get", d.Data, "req"}] = answerRead(d)
		f.routes[routeKey{"get", d.Control, "getForm"}] = answerControlForm(d)
		f.routes[routeKey{"set", d.Control, "set"}] = answerControl(d)
		for _, typ := range []string{"get", "set"} { // libraries differ in which they send
			f.routes[routeKey{typ, d.Data, "cancel"}] = answerCancel(d)
			if d.Events != "" {
				f.routes[routeKey{typ, d.Events, "subscribe"}] = answerSubscribe(d)
				f.routes[routeKey{typ, d.Events, "unsubscribe"}] = answerUnsubscribe(d)
			}
		}
	}
	return f
}

// nodes are the devices a request is about: those it names by their slugs, else the one it was sent to, else every device
// its asker may see. named says that the answer has to tell which is which.
func (b *Bridge) nodes(a asker, target mapping.Target, slugs []string) (list []*mapping.Device, named bool, err error) {
	one := target.Kind == mapping.ToDevice
	if len(slugs) == 0 {
		if !one {
			return b.visible(a), true, nil
		}
		d, _, err := b.device(target.ID)
		return []*mapping.Device{d}, false, err
	}
	for _, slug := range slugs {
		id, ok := b.addresses().Lookup(slug)
		ok = ok && b.sees(a, id) && (!one || id == target.ID || b.shared(id))
		d, _, there := b.o.House.Device(id)
		if !ok || !there {
			return nil, false, stream.NewStanzaError(stream.ItemNotFound, "there is no device "+slug)
		}
		list = append(list, d)
	}
	return list, true, nil
}

// iotError is the stanza error of a refusal in a dialect, with the parameter it is about where there is one.
func iotError(d *iot.Dialect, err error) *stream.StanzaError {
	var param string
	if e := (*paramError)(nil); errors.As(err, &e) {
		param = e.param
	}
	var out stream.StanzaError
	syntax, asked := (*iot.SyntaxError)(nil), (*devices.AskedError)(nil)
	switch {
	case errors.As(err, &syntax):
		param = syntax.Param
		out = *stream.NewStanzaError(stream.BadRequest, err.Error())
	case errors.As(err, &asked) && (errors.Is(err, devices.ErrNoConfirm) || errors.Is(err, devices.ErrTimeout)):
		out = *stream.NewStanzaError(stream.RemoteServerTimeout, err.Error())
	case errors.Is(err, devices.ErrRange):
		out = *stream.NewStanzaError(stream.BadRequest, err.Error())
	case errors.Is(err, devices.ErrUnknownPoint), errors.Is(err, devices.ErrNotWritable):
		out = stream.StanzaError{Type: stream.TypeModify, Condition: stream.ItemNotFound, Text: err.Error()}
	default:
		out = *stanzaError(err) // a copy: errors such as errStranger are shared
	}
	if param != "" {
		out.App = append(slices.Clone(out.App), d.ParamError(param, out.Text))
	}
	return &out
}

// A paramError says which parameter an error is about.
type paramError struct {
	param string
	err   error
}

func (e *paramError) Error() string { return e.err.Error() }
func (e *paramError) Unwrap() error { return e.err }

// refuseData answers a request for data with an error, and with what the dialect says beside it.
func (b *Bridge) refuseData(d *iot.Dialect, r *request, id string, err error) error {
	e := iotError(d, err)
	b.send(stream.ErrorReply(r.iq, e).Add(d.Rejected(id, e.Text)))
	return errLater
}

// iotMessage begins a message to a program: kept by no server and copied to no other client (XEP-0334).
func iotMessage(from, to string, payload *stream.Element) *stream.Element {
	return stream.New(stream.NS, "message", "from", from, "to", to).
		Add(payload, stream.New(nsHints, "no-store"), stream.New(nsHints, "no-copy"))
}

// sendPatiently sends a stanza, waiting while the server is slow to take what went before.
func (b *Bridge) sendPatiently(ctx context.Context, st *stream.Element) error {
	for {
		err := b.send(st)
		if !errors.Is(err, stream.ErrFull) {
			return err
		}
		if !sleep(ctx, slowServer) {
			return ctx.Err()
		}
	}
}
