package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tidings/devices"
)

// historySchema is the file of a history. What was read lately is in recent, a row each time it was written, of all points
// together: a page or two, whatever the number of points. Blocks are of one point each and are made when enough has come
// together; then recent is emptied. A mark is a moment from which on nothing is known, until there are readings again.
const historySchema = `
CREATE TABLE series (id INTEGER PRIMARY KEY, device TEXT NOT NULL, point TEXT NOT NULL, UNIQUE (device, point));
CREATE TABLE block (
	series INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, readings BLOB NOT NULL,
	PRIMARY KEY (series, first, last)
) WITHOUT ROWID;
CREATE INDEX block_last ON block (last);
CREATE TABLE recent (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, readings BLOB NOT NULL);
CREATE TABLE mark (at INTEGER PRIMARY KEY);
PRAGMA user_version = 1;`

// OpenHistory opens or makes the file. One that is damaged, as by a card that fails, is put aside: the house goes on.
func OpenHistory(path string, o HistoryOptions, log *slog.Logger) (*History, error) {
	h, err := openHistory(path, o, log)
	if e, ok := errors.AsType[*sqlite.Error](err); ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB) {
		log.Error("the history is damaged: it is put aside, and a new one begun", "err", err, "kept", path+".damaged")
		for _, beside := range []string{"-wal", "-shm"} { // they are of that file only
			if err := os.Remove(path + beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("history: %w", err)
			}
		}
		if err := os.Rename(path, path+".damaged"); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		return openHistory(path, o, log)
	}
	return h, err
}

func openHistory(path string, o HistoryOptions, log *slog.Logger) (*History, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	name := "file:" + (&url.URL{Path: path}).EscapedPath()
	if err := makeHistory(name); err != nil {
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", name+"?_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&_pragma=cache_size(-512)"+
		"&_pragma=journal_size_limit(4194304)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	h := &History{db: db, log: log, wake: make(chan struct{}, 1), o: o, devices: map[devices.ID][]*series{}}
	if err := h.load(); err != nil {
		return nil, fmt.Errorf("history: %s: %w", path, errors.Join(err, db.Close()))
	}
	return h, nil
}

// makeHistory makes the tables where they are not. What stays with the file is set here, auto_vacuum, which lets it shrink,
// before there is a table: as a pragma of every connection it would wait for whoever writes.
func makeHistory(name string) (err error) {
	db, err := sql.Open("sqlite", name+"?_pragma=busy_timeout(5000)&_pragma=page_size(4096)&_pragma=auto_vacuum(2)&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > 1 {
		return fmt.Errorf("it was written by a newer version of tidings (format %d, this one knows 1)", version)
	}
	if version == 1 {
		return nil
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if _, err := tx.Exec(historySchema); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// load takes in what an earlier life has not made blocks of.
func (h *History) load() error {
	alive, err := h.loadRecent()
	if err != nil {
		return err
	}
	if alive != 0 { // what was known then may have changed since
		if _, err := h.db.Exec("INSERT OR IGNORE INTO mark (at) VALUES (?)", alive); err != nil {
			return err
		}
	}
	// The points of devices that are long gone: nothing of theirs is left.
	ids := []int64{}
	for _, s := range h.closed {
		ids = append(ids, s.series.id)
	}
	kept, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if _, err := h.db.Exec("DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM block WHERE series = series.id) AND id NOT IN (SELECT value FROM json_each(?))", string(kept)); err != nil {
		return err
	}
	if _, err := h.db.Exec("DELETE FROM mark WHERE at NOT IN (SELECT at FROM mark ORDER BY at DESC LIMIT ?)", maxMarks); err != nil {
		return err
	}
	h.marks, err = column(h.db, "SELECT at FROM mark ORDER BY at")
	return err
}

// loadRecent reads recent, and when the last row of it was written; 0: never.
func (h *History) loadRecent() (alive int64, err error) {
	found, err := h.db.Query("SELECT at, readings FROM recent ORDER BY seq")
	if err != nil {
		return 0, err
	}
	defer found.Close()
	open := map[int64]*segment{}
	for found.Next() {
		var data []byte
		if err := found.Scan(&alive, &data); err != nil {
			return 0, err
		}
		if err := eachPart(data, func(id int64, begins bool, data []byte) {
			s := open[id]
			if s == nil || begins {
				s = &segment{series: &series{id: id}}
				open[id] = s
				h.closed = append(h.closed, s)
			}
			s.data = append(s.data, data...)
		}); err != nil {
			h.log.Warn("readings lost: they were not written whole", "err", err)
		}
	}
	if err := found.Err(); err != nil {
		return 0, err
	}
	known := map[int64]*series{}
	whole := h.closed[:0]
	for _, s := range h.closed {
		s.saved = len(s.data)
		if err := unpack(s.data, s.span); err != nil || s.last == 0 {
			h.log.Warn("readings lost: they cannot be read", "err", err)
			continue
		}
		if known[s.series.id] == nil {
			known[s.series.id] = s.series
			if err := h.db.QueryRow("SELECT device, point FROM series WHERE id = ?", s.series.id).Scan(&s.series.device, &s.series.point); err != nil {
				return 0, err
			}
			h.devices[s.series.device] = append(h.devices[s.series.device], s.series)
			h.count++
		}
		s.series = known[s.series.id]
		whole = append(whole, s)
		h.size += len(s.data)
	}
	h.closed = whole
	return alive, nil
}
