package mapping

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

// computedHouse is a greenhouse with computed points, and a meter.
const computedHouse = `
[access]
"alice@example.org" = "admin"

[drivers.attic]
type = "serial"

[devices.greenhouse]
driver = "attic"
name = "Greenhouse"
primary = ["temperature", "dewpoint"]
[devices.greenhouse.points.dewpoint]
value = "temperature - (100 - humidity) / 5"
precision = 1
min = -40
[devices.greenhouse.points.temperature]
unit = "°C"
[devices.greenhouse.points.humidity]
unit = "%"
[devices.greenhouse.points.muggy]
value = "dewpoint > 16"
[devices.greenhouse.points.words]
value = "muggy ? 'open it' : 'fine'"
[devices.greenhouse.points.dear]
value = "muggy and devices.meter.power > 1000"

[devices.meter]
driver = "attic"
name = "Meter"
[devices.meter.points.power]
unit = "W"
[devices.meter.points.kilowatts]
value = "power"
unit = "kW"

[alerts.muggy]
device = "greenhouse"
when = "muggy"
to = ["alice@example.org"]
`

func computedInfo(id devices.ID, points ...string) devices.Info {
	info := devices.Info{ID: id, Driver: "attic"}
	for _, p := range points {
		kind := devices.KindNumber
		if name, ok := strings.CutPrefix(p, "?"); ok {
			p, kind = name, devices.KindSwitch
		}
		info.Points = append(info.Points, devices.Point{Name: p, Kind: kind, Readable: true})
	}
	return info
}

// state is how people see a point.
func (w *world) state(id devices.ID, point string) string {
	w.t.Helper()
	d := w.rules.Device(id)
	if d == nil || d.Point(point) == nil {
		return "none"
	}
	state, ok := w.reg.Point(id, point)
	if !ok {
		w.t.Fatalf("the registry does not have %s of %s", point, id)
	}
	return d.Point(point).FormatState(state)
}

func (w *world) wantState(id devices.ID, point, want string) {
	w.t.Helper()
	if got := w.state(id, point); got != want {
		w.t.Errorf("at %v %s of %s is %q, and not %q", w.now.Sub(w.start), point, id, got, want)
	}
}

func (w *world) up(info devices.Info) {
	w.t.Helper()
	w.announce(info)
	w.link(info.ID, true, nil)
}

func TestComputed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, computedHouse)
	w.up(computedInfo("greenhouse", "temperature", "humidity"))
	w.take()
	w.wantState("greenhouse", "dewpoint", "no reading yet")
	w.read("greenhouse", "temperature", num(21.4))
	w.wantState("greenhouse", "dewpoint", "no reading yet") // half of it is not known
	w.step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "temperature", Value: num(21.4)}, {Device: "greenhouse", Point: "humidity", Value: num(48)}}})
	w.wantState("greenhouse", "dewpoint", "11.0 °C")
	if state, _ := w.reg.Point("greenhouse", "dewpoint"); state.Value != num(11) || !state.At.Equal(w.now) {
		t.Errorf("the registry has %+v", state)
	}
	w.wantState("greenhouse", "muggy", "off")
	w.wantState("greenhouse", "words", "fine")
	w.wantState("greenhouse", "dear", "no reading yet") // of the meter nothing is known, and it matters
	if made := w.rules.Made(); len(made) != 3 || made[0].Point != "dewpoint" || made[2].Point != "words" {
		t.Errorf("made %v", made)
	}
	w.wait(10 * time.Second)
	w.want("0s greenhouse online: 21.4 °C", "10s greenhouse online: 21.4 °C · 11.0 °C")

	w.up(computedInfo("meter", "power"))
	w.read("meter", "power", num(1500))
	w.wantState("meter", "kilowatts", "1.5 kW")
	w.wantState("greenhouse", "dear", "off")
	w.take()
	w.read("greenhouse", "humidity", num(80))
	w.wantState("greenhouse", "words", "open it")
	w.wantState("greenhouse", "dear", "on")
	w.want("10s alert muggy/greenhouse to alice@example.org: Greenhouse: muggy is on (muggy)")
	w.step(Change{Readings: []devices.Reading{{Device: "greenhouse", Point: "humidity", Quality: devices.Faulty}}})
	w.wantState("greenhouse", "dewpoint", "unknown")
	w.wantState("greenhouse", "words", "unknown")
	w.want() // what is not known ends no alert
	w.read("greenhouse", "humidity", num(30))
	w.wantState("greenhouse", "words", "fine")
	w.link("meter", false, errGone)
	w.wantState("greenhouse", "dear", "unknown") // another device's part of it is gone
	w.wantState("meter", "kilowatts", "1.5 kW")  // one's own points are as they were
	w.read("greenhouse", "temperature", num(-50))
	w.wantState("greenhouse", "dewpoint", "fault: -64.0 °C is below -40.0 °C")
	if state, _ := w.reg.State("meter"); !state.Heard.Equal(w.now) {
		t.Errorf("the meter was heard at %v", state.Heard)
	}
	w.wait(time.Hour)
	w.read("greenhouse", "temperature", num(20))
	if state, _ := w.reg.State("meter"); state.Heard.Equal(w.now) {
		t.Error("a device was heard though another one spoke")
	}
}

// What is made of two things that change at once never sees the one without the other.
func TestComputedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[access]
"alice@example.org" = "admin"
[devices.a]
driver = "attic"
[devices.a.points.x]
[devices.b]
driver = "attic"
[devices.b.points.twice]
value = "devices.a.x * 2"
[devices.c]
driver = "attic"
[devices.c.points.same]
value = "devices.b.twice == devices.a.x + devices.a.x"
[alerts.wrong]
device = "c"
when = "not same or devices.b.twice != devices.a.x * 2"
to = ["alice@example.org"]
`)
	for _, id := range []devices.ID{"c", "b", "a"} {
		info := computedInfo(id)
		if id == "a" {
			info = computedInfo(id, "x")
		}
		w.up(info)
	}
	w.take()
	for i := range 20 {
		w.wait(20 * time.Second)
		w.read("a", "x", num(float64(i)))
		w.wantState("c", "same", "on")
		w.wantState("b", "twice", fmt.Sprint(2*i))
	}
	for _, line := range w.take() {
		if strings.Contains(line, "alert") {
			t.Error(line)
		}
	}
}

// A net of computed points over several devices has, after any change, the values that calculating it anew gives.
func TestComputedNet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const inputs = 3
		n := rapid.IntRange(1, 12).Draw(rt, "points")
		var file strings.Builder
		type sum struct{ a, b, add int } // of points before it; the inputs are 0 to 2
		sums := make([]sum, n)
		name := func(i int) (device, point string) { return fmt.Sprint("d", i%3), fmt.Sprint("p", i) }
		tables := map[string][]string{}
		for i := range inputs + n {
			device, point := name(i)
			table := fmt.Sprintf("[devices.%s.points.%s]\n", device, point)
			if i >= inputs {
				s := sum{rapid.IntRange(0, i-1).Draw(rt, "a"), rapid.IntRange(0, i-1).Draw(rt, "b"), rapid.IntRange(0, 9).Draw(rt, "add")}
				sums[i-inputs] = s
				term := func(k int) string {
					d, p := name(k)
					if d == device && rapid.Bool().Draw(rt, "short") {
						return p
					}
					return "devices." + d + "." + p
				}
				table += fmt.Sprintf("value = \"%s + %s + %d\"\n", term(s.a), term(s.b), s.add)
			}
			tables[device] = append(tables[device], table)
		}
		for _, device := range []string{"d0", "d1", "d2"} {
			list := rapid.Permutation(tables[device]).Draw(rt, "order")
			fmt.Fprintf(&file, "[devices.%s]\ndriver = \"attic\"\n%s", device, strings.Join(list, ""))
		}
		w := newWorld(t, file.String())
		up := [inputs]bool{}
		values := [inputs]float64{math.NaN(), math.NaN(), math.NaN()}
		for i := range inputs {
			device, point := name(i)
			w.announce(computedInfo(devices.ID(device), point))
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			i := rapid.IntRange(0, inputs-1).Draw(rt, "input")
			device, point := name(i)
			if rapid.IntRange(0, 4).Draw(rt, "what") == 0 {
				up[i] = !up[i]
				w.link(devices.ID(device), up[i], nil)
			} else {
				values[i] = float64(rapid.IntRange(0, 9).Draw(rt, "value"))
				w.read(devices.ID(device), point, num(values[i]))
			}
			w.wait(time.Duration(rapid.IntRange(0, 20).Draw(rt, "pause")) * time.Second)
			want := make([]float64, inputs+n) // NaN: not known
			seen := make([]float64, inputs+n) // by others
			for k := range want {
				of := k % 3
				if k < inputs {
					want[k] = values[k]
				} else if s := sums[k-inputs]; up[of] {
					want[k] = seen[s.a] + seen[s.b] + float64(s.add)
				}
				if seen[k] = want[k]; !up[of] {
					seen[k] = math.NaN()
					continue // its points are as they were
				}
				d, p := name(k)
				got, _ := w.reg.Point(devices.ID(d), p)
				f, known := got.Value.Number()
				if known != !math.IsNaN(want[k]) || known && f != want[k] {
					rt.Fatalf("%s of %s is %v (%v), and not %v\n%s", p, d, got.Value, known, want[k], file.String())
				}
			}
		}
	})
}

// tick has the garden looked at now, and not within a minute.
func tick(w *world) {
	w.t.Helper()
	w.read("garden", "tick", num(float64(w.now.UnixNano())))
}

func TestComputedOverTime(t *testing.T) {
	t.Parallel()
	const file = `
[access]
"alice@example.org" = "admin"
[devices.garden]
driver = "attic"
name = "Garden"
primary = ["pump"]
[devices.garden.points.pump]
kind = "switch"
[devices.garden.points.power]
unit = "kW"
[devices.garden.points.tick]
[devices.garden.points.hours]
value = "runtime(pump)"
[devices.garden.points.minutes]
value = "runtime(pump)"
unit = "min"
[devices.garden.points.begun]
value = "count(pump)"
[devices.garden.points.used]
value = "energy(power)"
[devices.garden.points.cost]
value = "used * 0.3"
class = "monetary"
unit = "€"
[devices.garden.points.sum]
value = "integral(power, 'h')"
unit = "Wh"
[devices.garden.points.average]
value = "mean(power, '10m')"
[devices.garden.points.span]
value = "max(power, '10m') - min(power, '10m')"

[alerts.much]
device = "garden"
when = "mean(power, '10m') > 2 or count(pump) > 3"
to = ["alice@example.org"]
`
	info := computedInfo("garden", "?pump", "power", "tick")
	w := newWorld(t, file)
	w.up(info)
	w.read("garden", "pump", boo(false))
	w.read("garden", "power", num(1))
	w.wantState("garden", "average", "1 kW")
	w.wantState("garden", "hours", "0 h")
	w.wait(15 * time.Minute)
	tick(w)
	w.wantState("garden", "used", "0.25 kWh")
	w.wantState("garden", "sum", "250 Wh")
	w.wantState("garden", "cost", "0.075 €")
	w.take()
	w.read("garden", "pump", boo(true))
	w.read("garden", "power", num(4))
	w.wantState("garden", "begun", "1")
	w.wantState("garden", "span", "3 kW")
	w.wait(2 * time.Minute)
	w.wantState("garden", "average", "1.6 kW")
	w.wait(2 * time.Minute)
	w.wantState("garden", "average", "2.2 kW") // though nothing was read meanwhile
	tick(w)
	w.wantState("garden", "minutes", "4 min")
	w.wantState("garden", "hours", "0.06667 h")
	if got := w.take(); len(got) != 2 || got[1] != "18m30s alert much/garden to alice@example.org: Garden: mean power of 10 min is 2.05 kW, pump was turned on 1 times (much)" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}

	// A reload goes on with all of it.
	w.note(w.rules.Reload(mustParse(t, file), RulesOptions{}, w.now))
	w.wantState("garden", "average", "2.2 kW")
	w.wantState("garden", "minutes", "4 min")

	// What is offline is not counted.
	w.link("garden", false, errGone)
	w.wait(time.Hour)
	w.link("garden", true, nil)
	w.wantState("garden", "minutes", "4 min")
	w.wantState("garden", "average", "4 kW") // of the last ten minutes, only this moment is known
	w.wait(time.Minute)
	tick(w)
	w.wantState("garden", "minutes", "5 min")

	// A restart an hour later goes on with what was counted, and with windows that are not over.
	kept := w.rules.Farewell()
	if plain := w.rules.Snapshot(); len(plain.Windows) != 0 || len(plain.Counters) != 3 || len(kept.Windows) != 3 {
		t.Errorf("kept are %+v and %+v", plain, kept)
	}
	for _, gone := range []time.Duration{time.Minute, time.Hour} {
		next := newWorld(t, file)
		next.now = w.now.Add(gone)
		next.rules.Restore(roundTrip(t, kept), next.now)
		next.up(info)
		next.read("garden", "pump", boo(true))
		next.wantState("garden", "begun", "1") // it is still the same
		next.read("garden", "power", num(0))
		next.wait(time.Minute)
		tick(next)
		next.wantState("garden", "minutes", "6 min")
		next.wantState("garden", "average", map[time.Duration]string{time.Minute: "2 kW", time.Hour: "0 kW"}[gone])
		next.read("garden", "pump", boo(false))
		next.read("garden", "pump", boo(true))
		next.wantState("garden", "begun", "2")
	}
}

// What was counted is there again when a point that was taken out comes back, and the time between is not in it.
func TestCounterKept(t *testing.T) {
	t.Parallel()
	const without = "[devices.garden]\ndriver = \"attic\"\n[devices.garden.points.pump]\nkind = \"switch\"\n[devices.garden.points.tick]\n"
	const with = without + "[devices.garden.points.hours]\nvalue = \"runtime(pump)\"\n"
	w := newWorld(t, with)
	w.up(computedInfo("garden", "?pump", "tick"))
	w.read("garden", "pump", boo(true))
	w.wait(2 * time.Hour)
	tick(w)
	w.wantState("garden", "hours", "2 h")
	w.note(w.rules.Reload(mustParse(t, without), RulesOptions{}, w.now))
	w.wantState("garden", "hours", "none")
	if _, ok := w.reg.Point("garden", "hours"); ok {
		t.Error("it is still in the registry")
	}
	if len(w.rules.series) != 0 || len(w.rules.derived) != 0 {
		t.Errorf("something is still counted: %v", w.rules.series)
	}
	w.wait(time.Hour)
	kept := w.rules.Snapshot()
	w.note(w.rules.Reload(mustParse(t, with), RulesOptions{}, w.now))
	w.wait(time.Hour)
	tick(w)
	w.wantState("garden", "hours", "3 h")
	w.step(Change{Withdraw: &Withdrawal{ID: "garden", Why: devices.Gone}})
	if s := w.rules.Snapshot(); len(s.Counters) != 1 || s.Counters[0].Total != 3*3600 {
		t.Errorf("kept is %+v", s)
	}
	next := newWorld(t, without)
	next.rules.Restore(roundTrip(t, kept), next.now.Add(time.Hour))
	if s := next.rules.Snapshot(); len(s.Counters) != 1 || s.Counters[0].Total != 2*3600 {
		t.Errorf("kept is %+v", s)
	}
	late := newWorld(t, without)
	late.rules.Restore(roundTrip(t, kept), late.now.Add(3*forgotten))
	if s := late.rules.Snapshot(); len(s.Counters) != 0 {
		t.Errorf("kept is %+v", s)
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	const file = `
[access]
"alice@example.org" = "admin"
[devices.hall]
driver = "attic"
settle = "0s"
[devices.hall.points.motion]
kind = "switch"
%s
[devices.hall.points.warm]
kind = "number"
[devices.hall.points.hot]
value = "warm > 30"
delay_on = "1m"
delay_off = "30s"
`
	w := newWorld(t, fmt.Sprintf(file, `delay_off = "2m"`))
	w.up(computedInfo("hall", "?motion", "warm"))
	w.read("hall", "motion", boo(false))
	w.wantState("hall", "motion", "no motion")
	w.read("hall", "motion", boo(true))
	w.wantState("hall", "motion", "motion")
	w.wait(10 * time.Second)
	w.read("hall", "motion", boo(false))
	w.wantState("hall", "motion", "motion")
	w.wait(119 * time.Second)
	w.wantState("hall", "motion", "motion")
	w.read("hall", "motion", boo(true)) // again, so that it begins anew
	w.wait(time.Minute)
	w.read("hall", "motion", boo(false))
	w.wait(time.Minute)
	w.read("hall", "motion", boo(false)) // the same again is nothing new
	w.take()
	w.wait(time.Minute)
	w.wantState("hall", "motion", "no motion")
	w.want("5m9s hall online: no motion")
	if made := w.rules.Made(); len(made) != 1 || made[0].Point != "motion" || made[0].Value != boo(false) {
		t.Errorf("made %v", made)
	}

	w.read("hall", "warm", num(20))
	w.read("hall", "warm", num(31))
	w.wait(59 * time.Second)
	w.wantState("hall", "hot", "off")
	w.read("hall", "warm", num(29))
	w.wait(time.Hour)
	w.wantState("hall", "hot", "off")
	w.read("hall", "warm", num(31))
	w.wait(time.Minute)
	w.wantState("hall", "hot", "on")
	w.read("hall", "warm", num(29))
	w.link("hall", false, errGone)
	w.wait(time.Hour)
	w.wantState("hall", "hot", "on") // of what is offline nothing is news
	w.link("hall", true, nil)
	w.wantState("hall", "hot", "off")

	// A delay that is taken out, or another one, still ends.
	w.read("hall", "motion", boo(true))
	w.read("hall", "motion", boo(false))
	w.wait(time.Minute)
	w.note(w.rules.Reload(mustParse(t, fmt.Sprintf(file, `delay_off = "90s"`)), RulesOptions{}, w.now))
	w.wantState("hall", "motion", "motion")
	w.wait(30 * time.Second)
	w.wantState("hall", "motion", "no motion")
	w.read("hall", "motion", boo(true))
	w.read("hall", "motion", boo(false))
	w.note(w.rules.Reload(mustParse(t, fmt.Sprintf(file, "")), RulesOptions{}, w.now))
	w.wantState("hall", "motion", "no motion")
	w.step(Change{Readings: []devices.Reading{{Device: "hall", Point: "motion", Quality: devices.Unknown}}})
	w.wantState("hall", "motion", "unknown")
}

// What happened is on for as long as a delay says.
func TestComputedOfEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[access]
"alice@example.org" = "admin"
[devices.button]
driver = "attic"
[devices.button.points.press]
kind = "event"
[devices.button.points.rang]
value = "press == 'double'"
[devices.button.points.ringing]
value = "press == 'double'"
delay_off = "1m"
[devices.button.points.rings]
value = "count(rang)"
[alerts.ring]
device = "button"
when = "rang"
to = ["alice@example.org"]
`)
	w.up(devices.Info{ID: "button", Driver: "attic", Points: []devices.Point{{Name: "press", Kind: devices.KindEvent, Readable: true}}})
	for _, press := range []string{"single", "double", "double"} {
		w.read("button", "press", devices.Text(press))
		w.wantState("button", "rang", "off")
		w.wantState("button", "ringing", map[string]string{"single": "off", "double": "on"}[press])
		w.wait(30 * time.Second)
	}
	w.wantState("button", "rings", "2")
	w.wantState("button", "ringing", "on")
	w.wait(30 * time.Second)
	w.wantState("button", "ringing", "off")
	alerts := 0
	for _, line := range w.take() {
		if strings.Contains(line, " alert ring/button ") {
			alerts++
		}
	}
	if alerts != 2 {
		t.Errorf("%d alerts", alerts)
	}
}

// What only a device can say is checked when it has said it.
func TestComputedOfDiscovered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[devices.porch]
driver = "attic"
match = "homeassistant:1"
[devices.porch.points.cold]
value = "t < 3"
[devices.porch.points.average]
value = "mean(t, '10m')"
[devices.porch.points.c]
value = "convert(f, '°C', 'K')"
[devices.porch.points.f]
unit = "°C"
[devices.porch.points.used]
value = "energy(f)"
`)
	info := devices.Info{ID: "porch", Driver: "attic", Points: []devices.Point{
		{Name: "t", Kind: devices.KindText, Readable: true}, {Name: "f", Kind: devices.KindNumber, Unit: "°F", Readable: true}}}
	w.up(info)
	w.read("porch", "t", devices.Text("warm"))
	w.wantState("porch", "cold", "fault: cannot be computed: invalid operation: < (mismatched types text and number)")
	w.wantState("porch", "average", "fault: mean is of a number, and t is a text")
	w.read("porch", "f", num(50))
	w.wantState("porch", "f", "10 °C")
	w.wantState("porch", "used", "fault: energy is of a power, and f is in °C: give the point the unit of a power, or take integral(f, \"h\")")
	info.Points = []devices.Point{{Name: "t", Kind: devices.KindNumber, Readable: true}, {Name: "cold", Kind: devices.KindNumber, Readable: true}}
	w.announce(info)
	w.wantState("porch", "cold", "fault: cannot be computed: invalid operation: < (mismatched types text and number)") // as it was
	w.read("porch", "t", num(2))
	w.wantState("porch", "cold", "on") // the table goes before what the device says
	w.wantState("porch", "average", "2")
	w.wantState("porch", "c", "fault: porch has no point \"f\"")
	w.step(Change{Withdraw: &Withdrawal{ID: "porch", Why: devices.Gone}})
	if len(w.rules.series) != 0 || len(w.rules.derived) != 0 || len(w.rules.dependents) != 0 {
		t.Error("something of it is left")
	}
}

func TestComputedMistakes(t *testing.T) {
	t.Parallel()
	const box = `
[drivers.attic]
type = "serial"
[devices.other]
driver = "attic"
[devices.other.points.outside]
class = "temperature"
unit = "°F"
[devices.other.points.back]
value = "devices.box.p"
[devices.box]
driver = "attic"
[devices.box.points.temperature]
class = "temperature"
[devices.box.points.power]
unit = "W"
[devices.box.points.mode]
kind = "text"
[devices.box.points.on]
kind = "switch"
[devices.box.points.bell]
kind = "action"
[devices.box.points.p]
`
	for keys, want := range map[string]string{
		`value = "temperature - 1"`:                                          "",
		`value = "temperature - p"`:                                          `value: it is made of itself, and so never known: p → p`,
		`value = "devices.other.back"`:                                       `devices.other.points.back: value: it is made of itself, and so never known: devices.other.back → devices.box.p → devices.other.back`,
		`value = "temperatur - 1"`:                                           `value: box has no point "temperatur": did you mean "temperature"?`,
		`value = "devices.othr.outside"`:                                     `value: there is no device "othr": did you mean "other"?`,
		`value = "devices.other.inside"`:                                     `value: other has no point "inside": did you mean "outside"?`,
		`value = "devices.other.offline"`:                                    "",
		`value = "offline"`:                                                  `value: nothing is computed while the device is offline: offline cannot stand in it`,
		`value = "bell"`:                                                     `value: bell is an action and has no value`,
		`value = "mode - 1"`:                                                 `value: invalid operation: - (mismatched types text and number)`,
		`value = "on ? 1 : 'x'"`:                                             `value: its value is not always of one kind: let both sides of ? and : be numbers, or both texts`,
		`value = "on ? 1 : 2.5"`:                                             "",
		`value = "on ? temperature : 2"`:                                     "",
		`value = "len(mode)"`:                                                "",
		`value = "[temperature, 2]"`:                                         `value: its value is not always of one kind: let both sides of ? and : be numbers, or both texts`,
		`value = 3`:                                                          `value is 3, but takes a string`,
		`value = "3"`:                                                        `value: it names no point, so nothing can ever change it`,
		`value = "temperature"` + "\nkind = 'switch'":                        `kind = "switch" contradicts the value, which is a number: take kind out`,
		`value = "temperature"` + "\nkind = 'choice'":                        `what is computed is a number, a switch or a text, and not "choice"`,
		`value = "temperature"` + "\nkind = 'number'":                        "",
		`value = "temperature"` + "\nunit = '°F'":                            "",
		`value = "temperature"` + "\nunit = 'kWh'":                           `unit = "kWh" contradicts the value, which is in °C`,
		`value = "temperature"` + "\nclass = 'power'":                        `unit = "°C" contradicts class = "power", which has W, mW, kW, MW, GW or TW`,
		`value = "on"` + "\nunit = 'W'":                                      `a switch has no unit`,
		`value = "on"` + "\nprecision = 1":                                   `precision is for numbers, and this is a switch`,
		`value = "temperature"` + "\nscale = 2":                              `scale is for what a device says or is told, and a point with value is computed: take one of them out`,
		`value = "temperature"` + "\nsource = 't'":                           `source is for what a device says or is told, and a point with value is computed: take one of them out`,
		`value = "temperature"` + "\nwrote = 't'":                            `unknown key "wrote"`,
		`value = "temperature"` + "\ndelay_on = '1m'":                        `delay_on is for a switch, and this is a number`,
		`value = "on"` + "\ndelay_on = '1m'":                                 "",
		`delay_on = '1m'`:                                                    `delay_on is for a switch, and this is a number`,
		`value = "temperature + power"`:                                      `value: °C and W cannot be added or compared: one is a unit of temperature, the other of power`,
		`value = "temperature > devices.other.outside"`:                      `value: °C and °F cannot be added or compared as they are: write convert(…, "°F", "°C") around one of them`,
		`value = "temperature > convert(devices.other.outside, '°F', '°C')"`: "",
		`value = "min(temperature, devices.other.outside)"`:                  `value: °C and °F cannot be added or compared as they are: write convert(…, "°F", "°C") around one of them`,
		`value = "convert(temperature, '°F', 'K')"`:                          `value: convert says °F, and what it converts is in °C`,
		`value = "convert(temperature, '°C', 'kWh')"`:                        `value: °C is a unit of temperature and kWh one of energy: one cannot become the other`,
		`value = "convert(temperature, 'C', 'K')"`:                           `value: no unit "C" is known: did you mean "°C"?`,
		`value = "convert(temperature, 'K')"`:                                `value: write convert as in convert(temperature, "°F", "°C")`,
		`value = "convert(temperature * 2, mode, 'K')"`:                      `value: write convert as in convert(temperature, "°F", "°C")`,
		`value = "mean(mode, '10m')"`:                                        `value: mean is of a number, and mode is a text`,
		`value = "runtime(temperature)"`:                                     `value: runtime is of a switch, and temperature is a number`,
		`value = "energy(temperature)"`:                                      `value: energy is of a power, and temperature is in °C: give the point the unit of a power, or take integral(temperature, "h")`,
		`value = "energy(power)"` + "\nunit = 'Wh'":                          "",
		`value = "energy(power)"` + "\nunit = '°C'":                          `unit = "°C" contradicts the value, which is in kWh`,
		`value = "integral(power, 'h')"` + "\nclass = 'energy'":              "",
		`value = "integral(power, 'week')"`:                                  `value: integral: "week" is none of "s", "min", "h" and "d"`,
		`value = "mean(temperature)"`:                                        `value: write mean as in mean(temperature, "10m")`,
		`value = "mean(temperature, '10 minutes')"`:                          `value: mean: "10 minutes" is not a duration: write it as in "500ms", "30s", "5m", "2h" or "30d"`,
		`value = "mean(temperature, '90d')"`:                                 `value: mean: a window is from 1 s to 31 d long`,
		`value = "mean(temperature - 1, '10m')"`:                             `value: mean is of one point, as in mean(temperature, "10m"): make what you calculate a computed point, and take that`,
		`value = "max(temperature, 3, '10m')"`:                               `value: write max as in max(temperature, "10m")`,
		`value = "count(bell)"`:                                              `value: bell is an action and has no value`,
		`value = "count(on, {# > 1})"`:                                       `value: write count as in count(pump)`,
		`value = "mean(offline, '10m')"`:                                     `value: mean is of a point, and offline is none`,
		`value = "median(temperature, '10m')"`:                               `value: there is no function median: there are abs, ceil, convert, count, energy, floor, integral, len, lower, max, mean, min, round, runtime, trim and upper`,
	} {
		_, problems := readFile(t, box+keys, options())
		var got []string
		for _, p := range problems {
			file, rest, _ := strings.Cut(p, ": ")
			if !strings.HasPrefix(file, "gateway.toml:") {
				t.Errorf("no line: %s", p)
			}
			got = append(got, strings.TrimPrefix(rest, "devices.box.points.p: "))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\ngot  %s\nwant %s", keys, strings.Join(got, "\n     "), want)
		}
	}
}

// Whatever comes and goes, and however often the configuration changes: with the last device the last of what was made of it is
// gone, and what is there is what the configuration asks for.
func TestDerivedComesAndGoes(t *testing.T) {
	t.Parallel()
	const people = "[access]\n\"alice@example.org\" = \"admin\"\n"
	points := map[string]string{
		"x": "", "on": "kind = \"switch\"\ndelay_off = \"20s\"\n",
		"mean": "value = \"mean(x, '1m') + 1\"\n", "other": "value = \"max(devices.b.x, '30s')\"\n", "sum": "value = \"devices.a.x + devices.b.x\"\n",
		"ran": "value = \"runtime(on)\"\n", "slow": "value = \"x > 3\"\ndelay_on = \"30s\"\n", "gone": "value = \"devices.a.offline\"\n",
	}
	alerts := map[string]string{
		"own": "device = \"*\"\nwhen = \"mean(x, '1m') > 5\"\nuntil = \"min(x, '2m') < 5\"\n", "other": "device = \"a\"\nwhen = \"count(devices.b.on) > 3 or x > 3\"\n",
	}
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() string {
			file := people
			for _, id := range []string{"a", "b"} {
				file += "[devices." + id + "]\ndriver = \"attic\"\n"
				for _, name := range []string{"x", "on", "mean", "other", "sum", "ran", "slow", "gone"} {
					if name == "x" || name == "on" || rapid.Bool().Draw(rt, name) {
						file += "[devices." + id + ".points." + name + "]\n" + points[name]
					}
				}
			}
			for _, name := range []string{"own", "other"} {
				if rapid.Bool().Draw(rt, "alert") {
					file += "[alerts." + name + "]\nto = [\"alice@example.org\"]\n" + alerts[name]
				}
			}
			return file
		}
		w := newWorld(t, draw())
		here := map[devices.ID]bool{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			id := rapid.SampledFrom([]devices.ID{"a", "b"}).Draw(rt, "device")
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				w.up(computedInfo(id, "x", "?on"))
				here[id] = true
			case 1:
				w.step(Change{Withdraw: &Withdrawal{ID: id, Why: devices.Gone}})
				delete(here, id)
			case 2:
				w.note(w.rules.Reload(mustParse(t, draw()), RulesOptions{}, w.now))
			case 3:
				w.link(id, rapid.Bool().Draw(rt, "up"), nil)
			case 4:
				w.read(id, "on", boo(rapid.Bool().Draw(rt, "on")))
			default:
				w.read(id, "x", num(float64(rapid.IntRange(0, 9).Draw(rt, "x"))))
			}
			w.wait(time.Duration(rapid.IntRange(0, 30).Draw(rt, "pause")) * time.Second)
			users := 0
			for _, all := range w.rules.series {
				for _, s := range all {
					users += s.users
				}
			}
			want := 0
			for id := range here {
				d := w.rules.devices[id]
				state, _ := w.reg.State(id)
				if len(state.Info.Points) != len(d.model.Points) {
					rt.Fatalf("%s has %d points, and in the registry %d", id, len(d.model.Points), len(state.Info.Points))
				}
				count := func(e *expression) {
					for _, r := range e.refs {
						if r.fold != present {
							want++
						}
					}
				}
				if of := w.rules.derived[d]; of != nil {
					for _, c := range of.computed {
						count(c.config.value)
					}
				}
				for _, e := range conditions(d.alerts) {
					count(e)
				}
			}
			if users != want {
				rt.Fatalf("%d users of series, and %d were found", users, want)
			}
		}
		for _, id := range []devices.ID{"a", "b"} {
			w.step(Change{Withdraw: &Withdrawal{ID: id, Why: devices.Gone}})
		}
		if r := w.rules; len(r.series)+len(r.derived)+len(r.dependents)+len(r.watchers)+len(r.due) > 0 {
			rt.Fatalf("left are %v, %v, %v, %v, %v", r.series, r.derived, r.dependents, r.watchers, r.due)
		}
	})
}
