package mapping

import (
	"fmt"
	"strings"
	"testing"

	"tidings/devices"
)

// misfits are the intents of that kind among some.
func misfits(intents []Intent) (out []string) {
	for _, i := range intents {
		if m, ok := i.(Misfit); ok {
			out = append(out, fmt.Sprintf("%s/%s: %s", m.Alert, m.Device, m.Why))
		}
	}
	return out
}

// misfitHouse has alerts of which check cannot know whether they can begin.
const misfitHouse = `
[access]
"alice@example.org" = "admin"
[devices.thermostat]
driver = "attic"
match = "homeassistant:1"
[devices.boiler]
driver = "attic"
match = "homeassistant:2"
[alerts.typo]
device = "thermostat"
when = "current_temprature > 3"
to = ["alice@example.org"]
[alerts.kind]
device = "thermostat"
when = "mode > 30"
to = ["alice@example.org"]
[alerts.other]
device = "thermostat"
when = "mode == 'heat' and devices.boiler.presure > 3"
to = ["alice@example.org"]
[alerts.until]
device = "thermostat"
when = "mode == 'heat'"
until = "mean(mode, '10m') > 3"
to = ["alice@example.org"]
[alerts.fine]
device = "thermostat"
when = "offline or current_temperature > 30"
to = ["alice@example.org"]
[alerts.all]
device = "*"
when = "battery < 10"
to = ["alice@example.org"]
`

// An alert that cannot begin on the device it is for says so in the device's notes, and once in the log, until the device is another one.
func TestMisfit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, misfitHouse)
	step := func(c Change, want ...string) {
		t.Helper()
		if got := misfits(w.rules.Step(w.now, c)); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	notes := func(want ...string) {
		t.Helper()
		if got := w.rules.Device("thermostat").Notes; strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("notes %q, want %q", got, want)
		}
	}
	const (
		typo  = `Thermostat has no point "current_temprature": did you mean "current_temperature"?`
		kind  = `invalid operation: > (mismatched types text and number)`
		until = `until: mean is of a number, and mode is a text`
		other = `Boiler has no point "presure": did you mean "pressure"?`
	)
	thermostat := devices.Info{ID: "thermostat", Name: "Thermostat", Driver: "attic", Notes: []string{"effect: not understood"}, Points: []devices.Point{
		{Name: "current_temperature", Kind: devices.KindNumber, Unit: "°C", Readable: true}, {Name: "mode", Kind: devices.KindText, Readable: true}}}
	step(Change{Announce: &thermostat}, "typo/thermostat: "+typo, "kind/thermostat: "+kind, "until/thermostat: "+until)
	notes("effect: not understood", "alert typo: "+typo, "alert kind: "+kind, "alert until: "+until)
	step(Change{Announce: &thermostat}) // said once

	boiler := devices.Info{ID: "boiler", Name: "Boiler", Driver: "attic", Points: []devices.Point{{Name: "pressure", Kind: devices.KindNumber, Readable: true}}}
	step(Change{Announce: &boiler}, "other/thermostat: "+other)
	notes("effect: not understood", "alert typo: "+typo, "alert kind: "+kind, "alert other: "+other, "alert until: "+until)
	if got := w.rules.Device("boiler").Notes; len(got) > 0 {
		t.Errorf("the boiler has notes %q", got)
	}
	step(Change{Withdraw: &Withdrawal{ID: "boiler", Why: devices.Gone}})
	notes("effect: not understood", "alert typo: "+typo, "alert kind: "+kind, "alert until: "+until)

	thermostat.Notes, thermostat.Points = nil, []devices.Point{
		{Name: "current_temprature", Kind: devices.KindNumber, Readable: true}, {Name: "current_temperature", Kind: devices.KindNumber, Readable: true},
		{Name: "mode", Kind: devices.KindNumber, Readable: true}}
	const mode = `invalid operation: == (mismatched types number and text)`
	step(Change{Announce: &thermostat}, "until/thermostat: "+mode) // the boiler is away
	notes("alert until: " + mode)

	before := w.rules.Device("thermostat")
	if got := misfits(w.rules.Reload(mustParse(t, misfitHouse), RulesOptions{}, w.now)); strings.Join(got, "\n") != "until/thermostat: "+mode {
		t.Errorf("a reload told %q", got)
	}
	if w.rules.Device("thermostat") != before {
		t.Error("a reload that changes nothing made another model")
	}
	w.rules.Reload(mustParse(t, strings.ReplaceAll(misfitHouse, "mode == 'heat'", "mode == 2")), RulesOptions{}, w.now)
	notes()
	thermostat.Disabled = true
	thermostat.Points = nil
	step(Change{Announce: &thermostat})
	notes()
}
