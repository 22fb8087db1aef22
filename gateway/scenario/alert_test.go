//go:build servers

package scenario

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/gateway/control"
	"tidings/xmppbridge/xmpptest"
)

// heard is what an alert holds for a client that shows command buttons.
type heard struct {
	Query struct {
		Node  string `xml:"node,attr"`
		Items []struct {
			JID  string `xml:"jid,attr"`
			Node string `xml:"node,attr"`
			Name string `xml:"name,attr"`
		} `xml:"item"`
	} `xml:"http://jabber.org/protocol/disco#items query"`
	Replace struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:message-correct:0 replace"`
}

func parts(t *testing.T, st xmpptest.Stanza) (h heard) {
	t.Helper()
	if err := xml.Unmarshal([]byte(st.XML), &h); err != nil {
		t.Fatalf("%s: %v", st.XML, err)
	}
	return h
}

// An alert's whole life: it is told, with buttons, told to somebody else because nobody acknowledges it, told again,
// acknowledged by a button, and corrected and recovered once; then acknowledged by a thumb and by an answer.
func TestAlert(t *testing.T) {
	everywhere(t, 3, func(t *testing.T, g *ground) {
		h := begin(t, g)
		alice, bob := h.client("alice"), h.client("bob")
		h.meet(alice, "greenhouse")
		h.meet(bob, "greenhouse")
		greenhouse := g.full("greenhouse")
		for _, c := range []*xmpptest.Client{alice, bob} {
			c.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available"})
		}
		h.configure(strings.Replace(base, "[alerts.wet]\n", fmt.Sprintf("[alerts.wet]\nrepeat = \"10s\"\noffer = [\"pump off\"]\n"+
			"escalate = { after = \"3s\", to = [%q] }\n", g.person("bob")), 1))
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := h.gateway.Reload(ctx); err != nil {
			t.Fatal(err)
		}

		pump(h, "on")
		first := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
		if !strings.HasSuffix(first.Body, "\nSay \"pump off\", \"ack\" or \"silence 1h\".") {
			t.Errorf("body: %q", first.Body)
		}
		buttons := parts(t, first).Query
		if buttons.Node != "http://jabber.org/protocol/commands" || len(buttons.Items) != 3 || buttons.Items[0].Name != "Pump off" ||
			buttons.Items[0].Node != "greenhouse/pump/off" || buttons.Items[1].Name != "Acknowledge" || buttons.Items[0].JID != greenhouse {
			t.Errorf("buttons: %+v", buttons)
		}
		escalated := bob.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(nobody has acknowledged it for 3 s)\nSay \"ack\" or"})
		if items := parts(t, escalated).Query.Items; len(items) != 2 { // a viewer's
			t.Errorf("buttons of a viewer: %+v", items)
		}
		again := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(still so after 10 s)"})
		bob.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(still so after 10 s)"})
		if names := names(bob.Commands(greenhouse)); !strings.Contains(strings.Join(names, "\n"), "Acknowledge wet") {
			t.Errorf("commands while the alert is active: %q", names)
		}

		ack := buttons.Items[1]
		done(h, alice.Command(ack.JID, ack.Node, xmpptest.Stage{}), "info", "Acknowledged: wet (Greenhouse)")
		bob.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Acknowledged by " + g.person("alice") + ": Greenhouse is being watered"})
		list, err := control.New(h.dir + "/c").Alerts(ctx)
		if err != nil || len(list) != 1 || list[0].By != g.person("alice") || list[0].Name != "wet" || list[0].Device != "greenhouse" {
			t.Errorf("tidings alerts: %+v, %v", list, err)
		}

		pump(h, "off")
		corrected := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Over: Greenhouse is being watered"})
		if id := parts(t, corrected).Replace.ID; id != again.ID {
			t.Errorf("%s is corrected, want %s: %s", id, again.ID, corrected.XML)
		}
		for _, c := range []*xmpptest.Client{alice, bob} {
			c.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
			c.ExpectNoMessage(xmpptest.Expect{From: greenhouse}, quiet)
		}
		done(h, alice.Command(ack.JID, ack.Node, xmpptest.Stage{}), "info", "It is not active any more")

		react := func(id, emoji string) {
			alice.Do("message", map[string]any{"to": greenhouse, "extra": fmt.Sprintf(
				"<reactions xmlns='urn:xmpp:reactions:0' id='%s'><reaction>%s</reaction></reactions>", id, emoji)}, nil)
		}
		pump(h, "on")
		second := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
		react(first.ID, "👍") // of the one before
		react(second.ID, "👎")
		alice.Say(greenhouse, "alerts")
		if answer := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Greenhouse is being watered (warning"}); strings.Contains(answer.Body, "acknowledged") {
			t.Errorf("acknowledged: %s", answer.Body)
		}
		react(second.ID, "👍🏽")
		alerts(h, alice, "acknowledged by "+g.person("alice"))
		bob.ExpectNoMessage(xmpptest.Expect{From: greenhouse}, 4*time.Second) // nothing to escalate
		pump(h, "off")
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
		bob.ExpectNoMessage(xmpptest.Expect{From: greenhouse}, quiet)

		pump(h, "on")
		third := alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
		alice.Do("message", map[string]any{"to": greenhouse, "body": "> Greenhouse is being watered\nAck", "extra": fmt.Sprintf(
			"<reply xmlns='urn:xmpp:reply:0' to='%s' id='%s'/>", greenhouse, third.ID)}, nil)
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Acknowledged: wet (Greenhouse)."})
		alice.Say(g.full("home"), "silence 2h")
		alice.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "All alerts: silenced for 2 h"})
		alice.Forget()
		pump(h, "off")
		alice.ExpectNoMessage(xmpptest.Expect{From: greenhouse}, quiet)
		alice.Say(g.full("home"), "silence off")
		alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "(wet over"})
		if g.strangers() {
			isReturned(h, alice)
		}
	})
}

// isReturned hears of an alert because it came back from whom it was for: an account that is not there.
func isReturned(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g := h.ground
	lost := strings.NewReplacer("[alerts.wet]\n", fmt.Sprintf("[alerts.lost]\nescalate = { after = \"1h\", to = [%q] }\n", g.person("alice")),
		"to = [\"alice@{{domain}}\"]", "to = [\"ghost@{{domain}}\"]", "[access]\n", "[access]\n\"ghost@{{domain}}\" = \"viewer\"\n").Replace(base)
	h.configure(lost)
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if err := h.gateway.Reload(ctx); err != nil {
		h.t.Fatal(err)
	}
	pump(h, "on")
	c.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Greenhouse is being watered (it reached nobody else)"})
	pump(h, "off")
	c.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "(lost over"})
}

// alerts asks the hub for the active alerts until its answer has what is wanted: nothing else shows that a reaction was
// taken.
func alerts(h *house, c *xmpptest.Client, want string) {
	h.t.Helper()
	home := h.ground.full("home")
	for deadline := time.Now().Add(patience); ; time.Sleep(quiet) {
		c.Say(home, "alerts")
		answer := c.ExpectMessage(xmpptest.Expect{From: home, Type: "chat"})
		if strings.Contains(answer.Body, want) {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("alerts: %s", answer.Body)
		}
	}
}
