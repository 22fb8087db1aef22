package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"tidings/xmppbridge"
)

// toldSchema is what of alerts is more than their text, what was sent of them lately, and who sends receipts.
const toldSchema = `
ALTER TABLE outbox ADD COLUMN alert TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN occasion INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN offer TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN chart INTEGER NOT NULL DEFAULT 0;
CREATE TABLE told (
	recipient TEXT NOT NULL, id TEXT NOT NULL, sender TEXT NOT NULL, alert TEXT NOT NULL, device TEXT NOT NULL, began INTEGER NOT NULL,
	body TEXT NOT NULL, at INTEGER NOT NULL, arrival INTEGER NOT NULL, PRIMARY KEY (recipient, id)
) WITHOUT ROWID;
CREATE TABLE receipting (person TEXT PRIMARY KEY) WITHOUT ROWID;
`

// keptTold is how many messages are kept for one person: as many as the bridge remembers.
const keptTold = xmppbridge.MaxTold

type toldKey struct{ to, id string }

// outgoingExtra are the columns of an alert that toldSchema added.
func outgoingExtra(m *xmppbridge.Outgoing) (offer string, began, chart int64, err error) {
	if len(m.Offer) > 0 {
		text, err := json.Marshal(m.Offer)
		if err != nil {
			return "", 0, 0, err
		}
		offer = string(text)
	}
	if !m.Began.IsZero() {
		began = m.Began.UnixMilli()
	}
	return offer, began, int64(m.Chart / time.Second), nil
}

// readOutgoing reads a row of the outbox.
func readOutgoing(r *sql.Rows) (m xmppbridge.Outgoing, err error) {
	var at, began, chart int64
	var offer string
	if err = r.Scan(&m.Seq, &m.ID, &m.To, &m.Device, &m.Body, &at, &m.Alert, &m.Occasion, &began, &offer, &chart); err != nil {
		return m, err
	}
	m.At, m.Chart = time.UnixMilli(at), time.Duration(chart)*time.Second
	if began != 0 {
		m.Began = time.UnixMilli(began)
	}
	if offer != "" {
		err = json.Unmarshal([]byte(offer), &m.Offer)
	}
	return m, err
}

// Told returns what was sent of alerts lately, oldest first.
func (s *Store) Told(ctx context.Context) ([]xmppbridge.Told, error) {
	return rows(ctx, s, func(r *sql.Rows) (t xmppbridge.Told, err error) {
		var began, at int64
		err = r.Scan(&t.To, &t.ID, &t.From, &t.Alert, &t.Device, &began, &t.Body, &at, &t.Arrival)
		t.Began, t.At = time.UnixMilli(began), time.UnixMilli(at)
		return t, err
	}, "SELECT recipient, id, sender, alert, device, began, body, at, arrival FROM told ORDER BY at")
}

// SaveTold keeps one, and not more than the latest of a person. It does not wait.
func (s *Store) SaveTold(t xmppbridge.Told) {
	s.note(func(l *later) { l.told[toldKey{t.To, t.ID}] = t })
}

// Receipting returns who has ever sent a receipt.
func (s *Store) Receipting(ctx context.Context) ([]string, error) {
	return rows(ctx, s, func(r *sql.Rows) (person string, err error) {
		err = r.Scan(&person)
		return person, err
	}, "SELECT person FROM receipting")
}

// SaveReceipting notes that somebody sends receipts. It does not wait.
func (s *Store) SaveReceipting(person string) {
	s.note(func(l *later) { l.receipting[person] = struct{}{} })
}

// saveTold is the change that writes one.
func saveTold(t xmppbridge.Told) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT OR REPLACE INTO told (recipient, id, sender, alert, device, began, body, at, arrival) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			t.To, t.ID, t.From, t.Alert, string(t.Device), t.Began.UnixMilli(), t.Body, t.At.UnixMilli(), t.Arrival)
		if err != nil {
			return err
		}
		_, err = tx.Exec("DELETE FROM told WHERE recipient = ?1 AND at < (SELECT at FROM told WHERE recipient = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)",
			t.To, keptTold-1)
		return err
	}
}
