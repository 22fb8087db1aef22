package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"tidings/devices"
)

const keptSchema = `
CREATE TABLE kept (device TEXT NOT NULL, point TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (device, point)) WITHOUT ROWID;
`

type keptKey struct {
	device devices.ID
	point  string
}

// Keep stores a number of a point soon: with whatever is written next, or after devices.MemoryDelay. Nobody waits for it;
// the last one said of a point counts.
func (s *Store) Keep(id devices.ID, point string, f float64) {
	l := &s.later
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		s.log.Error("not stored", "err", errClosed, "device", id, "point", point)
		return
	}
	if len(l.unwritten) == 0 {
		l.keeping = time.AfterFunc(devices.MemoryDelay, func() { l.note(func() {}) })
	}
	l.kept[keptKey{id, point}] = f
	l.unwritten[keptKey{id, point}] = struct{}{}
}

// Recall returns the number that was last kept for a point, and whether there is one.
func (s *Store) Recall(ctx context.Context, id devices.ID, point string) (float64, bool, error) {
	s.later.mu.Lock()
	f, ok := s.later.kept[keptKey{id, point}]
	s.later.mu.Unlock()
	if ok {
		return f, true, nil
	}
	err := s.db.QueryRowContext(ctx, "SELECT value FROM kept WHERE device = ? AND point = ?", string(id), point).Scan(&f)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("store: %w", err)
	}
	return f, true, nil
}

// takeKept is what take does with the numbers. They are still to be recalled, whatever becomes of the file: a disk that is full must
// not have a counter go back. l.mu is held.
func (l *later) takeKept() (batch []change) {
	if l.keeping != nil {
		l.keeping.Stop()
	}
	for key := range l.unwritten {
		batch = append(batch, change{write: exec("INSERT OR REPLACE INTO kept (device, point, value) VALUES (?, ?, ?)", string(key.device), key.point, l.kept[key])})
	}
	clear(l.unwritten)
	return batch
}
