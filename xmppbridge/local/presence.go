package local

import (
	"context"
	"strconv"
	"strings"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// maxPresence bounds the presence of a client, which is kept and sent to everyone who sees it. Real ones have a few hundred bytes.
const maxPresence = 16 << 10

// presenceStanza takes a client's presence (RFC 6121 §3 and §4).
func (c *session) presenceStanza(ctx context.Context, st *stream.Element, to jid.JID) {
	directed := st.Attr("to") != ""
	switch st.Attr("type") {
	case "":
		if directed {
			c.direct(st, to)
		} else {
			c.announce(ctx, st)
		}
	case "unavailable":
		if directed {
			c.direct(st, to)
		} else {
			c.withdraw(st)
		}
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		if !directed {
			c.refuse(st, stream.BadRequest)
			return
		}
		c.subscription(ctx, st, to.Bare())
	case "probe":
		c.probe(st, to)
	case "error":
		if directed {
			c.direct(st, to)
		}
	default:
		c.refuse(st, stream.BadRequest)
	}
}

// announce takes undirected presence: the first makes the client available and tells it of everyone it sees.
func (c *session) announce(ctx context.Context, st *stream.Element) {
	priority, ok := priority(st)
	if !ok {
		c.refuse(st, stream.BadRequest)
		return
	}
	if len(st.AppendXML(nil)) > maxPresence {
		c.refuse(st, stream.PolicyViolation)
		return
	}
	s := c.server
	kept := st.Clone()
	initial, took, takes := false, false, false
	s.locked(func() {
		initial, took = !c.available, c.takes()
		c.available, c.priority, c.presence = true, priority, kept
		c.broadcast(kept)
		if initial {
			c.catchUp()
		}
		takes = c.takes()
	})
	s.backend.Available(c.full, kept, initial)
	c.askInterest(kept)
	if takes && !took {
		s.handOut(ctx, c.account)
	}
}

func priority(st *stream.Element) (int, bool) {
	p := st.Child(stream.NS, "priority")
	if p == nil {
		return 0, true
	}
	n, err := strconv.ParseInt(strings.TrimSpace(p.Content()), 10, 8)
	return int(n), err == nil
}

// broadcast sends presence of this client to everyone who sees the account, its own clients (this one, too: RFC 6121
// §4.2.2) among them. It needs Server.mu.
func (c *session) broadcast(st *stream.Element) {
	for _, b := range c.server.accounts {
		if b.sees(c.account) && !b.blocks(c.full) {
			b.sendAvailable(withTo(st, b.bare))
		}
	}
}

// sendAvailable sends a stanza to every available client. It needs Server.mu.
func (a *account) sendAvailable(st *stream.Element) {
	for _, c := range a.sessions {
		if c.available {
			c.send(st)
		}
	}
}

// catchUp tells a client that just became available of the people it sees, and of those who wait for an answer. It needs Server.mu.
func (c *session) catchUp() {
	for _, b := range c.server.accounts {
		if !c.account.sees(b) {
			continue
		}
		for _, other := range b.sessions {
			if other.available && other != c && !c.account.blocks(other.full) {
				c.send(withTo(other.presence, c.full))
			}
		}
	}
	for _, i := range c.account.items {
		if i.Pending && !c.account.blocks(i.JID) {
			c.send(stream.New(stream.NS, "presence", "type", "subscribe", "from", i.JID, "to", c.account.bare))
		}
	}
}

// withdraw makes the client unavailable: whoever saw it available is told, those it sent directed presence included.
func (c *session) withdraw(st *stream.Element) {
	s := c.server
	was := false
	var unknown []jid.JID // of the house, or of people who are not here
	s.locked(func() {
		directed := c.directed
		was = c.available
		c.available, c.presence, c.directed, c.interest = false, nil, nil, interest{}
		if was {
			c.broadcast(st)
		}
		for address, to := range directed {
			switch b := s.online(to); {
			case b == nil:
				unknown = append(unknown, to)
			case !was || !b.sees(c.account):
				b.sendTo(withTo(st, address), to)
			}
		}
	})
	if was {
		s.backend.Unavailable(c.full)
	}
	for _, to := range unknown {
		if s.isHouse(to) {
			s.backend.Deliver(withTo(st, to.String()))
		}
	}
}

// sendTo sends presence to the client that a full JID names, or to every available one. It needs Server.mu.
func (a *account) sendTo(st *stream.Element, to jid.JID) {
	if r := to.Resourcepart(); r == "" {
		a.sendAvailable(st)
	} else if c := a.sessions[r]; c != nil {
		c.send(st)
	}
}

// direct sends presence to one address (RFC 6121 §4.6), and remembers it if it will have to be told when the client goes.
func (c *session) direct(st *stream.Element, to jid.JID) {
	s := c.server
	if to.Domainpart() != s.domain {
		c.refuse(st, stream.RemoteServerNotFound)
		return
	}
	if st.Attr("type") != "unavailable" && c.severed(st, to) {
		return
	}
	house := s.isHouse(to)
	address := to.String()
	full := false
	s.locked(func() {
		switch st.Attr("type") {
		case "":
			if _, known := c.directed[address]; !known && len(c.directed) >= s.limits.Directed {
				full = true
				return
			}
			if c.directed == nil {
				c.directed = make(map[string]jid.JID)
			}
			c.directed[address] = to
		case "unavailable":
			delete(c.directed, address)
		}
		if b := s.online(to); b != nil && !house && !b.blocks(c.full) {
			b.sendTo(st, to)
		}
	})
	if full {
		c.refuse(st, stream.ResourceConstraint)
		return
	}
	if house {
		s.backend.Deliver(st)
	}
}

// probe answers a client that asks for the presence of an address; servers do this, clients seldom.
func (c *session) probe(st *stream.Element, to jid.JID) {
	s := c.server
	switch {
	case to.Domainpart() != s.domain:
		return
	case s.isHouse(to):
		s.backend.Deliver(st)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.online(to)
	if b == nil || !c.account.sees(b) {
		return
	}
	for _, other := range b.sessions {
		if other.available && !c.account.blocks(other.full) {
			c.send(withTo(other.presence, c.full))
		}
	}
}

// probes are stanzas that ask the house for the presence of one of its contacts, one from each available client. It needs Server.mu.
func (a *account) probes(contact string) []*stream.Element {
	var all []*stream.Element
	for _, c := range a.sessions {
		if c.available {
			all = append(all, stream.New(stream.NS, "presence", "type", "probe", "from", c.full, "to", contact))
		}
	}
	return all
}

// vanish makes a contact that is no longer in the roster unavailable, under each of its addresses. It needs Server.mu.
func (s *Server) vanish(a *account, contact string) {
	for _, full := range append(s.backend.Resources(contact), contact) {
		a.sendAvailable(stream.New(stream.NS, "presence", "type", "unavailable", "from", full, "to", a.bare))
	}
}

// reappear asks for the presence of a contact of the house that was added again.
func (c *session) reappear(contact string) {
	s := c.server
	s.mu.Lock()
	probes := c.account.probes(contact)
	s.mu.Unlock()
	for _, p := range probes {
		s.backend.Deliver(p)
	}
}
