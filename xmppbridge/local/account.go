package local

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// account is what is in memory of one account: since somebody logged in to it or another person subscribed to it.
type account struct {
	name string
	bare string

	// editing serialises changes of the roster. It is held over calls to the Store and to Backend.Contacts, never taken with
	// Server.mu held, and before it where both are needed.
	editing sync.Mutex

	// publishing serialises changes of what the account publishes; it is as editing, and the two are never held together.
	publishing sync.Mutex

	// Guarded by Server.mu; house and items are replaced only with editing held as well.
	loaded   bool
	sessions map[string]*session // by resource
	nodes    map[string]*node    // what the account publishes (pep.go), by name; nil: not read yet
	house    map[string]Contact  // what the house gives, by JID
	items    map[string]Item     // what the Store remembers, by JID
	blocked  map[string]struct{} // addresses, replaced as house is
	// What the house sent to the account since Confirm was last asked: how many messages, and how many each client got.
	sent     int
	got      map[*session]int
	shared   shared
	expected []expected // the messages sent last that an error may come back for
}

// load returns an account with its roster in memory, or ErrNoAccount.
func (s *Server) load(ctx context.Context, name string) (*account, error) {
	if !s.backend.Account(name) {
		return nil, ErrNoAccount
	}
	s.mu.Lock()
	a := s.accounts[name]
	if a == nil {
		a = &account{name: name, bare: name + "@" + s.domain, sessions: make(map[string]*session)}
		s.accounts[name] = a
	}
	s.mu.Unlock()

	a.editing.Lock()
	defer a.editing.Unlock()
	s.mu.Lock()
	loaded := a.loaded
	s.mu.Unlock()
	if loaded {
		return a, nil
	}
	kept, err := s.store.Items(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	blocked, err := s.store.Blocked(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	house := s.contacts(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.house, a.loaded = house, true
	a.blocked = make(map[string]struct{}, len(blocked))
	for _, address := range blocked {
		a.blocked[address] = struct{}{}
	}
	a.items = make(map[string]Item, len(kept))
	for _, i := range kept {
		a.items[i.JID] = i
	}
	return a, nil
}

// contacts asks the house for an account's contacts. One whose JID is none, or has a resource, is left out and said.
func (s *Server) contacts(name string) map[string]Contact {
	given := s.backend.Contacts(name)
	m := make(map[string]Contact, len(given))
	for _, c := range given {
		j, err := jid.Parse(c.JID)
		if err != nil || j.Resourcepart() != "" {
			s.log.Error("contact is not a bare JID", "contact", c.JID, "err", err)
			continue
		}
		c.JID = j.String()
		if c.JID == name+"@"+s.domain {
			continue // nobody is a contact of one's own
		}
		m[c.JID] = c
	}
	return m
}

// entry is a roster item as clients see it.
type entry struct {
	jid, name    string
	groups       []string
	subscription string
	ask          bool
}

func (e entry) equal(o entry) bool {
	return e.jid == o.jid && e.name == o.name && e.subscription == o.subscription && e.ask == o.ask &&
		slices.Equal(e.groups, o.groups)
}

func (e entry) element() *stream.Element {
	item := stream.New(nsRoster, "item", "jid", e.jid, "name", e.name, "subscription", e.subscription)
	if e.ask {
		item.SetAttr("ask", "subscribe")
	}
	for _, g := range e.groups {
		item.Add(stream.New(nsRoster, "group").AddText(g))
	}
	return item
}

// entry returns the roster item for a bare JID: what the house gives with the person's edits over it, or what the person
// added.
func (a *account) entry(jid string) (entry, bool) {
	item := a.items[jid]
	if c, ok := a.house[jid]; ok {
		if item.Hidden {
			return entry{}, false
		}
		e := entry{jid: jid, name: c.Name, groups: c.Groups, subscription: "both"}
		if item.Renamed {
			e.name = item.Name
		}
		if item.Regrouped {
			e.groups = item.Groups
		}
		return e, true
	}
	if !item.Listed {
		return entry{}, false
	}
	e := entry{jid: jid, name: item.Name, groups: item.Groups, subscription: "none", ask: item.Ask}
	switch {
	case item.To && item.From:
		e.subscription = "both"
	case item.To:
		e.subscription = "to"
	case item.From:
		e.subscription = "from"
	}
	return e, true
}

// entries returns the whole roster in the order of JIDs.
func (a *account) entries() []entry {
	var all []entry
	for jid := range a.house {
		if e, ok := a.entry(jid); ok {
			all = append(all, e)
		}
	}
	for jid := range a.items {
		if _, twice := a.house[jid]; twice {
			continue
		}
		if e, ok := a.entry(jid); ok {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(x, y entry) int { return cmp.Compare(x.jid, y.jid) })
	return all
}

// shows reports whether a contact of the house is in the roster.
func (a *account) shows(jid string) bool {
	_, ok := a.house[jid]
	return ok && !a.items[jid].Hidden
}

// to reports whether the account is subscribed to the presence of jid, from whether jid is to the account's.
func (a *account) to(jid string) bool {
	return a.shows(jid) || a.items[jid].To
}

func (a *account) from(jid string) bool {
	return a.shows(jid) || a.items[jid].From
}

// sees reports whether a sees the presence of b: both sides have to say so, and neither blocks the other.
func (a *account) sees(b *account) bool {
	return a == b || a.to(b.bare) && b.from(a.bare) && !a.blocks(b.bare) && !b.blocks(a.bare)
}

func (a *account) appendAvailable(out []string) []string {
	for _, c := range a.sessions {
		if c.available {
			out = append(out, c.full)
		}
	}
	return out
}

// change is the one way an account's items change: it is stored first, then seen in memory, then pushed to clients.
// The item given to do is the present one, blank if there is none. If do fails nothing changes. It returns the item as it was.
func (s *Server) change(ctx context.Context, a *account, jid string, do func(*Item) error) (was Item, err error) {
	a.editing.Lock()
	defer a.editing.Unlock()
	s.mu.Lock()
	was = a.items[jid]
	listed := 0
	for _, i := range a.items {
		if i.Listed {
			listed++
		}
	}
	s.mu.Unlock()

	was.JID = jid
	item := was
	item.Groups = slices.Clone(was.Groups)
	if err := do(&item); err != nil {
		return was, err
	}
	if item.Listed && !was.Listed && listed >= s.limits.Roster {
		return was, stream.NewStanzaError(stream.ResourceConstraint, "the contact list is full")
	}
	if same(item, was) {
		return was, nil
	}
	if item.blank() {
		err = s.store.DeleteItem(ctx, a.name, jid)
	} else {
		err = s.store.PutItem(ctx, a.name, item)
	}
	if err != nil {
		s.log.Error("cannot keep a contact", "account", a.name, "contact", jid, "err", err)
		return was, stream.NewStanzaError(stream.InternalServerError, "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, had := a.entry(jid)
	if item.blank() {
		delete(a.items, jid)
	} else {
		a.items[jid] = item
	}
	a.push(jid, before, had)
	return was, nil
}

func same(a, b Item) bool {
	x, y := a, b
	x.Groups, y.Groups = nil, nil
	return slices.Equal(a.Groups, b.Groups) && reflect.DeepEqual(x, y)
}

// RosterChanged says that what Backend.Contacts gives has changed, for the accounts named or for all: a device appeared, went or
// was renamed, a role changed. Clients get what differs as roster pushes; the presence of contacts that are new is
// asked of the backend (a probe from each available client), and contacts that are gone become unavailable. It asks the
// backend from the caller's goroutine.
func (s *Server) RosterChanged(accounts ...string) {
	s.mu.Lock()
	if len(accounts) == 0 {
		accounts = slices.Collect(maps.Keys(s.accounts))
	}
	var changed []*account
	for _, name := range accounts {
		if a := s.accounts[name]; a != nil && a.loaded {
			changed = append(changed, a)
		}
	}
	s.mu.Unlock()
	for _, a := range changed {
		s.refresh(a)
	}
}

func (s *Server) refresh(a *account) {
	var probes []*stream.Element
	func() {
		a.editing.Lock()
		defer a.editing.Unlock()
		house := s.contacts(a.name)
		s.mu.Lock()
		defer s.mu.Unlock()
		type state struct {
			entry
			had, shown bool
		}
		before := make(map[string]state, len(a.house))
		for _, m := range []map[string]Contact{a.house, house} {
			for jid := range m {
				e, had := a.entry(jid)
				before[jid] = state{e, had, a.shows(jid)}
			}
		}
		a.house = house
		for _, jid := range slices.Sorted(maps.Keys(before)) {
			was := before[jid]
			a.push(jid, was.entry, was.had)
			switch shown := a.shows(jid); {
			case shown && !was.shown:
				probes = append(probes, a.probes(jid)...)
			case was.shown && !shown:
				s.vanish(a, jid)
			}
		}
	}()
	for _, p := range probes {
		s.backend.Deliver(p)
	}
}
