//go:build servers

package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

const (
	publishOn      = "[publish]\nenabled = true\n"
	greenhouseNode = "tidings/greenhouse/humidity"
	lampNode       = "tidings/lamp/power"
)

// Programs read the house with slixmpp's plugin for XEP-0060: from the gateway itself where the addresses are its own, from the
// account's nodes or a service elsewhere.
func TestPublish(t *testing.T) {
	t.Parallel()
	const domain, service = "publishing.test", "pubsub.publishing.test"
	p := xmpptest.StartProsody(t, xmpptest.Options{Domain: domain, Accounts: []string{"alice", "bob", "mallory", "gateway"},
		After: "Component \"" + service + "\" \"pubsub\"\n  admins = { \"home@gw." + domain + "\" }\n  expose_publisher = false\n"})
	e := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{Options: xmpptest.Options{Domain: domain, Accounts: []string{"alice", "bob", "mallory", "gateway"}}})
	atGateway := func(g *ground) func(string) string { return g.bare }
	for _, tt := range []struct {
		name    string
		g       *ground
		service string
		at      func(g *ground) func(device string) string // whom to ask for the nodes of a device
	}{
		{"prosody component", component("c", domain, p.Component, p.Components[1], p), "", atGateway},
		{"ejabberd component", component("c", domain, e.Component, e.Components[0], e), "", atGateway},
		{"prosody account", account("a", p, "gateway"), "", atGateway},
		{"ejabberd account", ejabberdAccount(e, "gateway"), "", atGateway},
		{"prosody service", component("s", domain, p.Component, p.Components[0], p), service,
			func(*ground) func(string) string { return func(string) string { return service } }},
		{"inside", inside(), "", atGateway},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			extra := publishOn
			if tt.service != "" {
				extra += "service = \"" + tt.service + "\"\n"
			}
			h := begin(t, tt.g, extra)
			publishes(h, tt.at(tt.g), tt.service == "" && tt.g.account == "", extra)
		})
	}
}

// ejabberdAccount is an account on ejabberd.
func ejabberdAccount(e *xmpptest.Ejabberd, user string) *ground {
	return &ground{
		name: "ejabberd account", domain: e.Domain, account: user + "@" + e.Domain, login: e.Login, restart: restarter(e),
		xmpp: "mode = \"client\"\naddress = \"" + user + "@" + e.Domain + "\"\nserver = \"" + e.C2S + "\"\nsecret = \"" +
			xmpptest.Password(user) + "\"\ntls_ca_file = \"" + e.CAFile + "\"\n",
	}
}

func publishes(h *house, at func(string) string, itself bool, extra string) {
	g, t := h.ground, h.t
	alice := h.client("alice")
	h.meet(alice, "greenhouse", "lamp")
	alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})

	items := waitItems(t, alice, at("greenhouse"), greenhouseNode, `v="48"`)
	if len(items) != 1 || items[0].ID != "current" || !strings.Contains(items[0].XML, "urn:nf:iot:sd:1.0") || !strings.Contains(items[0].XML, `u="%"`) {
		t.Errorf("items: %+v", items)
	}
	if state, err := alice.TrySubscribeNode(at("greenhouse"), greenhouseNode); err != nil || state != "subscribed" {
		t.Fatalf("subscribed: %s, %v", state, err)
	}
	nodes, subscribed := alice.Nodes(at("greenhouse"))
	if !slices.Contains(nodes, greenhouseNode) || !slices.Contains(subscribed, greenhouseNode) {
		t.Errorf("nodes %q, subscribed to %q", nodes, subscribed)
	}
	if itself { // servers differ in that
		alice.ExpectMessage(xmpptest.Expect{From: at("greenhouse"), XML: `v="48"`}) // the present one
	}
	pump(h, "on")
	alice.ExpectMessage(xmpptest.Expect{From: at("greenhouse"), XML: `v="58"`})
	alice.UnsubscribeNode(at("greenhouse"), greenhouseNode)
	if err := alice.TryPublish(at("greenhouse"), greenhouseNode); xmpptest.Condition(err) != "forbidden" {
		t.Errorf("alice publishes: %v", err)
	}
	if itself {
		alice.Listen(lampNode)
		alice.ExpectMessage(xmpptest.Expect{From: g.bare("lamp"), XML: lampNode})
		done(h, alice.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")
		alice.ExpectMessage(xmpptest.Expect{From: g.bare("lamp"), XML: `v="true"`})
	}

	// Nobody else gets in.
	if g.strangers() {
		mallory := h.client("mallory")
		if got, err := mallory.TryNodeItems(at("greenhouse"), greenhouseNode); err == nil {
			t.Errorf("a stranger reads %v", got)
		}
		if _, err := mallory.TrySubscribeNode(at("greenhouse"), greenhouseNode); err == nil {
			t.Error("a stranger subscribes")
		}
		bob := h.client("bob")
		if _, err := bob.TrySubscribeNode(at("lamp"), lampNode); err != nil {
			t.Fatalf("bob: %v", err)
		}
		if _, err := alice.TrySubscribeNode(at("lamp"), lampNode); err != nil {
			t.Fatalf("alice: %v", err)
		}
		h.configure(strings.Replace(base, `"bob@{{domain}}" = "viewer"`, "", 1) + extra)
		if err := h.gateway.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "bob reads on", func() bool {
			_, err := bob.TryNodeItems(at("lamp"), lampNode)
			return err != nil
		})
		if strings.HasPrefix(g.name, "ejabberd account") { // its nodes are made anew for that, and away for a moment
			alice.ExpectMessage(xmpptest.Expect{From: at("lamp"), XML: "<delete"})
		}
		waitItems(t, alice, at("lamp"), lampNode, `n="power"`)
		if got, err := bob.TryNodeItems(at("lamp"), lampNode); err == nil {
			t.Errorf("bob reads on: %v", got)
		}
	}

	// The lamp goes for good, and its node with it.
	waitItems(t, alice, at("lamp"), lampNode, `n="power"`)
	if _, err := alice.TrySubscribeNode(at("lamp"), lampNode); err != nil {
		t.Fatalf("alice: %v", err)
	}
	without := base[:strings.Index(base, "[devices.lamp]")] + base[strings.Index(base, "[alerts.wet]"):]
	h.configure(without + extra)
	if err := h.gateway.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	alice.ExpectMessage(xmpptest.Expect{From: at("lamp"), XML: "<delete"})
	eventually(t, "the lamp is still there", func() bool {
		_, err := alice.TryNodeItems(at("lamp"), lampNode)
		return xmpptest.Condition(err) == "item-not-found"
	})
}

// waitItems waits until a node has an item that holds a text.
func waitItems(t *testing.T, c *xmpptest.Client, jid, node, text string) (items []xmpptest.NodeItem) {
	t.Helper()
	eventually(t, "no item with "+text+" at "+node, func() bool {
		var err error
		items, err = c.TryNodeItems(jid, node)
		return err == nil && len(items) > 0 && strings.Contains(items[0].XML, text)
	})
	return items
}

// eventually asks again and again until something is so: a server tells nobody.
func eventually(t *testing.T, otherwise string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}
