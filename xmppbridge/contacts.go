package xmppbridge

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/local"
)

const (
	// contactsSettle is how long what changes is collected before contact lists are looked at: devices come in swarms.
	contactsSettle = 2 * time.Second
	// maxContacts bounds what one person's list is filled with; the server's answer with the list is one stanza.
	maxContacts = 500
	// firstListRetry is when a list that could not be read or written is tried again; each time it takes twice as long, up to
	// lastListRetry: one that is too large for a stanza ends the stream each time.
	firstListRetry, lastListRetry = time.Minute, time.Hour
)

// contactLists fills the contact lists of people whose server lets us: with the hub and the devices they may see, in groups by
// location. It never argues: what somebody renamed, moved or removed stays so. One goroutine (run) does one list after the other.
type contactLists struct {
	b     *Bridge
	ready chan struct{} // holds one token while there may be something to do

	mu      sync.Mutex
	granted map[string]struct{} // domains whose lists we may write
	given   map[givenKey]Given  // a cache over the store
	retries map[string]retry    // by person
}

// A retry is a list that could not be filled.
type retry struct {
	at   time.Time
	wait time.Duration
}

type givenKey struct{ watcher, target string }

func loadContactLists(ctx context.Context, b *Bridge) (*contactLists, error) {
	l := &contactLists{b: b, ready: make(chan struct{}, 1), granted: map[string]struct{}{}, given: map[givenKey]Given{},
		retries: map[string]retry{}}
	if b.o.Audience != Subscribers {
		return l, nil
	}
	list, err := b.o.Store.Given(ctx)
	for _, g := range list {
		l.given[givenKey{g.Watcher, g.Target}] = g
	}
	return l, err
}

// wake has the lists looked at: devices or access have changed.
func (l *contactLists) wake() { poke(l.ready) }

// grant notes whether the lists of a domain are ours to fill.
func (l *contactLists) grant(domain string, may bool) {
	l.mu.Lock()
	_, had := l.granted[domain]
	if may && (had || len(l.granted) < maxGranted) {
		l.granted[domain] = struct{}{}
	} else {
		delete(l.granted, domain)
	}
	l.mu.Unlock()
	if may != had {
		l.b.log.Info("access to contact lists", "domain", domain, "granted", may)
	}
	if may {
		l.wake()
	}
}

// may reports whether somebody's list is ours to fill.
func (l *contactLists) may(person string) bool {
	_, domain, _ := strings.Cut(person, "@")
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grantedLocked(domain)
}

func (l *contactLists) grantedLocked(domain string) bool {
	_, ok := l.granted[domain]
	return ok
}

func (l *contactLists) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.ready:
			if !sleep(ctx, contactsSettle) {
				return
			}
		}
		for _, person := range l.people() {
			if !l.may(person) { // taken back meanwhile
				continue
			}
			err := l.fill(ctx, person)
			if ctx.Err() != nil {
				return
			}
			l.tried(person, err)
		}
		timer.Reset(l.untilRetry())
	}
}

// people are those whose lists we may fill, those from whom something is to be taken among them.
func (l *contactLists) people() []string {
	all, now := l.b.access().People(), time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.given {
		all = append(all, k.watcher)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	maps.DeleteFunc(l.retries, func(person string, _ retry) bool { return !slices.Contains(all, person) })
	return slices.DeleteFunc(all, func(person string) bool {
		_, domain, _ := strings.Cut(person, "@")
		return !l.grantedLocked(domain) || now.Before(l.retries[person].at)
	})
}

// tried notes whether a list was filled, and when it is to be tried again.
func (l *contactLists) tried(person string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		delete(l.retries, person)
		return
	}
	wait := min(max(2*l.retries[person].wait, firstListRetry), lastListRetry)
	l.retries[person] = retry{time.Now().Add(wait), wait}
	l.b.log.Warn("contact list not filled", "jid", person, "err", err, "again", wait)
}

// untilRetry is how long nothing has to be tried again.
func (l *contactLists) untilRetry() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := time.Hour
	for person, r := range l.retries {
		if _, domain, _ := strings.Cut(person, "@"); l.grantedLocked(domain) {
			wait = min(wait, max(time.Until(r.at), time.Second))
		}
	}
	return wait
}

// fill brings one list up to date.
func (l *contactLists) fill(ctx context.Context, person string) error {
	list, err := l.list(ctx, person)
	if err != nil {
		return err
	}
	want := l.b.contacts(person)
	if len(want) > maxContacts {
		l.b.log.Warn("too many devices for a contact list: the rest can be added by hand", "jid", person, "devices", len(want), "added", maxContacts)
		want = want[:maxContacts]
	}
	for _, c := range want {
		if err := l.bring(ctx, person, c, list); err != nil {
			return err
		}
	}
	for _, g := range l.givenTo(person) {
		if l.b.mayKeep(g.Target, person) && !l.b.left(g.Target) {
			continue // also a device that has not been announced yet
		}
		if _, listed := list[g.Target]; listed && g.Name != "" {
			if err := l.unset(ctx, person, g.Target); err != nil {
				return err
			}
		}
		if err := l.forget(ctx, person, g.Target); err != nil {
			return err
		}
	}
	return nil
}

// left reports whether an address is that of a device that was here and is gone.
func (b *Bridge) left(target string) bool {
	t, ok := b.addresses().Resolve(target)
	return ok && t.Kind == mapping.ToDevice && b.addresses().Gone(t.ID)
}

// bring brings one contact of a list up to date.
func (l *contactLists) bring(ctx context.Context, person string, c local.Contact, list map[string]listItem) error {
	item, listed := list[c.JID]
	l.mu.Lock()
	g, given := l.given[givenKey{person, c.JID}]
	l.mu.Unlock()
	switch {
	case !listed && !given:
		return l.give(ctx, person, c)
	case !listed: // they removed it; their server may not have been able to tell us
		if sub := l.b.roster.get(c.JID, person); sub.From {
			l.b.roster.put(Subscription{Target: c.JID, Watcher: person})
		}
		return nil
	case !given: // they had it before us, and it is theirs
		l.connect(c.JID, person, item)
		return l.save(ctx, Given{Watcher: person, Target: c.JID})
	}
	l.connect(c.JID, person, item)
	as := givenAs(person, c)
	if g.Name == "" || g == as || item.name != g.Name || !slices.Equal(item.groups, []string{g.Group}) || item.subscription != "both" {
		return nil // theirs, as it should be, or changed by them
	}
	if err := l.set(ctx, person, c); err != nil {
		return err
	}
	return l.save(ctx, as)
}

func givenAs(person string, c local.Contact) Given {
	return Given{Watcher: person, Target: c.JID, Name: c.Name, Group: c.Groups[0]}
}

// give puts a contact into a list, be it again.
func (l *contactLists) give(ctx context.Context, person string, c local.Contact) error {
	if err := l.set(ctx, person, c); err != nil {
		return err
	}
	l.connect(c.JID, person, listItem{subscription: "both"})
	return l.save(ctx, givenAs(person, c))
}

// connect takes over what somebody's server says of a subscription, where it says more than we know.
func (l *contactLists) connect(target, person string, item listItem) {
	sub := l.b.roster.get(target, person)
	before := sub
	sub.From = sub.From || item.subscription == "both" || item.subscription == "to"
	if item.subscription == "both" || item.subscription == "from" {
		sub.To, sub.Asked = true, false
	}
	if sub == before || !l.b.mayKeep(target, person) {
		return
	}
	l.b.roster.put(sub)
	if sub.From && !before.From {
		l.b.presence.show(showing{to: person, target: target})
	}
}

func (l *contactLists) givenTo(person string) []Given {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Given
	for k, g := range l.given {
		if k.watcher == person {
			out = append(out, g)
		}
	}
	return out
}

func (l *contactLists) save(ctx context.Context, g Given) error {
	if err := l.b.o.Store.SaveGiven(ctx, g); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given[givenKey{g.Watcher, g.Target}] = g
	return nil
}

func (l *contactLists) forget(ctx context.Context, person, target string) error {
	if err := l.b.o.Store.ForgetGiven(ctx, person, target); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.given, givenKey{person, target})
	return nil
}

// ContactsChanged says that devices came or went, or are called otherwise: contact lists that we fill are looked at.
func (b *Bridge) ContactsChanged() { b.lists.wake() }
