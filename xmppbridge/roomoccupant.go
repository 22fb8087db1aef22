package xmppbridge

import (
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	// maxOccupants bounds those who are known of one room, and maxNick the length of a nick, which is a resource (RFC 7622 §3.4).
	// Whoever is not known is nobody.
	maxOccupants = 3000
	maxNick      = 1023
)

// An occupant is somebody in a room whose real address the room tells.
type occupant struct {
	person string // normalised, bare
}

// hubTarget is the hub among our addresses.
var hubTarget = mapping.Target{Kind: mapping.ToHub}

// presence takes who comes and goes, we ourselves among them (XEP-0045 §7.1, §7.14).
func (m *room) presence(st *stream.Element) {
	_, nick, full := strings.Cut(st.Attr("from"), "/")
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hear()
	x := st.Child(nsMUCUser, "x")
	item := x.Child(nsMUCUser, "item")
	switch typ := st.Attr("type"); {
	case typ == "error":
		m.presenceError(st)
	case !full || x == nil:
	case typ == "unavailable" && m.isSelf(nick, x) && m.stage != roomOut && m.stage != roomAway:
		m.gone(x, item)
	case typ == "unavailable":
		m.forget(nick)
		if nick == m.conf.Nick && m.stage == roomIn && m.nick != nick { // it is free
			m.own = time.Time{}
			poke(m.kick)
		}
	case typ != "":
	case m.isSelf(nick, x) && (m.stage == roomJoining || m.stage == roomIn):
		if hasCode(x, "201") { // there was none, and now there is one that nobody has configured
			m.nick = nick
			m.goodbye()
			m.refused(stream.NewStanzaError(stream.ItemNotFound, ""))
			return
		}
		m.joined(nick, item)
	case m.stage == roomJoining || m.stage == roomIn: // they are told before we are
		m.remember(nick, item)
	}
}

// isSelf reports whether a presence is our own: it says so, or is under the nick that we asked for. The lock is held.
func (m *room) isSelf(nick string, x *stream.Element) bool {
	return hasCode(x, "110") || nick == m.nick
}

func hasCode(x *stream.Element, code string) bool {
	for _, c := range statusCodes(x) {
		if c == code {
			return true
		}
	}
	return false
}

// presenceError is a refusal to let us in, or to let us have another nick.
func (m *room) presenceError(st *stream.Element) {
	e := stream.ParseError(st)
	switch m.stage {
	case roomJoining:
		m.refused(e)
	case roomIn:
		m.b.log.Debug("room refused a presence", "room", m.jid, "err", e)
	}
}

// gone is our own leaving, and why (XEP-0045 §8.2, §9.1, §10.9, §17.3). The lock is held.
func (m *room) gone(x, item *stream.Element) {
	reason := ""
	if text := item.ChildText(nsMUCUser, "reason"); text != "" {
		reason = ": " + clipped(text)
	}
	destroyed := x.Child(nsMUCUser, "destroy")
	switch {
	case hasCode(x, "303"):
		m.nick = item.Attr("nick") // and the presence under the new nick follows
	case destroyed != nil:
		why := "it was destroyed"
		if text := destroyed.ChildText(nsMUCUser, "reason"); text != "" {
			why += ": " + clipped(text)
		}
		if other := destroyed.Attr("jid"); other != "" {
			why += " (people go on in " + clipped(other) + ")"
		}
		m.fail(why, roomPerson)
	case hasCode(x, "301"):
		m.fail("we were banned from it"+reason, roomPerson)
	case hasCode(x, "333"), hasCode(x, "330"), hasCode(x, "332"):
		m.fail("its service let go of us"+reason, m.wait())
	case hasCode(x, "307"):
		m.fail("somebody put us out of it"+reason, roomKicked)
	case hasCode(x, "321"):
		m.fail("we are no longer a member of it"+reason, roomPerson)
	case hasCode(x, "322"):
		m.fail("it is for members only now, and we are none"+reason, roomPerson)
	default:
		m.fail("we are no longer in it"+reason, m.wait())
	}
}

// clipped bounds what others wrote, for the log and the status.
func clipped(s string) string {
	const most = 200
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

// remember notes who an occupant is. The lock is held.
func (m *room) remember(nick string, item *stream.Element) {
	real := item.Attr("jid")
	_, there := m.occupants[nick]
	if real == "" || len(nick) > maxNick || !there && len(m.occupants) >= maxOccupants {
		m.forget(nick)
		return
	}
	o := occupant{person: strings.Clone(person(real))}
	if m.occupants[nick] != o {
		m.forget(nick)
		m.occupants[strings.Clone(nick)] = o
	}
}

// forget is somebody who left; with the last of their nicks ends what they had under way there. The lock is held.
func (m *room) forget(nick string) {
	o, there := m.occupants[nick]
	if !there {
		return
	}
	delete(m.occupants, nick)
	for _, other := range m.occupants {
		if other == o {
			return
		}
	}
	m.b.gone(mapping.InRoom(o.person, m.jid))
}

// who is the person behind a nick, while the room is one in which that can be known.
func (m *room) who(nick string) (person string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.occupants[nick]
	return o.person, ok && m.stage == roomIn && m.trust == trusted
}

// ourselves reports whether an address is the one we have in the room.
func (m *room) ourselves(from string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stage == roomIn && from == m.jid+"/"+m.nick
}
