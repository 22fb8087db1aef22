package local

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tidings/xmppbridge/stream"
)

func (c *raw) blocks(what string, addresses ...string) string {
	c.t.Helper()
	items := ""
	for _, a := range addresses {
		items += "<item jid='" + a + "'/>"
	}
	return condition(c.request("<iq type='set'><" + what + " xmlns='urn:xmpp:blocking'>" + items + "</" + what + "></iq>"))
}

func (c *raw) blocklist() string {
	c.t.Helper()
	var all []string
	for e := range c.request("<iq type='get'><blocklist xmlns='urn:xmpp:blocking'/></iq>").Child(nsBlocking, "blocklist").Children() {
		all = append(all, e.Attr("jid"))
	}
	return strings.Join(all, " ")
}

func push(what string) func(*stream.Element) bool {
	return func(e *stream.Element) bool { return e.Attr("type") == "set" && e.Child(nsBlocking, what) != nil }
}

func TestBlockPeople(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a, desk, b := f.online("alice", "phone"), f.online("alice", "desk"), f.online("bob", "phone")
	befriend(a, b)
	if got := desk.blocklist(); got != "" {
		t.Errorf("at first: %q", got)
	}
	a.backlog, b.backlog = nil, nil
	if got := a.blocks("block", "BOB@home.example"); got != "" {
		t.Fatal(got)
	}
	if e := desk.expect("push", push("block")); e.Child(nsBlocking, "block").First().Attr("jid") != "bob@home.example" {
		t.Errorf("push %s", e)
	}
	a.none("push", push("block")) // never asked
	a.expect("unavailable", presence("unavailable", b.full))
	b.expect("unavailable", presence("unavailable", a.full))
	b.expect("unavailable", presence("unavailable", desk.full))

	b.write("<message type='chat' id='m' to='alice@home.example'><body>x</body></message>")
	if got := condition(b.expect("refusal", func(e *stream.Element) bool { return e.Attr("id") == "m" })); got != "cancel service-unavailable" {
		t.Errorf("message of who is blocked: %q", got)
	}
	if got := condition(b.request("<iq type='get' to='" + a.full + "'><query xmlns='jabber:iq:version'/></iq>")); got != "cancel service-unavailable" {
		t.Errorf("IQ of who is blocked: %q", got)
	}
	b.write("<presence to='alice@home.example'/><presence/><presence type='subscribe' to='alice@home.example'/>")
	b.sync()
	a.none("anything of bob's", func(e *stream.Element) bool {
		return strings.HasPrefix(e.Attr("from"), "bob@") && e.Attr("type") != "unavailable"
	})
	for _, st := range []string{"<message id='%s' to='bob@home.example'><body>x</body></message>", "<iq type='get' id='%s' to='bob@home.example'><q xmlns='x'/></iq>",
		"<presence id='%s' to='bob@home.example'/>", "<presence type='subscribe' id='%s' to='bob@home.example'/>"} {
		id := newID()
		a.write(fmt.Sprintf(st, id))
		e := a.expect("refusal", func(e *stream.Element) bool { return e.Attr("id") == id })
		if condition(e) != "cancel not-acceptable" || e.Child(stream.NS, "error").Child(nsBlockingErrors, "blocked") == nil {
			t.Errorf("to who is blocked: %s", e)
		}
	}
	// Kept over a restart, and no presence at login either.
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	g := startWith(t, Limits{}, f.store)
	b, a = g.online("bob", "phone"), g.online("alice", "phone")
	a.none("presence", presence("", b.full))
	b.none("presence", presence("", a.full))
	if got := a.blocklist(); got != "bob@home.example" {
		t.Errorf("after a restart: %q", got)
	}
	if got := a.blocks("unblock"); got != "" {
		t.Fatal(got)
	}
	a.expect("push", push("unblock"))
	a.expect("presence", presence("", b.full))
	b.expect("presence", presence("", a.full))
	b.write("<message type='chat' to='alice@home.example'><body>friends</body></message>")
	a.expect("message", message("friends"))

	// One client of somebody's.
	if got := a.blocks("block", b.full); got != "" {
		t.Fatal(got)
	}
	a.expect("unavailable", presence("unavailable", b.full))
	desk = g.online("bob", "desk")
	a.expect("presence", presence("", desk.full))
}

// A device that is blocked goes, and what it says is refused for good: nothing waits for somebody who does not want it.
func TestBlockDevice(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.online("alice", "phone")
	a.expect("lamp", presence("", "lamp@home.example/lamp"))
	if got := a.blocks("block", "lamp@home.example"); got != "" {
		t.Fatal(got)
	}
	a.expect("unavailable", presence("unavailable", "lamp@home.example/lamp"))
	f.house.await("that alice is gone", func() bool {
		for _, st := range f.house.delivered {
			if st.Name == "presence" && st.Attr("type") == "unavailable" && st.Attr("from") == a.full && st.Attr("to") == "lamp@home.example" {
				return true
			}
		}
		return false
	})
	alert := stream.New(stream.NS, "message", "type", "chat", "from", "lamp@home.example/lamp", "to", "alice@home.example").
		Add(stream.New(stream.NS, "body").AddText("hot"))
	if err := f.Send(alert); !errors.Is(err, ErrBlocked) {
		t.Errorf("an alert of a blocked device: %v", err)
	}
	if n := f.Broadcast(stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp")); n != 0 {
		t.Errorf("presence of a blocked device went to %d", n)
	}
	f.house.show("alice@home.example", "lamp@home.example")
	if got := f.Audience("lamp@home.example"); len(got) > 0 {
		t.Errorf("audience %v", got)
	}
	a.none("presence", presence("", "lamp@home.example/lamp"))
	if got := a.blocks("unblock", "lamp@home.example"); got != "" {
		t.Fatal(got)
	}
	a.expect("presence", presence("", "lamp@home.example/lamp"))
	if err := f.Send(alert); err != nil {
		t.Error(err)
	}
	a.expect("alert", message("hot"))
}

// What cannot be blocked changes nothing, however much of it there is.
func TestBlockRefused(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Blocked: 20})
	a := f.online("alice", "phone")
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("d%d@home.example", i)
	}
	for _, c := range []struct {
		want      string
		addresses []string
	}{
		{"modify bad-request", nil},
		{"modify jid-malformed", []string{"door@home.example", "@"}},
		{"modify jid-malformed", []string{""}},
		{"cancel not-allowed", []string{"alice@home.example/desk"}},
		{"cancel not-allowed", []string{"home.example"}},
		{"cancel not-allowed", []string{"home.example/x"}},
		{"wait resource-constraint", many[:21]},
		{"wait resource-constraint", many},
	} {
		if got := a.blocks("block", c.addresses...); got != c.want {
			t.Errorf("%.60v: %q, want %q", c.addresses, got, c.want)
		}
	}
	if got := a.blocklist(); got != "" {
		t.Errorf("blocked %q", got)
	}
	if got := a.blocks("block", many[:20]...); got != "" {
		t.Error(got)
	}
	if got := a.blocks("block", "one@home.example"); got != "wait resource-constraint" {
		t.Errorf("one too many: %q", got)
	}
	if got := a.blocks("unblock", "one@home.example"); got != "" {
		t.Errorf("one that is not: %q", got)
	}
	f.store.mu.Lock()
	f.store.broken = errors.New("the disk is full")
	f.store.mu.Unlock()
	if got := a.blocks("unblock"); got != "cancel internal-server-error" {
		t.Errorf("with a store that fails: %q", got)
	}
	if n := len(strings.Fields(a.blocklist())); n != 20 {
		t.Errorf("%d blocked", n)
	}
	if got := condition(a.request("<iq type='set'><block xmlns='urn:xmpp:blocking'><thing jid='door@home.example'/></block></iq>")); got != "modify bad-request" {
		t.Errorf("not an item: %q", got)
	}
}
