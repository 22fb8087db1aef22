package xmppbridge

import (
	"context"
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
	suspended map[string]struct{} // watchers whose server returned our presence
	ready     chan struct{}
}

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
	if before.Since = p.Since; !known || before != p {
		b.presence.mark(p.Device)
	}
}

// Withdraw ends what a device had on XMPP: it is gone for good. Those who watched it see it go.
func (b *Bridge) Withdraw(id devices.ID) {
	bare, full := b.addresses().Device(id)
	hub, _ := b.addresses().Hub()
	b.presence.forget(id, full)
	if bare == hub {
		return // a resource of the hub: its subscriptions stand
	}
	for _, sub := range b.roster.all() {
		if sub.Target == bare {
			b.revoke(sub)
		}
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
	select {
	case p.ready <- struct{}{}:
	default:
	}
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

// run sends marked presence until ctx is done. The pace is a token bucket: short bursts pass at once.
func (p *presences) run(ctx context.Context) {
	pace := newPacer(p.b.o.Pace)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.ready:
		}
		for id, ok := p.next(); ok; id, ok = p.next() {
			if err := pace.wait(ctx, p.broadcast(id)); err != nil {
				return
			}
		}
	}
}

// broadcast sends one address's presence to everyone who watches it and returns how many stanzas that took.
func (p *presences) broadcast(id devices.ID) int {
	st := p.stanza(id)
	if p.b.o.Audience == Broadcast {
		p.b.send(st)
		return 1
	}
	bare := bareJID(st.Attr("from"))
	n := 0
	for _, watcher := range p.audience(bare, id) {
		n++
		p.b.send(st.SetAttr("to", watcher))
	}
	return n
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
		_, full := p.b.addresses().Hub()
		return stream.New(stream.NS, "presence", "from", full).Add(
			stream.New(stream.NS, "status").AddText(p.b.name()), p.priority(5),
			p.b.caps.element(p.b.identify(mapping.Target{Kind: mapping.ToHub})))
	}
	_, full := p.b.addresses().Device(id)
	p.mu.Lock()
	shown, known := p.shown[id]
	p.mu.Unlock()
	st := stream.New(stream.NS, "presence", "from", full)
	if !known || !shown.Online {
		st.SetAttr("type", "unavailable")
	}
	if shown.Show != "" && shown.Online {
		st.Add(stream.New(stream.NS, "show").AddText(shown.Show))
	}
	if shown.Status != "" {
		st.Add(stream.New(stream.NS, "status").AddText(shown.Status))
	}
	if !known || !shown.Online {
		return st
	}
	return st.Add(p.priority(-1), p.b.caps.element(p.b.identify(mapping.Target{Kind: mapping.ToDevice})))
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

// sendTarget sends the presence of every resource of one of our bare JIDs that the watcher may see.
func (p *presences) sendTarget(target, watcher, to string) {
	access, addresses := p.b.access(), p.b.addresses()
	if hub, _ := addresses.Hub(); hub == target || target == addresses.Domain() {
		p.b.send(p.stanza(hubKey).SetAttr("to", to))
	}
	for _, d := range p.b.o.House.Devices() {
		if bare, _ := addresses.Device(d.ID); bare == target && access.CanSee(watcher, d.ID) {
			p.b.send(p.stanza(d.ID).SetAttr("to", to))
		}
	}
}

// sendAll sends someone the presence of the hub and of every device they may see.
func (p *presences) sendAll(to string) {
	p.b.send(p.stanza(hubKey).SetAttr("to", to))
	for _, d := range p.b.visible(asker{bare: bareJID(to)}) {
		p.b.send(p.stanza(d.ID).SetAttr("to", to))
	}
}

// hide sends unavailable for every resource of a target to one watcher.
func (p *presences) hide(target, watcher string) {
	addresses := p.b.addresses()
	if hub, full := addresses.Hub(); hub == target {
		p.b.send(presenceTo("unavailable", full, watcher))
	}
	for _, d := range p.b.o.House.Devices() {
		if bare, full := addresses.Device(d.ID); bare == target {
			p.b.send(presenceTo("unavailable", full, watcher))
		}
	}
}

func (p *presences) forget(id devices.ID, full string) {
	p.mu.Lock()
	delete(p.shown, id)
	p.mu.Unlock()
	if p.b.o.Audience == Broadcast {
		p.b.send(stream.New(stream.NS, "presence", "type", "unavailable", "from", full))
		return
	}
	for _, w := range p.audience(bareJID(full), id) {
		p.b.send(presenceTo("unavailable", full, w))
	}
}

// suspend stops presence to someone whose server sent ours back; hearing from them, or a new stream, resumes it.
func (p *presences) suspend(watcher string) {
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
		if sub.Watcher == watcher && sub.From {
			p.sendTarget(sub.Target, watcher, watcher)
		}
	}
}

// goodbye sends everyone unavailable.
func (p *presences) goodbye() {
	p.mu.Lock()
	for id, s := range p.shown {
		s.Online, s.Show, s.Status = false, "", "the gateway is stopping"
		p.shown[id] = s
	}
	p.mu.Unlock()
	for _, d := range p.b.o.House.Devices() {
		p.broadcast(d.ID)
	}
	_, full := p.b.addresses().Hub()
	st := stream.New(stream.NS, "presence", "type", "unavailable", "from", full)
	if p.b.o.Audience == Broadcast {
		p.b.send(st)
		return
	}
	for _, w := range p.audience(bareJID(full), hubKey) {
		p.b.send(st.SetAttr("to", w))
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
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
