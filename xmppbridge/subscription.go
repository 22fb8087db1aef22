package xmppbridge

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"mellium.im/xmpp/jid"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// subscriptions knows who watches which of our addresses. For a component it is what a server would keep for its
// accounts, a cache over the store; for an account it mirrors the roster its server keeps (roster.go).
type subscriptions struct {
	mu    sync.RWMutex
	by    map[string][]Subscription // by target, in no order: a home has few watchers
	store Store                     // nil: somebody else keeps them
}

func loadSubscriptions(ctx context.Context, store Store, audience Audience) (*subscriptions, error) {
	s := &subscriptions{by: map[string][]Subscription{}}
	if audience != Subscribers {
		return s, nil
	}
	s.store = store
	list, err := store.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
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
	nothing := !sub.From && !sub.To && !sub.Asked
	if !nothing {
		list = append(list, sub)
	}
	switch {
	case s.store == nil:
	case nothing:
		s.store.ForgetSubscription(sub.Target, sub.Watcher)
	default:
		s.store.SaveSubscription(sub)
	}
	if len(list) == 0 {
		delete(s.by, sub.Target)
	} else {
		s.by[sub.Target] = list
	}
}

// replace takes all that somebody else keeps, in one go: nobody who is there may seem gone meanwhile.
func (s *subscriptions) replace(list []Subscription) {
	by := map[string][]Subscription{}
	for _, sub := range list {
		by[sub.Target] = append(by[sub.Target], sub)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = by
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

// of returns the subscriptions to a target. It costs no more where others have many: the router asks for each device that goes.
func (s *subscriptions) of(target string) []Subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.by[target])
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
	to, from := st.Attr("to"), st.Attr("from")
	target, ok := b.ours(to)
	watcher := person(from)
	switch st.Attr("type") {
	case "subscribe":
		b.onSubscribe(st, target, watcher, ok)
	case "subscribed":
		b.change(target, watcher, func(s *Subscription) { s.To, s.Asked = s.Asked || s.To, false })
	case "unsubscribe":
		b.onUnsubscribe(target, watcher)
	case "unsubscribed":
		b.change(target, watcher, func(s *Subscription) { s.To, s.Asked = false, false })
	case "probe":
		b.onProbe(target, watcher, from, ok)
	case "unavailable":
		if b.access().Role(watcher) != mapping.None {
			b.gone(from)
		}
	case "error":
		// RFC 6121 has a server stop sending; we suspend nothing for good: one broken link to someone's server must
		// not erase them from the house.
		if b.o.Audience == Subscribers {
			b.presence.suspend(target, watcher)
		}
	case "":
		b.sharers.heard(from)
		b.presence.resume(watcher)
		b.items.listeners.present(from, st)
	}
}

// ours is the bare JID of ours that an address names, as we write it, or the address's own bare JID when it names none.
func (b *Bridge) ours(to string) (bare string, ok bool) {
	t, ok := b.addresses().Resolve(bareJID(to))
	switch {
	case !ok:
		return bareJID(to), false
	case t.Kind == mapping.ToDomain:
		return b.addresses().Domain(), true
	case t.Kind == mapping.ToDevice:
		bare, _ = b.addresses().Device(t.ID)
		return bare, true
	}
	bare, _ = b.addresses().Hub()
	return bare, true
}

// person is the normalised bare JID of somebody, or what was given when that is none.
func person(from string) string {
	j, err := jid.Parse(from)
	if err != nil {
		return bareJID(from)
	}
	return j.Bare().String()
}

// gone ends what belonged to one full JID.
func (b *Bridge) gone(full string) {
	b.sessions.endIf(func(s *session) bool { return s.call.full == full })
	b.chats.endIf(func(of string) bool { return of == full })
	b.replay.forget(full)
	b.endProgram(full)
	b.items.listeners.gone(full)
}

// change edits an existing subscription. What a server keeps for us it changes itself.
func (b *Bridge) change(target, watcher string, edit func(*Subscription)) {
	if b.o.Audience != Subscribers {
		return
	}
	sub := b.roster.get(target, watcher)
	before := sub
	if edit(&sub); sub != before {
		b.roster.put(sub)
	}
}

// onSubscribe answers a request: someone with access gets in, sees presence at once and is asked for theirs; anyone
// else is declined, in the same words for every address.
func (b *Bridge) onSubscribe(st *stream.Element, target, watcher string, ours bool) {
	if !ours || !b.mayWatch(target, watcher) {
		b.send(presenceTo("unsubscribed", target, watcher))
		return
	}
	b.send(presenceTo("subscribed", target, watcher).SetAttr("id", st.Attr("id")))
	if b.o.Audience == Rosters {
		b.presence.show(showing{to: st.Attr("from"), target: target})
		return
	}
	// Without their presence there are no caps, and nothing tells when they have gone.
	sub := b.roster.get(target, watcher)
	ask := !sub.To && !sub.Asked
	sub.From = true
	b.roster.put(sub)
	if ask {
		b.ask(sub)
	}
	if b.o.Audience == Subscribers {
		b.presence.show(showing{to: watcher, target: target})
	}
}

// ask asks a watcher for their presence. That it was asked counts once it has gone out.
func (b *Bridge) ask(sub Subscription) {
	if b.send(b.subscribing(sub.Target, sub.Watcher)) == nil {
		sub.Asked = true
		b.roster.put(sub)
	} else if b.o.Audience == Subscribers {
		b.presence.owe(debt{"subscribe", sub.Target, sub.Watcher}, hubKey)
	}
}

// askAgain repeats what was asked and has no answer: what was sent before the stream ended may not have arrived, and who was
// not there may not have been told.
func (b *Bridge) askAgain() {
	if b.o.Audience != Subscribers {
		return
	}
	for _, sub := range b.roster.all() {
		if sub.From && !sub.To && sub.Asked {
			b.presence.owe(debt{"subscribe", sub.Target, sub.Watcher}, hubKey)
		}
	}
}

func (b *Bridge) onUnsubscribe(target, watcher string) {
	sub := b.roster.get(target, watcher)
	if b.o.Audience == Rosters || sub == (Subscription{Target: target, Watcher: watcher}) {
		return
	}
	if sub.From && b.o.Audience == Subscribers {
		b.presence.hide(target, watcher)
		b.send(presenceTo("unsubscribed", target, watcher))
	}
	if sub.To || sub.Asked {
		b.send(presenceTo("unsubscribe", target, watcher))
	}
	sub.From, sub.To, sub.Asked = false, false, false
	b.roster.put(sub)
}

// onProbe answers with the presence of each resource, or with unsubscribed (RFC 6121 §4.3.2): unavailable where a device has
// still to be announced, since unsubscribed would end the subscription for good.
func (b *Bridge) onProbe(target, watcher, from string, ours bool) {
	if b.o.Audience == Broadcast {
		return // the account's server answers probes
	}
	allowed := ours && b.mayKeep(target, watcher)
	if b.o.Audience == Subscribers {
		allowed = allowed && b.roster.get(target, watcher).From
	}
	if !allowed {
		b.send(presenceTo("unsubscribed", target, watcher))
		return
	}
	b.presence.resume(watcher)
	if b.mayWatch(target, watcher) {
		b.presence.show(showing{to: from, target: target})
		return
	}
	t, _ := b.addresses().Resolve(target)
	_, full := b.addresses().Device(t.ID)
	b.send(presenceTo("unavailable", full, from))
}

// mayWatch reports whether someone may have the presence of one of our bare JIDs, and there is something to see.
func (b *Bridge) mayWatch(target, watcher string) bool {
	if t, _ := b.addresses().Resolve(target); t.Kind == mapping.ToDevice {
		if _, _, exists := b.o.House.Device(t.ID); !exists {
			return false
		}
	}
	return b.mayKeep(target, watcher)
}

// mayKeep is mayWatch of a device that may not have been announced yet.
func (b *Bridge) mayKeep(target, watcher string) bool {
	t, ok := b.addresses().Resolve(target)
	switch {
	case !ok:
		return false
	case t.Kind == mapping.ToDevice:
		return b.access().CanSee(watcher, t.ID)
	}
	return b.access().Role(watcher) != mapping.None
}

// revokeLost takes presence and subscription from everyone who no longer may have it.
func (b *Bridge) revokeLost() {
	for _, sub := range b.roster.all() {
		if !b.mayKeep(sub.Target, sub.Watcher) {
			b.revoke(sub)
		}
	}
}

// revoke ends one subscription, both ways, and says so. It stays while nobody can be told: when the stream is back, or has
// room, it is revoked again.
func (b *Bridge) revoke(sub Subscription) {
	forgotten := Subscription{Target: sub.Target, Watcher: sub.Watcher}
	if _, domain, _ := strings.Cut(sub.Target, "@"); cmp.Or(domain, sub.Target) != b.addresses().Domain() {
		// From before [xmpp] address changed: in that name nothing can be said, servers end the stream for it (invalid-from).
		b.log.Info("subscription forgotten: it was to another domain", "jid", sub.Watcher, "address", sub.Target)
		b.roster.put(forgotten)
		return
	}
	var err error
	if sub.From {
		err = errors.Join(b.presence.hide(sub.Target, sub.Watcher), b.send(presenceTo("unsubscribed", sub.Target, sub.Watcher)))
	}
	if sub.To || sub.Asked {
		err = errors.Join(err, b.send(presenceTo("unsubscribe", sub.Target, sub.Watcher)))
	}
	if errors.Is(err, stream.ErrFull) {
		b.presence.revokeAgain()
	}
	if err != nil {
		return
	}
	b.log.Info("subscription revoked", "jid", sub.Watcher, "address", sub.Target)
	b.roster.put(forgotten)
}

// compare tells people of devices that they may see no longer, or from now on, where that is no matter of subscriptions:
// devices that are resources of one address, and contacts that the server inside gives.
func (p *presences) compare(old, now *mapping.Access) {
	var watchers []string
	switch p.b.o.Audience {
	case Rosters:
		watchers = p.b.o.Accounts()
	case Subscribers:
		hub, _ := p.b.addresses().Hub()
		watchers = p.b.roster.watchers(hub)
	case Broadcast:
		return // the server shows everyone everything
	}
	shown := p.b.o.House.Devices()
	if p.b.o.Audience == Subscribers {
		shown = slices.DeleteFunc(slices.Clone(shown), func(d *mapping.Device) bool { return !p.b.shared(d.ID) })
	}
	for _, w := range watchers {
		for _, d := range shown {
			p.compareOne(w, d.ID, old.CanSee(w, d.ID), now.CanSee(w, d.ID))
		}
	}
}

func (p *presences) compareOne(watcher string, id devices.ID, before, now bool) {
	switch {
	case before && !now:
		_, full := p.b.addresses().Device(id)
		p.must(debt{"unavailable", full, watcher}, id)
	case now && !before:
		p.show(showing{to: watcher, device: id, only: true})
	}
}

func presenceTo(typ, from, to string) *stream.Element {
	return stream.New(stream.NS, "presence", "type", typ, "from", from, "to", to)
}
