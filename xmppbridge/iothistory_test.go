package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// A testPast is a history in memory, by device and point. How it is asked is bounded as the real one is.
type testPast struct {
	mu      sync.Mutex
	records map[string][]Record
	asked   int // pages
	err     error
}

func (h *testPast) Records(_ context.Context, id devices.ID, point string, from, to time.Time, limit int) (out []Record, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	for _, r := range h.records[string(id)+" "+point] {
		if !r.At.Before(from) && r.At.Before(to) && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, h.err
}

func (h *testPast) Spans(_ context.Context, id devices.ID, point string, from, to time.Time, n int) ([]Span, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Span, n)
	list := h.records[string(id)+" "+point]
	for i := range out {
		start, end := from.Add(to.Sub(from)*time.Duration(i)/time.Duration(n)), from.Add(to.Sub(from)*time.Duration(i+1)/time.Duration(n))
		s := Span{Start: start, Min: math.Inf(1), Max: math.Inf(-1)}
		for k, r := range list {
			until := time.Now()
			if k+1 < len(list) {
				until = list[k+1].At
			}
			f, ok := r.Value.Number()
			if on, is := r.Value.Bool(); is {
				f, ok = map[bool]float64{true: 1}[on], true
			}
			known := max(minTime(until, end).Sub(maxTime(r.At, start)), 0)
			if ok && (known > 0 || !r.At.Before(start) && r.At.Before(end)) {
				s.Count, s.Min, s.Max, s.Last = s.Count+1, min(s.Min, f), max(s.Max, f), f
				s.Known += known
				s.Mean += f * known.Seconds()
			}
		}
		if s.Count > 0 {
			s.Mean /= s.Known.Seconds()
			out[i] = s
		} else {
			out[i] = Span{Start: start}
		}
	}
	return out, h.err
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// keep keeps values of a point, a step apart, the last one now; a zero value is a gap.
func (h *testPast) keep(point string, step time.Duration, values ...devices.Value) {
	h.mu.Lock()
	defer h.mu.Unlock()
	start := time.Now().Add(-time.Duration(len(values)-1) * step)
	for i, v := range values {
		h.records[point] = append(h.records[point], Record{start.Add(time.Duration(i) * step), v})
	}
}

func numbers(list ...float64) (out []devices.Value) {
	for _, f := range list {
		out = append(out, devices.Number(f))
	}
	return out
}

func withPast() (*testPast, setup) {
	h := &testPast{records: map[string][]Record{}}
	return h, setup{more: func(o *Options) { o.History, o.Zone = h, time.UTC }}
}

// The bubble's clock begins at midnight of 2000-01-01 UTC; the fixture's house has been heard for two seconds then.
func TestReadHistory(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		past.keep("oven target", time.Minute, append(numbers(180, 200.5), devices.Value{}, devices.Number(190))...)
		past.keep("oven heat", 90*time.Minute, devices.Bool(true), devices.Bool(false))
		past.keep("oven mode", 12*time.Hour, devices.Text("Bake"), devices.Text("Grill"))
		q := func(v string) string { return `<ts><q n='target' v='` + v + `' u='°C' h='true' ar='true'/></ts>` }
		all := `<ts><b n='heat' v='true' h='true' ar='true'/></ts><ts><b n='heat' v='false' h='true' ar='true'/></ts>` + q("180") + q("200.5") + q("190") +
			`<ts><e n='mode' v='Bake' t='mode' h='true' ar='true'/></ts><ts><e n='mode' v='Grill' t='mode' h='true' ar='true'/></ts>`
		at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339Nano) }
		for _, c := range []struct{ from, ask, want string }{
			{vera, `<req xmlns='SD' id='R1' h='true'/>`, `<resp xmlns='SD' id='R1'>` + all + `</resp>`},
			{vera, `<req xmlns='SD' id='R1' h='true'><f n='target'/></req>`, `<resp xmlns='SD' id='R1'>` + q("180") + q("200.5") + q("190") + `</resp>`},
			{vera, `<req xmlns='SD' id='R1' h='true' from='` + at(2*time.Minute) + `'><f n='target'/></req>`, `<resp xmlns='SD' id='R1'>` + q("200.5") + q("190") + `</resp>`},
			{vera, `<req xmlns='SD' id='R1' h='true' from='` + at(3*time.Minute) + `' to='` + at(2*time.Minute) + `'><f n='target'/></req>`,
				`<resp xmlns='SD' id='R1'>` + q("180") + q("200.5") + `</resp>`},
			{vera, `<req xmlns='SD' id='R1' h='true' to='` + at(time.Hour*1000) + `'/>`, `<resp xmlns='SD' id='R1'/>`},
			{vera, `<req xmlns='SD' id='R1' h='true' from='` + at(0) + `' to='` + at(time.Hour) + `'/>`, "modify bad-request"},
			{vera, `<req xmlns='SD' id='R1' h='true' from='yesterday'/>`, "modify bad-request"},
			{wim, `<req xmlns='SD' id='R1' h='true'/>`, "cancel item-not-found"},
			{vera, `<req xmlns='SD' id='R1' h='true'><f n='nothing'/></req>`, "cancel item-not-found"},
			// What is measured now stands before what was.
			{vera, `<req xmlns='SD' id='R1' m='true' h='true'><nd id='oven'/><f n='heat'/></req>`, `<resp xmlns='SD' id='R1'><nd id='oven'><ts><b n='heat' v='false' m='true' ar='true'/></ts>` +
				`<ts><b n='heat' v='true' h='true' ar='true'/></ts><ts><b n='heat' v='false' h='true' ar='true'/></ts></nd></resp>`},
			// Without a category there is no history.
			{vera, `<req xmlns='SD' id='R1'><f n='heat'/></req>`, `<resp xmlns='SD' id='R1'><ts><b n='heat' v='false' m='true' ar='true'/></ts></resp>`},
			// Peaks and the mean of the last day: 180 and 200.5 held for a minute each.
			{vera, `<req xmlns='SD' id='R1' p='true' c='true'/>`, `<resp xmlns='SD' id='R1'><ts><q n='target, Min' v='180' u='°C' p='true' ar='true'/></ts>` +
				`<ts><q n='target, Max' v='200.5' u='°C' p='true' ar='true'/></ts><ts><q n='target, Mean' v='190.25' u='°C' c='true' ar='true'/></ts></resp>`},
			{vera, `<req xmlns='SD' id='R1' p='true' c='true'><f n='target, Max'/></req>`, `<resp xmlns='SD' id='R1'><ts><q n='target, Max' v='200.5' u='°C' p='true' ar='true'/></ts></resp>`},
			{vera, `<req xmlns='SD' id='R1' p='true'><f n='heat, Max'/></req>`, "cancel item-not-found"},
			{vera, `<req xmlns='SD' id='R1' p='true' to='` + at(time.Hour*1000) + `'/>`, `<resp xmlns='SD' id='R1'/>`},
		} {
			out := f.ask("get", c.from, oven, c.ask)
			if got := verdict(out[0]); got != c.want || len(out) != 1 {
				t.Errorf("%s\ngot  %s, %d more\nwant %s", c.ask, got, len(out)-1, c.want)
			}
		}
		// A peak has the time when it was.
		peak := f.ask("get", vera, oven, `<req xmlns='SD' id='R1' p='true'><f n='target, Max'/></req>`)[0].First().First().Attr("v")
		if want := past.records["oven target"][1].At.UTC().Format("2006-01-02T15:04:05.000Z"); peak != want {
			t.Errorf("the maximum was at %s, want %s", peak, want)
		}
		past.mu.Lock()
		past.err = errors.New("disk gone")
		past.mu.Unlock()
		if got := verdict(f.ask("get", vera, oven, `<req xmlns='SD' id='R1' h='true'/>`)[0]); got != "cancel internal-server-error" {
			t.Errorf("without a disk: %s", got)
		}
	})
}

// XEP-0323: the same by message, and what was at the beginnings of hours and days.
func TestReadHistoryByMessage(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		// Two seconds after midnight: 160 since 21:30:02, 170 since 23:00:02, then a gap of a quarter, 180 since 23:45:02.
		past.keep("oven target", 15*time.Minute, append(numbers(160, 160, 160, 160, 160, 160, 170, 170), devices.Value{}, devices.Number(180), devices.Number(180))...)
		past.keep("oven heat", 90*time.Minute, devices.Bool(true), devices.Bool(false), devices.Bool(false))
		past.keep("oven mode", time.Hour, devices.Text("Bake"), devices.Text("Grill"))
		for _, c := range []struct {
			flags, fields string
			want          []string
		}{
			{"historical='true'", "<field name='heat'/>", []string{"21:00 boolean heat true historicalOther", "22:30 boolean heat false historicalOther", "00:00 boolean heat false historicalOther"}},
			{"historicalOther='true' to='1999-12-31T21:00:00Z'", "<field name='heat'/>", nil},
			{"historicalHour='true'", "<field name='target'/>", []string{"22:00 numeric target 160 historicalHour", "23:00 numeric target 160 historicalHour", "00:00 numeric target 180 historicalHour"}},
			{"historicalHour='true' historicalDay='1' from='1999-12-31T22:30:00Z'", "<field name='target'/><field name='mode'/>", []string{
				"23:00 numeric target 160 historicalHour", "00:00 numeric target 180 historicalHour historicalDay",
				"00:00 enum mode Bake historicalHour historicalDay"}},
			{"historicalMonth='true' historicalQuarter='true' historicalYear='true'", "<field name='heat'/>", []string{"00:00 boolean heat false historicalMonth historicalQuarter historicalYear"}},
			{"historicalWeek='true'", "<field name='heat'/>", nil},
			// The gap of half an hour has no minutes.
			{"historicalMinute='true' from='1999-12-31T23:29:00Z' to='1999-12-31T23:46:00Z'", "<field name='target'/>", []string{"23:29 numeric target 170 historicalMinute",
				"23:30 numeric target 170 historicalMinute", "23:46 numeric target 180 historicalMinute"}},
		} {
			out := f.ask("get", vera, oven, `<req xmlns='XSD' seqnr='7' `+c.flags+`>`+c.fields+`</req>`)
			if got := verdict(out[0]); got != `<accepted xmlns='XSD' seqnr='7'/>` || len(out) != 2 || out[1].First().Attr("done") != "true" {
				t.Errorf("%s: %s, then %v", c.flags, got, out[1:])
				continue
			}
			equal(t, c.flags, spelledOut(out[1].First()), c.want)
		}
	})
}

// spelledOut are the fields of XEP-0323, with hour and minute.
func spelledOut(fields *stream.Element) (out []string) {
	for node := range fields.Children() {
		for ts := range node.Children() {
			for e := range ts.Children() {
				line := ts.Attr("value")[11:16] + " " + e.Name + " " + e.Attr("name") + " " + e.Attr("value")
				for _, a := range e.Attrs {
					if strings.HasPrefix(a.Name, "historical") {
						line += " " + a.Name
					}
				}
				out = append(out, line)
			}
		}
	}
	return out
}

// A long history comes in parts that each fit a stanza, page by page, and ends when it is cancelled.
func TestReadHistoryInParts(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		const n = 5000
		var values []devices.Value
		for i := range n {
			values = append(values, devices.Number(float64(i)))
		}
		past.keep("oven target", time.Second, values...)
		for _, c := range []struct{ ask, answer, more string }{
			{`<req xmlns='SD' id='R1' h='true'><f n='target'/></req>`, `<started xmlns='SD' id='R1'/>`, "more"},
			{`<req xmlns='XSD' seqnr='1' historical='true'><field name='target'/></req>`, `<accepted xmlns='XSD' seqnr='1'/>`, "done"},
			{`<req xmlns='SD' id='R1' h='true' when='` + time.Now().Add(time.Minute).UTC().Format(time.RFC3339) + `'><f n='target'/></req>`, `<accepted xmlns='SD' id='R1' queued='true'/>`, "more"},
		} {
			out := f.ask("get", alice, oven, c.ask)
			if got := verdict(out[0]); got != c.answer {
				t.Errorf("answer %s, want %s", got, c.answer)
			}
			if out = out[1:]; len(out) == 0 {
				time.Sleep(2 * time.Minute)
				out = f.sent()
			}
			seen := 0
			for i, st := range out {
				if st.Name != "message" || st.First().Name == "started" {
					continue
				}
				if last := i == len(out)-1; (st.First().Attr("more") == "true") != (c.more == "more" && !last) || (st.First().Attr("done") == "true") != (c.more == "done" && last) {
					t.Errorf("part %d of %d: %.120s", i, len(out), st)
				}
				if size := len(st.AppendXML(nil)); size > 64<<10 {
					t.Errorf("a part of %d bytes", size)
				}
				seen += strings.Count(st.String(), "'target'")
			}
			if seen != n {
				t.Errorf("%s: %d readings, want %d", c.ask, seen, n)
			}
		}

		parts := 0
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Name == "message" {
					if parts++; parts > 2 {
						return stream.ErrFull // the server is slow
					}
				}
				return nil
			}
		})
		past.asked = 0
		f.deliver("<iq type='get' id='1' from='" + alice + "' to='" + oven + "'><req xmlns='" + nsSD + "' id='R9' h='true'><f n='target'/></req></iq>")
		time.Sleep(time.Second)
		if got := verdict(f.ask("set", alice, oven, `<cancel xmlns='SD' id='R9'/>`)[0]); got != "" {
			t.Errorf("cancelled: %s", got)
		}
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(time.Second)
		if got := len(payloads(t, alice, f.sent())); got > 1 || past.asked > 4 {
			t.Errorf("%d parts after it was cancelled, %d pages read", got, past.asked)
		}
		if got := verdict(f.ask("set", alice, oven, fmt.Sprintf(`<cancel xmlns='SD' id='%s'/>`, "R9"))[0]); got != "cancel item-not-found" {
			t.Errorf("cancelled again: %s", got)
		}
	})
}

// With the last word of a readout its id is the program's again, and not a moment later: it may ask on at once.
func TestReadoutOverWithItsLastWord(t *testing.T) {
	past, s := withPast()
	bubble(t, s, func(f *fixture) {
		past.keep("oven heat", time.Minute, devices.Bool(true), devices.Bool(false))
		past.keep("oven target", time.Second, numbers(make([]float64, 5000)...)...)
		for i := range readAtOnce {
			f.house.step(announceSwitch(devices.ID(fmt.Sprintf("d%d", i))))
		}
		var live []int // readouts under way as each stanza for alice went out
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Attr("to") == alice {
					f.readouts.mu.Lock()
					defer f.readouts.mu.Unlock()
					live = append(live, len(f.readouts.live))
				}
				return nil
			}
		})
		for _, c := range []struct {
			to, ask string
			parts   bool
			err     error
		}{
			{oven, `<req xmlns='SD' id='R1' h='true'><f n='heat'/></req>`, false, nil},
			{oven, `<req xmlns='XSD' seqnr='1' historical='true'><field name='heat'/></req>`, false, nil},
			{oven, `<req xmlns='SD' id='R1' h='true'><f n='target'/></req>`, true, nil},
			{oven, `<req xmlns='XSD' seqnr='1' historical='true'><field name='target'/></req>`, true, nil},
			{hub, `<req xmlns='SD' id='R1' m='true'/>`, true, nil},
			{oven, `<req xmlns='SD' id='R1' h='true'><f n='heat'/></req>`, false, errors.New("the disk is gone")},
		} {
			live, past.err = nil, c.err
			f.ask("get", alice, c.to, c.ask)
			if n := len(live); n == 0 || live[n-1] != 0 || (live[0] == 1) != c.parts {
				t.Errorf("%s (%v): under way as its stanzas went out: %v", c.ask, c.err, live)
			}
		}
	})
}
