package mapping

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"tidings/devices"
)

// A CounterState is what was counted of a point: how many seconds it was on ("runtime"), how often it was turned on ("count"),
// or the sum of value × seconds ("integral").
type CounterState struct {
	Device devices.ID `json:"device"`
	Point  string     `json:"point"`
	Of     string     `json:"of"`
	Total  float64    `json:"total"`
	Last   *bool      `json:"last,omitempty"` // of a count: what the switch was when it was last known
	At     time.Time  `json:"at"`
}

// A WindowState is what a point was over the time just past.
type WindowState struct {
	Device devices.ID    `json:"device"`
	Point  string        `json:"point"`
	Of     string        `json:"of"` // "mean", "min" or "max"
	Span   time.Duration `json:"span"`
	At     time.Time     `json:"at"`
	Parts  []WindowPart  `json:"parts"`
}

// A WindowPart is a while of it: how many seconds before At it began, for how many of them the value was known, their sum of
// value × seconds, the lowest and the highest value, and 1 where there were several.
type WindowPart [6]float64

// What a restart may keep.
const (
	maxCounters = 10_000 // that nothing asks for at present
	maxWindows  = 1000   // of 4 kB at most each, as JSON
)

func (c *CounterState) key() seriesKey {
	return seriesKey{device: c.Device, point: c.Point, fold: foldOf(c.Of)}
}

func (w *WindowState) key() seriesKey {
	return seriesKey{device: w.Device, point: w.Point, fold: foldOf(w.Of), span: w.Span}
}

// foldOf finds a fold by its word; present when there is none.
func foldOf(word string) fold { return fold(max(slices.Index(foldWords[:], word), 0)) }

// state is what of a counter is kept, at a time of others.
func (s *series) state(at time.Time) CounterState {
	c := CounterState{Device: s.device, Point: s.point, Of: s.fold.String(), Total: s.counter.total, At: at.Round(0).Truncate(time.Second)}
	if s.counter.last != neverKnown {
		on := s.counter.last == wasOn
		c.Last = &on
	}
	return c
}

// keepCounter keeps what was counted for when it is asked for again: whoever takes a point out for a day does not lose it.
func (r *Rules) keepCounter(s *series) {
	if s.fold.windowed() {
		return
	}
	s.counter.advance(r.now)
	r.counters[s.seriesKey] = s.state(r.at(r.now))
	if len(r.counters) > maxCounters { // the one that nobody has asked for the longest
		delete(r.counters, slices.MinFunc(slices.Collect(maps.Keys(r.counters)), func(a, b seriesKey) int {
			return r.counters[a].At.Compare(r.counters[b].At)
		}))
	}
}

// resume gives a new series what is known of it.
func (r *Rules) resume(s *series) {
	s.counter.at = r.now
	if c, ok := r.counters[s.seriesKey]; ok {
		delete(r.counters, s.seriesKey)
		s.counter.total = c.Total
		if c.Last != nil {
			s.counter.last = wasOff
			if *c.Last {
				s.counter.last = wasOn
			}
		}
	}
	if w, ok := r.windows[s.seriesKey]; ok {
		delete(r.windows, s.seriesKey)
		s.window.restore(w, max(r.told.Sub(w.At), 0), r.now)
	}
}

// counterStates are what was counted, as of the last Step.
func (r *Rules) counterStates() []CounterState {
	out := slices.Collect(maps.Values(r.counters))
	for _, all := range r.series {
		for _, s := range all {
			if !s.fold.windowed() {
				s.counter.advance(r.now)
				out = append(out, s.state(r.at(r.now)))
			}
		}
	}
	slices.SortFunc(out, func(a, b CounterState) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Point, b.Point), cmp.Compare(a.Of, b.Of))
	})
	return out
}

// Farewell is the Snapshot of a gateway that stops: the windows are in it, too, which would be much to write every minute.
func (r *Rules) Farewell() State {
	s := r.Snapshot()
	for _, all := range r.series {
		for _, of := range all {
			if of.fold.windowed() {
				of.window.advance(r.now)
				if w := of.window.state(of.seriesKey, r.at(r.now)); w.finite() {
					s.Windows = append(s.Windows, w)
				}
			}
		}
	}
	slices.SortFunc(s.Windows, func(a, b WindowState) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Point, b.Point), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Span, b.Span))
	})
	s.Windows = s.Windows[:min(len(s.Windows), maxWindows)]
	return s
}

// restoreSeries takes over what was counted, and windows that are not over.
func (r *Rules) restoreSeries(s State, now time.Time) {
	for _, c := range s.Counters {
		if key := c.key(); key.fold != present && !math.IsNaN(c.Total) && !math.IsInf(c.Total, 0) && now.Sub(c.At) < forgotten {
			r.counters[key] = c
		}
	}
	for _, w := range s.Windows[:min(len(s.Windows), maxWindows)] {
		if now.Sub(w.At) < w.Span && len(w.Parts) <= windowParts+2 {
			r.windows[w.key()] = w
		}
	}
}

// forgotten is how long what was counted is kept while nothing asks for it.
const forgotten = 366 * 24 * time.Hour

func (w *window) state(key seriesKey, at time.Time) WindowState {
	out := WindowState{Device: key.device, Point: key.point, Of: key.fold.String(), Span: key.span, At: at.Round(0)}
	for i := range w.parts {
		p := &w.parts[i]
		kept := WindowPart{(w.at - p.begin).Seconds(), p.known.Seconds(), p.area}
		if p.low <= p.high {
			kept[3], kept[4] = p.low, p.high
		} else {
			kept[1] = 0
		}
		if p.mixed {
			kept[5] = 1
		}
		out.Parts = append(out.Parts, kept)
	}
	return out
}

// finite reports whether JSON can hold it.
func (w *WindowState) finite() bool {
	return !slices.ContainsFunc(w.Parts, func(p WindowPart) bool { return math.IsInf(p[2], 0) || math.IsNaN(p[2]) })
}

// restore takes over what was kept some time ago. In between nothing is known.
func (w *window) restore(s WindowState, ago, now time.Duration) {
	end := now - ago
	last := time.Duration(math.MinInt64)
	for _, kept := range s.Parts {
		p := part{begin: end - seconds(kept[0]), known: seconds(kept[1]), area: kept[2], low: math.Inf(1), high: math.Inf(-1), mixed: kept[5] != 0}
		if p.begin < last || p.begin > end {
			return // not what we wrote
		}
		last = p.begin
		if p.known > 0 {
			p.low, p.high = kept[3], kept[4]
		}
		w.parts = append(w.parts, p)
	}
	if len(w.parts) > 0 {
		w.begin(end)
	}
	w.at = now
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
