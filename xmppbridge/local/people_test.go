package local

import (
	"fmt"
	"strings"
	"testing"

	"tidings/xmppbridge/stream"
)

// befriend makes two people see each other.
func befriend(a, b *raw) {
	a.t.Helper()
	for _, p := range [][2]*raw{{a, b}, {b, a}} {
		asks, agrees := p[0], p[1]
		asks.write("<presence type='subscribe' to='" + address(agrees) + "'/>")
		agrees.expect("request", presence("subscribe", address(asks)))
		agrees.write("<presence type='subscribed' to='" + address(asks) + "'/>")
		asks.expect("consent", presence("subscribed", address(agrees)))
		asks.expect("presence", presence("", agrees.full))
	}
}

func address(c *raw) string { return bare(c.full) }

func TestSubscription(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.online("alice", "phone"), f.online("bob", "phone")
	a.write("<presence type='subscribe' to='bob@home.example/phone'><status>it is me</status></presence>")
	a.pushed("bob@home.example", "() none ask subscribe")
	if e := b.expect("request", presence("subscribe", "alice@home.example")); e.ChildText("", "status") != "it is me" {
		t.Errorf("request %s", e)
	}
	b.none("push before consent", func(e *stream.Element) bool { return strings.Contains(e.String(), nsRoster) })
	// It waits for whoever comes later.
	late := f.online("bob", "late")
	late.expect("request", presence("subscribe", "alice@home.example"))
	late.write("<presence type='subscribed' to='alice@home.example'/>")
	late.pushed("alice@home.example", "() from")
	b.pushed("alice@home.example", "() from")
	a.pushed("bob@home.example", "() to")
	a.expect("consent", presence("subscribed", "bob@home.example"))
	a.expect("phone", presence("", b.full))
	a.expect("late", presence("", late.full))
	b.none("presence of alice", presence("", a.full))

	befriendBack := func() {
		b.write("<presence type='subscribe' to='alice@home.example'/>")
		a.expect("request", presence("subscribe", "bob@home.example"))
		a.write("<presence type='subscribed' to='bob@home.example'/>")
		b.expect("presence", presence("", a.full))
		b.pushed("alice@home.example", "() both")
	}
	befriendBack()
	a.setItem("<item jid='bob@home.example' name='Bob'><group>Friends</group></item>")
	a.pushed("bob@home.example", "Bob (Friends) both")
	if got := a.request("<iq type='get' to='bob@home.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"); got.Attr("type") != "result" {
		t.Errorf("disco of a friend: %s", got)
	}

	// Kept over a restart.
	for _, x := range []*raw{a, b, late} {
		x.conn.Close()
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	g := startWith(t, Limits{}, f.store)
	a, b = g.online("alice", "phone"), g.online("bob", "phone")
	a.expect("presence", presence("", b.full))
	b.expect("presence", presence("", a.full))
	if got := a.roster()["bob@home.example"]; got != "Bob (Friends) both" {
		t.Errorf("after a restart: %q", got)
	}

	// Bob no longer wants to be seen.
	b.write("<presence type='unsubscribed' to='alice@home.example'/>")
	a.expect("refusal", presence("unsubscribed", "bob@home.example"))
	a.expect("unavailable", presence("unavailable", b.full))
	a.pushed("bob@home.example", "Bob (Friends) from")
	b.pushed("alice@home.example", "() to")
	// Alice takes him out of the list: he no longer sees her either.
	a.setItem("<item jid='bob@home.example' subscription='remove'/>")
	a.pushed("bob@home.example", "() remove")
	b.expect("refusal", presence("unsubscribed", "alice@home.example"))
	b.expect("unavailable", presence("unavailable", a.full))
	b.pushed("alice@home.example", "() none")
	if got := condition(a.request("<iq type='get' to='bob@home.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")); got != "cancel service-unavailable" {
		t.Errorf("disco of a stranger: %q", got)
	}
}

func TestSubscriptionRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b := f.online("alice", "phone"), f.online("bob", "phone")
	a.write("<presence type='subscribe' to='bob@home.example'/>")
	b.expect("request", presence("subscribe", "alice@home.example"))
	b.write("<presence type='unsubscribed' to='alice@home.example'/>")
	a.expect("refusal", presence("unsubscribed", "bob@home.example"))
	a.pushed("bob@home.example", "() none")
	// Consent that nobody asked for changes nothing.
	b.write("<presence type='subscribed' to='alice@home.example'/>")
	b.sync()
	a.none("consent", presence("subscribed", "bob@home.example"))
	// Taken back before it was answered.
	a.write("<presence type='subscribe' to='bob@home.example'/>")
	b.expect("request", presence("subscribe", "alice@home.example"))
	a.write("<presence type='unsubscribe' to='bob@home.example'/>")
	b.expect("taken back", presence("unsubscribe", "alice@home.example"))
	b.write("<presence type='subscribed' to='alice@home.example'/>")
	b.sync()
	a.none("presence", presence("", b.full))
}

// One side's record alone does not open the other's presence; asking again mends what a crash between two changes left.
func TestHalfASubscription(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	f.store.items["alice"] = map[string]Item{"bob@home.example": {JID: "bob@home.example", Listed: true, To: true}}
	f.store.items["bob"] = map[string]Item{"alice@home.example": {JID: "alice@home.example", Listed: true, From: true, To: true}}
	a, b := f.online("alice", "phone"), f.online("bob", "phone")
	a.expect("presence", presence("", b.full))
	b.none("presence", presence("", a.full))
	b.write("<presence type='unsubscribe' to='alice@home.example'/><presence type='subscribe' to='alice@home.example'/>")
	a.expect("request", presence("subscribe", "bob@home.example"))
	a.write("<presence type='subscribed' to='bob@home.example'/>")
	b.expect("presence", presence("", a.full))
}

func TestMessages(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, b, c := f.online("alice", "phone"), f.online("bob", "phone"), f.online("bob", "desk")
	silent := f.login("bob", "silent") // connected, not available
	a.write("<message to='bob@home.example' type='chat' id='m'><body>to all</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	for _, x := range []*raw{b, c} {
		e := x.expect("message", message("to all"))
		if e.Attr("from") != a.full || e.Attr("to") != "bob@home.example" || e.Attr("id") != "m" || e.Child("http://jabber.org/protocol/chatstates", "active") == nil {
			t.Errorf("message %s", e)
		}
	}
	silent.none("message", message("to all"))
	a.write("<message to='" + b.full + "'><body>to one</body></message>")
	b.expect("message", message("to one"))
	c.none("message", message("to one"))
	a.write("<message to='" + silent.full + "'><body>to a full JID</body></message>")
	silent.expect("message", message("to a full JID"))
	// Two clients of one account; and a message without a recipient is to oneself.
	d := f.online("alice", "desk")
	a.write("<message to='" + d.full + "'><body>note</body></message>")
	d.expect("message", message("note"))
	a.write("<message><body>to myself</body></message>")
	a.expect("message", message("to myself"))
	d.expect("message", message("to myself"))
	// IQs between clients, and their answers.
	a.write("<iq type='get' id='v' to='" + b.full + "'><query xmlns='jabber:iq:version'/></iq>")
	e := b.expect("IQ", func(e *stream.Element) bool { return e.Attr("id") == "v" })
	b.write(stream.Result(e, stream.New("jabber:iq:version", "query")).String())
	if e := a.expect("answer", func(e *stream.Element) bool { return e.Attr("id") == "v" }); e.Attr("from") != b.full {
		t.Errorf("answer %s", e)
	}

	for _, x := range []*raw{b, c, silent} {
		x.write("</stream:stream>")
		x.ended()
		x.conn.Close()
	}
	f.house.awaitEvent("unavailable " + b.full)
	f.house.awaitEvent("unavailable " + c.full)
	for _, typ := range []string{"", "chat", "groupchat", "headline", "error"} {
		a.write(stream.New(stream.NS, "message", "type", typ, "id", "off", "to", "bob@home.example").
			Add(stream.New(stream.NS, "body").AddText("x")).String())
		bounced := func(e *stream.Element) bool { return e.Attr("id") == "off" }
		if typ != "groupchat" { // kept for him, or not worth a word
			a.none("bounce of "+typ, bounced)
		} else if got := condition(a.expect("bounce", bounced)); got != "cancel service-unavailable" {
			t.Errorf("%s to nobody: %q", typ, got)
		}
	}
}

func TestDirectedPresence(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Directed: 2})
	a, b := f.online("alice", "phone"), f.online("bob", "phone")
	a.write("<presence to='bob@home.example'><status>only you</status></presence>")
	b.expect("presence", presence("", a.full))
	a.write("<presence to='lamp@home.example'/><presence id='third' to='door@home.example'/>")
	if got := condition(a.expect("refusal", func(e *stream.Element) bool { return e.Attr("id") == "third" })); got != "wait resource-constraint" {
		t.Errorf("one too many: %q", got)
	}
	a.conn.Close()
	b.expect("unavailable", presence("unavailable", a.full))
	// A probe of someone who may not be seen has no answer, of a friend it has.
	c := f.online("alice", "desk")
	c.write("<presence type='probe' to='bob@home.example'/>")
	c.none("presence", presence("", b.full))
	befriend(c, b)
	c.write("<presence type='probe' to='bob@home.example'/>")
	c.expect("presence", presence("", b.full))
}

func TestRosterRules(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Roster: 3, Groups: 2, NameSize: 10})
	c := f.online("alice", "phone")
	for item, want := range map[string]string{
		"<item jid='x@example.net' name='X'/>":                                              "",
		"<item jid='@'/>":                                                                   "modify jid-malformed",
		"<item jid='alice@home.example'/>":                                                  "cancel not-allowed",
		"<item jid='y@example.net' name='" + strings.Repeat("A", 11) + "'/>":                "modify not-acceptable",
		"<item jid='y@example.net'><group/></item>":                                         "modify not-acceptable",
		"<item jid='y@example.net'><group>a</group><group>a</group></item>":                 "modify bad-request",
		"<item jid='y@example.net'><group>a</group><group>b</group><group>c</group></item>": "modify not-acceptable",
		"<item jid='y@example.net'/><item jid='z@example.net'/>":                            "modify bad-request",
		"":                          "modify bad-request",
		"<thing xmlns='jabber:x'/>": "modify bad-request",
		"<item jid='z@example.net' subscription='remove'/>": "cancel item-not-found",
	} {
		if got := condition(c.setItem(item)); got != want {
			t.Errorf("%s: %q, want %q", item, got, want)
		}
	}
	for i := range 3 {
		got := condition(c.setItem(fmt.Sprintf("<item jid='n%d@example.net'/>", i)))
		if want := map[bool]string{true: "wait resource-constraint"}[i == 2]; got != want {
			t.Errorf("contact %d: %q, want %q", i, got, want)
		}
	}
	c.setItem("<item jid='x@example.net' subscription='remove'/>")
	c.pushed("x@example.net", "() remove")
	// What cannot be kept is not pretended.
	f.store.mu.Lock()
	f.store.broken = fmt.Errorf("disk full")
	f.store.mu.Unlock()
	if got := condition(c.setItem("<item jid='lamp@home.example' name='L'/>")); got != "cancel internal-server-error" {
		t.Errorf("store fails: %q", got)
	}
	if got := c.roster()["lamp@home.example"]; got != "Lamp (Hall) both" {
		t.Errorf("after a failure: %q", got)
	}
}

func TestRosterVersion(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := f.login("alice", "phone")
	get := func(ver string) *stream.Element {
		return c.request("<iq type='get'><query xmlns='jabber:iq:roster' ver='"+ver+"'/></iq>").Child(nsRoster, "query")
	}
	v := get("").Attr("ver")
	if v == "" {
		t.Fatal("no version")
	}
	if got := get(v); got != nil {
		t.Errorf("same version: %s", got)
	}
	c.setItem("<item jid='lamp@home.example' name='L'/>")
	e := c.expect("push", func(e *stream.Element) bool { return e.Attr("type") == "set" })
	if w := e.Child(nsRoster, "query").Attr("ver"); w == v || get(w) != nil {
		t.Errorf("version pushed: %q", w)
	}
	if got := get(v); got == nil || got.First() == nil {
		t.Errorf("old version: %s", got)
	}
}
