package xmppbridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

func presenceOf(from, to, typ string) string {
	if typ == "" {
		return "<presence from='" + from + "' to='" + to + "'/>"
	}
	return "<presence from='" + from + "' to='" + to + "' type='" + typ + "'/>"
}

const veraBare = "vera@example.org"

// subscribed is a store with vera watching the lamp, both ways.
func subscribed() *testStore {
	return &testStore{subscriptions: []Subscription{{Target: lampBare, Watcher: veraBare, From: true, To: true}}}
}

func TestSubscribe(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.deliver(presenceOf(veraBare, lampBare, "subscribe"))
		want := []string{lamp + " > " + veraBare + ": off", "subscribe " + lampBare + " > " + veraBare, "subscribed " + lampBare + " > " + veraBare}
		out := f.sent()
		equal(t, "subscribe", shown(out), want)
		if out[0].Attr("type") != "subscribed" {
			t.Errorf("first %s", out[0])
		}
		equal(t, "stored", []string{fmt.Sprint(f.store.subscriptions)}, []string{fmt.Sprint([]Subscription{{lampBare, veraBare, true, false, true}})})
		f.deliver(presenceOf(veraBare, lampBare, "subscribed"))
		if got := f.store.subscriptions[0]; !got.To || got.Asked {
			t.Errorf("after their yes: %+v", got)
		}
		// Asked again, in any spelling, they are not asked back again.
		f.deliver(presenceOf("Vera@Example.org", "LAMP@things.example.org", "subscribe"))
		equal(t, "again", shown(f.sent()), []string{want[0], want[2]})
		if len(f.store.subscriptions) != 1 {
			t.Errorf("stored %+v", f.store.subscriptions)
		}
	})
}

// Who has no access is told the same for every address, also when they had some and ask for what is hidden.
func TestSubscribeDeclined(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, c := range []struct{ from, to string }{
			{"mallory@example.org", lampBare}, {"mallory@example.org", "nothing@things.example.org"}, {"mallory@example.org", hubBare},
			{"mallory@example.org", domain}, {"wim@example.org", ovenBare}, {"wim@example.org", "nothing@things.example.org"},
		} {
			for _, typ := range []string{"subscribe", "probe"} {
				f.deliver(presenceOf(c.from, c.to, typ))
				equal(t, typ+" "+c.to, shown(f.sent()), []string{"unsubscribed " + c.to + " > " + c.from})
			}
		}
		if len(f.store.subscriptions) != 0 {
			t.Errorf("stored %+v", f.store.subscriptions)
		}
		f.silence(presenceOf(mallory, lampBare, "unsubscribe"))
		f.silence(presenceOf(mallory, lampBare, ""))
		f.silence(presenceOf(mallory, lampBare, "unavailable"))
		f.silence(presenceOf(mallory, lampBare, "error"))
	})
}

func TestProbe(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.deliver(presenceOf(vera, lampBare, "probe"))
		equal(t, "probe", shown(f.sent()), []string{lamp + " > " + vera + ": off"})
		f.deliver(presenceOf(vera, ovenBare, "probe"))
		equal(t, "not subscribed", shown(f.sent()), []string{"unsubscribed " + ovenBare + " > " + veraBare})
	})
	t.Run("shared", func(t *testing.T) {
		store := &testStore{subscriptions: []Subscription{{Target: hubBare, Watcher: veraBare, From: true}, {Target: hubBare, Watcher: "wim@example.org", From: true}}}
		bubble(t, setup{layout: mapping.LayoutResource, store: store}, func(f *fixture) {
			f.deliver(presenceOf(vera, hubBare, "probe"))
			equal(t, "every resource", shown(f.sent()), []string{hub + " > " + vera + ": House",
				"home@things.example.org/lamp > " + vera + ": off", "home@things.example.org/oven > " + vera + ": heat off · 180 °C"})
			f.deliver(presenceOf(wim, hubBare, "probe"))
			equal(t, "limited", shown(f.sent()), []string{hub + " > " + wim + ": House", "home@things.example.org/lamp > " + wim + ": off"})
			// A reload that hides a resource takes it from those who saw it, and only that.
			f.Configure("House", readHouse(t, strings.Replace(houseFile, `= "viewer"`, `= { role = "viewer", devices = ["oven"] }`, 1)).Access)
			equal(t, "hidden", shown(f.sent()), []string{"unavailable home@things.example.org/lamp > " + veraBare})
		})
	})
	t.Run("domain", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			f.deliver(presenceOf(veraBare, domain, "subscribe"))
			equal(t, "subscribe", shown(f.sent()), []string{"subscribe " + domain + " > " + veraBare, "subscribed " + domain + " > " + veraBare, domain + " > " + veraBare + ": House"})
			f.stop()
			equal(t, "stop", shown(f.sent()), []string{"unavailable " + domain + " > " + veraBare + ": the gateway is stopping"})
		})
	})
}

func TestUnsubscribe(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.deliver(presenceOf(veraBare, lampBare, "unsubscribe"))
		equal(t, "unsubscribe", shown(f.sent()), []string{"unavailable " + lamp + " > " + veraBare,
			"unsubscribe " + lampBare + " > " + veraBare, "unsubscribed " + lampBare + " > " + veraBare})
		if len(f.store.subscriptions) != 0 {
			t.Errorf("stored %+v", f.store.subscriptions)
		}
		f.house.read("lamp", "power", devices.Bool(true))
		equal(t, "afterwards", shown(f.sent()), nil)
	})
}

// A presence that comes back suspends, and nothing is forgotten; whatever shows that they are there resumes.
func TestPresenceError(t *testing.T) {
	for _, sign := range []string{presenceOf(vera, lampBare, ""), presenceOf(vera, lampBare, "probe")} {
		t.Run(sign, func(t *testing.T) {
			bubble(t, setup{store: subscribed()}, func(f *fixture) {
				f.deliver(presenceOf(veraBare, lamp, "error"))
				f.house.read("lamp", "power", devices.Bool(true))
				time.Sleep(2 * time.Second)
				equal(t, "suspended", shown(f.sent()), nil)
				if len(f.store.subscriptions) != 1 {
					t.Error("the subscription is gone")
				}
				f.deliver(sign)
				if got := shown(f.sent()); len(got) == 0 || !strings.HasPrefix(got[0], lamp+" > "+veraBare+": on") && !strings.HasPrefix(got[0], lamp+" > "+vera) {
					t.Errorf("resumed: %q", got)
				}
				f.house.read("lamp", "power", devices.Bool(false))
				time.Sleep(2 * time.Second)
				f.house.step(mapping.Change{})
				equal(t, "afterwards", shown(f.sent()), []string{lamp + " > " + veraBare + ": off"})
			})
		})
	}
}

// Whoever loses access in a reload is told, also when the stream was down then.
func TestAccessLost(t *testing.T) {
	gone := strings.Replace(houseFile, "\"vera@example.org\" = \"viewer\"\n", "", 1)
	want := []string{"unavailable " + lamp + " > " + veraBare, "unsubscribe " + lampBare + " > " + veraBare, "unsubscribed " + lampBare + " > " + veraBare}
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.Configure("House", readHouse(t, gone).Access)
		equal(t, "reload", shown(f.sent()), want)
		if len(f.store.subscriptions) != 0 {
			t.Errorf("stored %+v", f.store.subscriptions)
		}
	})
	t.Run("while down", func(t *testing.T) {
		bubble(t, setup{store: subscribed()}, func(f *fixture) {
			f.network.set(func(n *testNetwork) { n.down = true })
			f.Configure("House", readHouse(t, gone).Access)
			f.house.read("lamp", "power", devices.Bool(true))
			f.network.set(func(n *testNetwork) { n.down = false })
			f.Up("")
			equal(t, "up", shown(f.sent()), want)
		})
	})
	t.Run("device gone while stopped", func(t *testing.T) {
		store := &testStore{subscriptions: []Subscription{{Target: "old@things.example.org", Watcher: veraBare, From: true}}}
		bubble(t, setup{store: store}, func(f *fixture) {
			f.Up("")
			equal(t, "up", shown(f.sent()), []string{"unavailable old@things.example.org/old > " + veraBare, "unsubscribed old@things.example.org > " + veraBare})
			if len(store.subscriptions) != 0 {
				t.Errorf("stored %+v", store.subscriptions)
			}
		})
	})
	t.Run("another domain", func(t *testing.T) {
		store := &testStore{subscriptions: []Subscription{{Target: "lamp@old.example.org", Watcher: veraBare, From: true, To: true},
			{Target: "old.example.org", Watcher: veraBare, From: true}}}
		bubble(t, setup{store: store}, func(f *fixture) {
			f.Up("")
			equal(t, "up", shown(f.sent()), nil) // what is not from our domain ends a component's stream
			if len(store.subscriptions) != 0 {
				t.Errorf("stored %+v", store.subscriptions)
			}
		})
	})
	t.Run("nothing for the others", func(t *testing.T) {
		bubble(t, setup{store: subscribed()}, func(f *fixture) {
			f.Configure("House", readHouse(t, strings.Replace(houseFile, "otto@", "other@", 1)).Access)
			equal(t, "reload", shown(f.sent()), nil)
		})
	})
}

// A device that is gone for good takes its subscriptions along.
func TestWithdraw(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.house.step(mapping.Change{Withdraw: &mapping.Withdrawal{ID: "lamp", Why: devices.Gone}})
		got := shown(f.sent())
		if len(got) < 3 || !strings.HasPrefix(got[0], "unavailable "+lamp) || len(f.store.subscriptions) != 0 {
			t.Errorf("gone: %q, stored %+v", got, f.store.subscriptions)
		}
		f.deliver(presenceOf(veraBare, lampBare, "subscribe"))
		equal(t, "afterwards", shown(f.sent()), []string{"unsubscribed " + lampBare + " > " + veraBare})
	})
}

// At the start devices not heard yet are unavailable; they are available as they are heard, and unavailable at the stop.
func TestStartAndStop(t *testing.T) {
	store := subscribed()
	store.subscriptions = append(store.subscriptions, Subscription{Target: hubBare, Watcher: veraBare, From: true})
	bubble(t, setup{store: store, silent: true}, func(f *fixture) {
		f.Up("")
		equal(t, "up", shown(f.sent()), []string{hub + " > " + veraBare + ": House", "unavailable " + lamp + " > " + veraBare + ": not heard yet"})
		f.house.link("lamp", nil)
		f.house.read("lamp", "power", devices.Bool(true))
		time.Sleep(2 * time.Second)
		if got := shown(f.sent()); len(got) == 0 || got[len(got)-1] != lamp+" > "+veraBare+": on" {
			t.Errorf("heard: %q", got)
		}
		f.stop()
		equal(t, "stop", shown(f.sent()), []string{"unavailable " + hub + " > " + veraBare + ": the gateway is stopping",
			"unavailable " + lamp + " > " + veraBare + ": the gateway is stopping"})
	})
}

// What the rules say of a device is what its presence says.
func TestPresenceShow(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		_, state, _ := f.house.Device("lamp")
		for _, show := range []string{mapping.ShowAway, mapping.ShowDND, ""} {
			f.Present(mapping.Presence{Device: "lamp", Online: true, Show: show, Status: "x"})
			out := f.sent()
			if len(out) != 1 || out[0].ChildText(stream.NS, "show") != show || out[0].Child(nsCaps, "c") == nil {
				t.Fatalf("%q: %v", show, out)
			}
			want := ""
			if show == mapping.ShowAway {
				want = state.Heard.UTC().Format(xmppTime)
			}
			if got := out[0].Child(nsIdle, "idle").Attr("since"); got != want {
				t.Errorf("%q: idle since %q, want %q", show, got, want)
			}
		}
		f.Present(mapping.Presence{Device: "lamp", Status: "silent for 2 min"})
		equal(t, "offline", shown(f.sent()), []string{"unavailable " + lamp + " > " + veraBare + ": silent for 2 min"})
	})
}

// Of many changes the last is sent; what a full queue refused is sent later.
func TestPresenceLatest(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.refuse = func(*stream.Element) error { return stream.ErrFull } })
		for i := range 5 {
			f.Present(mapping.Presence{Device: "lamp", Online: true, Status: fmt.Sprint(i)})
		}
		equal(t, "full", shown(f.sent()), nil)
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(time.Second)
		equal(t, "later", shown(f.sent()), []string{lamp + " > " + veraBare + ": 4"})
		f.Present(mapping.Presence{Device: "lamp", Online: true, Status: "4", Since: time.Now()})
		equal(t, "no news", shown(f.sent()), nil)
	})
}

// A thousand presences a second, not a burst.
func TestPresencePace(t *testing.T) {
	bubble(t, setup{pace: 10, store: subscribed()}, func(f *fixture) {
		began := time.Now()
		for i := range 20 {
			f.Present(mapping.Presence{Device: "lamp", Online: true, Status: fmt.Sprint(i)})
			for len(f.sent()) == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if took := time.Since(began); took < 1700*time.Millisecond || took > 2300*time.Millisecond {
			t.Errorf("20 at 10 a second took %v", took)
		}
	})
}

// On an account each resource's presence goes out once, to nobody in particular, with the priority that leads messages to
// the hub; the server's roster says who watches.
func TestAccount(t *testing.T) {
	const gw = "gw@example.org"
	bubble(t, setup{audience: Broadcast, mode: mapping.Client}, func(f *fixture) {
		f.Up(gw + "/home")
		f.Up(gw + "/lamp")
		out := f.sent()
		if len(out) != 3 || out[0].Child(nsRoster, "query") == nil || out[0].Attr("from") != gw+"/home" {
			t.Fatalf("up: %v", out)
		}
		for i, priority := range []string{"5", "-1"} {
			if st := out[i+1]; st.Attr("to") != "" || st.ChildText(stream.NS, "priority") != priority {
				t.Errorf("presence %s", st)
			}
		}
		f.deliver("<iq type='result' id='" + rosterID + "' from='" + gw + "' to='" + gw + "/home'><query xmlns='jabber:iq:roster'>" +
			"<item jid='vera@example.org' subscription='both'/><item jid='gone@example.org' subscription='from'/>" +
			"<item jid='asked@example.org' subscription='none' ask='subscribe'/></query></iq>")
		var typ []string
		for _, st := range f.sent() {
			if st.Attr("type") != "unavailable" {
				typ = append(typ, st.Attr("type")+" "+st.Attr("to"))
			}
		}
		equal(t, "without access", typ, []string{"unsubscribed gone@example.org", "unsubscribe asked@example.org"})
		// The roster of somebody who only says so is none.
		f.deliver("<iq type='set' id='p' from='mallory@example.org/x' to='" + gw + "/home'><query xmlns='jabber:iq:roster'><item jid='vera@example.org' subscription='remove'/></query></iq>")
		f.sent()
		if !f.roster.get(gw, veraBare).From {
			t.Error("a stranger pushed a roster")
		}
		if got := f.answer("<iq type='set' id='p' to='" + gw + "/home'><query xmlns='jabber:iq:roster'><item jid='otto@example.org' subscription='from'/></query></iq>"); got.Attr("type") != "result" {
			t.Errorf("push: %s", got)
		}
		f.Configure("House", readHouse(t, strings.Replace(houseFile, "otto@", "other@", 1)).Access)
		out = f.sent()
		if len(out) == 0 || out[len(out)-1].Attr("type") != "unsubscribed" || out[len(out)-1].Attr("to") != "otto@example.org" {
			t.Errorf("access lost: %v", out)
		}
		f.deliver(presenceOf("mallory@example.org", gw, "subscribe"))
		equal(t, "stranger", shown(f.sent()), []string{"unsubscribed " + gw + " > mallory@example.org"})
		f.deliver(presenceOf("alice@example.org", gw, "subscribe"))
		f.deliver(presenceOf("alice@example.org", gw, "subscribe"))
		equal(t, "asked twice", shown(f.sent()), []string{"subscribe " + gw + " > alice@example.org",
			"subscribed " + gw + " > alice@example.org", "subscribed " + gw + " > alice@example.org"})
	})
}

// The server inside asks the bridge for contacts, and who comes sees the house.
func TestServerInside(t *testing.T) {
	file := strings.ReplaceAll(houseFile, "@example.org", "@"+domain)
	bubble(t, setup{file: file, audience: Rosters, accounts: []string{"vera@" + domain, "wim@" + domain}}, func(f *fixture) {
		inside := f.LocalHouse(func(name string) bool { return name == "vera" || name == "wim" })
		var got []string
		for _, c := range inside.Contacts("wim") {
			got = append(got, fmt.Sprint(c))
		}
		equal(t, "contacts", got, []string{"{" + hubBare + " House [House]}", "{" + lampBare + " Lamp [Hall]}"})
		if got := inside.Contacts("nobody"); got != nil {
			t.Errorf("contacts of nobody: %v", got)
		}
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Name == "message" {
					return fmt.Errorf("%w", ErrAway)
				}
				return nil
			}
		})
		f.post(1, "vera@"+domain, "hot")
		f.sent()
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		inside.Available("wim@"+domain+"/tv", nil, true)
		out := f.sent()
		equal(t, "wim comes", shown(out), []string{hub + " > wim@" + domain + "/tv: House", lamp + " > wim@" + domain + "/tv: off"})
		if i := slices.IndexFunc(out, func(st *stream.Element) bool { return st.Body() == "hot" }); len(out) != 3 || i < 0 || out[i].Attr("from") != lamp {
			t.Errorf("what waited: %v", out)
		}
		f.house.read("lamp", "power", devices.Bool(true))
		equal(t, "change", shown(f.sent()), []string{lamp + " > vera@" + domain + ": on", lamp + " > wim@" + domain + ": on"})
		f.Configure("House", readHouse(t, strings.Replace(file, `devices = ["lamp"]`, `devices = ["oven"]`, 1)).Access)
		equal(t, "other access", shown(f.sent()), []string{oven + " > wim@" + domain + ": heat off · 180 °C", "unavailable " + lamp + " > wim@" + domain})
	})
}
