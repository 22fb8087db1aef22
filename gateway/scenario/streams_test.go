//go:build servers

package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tidings/gateway"
	"tidings/xmppbridge/link"
	"tidings/xmppbridge/xmpptest"
)

// ejabberdSessions is what ejabberd allows an account by default.
const ejabberdSessions = 10

// An account has a stream a device until the house grows beyond what its server allows. From then on the hub speaks for all
// devices, without a restart.
func TestAccountWithFewStreams(t *testing.T) {
	t.Parallel()
	server := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{MaxSessions: ejabberdSessions})
	g := accountAt("ejabberd client", server, server.Domain, server.C2S, server.CAFile, "gateway")
	h := begin(t, g)
	alice := h.client("alice")
	h.meet(alice)
	alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Status: "30 °C · 48 %"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available", Status: "House"})
	done(h, alice.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")

	more := base
	for i := range ejabberdSessions {
		more += fmt.Sprintf("[devices.spare%d]\ndriver = \"house\"\nenabled = false\n", i)
	}
	h.configure(more)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.gateway.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	h.waitLog("speaks for all devices")
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "unavailable"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available", Status: "House: 3 devices online"})
	throughTheHub(h, alice)
	for jid, st := range alice.Latest() {
		if strings.HasPrefix(jid, g.account+"/") && (st.Type == "available") != (jid == g.full("home")) {
			t.Errorf("in the end %s is %s", jid, st.Type)
		}
	}
	if n := strings.Count(h.log.String(), "speaks for all devices"); n != 1 {
		t.Errorf("the limit is logged %d times", n)
	}
}

// One stream from the beginning.
func TestAccountWithOneStream(t *testing.T) {
	t.Parallel()
	g := account("prosody client", prosody, "gateway7")
	g.xmpp += "streams = \"single\"\n"
	h := begin(t, g)
	alice := h.client("alice")
	h.meet(alice)
	alice.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available", Status: "House: 3 devices online"})
	throughTheHub(h, alice)
	for _, st := range alice.Seen("presence", g.account) {
		if st.From != g.account && st.From != g.full("home") {
			t.Errorf("a device has a stream: %s", st.XML)
		}
	}

	// The account is the gateway's own until a person uses it.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := gateway.CheckOnline(ctx, h.file); err != nil {
		t.Errorf("check --online: %v", err)
	}
	h.client("gateway7")
	h.waitLog("somebody else is logged in to the account")
	if err := gateway.CheckOnline(ctx, h.file); !errors.Is(err, link.ErrPerson) {
		t.Errorf("check --online of a person's account: %v", err)
	}
	if strings.Contains(h.log.String(), "tidings-check-") {
		t.Error("the check itself was taken for somebody")
	}
}

// throughTheHub does with the hub what a device's own address is for elsewhere.
func throughTheHub(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	home := g.full("home")
	items, err := c.TryItems(home, "")
	if err != nil || !slices.Contains(items, xmpptest.Item{JID: home, Node: "lamp", Name: "Lamp"}) {
		t.Errorf("devices: %+v, %v", items, err)
	}
	info, err := c.TryInfo(home, "lamp")
	if err != nil || len(info.Identities) != 1 || info.Identities[0].Name != "Lamp" {
		t.Errorf("the lamp's node: %+v, %v", info, err)
	}
	if list := names(c.Commands(home)); !slices.Contains(list, "Lamp: Power off") || !slices.Contains(list, "Greenhouse: Status") {
		t.Errorf("commands: %q", list)
	}
	for _, power := range []string{"off", "on"} {
		done(h, c.Command(home, "lamp/power/"+power, xmpptest.Stage{}), "info", "Power is "+power+" (confirmed by the device)")
		if h.lamp.Power() != (power == "on") {
			t.Errorf("the lamp is not %s", power)
		}
	}
	c.Say(home, "lamp off")
	c.ExpectMessage(xmpptest.Expect{From: home, Contains: "Lamp: Power is off"})
	if heard := c.ReadSensor(home, []string{"greenhouse"}, []string{"temperature"}, "momentary"); len(heard) < 2 || heard[1].Node != "greenhouse" ||
		heard[1].Fields[0].Value != "30" {
		t.Errorf("a program: %+v", heard)
	}
	pump(h, "on")
	alert := c.ExpectMessage(xmpptest.Expect{From: home, Contains: "Greenhouse is being watered\nSay "})
	if !strings.Contains(alert.Body, `"greenhouse ack"`) {
		t.Errorf("an alert: %q", alert.Body)
	}
	c.Say(home, "greenhouse ack")
	c.ExpectMessage(xmpptest.Expect{From: home, Contains: "Acknowledged: wet (Greenhouse)"})
	pump(h, "off")
	c.ExpectMessage(xmpptest.Expect{From: home, Contains: "(wet over"})
	h.unplug()
	c.ExpectPresence(xmpptest.Expect{From: home, Type: "available", Contains: "2 of 3 devices online, not Lamp"})
	if _, err := c.TryCommand(home, "lamp/power/on", xmpptest.Stage{}); xmpptest.Condition(err) != "recipient-unavailable" {
		t.Errorf("a device that is offline: %v", err)
	}
}

// The way to the server is cut while things happen: nobody sees a device go, and what was to be said is said, once.
func TestCutConnection(t *testing.T) {
	t.Parallel()
	way := xmpptest.StartRelay(t, prosody.C2S)
	g := accountAt("prosody client", prosody, prosody.Domain, way.Addr, prosody.CAFile, "gateway6")
	h := begin(t, g)
	alice := h.client("alice")
	h.meet(alice)
	everybody := []string{"home", "greenhouse", "door", "lamp"}
	for _, name := range everybody {
		alice.ExpectPresence(xmpptest.Expect{From: g.full(name), Type: "available"})
	}
	for range 2 {
		// Whose presence is here may not have heard yet that its stream can be resumed. Who answers has: that was said to it before.
		for _, name := range everybody {
			if _, err := alice.TryInfo(g.full(name), ""); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		alice.Forget()
		before := len(h.log.String())
		way.Sever(true)
		pump(h, "on")
		pump(h, "off")
		for _, name := range everybody {
			h.waitLogAfter(before, `"stream is down" jid=`+g.full(name))
		}
		alice.Say(g.full("lamp"), "on")
		way.Mend()
		alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Greenhouse is being watered"})
		alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Over: "}) // the correction
		alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "(wet over"})
		alice.ExpectMessage(xmpptest.Expect{From: g.full("lamp"), Contains: "not done"})
		if h.lamp.Power() {
			t.Error("what was delivered again acted")
		}
		alice.Say(g.full("lamp"), "status")
		alice.ExpectMessage(xmpptest.Expect{From: g.full("lamp"), Contains: "Lamp"})
		alice.Say(g.full("greenhouse"), "status")
		alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Temperature"})
		for _, st := range alice.Seen("presence", g.account) {
			if st.Type == "unavailable" {
				t.Errorf("somebody saw it: %s", st.XML)
			}
		}
		if more := alice.Seen("message", g.account); len(more) > 0 {
			t.Errorf("more was said: %+v", more)
		}
	}
}
