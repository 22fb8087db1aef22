package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/xmppbridge/local"
)

// maxArchiving bounds the bytes of archived messages that wait for the disk. Beyond, messages are delivered but not kept.
const maxArchiving = 16 << 20

// archiving is what waits to be archived; later's lock guards it.
type archiving struct {
	messages []local.Archived
	bytes    int
	lost     int
}

// Archive implements local.Store.
func (s *Store) Archive(m local.Archived) {
	if !s.later.note(func() {
		a := &s.later.archiving
		if a.bytes += len(m.Stanza); a.bytes > maxArchiving {
			a.bytes -= len(m.Stanza)
			a.lost++
			return
		}
		a.messages = append(a.messages, m)
	}) {
		s.log.Error("not archived: the store is closed", "account", m.Account)
	}
}

// takeArchiving hands over what waits, as one change.
func (s *Store) takeArchiving() (change, bool) {
	s.later.mu.Lock()
	a := s.later.archiving
	s.later.archiving = archiving{}
	s.later.mu.Unlock()
	if a.lost > 0 {
		s.log.Error("messages not archived: the disk is too slow", "messages", a.lost)
	}
	return change{write: func(tx *sql.Tx) error {
		for _, m := range a.messages {
			_, err := tx.Exec("INSERT OR IGNORE INTO archive (account, id, at, peer, resource, size, stanza) VALUES (?, ?, ?, ?, ?, ?, ?)",
				m.Account, m.ID, m.At.UnixMilli(), m.With, m.Resource, len(m.Stanza), m.Stanza)
			if err != nil {
				return err
			}
		}
		return nil
	}}, len(a.messages) > 0
}

// Archived implements local.Store.
func (s *Store) Archived(ctx context.Context, account string, q local.ArchiveQuery) (page local.ArchivePage, err error) {
	if err := s.Settled(ctx); err != nil {
		return page, err
	}
	all, args := "account = ?", []any{account}
	narrow := func(condition string, arg ...any) {
		all += " AND " + condition
		args = append(args, arg...)
	}
	if bare, resource, full := strings.Cut(q.With, "/"); q.With != "" {
		narrow("peer = ?", bare)
		if full {
			narrow("resource = ?", resource)
		}
	}
	if !q.Start.IsZero() {
		narrow("at >= ?", q.Start.UnixMilli())
	}
	if !q.End.IsZero() {
		narrow("at <= ?", q.End.UnixMilli())
	}
	if len(q.IDs) > 0 {
		ids := make([]any, len(q.IDs))
		for i, id := range q.IDs {
			ids[i] = id
		}
		narrow("id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", ids...)
	}
	for _, id := range q.IDs {
		if _, err := s.position(ctx, account, id); err != nil {
			return page, err
		}
	}
	if err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM archive WHERE "+all, args...).Scan(&page.Count); err != nil {
		return page, fmt.Errorf("store: archive: %w", err)
	}
	for condition, ids := range map[string][]string{"seq > ?": q.After, "seq < ?": q.Before} {
		for _, id := range ids {
			seq, err := s.position(ctx, account, id)
			if err != nil {
				return page, err
			}
			narrow(condition, seq)
		}
	}
	return s.page(ctx, account, q, page, all, args)
}

// page reads the messages of a page: one more than fits tells whether it is the last.
func (s *Store) page(ctx context.Context, account string, q local.ArchiveQuery, page local.ArchivePage, where string,
	args []any) (local.ArchivePage, error) {
	order := ""
	if q.Last {
		order = " DESC"
	}
	found, err := s.db.QueryContext(ctx, "SELECT id, at, peer, resource, stanza FROM archive WHERE "+where+
		" ORDER BY seq"+order+" LIMIT ?", append(args, q.Limit+1)...)
	if err != nil {
		return page, fmt.Errorf("store: archive: %w", err)
	}
	defer found.Close()
	page.Complete = true
	bytes := 0
	for found.Next() {
		m := local.Archived{Account: account}
		var at int64
		if err := found.Scan(&m.ID, &at, &m.With, &m.Resource, &m.Stanza); err != nil {
			return page, fmt.Errorf("store: archive: %w", err)
		}
		m.At = time.UnixMilli(at)
		bytes += len(m.Stanza)
		if len(page.Messages) == q.Limit || q.Bytes > 0 && bytes > q.Bytes && len(page.Messages) > 0 {
			page.Complete = false
			break
		}
		page.Messages = append(page.Messages, m)
	}
	if err := found.Err(); err != nil {
		return page, fmt.Errorf("store: archive: %w", err)
	}
	if q.Last {
		slices.Reverse(page.Messages)
	}
	return page, nil
}

// position is where a message stands in the order of the archive.
func (s *Store) position(ctx context.Context, account, id string) (seq int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT seq FROM archive WHERE account = ? AND id = ?", account, id).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, local.ErrNotArchived
	}
	if err != nil {
		return 0, fmt.Errorf("store: archive: %w", err)
	}
	return seq, nil
}

// PruneArchive implements local.Store.
func (s *Store) PruneArchive(ctx context.Context, before time.Time, messages, bytes int) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM archive WHERE at < ?", before.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM archive WHERE seq IN (SELECT seq FROM (SELECT seq,
			row_number() OVER newest AS number, sum(size) OVER newest AS total
			FROM archive WINDOW newest AS (PARTITION BY account ORDER BY seq DESC)) WHERE number > ? OR total > ?)`, messages, bytes)
		return err
	})
}

// PutOffline implements local.Store; a bound of 0 is none.
func (s *Store) PutOffline(ctx context.Context, account string, stanza []byte, messages, bytes int) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		var n, size int
		err := tx.QueryRow("SELECT count(*), coalesce(sum(length(stanza)), 0) FROM offline WHERE account = ?", account).Scan(&n, &size)
		if err != nil {
			return err
		}
		if messages > 0 && n >= messages || bytes > 0 && size+len(stanza) > bytes {
			return fmt.Errorf("messages for %s: %w", account, local.ErrFull)
		}
		_, err = tx.Exec("INSERT INTO offline (account, stanza) VALUES (?, ?)", account, stanza)
		return err
	})
}

// TakeOffline implements local.Store.
func (s *Store) TakeOffline(ctx context.Context, account string) (stanzas [][]byte, err error) {
	var some bool
	// Most of the time there is nothing, and nothing to write.
	err = s.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM offline WHERE account = ?)", account).Scan(&some)
	if err != nil {
		return nil, fmt.Errorf("store: messages: %w", err)
	}
	if !some {
		return nil, nil
	}
	err = s.do(context.WithoutCancel(ctx), func(tx *sql.Tx) error {
		stanzas = nil // when it is tried again
		found, err := tx.Query("SELECT stanza FROM offline WHERE account = ? ORDER BY seq", account)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			var b []byte
			if err := found.Scan(&b); err != nil {
				return err
			}
			stanzas = append(stanzas, b)
		}
		if err := found.Err(); err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM offline WHERE account = ?", account)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stanzas, nil
}

// Blocked implements local.Store.
func (s *Store) Blocked(ctx context.Context, account string) ([]string, error) {
	return rows(ctx, s, func(r *sql.Rows) (address string, err error) {
		err = r.Scan(&address)
		return address, err
	}, "SELECT jid FROM blocked WHERE account = ? ORDER BY jid", account)
}

// SetBlocked implements local.Store.
func (s *Store) SetBlocked(ctx context.Context, account string, add, remove []string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		for _, address := range add {
			if _, err := tx.Exec("INSERT OR REPLACE INTO blocked (account, jid) VALUES (?, ?)", account, address); err != nil {
				return err
			}
		}
		for _, address := range remove {
			if _, err := tx.Exec("DELETE FROM blocked WHERE account = ? AND jid = ?", account, address); err != nil {
				return err
			}
		}
		return nil
	})
}
