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
	w.want("0s greenhouse online: 21.4 °C", "10s greenhouse online: 21.4 °C · dewpoint 11.0 °C")

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

// What was counted is there again when a point that was taken out comes back, and the time between is not in it.

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
	w.wantState("porch", "c", "fault: porch has no point \"f\": did you mean \"t\"?")
	w.step(Change{Withdraw: &Withdrawal{ID: "porch", Why: devices.Gone}})
	if len(w.rules.series) != 0 || len(w.rules.derived) != 0 || len(w.rules.dependents) != 0 {
		t.Error("something of it is left")
	}
}

// Whatever comes and goes, and however often the configuration changes: with the last device the last of what was made of it is

// gone, and what is there is what the configuration asks for.
