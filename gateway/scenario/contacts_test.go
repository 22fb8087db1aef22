//go:build servers

package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// Where the server trusts the component with contact lists, the house is simply there: contacts with names, in groups by location,
// for people who never asked. What they change stays theirs.
func TestContactLists(t *testing.T) {
	t.Parallel()
	const domain = "trusting.test"
	server := xmpptest.StartProsody(t, xmpptest.Options{Domain: domain, Privileged: []string{"gw." + domain}})
	fillsLists(t, component("prosody", domain, server.Component, server.Components[0], server))
}

// Debian's ejabberd (23.01) grants what it then cannot do: it answers every attempt to write a list with an error of its own
// (its issue 3942, mended in 23.10). The lists are read, it is said once, and people invite the house as anywhere.
func TestContactListsRefused(t *testing.T) {
	t.Parallel()
	const domain = "trusting.test"
	server := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{Options: xmpptest.Options{Domain: domain, Privileged: []string{"gw." + domain}}})
	g := component("ejabberd", domain, server.Component, server.Components[0], server)
	h := begin(t, g)
	h.waitLog("contact list not filled")
	invites(h)
}

func fillsLists(t *testing.T, g *ground) {
	h := begin(t, g)
	alice, bob := h.client("alice"), h.client("bob")
	alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
	want := map[string]xmpptest.RosterItem{
		g.bare("home"):       {Name: "House", Subscription: "both", Groups: []string{"House"}},
		g.bare("greenhouse"): {Name: "Greenhouse", Subscription: "both", Groups: []string{"Garden"}},
		g.bare("door"):       {Name: "Front door", Subscription: "both", Groups: []string{"Hall"}},
		g.bare("lamp"):       {Name: "Lamp", Subscription: "both", Groups: []string{"Hall"}},
	}
	lists(t, alice, want)
	lists(t, bob, want)

	// The house hears of bob's presence: the other way of the subscription stands.
	done(h, alice.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")
	bob.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "on"})

	bob.Do("roster_remove", map[string]any{"jid": g.bare("lamp")}, nil)
	bob.Do("roster_set", map[string]any{"jid": g.bare("greenhouse"), "name": "Tomatoes", "groups": []string{"Food"}}, nil)
	h.configure(strings.NewReplacer(`name = "Front door"`, `name = "Door"`, `name = "Greenhouse"`, `name = "Glasshouse"`).Replace(base))
	if err := h.gateway.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want[g.bare("door")] = xmpptest.RosterItem{Name: "Door", Subscription: "both", Groups: []string{"Hall"}}
	theirs := map[string]xmpptest.RosterItem{g.bare("home"): want[g.bare("home")], g.bare("door"): want[g.bare("door")],
		g.bare("greenhouse"): {Name: "Tomatoes", Subscription: "both", Groups: []string{"Food"}}}
	want[g.bare("greenhouse")] = xmpptest.RosterItem{Name: "Glasshouse", Subscription: "both", Groups: []string{"Garden"}}
	lists(t, alice, want)
	lists(t, bob, theirs)

	// Bob wants the lamp back: the house's command puts it there.
	first := bob.Command(g.full("home"), "add", xmpptest.Stage{})
	done(h, bob.Command(g.full("home"), "add", xmpptest.Stage{Session: first.Session, Fields: map[string]any{"devices": []string{"lamp"}}}), "info", "1 device added")
	theirs[g.bare("lamp")] = want[g.bare("lamp")]
	lists(t, bob, theirs)

	// Who loses the role loses the contacts.
	h.configure(strings.Replace(base, `"bob@{{domain}}" = "viewer"`, "", 1))
	if err := h.gateway.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	lists(t, bob, map[string]xmpptest.RosterItem{g.bare("greenhouse"): {Name: "Tomatoes", Subscription: "none", Groups: []string{"Food"}}},
		map[string]xmpptest.RosterItem{})
}

// lists waits until somebody's contact list is one of those.
func lists(t *testing.T, c *xmpptest.Client, want ...map[string]xmpptest.RosterItem) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := c.Roster()
		if slices.ContainsFunc(want, func(want map[string]xmpptest.RosterItem) bool { return sameList(got, want) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("contact list of %s:\ngot  %v\nwant %v", c.JID, got, want)
		}
		time.Sleep(50 * time.Millisecond) // a push tells slixmpp and not us
	}
}

func sameList(a, b map[string]xmpptest.RosterItem) bool {
	if len(a) != len(b) {
		return false
	}
	for jid, x := range a {
		y, ok := b[jid]
		if !ok || x.Name != y.Name || x.Subscription != y.Subscription || !slices.Equal(x.Groups, y.Groups) {
			return false
		}
	}
	return true
}

// Elsewhere the house is invited first, and brings the devices that are chosen.
func TestInvite(t *testing.T) {
	t.Parallel()
	server := xmpptest.StartProsody(t, xmpptest.Options{Domain: "inviting.test"})
	for _, g := range []*ground{
		component("component", server.Domain, server.Component, server.Components[0], server),
		account("client", server, "gateway"),
	} {
		// One after the other: alice is the same.
		t.Run(g.name, func(t *testing.T) { invites(begin(t, g)) })
	}
}

func invites(h *house) {
	h.t.Helper()
	g, t := h.ground, h.t
	alice := h.client("alice")
	result, err := h.gateway.Invite("alice@" + g.domain)
	if err != nil || !result.Asked || result.URI != "xmpp:"+g.bare("home")+"?roster;name=House" {
		t.Fatalf("%+v, %v", result, err)
	}
	alice.ExpectPresence(xmpptest.Expect{From: g.bare("home"), Type: "subscribe"}) // slixmpp says yes by itself
	alice.Subscribe(g.bare("home"))
	alice.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available"})
	if g.account != "" {
		return // the devices are resources of the account
	}
	first := alice.Command(g.full("home"), "add", xmpptest.Stage{})
	if f := first.Form.Fields[0]; f.Type != "list-multi" || len(f.Options) != 3 {
		t.Errorf("form: %+v", f)
	}
	done(h, alice.Command(g.full("home"), "add", xmpptest.Stage{Session: first.Session,
		Fields: map[string]any{"devices": []string{"lamp", "door"}}}), "info", "2 devices asked")
	for _, name := range []string{"lamp", "door"} {
		st := alice.ExpectPresence(xmpptest.Expect{From: g.bare(name), Type: "subscribe"})
		if !strings.Contains(st.XML, "http://jabber.org/protocol/nick") {
			t.Errorf("without a name: %s", st.XML)
		}
		alice.Subscribe(g.bare(name))
		alice.ExpectPresence(xmpptest.Expect{From: g.full(name), Type: "available"})
	}
	alice.ExpectNoPresence(xmpptest.Expect{From: g.bare("greenhouse"), Type: "subscribe"}, quiet)
}
