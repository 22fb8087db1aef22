package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"tidings/xmppbridge"
)

var _ xmppbridge.Store = (*Store)(nil)

// maxOutbox bounds what waits for one person: an account nobody ever logs in to must not fill a disk. The oldest go.
const maxOutbox = 1000

// AddAlerts puts messages into the outbox and keeps v as JSON under a key: both or neither. When it returns nil they survive a
// crash. A message whose id and recipient are there already is left as it is.
func (s *Store) AddAlerts(ctx context.Context, messages []xmppbridge.Outgoing, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: state %s: %w", key, err)
	}
	dropped := map[string]int64{}
	err = s.do(ctx, func(tx *sql.Tx) error {
		clear(dropped) // it may be tried twice
		for _, m := range messages {
			offer, began, chart, err := outgoingExtra(&m)
			if err != nil {
				return err
			}
			_, err = tx.Exec("INSERT OR IGNORE INTO outbox (id, recipient, device, body, at, alert, occasion, began, offer, chart) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
				m.ID, m.To, string(m.Device), m.Body, m.At.UnixMilli(), m.Alert, m.Occasion, began, offer, chart)
			if err != nil {
				return err
			}
			result, err := tx.Exec("DELETE FROM outbox WHERE recipient = ?1 AND seq <= (SELECT seq FROM outbox WHERE recipient = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
				m.To, maxOutbox)
			if err != nil {
				return err
			}
			if n, err := result.RowsAffected(); err == nil && n > 0 {
				dropped[m.To] += n
			}
		}
		return saveState(key, text)(tx)
	})
	if err != nil {
		return err
	}
	for to, n := range dropped {
		s.log.Warn("old alerts dropped: they waited too long for someone who does not come", "jid", to, "count", n, "kept", maxOutbox)
	}
	return nil
}

// Recipients implements xmppbridge.Outbox.
func (s *Store) Recipients(ctx context.Context) ([]string, error) {
	return rows(ctx, s, func(r *sql.Rows) (to string, err error) {
		err = r.Scan(&to)
		return to, err
	}, "SELECT DISTINCT recipient FROM outbox")
}

// Pending implements xmppbridge.Outbox.
func (s *Store) Pending(ctx context.Context, to string, limit int) ([]xmppbridge.Outgoing, error) {
	return rows(ctx, s, readOutgoing,
		"SELECT seq, id, recipient, device, body, at, alert, occasion, began, offer, chart FROM outbox WHERE recipient = ? ORDER BY seq LIMIT ?", to, limit)
}

// Sent implements xmppbridge.Outbox.
func (s *Store) Sent(ctx context.Context, seq ...int64) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		for _, n := range seq {
			if _, err := tx.Exec("DELETE FROM outbox WHERE seq = ?", n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Subscriptions returns every presence subscription.
func (s *Store) Subscriptions(ctx context.Context) ([]xmppbridge.Subscription, error) {
	return rows(ctx, s, func(r *sql.Rows) (sub xmppbridge.Subscription, err error) {
		err = r.Scan(&sub.Target, &sub.Watcher, &sub.From, &sub.To, &sub.Asked)
		return sub, err
	}, "SELECT target, watcher, sees, seen, asked FROM subscription ORDER BY target, watcher")
}

// SaveSubscription keeps one, in place of what was kept between the two. It does not wait.
func (s *Store) SaveSubscription(sub xmppbridge.Subscription) {
	s.note(func(l *later) { l.subscriptions[subscriptionKey{sub.Target, sub.Watcher}] = sub })
}

// ForgetSubscription forgets one. It does not wait.
func (s *Store) ForgetSubscription(target, watcher string) {
	s.note(func(l *later) { l.subscriptions[subscriptionKey{target, watcher}] = xmppbridge.Subscription{} })
}

// keptExecuted is how long a command is remembered: what is older than any replay is swept when others are saved, once a minute at most.
const keptExecuted = 10 * time.Minute

// Executed returns the commands carried out lately.
func (s *Store) Executed(ctx context.Context) ([]xmppbridge.Executed, error) {
	return rows(ctx, s, func(r *sql.Rows) (e xmppbridge.Executed, err error) {
		var at int64
		err = r.Scan(&e.From, &e.ID, &e.Sum, &at)
		e.At = time.UnixMilli(at)
		return e, err
	}, "SELECT sender, id, sum, at FROM executed WHERE at > ?", time.Now().Add(-keptExecuted).UnixMilli())
}

// SaveExecuted remembers one. It does not wait.
func (s *Store) SaveExecuted(e xmppbridge.Executed) {
	s.note(func(l *later) {
		n := l.of(e.From)
		if len(n.done) >= batchLength { // the disk does not answer: what nobody asks for any more is not kept for it
			maps.DeleteFunc(n.done, func(_ executedKey, at time.Time) bool { return e.At.Sub(at) > keptExecuted })
		}
		n.done[executedKey{e.ID, e.Sum}] = e.At
	})
}

// ForgetExecuted forgets what one sender had done. It does not wait.
func (s *Store) ForgetExecuted(from string) {
	s.note(func(l *later) {
		n := l.of(from)
		n.forget = true
		clear(n.done)
	})
}

// note keeps something for the writer.
func (s *Store) note(what func(*later)) {
	if !s.later.note(func() { what(&s.later) }) {
		s.log.Error("not stored", "err", errClosed)
	}
}
