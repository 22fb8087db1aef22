//go:build servers

package scenario

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/gateway"
	"tidings/xmppbridge/xmpptest"
)

// finding is the configuration of a house that knows none of its devices.
const finding = `
[gateway]
name = "House"

[xmpp]
{{xmpp}}

[access]
"alice@{{domain}}" = "admin"
"bob@{{domain}}" = "viewer"

[broker]
listen = ["127.0.0.1:0"]

[drivers.house]
type = "mqtt"
broker = "local"
discovery = ["homeassistant", "tasmota"]

[alerts.pressed]
device = "homeassistant:zigbee2mqtt_0x00124b0025131e5a"
when = "action == 'single'"
text = "Somebody pressed {{.device}}"
to = ["alice@{{domain}}"]
`

// find starts a house that finds its devices, and a radio that has them.
func find(t *testing.T, g *ground) (*house, *radio) {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, ground: g, dir: dir, file: filepath.Join(dir, "gateway.toml"), listening: make(chan net.Addr, 1)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- gateway\n%s", h.log.String())
		}
	})
	h.configure(finding)
	h.start()
	return h, tune(h)
}

// found waits until the house has the devices of these names in addresses, and no others.
func found(h *house, slugs ...string) map[string]gateway.DeviceStatus {
	h.t.Helper()
	slices.Sort(slugs)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out := map[string]gateway.DeviceStatus{}
		var names []string
		for _, d := range h.gateway.DeviceStatus() {
			out[d.Slug] = d
			names = append(names, d.Slug)
		}
		if slices.Sort(names); slices.Equal(names, slugs) {
			return out
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("found %q, want %q", names, slugs)
		}
	}
}

// discovered are the devices of the radio, as addresses have them.
var discovered = []string{"hausturschloss", "haustur", "heizung-buro", "stehlampe", "taster", "vorhang", "washing-machine"}

// bulb is a lamp's announcement with a room.
var bulb = []string{`"name": "Stehlampe",`, `"name": "Stehlampe", "suggested_area": "Wohnzimmer",`}

func (r *radio) begin() {
	r.t.Helper()
	r.announce(zigbee+"bulb.txt", bulb...)
	for _, file := range []string{"curtain-motor", "radiator", "lock", "contact", "button"} {
		r.announce(zigbee + file + ".txt")
	}
	r.announce(tasmota + "plug.txt")
	r.is("Stehlampe", `{"brightness":127,"color_mode":"color_temp","color_temp":370,"power_on_behavior":"previous","state":"ON"}`)
	r.is("Vorhang", `{"motor_state":"stopped","position":40,"state":"OPEN","tilt":50}`)
	r.is("Heizung Büro", `{"local_temperature":20.31,"occupied_heating_setpoint":21,"pi_heating_demand":30,"running_state":"heat","system_mode":"heat"}`)
	r.is("Haustürschloss", `{"battery":88,"lock_state":"locked","state":"LOCK"}`)
	r.is("Haustür", `{"battery":100,"contact":true,"device_temperature":23}`)
	r.is("Taster", `{"action":null,"battery":100,"voltage":3000}`)
	r.say("tele/washer/LWT", "Online")
	r.say("stat/washer/RESULT", `{"POWER":"OFF"}`)
	r.say("tele/washer/SENSOR", `{"Time":"2026-01-05T12:05:00","ENERGY":{"Total":124.001,"Power":2012,"Voltage":229,"Current":8.952}}`)
}

// A house knows none of its devices. They announce themselves and are there, named as they name themselves, with what they read and
// what they can do; they are renamed, and stay who they are; they go, and are gone.
func TestDiscovered(t *testing.T) {
	t.Parallel()
	const domain = "finding.test"
	trusting := xmpptest.StartProsody(t, xmpptest.Options{Domain: domain, Privileged: []string{"gw." + domain}})
	filled := component("prosody component", domain, trusting.Component, trusting.Components[0], trusting)
	filled.filled = true
	for _, g := range []*ground{
		filled, component("ejabberd component", ejabberd.Domain, ejabberd.ComponentAddrs[5], ejabberd.Components[5], ejabberd),
		account("prosody client", prosody, "gateway8"), inside(),
	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			h, r := find(t, g)
			r.begin()
			found(h, discovered...)
			alice := h.client("alice")
			h.meet(alice, discovered...)
			arrive(h, alice)
			areMoved(h, r, alice)
			offer(h, r, alice)
			obeyPrograms(h, r, alice)
			press(h, r, alice)
			areAway(h, r, alice)
			moreCome(h, r, alice)
			areRenamed(h, r, alice)
			vanish(h, r, alice)
			h.stop()
			alice.Forget()
			h.start() // the broker inside has kept what they announced
			for slug, d := range found(h, "haustur", "heizung-buro", "stehlampe", "stehlampe-2", "taster", "vorhang", "washing-machine") {
				if slug == "stehlampe" && d.Name != "Leselampe" || slug == "stehlampe-2" && d.Name != "Stehlampe" {
					t.Errorf("after a restart %s is %q", slug, d.Name)
				}
			}
			if g.login != nil { // there, the client is still logged in
				alice.ExpectPresence(xmpptest.Expect{From: g.full("stehlampe"), Type: "available", Contains: "off"})
				inList(h, alice, "stehlampe", "Leselampe", "Wohnzimmer")
			}
		})
	}
}

// arrive sees what the devices read, and finds them in the contact list.
func arrive(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	for slug, status := range map[string]string{"stehlampe": "on · 50 %", "vorhang": "open · 40 %", "heizung-buro": "20.31 °C · target 21 °C",
		"hausturschloss": "locked", "haustur": "closed", "washing-machine": "off · 2012 W"} {
		c.ExpectPresence(xmpptest.Expect{From: g.full(slug), Type: "available", Contains: status})
	}
	items, err := c.TryItems(g.full("home"), "")
	if err != nil || !slices.Equal(names(items), []string{"Haustür", "Haustürschloss", "Heizung Büro", "Stehlampe", "Taster", "Vorhang", "Washing machine"}) {
		t.Errorf("items of the hub: %q, %v", names(items), err)
	}
	inList(h, c, "stehlampe", "Stehlampe", "Wohnzimmer")
	inList(h, c, "haustur", "Haustür", "House")
}

// inList waits until a device is called so in the contact list, where the house has a say in that.
func inList(h *house, c *xmpptest.Client, slug, name, group string) {
	h.t.Helper()
	if h.ground.asks() {
		return
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		item := c.Roster()[h.ground.bare(slug)]
		if item.Name == name && item.Subscription == "both" && slices.Equal(item.Groups, []string{group}) {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s in the contact list: %+v, want %s in %s", slug, item, name, group)
		}
	}
}

// areMoved says what it wants.
func areMoved(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	for _, line := range []struct{ to, say, order, answer string }{
		{"stehlampe", "off", `zigbee2mqtt/Stehlampe/set {"state":"OFF"}`, "Light is off (confirmed by the device)"},
		{"stehlampe", "brightness 0", `zigbee2mqtt/Stehlampe/set {"state":"OFF"}`, "Brightness is 0 % (confirmed by the device)"},
		{"stehlampe", "brightness 40", `zigbee2mqtt/Stehlampe/set {"state":"ON","brightness":102}`, "Brightness is 40 % (confirmed by the device)"},
		{"stehlampe", "color red", `zigbee2mqtt/Stehlampe/set {"state":"ON","color":{"x":0.701,"y":0.299}}`, "Color is red (confirmed by the device)"},
		{"stehlampe", "#ff8800", `zigbee2mqtt/Stehlampe/set {"state":"ON","color":`, "Color is #ff8800 (confirmed by the device)"},
		{"home", "stehlampe dim to 60 %", `zigbee2mqtt/Stehlampe/set {"state":"ON","brightness":152}`, "Brightness is 60 % (confirmed by the device)"},
		{"vorhang", "open", `zigbee2mqtt/Vorhang/set OPEN`, "Cover is opening (accepted by the device)"},
		{"vorhang", "stop", `zigbee2mqtt/Vorhang/set STOP`, "Cover is open (accepted by the device)"},
		{"vorhang", "position 35", `zigbee2mqtt/Vorhang/set { "position": 35 }`, "Position is 35 % (confirmed by the device)"},
		{"heizung-buro", "target 21.5", `zigbee2mqtt/Heizung Büro/set/occupied_heating_setpoint 21.5`, "Target is 21.5 °C (confirmed by the device)"},
		{"heizung-buro", "mode heat", `zigbee2mqtt/Heizung Büro/set/system_mode heat`, "Mode is heat (confirmed by the device)"},
		{"heizung-buro", "target 40", "", "out of range"},
		{"hausturschloss", "unlock", `zigbee2mqtt/Haustürschloss/set UNLOCK`, "Lock is unlocked (confirmed by the device)"},
		{"hausturschloss", "lock", `zigbee2mqtt/Haustürschloss/set LOCK`, "Lock is locked (confirmed by the device)"},
		{"home", "washing machine on", `cmnd/washer/POWER ON`, "Power is on (confirmed by the device)"},
	} {
		c.Say(h.ground.full(line.to), line.say)
		if line.order != "" {
			r.told(line.order)
		}
		c.ExpectMessage(xmpptest.Expect{From: h.ground.full(line.to), Contains: line.answer})
	}
	c.ExpectPresence(xmpptest.Expect{From: h.ground.full("stehlampe"), Type: "available", Contains: "on · 60 %"})
}

// offer looks at the menus and fills in their forms.
func offer(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	for slug, want := range map[string][]string{
		"stehlampe": {"Light on", "Light off", "Set brightness…", "Set color…", "Set color temperature…", "Set effect…", "Set power-on behavior…", "Status"},
		"vorhang":   {"Open", "Close", "Stop", "Set position…", "Set tilt…", "Status"},
	} {
		if got := names(c.Commands(g.full(slug))); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("commands of %s: %q", slug, got)
		}
	}
	jid := g.full("stehlampe")
	field := func(node string) (xmpptest.Command, xmpptest.Field) {
		t.Helper()
		form := c.Command(jid, node, xmpptest.Stage{})
		if form.Status != "executing" || form.Form == nil || len(form.Form.Fields) != 1 {
			t.Fatalf("%s: %+v", node, form)
		}
		return form, form.Form.Fields[0]
	}
	fill := func(form xmpptest.Command, value string) xmpptest.Command {
		t.Helper()
		return c.Command(jid, form.Node, xmpptest.Stage{Action: "complete", Session: form.Session, Fields: map[string]any{"value": value}})
	}
	form, f := field("stehlampe/brightness/set")
	if f.Datatype != "xs:decimal" || !slices.Equal(f.Range, []string{"0", "100"}) || !slices.Equal(f.Values, []string{"60"}) || f.Label != "Brightness in %" {
		t.Errorf("brightness: %+v", f)
	}
	done(h, fill(form, "100"), "info", "Brightness is 100 %")
	r.told(`zigbee2mqtt/Stehlampe/set {"state":"ON","brightness":254}`)
	form, f = field("stehlampe/effect/set")
	if f.Type != "list-single" || len(f.Options) != 6 || f.Options[0].Value != "blink" {
		t.Errorf("effect: %+v", f)
	}
	done(h, fill(form, "breathe"), "info", "Effect is breathe (confirmed by the device)")
	form, _ = field("stehlampe/color/set")
	done(h, fill(form, "warm white"), "info", "Color is warm white")
	done(h, c.Command(g.full("vorhang"), "vorhang/cover/closed", xmpptest.Stage{}), "info", "Cover is closing (accepted by the device)")
	r.told("zigbee2mqtt/Vorhang/set CLOSE")
	status := c.Command(jid, "stehlampe/status", xmpptest.Stage{})
	if status.Form == nil || !slices.ContainsFunc(status.Form.Items, func(row map[string]string) bool {
		return row["c1"] == "Note" && strings.Contains(row["c2"], "linkquality")
	}) {
		t.Errorf("status: %+v", status)
	}
}

// obeyPrograms has a program read and set what a lamp is.
func obeyPrograms(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	jid, t := h.ground.full("stehlampe"), h.t
	for _, set := range []struct {
		xmpptest.Parameter
		order string
	}{
		{xmpptest.Parameter{Name: "color", Type: "color", Value: "FF0000"}, `zigbee2mqtt/Stehlampe/set {"state":"ON","color":{"x":0.701,"y":0.299}}`},
		{xmpptest.Parameter{Name: "brightness", Type: "int", Value: "30"}, `zigbee2mqtt/Stehlampe/set {"state":"ON","brightness":76}`},
	} {
		if code := c.SetParameters(jid, nil, set.Parameter); code != "OK" {
			t.Errorf("set %s: %s", set.Name, code)
		}
		r.told(set.order)
	}
	values := map[string]string{}
	for _, heard := range c.ReadSensor(jid, nil, nil, "momentary") {
		for _, f := range heard.Fields {
			values[f.Name] = f.Typename + " " + f.Value + f.Unit
		}
	}
	if values["color"] != "string #ff0000" || values["brightness"] != "numeric 30%" || values["light"] != "boolean true" {
		t.Errorf("read %v", values)
	}
}

// press has a button tell of each time it is pressed.
func press(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	c.Forget()
	for range 3 {
		r.wait(r.client.Publish("zigbee2mqtt/Taster/action", 0, false, "single"))
		c.ExpectMessage(xmpptest.Expect{From: h.ground.full("taster"), Contains: "Somebody pressed Taster"})
	}
	r.wait(r.client.Publish("zigbee2mqtt/Taster/action", 0, false, "double"))
	c.ExpectNoMessage(xmpptest.Expect{From: h.ground.full("taster")}, quiet)
}

// areAway sees a device go and come, and all of them.
func areAway(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	lamp := h.ground.full("stehlampe")
	r.say("zigbee2mqtt/Stehlampe/availability", `{"state":"offline"}`)
	c.ExpectPresence(xmpptest.Expect{From: lamp, Type: "unavailable", Contains: `zigbee2mqtt/Stehlampe/availability says "offline"`})
	if _, err := c.TryCommand(lamp, "stehlampe/light/on", xmpptest.Stage{}); xmpptest.Condition(err) != "recipient-unavailable" {
		h.t.Errorf("a command for a lamp that is away: %v", err)
	}
	c.Forget()
	r.say("zigbee2mqtt/Stehlampe/availability", `{"state":"online"}`)
	c.ExpectPresence(xmpptest.Expect{From: lamp, Type: "available"})
}

// moreCome has a second lamp of the same name appear, of which something is not understood.
func moreCome(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	other := []string{"0x0017880104e45517", "0x0017880104e45599", "zigbee2mqtt/Stehlampe", "zigbee2mqtt/Zweite"}
	r.announce(zigbee+"bulb.txt", append(other, bulb...)...)
	r.say("homeassistant/sensor/0x0017880104e45599/odd/config", `{"name":"Odd","unique_id":"odd","state_topic":"zigbee2mqtt/Zweite",
		"value_template":"{{ value_json.x | fourier }}","device":{"identifiers":["zigbee2mqtt_0x0017880104e45599"],"name":"Stehlampe"}}`)
	r.is("Zweite", `{"state":"OFF","brightness":254}`)
	all := found(h, append([]string{"stehlampe-2"}, discovered...)...)
	if g.account == "" && g.asks() {
		c.Subscribe(g.bare("stehlampe-2"))
	}
	c.ExpectPresence(xmpptest.Expect{From: g.full("stehlampe-2"), Type: "available", Contains: "off"})
	inList(h, c, "stehlampe-2", "Stehlampe", "Wohnzimmer")
	if !slices.ContainsFunc(all["stehlampe-2"].Notes, func(note string) bool { return strings.Contains(note, "odd") && strings.Contains(note, "fourier") }) {
		t.Errorf("notes: %q", all["stehlampe-2"].Notes)
	}
	status := c.Command(g.full("stehlampe-2"), "stehlampe-2/status", xmpptest.Stage{})
	if status.Form == nil || !slices.ContainsFunc(status.Form.Items, func(row map[string]string) bool { return strings.Contains(row["c2"], "fourier") }) {
		t.Errorf("status: %+v", status)
	}
	c.Say(g.full("home"), "stehlampe on")
	c.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "There are several of that name"})
	c.Say(g.full("home"), "stehlampe-2 on")
	r.told(`zigbee2mqtt/Zweite/set {"state":"ON"}`)
	c.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "Stehlampe: Light is on (confirmed by the device)"})
	items, err := c.TryItems(g.full("home"), "")
	if err != nil || !slices.Contains(names(items), "Stehlampe (stehlampe-2)") {
		t.Errorf("items of the hub: %q, %v", names(items), err)
	}
}

// areRenamed calls the first lamp otherwise, topics and all.
func areRenamed(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	r.is("Leselampe", `{"state":"ON","brightness":254}`)
	r.announce(zigbee+"bulb.txt", append([]string{"zigbee2mqtt/Stehlampe", "zigbee2mqtt/Leselampe", `"name": "Stehlampe",`,
		`"name": "Leselampe", "suggested_area": "Wohnzimmer",`}, bulb...)...)
	for deadline := time.Now().Add(patience); found(h, append([]string{"stehlampe-2"}, discovered...)...)["stehlampe"].Name != "Leselampe"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the lamp is not called otherwise")
		}
	}
	inList(h, c, "stehlampe", "Leselampe", "Wohnzimmer")
	if g.account == "" {
		if card := c.VCard(g.bare("stehlampe")); card.Name != "Leselampe" {
			t.Errorf("vCard: %+v", card)
		}
	}
	c.Say(g.full("home"), "leselampe off")
	r.told(`zigbee2mqtt/Leselampe/set {"state":"OFF"}`)
	c.ExpectMessage(xmpptest.Expect{From: g.full("home"), Contains: "Leselampe: Light is off (confirmed by the device)"})
}

// vanish takes the lock away.
func vanish(h *house, r *radio, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	c.Forget()
	for _, component := range []string{"lock/0x000d6f0011223344/lock", "sensor/0x000d6f0011223344/battery", "sensor/0x000d6f0011223344/lock_state"} {
		r.say("homeassistant/"+component+"/config", "")
	}
	c.ExpectPresence(xmpptest.Expect{From: g.full("hausturschloss"), Type: "unavailable"})
	items, err := c.TryItems(g.full("home"), "")
	if err != nil || slices.Contains(names(items), "Haustürschloss") {
		t.Errorf("items of the hub: %q, %v", names(items), err)
	}
	if g.account != "" {
		return
	}
	if _, err := c.TryCommand(g.full("hausturschloss"), "hausturschloss/lock/locked", xmpptest.Stage{}); xmpptest.Condition(err) != "item-not-found" {
		t.Errorf("a command for what is gone: %v", err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		item, there := c.Roster()[g.bare("hausturschloss")]
		if !there || g.asks() && item.Subscription == "none" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in the contact list: %+v", item)
		}
	}
}
