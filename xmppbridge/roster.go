package xmppbridge

import (
	"slices"

	"tidings/xmppbridge/stream"
)

const (
	nsRoster = "jabber:iq:roster"
	// rosterID is the id of the one request for it. Whoever answers is known by where the answer comes from.
	rosterID = "tidings-roster"
)

// An account's server keeps its subscriptions (RFC 6121 §2). The hub asks for them whenever its stream comes up, and
// is told of changes from then on: only so is it known whom a reload has taken their access.

// askRoster asks the account's server for the roster.
func (b *Bridge) askRoster(hub string) {
	b.send(stream.New(stream.NS, "iq", "type", "get", "id", rosterID, "from", hub).Add(stream.New(nsRoster, "query")))
}

// deliverRoster takes the roster or a change of it, and reports whether iq was one. It can only come from the server, in
// the account's name or in none.
func (b *Bridge) deliverRoster(iq *stream.Element) bool {
	query := iq.Child(nsRoster, "query")
	hub, full := b.addresses().Hub()
	from := iq.Attr("from")
	if b.o.Audience != Broadcast || query == nil || from != "" && from != hub && from != full {
		return false
	}
	var list []Subscription
	for item := range query.Children() {
		subscription := item.Attr("subscription")
		list = append(list, Subscription{
			Target: hub, Watcher: person(item.Attr("jid")), Asked: item.Attr("ask") == "subscribe",
			From: subscription == "from" || subscription == "both", To: subscription == "to" || subscription == "both",
		})
	}
	switch {
	case iq.Attr("type") == "result" && iq.Attr("id") == rosterID:
		b.roster.replace(slices.DeleteFunc(list, func(s Subscription) bool { return !s.From && !s.To && !s.Asked }))
		b.rosterKnown.Store(true)
	case iq.Attr("type") == "set":
		b.send(stream.Result(iq))
		for _, sub := range list {
			b.roster.put(sub)
		}
	default:
		return true
	}
	b.revokeLost()
	b.publisher.again() // whom a node is for may be among them
	return true
}
