package local

import (
	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// message routes a client's message (RFC 6121 §8.5), and copies it to the person's other clients.
func (c *session) message(st *stream.Element, to jid.JID) {
	s := c.server
	switch {
	case to.Domainpart() != s.domain:
		c.refuse(st, stream.RemoteServerNotFound)
	case s.isHouse(to):
		s.locked(func() { c.spoke(st) })
		s.backend.Deliver(st)
	case !s.deliver(st, to, c):
		switch st.Attr("type") {
		case "headline", "error":
		default:
			c.refuse(st, stream.ServiceUnavailable)
		}
	}
}

// spoke copies what this client said to the person's others. It needs Server.mu.
func (c *session) spoke(st *stream.Element) {
	if copied(st) {
		c.account.copyTo("sent", st, func(other *session) bool { return other == c })
		c.account.expect(st)
	}
}

// deliver gives a message to the clients of an account that RFC 6121 §8.5 says, and copies to its others; it reports whether there
// were any to get it. By is the client it comes from, nil for the house, of which what is sent to an account as a whole is counted
// for Confirm.
func (s *Server) deliver(st *stream.Element, to jid.JID, by *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.online(to)
	if a == nil {
		return false
	}
	one := a.sessions[to.Resourcepart()]
	switch st.Attr("type") {
	case "groupchat", "error":
		if one == nil {
			return false
		}
	case "headline":
		if one == nil && to.Resourcepart() != "" {
			return false
		}
	}
	gets := func(c *session) bool {
		if one != nil {
			return c == one
		}
		return c.available && c.priority >= 0
	}
	out := withoutPrivate(st)
	count := by == nil && to.Resourcepart() == ""
	var b []byte
	for _, c := range a.sessions {
		if !gets(c) {
			continue
		}
		if b == nil {
			b = out.AppendXML(nil)
		}
		c.sendBytes(out, b)
		if count {
			if a.got == nil {
				a.got = make(map[*session]int)
			}
			a.got[c]++
		}
	}
	if b == nil {
		return false
	}
	if count {
		a.sent++
	}
	if copied(st) || st.Attr("type") == "error" && a.answers(st) {
		a.copyTo("received", out, func(c *session) bool { return gets(c) || c == by })
	}
	if by != nil && by.account != a { // one's notes to oneself are copied once
		by.spoke(st)
	}
	return true
}
