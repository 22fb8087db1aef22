package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

const tooHot = `
[alerts.too-hot]
device = "greenhouse"
when = "temperature > 35"
until = "temperature < 33"
for = "1m"
level = "critical"
to = ["alice@example.org"]
`

// hot is a world whose greenhouse is online, with the alerts of a file.
func hot(t testing.TB, alerts string) *world {
	w := newWorld(t, house+alerts)
	w.announce(greenhouseInfo())
	w.announce(doorInfo())
	w.link("greenhouse", true, nil)
	w.link("front-door", true, nil)
	w.take()
	return w
}

// only keeps the lines of alerts.
func (w *world) onlyAlerts() []string {
	return slices.DeleteFunc(w.take(), func(l string) bool { return !strings.Contains(l, " alert ") && !strings.Contains(l, " over ") })
}

func (w *world) wantAlerts(want ...string) {
	w.t.Helper()
	w.lines = w.onlyAlerts()
	w.want(want...)
}

// temperature reads every 30 s, so that the device does not fall silent.
func (w *world) temperature(tenths float64, d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.read("greenhouse", "temperature", num(tenths))
		w.wait(min(30*time.Second, end.Sub(w.now)))
	}
}

func TestAlert(t *testing.T) {
	t.Parallel()
	w := hot(t, tooHot)
	w.temperature(300, time.Minute)
	w.temperature(362, 59*time.Second)
	w.temperature(340, time.Second) // not for a minute
	w.temperature(362, 2*time.Minute)
	w.temperature(340, time.Minute) // not over before 33
	w.temperature(320, time.Minute)
	w.want(
		"0s greenhouse online: 30.0 °C",
		"1m0s greenhouse online: 36.2 °C",
		"1m59s greenhouse online: 34.0 °C",
		"2m9s greenhouse online: 36.2 °C",
		"3m0s alert too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 36.2 °C (too-hot)",
		"3m0s greenhouse online dnd: 36.2 °C",
		"4m0s greenhouse online dnd: 34.0 °C",
		"5m0s over too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 32.0 °C, fine again (too-hot over, lasted 3 min)",
		"5m0s greenhouse online: 32.0 °C",
	)
}

func TestAlertTexts(t *testing.T) {
	t.Parallel()
	w := hot(t, `
[alerts.window]
device = "greenhouse"
when = "devices.front-door.open and temperature < 10 and mode == 'Heat'"
to = ["alice@example.org"]
[alerts.text]
device = "greenhouse"
when = "temperature < 10"
text = "{{.device}} in the {{.location}}: {{.temperature}}, {{.humidity}} {{/* why not */}}!"
to = ["alice@example.org"]
[alerts.door]
device = "front-door"
when = "open"
to = ["alice@example.org"]
[alerts.pump]
device = "greenhouse"
when = "not pump"
to = ["alice@example.org"]
`)
	w.read("front-door", "open", boo(true))
	w.read("greenhouse", "mode", devices.Text("heat"))
	w.wantAlerts("0s alert door/front-door to alice@example.org: Front door: it is open (door)")
	w.read("greenhouse", "temperature", num(80))
	w.wantAlerts(
		"0s alert window/greenhouse to alice@example.org: Greenhouse: Front door is open, temperature is 8.0 °C, mode is Heat (window)",
		"0s alert text/greenhouse to alice@example.org: Greenhouse in the Garden: 8.0 °C, no reading yet !",
	)
	w.read("front-door", "open", boo(false))
	w.wantAlerts(
		"0s over door/front-door to alice@example.org: Front door: it is closed, fine again (door over)",
		"0s over window/greenhouse to alice@example.org: Greenhouse: Front door is closed, temperature is 8.0 °C, mode is Heat, fine again (window over)",
	)
	w.read("greenhouse", "pump", boo(false))
	w.wantAlerts("0s alert pump/greenhouse to alice@example.org: Greenhouse: pump is off (pump)")
}

func TestAlertOfEveryDevice(t *testing.T) {
	t.Parallel()
	w := hot(t, `
[alerts.gone]
device = "*"
when = "offline"
for = "5m"
to = ["alice@example.org", "bob@example.net"]
`)
	w.read("greenhouse", "temperature", num(200))
	w.link("front-door", false, errGone)
	w.wait(10 * time.Minute)
	w.wantAlerts(
		"5m0s alert gone/front-door to alice@example.org bob@example.net: Front door is offline: serial port gone (gone)",
		"7m10s alert gone/greenhouse to alice@example.org bob@example.net: Greenhouse is offline: silent for 7 min (gone)",
	)
	w.link("front-door", true, nil)
	w.wantAlerts("10m0s over gone/front-door to alice@example.org bob@example.net: Front door is back online (gone over, lasted 10 min)")
	w.step(Change{Withdraw: &Withdrawal{ID: "greenhouse", Why: devices.Gone}})
	w.wantAlerts("10m0s over gone/greenhouse to alice@example.org bob@example.net: Greenhouse was removed (gone over, lasted 7 min)")
}

func TestAlertOnlyForThoseWhoMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t, house+`
[alerts.any]
device = "*"
when = "online"
to = ["alice@example.org", "bob@example.net"]
[devices.attic-fan]
driver = "pins"
`)
	w.rules = NewRules(w.rules.cfg, w.reg, RulesOptions{CanSee: w.rules.cfg.Access.CanSee})
	w.announce(devices.Info{ID: "attic-fan", Driver: "pins"})
	w.announce(doorInfo())
	w.link("attic-fan", true, nil)
	w.link("front-door", true, nil)
	w.wantAlerts(
		"0s alert any/attic-fan to alice@example.org: attic-fan is online (any)",
		"0s alert any/front-door to alice@example.org: Front door is online (any)",
	)
}

// What is not known neither begins nor ends an alert.
func TestAlertOfTheUnknown(t *testing.T) {
	t.Parallel()
	w := hot(t, tooHot)
	unknown := Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Quality: devices.Unknown}}}
	w.temperature(360, 30*time.Second)
	w.step(unknown)
	w.wait(time.Minute)
	w.wantAlerts() // the minute is over, but nobody knows whether it is still hot
	w.read("greenhouse", "temperature", num(360))
	w.wantAlerts("1m30s alert too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 36.0 °C (too-hot)")
	w.step(unknown)
	w.link("greenhouse", false, errGone)
	w.wait(time.Hour)
	w.wantAlerts()
	w.read("greenhouse", "temperature", num(300)) // a late one: the device cannot be reached
	w.wantAlerts()
	w.link("greenhouse", true, nil)
	w.wantAlerts("1h1m30s over too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 30.0 °C, fine again (too-hot over, lasted 1 h 1 min)")
}

func TestAlertsSurviveARestart(t *testing.T) {
	t.Parallel()
	const more = `
[alerts.humid]
device = "greenhouse"
when = "humidity > 90"
for = "10m"
to = ["alice@example.org"]
`
	w := hot(t, tooHot+more)
	w.read("greenhouse", "humidity", num(95))
	w.temperature(362, 2*time.Minute)
	w.wantAlerts("1m0s alert too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 36.2 °C (too-hot)")
	restart := func(file string) {
		t.Helper()
		data, err := json.Marshal(w.rules.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var s State
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		w.wait(time.Minute)
		w.reg = devices.NewRegistry()
		w.rules = NewRules(mustParse(t, file), w.reg, RulesOptions{})
		w.rules.Restore(s, w.now)
	}
	restart(house + tooHot + more)
	restart(house + tooHot + more) // before anything was announced
	w.announce(greenhouseInfo())
	w.link("greenhouse", true, nil)
	w.take()
	w.read("greenhouse", "temperature", num(362))
	w.want("4m0s greenhouse online dnd: 36.2 °C") // active, and not sent again
	w.temperature(362, 6*time.Minute)
	w.read("greenhouse", "humidity", num(95))
	w.wantAlerts("10m0s alert humid/greenhouse to alice@example.org: Greenhouse: humidity is 95 % (humid)")
	w.read("greenhouse", "temperature", num(300))
	w.wantAlerts("10m0s over too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 30.0 °C, fine again (too-hot over, lasted 10 min)")
	restart(house) // the alert is not there any more
	if s := w.rules.Snapshot(); len(s.Alerts) > 0 {
		t.Errorf("kept %+v", s)
	}
}

func TestAlertsOfForgottenDevices(t *testing.T) {
	t.Parallel()
	const gone = `
[alerts.gone]
device = "*"
when = "offline"
to = ["alice@example.org"]
`
	for age, want := range map[time.Duration]int{time.Hour: 1, 31 * 24 * time.Hour: 0} {
		w := newWorld(t, house+gone)
		w.rules.Restore(State{Alerts: []AlertState{{Alert: "gone", Device: "mqtt:7", Since: w.now.Add(-age), Active: true}}}, w.now)
		w.step(Change{})
		if got := len(w.rules.Snapshot().Alerts); got != want {
			t.Errorf("after %v %d alerts are kept, want %d", age, got, want)
		}
	}
}

func TestAlertsSurviveAReload(t *testing.T) {
	t.Parallel()
	w := hot(t, tooHot)
	w.temperature(362, 2*time.Minute)
	w.take()
	reload := func(file string) { w.note(w.rules.Reload(mustParse(t, file), RulesOptions{}, w.now)) }
	reload(house + tooHot)
	w.wantAlerts()
	reload(house + strings.Replace(tooHot, "< 33", "< 40", 1))
	w.wantAlerts("2m0s over too-hot/greenhouse to alice@example.org: Greenhouse: temperature is 36.2 °C, fine again (too-hot over, lasted 2 min)")
	reload(house + tooHot)
	w.temperature(362, 2*time.Minute)
	w.take()
	reload(house)
	w.wait(time.Minute)
	w.want(
		"4m0s over too-hot/greenhouse to alice@example.org: Greenhouse is not watched any more (too-hot over, lasted 2 min)",
		"4m0s greenhouse online: 36.2 °C",
		"4m30s greenhouse online away: 36.2 °C",
	)
}

// The alert machine against a model: at every reading a fold over the whole history.
func TestAlertModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := hot(t, strings.Replace(tooHot, `"1m"`, `"10s"`, 1))
		const hold = 10 * time.Second
		var since time.Time
		pending, active, damped, gone := false, false, false, false
		var begins []time.Time
		var steady time.Time
		var want []string
		record := func(now time.Time, what string) {
			want = append(want, fmt.Sprintf("%v %s", now.Sub(w.start), what))
		}
		value, known := 0.0, false
		model := func() {
			if !known {
				return
			}
			if active && damped {
				now := value < 33 || gone && value <= 35
				if now != gone {
					gone, steady = now, w.now
				}
				if w.now.Sub(steady) >= flapSteady {
					if damped, begins = false, nil; gone {
						active, pending = false, false
						record(w.now, "over")
					}
				}
				return
			}
			switch {
			case active && value < 33:
				active, pending = false, false
				record(w.now, "over")
			case active:
			case value <= 35:
				pending = false
			case !pending:
				pending, since = true, w.now
			}
			if !active && pending && w.now.Sub(since) >= hold {
				active = true
				record(w.now, "alert")
				begins = append(slices.DeleteFunc(begins, func(t time.Time) bool { return w.now.Sub(t) >= flapWindow }), w.now)
				damped, gone, steady = len(begins) >= flapCount, false, w.now
			}
		}
		for range rapid.IntRange(1, 60).Draw(rt, "readings") {
			if known = rapid.IntRange(0, 5).Draw(rt, "known") > 0; known {
				value = float64(rapid.SampledFrom([]int{20, 33, 34, 35, 36, 50}).Draw(rt, "value"))
				w.read("greenhouse", "temperature", num(value*10))
			} else {
				w.step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Quality: devices.Unknown}}})
			}
			model()
			for range rapid.IntRange(0, 12).Draw(rt, "seconds") {
				w.wait(time.Second)
				model()
			}
		}
		var got []string
		for _, line := range w.onlyAlerts() {
			words := strings.Fields(line)
			got = append(got, words[0]+" "+words[1])
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("got %q\nwant %q", got, want)
		}
	})
}

// Nothing an alert is told can make a message without bounds.
func TestAlertTextIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[access]
"alice@example.org" = "admin"
[devices.box]
driver = "pins"
[devices.box.points.said]
kind = "text"
[alerts.said]
device = "box"
when = "said != ''"
text = "`+strings.Repeat("{{.said}}", 100)+`"
to = ["alice@example.org"]
`)
	w.announce(devices.Info{ID: "box", Driver: "pins", Points: []devices.Point{{Name: "said", Kind: devices.KindText, Readable: true}}})
	w.link("box", true, nil)
	w.read("box", "said", devices.Text(strings.Repeat("\x00ü", 1<<20)))
	for _, line := range w.onlyAlerts() {
		if len(line) > maxMessage+200 {
			t.Errorf("a message of %d bytes", len(line))
		}
	}
	if state, _ := w.reg.Point("box", "said"); len(state.Value.String()) > maxText {
		t.Errorf("a text of %d bytes is kept", len(state.Value.String()))
	}
}

func TestAlertOnAnotherDevice(t *testing.T) {
	t.Parallel()
	w := hot(t, `
[alerts.draught]
device = "greenhouse"
when = "devices.front-door.open"
to = ["alice@example.org"]
[alerts.lonely]
device = "greenhouse"
when = "devices.front-door.offline and humidity > 50"
to = ["alice@example.org"]
`)
	w.read("greenhouse", "humidity", num(60))
	w.read("front-door", "open", boo(true))
	w.wantAlerts("0s alert draught/greenhouse to alice@example.org: Greenhouse: Front door is open (draught)")
	w.link("front-door", false, errGone)
	w.wantAlerts("0s alert lonely/greenhouse to alice@example.org: Greenhouse: Front door is offline, humidity is 60 % (lonely)")
	w.step(Change{Withdraw: &Withdrawal{ID: "front-door", Why: devices.Gone}})
	w.wait(time.Minute)
	w.wantAlerts() // nothing is known of it any more
	w.announce(doorInfo())
	w.link("front-door", true, nil)
	w.wantAlerts("1m0s over lonely/greenhouse to alice@example.org: Greenhouse: Front door is online, humidity is 60 %, fine again (lonely over, lasted 1 min)")
	w.read("front-door", "open", boo(false))
	w.wantAlerts("1m0s over draught/greenhouse to alice@example.org: Greenhouse: Front door is closed, fine again (draught over, lasted 1 min)")
	w.step(Change{Withdraw: &Withdrawal{ID: "greenhouse", Why: devices.Gone}})
	if len(w.rules.watchers) > 0 {
		t.Errorf("still watched: %v", w.rules.watchers)
	}
}

// A device that speaks once a minute is no alert when the gateway starts: it is offline by alerts only when it was silent for as
// long as it may be.
func TestAlertNotBeforeSilence(t *testing.T) {
	t.Parallel()
	const file = `
[access]
"alice@example.org" = "admin"
[drivers.attic]
type = "serial"
[devices.greenhouse]
driver = "attic"
name = "Greenhouse"
offline_after = "5m"
[devices.greenhouse.points.temperature]
unit = "°C"
[alerts.gone]
device = "*"
when = "offline"
to = ["alice@example.org"]
`
	info := devices.Info{ID: "greenhouse", Driver: "attic", Points: []devices.Point{{Name: "temperature", Kind: devices.KindNumber, Readable: true}}}
	w := newWorld(t, file)
	w.announce(info)
	w.link("greenhouse", true, nil)
	w.wait(time.Minute)
	w.read("greenhouse", "temperature", devices.Number(21))
	w.wait(10 * time.Second)
	w.want("0s appeared greenhouse", "5s greenhouse offline: no reading yet", "1m5s greenhouse online: 21 °C")

	w = newWorld(t, file)
	w.announce(info)
	w.link("greenhouse", true, nil)
	w.wait(6 * time.Minute)
	w.want("0s appeared greenhouse", "5s greenhouse offline: no reading yet",
		"5m0s alert gone/greenhouse to alice@example.org: Greenhouse is offline: no reading yet (gone)")

	// A link that is down is no silence.
	w = newWorld(t, file)
	w.announce(info)
	w.link("greenhouse", false, errors.New("no port"))
	w.wait(6 * time.Second)
	w.want("0s appeared greenhouse", "5s greenhouse offline: no port",
		"5s alert gone/greenhouse to alice@example.org: Greenhouse is offline: no port (gone)")
}
