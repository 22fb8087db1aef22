package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/link"
	"tidings/xmppbridge/stream"
)

const (
	nsMUC     = "http://jabber.org/protocol/muc"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
)

// A Room is a room (XEP-0045) that the gateway joins. What may be said and done in it is a matter of access, by the name that
// mapping.RoomName gives it.
type Room struct {
	JID      string // normalised, bare
	Nick     string
	Password link.Secret // empty: none
}

// A RoomStatus is how the gateway is in a room, in words.
type RoomStatus struct {
	JID    string
	Joined bool   // and what is to be said there can be
	State  string // "joined as home", or what is wrong and what to do about it
}

// rooms are the rooms of the configuration. Each has a goroutine that joins it, keeps looking whether it still is in it and
// joins again; what comes from a room is taken by whoever calls Deliver.
type rooms struct {
	b    *Bridge
	kick chan struct{}

	mu    sync.RWMutex
	by    map[string]*room // by bare JID
	order []*room
	hub   bool // the stream that joins has been up
}

func newRooms(b *Bridge, list []Room) *rooms {
	r := &rooms{b: b, kick: make(chan struct{}, 1), by: map[string]*room{}}
	r.set(list)
	return r
}

// SetRooms puts another list of rooms in force: those that are gone are left, new ones joined, and of those that stay the nick
// and the password are the new ones.
func (b *Bridge) SetRooms(list []Room) {
	b.rooms.set(list)
	poke(b.rooms.kick)
}

func (r *rooms) set(list []Room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.by
	r.by, r.order = map[string]*room{}, nil
	for _, conf := range list {
		m := old[conf.JID]
		if m == nil {
			m = newRoom(r.b, conf)
			if r.hub {
				m.up()
			}
		} else {
			m.configure(conf)
		}
		r.by[conf.JID] = m
		r.order = append(r.order, m)
	}
}

// of returns the room a stanza came from, if it did.
func (r *rooms) of(from string) *room {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.by) == 0 {
		return nil
	}
	return r.by[bareJID(from)]
}

// up has all rooms joined anew: the stream is there (again), and whether we are still in them nobody knows.
func (r *rooms) up() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hub = true
	for _, m := range r.order {
		m.up()
	}
}

// run has a goroutine for each room until ctx is done; then they are left.
func (r *rooms) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	running := map[*room]context.CancelFunc{}
	for {
		r.mu.RLock()
		wanted := slices.Clone(r.order)
		r.mu.RUnlock()
		for m, end := range running {
			if !slices.Contains(wanted, m) {
				end()
				delete(running, m)
			}
		}
		for _, m := range wanted {
			if running[m] == nil {
				own, end := context.WithCancel(ctx)
				running[m] = end
				wg.Go(func() {
					defer end()
					m.run(own)
				})
			}
		}
		select {
		case <-ctx.Done():
			return // the contexts of all are done with it
		case <-r.kick:
		}
	}
}

// Rooms says how the gateway is in each of its rooms, in the order of the configuration.
func (b *Bridge) Rooms() []RoomStatus {
	b.rooms.mu.RLock()
	defer b.rooms.mu.RUnlock()
	var out []RoomStatus
	for _, m := range b.rooms.order {
		out = append(out, m.status())
	}
	return out
}

// deliver takes a stanza that came from a room or from somebody in it, which is the only way they reach us: to all else of the
// bridge they are nobody. It does not block.
func (m *room) deliver(st *stream.Element, fresh bool) {
	typ := st.Attr("type")
	switch {
	case st.Name == "presence":
		m.presence(st)
	case st.Name == "iq":
		m.refuseIQ(st)
	case typ == "error":
		m.bounced(st)
	case typ == "groupchat":
		m.groupchat(st, fresh)
	case strings.Contains(st.Attr("from"), "/"):
		if spoken(st) != "" {
			m.b.send(stream.ErrorReply(st, stream.NewStanzaError(stream.NotAllowed, "I listen in the room itself, to what is addressed to me there")))
		}
	default:
		m.notice(st)
	}
}

// refuseIQ refuses requests as it does a stranger's: who is behind an occupant's address may be anyone. Only our own ping comes back
// to us where the service does not answer it itself (XEP-0410 §3.3).
func (m *room) refuseIQ(iq *stream.Element) {
	query, one := payload(iq)
	switch {
	case !stream.IsRequest(iq):
	case one && iq.Attr("type") == "get" && query.Is(nsPing, "ping") && m.ourselves(iq.Attr("from")):
		m.b.send(stream.Result(iq))
	default:
		m.b.send(stream.ErrorReply(iq, errStranger))
	}
}

// notice takes what the room itself says of itself in a message: that its configuration or our affiliation changed, or that somebody
// invites us, which is a reason to try again soon (XEP-0045 §7.8.2, §9.3).
func (m *room) notice(st *stream.Element) {
	x := st.Child(nsMUCUser, "x")
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case st.Child(nsDelay, "delay") != nil:
	case x.Child(nsMUCUser, "invite") != nil, x.Child(nsMUCUser, "item") != nil:
		if soon := time.Now().Add(roomSoon); m.stage == roomOut && m.until.After(soon) {
			m.until = soon
			poke(m.kick)
		}
	default:
		m.codes(x)
	}
}

// codes looks at status codes for a change of the room's configuration: 104 and those that say which (XEP-0045 §10.2.1). Until
// it has been asked what it is now, nothing is said and done there. The lock is held.
func (m *room) codes(x *stream.Element) {
	for _, code := range statusCodes(x) {
		switch code {
		case "104", "170", "171", "172", "173", "174":
			if m.stage == roomIn {
				m.trust, m.check = unchecked, true
				poke(m.kick)
			}
		}
	}
}

func statusCodes(x *stream.Element) []string {
	var codes []string
	if x == nil {
		return nil
	}
	for c := range x.Children() {
		if c.Is(nsMUCUser, "status") {
			codes = append(codes, c.Attr("code"))
		}
	}
	return codes
}

func (m *room) status() RoomStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := RoomStatus{JID: m.jid}
	switch m.stage {
	case roomAway:
		s.State = "not joined: waiting for the connection"
	case roomOut:
		s.State = "not joined: " + m.why
	case roomJoining:
		s.State = "joining"
	case roomIn:
		if m.trust == unchecked { // nothing is said or heard yet
			s.State = "joining"
			break
		}
		s.State = "joined as " + m.nick
		if m.nick != m.conf.Nick {
			s.State += fmt.Sprintf(" (somebody else is %s)", m.conf.Nick)
		}
		switch flaw := m.flaw(); {
		case flaw != "":
			s.State += ", but " + flaw
		default:
			s.Joined = m.trust == trusted
		}
	}
	return s
}

// name is what the room is called where people are named.
func (m *room) name() string { return mapping.RoomName(m.jid) }
