package xmppbridge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const (
	nsChatStates = "http://jabber.org/protocol/chatstates"
	nsMarkers    = "urn:xmpp:chat-markers:0"
	nsReply      = "urn:xmpp:reply:0"
	nsOMEMO      = "urn:xmpp:omemo:2"
	nsAxolotl    = "eu.siacs.conversations.axolotl"
	nsEncryption = "urn:xmpp:eme:0"

	// reallyLife is how long a "yes" is waited for.
	reallyLife = time.Minute
	// chatRate is how many messages of one sender are answered within chatWindow: more is a machine talking to a
	// machine.
	chatRate   = 60
	chatWindow = time.Minute
	// chatRepeats is how often in a row the same words of one sender are answered within chatWindow: two machines that
	// answer each other say the same again and again.
	chatRepeats = 20
	// chatPause is how long a refusal holds at least. A machine that was quick enough to be refused answers the refusal
	// earlier, and gets no answer to that.
	chatPause = 10 * time.Second
	maxChats  = 1000
	// maxChatBody bounds what is read of a message: no command is longer.
	maxChatBody = 500
	// maxAnswer bounds an answer, in bytes: a device may have three hundred points.
	maxAnswer = 32 << 10
)

// chatFeature stands for what is answered to messages: receipts (XEP-0184), displayed markers (XEP-0333), chat states
// (XEP-0085) and replies (XEP-0461). Commands in words are in words.go.
func chatFeature() feature {
	return feature{disco: []string{nsReceipts, nsMarkers, nsChatStates, nsReply}}
}

// chats remembers what was asked of whom: a "Really?" waiting for its yes, and who talks too much.
type chats struct {
	mu      sync.Mutex
	with    map[string]*chat // by full JID
	crowded time.Time        // when somebody was last told that there is no room for them
}

type chat struct {
	really   []devices.Request // waiting for yes
	by       string            // the full JID that asked
	until    time.Time
	window   time.Time // of the rate
	count    int
	plain    bool   // was told that encrypted messages cannot be read
	last     string // the last thing said, how often in a row
	repeated int
	refused  bool // and told so
}

func newChats() *chats { return &chats{with: map[string]*chat{}} }

// admit counts a message and reports whether it is to be answered: not beyond the rate, and not the same thing again and
// again. Otherwise refusal says so; it is empty for what follows, until a message is admitted again, so that a machine that answers
// a refusal is not answered in turn.
func (c *chats) admit(full, body string, now time.Time) (refusal string, admitted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	talk := c.with[full]
	if talk == nil {
		if len(c.with) >= maxChats {
			if now.Sub(c.crowded) < chatWindow {
				return "", false
			}
			c.crowded = now
			return "Too many are talking to me at once: nothing was done. Try again in a minute.", false
		}
		talk = &chat{window: now}
		c.with[full] = talk
	}
	if now.Sub(talk.window) >= chatWindow {
		talk.window, talk.count, talk.repeated = now, 0, 0
	}
	if talk.count++; talk.count > 1 && talk.last == body {
		talk.repeated++
	} else {
		talk.last, talk.repeated = body, 0
	}
	told := talk.refused
	talk.refused = talk.count > chatRate || talk.repeated >= chatRepeats
	switch {
	case !talk.refused || told:
		return "", !talk.refused
	case talk.count > chatRate:
		refusal = "That was too much at once"
	default:
		refusal = fmt.Sprintf("That was the same more than %d times in a row", chatRepeats)
	}
	return refusal + ": nothing was done. " + tryAgain(hold(&talk.window, now)), false
}

// hold lets a window last for another chatPause at least, and returns how long it does.
func hold(window *time.Time, now time.Time) time.Duration {
	left := max(chatWindow-now.Sub(*window), chatPause)
	*window = now.Add(left - chatWindow)
	return left
}

func tryAgain(left time.Duration) string {
	return fmt.Sprintf("Try again in %.0f s.", math.Ceil(left.Seconds()))
}

// admit is chats.admit, with a line in the log for each refusal.
func (b *Bridge) admit(full, body string) (refusal string, admitted bool) {
	if refusal, admitted = b.chats.admit(full, body, time.Now()); refusal != "" {
		b.log.Info("chat refused for a while: too much of it", "jid", full)
	}
	return refusal, admitted
}

// tellPlain reports whether somebody has yet to be told that their encrypted messages cannot be read. It is for those
// that admit knows.
func (c *chats) tellPlain(full string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	talk := c.with[full]
	if talk == nil || talk.plain {
		return false
	}
	talk.plain = true
	return true
}

// encrypted reports whether a message is one of OMEMO's (XEP-0384, and before it got a namespace of its own), or says
// that it is encrypted (XEP-0380). Its body then only says so.
func encrypted(st *stream.Element) bool {
	return st.Child(nsOMEMO, "encrypted") != nil || st.Child(nsAxolotl, "encrypted") != nil || st.Child(nsEncryption, "encryption") != nil
}

// ask keeps requests until their sender says yes to whoever asks, by is its full JID: what is asked of a bare JID is
// answered to the full one that the question came from (RFC 6121 §5.1).
func (c *chats) ask(full, by string, really []devices.Request, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if talk := c.with[full]; talk != nil {
		talk.really, talk.by, talk.until = really, by, now.Add(reallyLife)
	}
}

// asked takes what waited for a yes. Anything else said in between drops it.
func (c *chats) asked(full, by string, now time.Time) []devices.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	talk := c.with[full]
	if talk == nil {
		return nil
	}
	really := talk.really
	if talk.by != by || now.After(talk.until) {
		really = nil
	}
	talk.really = nil
	return really
}

// endIf forgets the talks with those who went away, or may no longer do what they were asked about.
func (c *chats) endIf(ended func(full string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for full := range c.with {
		if ended(full) {
			delete(c.with, full)
		}
	}
}

func (c *chats) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for full, talk := range c.with {
		if now.After(talk.until) && now.Sub(talk.window) >= chatWindow {
			delete(c.with, full)
		}
	}
}

// deliverMessage takes chat. A stranger gets silence; errors, rooms, and what has no words are not answered.
func (b *Bridge) deliverMessage(st *stream.Element, fresh bool) {
	typ, body := st.Attr("type"), spoken(st)
	if typ == "error" {
		b.bounced(st)
		return
	}
	if b.deliverSet(st, fresh) || b.lists.deliver(st) {
		return
	}
	a := b.asker(st)
	if a.role != mapping.None {
		if got := st.Child(nsReceipts, "received"); got != nil {
			b.alerts.received(person(a.full), got.Attr("id"))
			b.told.arrived(person(a.full), got.Attr("id"))
		}
		if b.reacted(a, st, fresh) {
			return
		}
	}
	if a.role == mapping.None || typ != "" && typ != "chat" && typ != "normal" || body == "" && !encrypted(st) {
		return
	}
	if _, own := b.addresses().Resolve(a.full); own {
		return // never to ourselves
	}
	refusal, admitted := b.admit(a.full, body)
	if !admitted && refusal == "" {
		return // was told
	}
	to := st.Attr("to")
	target, known := b.spokenTo(a, to)
	if !known { // to a resource that is not there is to the bare JID (RFC 6121 §8.5.3.2.1)
		to = bareJID(to)
		target, known = b.spokenTo(a, to)
	}
	if !known { // the same for what is hidden and for what is not
		b.send(stream.ErrorReply(st, stream.NewStanzaError(stream.ItemNotFound, "")))
		return
	}
	if b.addresses().Single() { // whichever address it is for, the hub answers
		_, to = b.addresses().Hub()
	}
	if id := st.Attr("id"); id != "" {
		reply := func(payload *stream.Element) {
			b.send(stream.New(stream.NS, "message", "from", to, "to", a.full, "type", typ, "id", rand.Text()).Add(payload))
		}
		if st.Child(nsReceipts, "request") != nil {
			reply(stream.New(nsReceipts, "received", "id", id))
		}
		if st.Child(nsMarkers, "markable") != nil {
			reply(stream.New(nsMarkers, "displayed", "id", id))
		}
	}
	t := &talk{b: b, asker: a, st: st, target: target, fresh: fresh}
	if !admitted {
		t.say(refusal)
		return
	}
	if encrypted(st) {
		if b.chats.tellPlain(a.full) {
			t.say("I cannot read encrypted messages: turn encryption (OMEMO) off for this contact.")
		}
		return
	}
	if len(body) > maxChatBody {
		t.say("That is too long for a command. Say \"help\" for what I understand.")
		return
	}
	t.hear(body)
}

// spokenTo is who an address stands for, if there is somebody for the asker.
func (b *Bridge) spokenTo(a asker, to string) (mapping.Target, bool) {
	target, known := b.addresses().Resolve(to)
	if known && target.Kind == mapping.ToDevice {
		_, _, known = b.o.House.Device(target.ID)
		known = known && b.sees(a, target.ID)
	}
	return target, known
}

// A talk is one message being answered.
type talk struct {
	b *Bridge
	asker
	st     *stream.Element
	target mapping.Target
	fresh  bool
	busy   sync.Once // said that it works on it
	room   *room     // nil but in a room
	nick   string    // of who speaks there
}

// say answers in the thread of the message, and to it where it was an answer itself: whoever does not use replies sees no
// use in them.
func (t *talk) say(text string) {
	if len(text) > maxAnswer {
		text = strings.ToValidUTF8(text[:maxAnswer], "") + "\n…"
	}
	if t.room != nil {
		t.b.send(t.reply().Add(stream.New(stream.NS, "body").AddText(t.nick + ": " + text)))
		return
	}
	reply := t.reply().Add(stream.New(stream.NS, "body").AddText(text))
	if t.knowsStates() { // the answer ends ours
		reply.Add(stream.New(nsChatStates, "active"))
	}
	id := t.st.Child(nsStanzaID, "origin-id").Attr("id") // what XEP-0461 refers to where it is there
	if id == "" {
		id = t.st.Attr("id")
	}
	if t.st.Child(nsReply, "reply") != nil && id != "" {
		reply.Add(stream.New(nsReply, "reply", "to", t.full, "id", id))
	}
	t.b.send(reply)
}

// working shows that an answer takes its time, once, to who knows chat states.
func (t *talk) working() {
	if t.room == nil && t.knowsStates() {
		t.busy.Do(func() {
			t.b.send(t.reply().Add(stream.New(nsChatStates, "composing"), stream.New(nsHints, "no-store")))
		})
	}
}

// reply is an answer without words.
func (t *talk) reply() *stream.Element {
	if t.room != nil {
		return t.inRoom()
	}
	st := stream.New(stream.NS, "message", "type", t.st.Attr("type"), "from", t.from(), "to", t.full, "id", rand.Text())
	if thread := t.st.ChildText(stream.NS, "thread"); thread != "" {
		st.Add(stream.New(stream.NS, "thread").AddText(thread))
	}
	return st
}

// knowsStates reports whether the message bore a chat state: only then may others be sent (XEP-0085 §5.1).
func (t *talk) knowsStates() bool {
	for state := range t.st.Children() {
		if state.Space == nsChatStates {
			return true
		}
	}
	return false
}

// from is the full JID of who was spoken to.
func (t *talk) from() string {
	if t.target.Kind == mapping.ToDevice {
		_, full := t.b.addresses().Device(t.target.ID)
		return full
	}
	_, full := t.b.addresses().Hub()
	return full
}

// refuse says why something is not done.
func (t *talk) refuse(err error) {
	if e := (*stream.StanzaError)(nil); errors.As(err, &e) && e.Text != "" {
		t.say(ended(capital(e.Text)))
		return
	}
	t.say(ended("Not done: " + err.Error()))
}

// act carries out requests, each in its device's queue, and says what became of them. What is dangerous is asked
// about first.
func (t *talk) act(requests ...devices.Request) {
	b := t.b
	if err := b.refuseOld(t.st, t.fresh); err != nil {
		t.refuse(err)
		return
	}
	if !b.replay.first(t.full, t.st, time.Now()) {
		return
	}
	var ask []devices.Request
	refused := 0
	for _, r := range requests {
		d, _, ok := b.o.House.Device(r.Device)
		if !ok {
			continue
		}
		p := d.Point(r.Point)
		if p == nil {
			continue
		}
		if p.Danger && !r.Confirmed && b.access().CanControl(t.bare, d.ID) {
			ask = append(ask, r)
			continue
		}
		if !t.do(d, p, r) {
			refused++
		}
	}
	switch {
	case refused == 1:
		t.refuse(devices.ErrBusy)
	case refused > 1:
		t.say(fmt.Sprintf("%d of them are not done: there is too much to do at once. Say it again in a while.", refused))
	}
	if len(ask) == 0 {
		return
	}
	b.chats.ask(t.full, t.from(), ask, time.Now())
	var what []string
	for _, r := range ask {
		if d, _, ok := b.o.House.Device(r.Device); ok {
			what = append(what, d.Name+": "+requestWords(d.Point(r.Point), r.Value))
		}
	}
	t.say("Really " + strings.Join(what, ", ") + "? Say \"" + t.words("yes") + "\" within a minute.")
}

func requestWords(p *mapping.Point, v devices.Value) string {
	if p.Kind == devices.KindAction {
		return p.Label
	}
	return p.Label + " " + p.Format(v)
}

// do queues a request and reports whether there was room.
func (t *talk) do(d *mapping.Device, p *mapping.Point, r devices.Request) bool {
	r.By, r.Via = devices.Principal(t.bare), devices.ViaChat
	failed := func() { t.say("Something went wrong inside the gateway: its log says what.") }
	return t.b.work.do(jobKey{t.full, d.ID}, job{failed: failed, do: func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, executeTimeout)
		defer cancel()
		t.working()
		done, err := t.b.execute(ctx, d, p, r)
		switch {
		case err != nil:
			t.say(ended(notDone(d, p, err)))
		case done.level == "error":
			t.say(ended(done.note))
		default:
			t.say(d.Name + ": " + done.note + ".")
		}
	}})
}

// notDone says why something is not done, with the name of the device once: most errors begin with it.
func notDone(d *mapping.Device, p *mapping.Point, err error) string {
	text := err.Error()
	if rest, named := strings.CutPrefix(text, d.Name); named && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, " is ")) {
		return text
	}
	return d.Name + ": " + p.Label + ": " + text
}

// ended ends a text with a full stop, unless it ends already: with the question of what may be wrong, say.
func ended(s string) string {
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size < 2 && first == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(first)) + s[size:]
}
