package local

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

// roster returns a client's contact list as jid → "name (groups) subscription".
func (c *raw) roster() map[string]string {
	c.t.Helper()
	m := make(map[string]string)
	answer := c.request("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>")
	for item := range answer.Child(nsRoster, "query").Children() {
		m[item.Attr("jid")] = describe(item)
	}
	return m
}

func describe(item *stream.Element) string {
	var groups []string
	for g := range item.Children() {
		groups = append(groups, g.Content())
	}
	s := item.Attr("name") + " (" + strings.Join(groups, ", ") + ") " + item.Attr("subscription")
	if ask := item.Attr("ask"); ask != "" {
		s += " ask " + ask
	}
	return strings.TrimSpace(s)
}

// pushed waits for a roster push about a contact and answers it.
func (c *raw) pushed(jid, want string) {
	c.t.Helper()
	e := c.expect("push of "+jid+": "+want, func(e *stream.Element) bool {
		return e.Name == "iq" && e.Attr("type") == "set" && e.Child(nsRoster, "query").First().Attr("jid") == jid &&
			describe(e.Child(nsRoster, "query").First()) == want
	})
	c.write(stream.Result(e).String())
}

func (c *raw) setItem(item string) *stream.Element {
	c.t.Helper()
	return c.request("<iq type='set'><query xmlns='jabber:iq:roster'>" + item + "</query></iq>")
}

// The first thing a person sees: log in and the house is there.
func TestHouseIsThere(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.login("alice", "phone")
	want := map[string]string{
		"lamp@home.example": "Lamp (Hall) both",
		"door@home.example": "Door (Garden) both",
	}
	if got := c.roster(); !maps.Equal(got, want) {
		t.Errorf("roster %v, want %v", got, want)
	}
	c.write("<presence/>")
	for _, device := range []string{"lamp", "door"} {
		e := c.expect("presence of "+device, presence("", device+"@home.example/"+device))
		if got := e.ChildText("", "status"); got != device+" is on" {
			t.Errorf("status %q", got)
		}
	}
	c.write("<message to='lamp@home.example' type='chat'><body>on</body></message>")
	c.expect("answer", message("heard on"))
	f.house.await("the stamped message", func() bool {
		return slices.ContainsFunc(f.house.delivered, func(e *stream.Element) bool {
			return e.Body() == "on" && e.Attr("from") == c.full && e.Attr("to") == "lamp@home.example"
		})
	})
	if got := c.request("<iq type='get' to='lamp@home.example/lamp'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"); got.Attr("from") != "lamp@home.example/lamp" {
		t.Errorf("IQ to a device: %s", got)
	}
}

// What a person changes about the house's contacts is kept over a restart; what the house changes shows through.
func TestHouseContactsEdited(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.online("alice", "phone"), f.online("alice", "desk")
	if got := condition(a.setItem("<item jid='LAMP@home.example' name='Big lamp'><group>Mine</group></item>")); got != "" {
		t.Fatalf("rename: %s", got)
	}
	a.pushed("lamp@home.example", "Big lamp (Mine) both")
	b.pushed("lamp@home.example", "Big lamp (Mine) both")
	// Only regrouped: the name goes on following the house's.
	a.setItem("<item jid='door@home.example' name='Door'/>")
	b.pushed("door@home.example", "Door () both")
	a.conn.Close()
	b.conn.Close()
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}

	g := startWith(t, Limits{}, f.store)
	c := g.online("alice", "phone")
	if got := c.roster(); got["lamp@home.example"] != "Big lamp (Mine) both" || got["door@home.example"] != "Door () both" {
		t.Errorf("after a restart: %v", got)
	}
	g.house.mu.Lock()
	g.house.contacts["alice"] = []Contact{{JID: "lamp@home.example", Name: "Light"}, {JID: "door@home.example", Name: "Gate"}, {JID: "pump@home.example", Name: "Pump"}}
	g.house.mu.Unlock()
	g.RosterChanged("alice", "nobody")
	c.pushed("door@home.example", "Gate () both")
	c.pushed("pump@home.example", "Pump () both")
	c.expect("presence of the new one", presence("", "pump@home.example/pump"))
	c.none("push of the renamed", func(e *stream.Element) bool { return strings.Contains(e.String(), "lamp@") && e.Name == "iq" })

	// An empty name goes back to the house's.
	c.setItem("<item jid='lamp@home.example'/>")
	c.pushed("lamp@home.example", "Light () both")

	g.house.mu.Lock()
	g.house.contacts["alice"] = nil
	g.house.mu.Unlock()
	g.RosterChanged()
	c.pushed("pump@home.example", "() remove")
	c.expect("unavailable", presence("unavailable", "pump@home.example"))
	if got := c.roster(); len(got) != 0 {
		t.Errorf("an empty house: %v", got)
	}
}

func TestHouseContactRemoved(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c, other := f.online("alice", "phone"), f.online("bob", "phone")
	c.expect("lamp", presence("", "lamp@home.example/lamp"))
	c.setItem("<item jid='lamp@home.example' subscription='remove'/>")
	c.pushed("lamp@home.example", "() remove")
	c.expect("unavailable", presence("unavailable", "lamp@home.example"))
	if got := c.roster(); len(got) != 1 {
		t.Errorf("roster %v", got)
	}
	if got := condition(c.setItem("<item jid='lamp@home.example' subscription='remove'/>")); got != "" {
		t.Errorf("removed twice: %q", got)
	}
	// Its presence no longer comes; bob's goes on.
	p := stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp")
	if got := f.Broadcast(p); got != 1 {
		t.Errorf("broadcast to %d clients", got)
	}
	if err := f.Send(p.Clone().SetAttr("to", "alice@home.example")); err != nil {
		t.Errorf("send: %v", err)
	}
	c.none("presence", presence("", "lamp@home.example/lamp"))
	e := other.expect("lamp", func(e *stream.Element) bool {
		return presence("", "lamp@home.example/lamp")(e) && e.Attr("to") == "bob@home.example"
	})
	_ = e
	if got := f.Audience("lamp@home.example/lamp"); !slices.Equal(got, []string{other.full}) {
		t.Errorf("audience %v", got)
	}
	// Adding it again brings it back, with its groups.
	c.setItem("<item jid='lamp@home.example'/>")
	c.pushed("lamp@home.example", "Lamp (Hall) both")
	c.expect("lamp", presence("", "lamp@home.example/lamp"))
	c.write("<presence type='unsubscribe' to='lamp@home.example'/>")
	c.pushed("lamp@home.example", "() remove")
	c.write("<presence type='subscribe' to='lamp@home.example'/>")
	c.pushed("lamp@home.example", "Lamp (Hall) both")
	c.expect("subscribed", presence("subscribed", "lamp@home.example"))
	c.expect("lamp", presence("", "lamp@home.example/lamp"))
	// What the house does not give is refused.
	c.write("<presence type='subscribe' to='safe@home.example'/>")
	c.expect("refusal", presence("unsubscribed", "safe@home.example"))
}

func TestShows(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	f.store.items["alice"] = map[string]Item{"door@home.example": {JID: "door@home.example", Hidden: true}}
	for contact, want := range map[string]bool{"lamp@home.example/lamp": true, "door@home.example": false, "safe@home.example": false} {
		if got, err := f.Shows(t.Context(), "alice", contact); got != want || err != nil {
			t.Errorf("%s: %v, %v", contact, got, err)
		}
	}
	if _, err := f.Shows(t.Context(), "mallory", "lamp@home.example"); !errors.Is(err, ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
}

// A client that is silent is pinged; one that answers stays, one that does not is dropped.
func TestSilence(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Idle: 200 * time.Millisecond})
	well, dead := f.online("alice", "well"), f.online("alice", "dead")
	for range 4 {
		e := well.expect("ping", func(e *stream.Element) bool { return e.Child(nsPing, "ping") != nil })
		if e.Attr("from") != testDomain {
			t.Errorf("ping %s", e)
		}
		well.write("<iq type='result' id='" + e.Attr("id") + "' to='" + testDomain + "'/>")
	}
	f.house.awaitEvent("unavailable " + dead.full)
	well.sync()
}

func TestSend(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	body := func(to, typ, text string) *stream.Element {
		return stream.New(stream.NS, "message", "type", typ, "from", "lamp@home.example/lamp", "to", to).
			Add(stream.New(stream.NS, "body").AddText(text))
	}
	for _, to := range []string{"alice@home.example", "alice@home.example/phone"} {
		if err := f.Send(body(to, "chat", "x")); !errors.Is(err, ErrOffline) {
			t.Errorf("to %s while nobody is there: %v", to, err)
		}
	}
	for _, to := range []string{"nobody@home.example", "alice@example.net", "home.example", "", "@"} {
		if err := f.Send(body(to, "chat", "x")); err == nil || errors.Is(err, ErrOffline) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	phone, desk, bot := f.online("alice", "phone"), f.online("alice", "desk"), f.login("alice", "bot")
	bot.write("<presence><priority>-1</priority></presence>")
	f.house.awaitEvent("available " + bot.full)
	if got, want := f.Resources("alice"), []string{bot.full, desk.full, phone.full}; !slices.Equal(got, want) {
		t.Errorf("resources %v, want %v", got, want)
	}
	if err := f.Send(body("alice@home.example", "chat", "all")); err != nil {
		t.Error(err)
	}
	phone.expect("message", message("all"))
	desk.expect("message", message("all"))
	bot.none("message", message("all"))
	if err := f.Send(body("alice@home.example/gone", "chat", "gone")); err != nil {
		t.Error(err)
	}
	phone.expect("message", message("gone"))
	if err := f.Send(body("alice@home.example/gone", "headline", "news")); !errors.Is(err, ErrOffline) {
		t.Errorf("headline to one that is gone: %v", err)
	}
	if err := f.Send(body(bot.full, "headline", "one")); err != nil {
		t.Error(err)
	}
	bot.expect("message", message("one"))
	iq := stream.New(stream.NS, "iq", "type", "get", "id", "q", "from", "home.example", "to", desk.full).
		Add(stream.New("urn:xmpp:ping", "ping"))
	if err := f.Send(iq); err != nil {
		t.Error(err)
	}
	e := desk.expect("ping", func(e *stream.Element) bool { return e.Attr("id") == "q" })
	desk.write(stream.Result(e).String())
	f.house.await("the answer", func() bool {
		return slices.ContainsFunc(f.house.delivered, func(e *stream.Element) bool { return stream.IsResult(e) && e.Attr("from") == desk.full })
	})
	if err := f.Send(iq.Clone().SetAttr("to", "alice@home.example/gone")); !errors.Is(err, ErrOffline) {
		t.Errorf("IQ to one that is gone: %v", err)
	}
	if err := f.Send(stream.New(stream.NS, "what", "to", "alice@home.example")); err == nil {
		t.Error("sent what is no stanza")
	}
}

// The house learns who is there, and that they went, also when their connection broke.
func TestAvailability(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c, d := f.online("alice", "phone"), f.online("alice", "desk")
	f.house.awaitEvent("available " + c.full)
	c.write("<presence><show>away</show></presence>")
	f.house.awaitEvent("changed " + c.full)
	d.expect("away", func(e *stream.Element) bool { return presence("", c.full)(e) && e.ChildText("", "show") == "away" })
	c.write("<presence to='door@home.example'/>")
	c.conn.Close()
	f.house.awaitEvent("unavailable " + c.full)
	d.expect("unavailable", presence("unavailable", c.full))
	f.house.await("unavailable to the door", func() bool {
		return slices.ContainsFunc(f.house.delivered, func(e *stream.Element) bool {
			return e.Attr("type") == "unavailable" && e.Attr("from") == c.full && e.Attr("to") == "door@home.example"
		})
	})
	d.write("<presence type='unavailable'><status>bye</status></presence>")
	f.house.awaitEvent("unavailable " + d.full)
	if got := f.Resources("alice"); len(got) != 0 {
		t.Errorf("resources %v", got)
	}
	if err := f.Send(stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp", "to", d.full)); !errors.Is(err, ErrOffline) {
		t.Errorf("presence to one that is unavailable: %v", err)
	}
	d.write("</stream:stream>")
	if got := d.ended(); got != "closed without an error: EOF" {
		t.Errorf("goodbye: %s", got)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.online("alice", "phone")
	stranger := f.dial()
	stranger.open()
	done := make(chan error, 1)
	go func() { done <- f.stop() }()
	if got := c.ended(); got != stream.SystemShutdown {
		t.Errorf("stream error %q", got)
	}
	c.conn.Close()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	f.house.awaitEvent("unavailable " + c.full)
	if err := f.Send(stream.New(stream.NS, "message", "to", "alice@home.example")); !errors.Is(err, ErrOffline) {
		t.Errorf("send after the end: %v", err)
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c, d := f.online("alice", "phone"), f.online("bob", "phone")
	f.store.mu.Lock()
	delete(f.store.accounts, "alice")
	f.store.mu.Unlock()
	f.Drop("alice")
	f.Drop("nobody")
	if got := c.ended(); got != stream.NotAuthorized {
		t.Errorf("stream error %q", got)
	}
	c.conn.Close()
	f.house.awaitEvent("unavailable " + c.full)
	d.sync()
	if got := f.secure().authenticate("SCRAM-SHA-1", conversation(t, "SCRAM-SHA-1", "alice", password, nil), nil); got != "not-authorized" {
		t.Errorf("login after removal: %q", got)
	}
}

// A port that is taken is said at once; when it is free the same server can run.
func TestListenFails(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	given, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, store: &memory{}}
	s, err := New(Options{
		Domain: testDomain, Listeners: []net.Listener{given}, Listen: []string{"127.0.0.1:0", busy.Addr().String()},
		Certificate: testCertificate(), Backend: h, Store: h.store, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use: stop what listens there") {
		t.Errorf("Run: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := s.Addrs(ctx); got != nil {
		t.Errorf("addresses %v", got)
	}
	busy.Close()
	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if got := s.Addrs(t.Context()); len(got) != 3 || got[0].String() != given.Addr().String() {
		t.Errorf("addresses %v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestSetCertificate(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.online("alice", "phone")
	renewed, _, err := Certificate(t.TempDir(), testDomain)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetCertificate(renewed); err != nil {
		t.Fatal(err)
	}
	f.cert = renewed
	f.online("alice", "desk") // verifies it
	c.sync()
	if err := f.SetCertificate(tls.Certificate{}); err == nil {
		t.Error("no certificate is accepted")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := Options{Domain: testDomain, Listen: []string{":0"}, Certificate: testCertificate(), Backend: &house{}, Store: &memory{}}
	for name, break_ := range map[string]func(*Options){
		"no domain":      func(o *Options) { o.Domain = "" },
		"JID for domain": func(o *Options) { o.Domain = "a@home.example" },
		"no address":     func(o *Options) { o.Listen = nil },
		"no backend":     func(o *Options) { o.Backend = nil },
		"no store":       func(o *Options) { o.Store = nil },
		"no certificate": func(o *Options) { o.Certificate.Certificate = nil },
	} {
		o := good
		break_(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
