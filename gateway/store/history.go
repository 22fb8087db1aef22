package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/xmppbridge"
)

var _ xmppbridge.History = (*History)(nil)

const (
	// repeatAfter is when a value that has not changed is kept again: between two of those it held.
	repeatAfter = 5 * time.Minute
	// maxSegment and maxSegmentTime bound what is unpacked at once.
	maxSegment     = 16 << 10
	maxSegmentTime = 2 * time.Hour
	// writeSoon is how many bytes are written at once and not at the next flush.
	writeSoon = 128 << 10
	// blocksAfter and blocksSize are when blocks are made of what was read lately.
	blocksAfter = time.Hour
	blocksSize  = 1 << 20
	// maxInMemory bounds what waits for the disk, maxSeries how many points there can be.
	maxInMemory = 4 << 20
	maxSeries   = 200_000
	// headroom is what the file has room for besides blocks: recent, until they are made.
	headroom = maxInMemory
	// clockStep is how far a reading is before the last one of its point where the clock was set back, and no driver was slow.
	clockStep = time.Minute
	maxMarks  = 1000
)

// HistoryOptions say what is kept. All are to be set.
type HistoryOptions struct {
	Keep    time.Duration // older readings go
	MaxSize int64         // bytes of the file; the oldest readings go
	Flush   time.Duration // a crash loses at most what came in this time
}

// A History keeps readings in a file of its own, whose size is bounded. Make one with OpenHistory; Note and Lost take readings
// without waiting, which are written while Run runs. Its methods are safe for concurrent use.
type History struct {
	db   *sql.DB
	log  *slog.Logger
	wake chan struct{} // holds one token while there is much to write, or the options have changed

	// blocks is held for writing while what is in memory becomes blocks, and for reading by whoever looks at both.
	blocks sync.RWMutex

	mu      sync.Mutex // never held over the disk
	o       HistoryOptions
	changed bool // the options are not looked at yet
	devices map[devices.ID][]*series
	count   int        // of series
	fresh   []*segment // that have bytes not yet in recent
	closed  []*segment // waiting to become blocks, beside the open ones of the series
	size    int        // bytes in memory
	unsaved int        // bytes not yet in recent
	marks   []int64    // sorted
	dropped int
	ended   bool
}

// A series is the readings of one point.
type series struct {
	id     int64 // in the file; 0: not there yet
	device devices.ID
	point  string
	value  devices.Value // the last; zero when it is not known
	at     int64         // of the last; 0: none in this life
	open   *segment
}

// A segment is readings of one series that are not a block yet. What was appended to its data never changes.
type segment struct {
	packer
	series      *series
	first, last int64 // the earliest and the latest
	saved       int   // bytes that are in recent
	fresh       bool  // in History.fresh
}

// span notes the time of one reading of a segment.
func (s *segment) span(at int64, _ devices.Value) bool {
	if s.last == 0 || at < s.first {
		s.first = at
	}
	s.last = max(s.last, at)
	return true
}

// Configure puts other options in force.
func (h *History) Configure(o HistoryOptions) {
	h.mu.Lock()
	h.o, h.changed = o, true
	h.mu.Unlock()
	h.stir()
}

// options are those in force, and whether they have changed since the last call.
func (h *History) options() (o HistoryOptions, changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o, changed = h.o, h.changed
	h.changed = false
	return o, changed
}

func (h *History) stir() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Note takes a reading of a point; a zero value says that from then on it is not known. It does not wait. A value that is the
// same as before is kept again only now and then. When the disk does not keep up readings are dropped and counted.
func (h *History) Note(id devices.ID, point string, v devices.Value, at time.Time) {
	h.mu.Lock()
	s := h.series(id, point, !v.IsZero())
	much := s != nil && h.note(s, v, at.UnixMilli())
	h.mu.Unlock()
	if much {
		h.stir()
	}
}

// Lost says that from then on nothing is known of a device but of the points excepted. It does not wait.
func (h *History) Lost(id devices.ID, at time.Time, except ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.devices[id] {
		if !slices.Contains(except, s.point) {
			h.note(s, devices.Value{}, at.UnixMilli())
		}
	}
}

// series finds a series in memory, or makes one.
func (h *History) series(id devices.ID, point string, begin bool) *series {
	list := h.devices[id]
	for _, s := range list {
		if s.point == point {
			return s
		}
	}
	if !begin {
		return nil
	}
	if h.count >= maxSeries {
		h.dropped++
		return nil
	}
	s := &series{device: id, point: point}
	h.devices[id] = append(list, s)
	h.count++
	return s
}

// note keeps a reading and reports whether there is much to write. h.mu is held.
func (h *History) note(s *series, v devices.Value, at int64) bool {
	if v == s.value && (v.IsZero() || at-s.at > -clockStep.Milliseconds() && at-s.at < repeatAfter.Milliseconds()) {
		return false
	}
	// A driver may say late what it read early, and two things at once; they are kept in the order in which they came.
	if at <= s.at && s.at-at < clockStep.Milliseconds() {
		at = s.at + 1
	}
	if h.size >= maxInMemory || h.ended || at <= 0 {
		h.dropped++
		return false
	}
	o := s.open
	if o != nil && (len(o.data) >= maxSegment || at-o.first >= maxSegmentTime.Milliseconds() || at < o.first) {
		h.closed = append(h.closed, o)
		o = nil
	}
	if o == nil {
		o = &segment{series: s}
		s.open = o
	}
	before := len(o.data)
	o.add(at, v)
	o.span(at, v)
	s.value, s.at = v, at
	h.size += len(o.data) - before
	h.unsaved += len(o.data) - before
	if !o.fresh {
		o.fresh = true
		h.fresh = append(h.fresh, o)
	}
	return h.unsaved >= writeSoon
}

// Run writes what is noted until ctx is done, then what is left, and closes the file.
func (h *History) Run(ctx context.Context) error {
	defer h.db.Close()
	flush := time.NewTimer(0) // at once: what an earlier life left may be too old, or too much
	defer flush.Stop()
	var pruned time.Time
	blocks := time.Now()
	for {
		select {
		case <-ctx.Done():
			h.mu.Lock()
			h.ended = true
			h.mu.Unlock()
			h.save(true)
			return nil
		case <-flush.C:
		case <-h.wake:
		}
		h.save(false)
		o, changed := h.options()
		if h.due(blocks) {
			if err := h.makeBlocks(o); err != nil {
				h.log.Error("history not stored, trying again", "err", err)
			} else {
				blocks, changed = time.Now(), true
			}
		}
		if changed || time.Since(pruned) >= blocksAfter {
			if err := h.prune(o); err != nil {
				h.log.Error("old readings not removed, trying again", "err", err)
			}
			pruned = time.Now()
		}
		flush.Reset(o.Flush)
	}
}

// due reports whether it is time to make blocks, as there were some before.
func (h *History) due(before time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size > 0 && (h.size >= blocksSize || time.Since(before) >= blocksAfter)
}

// change is one transaction.
func (h *History) change(write func(*sql.Tx) error) error {
	tx, err := h.db.Begin()
	if err != nil {
		return err
	}
	if err := write(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// column reads one column of integers.
func column(db *sql.DB, query string, args ...any) ([]int64, error) {
	found, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var out []int64
	for found.Next() {
		var n int64
		if err := found.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return slices.Clip(out), found.Err()
}
