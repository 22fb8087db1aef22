package mapping

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

// leak is an alert of the greenhouse's pump, which can be switched without waiting, to two people, with more keys.
func leak(keys string) string {
	return `
[alerts.leak]
device = "greenhouse"
when = "pump"
to = ["alice@example.org", "bob@example.net"]
` + keys + "\n"
}

// still keeps the greenhouse from falling silent while time passes.
func (w *world) still(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.wait(min(30*time.Second, end.Sub(w.now)))
		w.read("greenhouse", "humidity", num(50))
	}
}

func (w *world) pump(on bool) { w.t.Helper(); w.read("greenhouse", "pump", boo(on)) }

// wantLife compares what was said of the alert leak, without its name and the words that are always there.
func (w *world) wantLife(want ...string) {
	w.t.Helper()
	var got []string
	for _, l := range w.take() {
		if strings.Contains(l, " leak/greenhouse to ") {
			l = strings.NewReplacer(" leak/greenhouse to ", " ", "alice@example.org", "alice", "bob@example.net", "bob",
				"Greenhouse: pump is on (leak)", "on", "Greenhouse: pump is off, fine again", "off").Replace(l)
			got = append(got, l)
		}
	}
	w.lines = got
	w.want(want...)
}

func (w *world) ack(by string, refs ...AlertRef) {
	w.t.Helper()
	w.step(Change{Acknowledge: &Acknowledge{Alerts: refs, By: by}})
}

var leaking = AlertRef{Alert: "leak", Device: "greenhouse"}

const aliceJID, bobJID = "alice@example.org", "bob@example.net"

// It is said again until somebody acknowledges it; the others hear who has; then only that it is over.
func TestAlertRepeats(t *testing.T) {
	t.Parallel()
	w := hot(t, leak(`repeat = "10m"`))
	w.pump(true)
	w.still(25 * time.Minute)
	w.wantLife("0s alert alice bob: on",
		"10m0s repeated alice bob: on (still so after 10 min)",
		"20m0s repeated alice bob: on (still so after 20 min)")
	w.ack(bobJID, leaking)
	w.wantLife("25m0s acknowledged alice: Acknowledged by bob: on")
	w.ack(aliceJID, leaking) // it is acknowledged already
	w.still(time.Hour)
	w.wantLife()
	if a := w.rules.Active(); len(a) != 1 || a[0].By != bobJID || a[0].At.Sub(w.start).Abs() > time.Millisecond {
		t.Errorf("active: %+v", a)
	}
	w.pump(false)
	w.wantLife("1h25m0s over alice bob: off (leak over, lasted 1 h 25 min)")
	w.still(10 * time.Minute)
	w.pump(true) // another one, which nobody has acknowledged
	w.wantLife("1h35m0s alert alice bob: on")
	w.ack(aliceJID, AlertRef{Began: w.start, Alert: "leak", Device: "greenhouse"}) // the one before was meant
	w.wantLife()
}

const escalating = `escalate = { after = "15m", to = ["carol@family.example.org"] }`

func TestAlertEscalates(t *testing.T) {
	t.Parallel()
	w := hot(t, leak(escalating))
	w.pump(true)
	w.still(20 * time.Minute)
	w.pump(false)
	w.wantLife("0s alert alice bob: on",
		"15m0s escalated carol@family.example.org: on (nobody has acknowledged it for 15 min)",
		"20m0s over alice bob carol@family.example.org: off (leak over, lasted 20 min)")

	w = hot(t, leak(escalating))
	w.pump(true)
	w.ack(aliceJID, leaking)
	w.still(time.Hour)
	w.wantLife("0s alert alice bob: on", "0s acknowledged bob: Acknowledged by alice: on")

	// What came back from everyone is not waited for.
	w = hot(t, leak(escalating))
	w.pump(true)
	lost := func(to string) { w.step(Change{Undelivered: &Undelivered{AlertRef: leaking, To: to}}) }
	lost(aliceJID)
	lost(aliceJID)
	lost("carol@family.example.org") // who has not been told
	w.wantLife("0s alert alice bob: on")
	w.still(time.Minute)
	lost(bobJID)
	w.wantLife("1m0s escalated carol@family.example.org: on (it reached nobody else)")
	w.still(time.Hour)
	w.wantLife()
}

// What came back is sent again after a while, as long as nobody has acknowledged the alert; what only has no receipt is not.
func TestAlertReturned(t *testing.T) {
	t.Parallel()
	w := hot(t, leak(""))
	w.pump(true)
	lost := func(to string, returned bool) {
		w.step(Change{Undelivered: &Undelivered{AlertRef: leaking, To: to, Returned: returned}})
	}
	w.still(time.Minute)
	lost(aliceJID, true)
	lost(bobJID, false)
	w.still(12 * time.Minute)
	lost(aliceJID, true)
	w.still(5 * time.Minute)
	w.ack(bobJID, leaking)
	w.still(time.Hour)
	w.wantLife("0s alert alice bob: on", "11m0s alert alice: on (for 11 min)", "18m0s acknowledged alice: Acknowledged by bob: on")
	w.pump(false)
	w.wantLife("1h18m0s over bob alice: off (leak over, lasted 1 h 18 min)")
}

// The clock on the wall counts, also on the days on which it is put forward or back.
func TestQuietHours(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night, noon := quietHours{from: 22 * 60, to: 7 * 60}, quietHours{from: 12 * 60, to: 14*60 + 30}
	for _, c := range []struct {
		q        quietHours
		now, end string // in UTC; empty: not quiet
	}{
		{night, "2026-06-01T19:59:59Z", ""}, {night, "2026-06-01T20:00:00Z", "2026-06-02T05:00:00Z"}, {night, "2026-06-02T04:59:59Z", "2026-06-02T05:00:00Z"},
		{night, "2026-06-02T05:00:00Z", ""}, {noon, "2026-06-01T09:59:59Z", ""}, {noon, "2026-06-01T10:00:00Z", "2026-06-01T12:30:00Z"}, {noon, "2026-06-01T12:30:00Z", ""},
		{night, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"}, {night, "2026-10-24T22:00:00Z", "2026-10-25T06:00:00Z"},
		{night, "2026-12-31T22:00:00Z", "2027-01-01T06:00:00Z"},
		// The end comes twice, or not at all.
		{quietHours{from: 60, to: 2*60 + 30}, "2026-10-25T01:15:00Z", "2026-10-25T01:30:00Z"}, {quietHours{from: 60, to: 2*60 + 30}, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		end, in := c.q.end(now.In(berlin))
		got := ""
		if in {
			got = end.UTC().Format(time.RFC3339)
		}
		if got != c.end {
			t.Errorf("%+v at %s: %q, want %q", c.q, c.now, got, c.end)
		}
	}
}

// at is a world whose clock says a time of day.
func at(t *testing.T, clock, alerts string) *world {
	w := hot(t, alerts)
	w.rules.o.Location = time.UTC
	now, err := time.Parse("2006-01-02 15:04", "2026-06-01 "+clock)
	if err != nil {
		t.Fatal(err)
	}
	// A world's time has no monotonic part here: the two go together.
	shift := now.Sub(w.now.Round(0))
	w.now, w.start, w.rules.zero = w.now.Round(0).Add(shift), w.start.Round(0).Add(shift), w.rules.zero.Round(0).Add(shift)
	return w
}

func TestAlertQuietHours(t *testing.T) {
	t.Parallel()
	const night = `quiet = { from = "22:00", to = "07:00", except = "critical" }` + "\n"
	w := at(t, "23:00", leak(night+`repeat = "30m"`+"\n"+escalating))
	w.pump(true)
	w.still(7 * time.Hour)
	w.wantLife()
	if len(w.rules.Active()) != 1 {
		t.Error("it is not active")
	}
	w.still(2 * time.Hour)
	w.wantLife("8h0m0s alert alice bob: on (for 8 h)",
		"8h15m0s escalated carol@family.example.org: on (nobody has acknowledged it for 8 h 15 min)",
		"8h30m0s repeated alice bob carol@family.example.org: on (still so after 8 h 30 min)",
		"9h0m0s repeated alice bob carol@family.example.org: on (still so after 9 h)")

	// What nobody was told of ends without a word; what they were told of is told to be over in the morning.
	w = at(t, "21:00", leak(night))
	w.pump(true)
	w.still(2 * time.Hour)
	w.pump(false)
	w.still(time.Hour)
	w.pump(true) // as far as they know it still is
	w.still(time.Hour)
	w.pump(false)
	w.wantLife("0s alert alice bob: on")
	w.still(8 * time.Hour)
	w.wantLife("10h0m0s over alice bob: off (leak over, lasted 1 h)")
	w.still(14 * time.Hour)
	w.pump(true)
	w.still(time.Hour)
	w.pump(false)
	w.still(12 * time.Hour)
	w.wantLife()

	w = at(t, "23:00", leak(night+`level = "critical"`))
	w.pump(true)
	w.wantLife("0s alert alice bob: on")
}

// A silence is for whoever asked for it.
func TestAlertSilence(t *testing.T) {
	t.Parallel()
	w := hot(t, leak(`repeat = "10m"`+"\n"+escalating))
	quiet := func(s Silence) { w.t.Helper(); w.step(Change{Silence: &s}) }
	quiet(Silence{Who: aliceJID, For: time.Hour})
	w.pump(true)
	w.still(12 * time.Minute)
	quiet(Silence{Who: bobJID, Device: "greenhouse", Alert: "leak", For: time.Hour})
	w.still(10 * time.Minute)
	w.wantLife("0s alert bob: on", "10m0s repeated bob: on (still so after 10 min)",
		"15m0s escalated carol@family.example.org: on (nobody has acknowledged it for 15 min)",
		"20m0s repeated carol@family.example.org: on (still so after 20 min)")
	if n := len(w.rules.Silences()); n != 2 {
		t.Errorf("%d silences", n)
	}
	quiet(Silence{Who: aliceJID, End: true})
	w.wantLife("22m0s alert alice: on (for 22 min)")
	w.still(time.Hour)
	w.pump(false)
	w.wantLife(
		"30m0s repeated carol@family.example.org alice: on (still so after 30 min)",
		"40m0s repeated carol@family.example.org alice: on (still so after 40 min)",
		"50m0s repeated carol@family.example.org alice: on (still so after 50 min)",
		"1h0m0s repeated carol@family.example.org alice: on (still so after 1 h)",
		"1h10m0s repeated carol@family.example.org alice: on (still so after 1 h 10 min)",
		"1h20m0s repeated bob carol@family.example.org alice: on (still so after 1 h 20 min)",
		"1h22m0s over bob carol@family.example.org alice: off (leak over, lasted 1 h 22 min)")

	// One for everyone holds the escalation back, too.
	w = hot(t, leak(escalating))
	w.step(Change{Silence: &Silence{For: time.Hour}})
	w.pump(true)
	w.still(30 * time.Minute)
	w.wantLife()
	w.still(50 * time.Minute)
	w.wantLife("1h0m0s alert alice bob: on (for 1 h)", "1h15m0s escalated carol@family.example.org: on (nobody has acknowledged it for 1 h 15 min)")
	for n := range maxSilences + 10 {
		w.step(Change{Silence: &Silence{Who: fmt.Sprint("p", n, "@example.org"), For: time.Hour}})
	}
	if n := len(w.rules.Silences()); n != maxSilences {
		t.Errorf("%d silences", n)
	}
}

// What comes and goes is said to, once, and then only what remains.
func TestAlertKeepsChanging(t *testing.T) {
	t.Parallel()
	w := hot(t, leak(""))
	for range 10 {
		w.pump(true)
		w.still(10 * time.Second)
		w.pump(false)
		w.still(10 * time.Second)
	}
	w.wantLife("0s alert alice bob: on", "10s over alice bob: off (leak over, lasted 10 s)",
		"20s alert alice bob: on", "30s over alice bob: off (leak over, lasted 10 s)",
		"40s alert alice bob: on", "50s over alice bob: off (leak over, lasted 10 s)",
		"1m0s alert alice bob: on – it keeps changing: you hear of it again when it has been the same for 5 min")
	if len(w.rules.Active()) != 1 {
		t.Error("it is not active meanwhile")
	}
	w.still(10 * time.Minute)
	w.wantLife("8m10s over alice bob: off (leak over, lasted 2 min)")
	w.pump(true)
	w.pump(false)
	w.wantLife("13m20s alert alice bob: on", "13m20s over alice bob: off (leak over)")

	// One that stays on is an ordinary one again.
	w = hot(t, leak(""))
	for range 5 {
		w.pump(false)
		w.pump(true)
	}
	w.still(6 * time.Minute)
	if lines := w.take(); len(lines) < 7 {
		t.Error(lines)
	}
	w.pump(false)
	w.wantLife("6m0s over alice bob: off (leak over, lasted 6 min)")
}

// Everything that runs goes on over a restart and a reload.
func TestAlertLifeSurvives(t *testing.T) {
	t.Parallel()
	file := house + leak(`repeat = "10m"`+"\n"+escalating)
	for _, how := range []string{"restart", "reload"} {
		w := hot(t, leak(`repeat = "10m"`+"\n"+escalating))
		again := func() {
			t.Helper()
			if how == "reload" {
				w.note(w.rules.Reload(mustParse(t, file), RulesOptions{}, w.now))
				return
			}
			data, err := json.Marshal(w.rules.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			var s State
			if err := json.Unmarshal(data, &s); err != nil {
				t.Fatal(err)
			}
			before := w.rules.Active()
			w.reg = devices.NewRegistry()
			w.rules = NewRules(mustParse(t, file), w.reg, RulesOptions{})
			w.rules.Restore(s, w.now)
			if after := w.rules.Active(); len(after) != len(before) || after[0].Text != before[0].Text || after[0].By != before[0].By || !after[0].Began.Equal(before[0].Began) {
				t.Errorf("active before %+v and after %+v", before, after)
			}
			w.announce(greenhouseInfo())
			w.link("greenhouse", true, nil)
			w.pump(true)
		}
		w.step(Change{Silence: &Silence{Who: bobJID, For: 13 * time.Minute}})
		w.pump(true)
		w.still(5 * time.Minute)
		w.wantLife("0s alert alice: on")
		again()
		w.still(12 * time.Minute)
		w.wantLife("10m0s repeated alice: on (still so after 10 min)", "13m0s alert bob: on (for 13 min)",
			"15m0s escalated carol@family.example.org: on (nobody has acknowledged it for 15 min)")
		again()
		w.ack(aliceJID, leaking)
		again()
		w.still(30 * time.Minute)
		w.wantLife("17m0s acknowledged bob carol@family.example.org: Acknowledged by alice: on")
		w.pump(false)
		w.wantLife("47m0s over alice bob carol@family.example.org: off (leak over, lasted 47 min)")
	}
}

// What an earlier version has kept of an alert is enough.
func TestAlertOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house+leak(""))
	var s State
	old := fmt.Sprintf(`{"alerts":[{"alert":"leak","device":"greenhouse","since":%q,"active":true,"sent":true}]}`, w.now.Add(-time.Hour).Format(time.RFC3339Nano))
	if err := json.Unmarshal([]byte(old), &s); err != nil {
		t.Fatal(err)
	}
	w.rules.Restore(s, w.now)
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.pump(true)
	w.wantLife()
	w.pump(false)
	w.wantLife("0s over alice bob: off (leak over, lasted 1 h)")
}

// Whatever happens: for each person a beginning and an end take turns, nothing goes to those without access, nothing
// in between is said of what they do not know, and nobody is told in vain.
func TestAlertLifeModel(t *testing.T) {
	t.Parallel()
	people := []string{aliceJID, bobJID, "carol@family.example.org"}
	rapid.Check(t, func(rt *rapid.T) {
		file := leak(rapid.SampledFrom([]string{"", "for = \"20s\"\n"}).Draw(rt, "for") + `repeat = "2m"` + "\n" + `escalate = { after = "4m", to = ["carol@family.example.org"] }`)
		w := newWorld(t, house+file)
		may := map[string]bool{aliceJID: true, bobJID: true, people[2]: true}
		o := RulesOptions{CanSee: func(who string, _ devices.ID) bool { return may[who] }}
		w.rules = NewRules(w.rules.cfg, w.reg, o)
		knows, vague := map[string]bool{}, map[string]bool{} // vague: missed something while they had no access
		check := func(intents []Intent) {
			seen := map[string]bool{}
			for _, intent := range intents {
				a, ok := intent.(Alert)
				for _, who := range a.To {
					switch {
					case !ok:
					case !may[who]:
						rt.Fatalf("%s may not see it and is told: %s", who, a.Text)
					case a.Occasion == Begun || a.Occasion == Escalated:
						if knows[who] && !vague[who] {
							rt.Fatalf("%s is told twice that it began: %s", who, a.Text)
						}
						knows[who] = true
						delete(vague, who)
					case !knows[who] && !vague[who]:
						rt.Fatalf("%s knows nothing of it and is told: %v %s", who, a.Occasion, a.Text)
					case a.Occasion == Over:
						delete(knows, who)
						delete(vague, who)
					}
					if text := who + a.Text; ok && seen[text] {
						rt.Fatalf("said twice: %s", text)
					} else if ok {
						seen[text] = true
					}
				}
			}
		}
		step := func(c Change) { check(w.rules.Step(w.now, c)) }
		read := func(on bool) {
			step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "pump", Value: boo(on), At: w.now}}})
		}
		info := greenhouseInfo()
		step(Change{Announce: &info})
		step(Change{Link: &Link{ID: "greenhouse", Up: true}})
		for range rapid.IntRange(1, 50).Draw(rt, "steps") {
			switch rapid.IntRange(0, 10).Draw(rt, "what") {
			case 0, 1, 2, 3:
				read(rapid.Bool().Draw(rt, "on"))
			case 4:
				step(Change{Acknowledge: &Acknowledge{Alerts: []AlertRef{leaking}, By: rapid.SampledFrom(people).Draw(rt, "by")}})
			case 5:
				step(Change{Silence: &Silence{Who: rapid.SampledFrom(append(people, "")).Draw(rt, "who"), For: 5 * time.Minute, End: rapid.Bool().Draw(rt, "end")}})
			case 6:
				u := Undelivered{AlertRef: leaking, To: rapid.SampledFrom(people).Draw(rt, "to"), Returned: rapid.Bool().Draw(rt, "returned")}
				vague[u.To] = vague[u.To] || u.Returned // may be told again
				step(Change{Undelivered: &u})
			case 7:
				who := rapid.SampledFrom(people).Draw(rt, "access of")
				may[who], vague[who] = !may[who], true
				check(w.rules.Reload(mustParse(t, house+file), o, w.now))
			case 9:
				step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "pump", Quality: devices.Unknown, At: w.now}}})
			case 10:
				step(Change{Link: &Link{ID: "greenhouse", Up: rapid.Bool().Draw(rt, "up")}})
			case 8:
				data, _ := json.Marshal(w.rules.Snapshot())
				var s State
				if err := json.Unmarshal(data, &s); err != nil {
					rt.Fatal(err)
				}
				w.reg = devices.NewRegistry()
				w.rules = NewRules(mustParse(t, house+file), w.reg, o)
				w.rules.Restore(s, w.now)
				step(Change{Announce: &info})
				step(Change{Link: &Link{ID: "greenhouse", Up: true}})
			}
			for end := w.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds")) * time.Second); w.now.Before(end); {
				w.now = end
				if next := w.rules.Next(); !next.IsZero() && next.Before(end) {
					w.now = next
				}
				step(Change{})
			}
		}
		clear(may)
		may[aliceJID], may[bobJID], may[people[2]] = true, true, true
		step(Change{Link: &Link{ID: "greenhouse", Up: true}})
		step(Change{Silence: &Silence{End: true}})
		for _, who := range people {
			step(Change{Silence: &Silence{Who: who, End: true}})
		}
		read(false)
		for range 3 {
			w.now = w.now.Add(6 * time.Minute)
			read(false)
		}
		for who := range knows {
			if vague[who] {
				continue
			}
			rt.Fatalf("%s still believes it is active", who)
		}
	})
}
