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

// busy has a network take n stanzas every tenth of a second, and refuse the others.
func (f *fixture) busy(n int) {
	var since time.Time
	room := 0
	f.network.set(func(net *testNetwork) {
		net.refuse = func(*stream.Element) error {
			if time.Since(since) >= 100*time.Millisecond {
				since, room = time.Now(), n
			}
			if room == 0 {
				return stream.ErrFull
			}
			room--
			return nil
		}
	})
}

// queued is how much waits for single watchers.
func (f *fixture) queued() (showings, owed int) {
	f.presence.mu.Lock()
	defer f.presence.mu.Unlock()
	return max(len(f.presence.queue.showings), len(f.presence.queue.at)), len(f.presence.queue.owed)
}

// A stream that takes little at a time gets all of a large house in the end, once: after a probe, a subscription, a
// suspension, and when somebody logs in.
func TestShowingToFullStream(t *testing.T) {
	const n = 120
	house := func(f *fixture) {
		for i := range n {
			id := devices.ID(fmt.Sprintf("d%03d", i))
			f.addresses().Configure(id)
			f.house.step(announceSwitch(id))
		}
		time.Sleep(time.Minute)
		f.sent()
		f.busy(7)
	}
	all := func(f *fixture, what, to string) {
		t.Helper()
		time.Sleep(time.Minute)
		seen := map[string]int{}
		for _, st := range f.sent() {
			if st.Attr("to") == to && st.Attr("type") != "subscribed" && st.Attr("type") != "subscribe" {
				seen[st.Attr("from")]++
			}
		}
		if len(seen) != n+3 {
			t.Errorf("%s: %d of %d seen", what, len(seen), n+3)
		}
		for from, times := range seen {
			if times != 1 {
				t.Errorf("%s: %s seen %d times", what, from, times)
			}
		}
	}
	t.Run("resources", func(t *testing.T) {
		store := &testStore{subscriptions: []Subscription{{Target: hubBare, Watcher: veraBare, From: true, To: true}}}
		bubble(t, setup{layout: mapping.LayoutResource, store: store}, func(f *fixture) {
			house(f)
			f.deliver(presenceOf(vera, hubBare, "probe"))
			all(f, "probe", vera)
			f.deliver(presenceOf(veraBare, hubBare, "subscribe"))
			all(f, "subscribe", veraBare)
			f.deliver(presenceOf(veraBare, hub, "error"))
			f.deliver(presenceOf(vera, hubBare, ""))
			all(f, "back", veraBare)
			// What there was is gone for them, all of it.
			f.Configure("House", readHouse(t, strings.Replace(houseFile, `= "viewer"`, `= { role = "viewer", devices = ["lamp"] }`, 1)).Access)
			time.Sleep(time.Minute)
			if got := shown(f.sent()); len(got) != n+1 || !strings.HasPrefix(got[0], "unavailable ") {
				t.Errorf("%d hidden: %q", len(got), got)
			}
			if showings, owed := f.queued(); showings != 0 || owed != 0 {
				t.Errorf("left: %d showings, %d owed", showings, owed)
			}
		})
	})
	t.Run("login", func(t *testing.T) {
		file := strings.ReplaceAll(houseFile, "@example.org", "@"+domain)
		bubble(t, setup{file: file, audience: Rosters}, func(f *fixture) {
			house(f)
			f.LocalHouse(func(string) bool { return false }).Available("vera@"+domain+"/pad", nil, true)
			all(f, "login", "vera@"+domain+"/pad")
		})
	})
}

// More probes than are queued one by one are answered to all clients of who asks; nothing grows beyond.
func TestShowingBounded(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.refuse = func(*stream.Element) error { return stream.ErrFull } })
		for i := range 2 * maxProbing {
			f.deliver(presenceOf(fmt.Sprint(veraBare, "/", i), lampBare, "probe"))
		}
		f.sent()
		// One or two more may be in the hands of who sends, depending on when it looked.
		const most = maxProbing + 3
		if got, _ := f.queued(); got > most {
			t.Errorf("%d queued", got)
		}
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(time.Minute)
		out := f.sent()
		all := slices.ContainsFunc(out, func(st *stream.Element) bool { return st.Attr("to") == veraBare })
		if len(out) <= maxProbing || len(out) > most || !all {
			t.Errorf("%d answered, to all clients of who asks: %v", len(out), all)
		}
	})
}

// Who may see a resource no longer is told when the stream is back, unless they may again.
func TestHiddenWhileDown(t *testing.T) {
	const sharedLamp, sharedOven = "home@things.example.org/lamp", "home@things.example.org/oven"
	only := func(device string) *mapping.Access {
		return readHouse(t, strings.Replace(houseFile, `= "viewer"`, `= { role = "viewer", devices = ["`+device+`"] }`, 1)).Access
	}
	store := &testStore{subscriptions: []Subscription{{Target: hubBare, Watcher: veraBare, From: true, To: true}}}
	bubble(t, setup{layout: mapping.LayoutResource, store: store}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.down = true })
		f.Configure("House", only("oven"))
		f.Configure("House", only("lamp"))
		time.Sleep(time.Hour)
		f.network.set(func(n *testNetwork) { n.down = false })
		f.Up("")
		equal(t, "up", shown(f.sent()), []string{hub + " > " + veraBare + ": House", sharedLamp + " > " + veraBare + ": off",
			"unavailable " + sharedOven + " > " + veraBare})
		f.Up("")
		equal(t, "up again", shown(f.sent()), []string{hub + " > " + veraBare + ": House", sharedLamp + " > " + veraBare + ": off"})
	})
}

// That somebody was asked for their presence counts once it went out, and is asked again while there is no answer.
func TestSubscribeBack(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		ask := "subscribe " + lampBare + " > " + veraBare
		refuse := func(err error) {
			f.network.set(func(n *testNetwork) {
				n.refuse = func(st *stream.Element) error {
					if st.Attr("type") == "subscribe" {
						return err
					}
					return nil
				}
			})
		}
		asked := func() (out []string) {
			for _, s := range shown(f.sent()) {
				if strings.HasPrefix(s, "subscribe ") {
					out = append(out, s)
				}
			}
			return out
		}
		refuse(stream.ErrFull)
		f.deliver(presenceOf(veraBare, lampBare, "subscribe"))
		equal(t, "full", asked(), nil)
		if f.roster.get(lampBare, veraBare).Asked {
			t.Error("asked, and nothing went out")
		}
		refuse(nil)
		time.Sleep(time.Second)
		equal(t, "room", asked(), []string{ask})
		if !f.roster.get(lampBare, veraBare).Asked {
			t.Error("asked, and not noted")
		}
		f.Up("")
		equal(t, "no answer yet", asked(), []string{ask})
		refuse(errNetworkDown)
		f.Up("")
		refuse(nil)
		f.sent()
		f.Up("")
		equal(t, "after a failure", asked(), []string{ask})
		f.deliver(presenceOf(veraBare, lampBare, "subscribed"))
		f.Up("")
		equal(t, "answered", asked(), nil)
	})
}

// A probe of a device that is configured and has still to be announced does not end the subscription.
func TestProbeBeforeAnnounced(t *testing.T) {
	store := subscribed()
	store.subscriptions = append(store.subscriptions, Subscription{Target: "cellar@things.example.org", Watcher: veraBare, From: true})
	bubble(t, setup{store: store}, func(f *fixture) {
		f.addresses().Configure("lamp", "oven", "cellar")
		f.deliver(presenceOf(vera, "cellar@things.example.org", "probe"))
		equal(t, "subscriber", shown(f.sent()), []string{"unavailable cellar@things.example.org/cellar > " + vera})
		f.deliver(presenceOf(otto, "cellar@things.example.org", "probe"))
		equal(t, "no subscriber", shown(f.sent()), []string{"unsubscribed cellar@things.example.org > otto@example.org"})
	})
}

// What a full stream refused of a revocation is made good when there is room, without a new stream.
func TestRevokedWhileFull(t *testing.T) {
	bubble(t, setup{store: subscribed()}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.refuse = func(*stream.Element) error { return stream.ErrFull } })
		f.Configure("House", readHouse(t, strings.Replace(houseFile, "\"vera@example.org\" = \"viewer\"\n", "", 1)).Access)
		time.Sleep(time.Minute)
		equal(t, "full", shown(f.sent()), nil)
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(time.Second)
		equal(t, "room", shown(f.sent()), []string{"unavailable " + lamp + " > " + veraBare, "unsubscribe " + lampBare + " > " + veraBare,
			"unsubscribed " + lampBare + " > " + veraBare})
	})
}

// A house full of unanswered questions is no burst at the next stream.
func TestAskAgainPaced(t *testing.T) {
	const n = 300
	store := &testStore{}
	var ids []devices.ID
	for i := range n {
		id := devices.ID(fmt.Sprintf("d%03d", i))
		ids = append(ids, id)
		store.subscriptions = append(store.subscriptions, Subscription{Target: fmt.Sprint(id, "@", domain), Watcher: veraBare, From: true, Asked: true})
	}
	bubble(t, setup{store: store, pace: 100}, func(f *fixture) {
		f.addresses().Configure(append(ids, "lamp", "oven")...)
		f.Up("")
		if at := len(f.sent()); at == 0 || at > 2*showBatch {
			t.Errorf("%d at once", at)
		}
		time.Sleep(10 * time.Second)
		if rest := len(f.sent()); rest < n-2*showBatch || rest >= n {
			t.Errorf("%d later", rest)
		}
	})
}
