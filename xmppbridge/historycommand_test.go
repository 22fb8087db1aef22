package xmppbridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// rows are the rows of a command's table, the cells joined.
func rowsOf(st *stream.Element) (out []string) {
	for item := range st.Child(nsCommands, "command").Child(nsForm, "x").Children() {
		if item.Name != "item" {
			continue
		}
		var cells []string
		for f := range item.Children() {
			cells = append(cells, f.ChildText(nsForm, "value"))
		}
		out = append(out, strings.Join(cells, " | "))
	}
	return out
}

// History asks for a point and a time and shows the readings, the last first, page by page.
func TestHistoryCommand(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		const node = "node='oven/history' "
		past.keep("oven target", time.Minute, append(numbers(180, 200), devices.Value{}, devices.Number(190))...)
		past.keep("oven mode", time.Minute, devices.Text("Bake"))
		id := f.open(vera, oven, "oven/history")
		for _, bad := range [][]string{{"point", "none"}, {"time", "soon"}, {"time", "-1h"}, {"point", "target", "point", "mode"}} {
			if got := failure(f.answer(set(vera, oven, "1", node+"sessionid='"+id+"'", submit(bad...)))); got != "bad-request/bad-payload" {
				t.Errorf("%v: %s", bad, got)
			}
		}
		done := f.answer(set(vera, oven, "2", node+"sessionid='"+id+"'", submit("point", "target", "time", "6h")))
		if got := note(done); got != "info: Oven: Target, 6 h: min 180 °C, mean 190 °C, max 200 °C, last 190 °C" {
			t.Errorf("note %q", got)
		}
		// The last minute of the millennium was a gap. What is kept without a point being named is the first one's: heat has nothing.
		equal(t, "rows", rowsOf(done), []string{"2000-01-01 00:00:02 | 190 °C", "1999-12-31 23:59:02 | unknown", "1999-12-31 23:58:02 | 200 °C", "1999-12-31 23:57:02 | 180 °C"})
		id = f.open(vera, oven, "oven/history")
		if got := note(f.answer(set(vera, oven, "3", node+"sessionid='"+id+"'", submit()))); got != "info: Oven: Heat, 1 d: nothing was read in that time" {
			t.Errorf("nothing: %s", got)
		}
		id = f.open(vera, oven, "oven/history")
		if got := rowsOf(f.answer(set(vera, oven, "4", node+"sessionid='"+id+"'", submit("point", "mode", "time", "90s")))); !slices.Equal(got, []string{"2000-01-01 00:00:02 | Bake"}) {
			t.Errorf("a choice: %q", got)
		}
		// One point is not asked for.
		if form := f.answer(set(wim, lamp, "5", "node='lamp/history'", "")); strings.Contains(form.String(), "var='point'") || !strings.Contains(form.String(), "var='time'") {
			t.Errorf("form %s", form)
		}
		if got := failure(f.answer(set(wim, oven, "6", node, ""))); got != "item-not-found" {
			t.Errorf("what a role hides: %s", got)
		}
		past.mu.Lock()
		past.err = errors.New("disk gone")
		past.mu.Unlock()
		id = f.open(vera, oven, "oven/history")
		if got := note(f.answer(set(vera, oven, "7", node+"sessionid='"+id+"'", submit()))); !strings.HasPrefix(got, "error: The history cannot be read") {
			t.Errorf("without a disk: %s", got)
		}
	})
}

func TestHistoryCommandInPages(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		// A thousand in a second, and some long before.
		past.keep("oven target", time.Millisecond, numbers(func() (out []float64) {
			for i := range 1000 {
				out = append(out, float64(i))
			}
			return out
		}()...)...)
		long := past.records["oven target"][0].At.Add(-20 * time.Hour)
		past.records["oven target"] = append([]Record{{long, devices.Number(-2)}, {long.Add(time.Hour), devices.Number(-1)}}, past.records["oven target"]...)
		id := f.open(vera, oven, "oven/history")
		answer := f.answer(set(vera, oven, "1", "node='oven/history' sessionid='"+id+"'", submit("point", "target")))
		var values []string
		for page := 1; ; page++ {
			got := rowsOf(answer)
			for _, row := range got {
				values = append(values, row[strings.LastIndex(row, "|")+2:])
			}
			c := answer.Child(nsCommands, "command")
			if c.Attr("status") == "completed" {
				break
			}
			if len(got) != rowsPerPage || c.Child(nsCommands, "actions").Child(nsCommands, "next") == nil || c.Child(nsCommands, "note") == nil || page > 20 {
				t.Fatalf("page %d: %s", page, answer)
			}
			if page == 2 {
				if got := failure(f.answer(set(vera, oven, "p", "node='oven/history' action='complete' sessionid='"+id+"'", ""))); got != "bad-request/bad-action" {
					t.Errorf("complete in the middle: %s", got)
				}
			}
			answer = f.answer(set(vera, oven, fmt.Sprint("n", page), "node='oven/history' action='next' sessionid='"+id+"'", ""))
		}
		if len(values) != 1002 || values[0] != "999 °C" || values[500] != "499 °C" || values[1001] != "-2 °C" {
			t.Errorf("%d rows: %q …", len(values), values[:3])
		}
		// A page is asked for again by nobody else, and not after it was cancelled.
		id = f.open(vera, oven, "oven/history")
		f.answer(set(vera, oven, "2", "node='oven/history' sessionid='"+id+"'", submit("point", "target")))
		if got := failure(f.answer(set(otto, oven, "3", "node='oven/history' action='next' sessionid='"+id+"'", ""))); got != "bad-request/bad-sessionid" {
			t.Errorf("somebody else's: %s", got)
		}
		if got := f.answer(set(vera, oven, "4", "node='oven/history' action='cancel' sessionid='"+id+"'", "")); got.Child(nsCommands, "command").Attr("status") != "canceled" {
			t.Errorf("cancelled: %s", got)
		}
		if got := failure(f.answer(set(vera, oven, "5", "node='oven/history' action='next' sessionid='"+id+"'", ""))); got != "bad-request/bad-sessionid" {
			t.Errorf("after it was cancelled: %s", got)
		}
	})
}
