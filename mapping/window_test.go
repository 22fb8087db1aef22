package mapping

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive remembers everything and calculates from the definition.
type naive struct {
	span   time.Duration
	values []naiveValue
}

type naiveValue struct {
	at    time.Duration
	value float64
	known bool
}

func (n *naive) set(at time.Duration, v float64, known bool) {
	n.values = append(n.values, naiveValue{at, v, known})
}

// over is the mean, the lowest and the highest of the time from..to.
func (n *naive) over(from, to time.Duration) (mean, low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	var known, area float64
	for i, v := range n.values {
		end := to
		if i+1 < len(n.values) {
			end = n.values[i+1].at
		}
		begin := max(v.at, from)
		if !v.known || end <= from && i+1 < len(n.values) {
			continue
		}
		low, high = min(low, v.value), max(high, v.value)
		if d := end - begin; d > 0 {
			known += d.Seconds()
			area += v.value * d.Seconds()
		}
	}
	if known == 0 {
		return n.values[len(n.values)-1].value, low, high
	}
	return area / known, low, high
}

// A window of values that do not come too fast is exact; one of faster ones is as near as it says, and never larger.
func TestWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		span := time.Duration(rapid.IntRange(60, 6000).Draw(rt, "span")) * time.Second
		slow := rapid.Bool().Draw(rt, "slow")
		w, n := window{span: span}, naive{span: span}
		now := time.Duration(0)
		low, high := math.Inf(1), math.Inf(-1)
		for range rapid.IntRange(1, 400).Draw(rt, "values") {
			value := float64(rapid.IntRange(-50, 50).Draw(rt, "value"))
			known := rapid.IntRange(0, 9).Draw(rt, "known") > 0
			w.set(now, value, known)
			n.set(now, value, known)
			if known {
				low, high = min(low, value), max(high, value)
			}
			least := 0
			if slow {
				least = int(w.width() / time.Millisecond)
			}
			now += time.Duration(least+rapid.IntRange(1, int(span/time.Millisecond)/20).Draw(rt, "pause")) * time.Millisecond
			if rapid.Bool().Draw(rt, "look") || !known { // between two values, or not
				w.advance(now - time.Millisecond)
			}
			w.advance(now)
			if len(w.parts) > windowParts+2 {
				rt.Fatalf("%d parts", len(w.parts))
			}
			got, ok := w.result(meanOver)
			if ok != known {
				rt.Fatalf("known = %v at %v", ok, now)
			}
			if !known {
				continue
			}
			mean, lowest, highest := n.over(now-span, now)
			_, lowestLate, highestLate := n.over(now-span-w.width(), now)
			gotLow, _ := w.result(lowestOver)
			gotHigh, _ := w.result(highestOver)
			tolerance := 1e-9
			if !slow { // one part of the window may be weighted by what it is on the whole; less of it may be known
				tolerance += (high - low) * float64(w.width()) / known0(&n, now-span, now).Seconds()
				lowestLate, highestLate = min(lowestLate, lowest), max(highestLate, highest)
			} else {
				lowestLate, highestLate = lowest, highest
			}
			if math.Abs(got-mean) > tolerance {
				rt.Fatalf("at %v: the mean is %v, and not %v ± %v", now, got, mean, tolerance)
			}
			if gotLow > lowest || gotLow < lowestLate || gotHigh < highest || gotHigh > highestLate {
				rt.Fatalf("at %v: from %v to %v, and not from %v to %v", now, gotLow, gotHigh, lowest, highest)
			}
		}
	})
}

// A counter has what calculating it from the whole past gives, however often it is looked at.
func TestCounter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var on, starts, sum counter
		var wantOn, wantSum, wantStarts float64
		was := neverKnown
		now := time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(rt, "values") {
			is, value, known := rapid.Bool().Draw(rt, "on"), float64(rapid.IntRange(-9, 9).Draw(rt, "value")), rapid.IntRange(0, 4).Draw(rt, "known") > 0
			on.on(now, is, known)
			starts.start(now, is, known)
			sum.number(now, value, known)
			if known {
				if is && was == wasOff {
					wantStarts++
				}
				if was = wasOff; is {
					was = wasOn
				}
			}
			pause := time.Duration(rapid.IntRange(0, 5000).Draw(rt, "pause")) * time.Millisecond
			for range rapid.IntRange(0, 2).Draw(rt, "looks") {
				on.advance(now + pause/2)
				sum.advance(now + pause/2)
			}
			now += pause
			on.advance(now)
			sum.advance(now)
			if known {
				wantSum += value * pause.Seconds()
				if is {
					wantOn += pause.Seconds()
				}
			}
		}
		if math.Abs(on.total-wantOn) > 1e-6 || math.Abs(sum.total-wantSum) > 1e-6 || starts.total != wantStarts {
			rt.Fatalf("%v s on, %v starts, %v in all; want %v, %v, %v", on.total, starts.total, sum.total, wantOn, wantStarts, wantSum)
		}
	})
}

// known0 is how long there was a value.
func known0(n *naive, from, to time.Duration) time.Duration {
	var known time.Duration
	for i, v := range n.values {
		end := to
		if i+1 < len(n.values) {
			end = n.values[i+1].at
		}
		if d := end - max(v.at, from); v.known && d > 0 {
			known += d
		}
	}
	return max(known, 1)
}
