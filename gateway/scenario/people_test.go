//go:build servers

package scenario

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidings/gateway"
	"tidings/gateway/control"
	"tidings/xmppbridge/xmpptest"
)

// quiet is how long something must not come. What would come has been asked for before, and answered.
const quiet = 300 * time.Millisecond

// People differ in what they may: a viewer sees and does not touch, a stranger finds nobody at home.
func TestPeople(t *testing.T) {
	everywhere(t, 1, func(t *testing.T, g *ground) {
		h := begin(t, g)
		bob := h.client("bob")
		h.meet(bob, "greenhouse", "lamp")
		bob.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available"})
		lamp := g.full("lamp")
		bob.ExpectPresence(xmpptest.Expect{From: lamp, Type: "available"})
		seesFaces(h, bob)
		if list := names(bob.Commands(lamp)); len(list) == 0 || list[0] != "Status" {
			t.Errorf("a viewer's commands: %q", list)
		}
		if _, err := bob.TryCommand(lamp, "lamp/power/on", xmpptest.Stage{}); xmpptest.Condition(err) != "forbidden" {
			t.Errorf("a viewer turns the lamp on: %v", err)
		}
		if _, err := bob.TryCommand(g.full("home"), "reload", xmpptest.Stage{}); xmpptest.Condition(err) != "forbidden" {
			t.Errorf("a viewer reloads: %v", err)
		}
		bob.Say(lamp, "on")
		bob.ExpectMessage(xmpptest.Expect{From: lamp, Contains: "may see Lamp but not control it"})
		if h.lamp.Power() {
			t.Error("the lamp is on")
		}
		if g.strangers() {
			isStrange(h, h.client("mallory"))
		}
		replays(h, h.client("alice"))
	})
}

// isStrange finds the same at addresses that are there and at those that are not: nobody.
func isStrange(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	addresses := []string{g.full("lamp"), g.full("home")}
	if g.account == "" {
		addresses = append(addresses, g.bare("lamp"), g.bare("nothing"), g.full("nothing"), g.things)
	}
	for _, to := range addresses {
		if _, err := c.TryInfo(to, ""); xmpptest.Condition(err) != "service-unavailable" {
			t.Errorf("a stranger asks %s: %v", to, err)
		}
		if _, err := c.TryCommand(to, "lamp/power/on", xmpptest.Stage{}); xmpptest.Condition(err) != "service-unavailable" {
			t.Errorf("a stranger's command to %s: %v", to, err)
		}
		c.Say(to, "help")
	}
	for _, name := range []string{"lamp", "nothing"} {
		c.Subscribe(g.bare(name))
		c.ExpectPresence(xmpptest.Expect{From: g.bare(name), Type: "unsubscribed"})
	}
	c.ExpectNoMessage(xmpptest.Expect{Type: "chat"}, quiet)
	c.ExpectNoPresence(xmpptest.Expect{From: g.bare("lamp"), Type: "available"}, quiet)
}

// replays sends old things and the same thing twice.
func replays(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	command := func(id, node, extra string) error {
		return c.Try("iq", map[string]any{"to": g.full("lamp"), "type": "set", "stanza_id": id,
			"payload": "<command xmlns='http://jabber.org/protocol/commands' action='execute' node='" + node + "'>" + extra + "</command>"}, nil)
	}
	if err := command("same", "lamp/power/on", ""); err != nil {
		t.Fatal(err)
	}
	if err := command("other", "lamp/power/off", ""); err != nil {
		t.Fatal(err)
	}
	if err := command("same", "lamp/power/on", ""); xmpptest.Condition(err) != "conflict" {
		t.Errorf("the same command again: %v", err)
	}
	c.Do("message", map[string]any{"to": g.full("lamp"), "body": "on",
		"extra": "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"}, nil)
	c.ExpectMessage(xmpptest.Expect{From: g.full("lamp"), Contains: "oo old, not done"})
	if h.lamp.Power() {
		t.Error("the lamp is on")
	}
}

// The server goes and comes back, and then the gateway does: everything is there again, what was to be said meanwhile
// is said, and nothing twice.
func TestRestart(t *testing.T) {
	t.Parallel()
	server, err := xmpptest.NewProsody(xmpptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, g := range []*ground{
		component("component", server.Domain, server.Component, server.Components[0], server),
		account("client", server, "gateway"),
	} {
		// One after the other: they share the server that goes.
		t.Run(g.name, func(t *testing.T) { restarts(t, g) })
	}
	t.Run("inside", func(t *testing.T) {
		t.Parallel()
		restarts(t, inside())
	})
}

func restarts(t *testing.T, g *ground) {
	h := begin(t, g)
	greenhouse := g.full("greenhouse")
	alice := h.client("alice")
	h.meet(alice, "greenhouse", "lamp")
	alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available", Status: "30 °C · 48 %"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "off"})
	pump(h, "on")
	alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
	alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available", Status: "30 °C · 58 %"})

	if g.restart != nil {
		alice.Logout()
		g.restart(t, func() { pump(h, "off") })
		alice.Login(h.login("alice"))
		alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available", Status: "30 °C · 48 %"})
		alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "off"})
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Over: Greenhouse is being watered"})
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
		alice.ExpectNoMessage(xmpptest.Expect{From: greenhouse}, quiet)
		done(h, alice.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")
		pump(h, "on")
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
	} else {
		// Nobody is logged in: what is said waits in the house.
		alice.Logout()
		pump(h, "off")
		pump(h, "on")
		alice.Login(h.login("alice"))
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
	}

	alice.Forget()
	h.stop()
	if g.restart != nil {
		alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "unavailable"})
		alice.Forget()
	} else {
		alice = xmpptest.StartClient(t)
	}
	h.unplug()
	h.start()
	h.plugIn()
	if g.restart == nil {
		alice.Login(h.login("alice"))
	}
	alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available", Status: "30 °C · 58 %"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
	// The alert is still active, and was told already.
	listed(h, alice)
	if said := alice.Seen("message", ""); len(said) != 0 {
		t.Errorf("said again after the restart: %+v", said)
	}
	pump(h, "off")
	alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
}

// pump is switched from the machine itself.
func pump(h *house, word string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	c := control.New(h.dir + "/c")
	if _, err := c.Send(ctx, gateway.SendRequest{Device: "greenhouse", Words: []string{"pump", word}}); err == nil || !strings.Contains(err.Error(), "--yes") {
		h.t.Errorf("without a yes: %v", err)
	}
	out, err := c.Send(ctx, gateway.SendRequest{Device: "greenhouse", Words: []string{"pump", word}, Yes: true})
	if err != nil || !out.Confirmed {
		h.t.Fatalf("pump %s: %+v, %v", word, out, err)
	}
}

// bed is a device that a reload brings.
const bed = `
[devices.bed]
driver = "pins"
name = "Bed"
location = "Garden"
settle = "300ms"
[devices.bed.points.open]
source = "GPIO22"
kind = "switch"
pull = "up"
`

// A reload brings a device, takes one, and takes somebody's access; what stays does not blink.
func TestReload(t *testing.T) {
	everywhere(t, 2, func(t *testing.T, g *ground) {
		h := begin(t, g)
		alice, bob := h.client("alice"), h.client("bob")
		h.meet(alice, "greenhouse", "lamp", "door")
		h.meet(bob, "lamp")
		for _, name := range []string{"greenhouse", "lamp", "door"} {
			alice.ExpectPresence(xmpptest.Expect{From: g.full(name), Type: "available"})
		}
		bob.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()

		h.configure(base + "\n[devices.oops]\ndriver = \"nobody\"\n")
		if err := h.gateway.Reload(ctx); err == nil {
			t.Error("a configuration with a mistake is taken")
		}
		done(h, alice.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")

		alice.Forget()
		door := strings.Index(base, "[devices.door]")
		next := strings.Index(base, "[drivers.house]")
		changed := base[:door] + bed + base[next:]
		if g.strangers() {
			changed = strings.Replace(changed, "\"bob@{{domain}}\" = \"viewer\"\n", "", 1)
		}
		h.configure(changed)
		if err := h.gateway.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		h.meet(alice, "bed")
		alice.ExpectPresence(xmpptest.Expect{From: g.full("bed"), Type: "available"})
		alice.ExpectPresence(xmpptest.Expect{From: g.full("door"), Type: "unavailable"})
		if _, err := alice.TryCommand(g.full("door"), "door/bell/do", xmpptest.Stage{}); err == nil {
			t.Error("the door is still there")
		}
		if g.account == "" && g.asks() {
			alice.ExpectPresence(xmpptest.Expect{From: g.bare("door"), Type: "unsubscribed"})
		}
		if g.strangers() {
			bob.ExpectPresence(xmpptest.Expect{From: g.bare("lamp"), Type: "unsubscribed"})
			bob.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "unavailable"})
			if _, err := bob.TryInfo(g.full("lamp"), ""); xmpptest.Condition(err) != "service-unavailable" {
				t.Errorf("without access: %v", err)
			}
		}
		for _, name := range []string{"greenhouse", "lamp", "home"} {
			for _, st := range alice.Seen("presence", g.full(name)) {
				if st.Type == "unavailable" {
					t.Errorf("%s blinked: %s", name, st.XML)
				}
			}
		}
		if g.asks() {
			return
		}
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) { // a push follows, which no step shows
			roster := alice.Roster()
			bed := roster[g.bare("bed")]
			_, door := roster[g.bare("door")]
			if !door && bed.Name == "Bed" && len(bed.Groups) == 1 && bed.Groups[0] == "Garden" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("contact list after the reload: %+v", roster)
			}
		}
	})
}
