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
	nsCorrect  = "urn:xmpp:message-correct:0"

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
func (b *Bridge) Alert() {
	b.alerts.wake()
	b.presence.sumUp()
}

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
// a stranger's message lands where nobody looks; to a room the hub. One that says that an alert is over is preceded by a correction of the
// alert, where that is the last thing they heard.
func (a *alerts) send(ctx context.Context, m Outgoing) error {
	from := a.sender(ctx, m)
	if m.Occasion == mapping.Over {
		if err := a.correct(m, from); err != nil {
			return err // nothing may come between the two
		}
	}
	err := a.sendFrom(from, m)
	if up := a.b.hubUp.Load(); err != nil && a.b.o.Audience == Broadcast && up != nil && time.Since(*up) > streamsUp {
		_, from = a.b.addresses().Hub() // the device has no stream: the server lets it have none
		err = a.sendFrom(from, m)
	}
	if err != nil {
		return err
	}
	a.b.charts.add(m, from)
	return nil
}

// sendFrom sends the message from one of our addresses.
func (a *alerts) sendFrom(from string, m Outgoing) error {
	undo := func() {}
	if m.Alert != "" && m.Occasion.Active() {
		undo = a.b.told.note(&m, from, m.Body, time.Now())
	}
	st := a.message(m, from)
	if err := a.hand(m.To, st); err != nil {
		undo()
		return err
	}
	a.b.told.said(st)
	return nil
}

// message is what is said of an alert from one of our addresses.
func (a *alerts) message(m Outgoing, from string) *stream.Element {
	_, hub := a.b.addresses().Hub()
	words, buttons := a.b.offers(m, from)
	to, typ := wayTo(m.To)
	st := stream.New(stream.NS, "message", "type", typ, "id", m.ID, "from", from, "to", to).Add(
		stream.New(stream.NS, "body").AddText(m.Body+words), buttons,
		stream.New(nsStanzaID, "origin-id", "id", m.ID),
		stream.New(nsHints, "store"))
	if m.Occasion != mapping.Acknowledged && typ == "chat" { // that nobody waits for; a room shows us what it got
		st.Add(stream.New(nsReceipts, "request"))
	}
	if age := time.Since(m.At); age > delayedAfter {
		st.Add(stream.New(nsDelay, "delay", "from", hub, "stamp", m.At.UTC().Format(xmppTime)))
	}
	return st
}

// correct puts into an alert that it is over (XEP-0308), if it is the last thing that its address has said to somebody.
func (a *alerts) correct(m Outgoing, from string) error {
	c, ok := a.b.told.correct(&m, from)
	if !ok {
		return nil
	}
	st := stream.New(stream.NS, "message", "type", "chat", "id", c.id, "from", from, "to", m.To).Add(
		stream.New(stream.NS, "body").AddText("Over: "+c.of.Body),
		stream.New(nsCorrect, "replace", "id", c.of.ID),
		stream.New(nsStanzaID, "origin-id", "id", c.id),
		stream.New(nsHints, "store"))
	if err := a.b.o.Network.Send(st); err != nil {
		return err
	}
	a.b.told.said(st)
	return nil
}

func (a *alerts) sender(ctx context.Context, m Outgoing) string {
	_, hub := a.b.addresses().Hub()
	_, room := mapping.RoomOf(m.To)
	if _, _, ok := a.b.o.House.Device(m.Device); !ok || room {
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
