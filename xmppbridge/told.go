package xmppbridge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	// MaxTold is how many messages about alerts are remembered of one person: what they may still answer to.
	MaxTold = 32
	// maxSaid bounds of how many conversations the last message is known. Beyond it nothing is corrected for a while.
	maxSaid = 10000
	// receiptWait is how long a receipt is waited for from somebody whose clients send them.
	receiptWait = 5 * time.Minute
)

// A Desk takes what people and the network say to alerts. It is safe for concurrent use and may wait for the router: it is
// asked by workers only.
type Desk interface {
	// Acknowledge notes that somebody has seen alerts, and returns those that nobody had acknowledged before.
	Acknowledge(ctx context.Context, a mapping.Acknowledge) ([]mapping.Alert, error)
	// Silence begins or ends a silence.
	Silence(ctx context.Context, s mapping.Silence) error
	// Silences are those under way.
	Silences() []mapping.SilenceState
	// Undelivered notes that a message did not reach somebody.
	Undelivered(ctx context.Context, u mapping.Undelivered) error
}

// told remembers the messages about alerts that were sent, for what comes back to them: reactions, replies, receipts and
// errors; and which message was the last that one of our addresses sent somebody, for only that may be corrected
// (XEP-0308 §3).
type told struct {
	store Store

	mu       sync.Mutex
	sent     map[string][]*Told // by person, oldest first
	receipts map[string]bool    // people who have ever sent one
	last     map[conversation]string
	corrects map[conversation]correction // the last of each
}

// A correction is what precedes the message that says that an alert is over. It goes again when that does: a stream that ended
// may have taken both along.
type correction struct {
	over, id string
	of       Told
}

// A conversation is what one of our full JIDs says to one person.
type conversation struct{ from, to string }

func loadTold(ctx context.Context, store Store) (*told, error) {
	list, err := store.Told(ctx)
	if err != nil {
		return nil, err
	}
	people, err := store.Receipting(ctx)
	if err != nil {
		return nil, err
	}
	t := &told{store: store, sent: map[string][]*Told{}, receipts: map[string]bool{}, last: map[conversation]string{}, corrects: map[conversation]correction{}}
	for i := range list {
		t.keep(&list[i])
	}
	for _, p := range people {
		t.receipts[p] = true
	}
	return t, nil
}

// keep adds a message. t.mu is held, or t not shared yet.
func (t *told) keep(m *Told) {
	list := t.sent[m.To]
	for i, old := range list {
		if old.ID == m.ID {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) >= MaxTold {
		list = list[1:]
	}
	t.sent[m.To] = append(list, m)
}

// note remembers a message about an active alert that is to go out: before it does, since it may come back at once. undo is for one
// that could not be sent.
func (t *told) note(m *Outgoing, from, body string, now time.Time) (undo func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := &Told{ID: m.ID, To: m.To, From: from, AlertRef: m.Ref(), Body: body, At: now}
	if t.receipts[m.To] {
		one.Arrival = Awaited
	}
	t.keep(one)
	t.store.SaveTold(*one)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sent[m.To] = slices.DeleteFunc(t.sent[m.To], func(other *Told) bool { return other == one })
	}
}

// said notes the last message of a conversation.
func (t *told) said(st *stream.Element) {
	if st.Name != "message" || st.Attr("type") == "error" || st.Child(stream.NS, "body") == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) >= maxSaid {
		clear(t.last)
		clear(t.corrects)
	}
	t.last[conversation{st.Attr("from"), person(st.Attr("to"))}] = st.Attr("id")
}

// find returns what somebody was told in a message.
func (t *told) find(who, id string) (Told, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.sent[who] {
		if m.ID == id && id != "" {
			return *m, true
		}
	}
	return Told{}, false
}

// correct returns the correction that is to precede a message which says that an alert is over, if the alert is the last
// thing that was said from an address, or was when that message went out first.
func (t *told) correct(m *Outgoing, from string) (correction, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := conversation{from, m.To}
	last, c := t.last[key], t.corrects[key]
	if c.over == m.ID && (last == c.id || last == m.ID) {
		return c, true
	}
	for _, one := range t.sent[m.To] {
		if one.ID == last && one.From == from && one.Same(m.Ref()) {
			c = correction{over: m.ID, id: rand.Text(), of: *one}
			t.corrects[key] = c
			return c, true
		}
	}
	return correction{}, false
}

// arrived notes a receipt.
func (t *told) arrived(who, id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.sent[who] {
		if m.ID != id {
			continue
		}
		if !t.receipts[who] {
			t.receipts[who] = true
			t.store.SaveReceipting(who)
		}
		if m.Arrival == Awaited {
			m.Arrival = Arrived
			t.store.SaveTold(*m)
		}
	}
}

// settle notes what became of a message, and reports whether that is news.
func (t *told) settle(who, id string, as Arrival) (Told, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.sent[who] {
		if m.ID == id && m.Arrival != as && m.Arrival != Arrived {
			m.Arrival = as
			t.store.SaveTold(*m)
			return *m, true
		}
	}
	return Told{}, false
}

// overdue are the messages whose receipt is missing.
func (t *told) overdue(now time.Time) []Told {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Told
	for _, list := range t.sent {
		for _, m := range list {
			if m.Arrival == Awaited && now.Sub(m.At) >= receiptWait {
				out = append(out, *m)
			}
		}
	}
	return out
}

var errNoReceipt = errors.New("no receipt has come")

// missReceipts reports messages of which no receipt has come, of people whose clients send them (XEP-0184 §5.3).
func (b *Bridge) missReceipts(now time.Time) {
	for _, m := range b.told.overdue(now) {
		if b.undelivered(m, "alert has not arrived", errNoReceipt) {
			b.told.settle(m.To, m.ID, Unknown)
		}
	}
}

// undelivered has the rules know that a message did not arrive. It reports false when nobody can be asked just now.
func (b *Bridge) undelivered(m Told, what string, why error) bool {
	return b.work.do(jobKey{m.To, m.Device}, job{do: func(ctx context.Context) {
		b.log.Warn(what, "jid", m.To, "alert", m.Alert, "device", m.Device, "err", why)
		if err := b.o.Desk.Undelivered(ctx, mapping.Undelivered{AlertRef: m.AlertRef, To: m.To, Returned: m.Arrival == Returned}); err != nil {
			b.log.Warn("alert not escalated", "alert", m.Alert, "device", m.Device, "err", err)
		}
	}, failed: func() {}})
}

// bounced notes that a message of ours came back. To those without a role we send none. An alert that came back counts as
// not delivered; the log says so, too.
func (b *Bridge) bounced(st *stream.Element) {
	a := b.asker(st)
	if a.role == mapping.None {
		return
	}
	b.endProgram(a.full)
	b.items.bounced(a.full, stream.ParseError(st))
	if m, news := b.told.settle(person(a.full), st.Attr("id"), Returned); news {
		if !b.undelivered(m, "alert was returned", stream.ParseError(st)) {
			b.told.settle(m.To, m.ID, Awaited) // tried again with the missing receipts
		}
		return
	}
	b.log.Warn("message was returned", "jid", a.full, "err", stream.ParseError(st))
}

// activeAt are the active alerts of a device, or of all, that somebody may see.
func (b *Bridge) activeAt(a asker, id devices.ID) []mapping.Alert {
	var out []mapping.Alert
	for _, alert := range b.o.House.Alerts() {
		if (id == "" || alert.Device == id) && b.sees(a, alert.Device) {
			out = append(out, alert)
		}
	}
	return out
}
