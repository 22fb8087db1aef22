package xmppbridge

import (
	"errors"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// A feature is one XEP the bridge answers: what it announces and what it routes.
type feature struct {
	disco  []string // disco#info features
	routes map[routeKey]handler
}

// features lists every XEP the bridge answers, one file each. Some are the server's to answer, for some audience.
func features(o *Options) []feature {
	return []feature{discoFeature(), capsFeature(), pingFeature(), versionFeature(), timeFeature(), lastFeature(),
		commandsFeature(), chatFeature(), reactionFeature(), iotFeature(),
		vcardFeature(o.Audience), pubsubFeature(o)}
}

// A routeKey is the type and the payload of an IQ.
type routeKey struct {
	typ, space, name string
}

// A request is one IQ on its way through a handler.
type request struct {
	asker
	to     string // as the asker wrote it
	target mapping.Target
	iq     *stream.Element
	query  *stream.Element // its payload
	fresh  bool
}

// A handler answers an IQ with a payload (nil: an empty result) or an error. errLater says that the answer comes from
// a worker.
type handler func(b *Bridge, r *request) (*stream.Element, error)

var errLater = errors.New("answered later")

// deliverIQ answers requests; replies to requests of our own never come here.
func (b *Bridge) deliverIQ(iq *stream.Element, fresh bool) {
	if !stream.IsRequest(iq) {
		b.items.listeners.answered(iq)
		return
	}
	answer, err := b.answer(iq, fresh)
	b.reply(iq, answer, err)
}

// reply sends what a handler returned.
func (b *Bridge) reply(iq, answer *stream.Element, err error) {
	switch {
	case errors.Is(err, errLater):
	case err != nil:
		b.send(stream.ErrorReply(iq, stanzaError(err)))
	default:
		b.send(stream.Result(iq, answer))
	}
}

func (b *Bridge) answer(iq *stream.Element, fresh bool) (*stream.Element, error) {
	query, one := payload(iq)
	r := &request{asker: b.asker(iq), to: iq.Attr("to"), iq: iq, query: query, fresh: fresh}
	if r.role == mapping.None {
		return nil, errStranger
	}
	if !one || iq.Attr("id") == "" {
		return nil, stream.NewStanzaError(stream.BadRequest, "an iq has an id and one payload (RFC 6120 §8.2.3)")
	}
	var ok bool
	if r.target, ok = b.addresses().Resolve(r.to); !ok || !b.exists(r) {
		return nil, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	handle := b.routes[routeKey{iq.Attr("type"), r.query.Space, r.query.Name}]
	if handle == nil {
		return nil, stream.NewStanzaError(stream.ServiceUnavailable, "")
	}
	return handle(b, r)
}

// payload returns what an IQ asks, and whether it is one thing. That it was delayed is no payload: a server may say so of
// any stanza it kept (XEP-0203), and a command is refused for that reason, not for its form.
func payload(iq *stream.Element) (query *stream.Element, one bool) {
	n := 0
	for c := range iq.Children() {
		if c.Is(nsDelay, "delay") {
			continue
		}
		if n++; n == 1 {
			query = c
		}
	}
	return query, n == 1
}

// answerServer answers a request without a from: it is our account's server's (RFC 6120 §8.1.2.1), which has no role and gets
// what anyone may know who knows that the account is here.
func (b *Bridge) answerServer(iq *stream.Element) {
	if b.o.Audience != Broadcast || !stream.IsRequest(iq) {
		return
	}
	query, one := payload(iq)
	r := &request{to: iq.Attr("to"), iq: iq, query: query}
	var ok bool
	refusal := stream.NewStanzaError(stream.ServiceUnavailable, "")
	if r.target, ok = b.addresses().Resolve(r.to); !ok {
		b.send(stream.ErrorReply(iq, refusal))
		return
	}
	key := routeKey{iq.Attr("type"), "", ""}
	if r.query != nil {
		key.space, key.name = r.query.Space, r.query.Name
	}
	switch key {
	case routeKey{"get", nsPing, "ping"}, routeKey{"get", nsVersion, "query"}, routeKey{"get", nsDiscoInfo, "query"}:
		if answer, err := b.routes[key](b, r); err == nil && one {
			b.send(stream.Result(iq, answer))
			return
		}
	}
	b.send(stream.ErrorReply(iq, refusal))
}

// exists reports whether there is something for the asker at the address: what a role hides is not there.
func (b *Bridge) exists(r *request) bool {
	if r.target.Kind != mapping.ToDevice {
		return true
	}
	_, _, ok := b.o.House.Device(r.target.ID)
	return ok && b.sees(r.asker, r.target.ID)
}

// device returns the model and state of the target, which exists has found.
func (b *Bridge) device(id devices.ID) (*mapping.Device, devices.State, error) {
	d, state, ok := b.o.House.Device(id)
	if !ok {
		return nil, devices.State{}, devices.ErrUnknownDevice
	}
	return d, state, nil
}
