package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// warned is the house of the tests with an alert on each device.
const warned = houseFile + `
[alerts.lit]
device = "lamp"
when = "power"
text = "Lamp is lit"
offer = ["power off"]
to = ["otto@example.org", "vera@example.org", "wim@example.org"]
[alerts.hot]
device = "oven"
when = "heat"
text = "Oven is hot"
offer = ["heat off", "set target"]
to = ["otto@example.org", "vera@example.org"]
`

// say puts into the outbox what the rules have said since the last call, as the postbox does.
func (f *fixture) say() {
	f.house.mu.Lock()
	said := f.house.said
	f.house.said = nil
	f.house.mu.Unlock()
	f.store.mu.Lock()
	for _, a := range said {
		f.posted++
		for _, to := range a.To {
			f.seq++
			f.store.outbox = append(f.store.outbox, Outgoing{Seq: f.seq, ID: fmt.Sprint("m", f.posted), To: to, Device: a.Device, Body: a.Text,
				At: a.At, Alert: a.Name, Occasion: a.Occasion, Began: a.Began, Offer: a.Offer, Chart: a.Chart})
		}
	}
	f.store.mu.Unlock()
	f.Alert()
}

// light switches the lamp from outside, and heat the oven; what is said of it goes out.
func (f *fixture) light(on bool) []*stream.Element {
	f.t.Helper()
	f.sent()
	f.house.read("lamp", "power", devices.Bool(on))
	f.say()
	return f.messages()
}

func (f *fixture) heat(on bool) []*stream.Element {
	f.t.Helper()
	f.sent()
	f.house.read("oven", "heat", devices.Bool(on))
	f.say()
	return f.messages()
}

// messages are those that were sent, by recipient.
func (f *fixture) messages() []*stream.Element {
	out := slices.DeleteFunc(f.sent(), func(st *stream.Element) bool { return st.Name != "message" })
	slices.SortStableFunc(out, func(x, y *stream.Element) int { return strings.Compare(x.Attr("to"), y.Attr("to")) })
	return out
}

// by is who has acknowledged the alert that is active.
func (f *fixture) by() string {
	f.t.Helper()
	synctest.Wait()
	active := f.house.Alerts()
	if len(active) != 1 {
		f.t.Fatalf("active: %+v", active)
	}
	return active[0].By
}

// buttonsOf are the commands in a message, "node name" each.
func buttonsOf(st *stream.Element) []string {
	var out []string
	for item := range st.Child(nsDiscoItems, "query").Children() {
		if item.Attr("jid") == st.Attr("from") {
			out = append(out, item.Attr("node")+" "+item.Attr("name"))
		}
	}
	return out
}

// Who may control a device has its commands at hand, others what can be done about the alert; in words, too.
func TestAlertButtons(t *testing.T) {
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		out := f.light(true)
		if len(out) != 3 {
			t.Fatalf("sent %v", out)
		}
		about := []string{"lamp/alerts/lit/ack Acknowledge", "lamp/alerts/lit/silence Silence 1 h"}
		for i, want := range []struct {
			to, from, body string
			buttons        []string
		}{
			{"otto@example.org", hub, "Lamp is lit\nSay \"lamp power off\", \"lamp ack\" or \"lamp silence 1h\".", append([]string{"lamp/power/off Power off"}, about...)},
			{veraBare, lamp, "Lamp is lit\nSay \"ack\" or \"silence 1h\".", about},
			{"wim@example.org", hub, "Lamp is lit\nSay \"lamp ack\" or \"lamp silence 1h\".", about},
		} {
			st := out[i]
			if st.Attr("to") != want.to || st.Attr("from") != want.from || st.Body() != want.body || st.Child(nsDiscoItems, "query").Attr("node") != nsCommands {
				t.Errorf("got %s\nwant %+v", st, want)
			}
			equal(t, want.to, buttonsOf(st), want.buttons)
		}
		for _, st := range f.light(false) {
			if st.Child(nsDiscoItems, "query") != nil || st.Child(nsReceipts, "request") == nil && st.Child(nsCorrect, "replace") == nil {
				t.Errorf("over: %s", st)
			}
		}
		// What is dangerous asks under an alert, too.
		out = f.heat(true)
		equal(t, "oven", buttonsOf(out[0])[:2], []string{"oven/heat/off Heat off", "oven/target/set Set target…"})
		form := f.answer("<iq type='set' from='" + otto + "' to='" + hub + "' id='1'><command xmlns='" + nsCommands + "' node='oven/heat/off'/></iq>")
		if x := form.First().Child(nsForm, "x"); x == nil || x.Child(nsForm, "field").Attr("label") != "Really?" {
			t.Errorf("heat off: %s", form)
		}
	})
}

// An alert is corrected in place where it was the last thing said, once, and by the address that said it.
func TestAlertCorrected(t *testing.T) {
	corrections := func(sent []*stream.Element) []string {
		var out []string
		for _, st := range sent {
			if r := st.Child(nsCorrect, "replace"); r != nil {
				out = append(out, st.Attr("from")+" > "+st.Attr("to")+": "+r.Attr("id")+" "+st.Body())
			}
		}
		return out
	}
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		f.light(true)
		f.hear(otto, lamp, "status") // the lamp, and not the hub, which told otto
		f.hear(vera, lamp, "status")
		out := f.light(false)
		equal(t, "first", corrections(out), []string{hub + " > otto@example.org: m1 Over: Lamp is lit", hub + " > wim@example.org: m1 Over: Lamp is lit"})
		if len(out) != 5 || out[0].Attr("id") == out[1].Attr("id") || out[1].Body() != "Lamp: power is off, fine again (lit over)" {
			t.Errorf("sent %v", out)
		}
		f.light(true)
		f.network.set(func(n *testNetwork) { n.down = true })
		f.light(false)
		f.network.set(func(n *testNetwork) { n.down = false })
		f.Up("")
		if out := f.messages(); len(out) != 6 || len(corrections(out)) != 3 {
			t.Errorf("after a while without a stream: %v", out)
		}
		time.Sleep(time.Minute)
		f.Up("")
		if out := f.messages(); len(out) != 0 {
			t.Errorf("again: %v", out)
		}
		// A stream that ends takes both along: both go again, under the same ids.
		f.light(true)
		f.network.set(func(n *testNetwork) { n.barrier = func(context.Context) error { return errNetworkDown } })
		first := f.light(false)
		f.network.set(func(n *testNetwork) { n.barrier = nil })
		time.Sleep(alertRetry + time.Second)
		again := f.messages()
		if len(first) != 6 || len(again) != 6 {
			t.Fatalf("first %v\nagain %v", first, again)
		}
		for i := range first {
			if first[i].Attr("id") != again[i].Attr("id") {
				t.Errorf("first %s\nagain %s", first[i], again[i])
			}
		}
	})
}

// A thumb up, of any colour, by somebody who was told, acknowledges the alert under which it is.
func TestAlertReaction(t *testing.T) {
	reaction := func(from, id, payload, more string) string {
		return "<message type='chat' id='r' from='" + from + "' to='" + lamp + "'><body>&gt; Lamp is lit\n👍</body><reactions xmlns='" + nsReactions +
			"' id='" + id + "'>" + payload + "</reactions>" + more + "</message>"
	}
	for _, c := range []struct{ name, xml, by string }{
		{"plain", reaction(vera, "m1", "<reaction>👍</reaction>", ""), veraBare},
		{"dark", reaction(vera, "m1", "<reaction>🎉</reaction><reaction>👍🏿</reaction>", ""), veraBare},
		{"drawn in colour", reaction(otto, "m1", "<reaction> 👍\uFE0F </reaction>", ""), "otto@example.org"},
		{"another", reaction(vera, "m1", "<reaction>👎</reaction>", ""), ""},
		{"taken away", reaction(vera, "m1", "", ""), ""},
		{"two in one", reaction(vera, "m1", "<reaction>👍👎</reaction>", ""), ""},
		{"a flood", reaction(vera, "m1", strings.Repeat("<reaction>🎉</reaction>", maxReactions)+"<reaction>👍</reaction>", ""), ""},
		{"another namespace", reaction(vera, "m1", "<reaction xmlns='urn:example:x'>👍</reaction>", ""), ""},
		{"another message", reaction(vera, "m2", "<reaction>👍</reaction>", ""), ""},
		{"no message", reaction(vera, "", "<reaction>👍</reaction>", ""), ""},
		{"nobody who was told", reaction(alice, "m1", "<reaction>👍</reaction>", ""), ""},
		{"a stranger", reaction(mallory, "m1", "<reaction>👍</reaction>", ""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
				f.light(true)
				f.silence(c.xml)
				if got := f.by(); got != c.by {
					t.Errorf("acknowledged by %q, want %q", got, c.by)
				}
			})
		})
	}
	t.Run("late", func(t *testing.T) {
		bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
			f.light(true)
			answer := f.answer(reaction(vera, "m1", "<reaction>👍</reaction>", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"))
			if answer.Body() != "Too old, not done." || f.by() != "" {
				t.Errorf("answer %s, by %q", answer, f.by())
			}
		})
	})
	t.Run("the one before", func(t *testing.T) {
		bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
			f.light(true)
			time.Sleep(time.Second)
			f.light(false)
			f.light(true)
			f.silence(reaction(vera, "m1", "<reaction>👍</reaction>", ""))
			if f.by() != "" {
				t.Error("acknowledged by what was said to another")
			}
		})
	})
}

// What can be said to alerts.
func TestAlertWords(t *testing.T) {
	answer := func(id string) string { return "<reply xmlns='" + nsReply + "' to='" + lamp + "' id='" + id + "'/>" }
	for _, c := range []struct{ from, to, say, more, want string }{
		{vera, lamp, "ack", "", "Acknowledged: lit (Lamp)."},
		{vera, lamp, "Ack lit!", "", "Acknowledged: lit (Lamp)."},
		{vera, lamp, "&gt; Lamp is lit\nacknowledge", answer("m1"), "Acknowledged: lit (Lamp)."},
		{vera, hub, "ack", answer("m2"), "Acknowledged: hot (Oven)."},
		{vera, hub, "ack", "", "Acknowledged: lit (Lamp), hot (Oven)."},
		{vera, hub, "ack hot", "", "Acknowledged: hot (Oven)."},
		{vera, hub, "ack oven", "", "Acknowledged: hot (Oven)."},
		{vera, hub, "lamp ack", "", "Acknowledged: lit (Lamp)."},
		{wim, hub, "ack", "", "Acknowledged: lit (Lamp)."},
		{wim, hub, "ack hot", "", `did you mean "lit"?`},
		{vera, hub, "ack hott", "", `did you mean "hot"?`},
		{vera, hub, "silence 2h", "", "All alerts: silenced for 2 h. What is still so then is said then."},
		{vera, lamp, "silence 90 min", "", "Lamp: silenced for 1 h 30 min."},
		{vera, lamp, "silence lit 1d", "", "lit (Lamp): silenced for 1 d."},
		{vera, hub, "silence 30m", answer("m2"), "hot (Oven): silenced for 30 min."},
		{vera, hub, "silence off", "", "All alerts: not silenced any more."},
		{vera, lamp, "silence 1,5 h", "", "Lamp: silenced for 1 h 30 min."},
		{vera, lamp, "silence lit week", "", "lit (Lamp): silenced for 7 d."},
		{vera, hub, "silence 1h 2h", "", "Say one length of time"},
		{vera, hub, "silence", "", "For how long?"},
		{vera, hub, "silence 5s", "", "For how long?"},
		{vera, hub, "silence 40d", "", "between a minute and 30 days"},
		{vera, hub, "silence 2h for everyone", "", "Only an admin"},
		{alice, hub, "silence 2h for everyone", "", "All alerts: silenced for everyone for 2 h."},
		{vera, lamp, "alerts", "", "Lamp is lit (warning, for 1 s)"},
		{vera, lamp, "help", "", "Lamp understands: status, ack, silence 2h."},
	} {
		t.Run(c.say+c.more, func(t *testing.T) {
			bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
				f.light(true)
				time.Sleep(time.Second)
				f.heat(true)
				f.sent()
				f.deliver("<message type='chat' id='x' from='" + c.from + "' to='" + c.to + "'><body>" + c.say + "</body>" + c.more + "</message>")
				out := f.messages()
				if len(out) != 1 || !strings.Contains(out[0].Body(), c.want) || out[0].Attr("to") != c.from {
					t.Errorf("answered %v, want %q", out, c.want)
				}
			})
		})
	}
}

// Who silences hears nothing; the others do.
func TestAlertSilenced(t *testing.T) {
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		f.hear(vera, hub, "silence 2h")
		if out := f.light(true); len(out) != 2 || out[0].Attr("to") == veraBare || out[1].Attr("to") == veraBare {
			t.Errorf("sent %v", out)
		}
		equal(t, "alerts", f.hear(vera, hub, "alerts"), []string{"Lamp is lit (warning, for 0 ms)\nAll alerts: silenced for 2 h."})
		equal(t, "of others", f.hear(otto, hub, "alerts"), []string{"Lamp is lit (warning, for 0 ms)"})
		f.hear(vera, hub, "silence off")
		f.sent()
		f.say()
		equal(t, "then", bodies(f.messages()), []string{"Lamp is lit\nSay \"ack\" or \"silence 1h\"."})
	})
}

// The commands about alerts are there while there are alerts, and answer afterwards, too.
func TestAlertCommands(t *testing.T) {
	run := func(f *fixture, from, to, node, rest string) *stream.Element {
		f.t.Helper()
		f.runs++
		return f.answer("<iq type='set' from='" + from + "' to='" + to + "' id='c" + fmt.Sprint(f.runs) + "'><command xmlns='" + nsCommands + "' node='" + node + "'" + rest + "</iq>")
	}
	note := func(st *stream.Element) string { return st.First().ChildText(nsCommands, "note") }
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		list := func() []string {
			var out []string
			for item := range f.answer("<iq type='get' from='" + vera + "' to='" + lamp + "' id='l'><query xmlns='" + nsDiscoItems + "' node='" + nsCommands + "'/></iq>").First().Children() {
				out = append(out, item.Attr("name"))
			}
			return out
		}
		equal(t, "before", list(), []string{"Status"})
		if got := note(run(f, vera, hub, "alerts", "/>")); got != "No alert is active" {
			t.Errorf("alerts: %q", got)
		}
		f.light(true)
		time.Sleep(time.Second)
		f.heat(true)
		equal(t, "while", list(), []string{"Status", "Acknowledge lit", "Silence lit 1 h"})
		for _, node := range []string{"oven/alerts/hot/ack", "oven/alerts/hot/silence", "lamp/alerts/lit/dance", "lamp/alerts//ack", "lamp/alerts/lit/ack/x"} {
			st := run(f, wim, hub, node, "/>")
			if e := stream.ParseError(st); e.Condition != stream.ItemNotFound {
				t.Errorf("%s: %s", node, st)
			}
		}
		if got := note(run(f, wim, lamp, "lamp/alerts/lit/silence", "/>")); !strings.HasPrefix(got, "lit (Lamp): silenced for 1 h") {
			t.Errorf("silence: %q", got)
		}

		form := run(f, vera, hub, "alerts", "/>").First()
		if x := form.Child(nsForm, "x"); x == nil || x.ChildText(nsForm, "instructions") != "2 alerts; the oldest: Lamp is lit" {
			t.Errorf("form: %s", form)
		}
		fill := func(alert, do string) string {
			return " sessionid='" + form.Attr("sessionid") + "' action='complete'><x xmlns='" + nsForm + "' type='submit'><field var='alert'><value>" + alert +
				"</value></field><field var='do'><value>" + do + "</value></field></x></command>"
		}
		for _, bad := range []string{fill("lamp/nothing", "ack"), fill("all", "dance"), fill("", ""), " sessionid='" + form.Attr("sessionid") + "' action='complete'/>"} {
			if st := run(f, vera, hub, "alerts", bad); stream.ParseError(st).Condition != stream.BadRequest {
				t.Errorf("%s: %s", bad, st)
			}
		}
		if got := note(run(f, vera, hub, "alerts", fill("oven/hot", "ack"))); got != "Acknowledged: hot (Oven)" {
			t.Errorf("acknowledged: %q", got)
		}
		f.heat(false)
		if got := note(run(f, otto, oven, "oven/alerts/hot/ack", "/>")); got != "It is not active any more" {
			t.Errorf("afterwards: %q", got)
		}
		if got := note(run(f, otto, oven, "oven/alerts/hot/silence", "/>")); got != "It is not active any more" {
			t.Errorf("afterwards: %q", got)
		}
		if got := note(run(f, vera, lamp, "lamp/alerts/lit/ack", "/>")); got != "Acknowledged: lit (Lamp)" || f.by() != veraBare {
			t.Errorf("button: %q", got)
		}
		if got := note(run(f, otto, lamp, "lamp/alerts/lit/ack", "/>")); got != "lit (Lamp) was acknowledged already, by "+veraBare {
			t.Errorf("button of another: %q", got)
		}
		f.say()
		equal(t, "the others", bodies(f.messages()), []string{"Acknowledged by " + veraBare + ": Lamp is lit"})
	})
}

// An alert that comes back, or of which no receipt comes although they do otherwise, has not arrived; also over a restart.
func TestAlertUndelivered(t *testing.T) {
	lost := func(f *fixture) []string {
		synctest.Wait()
		f.house.mu.Lock()
		defer f.house.mu.Unlock()
		var out []string
		for _, u := range f.house.lost {
			out = append(out, u.Alert+" "+u.To)
		}
		f.house.lost = nil
		return out
	}
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		f.light(true)
		returned := func(from, id string) {
			f.silence("<message type='error' id='" + id + "' from='" + from + "' to='" + lamp + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		}
		returned(vera, "m1")
		returned(veraBare, "m1") // by each of their clients
		returned(otto, "m7")
		returned(mallory, "m1")
		equal(t, "returned", lost(f), []string{"lit vera@example.org"})
		time.Sleep(time.Hour)
		equal(t, "nobody sends receipts", lost(f), nil)
	})
	store := subscribed()
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, setup{file: warned, store: store})
		f.light(true)
		f.silence("<message from='" + vera + "' to='" + lamp + "'><received xmlns='urn:xmpp:receipts' id='m1'/></message>")
		f.light(false)
		f.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, setup{file: warned, store: store})
		f.posted = 10
		time.Sleep(10 * time.Minute)
		f.house.hear() // another day
		equal(t, "it came", lost(f), nil)
		f.light(true)
		time.Sleep(receiptWait - time.Minute)
		equal(t, "not yet", lost(f), nil)
		time.Sleep(2 * time.Minute)
		equal(t, "overdue", lost(f), []string{"lit vera@example.org"})
		time.Sleep(time.Hour)
		equal(t, "once", lost(f), nil)
		f.stop()
	})
}

// An alert that comes back before the sender has got to anything else has not arrived, either.
func TestAlertReturnedAtOnce(t *testing.T) {
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Name == "message" && st.Attr("to") == veraBare {
					f.deliver("<message type='error' id='" + st.Attr("id") + "' from='" + veraBare + "' to='" + lamp + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
				}
				return nil
			}
		})
		f.light(true)
		synctest.Wait()
		f.house.mu.Lock()
		defer f.house.mu.Unlock()
		if len(f.house.lost) != 1 || f.house.lost[0].To != veraBare || !f.house.lost[0].Returned {
			t.Errorf("lost: %+v", f.house.lost)
		}
	})
}

// What waited for a connection is not sent to somebody who has lost access meanwhile.
func TestAlertOfLostAccess(t *testing.T) {
	bubble(t, setup{file: warned, store: subscribed()}, func(f *fixture) {
		f.network.set(func(n *testNetwork) { n.down = true })
		f.light(true)
		f.Configure("House", readHouse(t, strings.Replace(houseFile, `["lamp"]`, `["oven"]`, 1)).Access)
		f.network.set(func(n *testNetwork) { n.down = false })
		f.Up("")
		if out := f.messages(); len(out) != 2 || out[1].Attr("to") != veraBare || len(f.store.outbox) != 0 {
			t.Errorf("sent %v, left %+v", out, f.store.outbox)
		}
	})
}

// What is remembered of what was said is bounded, the oldest going first.
func TestToldIsBounded(t *testing.T) {
	t.Parallel()
	store := &testStore{}
	told, err := loadTold(context.Background(), store)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * MaxTold {
		told.note(&Outgoing{ID: fmt.Sprint(i), To: veraBare, Alert: "lit", Device: "lamp"}, lamp, "", time.Now())
	}
	told.note(&Outgoing{ID: fmt.Sprint(3*MaxTold - 1), To: veraBare, Alert: "lit", Device: "lamp"}, lamp, "", time.Now()) // sent again
	if _, known := told.find(veraBare, fmt.Sprint(2*MaxTold-1)); known || len(told.sent[veraBare]) != MaxTold {
		t.Errorf("%d are remembered", len(told.sent[veraBare]))
	}
	if _, known := told.find(veraBare, fmt.Sprint(2*MaxTold)); !known {
		t.Error("a late one is forgotten")
	}
	for i := range maxSaid + 1 {
		told.said(stream.New(stream.NS, "message", "from", fmt.Sprint("d", i), "to", veraBare, "id", "x").Add(stream.New(stream.NS, "body").AddText("x")))
	}
	if len(told.last) > maxSaid {
		t.Errorf("%d conversations", len(told.last))
	}
}
