package xmppbridge

import (
	"errors"
	"slices"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	// showBatch is how many presences go to one watcher before it is another's turn.
	showBatch = 50
	// maxProbing bounds the queue of showings for clients that asked; beyond it all clients of that person are shown, whose
	// number is that of subscriptions.
	maxProbing = 1000
)

// A showing is somebody to be shown what there is at an address of ours: after a subscription, a probe or a login. There
// is one for each pair, which begins anew when it is asked for again: so the queue is bounded by who may ask.
type showing struct {
	to     string // a full JID, or a bare one
	target string // one of our bare JIDs; empty: the whole house
	device devices.ID
	only   bool // the device alone
}

// A debt is a stanza that has to reach someone although it could not be sent: that something is no longer there for them,
// or that we want to see their presence. There is one for each pair of addresses and type, so there are no more than
// watchers times what they saw.
type debt struct{ typ, from, to string }

// A position is how far a showing has come. The zero value is before everything.
type position struct {
	begun bool
	last  devices.ID // the last one shown; the hub is the first
}

// queue is what goes to single watchers. It is guarded by presences.mu.
type queue struct {
	showings []showing
	at       map[showing]position // how far the ones in the list have come
	owed     map[debt]devices.ID
	due      bool // something owed may be sent by now
	revoke   bool // a subscription could not be revoked for a full queue
}

// show queues a showing. It never blocks.
func (p *presences) show(s showing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue.showings) >= maxProbing && p.b.o.Audience == Subscribers {
		s.to = person(s.to)
	}
	if _, waits := p.queue.at[s]; !waits {
		p.queue.showings = append(p.queue.showings, s)
	}
	if p.queue.at == nil {
		p.queue.at = map[showing]position{}
	}
	p.queue.at[s] = position{}
	poke(p.ready)
}

// owe keeps a stanza until it could be sent; id is the device it is about, or hubKey.
func (p *presences) owe(d debt, id devices.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.owed == nil {
		p.queue.owed = map[debt]devices.ID{}
	}
	p.queue.owed[d] = id
	p.queue.due = true
	poke(p.ready)
}

// must sends what may not get lost: now, or when it can be sent.
func (p *presences) must(d debt, id devices.ID) {
	if p.b.send(presenceTo(d.typ, d.from, d.to)) != nil {
		p.owe(d, id)
	}
}

// revokeAgain has revocations that a full queue refused tried again.
func (p *presences) revokeAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.revoke = true
	poke(p.ready)
}

// serve sends some of what is queued for single watchers. It returns how many stanzas that took, whether there is more, and
// ErrFull when the network takes no more for the moment: the rest stays.
func (p *presences) serve() (n int, more bool, err error) {
	p.mu.Lock()
	owed, revoke := map[debt]devices.ID(nil), p.queue.revoke
	if p.queue.due {
		owed, p.queue.owed = p.queue.owed, nil
	}
	p.queue.due, p.queue.revoke = false, false
	p.mu.Unlock()
	if revoke {
		p.b.revokeLost()
		p.mu.Lock()
		revoke = p.queue.revoke
		p.mu.Unlock()
		if revoke {
			err = stream.ErrFull
		}
	}
	if n, err = p.repay(owed, err); err != nil {
		return n, true, err
	}
	p.mu.Lock()
	if len(p.queue.showings) == 0 {
		more = p.queue.due || p.queue.revoke
		p.mu.Unlock()
		return n, more, nil
	}
	s := p.queue.showings[0]
	p.queue.showings = p.queue.showings[1:]
	at := p.queue.at[s]
	delete(p.queue.at, s)
	p.mu.Unlock()
	at, shown, over, err := p.present(s, at)
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, anew := p.queue.at[s]; !over && !anew {
		p.queue.showings = append(p.queue.showings, s)
		p.queue.at[s] = at
	}
	return n + shown, len(p.queue.showings) > 0 || p.queue.due || p.queue.revoke, err
}

// repay sends what is owed, showBatch of it. What cannot be sent stays owed: when the queue is full until there is room, otherwise until
// a stream comes up. err is ErrFull when it is full already.
func (p *presences) repay(owed map[debt]devices.ID, err error) (int, error) {
	n := 0
	for d, id := range owed {
		if n >= showBatch {
			p.owe(d, id) // the others' turn first
			continue
		}
		if err == nil && !p.stands(d, id) {
			continue
		}
		e := err
		if e == nil {
			n++
			e = p.pay(d)
		}
		switch full := errors.Is(e, stream.ErrFull); {
		case e == nil:
			continue
		case full:
			err = e
			p.owe(d, id)
		default:
			p.mu.Lock()
			if p.queue.owed == nil {
				p.queue.owed = map[debt]devices.ID{}
			}
			p.queue.owed[d] = id
			p.mu.Unlock()
		}
	}
	return n, err
}

// pay sends what is owed. That somebody was asked is noted before, since the answer may come at once, and taken back when it
// did not go out.
func (p *presences) pay(d debt) error {
	before := p.b.roster.get(d.from, d.to)
	st := presenceTo(d.typ, d.from, d.to)
	if d.typ == "subscribe" {
		p.b.change(d.from, d.to, func(s *Subscription) { s.Asked = !s.To })
		st = p.b.subscribing(d.from, d.to)
	}
	err := p.b.send(st)
	if d.typ == "subscribe" && err != nil {
		p.b.change(d.from, d.to, func(s *Subscription) { s.Asked = before.Asked && !s.To })
	}
	return err
}

// stands reports whether a debt is still one: what was hidden may be seen again, and who was to be asked may have said
// something by themselves.
func (p *presences) stands(d debt, id devices.ID) bool {
	if d.typ == "subscribe" {
		sub := p.b.roster.get(d.from, d.to)
		return sub.From && !sub.To && p.b.mayKeep(d.from, d.to)
	}
	_, _, there := p.b.o.House.Device(id)
	return !there || !p.b.access().CanSee(d.to, id)
}

// present sends some presences of a showing, from a position on, and returns where it came to, how many that took, and whether
// that is all. Whoever may no longer see something is not shown it. When nobody can be told, that is all: who comes back, or
// the next stream, has it all shown again.
func (p *presences) present(s showing, at position) (to position, n int, over bool, err error) {
	access, watcher := p.b.access(), person(s.to)
	if s.target != "" && p.b.o.Audience == Subscribers && !p.b.roster.get(s.target, watcher).From {
		return at, 0, true, nil
	}
	list := p.after(s, at)
	for _, id := range list {
		if mayHave(access, watcher, id) {
			st := (*stream.Element)(nil)
			if id == hubKey && s.target == p.b.addresses().Domain() {
				st = p.hubStanza(mapping.ToDomain)
			} else {
				st = p.stanza(id)
			}
			if err = p.b.send(st.SetAttr("to", s.to)); errors.Is(err, stream.ErrFull) {
				return at, n, false, err
			} else if err != nil {
				return at, n, true, nil
			}
			n++
		}
		at = position{true, id}
	}
	return at, n, len(list) < showBatch, nil
}

// after returns the keys of the next that there are at a showing's address, showBatch of them unless they are the last. A device
// that comes meanwhile is marked as well.
func (p *presences) after(s showing, at position) []devices.ID {
	addresses := p.b.addresses()
	hub, _ := addresses.Hub()
	t, _ := addresses.Resolve(s.target)
	if s.only {
		t = mapping.Target{Kind: mapping.ToDevice, ID: s.device}
	}
	switch {
	case t.Kind == mapping.ToDevice:
		if _, _, there := p.b.o.House.Device(t.ID); !there || at.begun {
			return nil
		}
		return []devices.ID{t.ID}
	case s.target != "" && s.target != hub: // the domain
		if at.begun {
			return nil
		}
		return []devices.ID{hubKey}
	}
	var list []devices.ID
	if !at.begun {
		list = append(list, hubKey)
	}
	all := p.b.o.House.Devices()
	from, _ := slices.BinarySearchFunc(all, at.last, func(d *mapping.Device, last devices.ID) int {
		if d.ID <= last {
			return -1
		}
		return 1
	})
	for _, d := range all[from:] {
		if bare, _ := addresses.Device(d.ID); s.target != "" && bare != hub {
			continue
		}
		if list = append(list, d.ID); len(list) >= showBatch {
			break
		}
	}
	return list
}
