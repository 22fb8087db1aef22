package store

import (
	"context"
	"database/sql"

	"tidings/xmppbridge"
)

// nodeSchema is the step that brings the tables of this file.
const nodeSchema = `
CREATE TABLE node_subscription (
	device TEXT NOT NULL, point TEXT NOT NULL, jid TEXT NOT NULL, PRIMARY KEY (device, point, jid)
) WITHOUT ROWID;
CREATE TABLE published (service TEXT NOT NULL, node TEXT NOT NULL, PRIMARY KEY (service, node)) WITHOUT ROWID;
`

// NodeSubscriptions returns the subscriptions to nodes of our own.
func (s *Store) NodeSubscriptions(ctx context.Context) ([]xmppbridge.NodeSubscription, error) {
	return rows(ctx, s, func(r *sql.Rows) (n xmppbridge.NodeSubscription, err error) {
		err = r.Scan(&n.Device, &n.Point, &n.JID)
		return n, err
	}, "SELECT device, point, jid FROM node_subscription ORDER BY device, point, jid")
}

// SaveNodeSubscription keeps one. It does not wait.
func (s *Store) SaveNodeSubscription(n xmppbridge.NodeSubscription) {
	s.note(func(l *later) { l.nodes[n] = true })
}

// ForgetNodeSubscription forgets one. It does not wait.
func (s *Store) ForgetNodeSubscription(n xmppbridge.NodeSubscription) {
	s.note(func(l *later) { l.nodes[n] = false })
}

func writeNodeSubscription(n xmppbridge.NodeSubscription, keep bool) func(*sql.Tx) error {
	if keep {
		return exec("INSERT OR IGNORE INTO node_subscription (device, point, jid) VALUES (?, ?, ?)", string(n.Device), n.Point, n.JID)
	}
	return exec("DELETE FROM node_subscription WHERE device = ? AND point = ? AND jid = ?", string(n.Device), n.Point, n.JID)
}

// Published returns the nodes made at services.
func (s *Store) Published(ctx context.Context) ([]xmppbridge.PublishedNode, error) {
	return rows(ctx, s, func(r *sql.Rows) (n xmppbridge.PublishedNode, err error) {
		err = r.Scan(&n.Service, &n.Node)
		return n, err
	}, "SELECT service, node FROM published ORDER BY service, node")
}

// SavePublished keeps one.
func (s *Store) SavePublished(ctx context.Context, n xmppbridge.PublishedNode) error {
	return s.do(ctx, exec("INSERT OR IGNORE INTO published (service, node) VALUES (?, ?)", n.Service, n.Node))
}

// ForgetPublished forgets one.
func (s *Store) ForgetPublished(ctx context.Context, n xmppbridge.PublishedNode) error {
	return s.do(ctx, exec("DELETE FROM published WHERE service = ? AND node = ?", n.Service, n.Node))
}
