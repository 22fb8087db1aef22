package local

import (
	"context"
	"maps"
	"slices"
	"strings"

	"tidings/xmppbridge/stream"
)

const (
	nsCaps = "http://jabber.org/protocol/caps"
	// maxNotify bounds the nodes that a client wants to hear of, maxCaps what it says of itself in one text.
	maxNotify = 256
	maxCaps   = 512
)

// interest is what a client wants to be notified of. It is guarded by Server.mu.
type interest struct {
	caps  string // what its presence says of its software (XEP-0115)
	asked string // the id of the question what that means
	nodes map[string]struct{}
}

// askInterest asks a client what it wants to be notified of when its presence says that it is other software than before. Its
// answer counts for itself alone: whether the hash in its presence is right does not matter.
func (c *session) askInterest(presence *stream.Element) {
	s := c.server
	caps := presence.Child(nsCaps, "c")
	at := caps.Attr("node") + "#" + caps.Attr("ver")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case caps == nil || len(at) > maxCaps:
		c.interest = interest{}
	case at != c.interest.caps:
		// Until it says otherwise it wants what it wanted.
		c.interest.caps, c.interest.asked = at, newID()
		c.send(stream.New(stream.NS, "iq", "type", "get", "from", s.domain, "to", c.full, "id", c.interest.asked).
			Add(stream.New(nsDiscoInfo, "query", "node", at)))
	}
}

// interestedIn takes the answer, if an IQ is that, and sends the newest items of what is wanted now and was not before.
func (c *session) interestedIn(ctx context.Context, iq *stream.Element) bool {
	s := c.server
	var added []string
	taken := false
	s.locked(func() {
		if taken = c.interest.asked != "" && iq.Attr("id") == c.interest.asked; !taken {
			return
		}
		c.interest.asked = ""
		nodes := make(map[string]struct{})
		for f := range iq.Child(nsDiscoInfo, "query").Children() {
			name, ok := strings.CutSuffix(f.Attr("var"), "+notify")
			if !ok || !f.Is(nsDiscoInfo, "feature") || len(name) > maxNodeName || len(nodes) >= maxNotify {
				continue
			}
			name = strings.Clone(name)
			nodes[name] = struct{}{}
			if _, had := c.interest.nodes[name]; !had {
				added = append(added, name)
			}
		}
		c.interest.nodes = nodes
	})
	if len(added) > 0 {
		c.sendNewest(ctx, added)
	}
	return taken
}

// wants reports whether a client is to be notified of a node. It needs Server.mu.
func (c *session) wants(name string) bool {
	_, ok := c.interest.nodes[name]
	return ok && c.available
}

// sendNewest sends a client the newest items of nodes, of its own account and of those it sees.
func (c *session) sendNewest(ctx context.Context, names []string) {
	s := c.server
	var seen []string
	s.locked(func() {
		seen = append(seen, c.account.name)
		for address := range c.account.items {
			if name, domain, ok := strings.Cut(address, "@"); ok && domain == s.domain && c.account.to(address) && s.backend.Account(name) {
				seen = append(seen, name)
			}
		}
	})
	slices.Sort(seen[1:])
	for _, name := range seen {
		owner, err := s.load(ctx, name)
		if err == nil {
			err = s.loadNodes(ctx, owner)
		}
		if err != nil {
			s.log.Debug("nodes not read", "account", name, "err", err)
			continue
		}
		s.locked(func() {
			for _, node := range names {
				n := owner.nodes[node]
				if n == nil || len(n.Items) == 0 || n.Last != lastNormal || !c.wants(node) || !s.hears(c.account, owner, n) {
					continue
				}
				item := n.Items[len(n.Items)-1]
				c.send(event(owner, c.full, stream.New(nsPubSubEvent, "items", "node", node).
					Add(stream.New(nsPubSubEvent, "item", "id", item.ID).Add(item.payload))))
			}
		})
	}
}

// hears reports whether the clients of an account may hear of a node of another. It needs Server.mu.
func (s *Server) hears(a, owner *account, n *node) bool {
	return a == owner || n.Access != accessWhitelist && a.sees(owner) && !owner.blocks(a.bare) && !a.blocks(owner.bare)
}

// event is a notification (XEP-0060 §7.1.2.1).
func event(owner *account, to string, what *stream.Element) *stream.Element {
	return stream.New(stream.NS, "message", "type", "headline", "from", owner.bare, "to", to).
		Add(stream.New(nsPubSubEvent, "event").Add(what))
}

// notify tells of an item that came or went. It needs Server.mu.
func (s *Server) notify(owner *account, name string, n *node, item *stream.Element) {
	s.tellSubscribers(owner, name, n, stream.New(nsPubSubEvent, "items", "node", name).Add(item))
}

// tellSubscribers tells those clients of a change that want to hear of a node. It needs Server.mu.
func (s *Server) tellSubscribers(owner *account, name string, n *node, what *stream.Element) {
	for _, account := range slices.Sorted(maps.Keys(s.accounts)) {
		a := s.accounts[account]
		if !s.hears(a, owner, n) {
			continue
		}
		for _, c := range a.sessions {
			if c.wants(name) {
				c.send(event(owner, c.full, what))
			}
		}
	}
}
