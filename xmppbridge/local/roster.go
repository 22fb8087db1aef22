package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const nsRoster = "jabber:iq:roster"

// roster answers a roster get or set (RFC 6121 §2).
func (c *session) roster(ctx context.Context, iq *stream.Element, query *stream.Element) {
	if iq.Attr("type") == "get" {
		c.rosterGet(iq, query)
		return
	}
	err := c.rosterSet(ctx, query)
	var refused *stream.StanzaError
	switch {
	case err == nil:
		c.result(iq)
	case errors.As(err, &refused):
		c.send(stream.ErrorReply(iq, refused))
	default:
		c.refuse(iq, stream.InternalServerError)
	}
}

// rosterGet answers with the roster, or with nothing when the client's version is the present one (RFC 6121 §2.6): a version
// is the hash of what the roster holds, so that none has to be kept.
func (c *session) rosterGet(iq, query *stream.Element) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	c.interested = true
	c.versioned = slices.ContainsFunc(query.Attrs, func(a stream.Attr) bool { return a.Name == "ver" && a.Space == "" })
	all := c.account.entries()
	answer := stream.New(nsRoster, "query")
	if c.versioned {
		v := version(all)
		if query.Attr("ver") == v {
			c.result(iq)
			return
		}
		answer.SetAttr("ver", v)
	}
	for _, e := range all {
		answer.Add(e.element())
	}
	c.result(iq, answer)
}

func version(entries []entry) string {
	h := sha256.New()
	var b []byte
	for _, e := range entries {
		b = e.element().AppendXML(b[:0])
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// push tells interested clients of an item that differs from what it was. It needs Server.mu.
func (a *account) push(jid string, was entry, had bool) {
	now, has := a.entry(jid)
	if had == has && now.equal(was) {
		return
	}
	item := now.element()
	if !has {
		item = stream.New(nsRoster, "item", "jid", jid, "subscription", "remove")
	}
	ver := ""
	for _, c := range a.sessions {
		if !c.interested {
			continue
		}
		query := stream.New(nsRoster, "query").Add(item)
		if c.versioned {
			if ver == "" {
				ver = version(a.entries())
			}
			query.SetAttr("ver", ver)
		}
		c.send(stream.New(stream.NS, "iq", "type", "set", "id", newID(), "to", c.full).Add(query))
	}
}

// rosterSet adds, renames, regroups or removes one contact.
func (c *session) rosterSet(ctx context.Context, query *stream.Element) error {
	s, a := c.server, c.account
	item := query.First()
	if !item.Is(nsRoster, "item") || !onlyChild(query) {
		return stream.NewStanzaError(stream.BadRequest, "one item at a time")
	}
	contact, err := jid.Parse(item.Attr("jid"))
	if err != nil {
		return stream.NewStanzaError(stream.JIDMalformed, "")
	}
	contact = contact.Bare()
	if contact.String() == a.bare {
		return stream.NewStanzaError(stream.NotAllowed, "this is your own address")
	}
	if item.Attr("subscription") == "remove" {
		return c.rosterRemove(ctx, contact)
	}
	name := item.Attr("name")
	groups, err := s.groups(item)
	switch {
	case err != nil:
		return err
	case len(name) > s.limits.NameSize:
		return stream.NewStanzaError(stream.NotAcceptable, "the name is too long")
	}
	was, err := s.change(ctx, a, contact.String(), func(i *Item) error {
		s.mu.Lock()
		given, house := a.house[i.JID]
		s.mu.Unlock()
		if !house {
			i.Listed, i.Hidden = true, false
			i.Name, i.Groups = name, groups
			return nil
		}
		// An empty name is what clients send that were given none; and one that adds a removed contact says
		// nothing about its groups.
		i.Renamed = name != "" && name != given.Name
		i.Name = ""
		if i.Renamed {
			i.Name = name
		}
		i.Regrouped = !equalSets(groups, given.Groups) && !(i.Hidden && len(groups) == 0)
		i.Groups = nil
		if i.Regrouped {
			i.Groups = groups
		}
		i.Hidden = false
		return nil
	})
	if err == nil && was.Hidden {
		c.reappear(contact.String())
	}
	return err
}

// groups reads the groups of an item, in order, within the limits.
func (s *Server) groups(item *stream.Element) ([]string, error) {
	var groups []string
	for g := range item.Children() {
		if !g.Is(nsRoster, "group") {
			continue
		}
		name := g.Content()
		switch {
		case name == "" || len(name) > s.limits.NameSize:
			return nil, stream.NewStanzaError(stream.NotAcceptable, "not a name for a group")
		case slices.Contains(groups, name):
			return nil, stream.NewStanzaError(stream.BadRequest, "the same group twice")
		case len(groups) == s.limits.Groups:
			return nil, stream.NewStanzaError(stream.NotAcceptable, "too many groups")
		}
		groups = append(groups, name)
	}
	slices.SortFunc(groups, strings.Compare)
	return groups, nil
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// rosterRemove takes a contact out: one of the house is hidden until it is added again, a person's subscriptions end both
// ways (RFC 6121 §2.5.2).
func (c *session) rosterRemove(ctx context.Context, contact jid.JID) error {
	s, a := c.server, c.account
	house := false
	was, err := s.change(ctx, a, contact.String(), func(i *Item) error {
		s.mu.Lock()
		_, house = a.house[i.JID]
		_, shown := a.entry(i.JID)
		s.mu.Unlock()
		// Clients unsubscribe before they remove, and that alone takes a contact of the house out.
		if !shown && !house {
			return stream.NewStanzaError(stream.ItemNotFound, "")
		}
		*i = Item{JID: i.JID, Hidden: house}
		return nil
	})
	if err != nil {
		return err
	}
	if house {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.vanish(a, contact.String())
		return nil
	}
	if was.To || was.Ask {
		c.tell(ctx, contact, "unsubscribe")
	}
	if was.From || was.Pending {
		c.tell(ctx, contact, "unsubscribed")
		c.hide(contact)
	}
	return nil
}
