package gpio

import (
	"strings"
	"testing"

	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/gpio"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keys, want string }{
		{`pull = "up"`, `source is a line's name or its number on the chip, as in "GPIO17" or 17`},
		{`source = ""`, `source is a line's name`},
		{`source = -1`, `source is a line's name`},
		{`source = 1.5`, `source is a line's name`},
		{`source = true`, `source is a line's name`},
		{`source = "A"; direction = "inn"`, `direction: "inn" is none of in, out: did you mean "in"?`},
		{`source = "A"; pull = "sideways"`, `pull: "sideways" is none of up, down, none`},
		{`source = "A"; debounce = 30`, `debounce is 30, but takes a duration`},
		{`source = "A"; debounce = "2h"`, `debounce is 2h0m0s: at most 1m0s`},
		{`source = "A"; kind = "number"`, `kind is number: a line is a switch, with pulse an action, and with count or rate a number`},
		{`source = "A"; kind = "action"`, `an action is an output with pulse: say direction = "out"`},
		{`source = "A"; pulse = "1s"`, `pulse is for outputs: say direction = "out" if the line is one`},
		{`source = "A"; initial = true`, `initial is for outputs`},
		{`source = "A"; safe = false`, `safe is for outputs`},
		{`source = "A"; direction = "out"; pull = "up"`, `pull is for inputs, and direction is out`},
		{`source = "A"; direction = "out"; debounce = "1ms"`, `debounce is for inputs, and direction is out`},
		{`source = "A"; direction = "out"; kind = "action"`, `an action needs pulse, which says how long the line is on`},
		{`source = "A"; direction = "out"; pulse = "0s"`, `pulse is "0s": it is longer than nothing and at most 1h0m0s`},
		{`source = "A"; direction = "out"; pulse = "2h"`, `pulse is "2h"`},
		{`source = "A"; direction = "out"; pulse = "1s"; initial = true`, `initial cannot be true`},
		{`source = "A"; direction = "out"; pulse = "1s"; safe = true`, `safe cannot be true`},
		{"source = 17\n[devices.other.points.q]\nsource = \"017\"", `line 17 is already that of it.p`},
		{"source = \"17\"\n[devices.other.points.q]\nsource = 17", `devices.other.points.q: line 17 is already that of it.p`},
	} {
		problems := drivertest.Problems(t, Type(simulated(sim.NewChip("test", "A"))), point(c.keys))
		if len(problems) == 0 || !strings.Contains(strings.Join(problems, "\n"), c.want) {
			t.Errorf("%s: %q, want %s", c.keys, problems, c.want)
		}
	}
}

func TestMistakesAllAtOnce(t *testing.T) {
	t.Parallel()
	problems := drivertest.Problems(t, Type(nil), "[drivers.pins]\nchip = \"\"\n[devices.it.points.p]\npulse = \"1s\"\nsafe = true\ninitial = true\n")
	if len(problems) != 5 {
		t.Errorf("%d of 5: %q", len(problems), problems)
	}
	for _, p := range problems {
		if !strings.HasPrefix(p, "gateway.toml:") {
			t.Errorf("without its place: %s", p)
		}
	}
}

func TestOneMistakeIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		`source = "A"; direction = "inn"; pulse = "1s"; safe = false`,
		`source = "A"; direction = "out"; pulse = 500`,
		`source = "A"; direction = "out"; pulse = "500"`,
		`source = "A"; debounce = "30"`,
		`source = true`,
		`source = " "`,
	} {
		if problems := drivertest.Problems(t, Type(nil), point(keys)); len(problems) != 1 {
			t.Errorf("%s: %q", keys, problems)
		}
	}
}

func TestNoMistake(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		`source = 17`,
		`source = "GPIO17"; direction = "in"; pull = "none"; active_low = true; debounce = "30ms"`,
		`source = "GPIO17"; direction = "out"; initial = true; safe = false`,
		`source = "GPIO17"; direction = "out"; initial = false; pulse = "500ms"; kind = "action"; safe = false`,
	} {
		if problems := drivertest.Problems(t, Type(nil), point(keys)); len(problems) > 0 {
			t.Errorf("%s: %q", keys, problems)
		}
	}
}
