package local

import (
	"context"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// message routes a client's message (RFC 6121 §8.5), and copies it to the person's other clients.
func (c *session) message(ctx context.Context, st *stream.Element, to jid.JID) {
	s := c.server
	if to.Domainpart() != s.domain {
		c.refuse(st, stream.RemoteServerNotFound)
		return
	}
	if c.severed(st, to) {
		return
	}
	s.unforged(st)
	if s.isHouse(to) {
		s.locked(func() { c.spoke(st) })
		s.backend.Deliver(st)
		return
	}
	b, err := s.load(ctx, to.Localpart())
	if err != nil {
		c.refuse(st, stream.ServiceUnavailable)
		return
	}
	switch s.deliver(st, to, c) {
	case away:
		c.undelivered(ctx, b, st)
	case blocked:
		c.refuse(st, stream.ServiceUnavailable)
	}
}

// spoke keeps what this client said and copies it to the person's others. It needs Server.mu.
func (c *session) spoke(st *stream.Element) {
	out := c.outgoing(st)
	if copied(st) {
		c.account.copyTo("sent", out, func(other *session) bool { return other == c })
		c.account.expect(st)
	}
}

// fate is what became of a message.
type fate uint8

const (
	away    fate = iota // nobody is there who would take it
	given               // somebody got it
	blocked             // nobody wants it
)

// deliver gives a message to the clients of an account that RFC 6121 §8.5 says, and copies to its others. By is the client it
// comes from, nil for the house, of which what is sent to an account as a whole is counted for Confirm.
func (s *Server) deliver(st *stream.Element, to jid.JID, by *session) fate {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.online(to)
	if a == nil {
		return away
	}
	if a.blocks(st.Attr("from")) && (by == nil || by.account != a) {
		return blocked
	}
	one := a.sessions[to.Resourcepart()]
	switch st.Attr("type") {
	case "groupchat", "error":
		if one == nil {
			return away
		}
	case "headline":
		if one == nil && to.Resourcepart() != "" {
			return away
		}
	}
	gets := func(c *session) bool {
		if one != nil {
			return c == one
		}
		return c.takes()
	}
	var out *stream.Element
	var kept *Archived
	n := 0
	count := by == nil && to.Resourcepart() == ""
	var b []byte
	for _, c := range a.sessions {
		if !gets(c) {
			continue
		}
		if b == nil {
			out, kept = s.incoming(a, st, by)
			b = out.AppendXML(nil)
		}
		c.sendBytes(out, b)
		n++
		if count {
			if a.got == nil {
				a.got = make(map[*session]int)
			}
			a.got[c]++
		}
	}
	if b == nil {
		return away
	}
	s.keep(kept)
	if count {
		a.sent++
	}
	if copied(st) || st.Attr("type") == "error" && a.answers(st) {
		n += a.copyTo("received", out, func(c *session) bool { return gets(c) || c == by })
	}
	if n > 1 && !count {
		a.share(out, n)
	}
	if by != nil && by.account != a { // one's notes to oneself are copied once
		by.spoke(st)
	}
	return given
}
