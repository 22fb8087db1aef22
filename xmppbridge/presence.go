package xmppbridge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// presences holds what each of our addresses shows and sends it to those who watch, the latest only: an address that
// changed is marked, and one goroutine sends the marked ones, paced. What is marked is bounded by how many devices
// there are.
type presences struct {
	b *Bridge

	mu        sync.Mutex
	shown     map[devices.ID]mapping.Presence // what mapping said last
	marked    []devices.ID                    // in order; hubKey is the hub
	pending   map[devices.ID]struct{}
	suspended map[string]struct{} // subscribers whose server returned our presence
	queue     queue               // what goes to single watchers
	ready     chan struct{}

	// Where the hub speaks for all devices, its presence sums them up.
	stale  bool      // they have changed
	summed time.Time // when it was last sent because of that
}

const nsIdle = "urn:xmpp:idle:1"

// hubKey stands for the hub among devices: no device has an empty id.
const hubKey devices.ID = ""

func presenceKey(t mapping.Target) devices.ID {
	if t.Kind == mapping.ToDevice {
		return t.ID
	}
	return hubKey
}

func newPresences(b *Bridge) *presences {
	return &presences{b: b, shown: map[devices.ID]mapping.Presence{}, pending: map[devices.ID]struct{}{},
		suspended: map[string]struct{}{}, ready: make(chan struct{}, 1)}
}

// Present takes what a device shows from now on. It never blocks; of several the last is sent.
func (b *Bridge) Present(p mapping.Presence) {
	b.presence.mu.Lock()
	before, known := b.presence.shown[p.Device]
	b.presence.shown[p.Device] = p
	b.presence.mu.Unlock()
	if before.Online != p.Online {
		b.events.changed(p.Device, onlineField)
	}
	if before.Since = p.Since; !known || before != p {
		b.presence.mark(p.Device)
	}
	if !known || before.Online != p.Online || before.Show != p.Show {
		b.presence.sumUp()
	}
}

// Withdraw ends what a device had on XMPP: it is gone for good. Those who watched it see it go.
func (b *Bridge) Withdraw(id devices.ID) {
	bare, full := b.addresses().Device(id)
	hub, _ := b.addresses().Hub()
	b.presence.forget(id, full)
	b.presence.sumUp()
	b.events.endIf(func(w *watch) bool { return w.device == id })
	b.items.withdraw(id)
	b.publisher.withdraw(id)
	if bare == hub {
		return // a resource of the hub: its subscriptions stand
	}
	for _, sub := range b.roster.of(bare) {
		b.revoke(sub)
	}
}

// mark has an address's presence sent.
func (p *presences) mark(ids ...devices.ID) {
	p.mu.Lock()
	for _, id := range ids {
		if _, ok := p.pending[id]; !ok {
			p.pending[id] = struct{}{}
			p.marked = append(p.marked, id)
		}
	}
	p.mu.Unlock()
	poke(p.ready)
}

// all marks everything: a stream came up, so those who watch know nothing or something old. What no device has said
// yet goes out as unavailable.
func (p *presences) all() {
	ids := []devices.ID{hubKey}
	for _, d := range p.b.o.House.Devices() {
		ids = append(ids, d.ID)
	}
	p.mu.Lock()
	clear(p.suspended)
	p.queue.due = len(p.queue.owed) > 0
	p.mu.Unlock()
	p.mark(ids...)
}

func (p *presences) next() (devices.ID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marked) == 0 {
		p.marked = nil
		return "", false
	}
	id := p.marked[0]
	p.marked = p.marked[1:]
	delete(p.pending, id)
	return id, true
}

// run sends marked presence, and what single watchers are to be shown, until ctx is done. The pace is a token bucket: short
// bursts pass at once.
func (p *presences) run(ctx context.Context) {
	pace := newPacer(p.b.o.Pace)
	rest := func(n int, err error) error {
		if errors.Is(err, stream.ErrFull) { // the server is slow
			n = max(n, p.b.o.Pace/10)
		}
		return pace.wait(ctx, n)
	}
	later := time.NewTimer(0)
	defer later.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.ready:
		case <-later.C:
		}
		if wait := p.sum(); wait > 0 {
			later.Reset(wait)
		}
		for more := true; more; {
			var id devices.ID
			marked := true
			for i := 0; i < showBatch && marked; i++ { // then it is the others' turn
				if id, marked = p.next(); !marked {
					break
				}
				n, err := p.broadcast(id)
				if errors.Is(err, stream.ErrFull) {
					p.mark(id) // once more, with whatever it shows by then
				}
				if rest(n, err) != nil {
					return
				}
			}
			n, waits, err := p.serve()
			if rest(n, err) != nil {
				return
			}
			more = marked || waits
		}
	}
}

// broadcast sends one address's presence to everyone who watches it. It returns how many stanzas that took, and the
// first error in sending.
func (p *presences) broadcast(id devices.ID) (n int, err error) {
	if id != hubKey {
		if _, _, ok := p.b.o.House.Device(id); !ok || p.b.addresses().Single() {
			return 0, nil // gone since it was marked, or without an address of its own
		}
	}
	st := p.stanza(id)
	n, err = p.tell(st, id)
	if id == hubKey && p.b.o.Audience == Subscribers {
		// The domain itself is the gateway, too, for those who have it as a contact.
		more, errMore := p.tell(p.hubStanza(mapping.ToDomain), id)
		n, err = n+more, errors.Join(err, errMore)
	}
	return n, err
}

// tell sends a presence to everyone who watches its from. It changes the stanza's to.
func (p *presences) tell(st *stream.Element, id devices.ID) (n int, err error) {
	if p.b.o.Audience == Broadcast {
		return 1, p.b.send(st)
	}
	for _, watcher := range p.audience(bareJID(st.Attr("from")), id) {
		n++
		if e := p.b.send(st.SetAttr("to", watcher)); err == nil {
			err = e
		}
	}
	return n, err
}

// audience are the bare JIDs that see one of our addresses.
func (p *presences) audience(bare string, id devices.ID) []string {
	var everyone []string
	if p.b.o.Audience == Rosters {
		everyone = p.b.o.Accounts()
	} else {
		everyone = p.b.roster.watchers(bare)
	}
	access := p.b.access()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := everyone[:0:0]
	for _, w := range everyone {
		if _, no := p.suspended[w]; !no && mayHave(access, w, id) {
			out = append(out, w)
		}
	}
	return out
}

func mayHave(access *mapping.Access, watcher string, id devices.ID) bool {
	if id == hubKey {
		return access.Role(watcher) != mapping.None
	}
	return access.CanSee(watcher, id)
}

// stanza makes the presence of an address as it is now, without a recipient.
func (p *presences) stanza(id devices.ID) *stream.Element {
	if id == hubKey {
		return p.hubStanza(mapping.ToHub)
	}
	_, full := p.b.addresses().Device(id)
	p.mu.Lock()
	shown, known := p.shown[id]
	p.mu.Unlock()
	st := stream.New(stream.NS, "presence", "from", full)
	if !known {
		_, shown.Status = p.b.o.House.Online(id)
	}
	if !shown.Online {
		st.SetAttr("type", "unavailable")
	}
	if shown.Show != "" && shown.Online {
		st.Add(stream.New(stream.NS, "show").AddText(shown.Show))
	}
	if shown.Status != "" {
		st.Add(stream.New(stream.NS, "status").AddText(shown.Status))
	}
	if !shown.Online {
		return st
	}
	if shown.Show == mapping.ShowAway {
		if _, state, ok := p.b.o.House.Device(id); ok && !state.Heard.IsZero() {
			st.Add(stream.New(nsIdle, "idle", "since", state.Heard.UTC().Format(xmppTime))) // XEP-0319
		}
	}
	return st.Add(p.priority(-1), p.b.caps.element(p.b.identify(mapping.Target{Kind: mapping.ToDevice})), p.b.photo(id))
}

// hubStanza makes the presence of the gateway as its hub or as its domain: they differ in what disco says of them.
func (p *presences) hubStanza(kind mapping.TargetKind) *stream.Element {
	_, from := p.b.addresses().Hub()
	if kind == mapping.ToDomain {
		from = p.b.addresses().Domain()
	}
	st := stream.New(stream.NS, "presence", "from", from)
	if p.b.addresses().Single() {
		st = p.sumStanza(from)
	} else {
		st.Add(stream.New(stream.NS, "status").AddText(p.b.name()))
	}
	return st.Add(p.priority(5),
		p.b.caps.element(p.b.identify(mapping.Target{Kind: kind})), p.b.photo(hubKey))
}

// priority matters where the addresses are resources of one account: messages to it are the hub's (RFC 6121 §8.5.2).
func (p *presences) priority(n int) *stream.Element {
	if p.b.o.Audience != Broadcast {
		return nil
	}
	text := "5"
	if n < 0 {
		text = "-1"
	}
	return stream.New(stream.NS, "priority").AddText(text)
}

// hide sends unavailable for every resource of a target to one watcher. The target may be the address of a device that
// is no longer there.
func (p *presences) hide(target, watcher string) error {
	addresses := p.b.addresses()
	local, _, found := strings.Cut(target, "@")
	if !found {
		return p.b.send(presenceTo("unavailable", target, watcher))
	}
	hub, full := addresses.Hub()
	if hub != target {
		return p.b.send(presenceTo("unavailable", target+"/"+local, watcher))
	}
	err := p.b.send(presenceTo("unavailable", full, watcher))
	for _, d := range p.b.o.House.Devices() {
		if bare, full := addresses.Device(d.ID); bare == target {
			err = errors.Join(err, p.b.send(presenceTo("unavailable", full, watcher)))
		}
	}
	return err
}

func (p *presences) forget(id devices.ID, full string) {
	p.mu.Lock()
	delete(p.shown, id)
	p.mu.Unlock()
	if p.b.addresses().Single() {
		return
	}
	if p.b.o.Audience == Broadcast {
		p.b.send(stream.New(stream.NS, "presence", "type", "unavailable", "from", full))
		return
	}
	for _, w := range p.audience(bareJID(full), id) {
		p.must(debt{"unavailable", full, w}, id)
	}
}

// suspend stops presence to a subscriber whose server sent ours back; hearing from them, or a new stream, resumes it.
func (p *presences) suspend(target, watcher string) {
	if !p.b.roster.get(target, watcher).From {
		return // a stranger could fill the memory
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspended[watcher] = struct{}{}
}

func (p *presences) resume(watcher string) {
	p.mu.Lock()
	_, was := p.suspended[watcher]
	delete(p.suspended, watcher)
	p.mu.Unlock()
	if !was {
		return
	}
	for _, sub := range p.b.roster.all() {
		if sub.Watcher == watcher && sub.From && p.b.mayKeep(sub.Target, watcher) {
			p.show(showing{to: watcher, target: sub.Target})
		}
	}
}

// goodbyeLimit is how long saying goodbye may take where a server is slow to take it.
const goodbyeLimit = 5 * time.Second

// goodbye sends everyone unavailable: the devices first, the hub last.
func (p *presences) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeLimit)
	defer cancel()
	const why = "the gateway is stopping"
	p.mu.Lock()
	for id, s := range p.shown {
		s.Online, s.Show, s.Status = false, "", why
		p.shown[id] = s
	}
	p.mu.Unlock()
	for _, d := range p.b.o.House.Devices() {
		for {
			_, err := p.broadcast(d.ID)
			if !errors.Is(err, stream.ErrFull) {
				break
			}
			if !sleep(ctx, 50*time.Millisecond) {
				return
			}
		}
	}
	_, full := p.b.addresses().Hub()
	st := stream.New(stream.NS, "presence", "type", "unavailable", "from", full).
		Add(stream.New(stream.NS, "status").AddText(why))
	_, err := p.tell(st, hubKey)
	if err == nil && p.b.o.Audience == Subscribers {
		_, err = p.tell(st.SetAttr("from", p.b.addresses().Domain()), hubKey)
	}
	if err != nil {
		p.b.log.Debug("goodbye not said to everyone", "err", err)
	}
}

// sleep waits, and reports false when ctx was done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// A pacer lets n events a second pass, in bursts of as many as a tenth of a second allows.
type pacer struct {
	every time.Duration
	next  time.Time
}

func newPacer(perSecond int) *pacer { return &pacer{every: time.Second / time.Duration(perSecond)} }

// wait counts n events and waits when they came too fast.
func (p *pacer) wait(ctx context.Context, n int) error {
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(n) * p.every)
	ahead := p.next.Sub(now) - 100*time.Millisecond
	if ahead <= 0 {
		return ctx.Err()
	}
	if !sleep(ctx, ahead) {
		return ctx.Err()
	}
	return nil
}
