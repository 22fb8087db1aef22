package local

import (
	"context"
	"slices"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsPing       = "urn:xmpp:ping"
	nsDiscoInfo  = "http://jabber.org/protocol/disco#info"
	nsDiscoItems = "http://jabber.org/protocol/disco#items"
)

// Features are what the server itself does for its domain, for the disco#info of the domain, which the Backend answers together
// with its own: an identity of category "server" and type "im" belongs there, too.
func Features() []string {
	return []string{nsDiscoInfo, nsDiscoItems, nsPing, nsRoster, nsCarbons, nsBlocking, nsOffline}
}

// Info is what the server does for its domain besides Features, as its options have it: identities, features and forms for the
// disco#info of the domain.
func (s *Server) Info() (info []*stream.Element) {
	if s.archive > 0 { // each account's; there are clients that look here (Profanity)
		for _, v := range archiveFeatures {
			info = append(info, stream.New(nsDiscoInfo, "feature", "var", v))
		}
	}
	if s.uploads != nil {
		info = append(info, s.uploads.info()...)
	}
	return info
}

// toDomain takes an IQ to the domain. All but a ping and a file is the backend's, which knows what there is.
func (c *session) toDomain(ctx context.Context, iq *stream.Element) {
	if stream.IsReply(iq) && c.interestedIn(ctx, iq) {
		return
	}
	if iq.Attr("type") == "get" && iq.Child(nsPing, "ping") != nil {
		c.result(iq)
		return
	}
	if request := iq.Child(nsUpload, "request"); request != nil && iq.Attr("type") == "get" && c.server.uploads != nil {
		c.slot(iq, request)
		return
	}
	c.server.backend.Deliver(iq)
}

// query is what an IQ asks: its type, and its payload's namespace and name.
type query struct{ typ, space, name string }

// own are the questions that a person's clients may ask the account itself.
var own = map[query]func(c *session, ctx context.Context, iq, payload *stream.Element){
	{"set", nsCarbons, "enable"}:  (*session).carbons,
	{"set", nsCarbons, "disable"}: (*session).carbons,

	{"get", nsBlocking, "blocklist"}: (*session).blocklist,
	{"set", nsBlocking, "block"}:     (*session).block,
	{"set", nsBlocking, "unblock"}:   (*session).block,

	{"get", nsMAM, "query"}:    (*session).archiveForm,
	{"set", nsMAM, "query"}:    (*session).archiveQuery,
	{"get", nsMAM, "prefs"}:    (*session).archivePreferences,
	{"get", nsMAM, "metadata"}: (*session).archiveMetadata,
}

// toAccount answers an IQ to an account's bare JID in its name (RFC 6121 §8.5.2.2.3).
func (c *session) toAccount(ctx context.Context, iq *stream.Element, to jid.JID) {
	if !stream.IsRequest(iq) {
		return
	}
	payload := iq.First()
	if payload.Is(nsPubSub, "pubsub") || payload.Is(nsPubSubOwner, "pubsub") {
		c.pubsub(ctx, iq, payload, to)
		return
	}
	self := to.Equal(c.jid.Bare())
	if answer := own[query{iq.Attr("type"), payload.Space, payload.Name}]; self && answer != nil {
		answer(c, ctx, iq, payload)
		return
	}
	switch {
	case payload.Is(nsRoster, "query"):
		if !self {
			c.refuse(iq, stream.Forbidden)
			return
		}
		c.roster(ctx, iq, payload)
	case self && payload.Is(nsSession, "session") && iq.Attr("type") == "set":
		c.result(iq)
	case payload.Is(nsBind, "bind"):
		// A second resource on one stream was possible once; RFC 6120 §7 has one.
		c.refuse(iq, stream.NotAllowed)
	case iq.Attr("type") != "get":
		c.refuse(iq, stream.ServiceUnavailable)
	case self && payload.Is(nsPing, "ping"):
		c.result(iq)
	case payload.Attr("node") == "" && (payload.Is(nsDiscoInfo, "query") || payload.Is(nsDiscoItems, "query")):
		c.disco(iq, payload, to)
	default:
		c.refuse(iq, stream.ServiceUnavailable)
	}
}

// accountFeatures are what an account's bare JID does, for itself or for others.
func (s *Server) accountFeatures(self bool) []string {
	features := append([]string{nsDiscoInfo, nsDiscoItems}, pepFeatures...)
	if self && s.archive > 0 {
		features = append(features, archiveFeatures...)
	}
	return features
}

// disco describes an account to itself and to who sees its presence (XEP-0030 §8: nobody else learns that it exists).
func (c *session) disco(iq, query *stream.Element, to jid.JID) {
	s := c.server
	s.mu.Lock()
	b := s.online(to)
	allowed := b != nil && c.account.sees(b)
	var available []string
	if allowed {
		available = b.appendAvailable(nil)
	}
	s.mu.Unlock()
	if !allowed {
		c.refuse(iq, stream.ServiceUnavailable)
		return
	}
	answer := stream.New(query.Space, "query")
	if query.Space == nsDiscoInfo {
		answer.Add(stream.New(nsDiscoInfo, "identity", "category", "account", "type", "registered"),
			stream.New(nsDiscoInfo, "identity", "category", "pubsub", "type", "pep"))
		for _, f := range s.accountFeatures(to.Equal(c.jid.Bare())) {
			answer.Add(stream.New(nsDiscoInfo, "feature", "var", f))
		}
	} else {
		slices.Sort(available)
		for _, full := range available {
			answer.Add(stream.New(nsDiscoItems, "item", "jid", full))
		}
		for _, name := range c.readableNodes(b) {
			answer.Add(stream.New(nsDiscoItems, "item", "jid", b.bare, "node", name))
		}
	}
	c.result(iq, answer)
}
