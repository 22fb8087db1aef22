package xmppbridge

import (
	"errors"
	"strings"
	"testing"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// asks are the subscription requests among stanzas, as "from > to (nick)".
func asks(sent []*stream.Element) []string {
	var out []string
	for _, st := range sent {
		if st.Name == "presence" && st.Attr("type") == "subscribe" {
			out = append(out, st.Attr("from")+" > "+st.Attr("to")+" ("+st.ChildText(nsNick, "nick")+")")
		}
	}
	return out
}

func TestInvite(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		uri, asked, err := f.Invite("Vera@example.org/pad")
		if err != nil || !asked || uri != "xmpp:home@things.example.org?roster;name=House" {
			t.Errorf("%s, %v, %v", uri, asked, err)
		}
		equal(t, "asked", asks(f.sent()), []string{hubBare + " > " + veraBare + " (House)"})
		f.deliver(presenceOf(veraBare, hubBare, "subscribed"))
		f.deliver(presenceOf(veraBare, hubBare, "subscribe"))
		if out := asks(f.sent()); len(out) != 0 {
			t.Errorf("asked again: %v", out)
		}
		if _, asked, err := f.Invite(veraBare); asked || err != nil {
			t.Errorf("asked who has it: %v", err)
		}
		for _, bad := range []string{"", "example.org", "a b@example.org"} {
			if _, _, err := f.Invite(bad); err == nil {
				t.Errorf("%q is invited", bad)
			}
		}
		if _, _, err := f.Invite("mallory@example.org"); !errors.Is(err, ErrNoRole) {
			t.Errorf("a stranger: %v", err)
		}
		f.network.set(func(n *testNetwork) { n.down = true })
		if _, _, err := f.Invite("otto@example.org"); err == nil {
			t.Error("nobody was asked, and nobody told")
		}
		if sub := f.roster.get(hubBare, "otto@example.org"); sub.Asked {
			t.Error("counts as asked")
		}
	})
	t.Run("inside", func(t *testing.T) {
		bubble(t, setup{audience: Rosters}, func(f *fixture) {
			if _, _, err := f.Invite("alice@example.org"); !errors.Is(err, ErrContact) {
				t.Error(err)
			}
		})
	})
	t.Run("account", func(t *testing.T) {
		bubble(t, setup{audience: Broadcast, mode: mapping.Client}, func(f *fixture) {
			if _, asked, err := f.Invite("alice@example.org"); !asked || err != nil {
				t.Error(asked, err)
			}
			equal(t, "asked", asks(f.sent()), []string{"gw@example.org > alice@example.org (House)"})
		})
	})
}

// The command offers what is missing among somebody's contacts, and those chosen ask; not the others.
func TestAddDevices(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		id := f.open(wim, hub, addNode)
		answer := f.answer(set(wim, hub, "2", "node='add' sessionid='"+id+"'", submit("devices", "oven")))
		if got := failure(answer); got != "bad-request/bad-payload" {
			t.Errorf("what a role hides: %s", got)
		}
		answer = f.answer(set(vera, hub, "1", "node='add'", ""))
		field := answer.Child(nsCommands, "command").Child(nsForm, "x").Child(nsForm, "field")
		if field.Attr("type") != "list-multi" || len(field.Nodes) != 2 {
			t.Errorf("field %s", field)
		}
		id = answer.Child(nsCommands, "command").Attr("sessionid")
		f.deliver(set(vera, hub, "2", "node='add' sessionid='"+id+"'",
			"<x xmlns='jabber:x:data' type='submit'><field var='devices'><value>oven</value></field></x>"))
		out := f.sent()
		equal(t, "asked", asks(out), []string{ovenBare + " > " + veraBare + " (Oven)"})
		if got := note(out[len(out)-1]); got != "info: 1 device asked to be your contact: accept in your client" {
			t.Error(got)
		}
		// As Conversations does: yes, and the same question back.
		f.deliver(presenceOf(veraBare, ovenBare, "subscribed"))
		f.deliver(presenceOf(veraBare, ovenBare, "subscribe"))
		equal(t, "accepted", shown(f.sent()), []string{oven + " > " + veraBare + ": heat off · 180 °C", "subscribed " + ovenBare + " > " + veraBare})

		f.deliver(set(vera, hub, "3", "node='add'", "")) // only the lamp is left
		id = f.sent()[0].Child(nsCommands, "command").Attr("sessionid")
		if got := note(f.answer(set(vera, hub, "4", "node='add' sessionid='"+id+"'", submit("devices", "")))); got == "" || strings.Contains(got, "asked") {
			t.Error(got)
		}
	})
	t.Run("granted", func(t *testing.T) {
		server := &rosterServer{lists: map[string]map[string]*stream.Element{}}
		bubble(t, setup{}, func(f *fixture) {
			f.grantLists(server)
			server.mu.Lock()
			delete(server.lists["vera@example.org"], ovenBare)
			server.mu.Unlock()
			f.deliver(presenceOf(veraBare, ovenBare, "unsubscribe"))
			f.sent()
			id := f.open(vera, hub, addNode)
			f.deliver(set(vera, hub, "2", "node='add' sessionid='"+id+"'", submit("devices", "oven")))
			out := f.sent()
			if got := asks(out); len(got) != 0 {
				t.Errorf("asked %v", got)
			}
			equal(t, "vera", server.list("vera@example.org"), []string{hubItem, lampItem, ovenItem})
		})
	})
	t.Run("shared", func(t *testing.T) {
		bubble(t, setup{layout: "resource"}, func(f *fixture) {
			if got := failure(f.answer(set(vera, hub, "1", "node='add'", ""))); got != "item-not-found" {
				t.Error(got)
			}
		})
	})
}

func TestAddWords(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for words, want := range map[string]string{
			"add devices":  "Not yet among your contacts:\nLamp (Hall)\nOven (Kitchen)\nSay \"add\" with a name, several with commas, or a place.",
			"Add the moon": "Not yet among your contacts:\nLamp (Hall)\nOven (Kitchen)\nSay \"add\" with a name, several with commas, or a place.",
		} {
			if got := f.hear(vera, hub, words); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %q", words, got)
			}
		}
		f.deliver(said(vera, hub, "add oven, the lamp"))
		out := f.sent()
		equal(t, "asked", asks(out), []string{ovenBare + " > " + veraBare + " (Oven)", lampBare + " > " + veraBare + " (Lamp)"})
		if got := out[len(out)-1].Body(); got != "2 devices asked to be your contact: accept in your client." {
			t.Error(got)
		}
		f.deliver(said(vera, hub, "add hall"))
		equal(t, "asked", asks(f.sent()), []string{lampBare + " > " + veraBare + " (Lamp)"})
		for _, bare := range []string{lampBare, ovenBare} {
			f.deliver(presenceOf(veraBare, bare, "subscribe"))
		}
		f.sent()
		if got := f.hear(vera, hub, "add devices"); len(got) != 1 || got[0] != "Every device you may see is among your contacts." {
			t.Error(got)
		}
	})
}
