package xmppbridge

import (
	"context"
	"maps"
	"slices"
	"sync"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// subscriptions keeps, for a component, what a server would keep for its accounts: who watches which of our
// addresses. It is a cache over the store.
type subscriptions struct {
	mu    sync.RWMutex
	by    map[string][]Subscription // by target, in no order: a home has few watchers
	store Store
}

func loadSubscriptions(ctx context.Context, store Store) (*subscriptions, error) {
	list, err := store.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	s := &subscriptions{by: map[string][]Subscription{}, store: store}
	for _, sub := range list {
		s.by[sub.Target] = append(s.by[sub.Target], sub)
	}
	return s, nil
}

// get returns the subscription between two bare JIDs; the zero one when there is none.
func (s *subscriptions) get(target, watcher string) Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sub := range s.by[target] {
		if sub.Watcher == watcher {
			return sub
		}
	}
	return Subscription{Target: target, Watcher: watcher}
}

// put keeps a subscription, or forgets it when nothing is left of it.
func (s *subscriptions) put(sub Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.DeleteFunc(s.by[sub.Target], func(x Subscription) bool { return x.Watcher == sub.Watcher })
	if !sub.From && !sub.To && !sub.Asked {
		s.store.ForgetSubscription(sub.Target, sub.Watcher)
	} else {
		list = append(list, sub)
		s.store.SaveSubscription(sub)
	}
	if len(list) == 0 {
		delete(s.by, sub.Target)
	} else {
		s.by[sub.Target] = list
	}
}

// watchers are the bare JIDs that receive a target's presence.
func (s *subscriptions) watchers(target string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, sub := range s.by[target] {
		if sub.From {
			out = append(out, sub.Watcher)
		}
	}
	return out
}

// all returns every subscription.
func (s *subscriptions) all() []Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Subscription
	for _, target := range slices.Sorted(maps.Keys(s.by)) {
		out = append(out, s.by[target]...)
	}
	return out
}

// deliverPresence takes what people's servers tell us: subscription requests (RFC 6121 §3), probes (§4.3) and their
// presence.
func (b *Bridge) deliverPresence(st *stream.Element) {
	switch st.Attr("type") {
	case "subscribe":
		b.onSubscribe(st)
	case "subscribed":
		b.change(st, func(s *Subscription) { s.To, s.Asked = s.Asked || s.To, false })
	case "unsubscribe":
		b.onUnsubscribe(st)
	case "unsubscribed":
		b.change(st, func(s *Subscription) { s.To, s.Asked = false, false })
	case "probe":
		b.onProbe(st)
	case "unavailable":
		b.gone(st.Attr("from"))
	case "error":
		// RFC 6121 has a server stop sending; we suspend nothing for good: one broken link to someone's server must
		// not erase them from the house.
		b.presence.suspend(bareJID(st.Attr("from")))
	case "":
		b.presence.resume(bareJID(st.Attr("from")))
	}
}

// gone ends what belonged to one full JID.
func (b *Bridge) gone(full string) {
	b.sessions.end(full)
	b.chats.end(full)
	b.replay.forget(full)
}

// change edits an existing subscription.
func (b *Bridge) change(st *stream.Element, edit func(*Subscription)) {
	if b.o.Audience != Subscribers {
		return
	}
	sub := b.roster.get(bareJID(st.Attr("to")), bareJID(st.Attr("from")))
	before := sub
	if edit(&sub); sub != before {
		b.roster.put(sub)
	}
}

// onSubscribe answers a request: someone with access gets in, sees presence at once and is asked for theirs; anyone
// else is declined, in the same words for every address.
func (b *Bridge) onSubscribe(st *stream.Element) {
	target, watcher := bareJID(st.Attr("to")), bareJID(st.Attr("from"))
	if !b.mayWatch(target, watcher) {
		b.send(presenceTo("unsubscribed", target, watcher))
		return
	}
	b.send(presenceTo("subscribed", target, watcher).SetAttr("id", st.Attr("id")))
	switch b.o.Audience {
	case Broadcast:
		b.send(presenceTo("subscribe", target, watcher)) // their server answers where we have it already
	case Subscribers:
		sub := b.roster.get(target, watcher)
		sub.From = true
		ask := !sub.To && !sub.Asked
		sub.Asked = sub.Asked || ask
		b.roster.put(sub)
		if ask {
			b.send(presenceTo("subscribe", target, watcher))
		}
		b.presence.sendTarget(target, watcher, watcher)
	case Rosters:
		b.presence.sendTarget(target, watcher, st.Attr("from"))
	}
}

func (b *Bridge) onUnsubscribe(st *stream.Element) {
	if b.o.Audience != Subscribers {
		return
	}
	target, watcher := bareJID(st.Attr("to")), bareJID(st.Attr("from"))
	sub := b.roster.get(target, watcher)
	if !sub.From {
		return
	}
	b.presence.hide(target, watcher)
	sub.From = false
	b.roster.put(sub)
	b.send(presenceTo("unsubscribed", target, watcher))
	if sub.To || sub.Asked {
		sub.To, sub.Asked = false, false
		b.roster.put(sub)
		b.send(presenceTo("unsubscribe", target, watcher))
	}
}

// onProbe answers with the presence of each resource, or with unsubscribed (RFC 6121 §4.3.2).
func (b *Bridge) onProbe(st *stream.Element) {
	if b.o.Audience == Broadcast {
		return // the account's server answers probes
	}
	target, watcher := bareJID(st.Attr("to")), bareJID(st.Attr("from"))
	allowed := b.mayWatch(target, watcher)
	if b.o.Audience == Subscribers {
		allowed = allowed && b.roster.get(target, watcher).From
	}
	if !allowed {
		b.send(presenceTo("unsubscribed", target, watcher))
		return
	}
	b.presence.sendTarget(target, watcher, st.Attr("from"))
}

// mayWatch reports whether someone may have the presence of one of our bare JIDs.
func (b *Bridge) mayWatch(target, watcher string) bool {
	t, ok := b.addresses().Resolve(target)
	if !ok {
		return false
	}
	if t.Kind == mapping.ToDevice {
		_, _, exists := b.o.House.Device(t.ID)
		return exists && b.access().CanSee(watcher, t.ID)
	}
	return b.access().Role(watcher) != mapping.None
}

// revokeLost takes presence and subscription from everyone who lost access in a reload.
func (b *Bridge) revokeLost() {
	for _, sub := range b.roster.all() {
		if !b.mayWatch(sub.Target, sub.Watcher) {
			b.revoke(sub)
		}
	}
}

// revoke ends one subscription, both ways, and says so.
func (b *Bridge) revoke(sub Subscription) {
	if sub.From {
		b.presence.hide(sub.Target, sub.Watcher)
		b.send(presenceTo("unsubscribed", sub.Target, sub.Watcher))
	}
	if sub.To || sub.Asked {
		b.send(presenceTo("unsubscribe", sub.Target, sub.Watcher))
	}
	sub.From, sub.To, sub.Asked = false, false, false
	b.roster.put(sub)
}

func presenceTo(typ, from, to string) *stream.Element {
	return stream.New(stream.NS, "presence", "type", typ, "from", from, "to", to)
}
