package xmppbridge

import (
	"cmp"
	"crypto/rand"
	"strings"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// roomRate is how many messages of a room are answered in chatWindow, whoever they are from.
const roomRate = 120

// A rate counts what is answered within chatWindow.
type rate struct {
	window time.Time
	count  int
}

// admit counts one more. Of the first that is too much it returns for how long the others are, too.
func (r *rate) admit(now time.Time, most int) (admitted bool, wait time.Duration) {
	if now.Sub(r.window) >= chatWindow {
		r.window, r.count = now, 0
	}
	if r.count++; r.count == most+1 {
		wait = hold(&r.window, now)
	}
	return r.count <= most, wait
}

// groupchat takes what is said in the room. It counts when it addresses us by our nick, by somebody whom the room tells us the
// address of while it is members-only and non-anonymous, and now: not what is only shown again (XEP-0045 §7.2.13).
func (m *room) groupchat(st *stream.Element, fresh bool) {
	from := st.Attr("from")
	_, nick, somebody := strings.Cut(from, "/")
	m.mu.Lock()
	m.hear()
	if !somebody {
		m.codes(st.Child(nsMUCUser, "x"))
	}
	us := m.nick
	m.mu.Unlock()
	switch {
	case m.ourselves(from):
		m.shown(st)
		return
	case !somebody, st.Child(nsDelay, "delay") != nil:
		return
	}
	person, known := m.who(nick)
	if !known {
		return
	}
	b := m.b
	if _, own := b.addresses().Resolve(person); own {
		return // one of ours, under whichever nick
	}
	words, addressed := addressedTo(us, spoken(st))
	reactions := st.Child(nsReactions, "reactions")
	about, answer := m.saidOf(cmp.Or(reactions.Attr("id"), st.Child(nsReply, "reply").Attr("id")))
	switch {
	case encrypted(st):
		return // to those who can read it
	case reactions != nil && answer && thumbUp(reactions):
		words = "👍 " + about.ID
	case reactions != nil:
		return
	case answer && !addressed: // to what we said, which is to us
		words = spoken(st)
	case !addressed:
		return
	}
	name := mapping.InRoom(person, m.jid)
	a := asker{full: name, bare: name, role: b.access().Role(name)}
	if a.role == mapping.None {
		return
	}
	t := &talk{b: b, asker: a, st: st, target: hubTarget, fresh: fresh, room: m, nick: nick}
	refusal, admitted := b.admit(a.full, words)
	if admitted {
		refusal, admitted = m.admit(a.full)
	}
	switch {
	case !admitted && refusal == "": // was told
	case !admitted:
		t.say(refusal)
	case reactions != nil && b.sees(a, about.Device):
		t.acknowledge([]mapping.AlertRef{about.AlertRef}, func([]mapping.Alert) {}) // the thumb itself is what they see
	case reactions != nil:
	case len(words) > maxChatBody:
		t.say("That is too long for a command. Say \"" + us + ": help\" for what I understand.")
	default:
		t.hear(words)
	}
}

// admit counts what the room is answered, as Bridge.admit does for each who is there.
func (m *room) admit(who string) (refusal string, admitted bool) {
	m.mu.Lock()
	admitted, wait := m.said.admit(time.Now(), roomRate)
	m.mu.Unlock()
	if wait > 0 {
		m.b.log.Info("room refused for a while: too much is said there", "room", m.jid, "jid", who)
		refusal = "That was too much at once for this room: nothing was done. " + tryAgain(wait)
	}
	return refusal, admitted
}

// addressedTo takes the nick that a message begins with off it, as in "home: lamp on", "home, lamp on" or "@home lamp on".
func addressedTo(nick, body string) (words string, addressed bool) {
	at := strings.HasPrefix(body, "@")
	rest, found := cutFold(strings.TrimPrefix(body, "@"), nick)
	if !found {
		return "", false
	}
	words = strings.TrimLeft(rest, ":, ")
	switch {
	case rest == "":
		return "", at
	case rest[0] == ':' || rest[0] == ',':
		return words, true
	}
	return words, at && rest[0] == ' '
}

// cutFold is strings.CutPrefix that does not care for case. Nicks of the same length in another case only: enough for those that
// people write.
func cutFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// words are those to say to be heard: in a room, after our nick.
func (t *talk) words(what string) string { return t.room.words(what) }

func (m *room) words(what string) string {
	if m == nil {
		return what
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nick + ": " + what
}

// told is what was said about an alert in a message that somebody refers to.
func (t *talk) told(id string) (Told, bool) {
	if t.room != nil {
		return t.room.saidOf(id)
	}
	return t.b.told.find(person(t.full), id)
}

// listener is who hears the alerts that are spoken of: the room, or the person.
func (t *talk) listener() string {
	if t.room != nil {
		return t.room.name()
	}
	return person(t.full)
}

func (t *talk) listeners() string {
	if t.room != nil {
		return "this room"
	}
	return "you alone"
}

// inRoom is reply in a room: to everybody there. The hub says it, for no device is in the room.
func (t *talk) inRoom() *stream.Element {
	_, hub := t.b.addresses().Hub()
	st := stream.New(stream.NS, "message", "type", "groupchat", "from", hub, "to", t.room.jid, "id", rand.Text())
	if thread := t.st.ChildText(stream.NS, "thread"); thread != "" {
		st.Add(stream.New(stream.NS, "thread").AddText(thread))
	}
	return st
}
