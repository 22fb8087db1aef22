package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"tidings/devices"
	"tidings/xmppbridge/local"
)

var _ local.Store = (*Store)(nil)

// An Account is a person's account of the server inside.
type Account struct {
	Name        string // normalised localpart
	Role        string // viewer, operator or admin
	Credentials local.Credentials
}

// ErrExists says that there is an account of that name already.
var ErrExists = errors.New("there is an account of that name already")

// AddAccount makes an account.
func (s *Store) AddAccount(ctx context.Context, a Account) error {
	credentials, err := json.Marshal(a.Credentials)
	if err != nil {
		return fmt.Errorf("store: account %s: %w", a.Name, err)
	}
	return s.do(ctx, func(tx *sql.Tx) error { return insertAccount(tx, a, string(credentials)) })
}

func insertAccount(tx *sql.Tx, a Account, credentials string) error {
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM account WHERE name = ?", a.Name).Scan(&n); err != nil || n > 0 {
		return errors.Join(err, fmt.Errorf("account %s: %w", a.Name, ErrExists))
	}
	_, err := tx.Exec("INSERT INTO account (name, role, credentials) VALUES (?, ?, ?)", a.Name, a.Role, credentials)
	return err
}

// SetPassword gives an account other credentials; local.ErrNoAccount when there is none.
func (s *Store) SetPassword(ctx context.Context, name string, c local.Credentials) error {
	credentials, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("store: account %s: %w", name, err)
	}
	return s.do(ctx, updateAccount(name, "UPDATE account SET credentials = ? WHERE name = ?", string(credentials), name))
}

// SetRole gives an account another role; local.ErrNoAccount when there is none.
func (s *Store) SetRole(ctx context.Context, name, role string) error {
	return s.do(ctx, updateAccount(name, "UPDATE account SET role = ? WHERE name = ?", role, name))
}

// RemoveAccount forgets an account with all that is kept for it; local.ErrNoAccount when there is none.
func (s *Store) RemoveAccount(ctx context.Context, name string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if err := updateAccount(name, "DELETE FROM account WHERE name = ?", name)(tx); err != nil {
			return err
		}
		for _, table := range []string{"roster", "archive", "offline", "blocked", "node"} {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE account = ?", name); err != nil {
				return err
			}
		}
		return nil
	})
}

// updateAccount is the change of one statement to an account that has to be there.
func updateAccount(name, statement string, args ...any) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		result, err := tx.Exec(statement, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("account %s: %w", name, local.ErrNoAccount))
		}
		return nil
	}
}

// Accounts returns every account, by name.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	return rows(ctx, s, func(r *sql.Rows) (a Account, err error) {
		var credentials string
		if err = r.Scan(&a.Name, &a.Role, &credentials); err == nil {
			err = json.Unmarshal([]byte(credentials), &a.Credentials)
		}
		return a, err
	}, "SELECT name, role, credentials FROM account ORDER BY name")
}

// Credentials implements local.Store.
func (s *Store) Credentials(ctx context.Context, account string) (local.Credentials, error) {
	var text string
	var c local.Credentials
	err := s.db.QueryRowContext(ctx, "SELECT credentials FROM account WHERE name = ?", account).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("account %s: %w", account, local.ErrNoAccount)
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &c)
	}
	if err != nil {
		return c, fmt.Errorf("store: account %s: %w", account, err)
	}
	return c, nil
}

// Items implements local.Store.
func (s *Store) Items(ctx context.Context, account string) ([]local.Item, error) {
	return rows(ctx, s, func(r *sql.Rows) (item local.Item, err error) {
		var text string
		if err = r.Scan(&text); err == nil {
			err = json.Unmarshal([]byte(text), &item)
		}
		return item, err
	}, "SELECT item FROM roster WHERE account = ? ORDER BY jid", account)
}

// PutItem implements local.Store.
func (s *Store) PutItem(ctx context.Context, account string, item local.Item) error {
	text, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("store: roster of %s: %w", account, err)
	}
	return s.do(ctx, exec("INSERT OR REPLACE INTO roster (account, jid, item) VALUES (?, ?, ?)", account, item.JID, string(text)))
}

// DeleteItem implements local.Store.
func (s *Store) DeleteItem(ctx context.Context, account, jid string) error {
	return s.do(ctx, exec("DELETE FROM roster WHERE account = ? AND jid = ?", account, jid))
}

// Slugs returns the names devices have in addresses.
func (s *Store) Slugs(ctx context.Context) (map[devices.ID]string, error) {
	type pair struct {
		id   devices.ID
		slug string
	}
	list, err := rows(ctx, s, func(r *sql.Rows) (p pair, err error) {
		err = r.Scan(&p.id, &p.slug)
		return p, err
	}, "SELECT device, slug FROM slug")
	slugs := make(map[devices.ID]string, len(list))
	for _, p := range list {
		slugs[p.id] = p.slug
	}
	return slugs, err
}

// SaveSlugs keeps exactly these names.
func (s *Store) SaveSlugs(ctx context.Context, slugs map[devices.ID]string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM slug"); err != nil {
			return err
		}
		for id, slug := range slugs {
			if _, err := tx.Exec("INSERT INTO slug (device, slug) VALUES (?, ?)", string(id), slug); err != nil {
				return err
			}
		}
		return nil
	})
}

// State reads what was saved under a key into v; v is left alone when nothing was.
func (s *Store) State(ctx context.Context, key string, v any) error {
	var text string
	err := s.db.QueryRowContext(ctx, "SELECT value FROM state WHERE key = ?", key).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), v)
	}
	if err != nil {
		return fmt.Errorf("store: state %s: %w", key, err)
	}
	return nil
}

// SaveState keeps v as JSON under a key.
func (s *Store) SaveState(ctx context.Context, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: state %s: %w", key, err)
	}
	return s.do(ctx, saveState(key, text))
}

func saveState(key string, text []byte) func(*sql.Tx) error {
	return exec("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", key, string(text))
}
