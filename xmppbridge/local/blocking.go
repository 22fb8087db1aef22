package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsBlocking       = "urn:xmpp:blocking"
	nsBlockingErrors = "urn:xmpp:blocking:errors"
)

// ErrBlocked is what Send answers when the person has blocked whom the stanza is from: it goes nowhere, now and later. Presence
// is dropped without it.
var ErrBlocked = errors.New("the sender is blocked")

// A Blocklist remembers whom people do not want to hear of.
type Blocklist interface {
	// Blocked returns the addresses that an account blocks.
	Blocked(ctx context.Context, account string) ([]string, error)
	// SetBlocked adds addresses and takes others out, all or none of it.
	SetBlocked(ctx context.Context, account string, add, remove []string) error
}

// blocks reports whether the account blocks an address, bare or full: it, or what it belongs to (XEP-0191 §3.6).
func (a *account) blocks(address string) bool {
	if len(a.blocked) == 0 {
		return false
	}
	has := func(s string) bool { _, ok := a.blocked[s]; return ok }
	bare, resource, full := strings.Cut(address, "/")
	domain := bare[strings.IndexByte(bare, '@')+1:]
	return has(bare) || has(domain) || full && (has(address) || has(domain+"/"+resource))
}

// blockedError is the answer to what a person sends to whom they block (XEP-0191 §3.4).
func blockedError() *stream.StanzaError {
	return &stream.StanzaError{Type: stream.TypeCancel, Condition: stream.NotAcceptable, Text: "you have blocked this address",
		App: []*stream.Element{stream.New(nsBlockingErrors, "blocked")}}
}

// severed refuses a stanza to an address that the person blocks, and reports whether it did.
func (c *session) severed(st *stream.Element, to jid.JID) bool {
	s := c.server
	s.mu.Lock()
	no := len(c.account.blocked) > 0 && !to.Bare().Equal(c.jid.Bare()) && c.account.blocks(to.String())
	s.mu.Unlock()
	if no {
		if reply := stream.ErrorReply(st, blockedError()); reply != nil {
			c.send(reply)
		}
	}
	return no
}

// blocklist answers with the list (XEP-0191 §3.2). Whoever asked hears of changes.
func (c *session) blocklist(_ context.Context, iq, _ *stream.Element) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	c.blocklisted = true
	c.result(iq, blockElement("blocklist", slices.Sorted(maps.Keys(c.account.blocked))))
}

func blockElement(name string, addresses []string) *stream.Element {
	e := stream.New(nsBlocking, name)
	for _, address := range addresses {
		e.Add(stream.New(nsBlocking, "item", "jid", address))
	}
	return e
}

// block takes <block/> and <unblock/>: all of it or, with an error, nothing.
func (c *session) block(ctx context.Context, iq, ask *stream.Element) {
	addresses, err := c.blockItems(ask)
	if err == nil {
		err = c.changeBlocked(ctx, ask.Name, addresses)
	}
	var refused *stream.StanzaError
	switch {
	case errors.As(err, &refused):
		c.send(stream.ErrorReply(iq, refused))
	case err != nil:
		c.server.log.Error("cannot keep whom a person blocks", "account", c.account.name, "err", err)
		c.refuse(iq, stream.InternalServerError)
	default:
		c.result(iq)
	}
}

// blockItems reads the addresses, normalised, each once.
func (c *session) blockItems(ask *stream.Element) ([]string, error) {
	var out []string
	known := map[string]bool{}
	for e := range ask.Children() {
		if !e.Is(nsBlocking, "item") {
			return nil, stream.NewStanzaError(stream.BadRequest, "not an item")
		}
		j, err := jid.Parse(e.Attr("jid"))
		switch {
		case err != nil:
			return nil, stream.NewStanzaError(stream.JIDMalformed, "")
		case ask.Name == "block" && (j.Bare().Equal(c.jid.Bare()) || j.Localpart() == "" && j.Domainpart() == c.server.domain):
			return nil, stream.NewStanzaError(stream.NotAllowed, "you cannot do without "+j.String())
		}
		if address := j.String(); !known[address] {
			known[address] = true
			out = append(out, address)
		}
		if len(out) > c.server.limits.Blocked {
			return nil, stream.NewStanzaError(stream.ResourceConstraint, fmt.Sprintf("at most %d addresses", c.server.limits.Blocked))
		}
	}
	if len(out) == 0 && ask.Name == "block" {
		return nil, stream.NewStanzaError(stream.BadRequest, "no address")
	}
	return out, nil
}

// changeBlocked stores the change, then it is seen, then clients hear of it. Nobody in <unblock/> means everybody.
func (c *session) changeBlocked(ctx context.Context, what string, addresses []string) error {
	s, a := c.server, c.account
	a.editing.Lock()
	defer a.editing.Unlock()
	s.mu.Lock()
	list := maps.Clone(a.blocked)
	s.mu.Unlock()
	if list == nil {
		list = map[string]struct{}{}
	}
	was := len(list)
	if what == "block" {
		for _, address := range addresses {
			list[address] = struct{}{}
		}
		if len(list) > s.limits.Blocked {
			return stream.NewStanzaError(stream.ResourceConstraint, fmt.Sprintf("at most %d addresses", s.limits.Blocked))
		}
	} else {
		if len(addresses) == 0 {
			clear(list)
		}
		for _, address := range addresses {
			delete(list, address)
		}
	}
	if what == "unblock" && len(list) == was {
		return nil // none of them was
	}
	add, remove := addresses, []string(nil)
	if what == "unblock" {
		add, remove = nil, slices.Collect(maps.Keys(a.blocked)) // a.blocked is replaced with editing held only
		remove = slices.DeleteFunc(remove, func(address string) bool { _, stays := list[address]; return stays })
	}
	if err := s.store.SetBlocked(ctx, a.name, add, remove); err != nil {
		return err
	}
	for _, st := range s.reblock(a, list, append(add, remove...), blockElement(what, addresses)) {
		s.backend.Deliver(st)
	}
	return nil
}

// reblock puts another list in force: clients that asked for it are told, those who are no longer to be seen go, and
// those who are again come. It returns what the house has to be told.
func (s *Server) reblock(a *account, list map[string]struct{}, changed []string, push *stream.Element) (tell []*stream.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, was := s.sight(a), &account{blocked: a.blocked}
	a.blocked = list
	for _, c := range a.sessions {
		if c.blocklisted {
			c.send(stream.New(stream.NS, "iq", "type", "set", "id", newID(), "to", c.full).Add(push))
		}
	}
	after := s.sight(a)
	for p := range before {
		if !after[p] {
			p.to.sendAvailable(stream.New(stream.NS, "presence", "type", "unavailable", "from", p.of.full, "to", p.to.bare))
		}
	}
	for p := range after {
		if !before[p] {
			p.to.sendAvailable(withTo(p.of.presence, p.to.bare))
		}
	}
	for _, address := range changed {
		contact, _, _ := strings.Cut(address, "/")
		if !a.shows(contact) {
			continue
		}
		for _, full := range s.backend.Resources(contact) {
			if a.blocks(full) && !was.blocks(full) {
				a.sendAvailable(stream.New(stream.NS, "presence", "type", "unavailable", "from", full, "to", a.bare))
			}
		}
		if !a.blocks(contact) {
			tell = append(tell, a.probes(contact)...)
			continue
		}
		for _, c := range a.sessions {
			if c.available {
				tell = append(tell, stream.New(stream.NS, "presence", "type", "unavailable", "from", c.full, "to", contact))
			}
		}
	}
	return tell
}

// sighting is a client whose presence an account's clients see.
type sighting struct {
	of *session
	to *account
}

// sight returns who sees the account's clients, and whose clients it sees. It needs Server.mu.
func (s *Server) sight(a *account) map[sighting]bool {
	seen := map[sighting]bool{}
	for _, b := range s.accounts {
		if b == a {
			continue
		}
		for _, pair := range [][2]*account{{a, b}, {b, a}} {
			if !pair[0].sees(pair[1]) {
				continue
			}
			for _, c := range pair[1].sessions {
				if c.available && !pair[0].blocks(c.full) {
					seen[sighting{c, pair[0]}] = true
				}
			}
		}
	}
	return seen
}
