package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	nsHints    = "urn:xmpp:hints"
	nsReceipts = "urn:xmpp:receipts"

	// delayedAfter is how old an alert may be before it says so (XEP-0203).
	delayedAfter = 10 * time.Second

	// streamsUp is how long after the hub's stream those of the devices are waited for, in whose name alerts go.
	streamsUp = 10 * time.Second

	alertRetry   = 5 * time.Second
	barrierGrace = 2 * time.Second // when the bridge stops
)

// ErrAway is returned by a Network that knows the recipient to be away and does not keep messages: the alert stays in
// the outbox until they come.
var ErrAway = errors.New("recipient is away")

// ErrUnwanted is returned by a Network that knows the recipient to have blocked the sender: the alert is not sent, now or later.
var ErrUnwanted = errors.New("recipient has blocked the sender")

// alerts sends what the outbox holds and takes it out once the recipient's server, or the recipient, has it: after a
// reconnection, or a crash, what was not confirmed goes again under the same id. Each recipient has a lane: theirs come in
// order, and one whose connection hangs holds nobody else up. There are as many lanes as there are people who are told
// something just now.
type alerts struct {
	b    *Bridge
	kick chan struct{}

	mu    sync.Mutex
	lanes map[string]*lane // by recipient, while there is something for them
}

func newAlerts(b *Bridge) *alerts {
	return &alerts{b: b, kick: make(chan struct{}, 1), lanes: map[string]*lane{}}
}

// Alert says that the outbox has something new.
func (b *Bridge) Alert() { b.alerts.wake() }

func (a *alerts) wake() { poke(a.kick) }

// poke puts a token into a channel that holds one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run opens lanes until ctx is done, and waits for them.
func (a *alerts) run(ctx context.Context) {
	var lanes sync.WaitGroup
	defer lanes.Wait()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-retry.C:
		}
		recipients, err := a.b.o.Store.Recipients(ctx)
		if err != nil {
			if ctx.Err() == nil {
				a.b.log.Error("alerts not read, trying again", "err", err)
			}
			retry.Reset(alertRetry)
			continue
		}
		for _, to := range recipients {
			if l := a.open(to); l != nil {
				lanes.Go(func() { a.drive(ctx, l) })
			}
		}
	}
}

// SendNow sends alerts that could not be put into the outbox: better once and unproved than not at all.
func (b *Bridge) SendNow(ctx context.Context, messages []Outgoing) error {
	for i, m := range messages {
		if err := b.alerts.send(ctx, m); err != nil {
			return fmt.Errorf("alert: %d of %d not sent: %w", len(messages)-i, len(messages), err)
		}
	}
	return nil
}

// send makes the message: from the device itself to those who have it among their contacts, else from the hub, since
// a stranger's message lands where nobody looks.
func (a *alerts) send(ctx context.Context, m Outgoing) error {
	_, hub := a.b.addresses().Hub()
	st := stream.New(stream.NS, "message", "type", "chat", "id", m.ID, "from", a.sender(ctx, m), "to", m.To).Add(
		stream.New(stream.NS, "body").AddText(m.Body),
		stream.New(nsStanzaID, "origin-id", "id", m.ID),
		stream.New(nsHints, "store"),
		stream.New(nsReceipts, "request"))
	if age := time.Since(m.At); age > delayedAfter {
		st.Add(stream.New(nsDelay, "delay", "from", hub, "stamp", m.At.UTC().Format(xmppTime)))
	}
	err := a.b.o.Network.Send(st)
	if up := a.b.hubUp.Load(); err != nil && a.b.o.Audience == Broadcast && up != nil && time.Since(*up) > streamsUp {
		err = a.b.o.Network.Send(st.SetAttr("from", hub)) // the device has no stream: the server allows too few
	}
	return err
}

func (a *alerts) sender(ctx context.Context, m Outgoing) string {
	_, hub := a.b.addresses().Hub()
	if _, _, ok := a.b.o.House.Device(m.Device); !ok {
		return hub
	}
	bare, full := a.b.addresses().Device(m.Device)
	contact := a.b.roster.get(bare, m.To).From && a.b.access().CanSee(m.To, m.Device)
	switch a.b.o.Audience {
	case Rosters:
		contact = a.b.o.Knows == nil || a.b.o.Knows(ctx, m.To, bare)
	case Broadcast:
		contact = contact || !a.b.rosterKnown.Load()
	}
	if contact {
		return full
	}
	return hub
}

// bounced notes that a message of ours came back. To those without a role we send none.
func (b *Bridge) bounced(st *stream.Element) {
	if b.asker(st).role == mapping.None {
		return
	}
	b.endProgram(st.Attr("from"))
	b.log.Warn("message was returned", "jid", st.Attr("from"), "err", stream.ParseError(st))
}
