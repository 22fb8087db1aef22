//go:build servers

package scenario

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// Programs read and set devices: with slixmpp's plugins for XEP-0323 and XEP-0325 as they are, and in the dialects that
// came after them.
func TestPrograms(t *testing.T) {
	everywhere(t, 4, func(t *testing.T, g *ground) {
		h := begin(t, g)
		alice, bob := h.client("alice"), h.client("bob")
		h.meet(alice, "greenhouse", "lamp")
		h.meet(bob, "greenhouse", "lamp")
		alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available"})
		alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available"})
		readsWithPlugin(h, alice)
		setsWithPlugin(h, alice, bob)
		begun := time.Now()
		subscribes(h, alice)
		readsHistory(h, alice, begun)
	})
}

// results are what slixmpp's plugin calls back with, in order.
func results(heard []xmpptest.Heard) []string {
	var out []string
	for _, e := range heard {
		out = append(out, e.Result)
	}
	return out
}

func readsWithPlugin(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	heard := c.ReadSensor(g.full("greenhouse"), nil, []string{"temperature"}, "momentary")
	if !slices.Equal(results(heard), []string{"accepted", "fields", "done"}) {
		t.Fatalf("read: %+v", heard)
	}
	f := heard[1]
	if f.From != g.full("greenhouse") || f.Node != "greenhouse" || len(f.Fields) != 1 || f.Fields[0].Name != "temperature" ||
		f.Fields[0].Typename != "numeric" || f.Fields[0].Value != "30" || f.Fields[0].Unit != "°C" || f.Fields[0].Flags["momentary"] != "true" {
		t.Errorf("read: %+v", f)
	}
	// Of the house: every device, told apart.
	nodes := map[string]bool{}
	for _, e := range c.ReadSensor(g.full("home"), nil, nil, "status", "identity") {
		if e.Result == "fields" {
			nodes[e.Node] = true
		}
	}
	if !nodes["greenhouse"] || !nodes["door"] || !nodes["lamp"] {
		t.Errorf("devices read of the house: %v", nodes)
	}
	if heard := c.ReadSensor(g.full("home"), []string{"lamp"}, nil, "momentary"); len(heard) < 2 || heard[1].Node != "lamp" {
		t.Errorf("the lamp through the house: %+v", heard)
	}
	if heard := c.ReadSensor(g.full("lamp"), nil, []string{"nothing"}, "momentary"); !slices.Equal(results(heard), []string{"rejected"}) || heard[0].Error == "" {
		t.Errorf("a field that is not: %+v", heard)
	}
}

func setsWithPlugin(h *house, c, viewer *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	if code := c.SetParameters(g.full("lamp"), nil, xmpptest.Parameter{Name: "power", Type: "boolean", Value: "true"}); code != "OK" || !h.lamp.Power() {
		t.Errorf("set: %s, the lamp is on: %v", code, h.lamp.Power())
	}
	c.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "on"})
	if code := c.SetParameters(g.full("home"), []string{"lamp"}, xmpptest.Parameter{Name: "power", Type: "boolean", Value: "false"}); code != "OK" || h.lamp.Power() {
		t.Errorf("set through the house: %s, the lamp is on: %v", code, h.lamp.Power())
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.CommandParameters(g.full("lamp"), nil, xmpptest.Parameter{Name: "power", Type: "boolean", Value: "true"})
	if err := h.lamp.WaitPower(ctx, true); err != nil {
		t.Errorf("by message: %v", err)
	}
	for _, bad := range []struct {
		by   *xmpptest.Client
		to   string
		set  []xmpptest.Parameter
		code string
	}{
		{c, "lamp", []xmpptest.Parameter{{Name: "colour", Type: "string", Value: "red"}}, "NotFound"},
		{c, "greenhouse", []xmpptest.Parameter{{Name: "target", Type: "double", Value: "22"}, {Name: "pump", Type: "boolean", Value: "true"}}, "InsufficientPrivileges"},
		{c, "greenhouse", []xmpptest.Parameter{{Name: "target", Type: "double", Value: "99"}}, "OtherError"},
		{viewer, "lamp", []xmpptest.Parameter{{Name: "power", Type: "boolean", Value: "false"}}, "InsufficientPrivileges"},
	} {
		if code := bad.by.SetParameters(g.full(bad.to), nil, bad.set...); code != bad.code {
			t.Errorf("%+v: %s, want %s", bad.set, code, bad.code)
		}
	}
	if s := h.node.State(); s.Relay || s.Target != 21 || !h.lamp.Power() {
		t.Errorf("something was done: %+v, lamp %v", s, h.lamp.Power())
	}
}

// subscribes hears of changes, and does not when it has gone.
func subscribes(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	greenhouse := g.full("greenhouse")
	answer, err := c.TryIQ(greenhouse, "set", "<subscribe xmlns='urn:nf:iot:events:1.0' id='S1' m='true' req='true'><f n='target' by='2'/></subscribe>")
	if err != nil || !strings.Contains(answer, "accepted") || !strings.Contains(answer, "urn:nf:iot:sd:1.0") {
		t.Fatalf("subscribe: %s, %v", answer, err)
	}
	event := func(value string) {
		t.Helper()
		st := c.ExpectMessage(xmpptest.Expect{From: greenhouse, XML: "urn:nf:iot:sd:1.0"})
		if !strings.Contains(st.XML, `v="`+value+`"`) || !strings.Contains(st.XML, `id="S1"`) {
			t.Errorf("event %s, want %s", st.XML, value)
		}
	}
	set := func(value string) {
		t.Helper()
		if _, err := c.TryIQ(greenhouse, "set", "<set xmlns='urn:nf:iot:ctr:1.0'><db n='target' v='"+value+"'/></set>"); err != nil {
			t.Errorf("set %s: %v", value, err)
		}
	}
	event("21")
	set("22")
	set("24")
	event("24")
	form, err := c.TryIQ(greenhouse, "get", "<getForm xmlns='urn:ieee:iot:ctr:1.0'/>")
	if err != nil || !strings.Contains(form, `var="target"`) || strings.Contains(form, `var="pump"`) {
		t.Errorf("form: %s, %v", form, err)
	}
	if _, err := c.TryIQ(greenhouse, "get", "<unsubscribe xmlns='urn:nf:iot:events:1.0' id='S1'/>"); err != nil {
		t.Errorf("unsubscribe: %v", err)
	}
	set("28")
	c.ExpectNoMessage(xmpptest.Expect{From: greenhouse, XML: "urn:nf:iot:sd:1.0"}, quiet)
	// It goes without a word to us.
	if _, err := c.TryIQ(greenhouse, "set", "<subscribe xmlns='urn:nf:iot:events:1.0' id='S2'><f n='target'/></subscribe>"); err != nil {
		t.Fatal(err)
	}
	c.Logout()
	c.Login(h.login("alice"))
	if _, err := c.TryIQ(greenhouse, "get", "<unsubscribe xmlns='urn:nf:iot:events:1.0' id='S2'/>"); xmpptest.Condition(err) != "item-not-found" {
		t.Errorf("a subscription of somebody who went: %v", err)
	}
}

// readsHistory reads what subscribes had set, with the plugin as it is and in the dialects that came after; also what was
// written, after a restart.
func readsHistory(h *house, c *xmpptest.Client, begun time.Time) {
	h.t.Helper()
	g, t := h.ground, h.t
	greenhouse := g.full("greenhouse")
	from := begun.UTC().Format(time.RFC3339Nano)
	plugin := func(when string) {
		t.Helper()
		heard := c.ReadSensor(greenhouse, nil, []string{"target"}, "historical", "from="+from)
		var got []string
		for _, e := range heard {
			for _, f := range e.Fields {
				if e.Node != "greenhouse" || f.Name != "target" || f.Typename != "numeric" || f.Unit != "°C" || f.Flags["historicalOther"] != "true" {
					t.Errorf("%s: %+v", when, e)
				}
				got = append(got, f.Value)
			}
		}
		if r := results(heard); r[0] != "accepted" || r[len(r)-1] != "done" || !slices.Equal(got, []string{"22", "24", "28"}) {
			t.Errorf("%s: history of the target: %v, %v", when, r, got)
		}
	}
	plugin("at once")
	for _, space := range []string{"urn:ieee:iot:sd:1.0", "urn:nf:iot:sd:1.0", "urn:nfi:iot:sd:1.0"} {
		answer, err := c.TryIQ(greenhouse, "get", "<req xmlns='"+space+"' id='H1' h='true' p='true' from='"+from+"'><f n='target'/></req>")
		if err != nil || strings.Count(answer, `h="true"`) != 3 || !strings.Contains(answer, `n="target, Max"`) || !strings.Contains(answer, space) {
			t.Errorf("%s: %s, %v", space, answer, err)
		}
	}
	// A person has a command for it.
	form := c.Command(greenhouse, "greenhouse/history", xmpptest.Stage{})
	table := c.Command(greenhouse, "greenhouse/history", xmpptest.Stage{Session: form.Session, Fields: map[string]any{"point": "target", "time": "1h"}})
	if len(form.Form.Fields) != 2 || table.Status != "completed" || len(table.Form.Items) != 4 || table.Form.Items[0]["c2"] != "28 °C" || table.Form.Items[3]["c2"] != "21 °C" ||
		len(table.Notes) != 1 || !strings.Contains(table.Notes[0].Text, "min 21 °C") {
		t.Errorf("history: %+v, then %+v: %+v", form, table, table.Form)
	}
	h.stop()
	c.Logout()
	h.start()
	h.plugIn()
	c.Login(h.login("alice"))
	h.meet(c, "greenhouse")
	c.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available"})
	heard := c.ReadSensor(greenhouse, nil, []string{"target"}, "historical", "from="+from, "to="+time.Now().UTC().Format(time.RFC3339Nano))
	if n := len(heard); n < 5 || heard[1].Fields[0].Value != "22" || heard[3].Fields[0].Value != "28" {
		t.Errorf("after a restart: %+v", heard)
	}
}
