package local

import (
	"context"
	"fmt"
	"slices"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// isHouse reports whether an address at the domain is no account's: the domain's own, the hub's, a device's.
func (s *Server) isHouse(to jid.JID) bool {
	return to.Localpart() == "" || !s.backend.Account(to.Localpart())
}

// online returns the account of an address if anybody was logged in to it, else nil. It needs s.mu.
func (s *Server) online(to jid.JID) *account { return s.accounts[to.Localpart()] }

// iq routes a client's IQ, or answers it.
func (c *session) iq(ctx context.Context, st *stream.Element, to jid.JID) {
	s := c.server
	switch st.Attr("type") {
	case "get", "set":
		// RFC 6120 §8.2.3: an id, and exactly one payload.
		if st.Attr("id") == "" || !onlyChild(st) {
			c.refuse(st, stream.BadRequest)
			return
		}
	case "result", "error":
	default:
		c.refuse(st, stream.BadRequest)
		return
	}
	switch {
	case to.Domainpart() != s.domain:
		c.refuse(st, stream.RemoteServerNotFound)
	case to.Localpart() == "":
		c.toDomain(ctx, st)
	case c.severed(st, to):
	case s.isHouse(to):
		s.backend.Deliver(st)
	case to.Resourcepart() == "":
		c.toAccount(ctx, st, to)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		if a := s.online(to); a != nil && a.sessions[to.Resourcepart()] != nil && !a.blocks(c.full) {
			a.sessions[to.Resourcepart()].send(st)
		} else {
			c.refuse(st, stream.ServiceUnavailable)
		}
	}
}

// onlyChild reports whether there is one child; that a stanza was delayed (XEP-0203) is for whom it is for to judge.
func onlyChild(st *stream.Element) bool {
	n := 0
	for c := range st.Children() {
		if !c.Is("urn:xmpp:delay", "delay") {
			n++
		}
	}
	return n == 1
}

// Send gives a stanza of the house to people: from is an address of the house, to an account's bare JID or a client's full one.
// It queues and never blocks. A message to a bare JID goes to every available client whose priority is not negative (RFC 6121
// §8.5.2.1), one to a full JID that is not there likewise unless it is groupchat or headline; presence to every
// available client; an IQ to the one client it names. ErrOffline says that nobody got it, ErrNoAccount that there
// is no such account, ErrBlocked that the person does not want it. Presence from a contact that the person removed is dropped without an error, and so are subscription
// stanzas: contacts of the house are always subscribed. The element is not kept and not changed.
func (s *Server) Send(st *stream.Element) error {
	to, err := jid.Parse(st.Attr("to"))
	switch {
	case err != nil:
		return fmt.Errorf("xmpp server: send to %q: %w", st.Attr("to"), err)
	case to.Domainpart() != s.domain || to.Localpart() == "" || !s.backend.Account(to.Localpart()):
		return fmt.Errorf("xmpp server: send to %s: %w", to, ErrNoAccount)
	}
	sent := false
	switch st.Name {
	case "message":
		switch s.deliver(st, to, nil) {
		case blocked:
			return fmt.Errorf("xmpp server: send to %s: %w", to, ErrBlocked)
		case given:
			sent = true
		}
	case "presence":
		sent = s.show(st, to)
	case "iq":
		s.locked(func() {
			if a := s.online(to); a != nil && a.sessions[to.Resourcepart()] != nil {
				a.sessions[to.Resourcepart()].send(st)
				sent = true
			}
		})
	default:
		return fmt.Errorf("xmpp server: send: %q is no stanza", st.Name)
	}
	if !sent {
		return fmt.Errorf("xmpp server: send to %s: %w", to, ErrOffline)
	}
	return nil
}

// show sends presence of the house to one account or client.
func (s *Server) show(st *stream.Element, to jid.JID) bool {
	switch st.Attr("type") {
	case "", "unavailable", "error":
	default:
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.online(to)
	if a == nil {
		return false
	}
	if a.items[bare(st.Attr("from"))].Hidden || a.blocks(st.Attr("from")) {
		return true
	}
	sent := false
	for _, c := range a.sessions {
		if c.available && (to.Resourcepart() == "" || to.Resourcepart() == c.resource) {
			c.send(st)
			sent = true
		}
	}
	return sent
}

// Broadcast sends presence of the house, without a to, to every available client that has its sender in the roster, and returns
// how many those are. The stanza is written once for each account.
func (s *Server) Broadcast(st *stream.Element) int {
	contact := bare(st.Attr("from"))
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	var b []byte
	for _, a := range s.accounts {
		if !a.shows(contact) || a.blocks(st.Attr("from")) {
			continue
		}
		b = b[:0]
		for _, c := range a.sessions {
			if !c.available {
				continue
			}
			if len(b) == 0 {
				b = withTo(st, a.bare).AppendXML(b)
			}
			c.sendBytes(st, b)
			n++
		}
	}
	return n
}

// Audience returns the full JIDs of the available clients that have an address of the house in the roster and do not
// block it, sorted.
func (s *Server) Audience(contact string) []string {
	contact = bare(contact)
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, a := range s.accounts {
		if a.shows(contact) && !a.blocks(contact) {
			out = a.appendAvailable(out)
		}
	}
	slices.Sort(out)
	return out
}

// Shows reports whether an account has an address of the house in its roster, also while nobody is logged in to it: whether a
// message from there comes from somebody known. It reads the Store the first time.
func (s *Server) Shows(ctx context.Context, account, contact string) (bool, error) {
	a, err := s.load(ctx, account)
	if err != nil {
		return false, fmt.Errorf("xmpp server: roster of %s: %w", account, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return a.shows(bare(contact)), nil
}

// Resources returns the full JIDs of an account's available clients, sorted.
func (s *Server) Resources(account string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[account]
	if a == nil {
		return nil
	}
	out := a.appendAvailable(nil)
	slices.Sort(out)
	return out
}

// withTo returns a copy of a stanza for another recipient; the original may be in use elsewhere.
func withTo(st *stream.Element, to string) *stream.Element {
	c := *st
	c.Attrs = slices.Clone(st.Attrs)
	return c.SetAttr("to", to)
}

// bare is the normalised bare JID of an address, or the address itself if it is none.
func bare(address string) string {
	j, err := jid.Parse(address)
	if err != nil {
		return address
	}
	return j.Bare().String()
}
