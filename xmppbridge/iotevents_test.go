package xmppbridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// read has a device read something, and the world take notice.
func (f *fixture) read(id devices.ID, point string, v devices.Value) {
	f.house.read(id, point, v)
	time.Sleep(time.Second) // more than leastEventTime
}

// eventsTo are the events somebody got since the last call.
func (f *fixture) eventsTo(who string) []string { f.t.Helper(); return payloads(f.t, who, f.sent()) }

func target(v string) string {
	return `<resp xmlns='SD' id='S1'><ts><q n='target' v='` + v + `' u='°C' m='true' ar='true'/></ts></resp>`
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct {
		ask  string
		read []float64 // after 180
		want []string
	}{
		"any change":          {`<f n='target'/>`, []float64{180, 181, 181, 180.5}, []string{"181", "180.5"}},
		"by":                  {`<f n='target' by='5'/>`, []float64{184, 185, 181, 180, 179}, []string{"185", "180"}},
		"up":                  {`<f n='target' up='5'/>`, []float64{170, 184, 185, 100, 190}, []string{"185", "190"}},
		"down":                {`<f n='target' dn='5'/>`, []float64{190, 176, 175, 250, 170}, []string{"175", "170"}},
		"up and down":         {`<f n='target' up='5' dn='10' by=''/>`, []float64{171, 185, 176, 175}, []string{"185", "175"}},
		"known":               {`<f n='target' v='100' by='50'/>`, []float64{181, 231}, []string{"180", "231"}},
		"known and not far":   {`<f n='target' v='175' by='10'/>`, []float64{184, 185}, []string{"185"}},
		"two fields":          {`<f n='target' by='5'/><f n='mode'/>`, []float64{181, 185}, []string{"185"}},
		"a field of no point": {`<f n='model'/><f n='target' by='1'/>`, []float64{181}, []string{"181"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				for i, typ := range []string{"set", "get"} { // the second takes the place of the first
					out := f.ask(typ, vera, oven, `<subscribe xmlns='EV' id='S1' m='true'>`+c.ask+`</subscribe>`)
					if got := verdict(out[0]); got != `<accepted xmlns='SD' id='S1'/>` {
						t.Errorf("answer %s", got)
					}
					if i == 0 {
						f.sent()
					} else {
						f.network.set(func(n *testNetwork) { n.stanzas = out[1:] }) // what came at once
					}
				}
				for _, v := range c.read {
					f.read("oven", "target", devices.Number(v))
				}
				var got []string
				for _, e := range f.eventsTo(vera) {
					if !strings.HasPrefix(e, `<resp xmlns='SD' id='S1'>`) {
						t.Errorf("event %s", e)
					}
					_, rest, _ := strings.Cut(e, "n='target' v='")
					v, _, _ := strings.Cut(rest, "'")
					got = append(got, v)
				}
				equal(t, "events", got, c.want)
			})
		})
	}
}

// minInt keeps events apart and says the latest; maxInt says that nothing has changed; req says what is now.
func TestEventsTimes(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		out := f.ask("set", vera, oven, `<subscribe xmlns='EV' id='S1' minInt='PT10S' maxInt='PT1M' req='true'><f n='target' by='5'/></subscribe>`)
		equal(t, "req", payloads(t, vera, out), []string{target("180")})
		if from := out[1].Attr("from"); from != oven {
			t.Errorf("from %s", from)
		}
		f.read("oven", "target", devices.Number(190))
		f.read("oven", "target", devices.Number(195))
		f.read("oven", "target", devices.Number(182))
		equal(t, "within minInt", f.eventsTo(vera), nil)
		time.Sleep(7 * time.Second)
		equal(t, "after minInt", f.eventsTo(vera), []string{target("182")})
		time.Sleep(59 * time.Second)
		equal(t, "before maxInt", f.eventsTo(vera), nil)
		time.Sleep(2 * time.Second)
		equal(t, "after maxInt", f.eventsTo(vera), []string{target("182")})
		f.house.link("oven", fmt.Errorf("unplugged"))
		f.sent()
		time.Sleep(2 * time.Minute)
		equal(t, "offline", f.eventsTo(vera), nil)
		f.house.link("oven", nil)
		f.read("oven", "target", devices.Number(200))
		equal(t, "back", f.eventsTo(vera), []string{target("200")})
	})
}

// Without fields, every change is an event; of the hub, of every device, which are told apart. Going is one, too.
func TestEventsAll(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.ask("set", wim, hub, `<subscribe xmlns='EV' id='S1'/>`)
		f.ask("set", vera, hub, `<subscribe xmlns='urn:ieee:iot:events:1.0' id='S2' m='true'><nd xmlns='urn:ieee:iot:events:1.0' id='lamp'/></subscribe>`)
		f.read("lamp", "power", devices.Bool(true))
		f.read("oven", "target", devices.Number(99))
		sent := f.sent()
		var mine, hers []*stream.Element
		for _, st := range sent {
			switch {
			case st.Name != "message":
			case st.Attr("to") == wim:
				mine = append(mine, st)
			default:
				hers = append(hers, st)
			}
		}
		got := payloads(t, wim, mine)
		if len(got) != 1 || !strings.HasPrefix(got[0], `<resp xmlns='SD' id='S1'><nd id='lamp'><ts><b n='power' v='true' m='true' ar='true'/><b n='online' v='true' s='true'`) {
			t.Errorf("events %v", got)
		}
		equal(t, "in the other namespace", payloads(t, vera, hers), []string{
			`<resp xmlns='urn:ieee:iot:sd:1.0' id='S2'><nd id='lamp'><ts><b n='power' v='true' m='true' ar='true'/></ts></nd></resp>`})
		f.house.link("lamp", fmt.Errorf("unplugged"))
		time.Sleep(time.Second)
		got = f.eventsTo(wim)
		if len(got) != 1 || !strings.Contains(got[0], "n='online' v='false'") || strings.Contains(got[0], "n='power'") {
			t.Errorf("gone: %v", got)
		}
	})
}

// A subscription ends when it is told to, and with its subscriber: unavailable, bounced, or no longer allowed.
func TestEventsEnds(t *testing.T) {
	revoked := readHouse(t, strings.Replace(houseFile, `"vera@example.org" = "viewer"`, "", 1))
	for name, end := range map[string]func(*fixture){
		"unsubscribed": func(f *fixture) {
			for _, typ := range []string{"get", "set"} {
				f.ask("set", vera, oven, `<subscribe xmlns='EV' id='S2'><f n='target'/></subscribe>`)
				if out := f.ask(typ, vera, oven, `<unsubscribe xmlns='EV' id='S2'/>`); out[0].Attr("type") != "result" || out[0].First() != nil {
					f.t.Errorf("answer %s", out[0])
				}
			}
			f.ask("set", vera, hub, `<unsubscribe xmlns='EV' id='S1'/>`)
			if got := verdict(f.ask("set", vera, oven, `<unsubscribe xmlns='EV' id='S1'/>`)[0]); got != "cancel item-not-found" {
				f.t.Errorf("again: %s", got)
			}
		},
		"unavailable": func(f *fixture) {
			f.deliver("<presence type='unavailable' from='" + vera + "' to='" + ovenBare + "'/>")
		},
		"bounced": func(f *fixture) {
			f.deliver("<message type='error' from='" + vera + "' to='" + oven + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		},
		"no role": func(f *fixture) { f.Configure("House", revoked.Access) },
		"away": func(f *fixture) {
			f.network.set(func(n *testNetwork) {
				n.refuse = func(st *stream.Element) error {
					if st.Name == "message" {
						return ErrAway
					}
					return nil
				}
			})
			f.read("oven", "target", devices.Number(111))
			f.network.set(func(n *testNetwork) { n.refuse = nil })
		},
		"the device is gone": func(f *fixture) {
			f.house.step(mapping.Change{Withdraw: &mapping.Withdrawal{ID: "oven", Why: devices.Gone}})
			f.house.announce()
			f.house.hear()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, setup{}, func(f *fixture) {
				f.ask("set", vera, oven, `<subscribe xmlns='EV' id='S1' maxInt='PT10S'><f n='target'/></subscribe>`)
				f.ask("set", otto, oven, `<subscribe xmlns='EV' id='S1'><f n='none'/></subscribe>`)
				f.read("oven", "target", devices.Number(101))
				if got := len(f.eventsTo(vera)); got != 1 {
					t.Fatalf("%d events", got)
				}
				end(f)
				f.sent()
				f.read("oven", "target", devices.Number(102))
				time.Sleep(time.Minute)
				equal(t, "after the end", f.eventsTo(vera), nil)
				e := f.events
				if e.total != 0 || len(e.byID)+len(e.byKey)+len(e.watched)+len(e.alarms) != 0 {
					t.Errorf("%d watches, %v, %v, %v, %d alarms are left", e.total, e.byID, e.byKey, e.watched, len(e.alarms))
				}
			})
		})
	}
}

// A server that is slow gets the event later, with the value of then.
func TestEventsSlowServer(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.ask("set", vera, oven, `<subscribe xmlns='EV' id='S1' m='true'><f n='target'/></subscribe>`)
		f.network.set(func(n *testNetwork) { n.refuse = func(*stream.Element) error { return stream.ErrFull } })
		f.read("oven", "target", devices.Number(101))
		f.house.read("oven", "target", devices.Number(102))
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(2 * time.Second)
		equal(t, "events", f.eventsTo(vera), []string{target("102")})
	})
}

func TestEventsRefused(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, c := range []struct{ from, to, ask, want string }{
			{vera, oven, `<subscribe xmlns='EV'/>`, "modify bad-request"},
			{vera, oven, `<subscribe xmlns='EV' id='1' minInt='soon'/>`, "modify bad-request"},
			{vera, oven, `<subscribe xmlns='EV' id='1'><f n='target' by='x'/></subscribe>`, "modify bad-request"},
			{vera, oven, `<subscribe xmlns='EV' id='1'><f n='target' v='warm'/></subscribe>`, "modify bad-request"},
			{vera, oven, `<subscribe xmlns='EV' id='1'><f n='none'/></subscribe>`, "cancel item-not-found"},
			{vera, hub, `<subscribe xmlns='EV' id='1'><nd id='none'/></subscribe>`, "cancel item-not-found"},
			{wim, hub, `<subscribe xmlns='EV' id='1'><nd id='oven'/></subscribe>`, "cancel item-not-found"},
			{wim, oven, `<subscribe xmlns='EV' id='1'/>`, "cancel item-not-found"},
			{mallory, oven, `<subscribe xmlns='EV' id='1'/>`, "cancel service-unavailable"},
			{vera, oven, `<subscribe xmlns='XSD' id='1'/>`, "cancel service-unavailable"},
			{vera, oven, `<unsubscribe xmlns='EV'/>`, "modify bad-request"},
			{vera, oven, `<unsubscribe xmlns='EV' id='1'/>`, "cancel item-not-found"},
		} {
			if got := verdict(f.ask("set", c.from, c.to, c.ask)[0]); got != c.want {
				t.Errorf("%s to %s: %s: %s, want %s", c.from, c.to, c.ask, got, c.want)
			}
		}
		f.events.perJID, f.events.inAll = 10, 15
		for i := range 5 {
			f.deliver(fmt.Sprintf("<iq type='set' id='1' from='%s' to='%s'><subscribe xmlns='%s' id='%d'/></iq>", vera, hub, nsEvents, i))
		}
		f.sent()
		if got := verdict(f.ask("set", vera, lamp, `<subscribe xmlns='EV' id='more'/>`)[0]); got != "wait resource-constraint" {
			t.Errorf("too many: %s", got)
		}
		if got := verdict(f.ask("set", vera, lamp, `<subscribe xmlns='EV' id='1'/>`)[0]); got != `<accepted xmlns='SD' id='1'/>` {
			t.Errorf("in the place of another: %s", got)
		}
		if got := verdict(f.ask("set", otto, lamp, `<subscribe xmlns='EV' id='1'/>`)[0]); got != `<accepted xmlns='SD' id='1'/>` {
			t.Errorf("of somebody else: %s", got)
		}
		for i := range 6 {
			want := map[bool]string{true: "wait resource-constraint"}[i == 5]
			if got := verdict(f.ask("set", alice, lamp, fmt.Sprintf(`<subscribe xmlns='EV' id='%d'/>`, i))[0]); want != "" && got != want || want == "" && !strings.HasPrefix(got, "<accepted") {
				t.Errorf("%d of a third: %s", i, got)
			}
		}
	})
}
