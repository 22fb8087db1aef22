package local

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

const nsSM = "urn:xmpp:sm:3"

// managed is a client that counts as XEP-0198 says.
type managed struct {
	*raw
	f       *fixture
	account string
	id      string
	handled uint32
}

// manage enables stream management on a client that is logged in.
func (f *fixture) manage(c *raw, account string) *managed {
	f.t.Helper()
	c.write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	e := c.expect("enabled", func(e *stream.Element) bool { return e.Space == nsSM && e.Name != "r" })
	if !e.Is(nsSM, "enabled") || e.Attr("resume") != "true" || e.Attr("id") == "" || e.Attr("max") == "" {
		f.t.Fatalf("enable: %s", e)
	}
	m := &managed{raw: c, f: f, account: account, id: e.Attr("id")}
	c.seen = func(e *stream.Element) {
		switch {
		case stream.IsStanza(e):
			m.handled++
		case e.Is(nsSM, "r"):
			m.ack()
		}
	}
	return m
}

func (m *managed) ack() { m.try("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(int(m.handled)) + "'/>") }

// acked asks how many stanzas the server handled.
func (m *managed) acked() string {
	m.t.Helper()
	m.write("<r xmlns='urn:xmpp:sm:3'/>")
	return m.expect("a", func(e *stream.Element) bool { return e.Is(nsSM, "a") }).Attr("h")
}

// cut loses the connection without a word, and waits until the server knows.
func (m *managed) cut() {
	m.t.Helper()
	m.conn.Close()
	m.f.awaitLost(m.full)
}

func (f *fixture) awaitLost(full string) {
	f.t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		account, resource, _ := strings.Cut(full, "@"+testDomain+"/")
		a := f.accounts[account]
		lost := a == nil || a.sessions[resource] == nil || !a.sessions[resource].since.IsZero()
		f.mu.Unlock()
		if lost {
			return
		}
	}
	f.t.Fatalf("the server never noticed that %s lost its connection", full)
}

// again logs in on another connection, up to where it may resume.
func (m *managed) again() *raw {
	m.t.Helper()
	c := m.f.secure()
	if failed := c.authenticate("SCRAM-SHA-256", conversation(m.t, "SCRAM-SHA-256", m.account, password, nil), nil); failed != "" {
		m.t.Fatal(failed)
	}
	if features := c.open(); features.Child(nsSM, "sm") == nil {
		m.t.Fatalf("features %s", features)
	}
	c.full = m.full
	return c
}

// resume comes back on another connection, and returns the h of the answer.
func (m *managed) resume() string {
	m.t.Helper()
	c := m.again()
	c.seen, c.backlog = m.raw.seen, m.backlog
	m.raw = c
	c.write(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", m.id, m.handled))
	e := c.expect("resumed", func(e *stream.Element) bool { return e.Space == nsSM && e.Name != "r" })
	if !e.Is(nsSM, "resumed") || e.Attr("previd") != m.id {
		m.t.Fatalf("resume: %s", e)
	}
	return e.Attr("h")
}

func isPing(e *stream.Element) bool { return e.Child(nsPing, "ping") != nil && e.Attr("type") == "get" }

func (c *raw) pong() {
	c.t.Helper()
	c.write(stream.Result(c.expect("ping", isPing)).SetAttr("from", "").String())
}

func TestResume(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b, desk := f.manage(f.online("alice", "phone"), "alice"), f.online("bob", "phone"), f.online("alice", "desk")
	a.carbons("enable")
	if h := a.acked(); h != "1" {
		t.Errorf("handled %s, want the one since <enable/>", h)
	}
	b.write("<message type='chat' to='" + a.full + "'><body>before</body></message>")
	a.expect("message", message("before"))
	desk.sync()
	desk.backlog = nil
	f.house.mu.Lock()
	f.house.events = nil
	f.house.mu.Unlock()

	a.cut()
	for i := range 20 {
		b.write(fmt.Sprintf("<message type='chat' to='%s'><body>%d</body></message>", a.full, i))
		show(f, "lamp", fmt.Sprint(i))
	}
	b.write("<iq type='get' id='v' to='" + a.full + "'><query xmlns='jabber:iq:version'/></iq>")
	desk.write("<message type='chat' to='bob@home.example'><body>copied</body></message>")
	b.write("<message type='chat' to='" + a.full + "'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	b.sync()
	desk.sync()
	a.backlog = nil
	if h := a.resume(); h != "1" {
		t.Errorf("resumed with h %s", h)
	}
	for i := range 20 {
		if e := a.expect("message", message(fmt.Sprint(i))); e.Child(nsDelay, "delay") == nil {
			t.Errorf("no time in %s", e)
		}
	}
	a.expect("IQ", func(e *stream.Element) bool { return e.Attr("id") == "v" })
	a.expect("copy", carbon("sent", "copied"))
	a.pong()
	a.sync()
	if got := fmt.Sprint(a.statuses()); got != "[19]" {
		t.Errorf("presence %s, want the last", got)
	}
	a.none("message twice", func(e *stream.Element) bool { return e.Name == "message" })
	desk.none("blink", func(e *stream.Element) bool { return e.Name == "presence" && e.Attr("from") == a.full })
	f.house.mu.Lock()
	if len(f.house.events) > 0 {
		t.Errorf("the house saw %v", f.house.events)
	}
	f.house.mu.Unlock()
	// It is the same session, with everything it had.
	show(f, "lamp", "on")
	a.expect("presence", presence("", "lamp@home.example/lamp"))
	a.cut()
	a.resume()
	a.pong()
	a.write("</stream:stream>")
	desk.expect("unavailable", presence("unavailable", a.full))
	c := a.again()
	c.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>")
	if e := c.next(); e.Child("", stream.ItemNotFound) == nil {
		t.Errorf("after a proper end: %s", e)
	}
	if c.bind("phone"); c.full != a.full {
		t.Errorf("bound %q", c.full)
	}
}

// What was not acknowledged comes again, and what the server had not handled does; nothing else.
func TestResumeUnacknowledged(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.manage(f.online("alice", "phone"), "alice"), f.online("bob", "phone")
	a.raw.seen = nil // it counts no more, and acknowledges nothing
	for i := range 5 {
		b.write(fmt.Sprintf("<message type='chat' to='alice@home.example'><body>%d</body></message>", i))
		a.expect("message", message(fmt.Sprint(i)))
	}
	a.handled += 3
	a.write("<message type='chat' to='bob@home.example'><body>heard</body></message>")
	b.expect("message", message("heard"))
	a.cut()
	if h := a.resume(); h != "1" {
		t.Errorf("handled %s", h)
	}
	for i := 3; i < 5; i++ {
		a.expect("message", message(fmt.Sprint(i)))
	}
	a.pong()
	a.none("message again", func(e *stream.Element) bool { return e.Name == "message" })
}

// A client sends again what the server did not acknowledge, without saying how old it is: until it answered a ping, the house is
// told that it may be old.
func TestResumeOldCommands(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.manage(f.online("alice", "phone"), "alice")
	a.cut()
	a.resume()
	a.write("<iq type='set' id='old' to='lamp@home.example/lamp'><command xmlns='http://jabber.org/protocol/commands' node='on'/></iq>")
	a.write("<message id='oldtoo' type='chat' to='lamp@home.example'><body>on</body></message>")
	for _, id := range []string{"old", "oldtoo"} {
		if st := f.house.arrival(id); st.Child(nsDelay, "delay") == nil {
			t.Errorf("as if it were new: %s", st)
		}
	}
	a.pong()
	a.write("<iq type='set' id='new' to='lamp@home.example/lamp'><command xmlns='http://jabber.org/protocol/commands' node='on'/></iq>")
	if st := f.house.arrival("new"); st.Child(nsDelay, "delay") != nil {
		t.Errorf("as if it were old: %s", st)
	}
}

// A client may come back before the server knows that it was gone.
func TestResumeBeforeTheEnd(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.manage(f.online("alice", "phone"), "alice")
	old := a.raw
	old.seen = nil
	a.resume()
	if got := old.ended(); got != stream.Conflict {
		t.Errorf("the old connection ended with %s", got)
	}
	a.pong()
	a.sync()
}

// Who does not come back in time is gone: others are told, and what was not acknowledged is handed on.
func TestResumeTooLate(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Resume: 300 * time.Millisecond})
	b := f.online("bob", "phone")
	a := f.manage(f.online("alice", "phone"), "alice")
	befriend(a.raw, b)
	a.cut()
	if err := f.Send(stream.New(stream.NS, "message", "type", "chat", "id", "alert", "from", "lamp@home.example/lamp", "to", "alice@home.example").
		Add(stream.New(stream.NS, "body").AddText("alert"))); err != nil {
		t.Fatal(err)
	}
	confirmed := make(chan error, 1)
	go func() { confirmed <- f.Confirm(t.Context(), "alice") }()
	b.write("<message type='chat' to='" + a.full + "'><body>waits</body></message>")
	b.write("<iq type='get' id='v' to='" + a.full + "'><query xmlns='jabber:iq:version'/></iq>")
	b.expect("unavailable", presence("unavailable", a.full))
	if got := condition(b.expect("error", func(e *stream.Element) bool { return e.Attr("id") == "v" })); got != "wait recipient-unavailable" {
		t.Errorf("the IQ: %q", got)
	}
	if err := <-confirmed; err == nil {
		t.Error("the alert counts as read")
	}
	f.house.awaitEvent("unavailable " + a.full)
	c := f.online("alice", "desk")
	if e := c.expect("message", message("waits")); e.Child(nsDelay, "delay") == nil {
		t.Errorf("no time in %s", e)
	}
	c.none("alert: it is the outbox's", message("alert"))
	if n := f.lostClients(); n != 0 || f.waiting.Load() != 0 {
		t.Errorf("%d clients, %d bytes are still waited for", n, f.waiting.Load())
	}
}

func (f *fixture) lostClients() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// What several clients got is handed on by the last of those who did not read it, and only where nobody did.
func TestHandOnTogether(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Resume: 200 * time.Millisecond})
	b := f.online("bob", "phone")
	one, two := f.manage(f.online("alice", "one"), "alice"), f.manage(f.online("alice", "two"), "alice")
	one.cut()
	two.cut()
	b.write("<message type='chat' to='alice@home.example'><body>nobody</body></message>")
	f.house.awaitEvent("unavailable " + one.full)
	f.house.awaitEvent("unavailable " + two.full)
	c := f.online("alice", "three")
	c.expect("message", message("nobody"))

	d := f.manage(f.online("alice", "four"), "alice")
	d.cut()
	b.write("<message type='chat' to='alice@home.example'><body>somebody</body></message>")
	c.expect("message", message("somebody"))
	f.house.awaitEvent("unavailable " + d.full)
	c.none("message twice", func(e *stream.Element) bool { return e.Name == "message" })

	// To one client that is gone: to another that is there.
	d = f.manage(f.online("alice", "five"), "alice")
	d.cut()
	b.write("<message type='chat' to='" + d.full + "'><body>for five</body></message>")
	c.expect("message", message("for five"))
}

// Who got a copy of a message (XEP-0280) does not get it again when the client it was for is gone; when both are, it waits.
func TestHandOnCopied(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Resume: 200 * time.Millisecond})
	b := f.online("bob", "phone")
	desk, phone := f.manage(f.online("alice", "desk"), "alice"), f.manage(f.online("alice", "phone"), "alice")
	desk.carbons("enable")
	phone.cut()
	b.write("<message type='chat' to='" + phone.full + "'><body>once</body></message>")
	desk.expect("copy", func(e *stream.Element) bool { return original(e).Body() == "once" })
	f.house.awaitEvent("unavailable " + phone.full)
	desk.none("message again", message("once"))

	phone = f.manage(f.online("alice", "other"), "alice")
	phone.cut()
	desk.cut()
	b.write("<message type='chat' to='" + phone.full + "'><body>unread</body></message>")
	f.house.awaitEvent("unavailable " + phone.full)
	f.house.awaitEvent("unavailable " + desk.full)
	c := f.online("alice", "new")
	c.expect("message", message("unread"))
	c.none("message twice", func(e *stream.Element) bool { return original(e).Body() == "unread" })
}

// Confirm goes by what is acknowledged, also over a resumption.
func TestConfirmAcknowledged(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.manage(f.online("alice", "phone"), "alice")
	a.sync()
	a.cut()
	if err := f.Send(stream.New(stream.NS, "message", "from", "lamp@home.example", "to", "alice@home.example").
		Add(stream.New(stream.NS, "body").AddText("hot"))); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Confirm(t.Context(), "alice") }()
	a.resume()
	a.expect("alert", message("hot"))
	select {
	case err := <-done:
		t.Errorf("confirmed before it was acknowledged: %v", err)
	default:
	}
	a.ack()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A client that is told that its session is over sends what was not acknowledged again all the same (Smack does), when it is bound or
// when its stream is managed. The house no longer remembers what it did for the client before.
func TestLapsedOldCommands(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Resume: 50 * time.Millisecond})
	a := f.manage(f.online("alice", "phone"), "alice")
	a.cut()
	f.house.awaitEvent("unavailable " + a.full)
	c := a.again()
	c.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>")
	if e := c.next(); e.Child("", stream.ItemNotFound) == nil {
		t.Fatalf("resume of what is over: %s", e)
	}
	ask := func(id string, old bool) {
		t.Helper()
		c.write("<iq type='set' id='" + id + "' to='lamp@home.example/lamp'><command xmlns='http://jabber.org/protocol/commands' node='on'/></iq>")
		if st := f.house.arrival(id); (st.Child(nsDelay, "delay") != nil) != old {
			t.Errorf("%s: %s", id, st)
		}
	}
	c.bind("phone")
	ask("bound", true)
	c.pong()
	ask("known", false)
	m := f.manage(c, "alice")
	ask("managed", true)
	m.pong()
	ask("new", false)
}

// What came before the stream was managed is not acknowledged by that alone.
func TestConfirmBeforeManaged(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.online("alice", "phone")
	if err := f.Send(stream.New(stream.NS, "message", "from", "lamp@home.example", "to", "alice@home.example").
		Add(stream.New(stream.NS, "body").AddText("hot"))); err != nil {
		t.Fatal(err)
	}
	f.manage(c, "alice")
	done := make(chan error, 1)
	go func() { done <- f.Confirm(t.Context(), "alice") }()
	ping := c.expect("ping", isPing)
	select {
	case err := <-done:
		t.Errorf("confirmed before anything was answered: %v", err)
	default:
	}
	c.write(stream.Result(ping).SetAttr("from", "").String())
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestResumeRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.manage(f.online("alice", "phone"), "alice")
	a.cut()
	bob := &managed{raw: a.raw, f: f, account: "bob"}
	for _, c := range []struct {
		who        *managed
		send, want string
	}{
		{a, "<resume xmlns='urn:xmpp:sm:3' previd='nothing' h='0'/>", stream.ItemNotFound},
		{bob, "<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>", stream.ItemNotFound},
		{a, "<resume xmlns='urn:xmpp:sm:3' previd='" + strings.Repeat("x", 5000) + "' h='0'/>", stream.BadRequest},
		{a, "<resume xmlns='urn:xmpp:sm:3' h='0'/>", stream.BadRequest},
		{a, "<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "'/>", stream.BadRequest},
		{a, "<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='-1'/>", stream.BadRequest},
		{a, "<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='4294967296'/>", stream.BadRequest},
		{a, "<enable xmlns='urn:xmpp:sm:3'/>", stream.UnexpectedRequest},
	} {
		x := c.who.again()
		x.write(c.send)
		if e := x.next(); !e.Is(nsSM, "failed") || e.Child("", c.want) == nil {
			t.Errorf("%.80s: %s", c.send, e)
		}
		if x.bind("other"); x.full == "" {
			t.Error("cannot bind then")
		}
		x.conn.Close()
	}
	// A count of what was never sent ends the connection, and not the session.
	x := a.again()
	x.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='1000000'/>")
	if got := x.ended(); got != stream.UndefinedCondition {
		t.Errorf("h too high: %s", got)
	}
	a.resume()
	a.pong()
	a.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>")
	if e := a.expect("refusal", func(e *stream.Element) bool { return e.Is(nsSM, "failed") }); e.Child("", stream.UnexpectedRequest) == nil {
		t.Errorf("resume when bound: %s", e)
	}
	a.write("<a xmlns='urn:xmpp:sm:3' h='1000000'/>")
	if got := a.ended(); got != stream.UndefinedCondition {
		t.Errorf("h too high: %s", got)
	}
	for send, want := range map[string]string{
		"<enable xmlns='urn:xmpp:sm:3'/>":                  stream.PolicyViolation,
		"<a xmlns='urn:xmpp:sm:3' h='x'/>":                 stream.BadFormat,
		"<resumed xmlns='urn:xmpp:sm:3' h='0' previd=''/>": stream.UnsupportedStanzaType,
	} {
		m := f.manage(f.online("alice", "x"+newID()), "alice")
		m.write(send)
		if got := m.ended(); got != want {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
}

// A client that comes back without resuming is another: what it did not read waits for it, and the first is forgotten.
func TestBindAgain(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.manage(f.online("alice", "phone"), "alice"), f.online("bob", "phone")
	a.cut()
	b.write("<message type='chat' to='" + a.full + "'><body>unread</body></message>")
	b.sync()
	f.online("alice", "phone").expect("message", message("unread"))
	c := a.again()
	c.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>")
	if e := c.next(); e.Child("", stream.ItemNotFound) == nil {
		t.Errorf("resume of what was replaced: %s", e)
	}
	if n := f.lostClients(); n != 0 {
		t.Errorf("%d are waited for", n)
	}
}

// With another password a client cannot resume, and what it did not read is kept; with the account all of it goes.
func TestDropWhileLost(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.manage(f.online("alice", "phone"), "alice"), f.online("bob", "phone")
	a.cut()
	b.write("<message type='chat' to='" + a.full + "'><body>unread</body></message>")
	b.sync()
	f.Drop("alice")
	f.house.awaitEvent("unavailable " + a.full)
	c := a.again()
	c.write("<resume xmlns='urn:xmpp:sm:3' previd='" + a.id + "' h='0'/>")
	if e := c.next(); e.Child("", stream.ItemNotFound) == nil {
		t.Errorf("resume after the password changed: %s", e)
	}
	c.conn.Close()
	f.online("alice", "phone").expect("message", message("unread"))

	bob := f.manage(b, "bob")
	bob.cut()
	other := f.online("alice", "desk")
	other.write("<message type='chat' to='" + b.full + "'><body>lost</body></message>")
	other.sync()
	f.store.mu.Lock()
	delete(f.store.accounts, "bob")
	f.store.mu.Unlock()
	f.Drop("bob")
	f.house.awaitEvent("unavailable " + b.full)
	if f.stop(); len(f.store.offline["bob"]) > 0 {
		t.Errorf("kept for nobody: %q", f.store.offline["bob"])
	}
}

// Clients that are waited for are few, and so is what waits for them: who was lost first, or gets too much, is given up.
func TestLostBounded(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Lost: 2, Streams: 4, Waiting: 64 << 10})
	var lost []*managed
	for i := range 3 {
		m := f.manage(f.online("alice", fmt.Sprint("r", i)), "alice")
		m.cut()
		lost = append(lost, m)
	}
	f.house.awaitEvent("unavailable " + lost[0].full)
	if n := f.lostClients(); n != 2 {
		t.Errorf("%d are waited for", n)
	}
	lost[1].resume()
	lost[1].pong()

	// A place that nobody has come back to is given to somebody who is here.
	a, b := f.online("alice", "a"), f.online("alice", "b")
	c := f.online("alice", "c")
	f.house.awaitEvent("unavailable " + lost[2].full)
	for _, x := range []*raw{a, b, c} {
		x.sync()
	}

	m := f.manage(f.online("bob", "phone"), "bob")
	m.cut()
	text := strings.Repeat("x", 8<<10)
	var err error
	for i := 0; i < 100 && !errors.Is(err, ErrOffline); i++ {
		err = f.Send(stream.New(stream.NS, "message", "from", "lamp@home.example", "to", "bob@home.example").Add(stream.New(stream.NS, "body").AddText(text)))
	}
	f.house.awaitEvent("unavailable " + m.full)
	if f.stop(); f.waiting.Load() != 0 || f.lostClients() != 0 {
		t.Errorf("%d bytes for %d clients are left", f.waiting.Load(), f.lostClients())
	}
}

// A server that stops waits for nobody, and loses no message for all that.
func TestStopWhileLost(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.manage(f.online("alice", "phone"), "alice"), f.online("bob", "phone")
	a.cut()
	b.write("<message type='chat' to='alice@home.example'><body>kept</body></message>")
	b.sync()
	begin := time.Now()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	if time.Since(begin) > 10*time.Second {
		t.Errorf("stopped after %v", time.Since(begin))
	}
	f.house.awaitEvent("unavailable " + a.full)
	g := startWith(t, Limits{}, f.store)
	g.online("alice", "desk").expect("message", message("kept"))
}
