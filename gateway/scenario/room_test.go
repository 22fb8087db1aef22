//go:build servers

package scenario

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// prosodyRooms and ejabberdRooms have the servers hold rooms.
const (
	prosodyRooms = `
Component "rooms.prosody.test" "muc"
  restrict_room_creation = false
  modules_enabled = { "muc_mam" }
`
	ejabberdRooms = `  mod_muc:
    host: rooms.ejabberd.test
    access_create: all
    min_message_interval: 0
    min_presence_interval: 0
`
)

// roomed is the configuration with a room, which may see and control what is in its line; the alert goes there too.
const roomed = `
[access."room:{{room}}"]
role = "operator"
devices = ["lamp", "greenhouse"]

[rooms."{{room}}"]
nick = "house"
password = "sesame"
`

func (h *house) withRoom(room, more string) {
	h.t.Helper()
	text := strings.Replace(base+more, `to = ["alice@{{domain}}"]`, `to = ["alice@{{domain}}", "room:{{room}}"]`, 1)
	h.configure(strings.ReplaceAll(text+roomed, "{{room}}", room))
}

// waitRoom waits until the gateway says of its room what is expected.
func (h *house) waitRoom(contains string) {
	h.t.Helper()
	state := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // no step shows it
		for _, r := range h.gateway.Status().Rooms {
			if state = r.State; strings.Contains(state+"\n", contains) {
				return
			}
		}
	}
	h.t.Fatalf("the room is %q, want %q", state, contains)
}

// makeRoom has somebody make a room that is fit for a house, with its password.
func makeRoom(c *xmpptest.Client, room, nick string) {
	c.JoinRoom(room, nick, "")
	c.ConfigureRoom(room, map[string]string{"membersonly": "1", "whois": "anyone", "persistentroom": "1",
		"passwordprotectedroom": "1", "roomsecret": "sesame"})
}

// roomID is the id by which people refer to a message in a room: the one the room gave it, where it gives any (XEP-0359).
func roomID(st xmpptest.Stanza) string {
	_, tag, found := strings.Cut(st.XML, "<stanza-id ")
	if !found {
		return st.ID
	}
	_, id, _ := strings.Cut(tag[:strings.IndexByte(tag, '>')], ` id="`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

// A room of the house: it is joined, heard and told, and everything that can keep the gateway out of it happens once.
func TestRoom(t *testing.T) {
	t.Parallel()
	p := xmpptest.StartProsody(t, xmpptest.Options{Extra: prosodyRooms})
	e := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{Options: xmpptest.Options{Extra: ejabberdRooms}})
	for _, g := range []*ground{
		component("prosody component", p.Domain, p.Component, p.Components[0], p),
		account("prosody client", p, "gateway"),
		component("ejabberd component", e.Domain, e.ComponentAddrs[0], e.Components[0], e),
	} {
		t.Run(g.name, func(t *testing.T) {
			room := fmt.Sprintf("%s@rooms.%s", strings.ReplaceAll(g.name, " ", "-"), g.domain)
			hasRoom(t, g, room)
		})
	}
}

func hasRoom(t *testing.T, g *ground, room string) {
	h := begin(t, g)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reload := func() {
		t.Helper()
		if err := h.gateway.Reload(ctx); err != nil {
			t.Fatal(err)
		}
	}
	h.withRoom(room, "")
	reload()
	h.waitRoom("there is no such room")

	// Alice makes it, and has the gateway be a member: the invitation brings it.
	alice, bob, carol := h.client("alice"), h.client("bob"), h.client("carol")
	makeRoom(alice, room, "alice")
	for _, who := range []string{g.person("bob"), g.person("carol")} {
		alice.SetAffiliation(room, who, "member")
	}
	h.configure(base) // out of the configuration, and in again: tried at once
	reload()
	h.withRoom(room, "")
	reload()
	h.waitRoom("it is for members only")
	alice.SetAffiliation(room, g.bare("home"), "member")
	alice.Raw(fmt.Sprintf("<message to='%s'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='%s'/></x></message>", room, g.bare("home")))
	h.waitRoom("joined as house")
	// What the gateway asks after two minutes of silence, this server answers as XEP-0410 has it.
	alice.Ping(room + "/alice")
	if _, err := bob.TryIQ(room+"/bob", "get", "<ping xmlns='urn:xmpp:ping'/>"); xmpptest.Condition(err) != "not-acceptable" {
		t.Errorf("a ping to oneself by somebody who is not in the room: %v", err)
	}
	bob.JoinRoom(room, "bob", "sesame")
	carol.JoinRoom(room, "carol", "sesame")

	// What is said to it is done, for those who may; an answer is for the room to see.
	heard := func(c *xmpptest.Client, say, answer string) {
		t.Helper()
		c.SayInRoom(room, say)
		for _, listener := range []*xmpptest.Client{alice, bob, carol} {
			listener.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: answer})
		}
	}
	heard(alice, "house: lamp on", "alice: Lamp: Power is on (confirmed by the device).")
	heard(carol, "house, lamp off", "carol: Lamp: Power is off (confirmed by the device).")
	heard(bob, "house: lamp on", "bob: Your role may see Lamp but not control it.")
	heard(carol, "house: pump on", "carol: I did not understand")
	heard(carol, "house: greenhouse pump on", `carol: Really Greenhouse: Pump on? Say "house: yes" within a minute.`)
	carol.SayInRoom(room, "yes")
	heard(carol, "house: yes", "carol: Greenhouse: Pump is on (confirmed by the device).")
	var alert xmpptest.Stanza
	for _, c := range []*xmpptest.Client{alice, bob, carol} {
		alert = c.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: "Greenhouse is being watered\nSay \"house: greenhouse ack\""})
	}
	// A thumb under it is enough, by the id that the room gave it.
	carol.Do("message", map[string]any{"to": room, "type": "groupchat",
		"extra": "<reactions xmlns='urn:xmpp:reactions:0' id='" + roomID(alert) + "'><reaction>👍</reaction></reactions>"}, nil)
	alice.ExpectMessage(xmpptest.Expect{Type: "chat", Contains: "Acknowledged by " + g.person("carol") + " in room:" + room})
	heard(alice, "house: door status", "alice: I did not understand") // which the room may not see
	if h.lamp.Power() {
		t.Error("the lamp is on")
	}
	// By the back door: to one who is behind an address of the room's, everything is refused.
	carol.Do("message", map[string]any{"to": room + "/house", "body": "lamp on"}, nil)
	carol.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "error"})
	if _, err := carol.TryCommand(room+"/house", "lamp/power/on", xmpptest.Stage{}); err == nil {
		t.Error("a command through the room")
	}

	// While the room is open nothing is said there.
	alice.ConfigureRoom(room, map[string]string{"membersonly": "0", "whois": "anyone", "persistentroom": "1",
		"passwordprotectedroom": "1", "roomsecret": "sesame"})
	h.waitRoom("not members-only")
	pump(h, "off")
	alice.SayInRoom(room, "house: lamp on")
	alice.ExpectNoMessage(xmpptest.Expect{From: room + "/house"}, quiet)
	alice.ConfigureRoom(room, map[string]string{"membersonly": "1", "whois": "anyone", "persistentroom": "1",
		"passwordprotectedroom": "1", "roomsecret": "sesame"})
	alice.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: "(wet over"})
	if h.lamp.Power() {
		t.Error("the lamp is on")
	}

	// Put out, it says so and comes again when it is told to.
	alice.SetRole(room, "house", "none")
	h.waitRoom("somebody put us out of it")
	h.configure(base)
	reload()

	// Its nick is somebody else's: it takes another, and its own when that is free.
	dave := h.client("mallory")
	alice.SetAffiliation(room, g.person("mallory"), "member")
	dave.JoinRoom(room, "house", "sesame")
	h.withRoom(room, "")
	reload()
	h.waitRoom("joined as house-2")
	alice.SayInRoom(room, "house-2: lamp on")
	alice.ExpectMessage(xmpptest.Expect{From: room + "/house-2", Contains: "Lamp: Power is on"})
	dave.LeaveRoom(room, "house")
	h.waitRoom("joined as house\n")

	// The server goes and comes back, the room with it: what was to be said meanwhile is said, once.
	pump(h, "on")
	for _, c := range []*xmpptest.Client{alice, bob, carol, dave} {
		if c != dave {
			c.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: "Greenhouse is being watered\nSay \"house: greenhouse ack\""})
		}
		c.Logout()
	}
	g.restart(t, func() { pump(h, "off") })
	h.waitRoom("joined as house")
	carol = h.client("carol")
	carol.JoinRoom(room, "carol", "sesame")
	pump(h, "on")
	carol.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: "Greenhouse is being watered\nSay \"house: greenhouse ack\""})
	carol.ExpectNoMessage(xmpptest.Expect{From: room + "/house", Contains: "being watered\nSay"}, quiet)
	pump(h, "off")
	carol.ExpectMessage(xmpptest.Expect{From: room + "/house", Contains: "(wet over"})

	// A password that is another one by now, a ban, and the end of the room.
	alice = h.client("alice")
	alice.JoinRoom(room, "alice", "sesame")
	alice.ConfigureRoom(room, map[string]string{"membersonly": "1", "whois": "anyone", "persistentroom": "1",
		"passwordprotectedroom": "1", "roomsecret": "open"})
	h.configure(base)
	reload()
	h.withRoom(room, "")
	reload()
	h.waitRoom("the password is wrong")
	alice.ConfigureRoom(room, map[string]string{"membersonly": "1", "whois": "anyone", "persistentroom": "1",
		"passwordprotectedroom": "1", "roomsecret": "sesame"})
	h.configure(base)
	reload()
	h.withRoom(room, "")
	reload()
	h.waitRoom("joined as house")
	alice.SetAffiliation(room, g.bare("home"), "outcast")
	h.waitRoom("banned")
	alice.SetAffiliation(room, g.bare("home"), "member")
	h.configure(base)
	reload()
	h.withRoom(room, "")
	reload()
	h.waitRoom("joined as house")
	alice.DestroyRoom(room, "no longer needed")
	h.waitRoom("it was destroyed: no longer needed")
}

// A room of another server, which dies without a word: what was to be said in it is said when it is back, and who speaks there is
// known by what that server tells.
func TestRoomElsewhere(t *testing.T) {
	t.Parallel()
	servers := xmpptest.Federate(t,
		xmpptest.Options{Domain: "a.example", Components: []string{"things.a.example"}},
		xmpptest.Options{Domain: "b.example", Others: []string{"rooms.b.example"}, Extra: strings.ReplaceAll(prosodyRooms, "prosody.test", "b.example")})
	near, far := servers[0], servers[1]
	g := component("room elsewhere", far.Domain, near.Component, near.Components[0], near)
	g.login = far.Login
	h := begin(t, g)
	const room = "ops@rooms.b.example"
	alice := h.client("alice")
	makeRoom(alice, room, "alice")
	alice.SetAffiliation(room, g.bare("home"), "member")
	h.withRoom(room, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.gateway.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	h.waitRoom("joined as house")
	alice.SayInRoom(room, "house: lamp on")
	alice.ExpectMessage(xmpptest.Expect{From: room + "/house", Contains: "alice: Lamp: Power is on (confirmed by the device)."})

	alice.Drop()
	if err := far.Kill(); err != nil {
		t.Fatal(err)
	}
	pump(h, "on")
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	alice.Login(h.login("alice"))
	alice.JoinRoom(room, "alice", "sesame")
	alice.ExpectMessage(xmpptest.Expect{From: room + "/house", Type: "groupchat", Contains: "Greenhouse is being watered"})
	h.waitRoom("joined as house")
	alice.SayInRoom(room, "house: lamp off")
	alice.ExpectMessage(xmpptest.Expect{From: room + "/house", Contains: "alice: Lamp: Power is off (confirmed by the device)."})
	alice.ExpectNoMessage(xmpptest.Expect{From: room + "/house", Contains: "being watered\nSay"}, quiet)
}
