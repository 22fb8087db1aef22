package local

import (
	"context"
	"errors"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// subscription takes a stanza that manages a presence subscription (RFC 6121 §3, Appendix A). Both ends are here, so
// each changes first the sender's state and then the contact's. A crash between the two leaves one side open, which asking again
// mends.
func (c *session) subscription(ctx context.Context, st *stream.Element, contact jid.JID) {
	s, a := c.server, c.account
	switch {
	case contact.Domainpart() != s.domain:
		c.refuse(st, stream.RemoteServerNotFound)
		return
	case contact.Equal(c.jid.Bare()):
		return // one always sees oneself
	}
	if st.Attr("type") == "subscribe" && c.severed(st, contact) {
		return
	}
	st.SetAttr("from", a.bare).SetAttr("to", contact.String())
	var err error
	switch typ := st.Attr("type"); {
	case s.isHouse(contact):
		err = c.subscribeHouse(ctx, typ, contact)
	case typ == "subscribe":
		err = c.subscribe(ctx, st, contact)
	case typ == "subscribed":
		err = c.approve(ctx, st, contact)
	case typ == "unsubscribe":
		_, err = s.change(ctx, a, contact.String(), func(i *Item) error { i.To, i.Ask = false, false; return nil })
		c.tell(ctx, contact, typ)
	case typ == "unsubscribed":
		_, err = s.change(ctx, a, contact.String(), func(i *Item) error { i.From, i.Pending = false, false; return nil })
		c.tell(ctx, contact, typ)
		c.hide(contact)
	}
	var refused *stream.StanzaError
	if errors.As(err, &refused) {
		c.send(stream.ErrorReply(st, refused))
	}
}

// subscribeHouse answers for the house, whose contacts are subscribed both ways or not at all.
func (c *session) subscribeHouse(ctx context.Context, typ string, contact jid.JID) error {
	s, a := c.server, c.account
	address := contact.String()
	s.mu.Lock()
	_, given := a.house[address]
	shown := a.shows(address)
	s.mu.Unlock()
	answer := stream.New(stream.NS, "presence", "type", "subscribed", "from", address, "to", a.bare)
	switch {
	case typ == "subscribe" && given:
		_, err := s.change(ctx, a, address, func(i *Item) error { i.Hidden = false; return nil })
		if err != nil {
			return err
		}
		c.send(answer)
		c.reappear(address)
	case typ == "subscribe":
		c.send(answer.SetAttr("type", "unsubscribed"))
	case typ == "unsubscribe" && shown:
		return c.rosterRemove(ctx, contact)
	}
	return nil
}

// subscribe asks another person to see their presence.
func (c *session) subscribe(ctx context.Context, st *stream.Element, contact jid.JID) error {
	s, a := c.server, c.account
	s.mu.Lock()
	_, given := a.house[contact.String()]
	s.mu.Unlock()
	if given {
		return c.subscribeHouse(ctx, "subscribe", contact)
	}
	b, err := s.load(ctx, contact.Localpart())
	if err != nil {
		return stream.NewStanzaError(stream.InternalServerError, "")
	}
	_, err = s.change(ctx, a, b.bare, func(i *Item) error {
		i.Listed = true
		i.Ask = !i.To
		return nil
	})
	if err != nil {
		return err
	}
	unwanted := false
	s.locked(func() { unwanted = b.blocks(a.bare) })
	if unwanted { // and is not to know it
		return nil
	}
	agreed := false
	_, err = s.change(ctx, b, a.bare, func(i *Item) error {
		agreed = i.From
		i.Pending = !i.From
		return nil
	})
	if err != nil {
		return err
	}
	if agreed { // the contact's side says yes already: a crash between two changes, or asked twice
		return s.grant(ctx, a, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.sendAvailable(st)
	return nil
}

// approve lets another person who asked see this account's presence.
func (c *session) approve(ctx context.Context, _ *stream.Element, contact jid.JID) error {
	s, a := c.server, c.account
	was, err := s.change(ctx, a, contact.String(), func(i *Item) error {
		if i.Pending {
			i.Pending, i.From, i.Listed = false, true, true
		}
		return nil
	})
	if err != nil || !was.Pending { // approval in advance (RFC 6121 §3.4) is not offered
		return err
	}
	b, err := s.load(ctx, contact.Localpart())
	if err != nil {
		return stream.NewStanzaError(stream.InternalServerError, "")
	}
	return s.grant(ctx, b, a)
}

// grant makes the one who asked see the contact: the answer, then the presence.
func (s *Server) grant(ctx context.Context, asked, contact *account) error {
	was, err := s.change(ctx, asked, contact.bare, func(i *Item) error {
		if i.Ask {
			i.To, i.Ask = true, false
		}
		return nil
	})
	if err != nil || !was.Ask {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	asked.sendAvailable(stream.New(stream.NS, "presence", "type", "subscribed", "from", contact.bare, "to", asked.bare))
	for _, c := range contact.sessions {
		if c.available {
			asked.sendAvailable(withTo(c.presence, asked.bare))
		}
	}
	return nil
}

// tell carries an unsubscribe or unsubscribed to the other person.
func (c *session) tell(ctx context.Context, contact jid.JID, typ string) {
	s, a := c.server, c.account
	if contact.Domainpart() != s.domain || s.isHouse(contact) {
		return
	}
	b, err := s.load(ctx, contact.Localpart())
	if err != nil {
		return
	}
	told := false
	_, err = s.change(ctx, b, a.bare, func(i *Item) error {
		if typ == "unsubscribe" {
			told = i.From || i.Pending
			i.From, i.Pending = false, false
		} else {
			told = i.To || i.Ask
			i.To, i.Ask = false, false
		}
		return nil
	})
	if err != nil || !told {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.blocks(a.bare) {
		return
	}
	b.sendAvailable(stream.New(stream.NS, "presence", "type", typ, "from", a.bare, "to", b.bare))
	if typ == "unsubscribe" { // a no longer sees b
		hide(b, a)
	}
}

// hide makes this account unavailable to a person who may no longer see it.
func (c *session) hide(contact jid.JID) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.online(contact); b != nil {
		hide(c.account, b)
	}
}

// hide makes the clients of one account unavailable to those of another, unless they still see them. It needs Server.mu.
func hide(hidden, from *account) {
	if from.sees(hidden) {
		return
	}
	for _, c := range hidden.sessions {
		if c.available {
			from.sendAvailable(stream.New(stream.NS, "presence", "type", "unavailable", "from", c.full, "to", from.bare))
		}
	}
}
