//go:build servers

package local

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
	"tidings/xmppbridge/xmpptest"
)

// phone is a client with what phones use.
func phone(f *fixture, account, resource string) *xmpptest.Client {
	f.t.Helper()
	c := xmpptest.StartClient(f.t)
	l := f.slixmpp(account, resource)
	l.Plugins = []string{"xep_0198", "xep_0280", "xep_0313", "xep_0191", "xep_0352"}
	c.Login(l)
	return c
}

// A client no one here wrote loses its connection twice, and comes back to the same session: nobody noticed, and everything said
// meanwhile is there, once and in order.
func TestSlixmppResumes(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c, b := phone(f, "alice", "phone"), f.online("bob", "phone")
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "available"})
	desk := f.online("alice", "desk")
	desk.sync()
	desk.backlog = nil
	for round := range 2 {
		c.Cut()
		f.awaitLost(c.JID)
		for i := range 5 {
			b.write(fmt.Sprintf("<message type='chat' to='%s'><body>%d.%d</body></message>", c.JID, round, i))
			show(f, "lamp", fmt.Sprintf("%d.%d", round, i))
		}
		b.sync()
		if !c.Reconnect() {
			t.Fatal("not resumed")
		}
		for i := range 5 {
			c.ExpectMessage(xmpptest.Expect{From: b.full, Body: fmt.Sprintf("%d.%d", round, i), XML: "urn:xmpp:delay"})
		}
		c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Status: fmt.Sprintf("%d.4", round)})
		c.Ping(testDomain)
		c.Say("lamp@home.example", "on")
		c.ExpectMessage(xmpptest.Expect{From: "lamp@home.example", Body: "heard on"})
		c.ExpectNoMessage(xmpptest.Expect{}, 100*time.Millisecond)
	}
	desk.none("blink", func(e *stream.Element) bool { return e.Name == "presence" && e.Attr("from") == c.JID })
	// The session is gone: the client begins another.
	c.Cut()
	f.awaitLost(c.JID)
	f.mu.Lock()
	lost := f.accounts["alice"].sessions["phone"]
	f.mu.Unlock()
	lost.end(&stream.Error{Condition: stream.ResourceConstraint})
	desk.expect("unavailable", presence("unavailable", c.JID))
	if c.Reconnect() {
		t.Error("resumed what had ended")
	}
	c.Ping(testDomain)
}

func TestSlixmppArchiveAndCarbons(t *testing.T) {
	t.Parallel()
	f := startArchive(t)
	c, desk, b := phone(f, "alice", "phone"), phone(f, "alice", "desk"), phone(f, "bob", "phone")
	desk.Do("carbons", nil, nil)
	for i := range 12 {
		c.Say("bob@home.example", fmt.Sprint(i))
		b.ExpectMessage(xmpptest.Expect{From: c.JID, Body: fmt.Sprint(i), XML: "urn:xmpp:sid:0"})
		desk.ExpectMessage(xmpptest.Expect{From: "alice@home.example", XML: "urn:xmpp:carbons:2"})
	}
	b.Say(c.JID, "to one")
	c.ExpectMessage(xmpptest.Expect{From: b.JID, Body: "to one"})
	desk.ExpectMessage(xmpptest.Expect{From: "alice@home.example", XML: "received"})
	c.Say("lamp@home.example", "on")
	c.ExpectMessage(xmpptest.Expect{From: "lamp@home.example", Body: "heard on"})

	archive := func(c *xmpptest.Client, with string) string {
		t.Helper()
		var answer struct{ Messages []struct{ ID, Body string } }
		args := map[string]any{"amount": 5}
		if with != "" {
			args["with_jid"] = with
		}
		c.Do("archive", args, &answer)
		var bodies []string
		for _, m := range answer.Messages {
			bodies = append(bodies, m.Body)
		}
		return strings.Join(bodies, " ")
	}
	const said = "0 1 2 3 4 5 6 7 8 9 10 11 to one"
	if got := archive(desk, ""); got != said+" on heard on" {
		t.Errorf("alice's archive: %q", got)
	}
	if got := archive(desk, "lamp@home.example"); got != "on heard on" {
		t.Errorf("with the lamp: %q", got)
	}
	if got := archive(b, ""); got != said {
		t.Errorf("bob's archive: %q", got)
	}
	if info, err := c.TryInfo("alice@home.example", ""); err != nil || !slices.Contains(info.Features, nsMAMExtended) {
		t.Errorf("features of the account: %v, %v", info.Features, err)
	}
}

func TestSlixmppBlocksAndSleeps(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c := phone(f, "alice", "phone")
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "available"})
	var list struct{ Blocked []string }
	c.Do("block", map[string]any{"jid": "lamp@home.example"}, &list)
	if !slices.Equal(list.Blocked, []string{"lamp@home.example"}) {
		t.Errorf("blocked %v", list.Blocked)
	}
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "unavailable"})
	c.Do("block", map[string]any{"jid": "lamp@home.example", "unblock": true}, &list)
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Type: "available"})
	if len(list.Blocked) > 0 {
		t.Errorf("still blocked: %v", list.Blocked)
	}

	var offered struct{ Offered bool }
	c.Do("looks", map[string]any{"active": false}, &offered)
	if !offered.Offered {
		t.Fatal("client states are not offered")
	}
	c.Say("door@home.example", "asleep") // <inactive/> has been handled when what is behind it is answered
	c.ExpectMessage(xmpptest.Expect{From: "door@home.example", Body: "heard asleep"})
	for i := range 10 {
		show(f, "lamp", fmt.Sprint(i))
	}
	c.ExpectNoPresence(xmpptest.Expect{From: "lamp@home.example/lamp"}, 200*time.Millisecond)
	c.Do("looks", map[string]any{"active": true}, nil)
	c.ExpectPresence(xmpptest.Expect{From: "lamp@home.example/lamp", Status: "9"})
	c.ExpectNoPresence(xmpptest.Expect{From: "lamp@home.example/lamp"}, 100*time.Millisecond)
}
