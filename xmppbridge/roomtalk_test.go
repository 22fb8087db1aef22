package xmppbridge

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

func TestAddressedTo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"home: lamp on": "lamp on", "home, lamp on": "lamp on", "Home:lamp on": "lamp on", "@home lamp on": "lamp on", "@home: lamp on": "lamp on",
		"home:": "", "@home": "", "home lamp on": "-", "homes: lamp on": "-", "lamp on": "-", "is home: here": "-", "": "-", "@homely hi": "-", "hom": "-",
	} {
		words, addressed := addressedTo("home", body)
		if !addressed {
			words = "-"
		}
		if words != want {
			t.Errorf("%q: %q, want %q", body, words, want)
		}
	}
}

// People in a room do what their own line of [access] lets them, or else the room's; and see there what the room may see.
func TestRoomTalk(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		for _, c := range []struct{ nick, say, answer string }{
			{"rob", "home: lamp on", "rob: Lamp: Power is on (confirmed by the device)."},
			{"rob", "home, the lamp is on", ""},
			{"rob", "home: oven status", `rob: I did not understand that. Say "devices" for what there is, or "help".`},
			{"alice", "home: oven status", `alice: I did not understand that. Say "devices" for what there is, or "help".`},
			{"alice", "Home: lamp off", "alice: Lamp: Power is off (confirmed by the device)."},
			{"vera", "home: lamp on", "vera: Your role may see Lamp but not control it."},
			{"rob", "lamp on", ""},
			{"eve", "home: lamp on", ""},
		} {
			out := r.says(c.nick, c.say, "")
			if c.say == "home, the lamp is on" { // the words are chat's own matter: only that there is an answer, to rob
				if len(out) != 1 || !strings.HasPrefix(out[0], "rob: ") {
					t.Errorf("%s: %q: %q", c.nick, c.say, out)
				}
				r.requests()
				continue
			}
			if c.answer == "" && len(out) != 0 || c.answer != "" && (len(out) != 1 || out[0] != c.answer) {
				t.Errorf("%s: %q: %q, want %q", c.nick, c.say, out, c.answer)
			}
			for _, q := range r.requests() {
				if q.By != "rob@example.org in room:"+"ops@rooms.example.org" && q.By != "alice@example.org in room:ops@rooms.example.org" {
					t.Errorf("by %s", q.By)
				}
			}
		}
		r.presence("rob", "type='unavailable'", "<item affiliation='none' role='none'/><status code='321'/>")
		equal(t, "who left", r.says("rob", "home: lamp on", ""), nil)
	})
}

// What is old, our own, from strangers or not to be taken from a room does nothing.
func TestRoomIgnores(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		equal(t, "history", r.says("rob", "home: lamp on", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"), nil)
		equal(t, "our own", r.says("home", "home: lamp on", ""), nil)
		r.presence("twin", "", "<item affiliation='member' role='participant' jid='"+hub+"'/>")
		equal(t, "one of ours", r.says("twin", "home: lamp on", ""), nil)
		r.presence("ghost", "", "<item affiliation='member' role='participant'/>")
		equal(t, "without an address", r.says("ghost", "home: lamp on", ""), nil)
		r.presence("guest", "", "<item affiliation='member' role='participant' jid='x@guests.example.org'/>")
		equal(t, "of a domain, in the room", r.says("guest", "home: lamp on", ""), []string{"guest: Lamp: Power is on (confirmed by the device)."})
		r.requests()
		r.silence("<message from='" + ops + "' to='" + hub + "' type='groupchat'><body>home: lamp on</body></message>")
		r.silence("<message from='" + ops + "/rob' to='" + hub + "' type='groupchat'><subject>home: lamp on</subject></message>")
		for what, xml := range map[string]string{
			"not-allowed": "<message from='" + ops + "/rob' to='" + hub + "' type='chat' id='1'><body>lamp on</body></message>",
			"service-unavailable": "<iq from='" + ops + "/rob' to='" + lamp + "' type='set' id='2'>" +
				"<command xmlns='http://jabber.org/protocol/commands' node='lamp/power/on'/></iq>",
		} {
			if e := stream.ParseError(r.answer(xml)); e == nil || e.Condition != what {
				t.Errorf("%s: %v", xml, e)
			}
		}
		r.silence("<message from='" + ops + "/rob' to='" + hub + "' type='chat' id='1'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		for _, typ := range []string{"subscribe", "probe"} { // as from anybody there: it is no person
			r.silence("<presence from='" + ops + "' to='" + lampBare + "' type='" + typ + "'/>")
		}
		r.silence("<message from='" + "room:" + ops + "' to='" + hub + "' type='chat' id='1'><body>lamp on</body></message>")
		r.silence("<message from='alice@example.org in room:" + ops + "' to='" + hub + "' type='chat' id='1'><body>lamp on</body></message>")
		if got := r.requests(); len(got) != 0 {
			t.Errorf("executed %v", got)
		}
	})
}

// What comes before the room has answered, or may have waited on the way, is not done.
func TestRoomFresh(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		hold := make(chan struct{})
		r.Up("")
		r.sent()
		r.network.set(func(n *testNetwork) {
			answer := n.answer
			n.answer = func(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
				<-hold
				return answer(ctx, iq)
			}
		})
		r.enters("home")
		equal(t, "before the answer", r.says("rob", "home: lamp on", ""), nil)
		close(hold)
		r.sent()
		r.Deliver(r.parse("<message from='"+ops+"/rob' to='"+hub+"' type='groupchat' id='old'><body>home: lamp on</body></message>"), false)
		if out := bodies(r.sent()); len(out) != 1 || !strings.Contains(out[0], "send it again") {
			t.Errorf("not fresh: %q", out)
		}
		if got := r.requests(); len(got) != 0 {
			t.Errorf("executed %v", got)
		}
		equal(t, "then", r.says("rob", "home: lamp on", ""), []string{"rob: Lamp: Power is on (confirmed by the device)."})
	})
}

// A dangerous command takes its yes from the same person, addressed as the command was.
func TestRoomReally(t *testing.T) {
	file := strings.Replace(roomFile, `"operator", devices = ["lamp"] }`, `"operator", devices = ["lamp", "oven"] }`, 1)
	inRoomOf(t, file, func(r *testRoom) {
		r.joins()
		equal(t, "asked", r.says("rob", "home: oven heat on", ""), []string{`rob: Really Oven: Heat on? Say "home: yes" within a minute.`})
		equal(t, "to nobody", r.says("rob", "yes", ""), nil)
		if out := r.says("alice", "home: yes", ""); len(out) != 1 || !strings.Contains(out[0], "nothing to say yes to") {
			t.Errorf("another's yes: %q", out)
		}
		if got := r.requests(); len(got) != 0 {
			t.Errorf("executed %v", got)
		}
		r.presence("rob-phone", "", "<item affiliation='member' role='participant' jid='rob@example.org/other'/>")
		equal(t, "yes", r.says("rob-phone", "home: yes", ""), []string{"rob-phone: Oven: Heat is on (confirmed by the device)."})
		if got := r.requests(); len(got) != 1 || !got[0].Confirmed {
			t.Errorf("executed %v", got)
		}
	})
}

// Neither one who talks all the time nor many are answered without end.
func TestRoomRate(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		refused := 0
		burst := func(nick string, n int) (answered int) {
			for i := range n {
				r.deliver(fmt.Sprintf("<message from='%s/%s' to='%s' type='groupchat' id='%s-%d'><body>home: help %d</body></message>", ops, nick, hub, nick, i, i))
			}
			for _, body := range bodies(r.sent()) {
				if strings.Contains(body, "too much at once") {
					refused++
				} else {
					answered++
				}
			}
			return answered
		}
		if n := burst("rob", 2*chatRate); n != chatRate || refused != 1 {
			t.Errorf("rob is answered %d times and refused %d times", n, refused)
		}
		time.Sleep(2 * chatWindow)
		total := 0
		refused = 0
		for i := range 4 {
			nick := fmt.Sprintf("rob%d", i)
			r.presence(nick, "", "<item affiliation='member' role='participant' jid='"+nick+"@example.org/x'/>")
			total += burst(nick, chatRate)
		}
		if total != roomRate || refused != 1 {
			t.Errorf("the room is answered %d times and refused %d times", total, refused)
		}
		echo := 0
		time.Sleep(2 * chatWindow)
		for range 50 { // another bot, which answers each answer with the same
			echo += len(r.says("rob", "home: I do not understand you", ""))
		}
		if echo > 2*chatRepeats {
			t.Errorf("a loop of %d", echo)
		}
	})
}

// Who is in a room is known up to a bound.
func TestRoomBounds(t *testing.T) {
	inRoom(t, func(r *testRoom) {
		r.joins()
		for i := range maxOccupants + 10 {
			r.presence(fmt.Sprintf("n%d", i), "", fmt.Sprintf("<item affiliation='member' role='participant' jid='p%d@example.org/x'/>", i))
		}
		r.presence(strings.Repeat("x", maxNick+1), "", "<item affiliation='member' role='participant' jid='long@example.org/x'/>")
		m := r.rooms.of(ops)
		if n := len(m.occupants); n != maxOccupants {
			t.Errorf("%d occupants", n)
		}
		equal(t, "one too many", r.says(fmt.Sprintf("n%d", maxOccupants+5), "home: lamp on", ""), nil)
		equal(t, "one who was there", r.says("n1", "home: lamp on", ""), []string{"n1: Lamp: Power is on (confirmed by the device)."})
	})
}

// A room is nobody: what [access] says of its domain is not for it.
func TestRoomIsNobody(t *testing.T) {
	t.Parallel()
	a := readHouse(t, strings.Replace(roomFile, `"*@guests.example.org"`, `"*@rooms.example.org"`, 1)).Access
	for who, want := range map[string]mapping.Role{
		ops: mapping.None, ops + "/rob": mapping.None, "other@rooms.example.org": mapping.Viewer, "room:" + ops: mapping.Operator,
		mapping.InRoom("rob@example.org", ops): mapping.Operator, mapping.InRoom("vera@example.org", ops): mapping.Viewer,
		mapping.InRoom(ops, ops): mapping.Operator, mapping.InRoom("a b@c", ops): mapping.None,
	} {
		if got := a.Role(who); got != want {
			t.Errorf("%s: %v, want %v", who, got, want)
		}
	}
}
