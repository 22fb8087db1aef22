package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// roomReflect is how long the room may take to show us what we said, before it is asked whether we are in it at all.
const roomReflect = 10 * time.Second

// A flight is what is known of alerts on their way to a room. It is guarded by the room's lock.
type flight struct {
	turns  int           // counts what ends the hope for them: leaving the room, a message that came back
	turned chan struct{} // closed when turns counts
	since  int           // turns when the first of those that no barrier covers was sent
	begun  bool          // there are some
}

func (f *flight) turn() {
	f.turns++
	close(f.turned)
	f.turned = make(chan struct{})
}

// roomNamed finds the room that a recipient's name stands for.
func (b *Bridge) roomNamed(to string) (m *room, isRoom bool) {
	bare, isRoom := mapping.RoomOf(to)
	if !isRoom {
		return nil, false
	}
	b.rooms.mu.RLock()
	defer b.rooms.mu.RUnlock()
	return b.rooms.by[bare], true
}

// barrier waits until a recipient, or their server, has taken over what was sent to them.
func (b *Bridge) barrier(ctx context.Context, to string) error {
	if m, is := b.roomNamed(to); m != nil {
		return m.barrier(ctx)
	} else if is {
		return errors.New("the room is not in the configuration any more")
	}
	return b.o.Network.Barrier(ctx, to)
}

// wayTo is where a message to a recipient goes, and its type.
func wayTo(to string) (jid, typ string) {
	if room, is := mapping.RoomOf(to); is {
		return room, "groupchat"
	}
	return to, "chat"
}

// hand gives a message for a recipient to the network, or to the room that it is for.
func (a *alerts) hand(to string, st *stream.Element) error {
	if m, is := a.b.roomNamed(to); is {
		return m.send(st)
	}
	return a.b.o.Network.Send(st)
}

// send says an alert in the room, or that it has to wait: until we are in it, until it is members-only, until we have a voice.
// Nobody in it is asked for a receipt; that the room shows us the message is one (see confirm).
func (m *room) send(st *stream.Element) error {
	if m == nil {
		return fmt.Errorf("%w: the room is not in the configuration", ErrAway)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.closed(); err != nil {
		return err
	}
	if err := m.b.o.Network.Send(st); err != nil {
		return err
	}
	if !m.flight.begun {
		m.flight.begun, m.flight.since = true, m.flight.turns
	}
	return nil
}

// closed says why nothing can be said in the room, or is to be said there, just now. The lock is held.
func (m *room) closed() error {
	switch flaw := m.flaw(); {
	case m.stage != roomIn || m.trust == unchecked:
		return fmt.Errorf("%w: not in the room", ErrAway)
	case flaw != "":
		return fmt.Errorf("%w: %s", ErrAway, flaw)
	}
	return nil
}

// maySay keeps from a room what was meant for it when it was still members-only: an answer that took its time, a picture.
func (b *Bridge) maySay(st *stream.Element) error {
	if st.Name != "message" || st.Attr("type") != "groupchat" {
		return nil
	}
	m := b.rooms.of(st.Attr("to"))
	if m == nil {
		return fmt.Errorf("%w: the room is not in the configuration", ErrAway)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed()
}

// barrier returns nil once the room has what was said in it since the last barrier: either it showed us all of it, and whoever
// waits ends ctx, or a ping to ourselves behind it came back through the room. An error says that some may be lost.
func (m *room) barrier(ctx context.Context) error {
	m.mu.Lock()
	turned, lost, begun := m.flight.turned, m.flight.begun && m.flight.since != m.flight.turns, m.begun
	m.flight.begun = false
	m.mu.Unlock()
	if lost {
		return errors.New("the room did not take all of it")
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-turned:
			return errors.New("the room did not take all of it")
		case <-time.After(roomReflect):
		}
		still, known := stillIn(m.pinged(ctx))
		m.mu.Lock()
		if known && !still && m.begun == begun && m.stage == roomIn {
			m.heard = time.Time{} // the room's own goroutine finds out, too
			poke(m.kick)
		}
		m.mu.Unlock()
		switch {
		case known && still:
			select {
			case <-turned:
				continue
			default:
				return nil
			}
		case known:
			return errors.New("no longer in the room")
		}
	}
}

// bounced takes a message of ours that the room did not take. One that has no voice, or a room that wants none of it, is left
// alone for a while; where only time is needed it is said again.
func (m *room) bounced(st *stream.Element) {
	e := stream.ParseError(st)
	m.mu.Lock()
	defer m.mu.Unlock()
	if st.Name != "message" || m.stage != roomIn {
		return
	}
	m.b.log.Warn("a room did not take a message", "room", m.jid, "err", e)
	switch {
	case e.Condition == stream.NotAcceptable || e.Condition == stream.ItemNotFound: // not in it: XEP-0045 §7.4
		m.out("we were no longer in it")
		m.until = time.Time{}
		poke(m.kick)
		return
	case e.Type != stream.TypeWait && !unreachable(e):
		m.muted = time.Now().Add(roomKicked)
		poke(m.kick)
	}
	m.flight.turn()
}

// shown takes what we said, as the room shows it to everybody, with the id by which others refer to it (XEP-0359, XEP-0444 §4.2).
func (m *room) shown(st *stream.Element) {
	m.mu.Lock()
	for c := range st.Children() {
		if c.Is(nsStanzaID, "stanza-id") && c.Attr("by") == m.jid && st.Attr("id") != "" {
			m.ids = append(m.ids, sentID{strings.Clone(c.Attr("id")), strings.Clone(ownID(st))})
			m.ids = m.ids[max(len(m.ids)-MaxTold, 0):]
		}
	}
	m.mu.Unlock()
	m.b.alerts.received(m.name(), ownID(st))
}

// ownID is the id that a message of ours had: a room may give messages others.
func ownID(st *stream.Element) string {
	if id := st.Child(nsStanzaID, "origin-id").Attr("id"); id != "" {
		return id
	}
	return st.Attr("id")
}

// A sentID is a message of ours by the id that the room gave it.
type sentID struct{ room, own string }

// saidOf is what we said about an alert in the message that others refer to by an id.
func (m *room) saidOf(id string) (Told, bool) {
	m.mu.Lock()
	for _, sent := range m.ids {
		if sent.room == id {
			id = sent.own
		}
	}
	m.mu.Unlock()
	return m.b.told.find(m.name(), id)
}
