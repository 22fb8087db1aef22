package local

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// Personal eventing (XEP-0163): each account keeps nodes of items, for its own clients (bookmarks, what was read) and for those who
// see its presence (avatar, nickname, keys). Who hears of a change is whoever sees the account's presence and says in its
// capabilities that it wants to (pepnotify.go); there are no other subscriptions.

const (
	nsPubSub       = "http://jabber.org/protocol/pubsub"
	nsPubSubOwner  = nsPubSub + "#owner"
	nsPubSubErrors = nsPubSub + "#errors"
	nsPubSubEvent  = nsPubSub + "#event"
)

// pepFeatures are what an account's bare JID does as a service (XEP-0060 §10).
var pepFeatures = []string{
	nsPubSub, nsPubSub + "#access-open", nsPubSub + "#access-presence", nsPubSub + "#access-whitelist", nsPubSub + "#auto-create",
	nsPubSub + "#auto-subscribe", nsPubSub + "#config-node", nsPubSub + "#config-node-max", nsPubSub + "#create-and-configure",
	nsPubSub + "#create-nodes", nsPubSub + "#delete-items", nsPubSub + "#delete-nodes", nsPubSub + "#filtered-notifications",
	nsPubSub + "#item-ids", nsPubSub + "#last-published", nsPubSub + "#multi-items", nsPubSub + "#persistent-items",
	nsPubSub + "#presence-notifications", nsPubSub + "#publish", nsPubSub + "#publish-options", nsPubSub + "#purge-nodes",
	nsPubSub + "#retract-items", nsPubSub + "#retrieve-items",
}

// pepError is a refusal with its condition of XEP-0060.
func pepError(condition, app string) *stream.StanzaError {
	e := stream.NewStanzaError(condition, "")
	if app != "" {
		e.App = []*stream.Element{stream.New(nsPubSubErrors, app)}
	}
	return e
}

// unsupported is the refusal of a part of XEP-0060 that is not here.
func unsupported(feature string) *stream.StanzaError {
	e := stream.NewStanzaError(stream.FeatureNotImplemented, "")
	e.App = []*stream.Element{stream.New(nsPubSubErrors, "unsupported", "feature", feature)}
	return e
}

// pubsub answers what a client asks an account's nodes: its own, or another's it may read.
func (c *session) pubsub(ctx context.Context, iq, payload *stream.Element, to jid.JID) {
	answer, err := c.pep(ctx, iq.Attr("type"), payload, to)
	var refused *stream.StanzaError
	switch {
	case err == nil:
		c.result(iq, answer)
	case errors.As(err, &refused):
		c.send(stream.ErrorReply(iq, refused))
	default:
		c.server.log.Error("nodes not kept", "account", to.Localpart(), "err", err)
		c.refuse(iq, stream.InternalServerError)
	}
}

func (c *session) pep(ctx context.Context, typ string, payload *stream.Element, to jid.JID) (*stream.Element, error) {
	s := c.server
	owner, err := s.load(ctx, to.Localpart())
	if err != nil {
		return nil, stream.NewStanzaError(stream.ServiceUnavailable, "")
	}
	s.mu.Lock()
	shut := owner.blocks(c.full)
	s.mu.Unlock()
	if shut {
		return nil, stream.NewStanzaError(stream.ServiceUnavailable, "")
	}
	if err := s.loadNodes(ctx, owner); err != nil {
		return nil, err
	}
	what := payload.First()
	name := what.Attr("node")
	self := owner == c.account
	switch {
	case what.Is(nsPubSub, "items") && typ == "get":
		return c.pepItems(owner, what, name)
	case what.Is(nsPubSub, "subscribe"), what.Is(nsPubSub, "unsubscribe"), what.Is(nsPubSub, "subscriptions"), what.Is(nsPubSub, "options"):
		return nil, unsupported("subscribe")
	case what.Is(nsPubSub, "affiliations"), what.Is(nsPubSubOwner, "affiliations"), what.Is(nsPubSubOwner, "subscriptions"), what.Is(nsPubSubOwner, "default"):
		return nil, unsupported("modify-affiliations")
	case !self:
		return nil, stream.NewStanzaError(stream.Forbidden, "")
	case what.Is(nsPubSubOwner, "configure") && typ == "get":
		return s.pepConfiguration(owner, name)
	case typ != "set":
		return nil, stream.NewStanzaError(stream.BadRequest, "")
	case name == "" || len(name) > maxNodeName:
		return nil, pepError(stream.BadRequest, "nodeid-required")
	case what.Is(nsPubSub, "publish"):
		return s.pepPublish(ctx, owner, name, what, payload.Child(nsPubSub, "publish-options"))
	case what.Is(nsPubSub, "retract"):
		return nil, s.pepRetract(ctx, owner, name, what)
	case what.Is(nsPubSub, "create"):
		return nil, s.pepCreate(ctx, owner, name, payload.Child(nsPubSub, "configure"))
	case what.Is(nsPubSubOwner, "configure"):
		return nil, s.pepConfigure(ctx, owner, name, what)
	case what.Is(nsPubSubOwner, "delete"):
		return nil, s.pepDelete(ctx, owner, name)
	case what.Is(nsPubSubOwner, "purge"):
		return nil, s.pepPurge(ctx, owner, name)
	}
	return nil, stream.NewStanzaError(stream.FeatureNotImplemented, "")
}

// readable finds a node that the client may read.
func (c *session) readable(owner *account, name string) (*node, error) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	n := owner.nodes[name]
	switch {
	case owner == c.account:
	case n == nil || n.Access == accessOpen:
	case n.Access == accessWhitelist:
		return nil, pepError(stream.NotAllowed, "closed-node")
	case !c.account.sees(owner):
		return nil, pepError(stream.NotAuthorized, "presence-subscription-required")
	}
	if n == nil {
		return nil, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	return n, nil
}

// readableNodes are the names of an account's nodes that the client may read, sorted.
func (c *session) readableNodes(owner *account) []string {
	if err := c.server.loadNodes(c.life, owner); err != nil {
		c.server.log.Error("nodes not read", "account", owner.name, "err", err)
		return nil
	}
	var names []string
	c.server.locked(func() { names = slices.Sorted(maps.Keys(owner.nodes)) })
	return slices.DeleteFunc(names, func(name string) bool { _, err := c.readable(owner, name); return err != nil })
}

// pepItems returns the items of a node: all, the newest, or those named (XEP-0060 §6.5).
func (c *session) pepItems(owner *account, what *stream.Element, name string) (*stream.Element, error) {
	if name == "" {
		return nil, pepError(stream.BadRequest, "nodeid-required")
	}
	n, err := c.readable(owner, name)
	if err != nil {
		return nil, err
	}
	items := n.Items
	var wanted []string
	for i := range what.Children() {
		if i.Is(nsPubSub, "item") && i.Attr("id") != "" {
			wanted = append(wanted, i.Attr("id"))
		}
	}
	if most := what.Attr("max_items"); most != "" && len(wanted) == 0 {
		k, err := strconv.Atoi(most)
		if err != nil || k < 1 {
			return nil, stream.NewStanzaError(stream.BadRequest, "max_items is a number from 1 on")
		}
		items = items[max(0, len(items)-k):]
	}
	answer := stream.New(nsPubSub, "items", "node", name)
	for _, i := range items {
		if len(wanted) == 0 || slices.Contains(wanted, i.ID) {
			answer.Add(stream.New(nsPubSub, "item", "id", i.ID).Add(i.payload))
		}
	}
	if len(wanted) > 0 && answer.First() == nil {
		return nil, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	return stream.New(nsPubSub, "pubsub").Add(answer), nil
}

// pepPublish puts an item into a node, which is made for it if there is none (XEP-0060 §7.1).
func (s *Server) pepPublish(ctx context.Context, a *account, name string, what, options *stream.Element) (*stream.Element, error) {
	item := what.First()
	payload := item.First()
	switch {
	case !item.Is(nsPubSub, "item") || !onlyChild(what):
		return nil, pepError(stream.BadRequest, "item-required")
	case payload == nil || !onlyChild(item):
		return nil, pepError(stream.BadRequest, "invalid-payload")
	case len(item.Attr("id")) > maxNodeName:
		return nil, stream.NewStanzaError(stream.BadRequest, "the id is too long")
	}
	fields, err := pepForm(options)
	if err != nil {
		return nil, err
	}
	published := newNodeItem(item.Attr("id"), payload)
	if len(published.XML) > maxItemBytes {
		return nil, pepError(stream.NotAcceptable, "payload-too-big")
	}
	err = s.changeNode(ctx, a, name, func(n *node, made bool) error {
		if made {
			if err := n.configure(fields); err != nil {
				return err
			}
		} else if !n.meets(fields) {
			return pepError(stream.Conflict, "precondition-not-met")
		}
		n.put(published)
		return nil
	}, func(n *node) {
		s.notify(a, name, n, stream.New(nsPubSubEvent, "item", "id", published.ID).Add(payload))
	})
	if err != nil {
		return nil, err
	}
	return stream.New(nsPubSub, "pubsub").Add(stream.New(nsPubSub, "publish", "node", name).Add(stream.New(nsPubSub, "item", "id", published.ID))), nil
}

// pepRetract takes an item out (XEP-0060 §7.2).
func (s *Server) pepRetract(ctx context.Context, a *account, name string, what *stream.Element) error {
	item := what.First()
	id := item.Attr("id")
	if !item.Is(nsPubSub, "item") || id == "" || !onlyChild(what) {
		return pepError(stream.BadRequest, "item-required")
	}
	tell, err := boolean(what.Attr("notify"), false)
	if err != nil {
		return err
	}
	return s.existingNode(ctx, a, name, func(n *node) error {
		i := slices.IndexFunc(n.Items, func(i nodeItem) bool { return i.ID == id })
		if i < 0 {
			return stream.NewStanzaError(stream.ItemNotFound, "")
		}
		n.Items = slices.Delete(n.Items, i, i+1)
		return nil
	}, func(n *node) {
		if tell || n.NotifyRetract {
			s.notify(a, name, n, stream.New(nsPubSubEvent, "retract", "id", id))
		}
	})
}

// pepCreate makes an empty node (XEP-0060 §8.1).
func (s *Server) pepCreate(ctx context.Context, a *account, name string, configure *stream.Element) error {
	fields, err := pepForm(configure)
	if err != nil {
		return err
	}
	return s.changeNode(ctx, a, name, func(n *node, made bool) error {
		if !made {
			return stream.NewStanzaError(stream.Conflict, "")
		}
		return n.configure(fields)
	}, nil)
}

// pepConfigure changes how a node is (XEP-0060 §8.2).
func (s *Server) pepConfigure(ctx context.Context, a *account, name string, what *stream.Element) error {
	if x := what.Child(nsForm, "x"); x.Attr("type") == "cancel" {
		return nil
	}
	fields, err := pepForm(what)
	if err != nil {
		return err
	}
	return s.existingNode(ctx, a, name, func(n *node) error { return n.configure(fields) }, nil)
}

func (s *Server) pepConfiguration(a *account, name string) (*stream.Element, error) {
	s.mu.Lock()
	n := a.nodes[name]
	s.mu.Unlock()
	if n == nil {
		return nil, stream.NewStanzaError(stream.ItemNotFound, "")
	}
	return stream.New(nsPubSubOwner, "pubsub").Add(stream.New(nsPubSubOwner, "configure", "node", name).Add(n.form())), nil
}

// pepPurge takes all items out (XEP-0060 §8.5).
func (s *Server) pepPurge(ctx context.Context, a *account, name string) error {
	return s.existingNode(ctx, a, name, func(n *node) error { n.Items = nil; return nil },
		func(n *node) { s.tellSubscribers(a, name, n, stream.New(nsPubSubEvent, "purge", "node", name)) })
}

// pepDelete takes a node away (XEP-0060 §8.4).
func (s *Server) pepDelete(ctx context.Context, a *account, name string) error {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	s.mu.Lock()
	n := a.nodes[name]
	s.mu.Unlock()
	if n == nil {
		return stream.NewStanzaError(stream.ItemNotFound, "")
	}
	if err := s.store.DeleteNode(ctx, a.name, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(a.nodes, name)
	s.tellSubscribers(a, name, n, stream.New(nsPubSubEvent, "delete", "node", name))
	return nil
}

// existingNode is changeNode of a node that has to be there.
func (s *Server) existingNode(ctx context.Context, a *account, name string, do func(*node) error, done func(*node)) error {
	return s.changeNode(ctx, a, name, func(n *node, made bool) error {
		if made {
			return stream.NewStanzaError(stream.ItemNotFound, "")
		}
		return do(n)
	}, done)
}
