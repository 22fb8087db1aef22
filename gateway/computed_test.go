package gateway

import (
	"strings"
	"testing"
)

// A computed point is shown, kept in the history and counted on over a reload and a restart.
func TestComputedPoints(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	file := trialFile + `
[devices.door.points.shut]
value = "not open"
[devices.door.points.times]
value = "count(open)"
[devices.totals.points.sum]
value = "devices.door.times + 100"
[history]
`
	x.write(file)
	x.start()
	x.recordedIs("door", "open", "true")
	x.recordedIs("door", "times", "0")
	x.recordedIs("door", "shut", "false")
	x.recordedIs("totals", "sum", "100")
	x.shows("totals", true, "100")
	x.chips["a"].Press("IN")
	x.recordedIs("door", "shut", "false true")
	x.chips["a"].Release("IN")
	x.recordedIs("door", "times", "0 1")
	x.recordedIs("totals", "sum", "100 101")
	x.shows("door", true, "open")
	if _, ok := x.registry.Point("door", "times"); !ok {
		t.Error("the registry does not have it")
	}
	// Taken out by a reload, and back again.
	for _, text := range []string{strings.ReplaceAll(file, `value = "count(open)"`, `value = "open ? 7 : 8"`), file} {
		x.write(text)
		if err := x.Reload(x.context()); err != nil {
			t.Fatal(err)
		}
	}
	x.recordedIs("door", "times", "0 1 7 1")
	x.recordedIs("totals", "sum", "100 101 107 101")
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.write(file)
	x.start()
	x.recordedIs("door", "times", "0 1 7 1 - 1")
	x.chips["a"].Press("IN")
	x.recordedIs("door", "shut", "false true false - false true")
	x.chips["a"].Release("IN")
	x.recordedIs("totals", "sum", "100 101 107 101 - 101 102")
}
