package mapping

import (
	"math"
	"slices"
	"time"
)

// windowParts bounds what a window holds: values that come faster than a sixtieth of its length are taken together.
const windowParts = 60

// A window is what a number was over the time just past. A value holds until the next one; while it is not known nothing
// counts. As long as values do not come faster than a part is long the window is exact. Where they do, the mean may be off
// by what a part's values differ, weighted with one part, and the lowest and the highest leave up to a part late.
//
// Times count from any moment, the same for all calls.
type window struct {
	span  time.Duration
	parts []part // oldest first; each lasts until the next, the last one until at

	at    time.Duration // up to when the parts go
	value float64       // since then
	known bool
}

// A part is some time of a window. One of several values is at most a sixtieth of the window long.
type part struct {
	begin     time.Duration
	known     time.Duration // of it, how long there was a value
	area      float64       // the sum of value × seconds
	low, high float64       // of its values; infinite where it has none
	mixed     bool          // several values, or some of its time none
}

// width is how long a part is at least, once another has begun.
func (w *window) width() time.Duration { return w.span / windowParts }

// set says that the value is another from now on.
func (w *window) set(now time.Duration, value float64, known bool) {
	w.advance(now)
	if known == w.known && (value == w.value || !known) && len(w.parts) > 0 {
		return
	}
	w.value, w.known = value, known
	n := len(w.parts)
	switch {
	case n > 0 && w.parts[n-1].begin == now: // of one moment the last value counts
		w.parts = w.parts[:n-1]
		fallthrough
	case n == 0 || now-w.parts[n-1].begin >= w.width():
		w.begin(now)
		return
	}
	last := &w.parts[n-1]
	last.mixed = true
	if known {
		last.low, last.high = min(last.low, value), max(last.high, value)
	}
}

// begin appends a part of the present value.
func (w *window) begin(now time.Duration) {
	p := part{begin: now, low: math.Inf(1), high: math.Inf(-1)}
	if w.known {
		p.low, p.high = w.value, w.value
	}
	w.parts = append(w.parts, p)
}

// advance takes the window to a time, at which the value is as it was.
func (w *window) advance(now time.Duration) {
	if len(w.parts) == 0 {
		w.at = now
		return
	}
	// What was taken together ends with its part, or a value that stays would be among what it followed.
	if last := &w.parts[len(w.parts)-1]; last.mixed && now > last.begin+w.width() {
		end := max(last.begin+w.width(), w.at)
		w.add(end - w.at)
		w.at = end
		w.begin(end)
	}
	w.add(now - w.at)
	w.at = now
	old := 0
	for old+1 < len(w.parts) && w.parts[old+1].begin <= now-w.span {
		old++
	}
	w.parts = slices.Delete(w.parts, 0, old)
}

// add has the last part go on for some time.
func (w *window) add(d time.Duration) {
	if w.known {
		last := &w.parts[len(w.parts)-1]
		last.known += d
		last.area += w.value * d.Seconds()
	}
}

// result is what f makes of the window, as of the last time it was told. It reports false while the value is not known: what
// was before says nothing about now.
func (w *window) result(f fold) (float64, bool) {
	if !w.known {
		return 0, false
	}
	if f == meanOver {
		return w.mean(), true
	}
	low, high := w.value, w.value
	for i := range w.parts {
		low, high = min(low, w.parts[i].low), max(high, w.parts[i].high)
	}
	if f == lowestOver {
		return low, true
	}
	return high, true
}

// mean is weighted with time. Of the oldest part counts what is within the window.
func (w *window) mean() float64 {
	var known, area float64
	for i := range w.parts {
		p := &w.parts[i]
		share := 1.0
		if out := w.at - w.span - p.begin; out > 0 {
			end := w.at
			if i+1 < len(w.parts) {
				end = w.parts[i+1].begin
			}
			share = float64(end-w.at+w.span) / float64(end-p.begin)
		}
		known += share * p.known.Seconds()
		area += share * p.area
	}
	if known == 0 {
		return w.value
	}
	return sum(area/known, 0)
}

// due is when the result may be another although no value comes. It reports false when it stays as it is.
func (w *window) due(f fold) (time.Duration, bool) {
	soon := w.at + max(w.width(), time.Second)
	switch n := len(w.parts); {
	case !w.known || n == 0 || n == 1 && !w.parts[0].mixed:
		return 0, false
	case n == 1: // the present value gets a part of its own
		return soon, true
	case f == meanOver:
		return min(soon, w.parts[1].begin+w.span), true
	default: // when the oldest part is out
		return w.parts[1].begin + w.span, true
	}
}
