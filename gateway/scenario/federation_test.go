//go:build servers

package scenario

import (
	"context"
	"strings"
	"testing"

	"tidings/xmppbridge/xmpptest"
)

// People whose accounts are on another server control the house from there, those who may: by their address, and by their domain.
// To others there, and to those on the house's own server, nobody is at home.
func TestFederation(t *testing.T) {
	t.Parallel()
	servers := xmpptest.Federate(t,
		xmpptest.Options{Domain: "a.example", Components: []string{"things.a.example"}},
		xmpptest.Options{Domain: "b.example"})
	near, far := servers[0], servers[1]
	g := component("federation", far.Domain, near.Component, near.Components[0], near)
	g.login = far.Login
	h := begin(t, g)
	lamp := g.full("lamp")

	alice := h.client("alice")
	h.meet(alice, "lamp", "greenhouse")
	alice.ExpectPresence(xmpptest.Expect{From: lamp, Type: "available", Status: "off"})
	if got := alice.Roster()[g.bare("lamp")].Subscription; got != "both" && got != "to" {
		t.Errorf("the lamp in the contact list: %q", got)
	}
	if items, err := alice.TryItems(g.things, ""); err != nil || len(items) != 4 {
		t.Errorf("items of the component: %+v, %v", items, err)
	}
	done(h, alice.Command(lamp, "lamp/power/on", xmpptest.Stage{}), "info", "Power is on (confirmed by the device)")
	alice.ExpectPresence(xmpptest.Expect{From: lamp, Type: "available", Status: "on"})
	alice.Say(g.full("home"), "lamp off")
	alice.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "Lamp: Power is off (confirmed by the device)."})
	pump(h, "on")
	alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Type: "chat", Contains: watered})
	isStrange(h, h.client("mallory"))

	// Everyone of that domain, and one of them by their address, which is what counts then.
	h.configure(strings.NewReplacer(`"alice@{{domain}}" = "admin"`, `"*@{{domain}}" = "operator"`,
		`"bob@{{domain}}"`, `"carol@{{domain}}"`).Replace(base))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.gateway.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	bob, carol := h.client("bob"), h.client("carol")
	h.meet(bob, "lamp")
	bob.ExpectPresence(xmpptest.Expect{From: lamp, Type: "available", Status: "off"})
	done(h, bob.Command(lamp, "lamp/power/on", xmpptest.Stage{}), "info", "Power is on (confirmed by the device)")
	if _, err := bob.TryCommand(g.full("home"), "reload", xmpptest.Stage{}); xmpptest.Condition(err) != "forbidden" {
		t.Errorf("an operator reloads: %v", err)
	}
	if _, err := carol.TryCommand(lamp, "lamp/power/off", xmpptest.Stage{}); xmpptest.Condition(err) != "forbidden" {
		t.Errorf("a viewer turns the lamp off: %v", err)
	}
	neighbour := xmpptest.StartClient(t)
	neighbour.Login(near.Login("alice"))
	isStrange(h, neighbour)
	if !h.lamp.Power() {
		t.Error("the lamp is off")
	}
}
