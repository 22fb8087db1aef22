package mapping

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
)

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

// TestWindowOfAFirstChange: of a device that says what changes and nothing more, the first values come together, and then none for
// long. What was at the start leaves the window all the same.
func TestWindowOfAFirstChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
[devices.garden]
driver = "attic"
[devices.garden.points.power]
unit = "W"
[devices.garden.points.average]
value = "mean(power, '10m')"
[devices.garden.points.lowest]
value = "min(power, '10m')"
`)
	w.up(computedInfo("garden", "power"))
	w.read("garden", "power", num(0))
	w.wait(2 * time.Second)
	w.read("garden", "power", num(100))
	w.wantState("garden", "average", "0 W")
	w.wait(5 * time.Minute)
	w.wantState("garden", "lowest", "0 W")
	w.wait(6 * time.Minute)
	w.wantState("garden", "average", "100 W")
	w.wantState("garden", "lowest", "100 W")
}
