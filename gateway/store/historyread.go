package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"tidings/devices"
	"tidings/xmppbridge"
)

// overlap is how far before a time a block may begin and still hold readings from that time on, where the clock was set back.
const overlap = maxSegmentTime + blocksAfter

// Records implements xmppbridge.History.
func (h *History) Records(ctx context.Context, id devices.ID, point string, from, to time.Time, limit int) ([]xmppbridge.Record, error) {
	start, end := max(from.UnixMilli(), h.oldest()), to.UnixMilli()
	var out []xmppbridge.Record
	err := h.scan(ctx, id, point, start, end, func(m moment) bool {
		if m.at >= start && len(out) < limit {
			out = append(out, xmppbridge.Record{At: time.UnixMilli(m.at), Value: m.value})
		}
		return len(out) < limit
	})
	return out, err
}

// oldest is the time before which readings are too old, be they still there.
func (h *History) oldest() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(-h.o.Keep).UnixMilli()
}

// scan hands over what is known of a point before a time, oldest first, from the last moment not after another on, until take
// has enough. No two are of the same time.
func (h *History) scan(ctx context.Context, id devices.ID, point string, from, to int64, take func(moment) bool) error {
	h.blocks.RLock()
	defer h.blocks.RUnlock()
	number, views, marks := h.inMemory(id, point)
	if number == 0 {
		switch err := h.db.QueryRowContext(ctx, "SELECT id FROM series WHERE device = ? AND point = ?", string(id), point).Scan(&number); {
		case errors.Is(err, sql.ErrNoRows):
			if len(views) == 0 {
				return nil
			}
		case err != nil:
			return fmt.Errorf("history: %w", err)
		}
	}
	begin := int64(0)
	err := h.db.QueryRowContext(ctx, "SELECT first FROM block WHERE series = ? AND first <= ? ORDER BY first DESC LIMIT 1", number, from).Scan(&begin)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("history: %w", err)
	}
	found, err := h.db.QueryContext(ctx, "SELECT first, readings FROM block WHERE series = ? AND first >= ? AND first < ? ORDER BY first",
		number, min(begin, from-overlap.Milliseconds()), to)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer found.Close()

	e := &emitter{from: from, to: to, marks: marks, take: take}
	for !e.done && !e.over && found.Next() {
		var v view
		var data sql.RawBytes
		if err := found.Scan(&v.first, &data); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		for len(views) > 0 && views[0].first < v.first {
			if err := e.add(views[0]); err != nil {
				return err
			}
			views = views[1:]
		}
		v.data = data
		if err := e.add(v); err != nil {
			return err
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	for _, v := range views {
		if err := e.add(v); err != nil {
			return err
		}
	}
	e.finish()
	return nil
}

// A view is the readings of a segment or a block as they are now.
type view struct {
	data        []byte
	first, last int64
}

func (s *segment) look() view { return view{slices.Clip(s.data), s.first, s.last} }

// A moment is a value from a time on; zero: not known.
type moment struct {
	at    int64
	value devices.Value
}

// inMemory is what of a series is not a block yet, in order, with its id, where that is known, and the marks.
func (h *History) inMemory(id devices.ID, point string) (number int64, views []view, marks []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.series(id, point, false)
	if s == nil {
		return 0, nil, h.marks
	}
	for _, c := range h.closed {
		if c.series == s {
			views = append(views, c.look())
		}
	}
	if s.open != nil {
		views = append(views, s.open.look())
	}
	slices.SortStableFunc(views, func(a, b view) int { return cmp.Compare(a.first, b.first) })
	return s.id, views, h.marks
}

// An emitter puts the readings of blocks that may overlap in order, and ends at marks what held before.
type emitter struct {
	from, to int64
	marks    []int64
	take     func(moment) bool

	waiting []moment // may have to go behind some of the next block
	held    moment   // not handed over yet: what held at from
	last    int64    // time of the last moment
	known   bool     // it was a value
	over    bool     // to is reached
	done    bool     // take has enough
}

// add takes the next block; they come in the order of their first readings.
func (e *emitter) add(v view) error {
	n := 0
	for n < len(e.waiting) && e.waiting[n].at < v.first {
		n++
	}
	for _, m := range e.waiting[:n] {
		e.put(m)
	}
	e.waiting = append(e.waiting[:0], e.waiting[n:]...)
	if e.done || e.over {
		return nil
	}
	sorted := true
	err := unpack(v.data, func(at int64, value devices.Value) bool {
		if n := len(e.waiting); n > 0 && e.waiting[n-1].at > at {
			sorted = false
		}
		e.waiting = append(e.waiting, moment{at, value})
		return true
	})
	if !sorted {
		slices.SortStableFunc(e.waiting, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	}
	return err
}

// put hands over one moment, or keeps it as what holds at the beginning.
func (e *emitter) put(m moment) {
	e.end(min(m.at, e.to))
	if e.over = e.over || m.at >= e.to; !e.over {
		e.give(m)
	}
}

// end hands over the mark before a time at which what was known ended.
func (e *emitter) end(before int64) {
	for len(e.marks) > 0 && e.marks[0] < before {
		at := e.marks[0]
		e.marks = e.marks[1:]
		if e.known && at >= e.last {
			e.give(moment{at: at + 1})
		}
	}
}

func (e *emitter) give(m moment) {
	if e.done || e.last != 0 && m.at <= e.last {
		return
	}
	e.last, e.known = m.at, !m.value.IsZero()
	if m.at <= e.from {
		e.held = m
		return
	}
	if e.held.at != 0 {
		held := e.held
		e.held = moment{}
		if !e.take(held) {
			e.done = true
			return
		}
	}
	e.done = !e.take(m)
}

// finish hands over what waits.
func (e *emitter) finish() {
	for _, m := range e.waiting {
		e.put(m)
	}
	e.end(e.to)
	if !e.done && e.held.at != 0 {
		e.take(e.held)
	}
}

// Spans implements xmppbridge.History.
func (h *History) Spans(ctx context.Context, id devices.ID, point string, from, to time.Time, n int) ([]xmppbridge.Span, error) {
	a, b := from.UnixMilli(), to.UnixMilli()
	if n <= 0 || b <= a {
		return nil, nil
	}
	sums := &sums{from: a, to: b, now: min(b, time.Now().UnixMilli()+1), spans: make([]xmppbridge.Span, n)}
	for i := range sums.spans {
		sums.spans[i].Start = time.UnixMilli(sums.start(i))
	}
	err := h.scan(ctx, id, point, a, b, func(m moment) bool {
		sums.hold(m.at)
		sums.value, sums.since = m.value, max(m.at, a)
		if m.at >= a {
			sums.reading(m)
		}
		return true
	})
	sums.hold(sums.now)
	for i := range sums.spans {
		if s := &sums.spans[i]; s.Known > 0 {
			s.Mean /= float64(s.Known.Milliseconds())
		} else if s.Count > 0 {
			s.Mean = s.Last
		}
	}
	return sums.spans, err
}

// sums are spans being summed up.
type sums struct {
	from, to, now int64
	spans         []xmppbridge.Span
	value         devices.Value // what holds
	since         int64         // from when on
	at            int           // the span that holds since
}

// start is when a span begins.
func (s *sums) start(i int) int64 {
	n := int64(len(s.spans))
	return s.from + (s.to-s.from)/n*int64(i) + (s.to-s.from)%n*int64(i)/n
}

func level(v devices.Value) (float64, bool) {
	if on, ok := v.Bool(); ok {
		if on {
			return 1, true
		}
		return 0, true
	}
	return v.Number()
}

// reading counts one that was taken.
func (s *sums) reading(m moment) {
	f, ok := level(m.value)
	if !ok {
		return
	}
	s.seek(m.at)
	count(&s.spans[s.at], f)
}

// seek goes to the span that a time is in.
func (s *sums) seek(at int64) {
	for s.at+1 < len(s.spans) && s.start(s.at+1) <= at {
		s.at++
	}
}

func count(span *xmppbridge.Span, f float64) {
	if span.Count == 0 || f < span.Min {
		span.Min = f
	}
	if span.Count == 0 || f > span.Max {
		span.Max = f
	}
	span.Last = f
	span.Count++
}

// hold adds what held until a time to the spans in between.
func (s *sums) hold(until int64) {
	f, ok := level(s.value)
	if !ok || until <= s.since {
		return
	}
	s.seek(s.since)
	for since := s.since; since < until; {
		end := until
		if s.at+1 < len(s.spans) {
			end = min(end, s.start(s.at+1))
		}
		span := &s.spans[s.at]
		if span.Count == 0 { // it held when the span began
			count(span, f)
		}
		span.Mean += f * float64(end-since)
		span.Known += time.Duration(end-since) * time.Millisecond
		since = end
		if since < until {
			s.at++
		}
	}
}
