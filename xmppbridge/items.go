package xmppbridge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// The bounds of node subscriptions.
const (
	maxNodesPerJID = 5000
	maxNodeSubs    = 20000
)

// items tells those who subscribed to nodes of ours of new readings. It stands behind events, whose goroutine looks at what
// changed and rings the nodes' alarms: of a node the latest reading counts, and there is at most one item in Publish.Every.
type items struct {
	b *Bridge

	mu    sync.Mutex
	nodes map[changedField]*node
	total int            // subscriptions
	mine  map[string]int // by bare JID

	listeners *listeners
}

// A node is one that somebody is told of.
type node struct {
	of          changedField
	subscribers []string // JIDs as they subscribed
	alarm       alarm
	pending     bool
	value       devices.Value // told last
	last        time.Time
}

func loadItems(ctx context.Context, b *Bridge) (*items, error) {
	i := &items{b: b, nodes: map[changedField]*node{}, mine: map[string]int{}}
	i.listeners = newListeners(b)
	if !b.o.publishesItself() {
		return i, nil
	}
	list, err := b.o.Store.NodeSubscriptions(ctx)
	for _, s := range list {
		i.put(changedField{s.Device, s.Point}, s.JID)
	}
	return i, err
}

// node returns the state of a node, made if need be. i.mu is held.
func (i *items) node(f changedField) *node {
	n := i.nodes[f]
	if n == nil {
		n = &node{of: f}
		n.alarm.ring = func(context.Context) { i.tell(n) }
		i.nodes[f] = n
	}
	return n
}

// put notes a subscription.
func (i *items) put(f changedField, jid string) {
	i.mu.Lock()
	n := i.node(f)
	is := slices.Contains(n.subscribers, jid)
	if !is {
		n.subscribers = append(slices.Clone(n.subscribers), jid)
		i.total++
		i.mine[person(jid)]++
	}
	i.mu.Unlock()
	if !is {
		i.b.events.watchToo(f.device, 1)
	}
}

// room reports whether somebody may have one more.
func (i *items) room(bare string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mine[bare] < maxNodesPerJID && i.total < maxNodeSubs
}

// subscribed reports whether a JID has a subscription to a node.
func (i *items) subscribed(f changedField, jid string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.nodes[f]
	return n != nil && slices.Contains(n.subscribers, jid)
}

// of are the subscriptions of a person, sorted.
func (i *items) of(bare string) []NodeSubscription {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []NodeSubscription
	for f, n := range i.nodes {
		for _, jid := range n.subscribers {
			if person(jid) == bare {
				out = append(out, NodeSubscription{f.device, f.field, jid})
			}
		}
	}
	slices.SortFunc(out, compareSubscriptions)
	return out
}

func compareSubscriptions(a, b NodeSubscription) int {
	return strings.Compare(string(a.Device)+"\n"+a.Point+"\n"+a.JID, string(b.Device)+"\n"+b.Point+"\n"+b.JID)
}

// endIf ends subscriptions and returns them; the store is told.
func (i *items) endIf(ended func(NodeSubscription) bool) []NodeSubscription {
	i.mu.Lock()
	var out []NodeSubscription
	for f, n := range i.nodes {
		n.subscribers = slices.DeleteFunc(slices.Clone(n.subscribers), func(jid string) bool {
			s := NodeSubscription{f.device, f.field, jid}
			if !ended(s) {
				return false
			}
			out = append(out, s)
			i.total--
			if i.mine[person(jid)]--; i.mine[person(jid)] <= 0 {
				delete(i.mine, person(jid))
			}
			return true
		})
		if len(n.subscribers) == 0 && !i.listeners.want(f) {
			i.b.events.drop(&n.alarm)
			delete(i.nodes, f)
		}
	}
	i.mu.Unlock()
	for _, s := range out {
		i.b.events.watchToo(s.Device, -1)
		i.b.o.Store.ForgetNodeSubscription(s)
	}
	slices.SortFunc(out, compareSubscriptions)
	return out
}

// see looks at a point that was read. It is called by events.
func (i *items) see(f changedField, now time.Time) {
	wanted := i.listeners.want(f)
	i.mu.Lock()
	n := i.nodes[f]
	if n == nil && !wanted || n != nil && n.pending {
		i.mu.Unlock()
		return
	}
	n = i.node(f)
	value, last := n.value, n.last
	i.mu.Unlock()
	_, p, s, ok := i.b.readable(f)
	if !ok || s.Quality != devices.Good || s.Value.IsZero() || !moved(p, value, s.Value) {
		return
	}
	i.mu.Lock()
	n.pending = true
	i.mu.Unlock()
	at := now
	if next := last.Add(i.b.every()); !last.IsZero() && next.After(now) {
		at = next
	}
	i.b.events.set(&n.alarm, at)
}

// tell sends the item of a node to everyone who is to have it.
func (i *items) tell(n *node) {
	_, p, s, ok := i.b.readable(n.of)
	item := (*stream.Element)(nil)
	if ok {
		item = i.b.item(nsPubsubEvent, n.of, p, s)
	}
	if item == nil {
		i.mu.Lock()
		n.pending = false
		i.mu.Unlock()
		return
	}
	audience := i.audience(n)
	for _, to := range audience {
		if errors.Is(i.sendItem(n.of, to, item), stream.ErrFull) {
			i.b.events.set(&n.alarm, time.Now().Add(eventRetry))
			return // all of them again: the same item twice is the same item
		}
	}
	i.mu.Lock()
	n.pending, n.value, n.last = false, s.Value, time.Now()
	if len(audience) == 0 && len(n.subscribers) == 0 {
		delete(i.nodes, n.of)
	}
	i.mu.Unlock()
}

// audience are those who are told of a node: its subscribers, and who listens by presence and is none.
func (i *items) audience(n *node) []string {
	i.mu.Lock()
	subscribers := n.subscribers
	i.mu.Unlock()
	access := i.b.access()
	var out []string
	for _, jid := range subscribers {
		if access.CanSee(person(jid), n.of.device) {
			out = append(out, jid)
		}
	}
	for _, full := range i.listeners.to(n.of) {
		if !slices.Contains(out, full) && !slices.Contains(out, person(full)) {
			out = append(out, full)
		}
	}
	return out
}

// sendItem sends one item to one JID.
func (i *items) sendItem(f changedField, to string, item *stream.Element) error {
	err := i.b.send(i.event(f, to, stream.New(nsPubsubEvent, "items", "node", i.b.nodeOf(f)).Add(item)))
	if errors.Is(err, ErrAway) && strings.Contains(to, "/") {
		i.endIf(func(s NodeSubscription) bool { return s.JID == to }) // this client does not come back
	}
	return err
}

// event is a message about a node: of type headline, which no server keeps (RFC 6121 §5.2.2).
func (i *items) event(f changedField, to string, what *stream.Element) *stream.Element {
	bare, _ := i.b.addresses().Device(f.device)
	return stream.New(stream.NS, "message", "type", "headline", "from", bare, "to", to).
		Add(stream.New(nsPubsubEvent, "event").Add(what), stream.New(nsHints, "no-store"))
}

// last sends the present item of a node to somebody who just came.
func (i *items) last(f changedField, to string) {
	_, p, s, ok := i.b.readable(f)
	if !ok {
		return
	}
	item := i.b.item(nsPubsubEvent, f, p, s)
	if item == nil {
		return
	}
	i.mu.Lock()
	if n := i.node(f); n.value.IsZero() {
		n.value = s.Value
	}
	i.mu.Unlock()
	_ = i.sendItem(f, to, item) // lost is what the next reading replaces
}

// lost ends the subscriptions of those who may no longer have them (XEP-0060 §8.8.4, told as §12.19 has it).
func (i *items) lost() {
	access := i.b.access()
	ended := i.endIf(func(s NodeSubscription) bool { return !access.CanSee(person(s.JID), s.Device) })
	for _, s := range ended {
		f := changedField{s.Device, s.Point}
		bare, _ := i.b.addresses().Device(s.Device)
		i.b.send(stream.New(stream.NS, "message", "from", bare, "to", s.JID, "type", "headline").Add(stream.New(nsPubsub, "pubsub").
			Add(stream.New(nsPubsub, "subscription", "node", i.b.nodeOf(f), "jid", s.JID, "subscription", "none"))))
	}
}

// withdraw ends the nodes of a device that is gone for good: those who were told of them are told that (§8.4.2).
func (i *items) withdraw(id devices.ID) {
	for _, s := range i.endIf(func(s NodeSubscription) bool { return s.Device == id }) {
		f := changedField{s.Device, s.Point}
		i.b.send(i.event(f, s.JID, stream.New(nsPubsubEvent, "delete", "node", i.b.nodeOf(f))))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for f, n := range i.nodes {
		if f.device == id {
			i.b.events.drop(&n.alarm)
			delete(i.nodes, f)
		}
	}
}

// bounced ends subscriptions whose events come back: of a client that is gone at once, of an account when there is none any more.
func (i *items) bounced(from string, e *stream.StanzaError) {
	if e == nil || e.Type == stream.TypeWait && !strings.Contains(from, "/") {
		return
	}
	account := !strings.Contains(from, "/")
	if account && e.Condition != stream.Gone && e.Condition != stream.ItemNotFound {
		return
	}
	i.endIf(func(s NodeSubscription) bool { return s.JID == from })
}
