package store

import (
	"context"
	"database/sql"

	"tidings/xmppbridge"
)

// Given returns what was put into people's contact lists.
func (s *Store) Given(ctx context.Context) ([]xmppbridge.Given, error) {
	return rows(ctx, s, func(r *sql.Rows) (g xmppbridge.Given, err error) {
		err = r.Scan(&g.Watcher, &g.Target, &g.Name, &g.Group)
		return g, err
	}, "SELECT watcher, target, name, place FROM given ORDER BY watcher, target")
}

// SaveGiven keeps one, in place of what was kept between the two.
func (s *Store) SaveGiven(ctx context.Context, g xmppbridge.Given) error {
	return s.do(ctx, exec("INSERT OR REPLACE INTO given (watcher, target, name, place) VALUES (?, ?, ?, ?)",
		g.Watcher, g.Target, g.Name, g.Group))
}

// ForgetGiven forgets one; it is no error if there is none.
func (s *Store) ForgetGiven(ctx context.Context, watcher, target string) error {
	return s.do(ctx, exec("DELETE FROM given WHERE watcher = ? AND target = ?", watcher, target))
}
