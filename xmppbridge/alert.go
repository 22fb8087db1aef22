package xmppbridge

import (
	"context"
	"errors"
	"fmt"
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

	alertBatch   = 50
	alertRetry   = 5 * time.Second
	barrierLimit = 30 * time.Second
	barrierGrace = 2 * time.Second // when the bridge stops
)

// ErrAway is returned by a Network that knows the recipient to be away and does not keep messages: the alert stays in
// the outbox until they come.
var ErrAway = errors.New("recipient is away")

// alerts sends what the outbox holds, in order for each recipient, and takes it out once the server has it: after a
// reconnection, or a crash, what was not confirmed goes again under the same id.
type alerts struct {
	b    *Bridge
	kick chan struct{}
}

func newAlerts(b *Bridge) *alerts { return &alerts{b: b, kick: make(chan struct{}, 1)} }

// Alert says that the outbox has something new.
func (b *Bridge) Alert() { b.alerts.wake() }

func (a *alerts) wake() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

func (a *alerts) run(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-retry.C:
		}
		if err := a.flush(ctx); err != nil && ctx.Err() == nil {
			a.b.log.Debug("alerts wait", "err", err)
			retry.Reset(alertRetry)
		}
	}
}

// flush sends everything pending, batch by batch. Messages to someone who is away stay; those behind them go on.
func (a *alerts) flush(ctx context.Context) error {
	away := map[string]bool{}
	for after := int64(0); ; {
		batch, err := a.b.o.Store.Pending(ctx, after, alertBatch)
		if err != nil || len(batch) == 0 {
			return err
		}
		var sent []int64
		for _, m := range batch {
			after = m.Seq
			if away[m.To] {
				continue
			}
			switch err := a.send(ctx, m); {
			case errors.Is(err, ErrAway):
				away[m.To] = true
			case err != nil:
				return errors.Join(err, a.confirm(ctx, sent))
			default:
				sent = append(sent, m.Seq)
			}
		}
		if err := errors.Join(a.confirm(ctx, sent), ctx.Err()); err != nil {
			return err
		}
	}
}

// confirm waits until the server has taken over what was sent, then forgets it. When the bridge stops meanwhile it still
// waits for a moment: what the server has would otherwise be said again by the next life of the gateway.
func (a *alerts) confirm(ctx context.Context, sent []int64) error {
	if len(sent) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), barrierLimit)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		sleep(limited, barrierGrace)
		cancel()
	})()
	if err := a.b.o.Network.Barrier(limited); err != nil {
		return err
	}
	return a.b.o.Store.Sent(ctx, sent...)
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
	b.log.Warn("message was returned", "jid", st.Attr("from"), "err", stream.ParseError(st))
}
