package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// schemas are the steps from an empty file to the present tables; user_version counts those taken.
var schemas = []string{`
CREATE TABLE outbox (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, recipient TEXT NOT NULL, device TEXT NOT NULL,
	body TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (id, recipient)
);
CREATE INDEX outbox_recipient ON outbox (recipient, seq);
CREATE TABLE subscription (
	target TEXT NOT NULL, watcher TEXT NOT NULL, sees INTEGER NOT NULL, seen INTEGER NOT NULL, asked INTEGER NOT NULL,
	PRIMARY KEY (target, watcher)
) WITHOUT ROWID;
CREATE TABLE executed (
	sender TEXT NOT NULL, id TEXT NOT NULL, sum TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (sender, id, sum)
) WITHOUT ROWID;
CREATE TABLE account (
	name TEXT PRIMARY KEY, role TEXT NOT NULL, credentials TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE roster (
	account TEXT NOT NULL, jid TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (account, jid)
) WITHOUT ROWID;
CREATE TABLE slug (device TEXT PRIMARY KEY, slug TEXT NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
`, `
CREATE TABLE given (
	watcher TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (watcher, target)
) WITHOUT ROWID;
`, `
CREATE TABLE archive (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, peer TEXT NOT NULL,
	resource TEXT NOT NULL, size INTEGER NOT NULL, stanza BLOB NOT NULL, UNIQUE (account, id)
);
CREATE INDEX archive_order ON archive (account, seq, at, peer, resource, size);
CREATE INDEX archive_age ON archive (at);
CREATE TABLE offline (seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, stanza BLOB NOT NULL);
CREATE INDEX offline_account ON offline (account, seq);
CREATE TABLE blocked (account TEXT NOT NULL, jid TEXT NOT NULL, PRIMARY KEY (account, jid)) WITHOUT ROWID;
`, toldSchema, invitationSchema, nodeSchema, pepSchema, keptSchema}

const (
	queueLength = 1024
	batchLength = 500
)

// errClosed is what a change gets that comes after Run has ended.
var errClosed = errors.New("store: closed")

// A Store is one open file. Make one with Open; its methods are safe for concurrent use, and changes are written
// while Run runs.
type Store struct {
	db    *sql.DB
	log   *slog.Logger
	queue chan change
	later later // what nobody waits for

	mu    sync.RWMutex // held for reading while a change is put into the queue
	ended bool
}

// change is one thing to write and who waits for it.
type change struct {
	write func(*sql.Tx) error
	done  chan<- error // nil: nobody waits
}

// Open opens or makes the file and brings its tables up to date.
func Open(path string, log *slog.Logger) (*Store, error) {
	// FULL: what was committed survives a power cut, also in WAL mode. The caches are small: this is a gateway's
	// book-keeping, not a database server.
	name := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-512)&_txlock=immediate"
	if err := private(path); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(2)
	s := &Store{db: db, log: log, queue: make(chan change, queueLength), later: newLater()}
	if err := s.migrate(); err != nil {
		db.Close()
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	return s, nil
}

// private makes the file readable by its owner only: what accounts log in with is in it. SQLite gives the files beside it
// the same mode.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close())
}

func (s *Store) migrate() error {
	var version int
	if err := s.db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(schemas) {
		return fmt.Errorf("it was written by a newer version of tidings (format %d, this one knows %d)", version, len(schemas))
	}
	for ; version < len(schemas); version++ {
		tx, err := s.db.Begin()
		if err != nil {
			return err
		}
		if _, err = tx.Exec(schemas[version] + fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// Run writes what is queued until ctx is done, then what is still queued, and closes the file.
func (s *Store) Run(ctx context.Context) error {
	defer s.db.Close()
	for {
		select {
		case c := <-s.queue:
			s.writeAll(s.batch(c))
		case <-s.later.ready:
			s.writeAll(nil)
		case <-ctx.Done():
			s.drain()
			s.later.end()
			s.writeAll(nil)
			return nil
		}
	}
}

// drain refuses what comes from now on and writes what came before. Whoever waits for room in the queue holds the lock,
// so the queue is emptied while it is asked for.
func (s *Store) drain() {
	closed := make(chan struct{})
	go func() {
		s.mu.Lock()
		s.ended = true
		s.mu.Unlock()
		close(closed)
	}()
	for {
		select {
		case c := <-s.queue:
			s.write(s.batch(c))
			continue
		case <-closed:
		}
		select {
		case c := <-s.queue:
			s.write(s.batch(c))
		default:
			return
		}
	}
}

// batch takes what else is queued behind the first change.
func (s *Store) batch(first change) []change {
	batch := []change{first}
	for len(batch) < batchLength {
		select {
		case c := <-s.queue:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// write commits a batch as one transaction. When one change fails the others must not: each is then tried alone.
func (s *Store) write(batch []change) {
	err := s.commit(batch)
	if err != nil && len(batch) > 1 {
		for _, c := range batch {
			s.write([]change{c})
		}
		return
	}
	for _, c := range batch {
		if c.done != nil {
			c.done <- err
		} else if err != nil {
			s.log.Error("not stored", "err", err)
		}
	}
}

func (s *Store) commit(batch []change) error {
	tx, err := s.db.Begin()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, c := range batch {
		if err := c.write(tx); err != nil {
			return fmt.Errorf("store: %w", errors.Join(err, tx.Rollback()))
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// put queues a change.
func (s *Store) put(ctx context.Context, c change) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended {
		return errClosed
	}
	select {
	case s.queue <- c: // also at the end of ctx: whoever is told to stop may have something to store
		return nil
	default:
	}
	select {
	case s.queue <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do queues a change and waits until it is committed.
func (s *Store) do(ctx context.Context, write func(*sql.Tx) error) error {
	done := make(chan error, 1)
	if err := s.put(ctx, change{write, done}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settled returns once what was saved before, without waiting for it, has been written.
func (s *Store) Settled(ctx context.Context) error {
	return s.do(ctx, func(*sql.Tx) error { return nil })
}

// writeAll writes what nobody waits for, and behind it what somebody does: who waits finds all that was said before.
func (s *Store) writeAll(awaited []change) {
	var all []change
	if c, some := s.takeArchiving(); some {
		all = append(all, c)
	}
	all = append(append(all, s.later.take()...), awaited...)
	for batch := range slices.Chunk(all, batchLength) {
		s.write(batch)
	}
}

// exec is the change of one statement.
func exec(statement string, args ...any) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	}
}

// rows reads a whole answer.
func rows[T any](ctx context.Context, s *Store, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	found, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer found.Close()
	var out []T
	for found.Next() {
		one, err := scan(found)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		out = append(out, one)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return out, nil
}
