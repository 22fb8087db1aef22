package store

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A part is bytes of a segment that go into recent.
type part struct {
	segment  *segment
	from, to int
	data     []byte // of the segment, from from to to
}

// appendPart writes bytes of a segment as they stand in recent: the series, whether the segment begins with them, and they.
func appendPart(dst []byte, series int64, begins bool, data []byte) []byte {
	flag := byte(0)
	if begins {
		flag = 1
	}
	dst = append(binary.AppendUvarint(dst, uint64(series)), flag)
	return append(binary.AppendUvarint(dst, uint64(len(data))), data...)
}

// eachPart reads a row of recent.
func eachPart(data []byte, take func(series int64, begins bool, data []byte)) error {
	for len(data) > 0 {
		id, n := binary.Uvarint(data)
		if n <= 0 || n >= len(data) {
			return errPacked
		}
		begins := data[n] == 1
		data = data[n+1:]
		length, n := binary.Uvarint(data)
		if n <= 0 || length > uint64(len(data)-n) {
			return errPacked
		}
		take(int64(id), begins, data[n:n+int(length)])
		data = data[n+int(length):]
	}
	return nil
}

// save writes what is new into recent. last: the time is noted, even if nothing is new, for nothing more comes.
func (h *History) save(last bool) {
	h.mu.Lock()
	fresh, dropped := h.fresh, h.dropped
	h.fresh, h.dropped = nil, 0
	var parts []part
	for _, s := range fresh {
		s.fresh = false
		if s.saved < len(s.data) {
			parts = append(parts, part{s, s.saved, len(s.data), s.data[s.saved:]})
		}
	}
	h.mu.Unlock()
	if dropped > 0 {
		h.log.Error("readings dropped: the disk does not keep up", "count", dropped)
	}
	if len(parts) == 0 && !last {
		return
	}
	ids := map[*series]int64{}
	err := h.change(func(tx *sql.Tx) error {
		clear(ids)
		data := []byte{}
		for _, p := range parts {
			id, err := h.ensure(tx, p.segment.series, ids)
			if err != nil {
				return err
			}
			data = appendPart(data, id, p.from == 0, p.data)
		}
		_, err := tx.Exec("INSERT INTO recent (at, readings) VALUES (?, ?)", time.Now().UnixMilli(), data)
		return err
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.log.Error("history not stored, trying again", "err", err)
		for _, p := range parts {
			if !p.segment.fresh {
				p.segment.fresh = true
				h.fresh = append(h.fresh, p.segment)
			}
		}
		return
	}
	for s, id := range ids {
		s.id = id
	}
	for _, p := range parts {
		p.segment.saved = p.to
		h.unsaved -= p.to - p.from
	}
}

// ensure finds the id of a series, or gives it one. Those given are in ids until they are committed.
func (h *History) ensure(tx *sql.Tx, s *series, ids map[*series]int64) (int64, error) {
	h.mu.Lock()
	id := s.id
	h.mu.Unlock()
	if id == 0 {
		id = ids[s]
	}
	if id != 0 {
		return id, nil
	}
	err := tx.QueryRow("SELECT id FROM series WHERE device = ? AND point = ?", string(s.device), s.point).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.QueryRow("INSERT INTO series (device, point) VALUES (?, ?) RETURNING id", string(s.device), s.point).Scan(&id)
	}
	ids[s] = id
	return id, err
}

// makeBlocks makes blocks of what is in memory and empties recent.
func (h *History) makeBlocks(o HistoryOptions) error {
	h.mu.Lock()
	for _, list := range h.devices {
		for _, s := range list {
			if s.open != nil {
				h.closed = append(h.closed, s.open)
				s.open = nil
			}
		}
	}
	closed := slices.Clone(h.closed)
	h.mu.Unlock()
	room := int64(headroom)
	for _, s := range closed {
		room += int64(len(s.data)) + 64
		if len(s.data) > pageSize/4 { // on pages of its own, the last of which is half empty
			room += pageSize / 2
		}
	}
	if err := h.makeRoom(o.MaxSize, room); err != nil {
		return err
	}
	ids := map[*series]int64{}
	tx, err := h.db.Begin()
	if err != nil {
		return err
	}
	if err := h.writeBlocks(tx, closed, ids); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	// Whoever reads must see each reading once: in memory before the commit, as a block after it.
	h.blocks.Lock()
	defer h.blocks.Unlock()
	if err := tx.Commit(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, id := range ids {
		s.id = id
	}
	for _, s := range closed {
		h.size -= len(s.data)
		h.unsaved -= len(s.data) - s.saved
		s.saved = len(s.data)
	}
	h.closed = slices.Delete(h.closed, 0, len(closed))
	return nil
}

func (h *History) writeBlocks(tx *sql.Tx, closed []*segment, ids map[*series]int64) error {
	insert, err := tx.Prepare("INSERT OR REPLACE INTO block (series, first, last, readings) VALUES (?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for _, s := range closed {
		id, err := h.ensure(tx, s.series, ids)
		if err != nil {
			return err
		}
		if _, err := insert.Exec(id, s.first, s.last, s.data); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("DELETE FROM recent"); err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO recent (at, readings) VALUES (?, x'')", time.Now().UnixMilli())
	return err
}

// pageSize is that of the file.
const pageSize = 4096

// pruneRows is how many blocks are removed in one transaction.
const pruneRows = 50

// prune removes what is too old, and the oldest where the file is too large.
func (h *History) prune(o HistoryOptions) error {
	oldest := time.Now().Add(-o.Keep).UnixMilli()
	for n := int64(pruneRows); n == pruneRows; {
		var err error
		if n, err = h.remove("WHERE last < ?", oldest); err != nil {
			return err
		}
	}
	if _, err := h.db.Exec("DELETE FROM mark WHERE at < ?", oldest); err != nil {
		return err
	}
	return h.makeRoom(o.MaxSize, headroom)
}

// remove removes the oldest blocks of those a condition chooses.
func (h *History) remove(where string, args ...any) (int64, error) {
	result, err := h.db.Exec("DELETE FROM block WHERE (series, first, last) IN (SELECT series, first, last FROM block "+where+
		" ORDER BY last LIMIT ?)", append(args, pruneRows)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// makeRoom removes the oldest blocks until as many bytes fit into a file of limit bytes, and makes it smaller if it has to be.
func (h *History) makeRoom(limit, bytes int64) error {
	for {
		size, free, err := h.fileSize()
		if err != nil {
			return err
		}
		n := int64(0)
		if size-free+bytes > limit {
			if n, err = h.remove(""); err != nil {
				return err
			}
		}
		if n == 0 {
			return h.shrink(size - limit)
		}
	}
}

// fileSize is how large the file is, and how much of it is unused.
func (h *History) fileSize() (size, free int64, err error) {
	err = h.db.QueryRow("PRAGMA page_count").Scan(&size)
	if err == nil {
		err = h.db.QueryRow("PRAGMA freelist_count").Scan(&free)
	}
	return size * pageSize, free * pageSize, err
}

// shrink gives as many unused bytes back, if there are so many.
func (h *History) shrink(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	// All rows are read: the pragma gives back a page with each.
	_, err := column(h.db, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", (bytes+pageSize-1)/pageSize))
	return err
}
