package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// An Invitation lets somebody make an account, once.
type Invitation struct {
	Hash    string // of its token, in hexadecimal: the token itself is not kept
	Name    string // of the account; empty: any
	Role    string // viewer, operator or admin
	Expires time.Time
}

// ErrNoInvitation says that there is no such invitation any more.
var ErrNoInvitation = errors.New("there is no such invitation")

const invitationSchema = `
CREATE TABLE invitation (
	hash TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
`

// AddInvitation keeps an invitation.
func (s *Store) AddInvitation(ctx context.Context, i Invitation) error {
	return s.do(ctx, exec("INSERT INTO invitation (hash, name, role, expires) VALUES (?, ?, ?, ?)", i.Hash, i.Name, i.Role, i.Expires.Unix()))
}

// RemoveInvitation forgets an invitation; it is no error if there is none.
func (s *Store) RemoveInvitation(ctx context.Context, hash string) error {
	return s.do(ctx, exec("DELETE FROM invitation WHERE hash = ?", hash))
}

// AcceptInvitation makes an account and uses up the invitation it is made with: both or neither. ErrNoInvitation says that the
// invitation was used before, ErrExists that there is an account of that name.
func (s *Store) AcceptInvitation(ctx context.Context, hash string, a Account) error {
	credentials, err := json.Marshal(a.Credentials)
	if err != nil {
		return fmt.Errorf("store: account %s: %w", a.Name, err)
	}
	return s.do(ctx, func(tx *sql.Tx) error {
		result, err := tx.Exec("DELETE FROM invitation WHERE hash = ?", hash)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoInvitation)
		}
		return insertAccount(tx, a, string(credentials))
	})
}

// Invitations returns those that have not run out, and forgets the others.
func (s *Store) Invitations(ctx context.Context, now time.Time) ([]Invitation, error) {
	return rows(ctx, s, func(r *sql.Rows) (i Invitation, err error) {
		var expires int64
		err = r.Scan(&i.Hash, &i.Name, &i.Role, &expires)
		i.Expires = time.Unix(expires, 0)
		return i, err
	}, "SELECT hash, name, role, expires FROM invitation WHERE expires > ? ORDER BY expires, hash", now.Unix())
}
