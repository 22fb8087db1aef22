package mapping

import (
	"fmt"
	"testing"
	"time"

	"tidings/devices"
)

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
