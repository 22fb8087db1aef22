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

// The same in chat, short.
func TestHistoryInChat(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		past.keep("oven target", time.Minute, numbers(180, 200, 190)...)
		past.keep("oven mode", time.Minute, devices.Text("Bake"), devices.Value{})
		past.keep("lamp power", 3*time.Hour, devices.Bool(false), devices.Bool(true), devices.Bool(false))
		const target = "Oven: Target, 1 d: min 180 °C, mean 190 °C, max 200 °C, last 190 °C\n2000-01-01 00:00:02  190 °C\n1999-12-31 23:59:02  200 °C\n1999-12-31 23:58:02  180 °C"
		for i, c := range []struct{ from, to, body, want string }{
			{vera, oven, "history target", target},
			{vera, oven, "History of the target for 24 h.", target},
			{vera, hub, "oven history target", target},
			{vera, hub, "history oven target 1d", target},
			{vera, hub, "history oven target 1h 2h", "Say one length of time, such as 24h or 7d."},
			{vera, hub, "history oven target last day", target},
			{vera, hub, "history target 24h oven", target},
			{vera, oven, "history mode 1h", "Oven: Mode, 1 h\n2000-01-01 00:00:02  unknown\n1999-12-31 23:59:02  Bake"},
			{vera, oven, "history", "Oven: Heat, 1 d: nothing was read in that time."},
			{wim, lamp, "history", "Lamp: Power, 1 d: on 50 % (3 h), off 50 % (3 h), last off\n2000-01-01 00:00:02  off\n1999-12-31 21:00:02  on\n1999-12-31 18:00:02  off"},
			{vera, oven, "history tarjet", `Oven has no "tarjet": did you mean "target"?`},
			{vera, oven, "history of colours", `Oven has no "colours". There is: heat, target, mode.`},
			{vera, oven, "history 9999d", "At most ten years can be asked for."},
			{wim, hub, "history oven target", ""},
		} {
			f.sent()
			f.deliver(fmt.Sprintf("<message type='chat' id='h%d' from='%s' to='%s'><body>%s</body></message>", i, c.from, c.to, c.body))
			out := f.sent()
			if len(out) != 1 || c.want != "" && out[0].Body() != c.want || c.want == "" && strings.Contains(out[0].Body(), "180") {
				t.Errorf("%s: %v\nwant %s", c.body, out, c.want)
			}
		}
		var values []float64
		for i := range 1200 {
			values = append(values, float64(i))
		}
		past.keep("oven heat", time.Second, numbers(values...)...)
		f.deliver("<message type='chat' id='long' from='" + vera + "' to='" + oven + "'><body>history heat</body></message>")
		if lines := strings.Split(f.sent()[0].Body(), "\n"); len(lines) != linesOfHistory+2 || !strings.Contains(lines[len(lines)-1], "earlier") {
			t.Errorf("a long one: %q", lines)
		}
	})
}

func TestNoHistory(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.deliver("<message type='chat' id='1' from='" + vera + "' to='" + oven + "'><body>history target 24h</body></message>")
		if out := f.sent(); len(out) != 1 || out[0].Body() != noHistory {
			t.Errorf("in chat: %v", out)
		}
		if got := failure(f.answer(set(vera, oven, "1", "node='oven/history'", ""))); got != "item-not-found" {
			t.Errorf("by command: %s", got)
		}
	})
}
