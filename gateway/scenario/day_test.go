//go:build servers

package scenario

import (
	"context"
	"slices"
	"strings"
	"testing"

	"tidings/xmppbridge/xmpptest"
)

// A day in the house: somebody meets it, looks around, moves things, is warned, and the devices and the gateway go.
func TestDay(t *testing.T) {
	everywhere(t, 0, func(t *testing.T, g *ground) {
		h := begin(t, g)
		alice := h.client("alice")
		h.meet(alice, "greenhouse", "door", "lamp")
		meets(h, alice)
		looks(h, alice)
		moves(h, alice)
		asks(h, alice)
		isWarned(h, alice)
		talks(h, alice)
		loses(h, alice)
		h.stop()
		for _, name := range []string{"home", "greenhouse", "door"} {
			alice.ExpectPresence(xmpptest.Expect{From: g.full(name), Type: "unavailable"})
		}
	})
}

// meets sees the presence of the house and of every device.
func meets(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g := h.ground
	c.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available"})
	c.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Status: "30 °C · 48 %"})
	c.ExpectPresence(xmpptest.Expect{From: g.full("door"), Type: "available", Status: "closed"})
	c.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "off"})
	h.chip.Contact("GPIO17").Open()
	c.ExpectPresence(xmpptest.Expect{From: g.full("door"), Type: "available", Status: "open"})
	if g.account != "" {
		return // one contact, whose name is the person's choice
	}
	roster := c.Roster()
	for _, name := range []string{"home", "greenhouse", "door", "lamp"} {
		item, there := roster[g.bare(name)]
		switch {
		case !there, item.Subscription != "to" && item.Subscription != "both":
			h.t.Errorf("%s in the contact list: %+v", name, item)
		case !g.asks() && (item.Subscription != "both" || len(item.Groups) != 1):
			h.t.Errorf("%s in the contact list: %+v, want both and a group", name, item)
		}
	}
	if item := roster[g.bare("door")]; !g.asks() && (item.Name != "Front door" || item.Groups[0] != "Hall") {
		h.t.Errorf("door in the contact list: %+v", item)
	}
}

// names are those of a list of commands, in order.
func names(items []xmpptest.Item) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.Name)
	}
	return out
}

// looks asks what is there.
func looks(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	c.Forget()
	list := names(c.Commands(g.full("greenhouse")))
	want := []string{"Pump on", "Really pump on", "Pump off", "Really pump off", "Set target…", "Status", "Chart…", "History…"}
	if g.account == "" && !slices.Equal(list, want) || g.account != "" && !slices.Equal(list[:len(want)], want) {
		t.Errorf("commands of the greenhouse: %q", list)
	}
	list = names(c.Commands(g.full("home")))
	for _, name := range []string{"Greenhouse: Pump on", "Lamp: Power off", "Front door: Bell", "All devices", "Alerts…", "Reload configuration", "Restart a driver…", "Log"} {
		if !slices.Contains(list, name) {
			t.Errorf("commands of the hub: %q, without %q", list, name)
		}
	}
	items, err := c.TryItems(g.full("home"), "")
	if err != nil || !slices.Equal(names(items), []string{"Front door", "Greenhouse", "Lamp"}) {
		t.Errorf("items of the hub: %+v, %v", items, err)
	}
	info, err := c.TryInfo(g.full("lamp"), "")
	if err != nil || !slices.Contains(info.Features, "http://jabber.org/protocol/commands") {
		t.Errorf("disco#info of the lamp: %+v, %v", info, err)
	}
	c.Ping(g.full("lamp"))
	for _, payload := range []string{"<query xmlns='jabber:iq:version'/>", "<query xmlns='jabber:iq:last'/>"} {
		if answer, err := c.TryIQ(g.full("lamp"), "get", payload); err != nil {
			t.Errorf("%s: %s, %v", payload, answer, err)
		}
	}
	if _, err := c.TryIQ(g.full("lamp"), "get", "<query xmlns='urn:example:none'/>"); xmpptest.Condition(err) != "service-unavailable" {
		t.Errorf("an unknown request: %v", err)
	}
	table := c.Command(g.full("home"), "devices", xmpptest.Stage{})
	if table.Form == nil || len(table.Form.Items) != 3 || len(table.Form.Reported) != 3 {
		t.Errorf("all devices: %+v", table)
	}
	status := c.Command(g.full("greenhouse"), "greenhouse/status", xmpptest.Stage{})
	if status.Status != "completed" || len(status.Notes) != 1 || status.Notes[0].Text != "Greenhouse: 30 °C · 48 %" || status.Form == nil {
		t.Errorf("status: %+v", status)
	}
}

// done fails unless a command is completed with a note of a level that contains text.
func done(h *house, c xmpptest.Command, level, text string) {
	h.t.Helper()
	if c.Status != "completed" || len(c.Notes) != 1 || c.Notes[0].Type != level || !strings.Contains(c.Notes[0].Text, text) {
		h.t.Errorf("command: %+v, want completed, %s: %s", c, level, text)
	}
}

// moves runs commands: in one step, with a form, cancelled, with a bad value, with one that nobody knows.
func moves(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	done(h, c.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "Power is on (confirmed by the device)")
	if !h.lamp.Power() {
		t.Error("the lamp is off")
	}
	c.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "on"})
	done(h, c.Command(g.full("door"), "door/bell/do", xmpptest.Stage{}), "warn", "Bell: done")

	jid, node := g.full("greenhouse"), "greenhouse/target/set"
	form := c.Command(jid, node, xmpptest.Stage{})
	if form.Status != "executing" || form.Execute != "complete" || form.Form == nil || len(form.Form.Fields) != 1 {
		t.Fatalf("set target: %+v", form)
	}
	if f := form.Form.Fields[0]; f.Type != "text-single" || f.Datatype != "xs:decimal" || !slices.Equal(f.Range, []string{"5", "30"}) ||
		!slices.Equal(f.Values, []string{"21"}) || !f.Required {
		t.Errorf("field: %+v", f)
	}
	for _, bad := range []string{"warm", "31", ""} {
		_, err := c.TryCommand(jid, node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"value": bad}})
		if xmpptest.Condition(err) != "bad-request" {
			t.Errorf("target %q: %v", bad, err)
		}
	}
	done(h, c.Command(jid, node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"value": "22.4"}}),
		"info", "Target is 22.5 °C (confirmed by the device)")
	if got := h.node.State().Target; got != 22.5 {
		t.Errorf("target %v", got)
	}

	form = c.Command(jid, node, xmpptest.Stage{})
	if canceled := c.Command(jid, node, xmpptest.Stage{Action: "cancel", Session: form.Session}); canceled.Status != "canceled" {
		t.Errorf("cancel: %+v", canceled)
	}
	if _, err := c.TryCommand(jid, node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"value": "25"}}); xmpptest.Condition(err) != "bad-request" {
		t.Errorf("a session that was cancelled goes on: %v", err)
	}
	if _, err := c.TryCommand(jid, "greenhouse/fountain/on", xmpptest.Stage{}); xmpptest.Condition(err) != "item-not-found" {
		t.Errorf("a command that is not: %v", err)
	}
}

// asks runs what is dangerous: only with a yes.
func asks(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	jid, node := g.full("greenhouse"), "greenhouse/pump/on"
	form := c.Command(jid, node, xmpptest.Stage{})
	if form.Form == nil || len(form.Form.Fields) != 1 || form.Form.Fields[0].Type != "boolean" || form.Form.Fields[0].Label != "Really?" {
		t.Fatalf("pump on: %+v", form)
	}
	done(h, c.Command(jid, node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"really": "0"}}), "info", "Not done")
	if h.node.State().Relay {
		t.Error("the pump runs")
	}
	form = c.Command(jid, node, xmpptest.Stage{})
	done(h, c.Command(jid, node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"really": "1"}}),
		"info", "Pump is on (confirmed by the device)")
	c.ExpectPresence(xmpptest.Expect{From: jid, Type: "available", Status: "30 °C · 58 %"})
	for _, st := range c.Seen("presence", jid) {
		if st.Type != "available" {
			t.Errorf("the greenhouse went away: %s", st.XML)
		}
	}
}

// watered is what says that the pump runs, and none of what follows.
const watered = "Greenhouse is being watered\nSay "

// listed fails unless the hub's form has the one alert.
func listed(h *house, c *xmpptest.Client) {
	h.t.Helper()
	form := c.Command(h.ground.full("home"), "alerts", xmpptest.Stage{})
	if form.Form == nil || form.Form.Instructions != "Greenhouse is being watered" || len(form.Form.Fields) != 2 {
		h.t.Errorf("alerts: %+v", form)
		return
	}
	c.Command(h.ground.full("home"), "alerts", xmpptest.Stage{Action: "cancel", Session: form.Session})
}

// isWarned gets the alert and its recovery, each once.
func isWarned(h *house, c *xmpptest.Client) {
	h.t.Helper()
	jid := h.ground.full("greenhouse")
	alert := c.ExpectMessage(xmpptest.Expect{From: jid, Type: "chat", Contains: watered})
	for _, part := range []string{"urn:xmpp:hints", "urn:xmpp:receipts", "greenhouse/alerts/wet/ack"} {
		if !strings.Contains(alert.XML, part) {
			h.t.Errorf("the alert is without %s: %s", part, alert.XML)
		}
	}
	listed(h, c)
	c.Forget()
	done(h, c.Command(jid, "greenhouse/pump/off/really", xmpptest.Stage{}), "info", "Pump is off")
	c.ExpectMessage(xmpptest.Expect{From: jid, Type: "chat", Contains: "(wet over"})
	c.ExpectPresence(xmpptest.Expect{From: jid, Type: "available", Status: "30 °C · 48 %"})
}

// talks says what it wants.
func talks(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g := h.ground
	heard := func(to, say, answer string) {
		h.t.Helper()
		c.Say(g.full(to), say)
		c.ExpectMessage(xmpptest.Expect{From: g.full(to), Type: "chat", Contains: answer})
	}
	heard("lamp", "Turn OFF, please", "Lamp: Power is off (confirmed by the device).")
	heard("home", "the lamp on", "Lamp: Power is on (confirmed by the device).")
	heard("home", "lmap off", `did you mean "lamp"?`)
	heard("greenhouse", "status", "Greenhouse: 30 °C · 48 %")
	heard("greenhouse", "set target 99", "out of range")
	heard("greenhouse", "pump on", "Really Greenhouse: Pump on?")
	heard("greenhouse", "yes", "Pump is on (confirmed by the device).")
	c.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: watered})
	heard("home", "all off", "Really Greenhouse: Pump off?")
	c.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "Lamp: Power is off"})
	heard("home", "yes", "Greenhouse: Pump is off")
	c.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "(wet over"})
	heard("home", "devices", "Front door (Hall): open")
	if h.lamp.Power() {
		h.t.Error("the lamp is on")
	}
}

// loses a device: it goes, and comes back.
func loses(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g := h.ground
	c.Forget()
	h.unplug()
	c.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "unavailable", Contains: "fline"})
	if _, err := c.TryCommand(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}); xmpptest.Condition(err) != "recipient-unavailable" {
		h.t.Errorf("a command for the lamp that is away: %v", err)
	}
	h.plugIn()
	c.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	done(h, c.Command(g.full("lamp"), "lamp/power/on", xmpptest.Stage{}), "info", "confirmed")
	if err := h.lamp.WaitPower(ctx, true); err != nil {
		h.t.Error(err)
	}
}
