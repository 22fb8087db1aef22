package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/gateway/config"
	"tidings/gateway/store"
	"tidings/mapping"
	"tidings/xmppbridge"
	"tidings/xmppbridge/local"
)

const (
	// maxInvitations bounds those that nobody has used yet.
	maxInvitations = 100
	// An invitation is good for this long where nothing is said, and may be for so long.
	defaultInvitation  = 3 * 24 * time.Hour
	longestInvitation  = 90 * 24 * time.Hour
	shortestInvitation = time.Minute
)

// An InvitationRequest asks for an invitation to the server inside.
type InvitationRequest struct {
	Role    string        `json:"role"`              // of the account that is made
	Name    string        `json:"name,omitempty"`    // of the account; empty: whoever is invited chooses
	Expires time.Duration `json:"expires,omitempty"` // how long it is good; 0: three days
}

// An InvitationStatus is an invitation that nobody has used yet.
type InvitationStatus struct {
	ID      string    `json:"id"` // to withdraw it by; tells nothing of its token
	Role    string    `json:"role"`
	Name    string    `json:"name,omitempty"`
	Expires time.Time `json:"expires"`
	URI     string    `json:"uri,omitempty"` // only when it is made: it is not kept
}

// invitations are those that can be used, by the hash of their tokens.
type invitations struct {
	mu   sync.Mutex
	open map[string]store.Invitation
}

func loadInvitations(ctx context.Context, s *store.Store) (*invitations, error) {
	list, err := s.Invitations(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	i := &invitations{open: map[string]store.Invitation{}}
	for _, one := range list {
		i.open[one.Hash] = one
	}
	return i, nil
}

// all are the invitations that have not run out by now; the others are forgotten, and returned to be forgotten for good.
func (i *invitations) all(now time.Time) (open, over []store.Invitation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for hash, one := range i.open {
		if now.Before(one.Expires) {
			open = append(open, one)
		} else {
			over = append(over, one)
			delete(i.open, hash)
		}
	}
	slices.SortFunc(open, func(a, b store.Invitation) int { return a.Expires.Compare(b.Expires) })
	return open, over
}

func (i *invitations) get(hash string, now time.Time) (store.Invitation, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	one, ok := i.open[hash]
	return one, ok && now.Before(one.Expires)
}

func (i *invitations) set(one store.Invitation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open[one.Hash] = one
}

func (i *invitations) remove(hash string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.open, hash)
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// idLength is how much of a hash stands for an invitation.
const idLength = 8

func invitationStatus(i store.Invitation) InvitationStatus {
	return InvitationStatus{ID: i.Hash[:idLength], Role: i.Role, Name: i.Name, Expires: i.Expires}
}

// InviteAccount makes an invitation to the server inside: a link with which somebody makes an account, once. It is told this one time.
func (g *Gateway) InviteAccount(ctx context.Context, r InvitationRequest) (InvitationStatus, error) {
	cfg := g.config.Load()
	if cfg.XMPP.Mode != config.Local {
		return InvitationStatus{}, errors.New(`invitation: accounts belong to mode = "local"; here they are the server's: give people a role in [access]`)
	}
	if _, ok := mapping.ParseRole(r.Role); !ok {
		return InvitationStatus{}, fmt.Errorf("invitation: role %q is none of viewer, operator, admin", r.Role)
	}
	if r.Expires == 0 {
		r.Expires = defaultInvitation
	}
	if r.Expires < shortestInvitation || r.Expires > longestInvitation {
		return InvitationStatus{}, fmt.Errorf("invitation: it can be good for one minute to %s", mapping.Duration(longestInvitation))
	}
	at := ""
	if r.Name != "" {
		var err error
		if r.Name, err = g.newName(cfg, r.Name); err != nil {
			return InvitationStatus{}, err
		}
		if g.accounts.is(r.Name) {
			return InvitationStatus{}, fmt.Errorf("account %s: %w", r.Name, store.ErrExists)
		}
		at = url.PathEscape(r.Name) + "@"
	}
	open, over := g.invitations.all(time.Now())
	for _, one := range over {
		if err := g.store.RemoveInvitation(ctx, one.Hash); err != nil {
			return InvitationStatus{}, err
		}
	}
	if len(open) >= maxInvitations {
		return InvitationStatus{}, fmt.Errorf("invitation: %d are open: `tidings invite --list` shows them, and --withdraw takes one back", len(open))
	}
	token := rand.Text()
	one := store.Invitation{Hash: tokenHash(token), Name: r.Name, Role: r.Role, Expires: time.Now().Add(r.Expires).Truncate(time.Second)}
	if err := g.store.AddInvitation(ctx, one); err != nil {
		return InvitationStatus{}, err
	}
	g.invitations.set(one)
	g.log.Info("invitation made", "id", one.Hash[:idLength], "role", one.Role, "account", one.Name, "expires", one.Expires)
	status := invitationStatus(one)
	status.URI = "xmpp:" + at + cfg.XMPP.Address + "?register;preauth=" + token
	return status, nil
}

// Invitations are those that nobody has used yet, the first to run out first.
func (g *Gateway) Invitations() []InvitationStatus {
	list := []InvitationStatus{}
	open, _ := g.invitations.all(time.Now())
	for _, one := range open {
		list = append(list, invitationStatus(one))
	}
	return list
}

// WithdrawInvitation takes an invitation back.
func (g *Gateway) WithdrawInvitation(ctx context.Context, id string) error {
	open, _ := g.invitations.all(time.Now())
	for _, one := range open {
		if one.Hash[:idLength] != id {
			continue
		}
		if err := g.store.RemoveInvitation(ctx, one.Hash); err != nil {
			return err
		}
		g.invitations.remove(one.Hash)
		g.log.Info("invitation withdrawn", "id", id)
		return nil
	}
	return fmt.Errorf("invitation %s: there is none of that number: `tidings invite --list` shows those that are open", id)
}

// inviter is what the house's command "Invite someone…" does; nil where there are no accounts.
func (g *Gateway) inviter(cfg *config.Config) xmppbridge.Inviter {
	if cfg.XMPP.Mode != config.Local {
		return nil
	}
	return func(ctx context.Context, role, name string, lasts time.Duration) (string, error) {
		made, err := g.InviteAccount(ctx, InvitationRequest{Role: role, Name: name, Expires: lasts})
		return made.URI, err
	}
}

// doorkeeper is what the server inside asks of invitations.
type doorkeeper struct{ g *Gateway }

func (d doorkeeper) Open() bool {
	open, _ := d.g.invitations.all(time.Now())
	return len(open) > 0
}

func (d doorkeeper) Invitation(token string) (name string, ok bool) {
	one, ok := d.g.invitations.get(tokenHash(token), time.Now())
	return one.Name, ok
}

// Accept is done by a goroutine of the gateway's own: a reload under way holds accounts, and waits for the connection that asks.
func (d doorkeeper) Accept(ctx context.Context, token, name, password string) error {
	hash := tokenHash(token)
	one, ok := d.g.invitations.get(hash, time.Now())
	if !ok {
		return local.ErrNoInvitation
	}
	err := d.g.detached(ctx, func(ctx context.Context) error {
		err := d.g.newAccount(ctx, name, one.Role, password, func(ctx context.Context, a store.Account) error {
			return d.g.store.AcceptInvitation(ctx, hash, a)
		})
		if err == nil || errors.Is(err, store.ErrNoInvitation) {
			d.g.invitations.remove(hash)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNoInvitation):
		return local.ErrNoInvitation
	case errors.Is(err, store.ErrExists), errors.Is(err, errOurs):
		return local.ErrTaken
	case errors.Is(err, errName), errors.As(err, new(badPassword)):
		return local.ErrUnfit
	}
	return err
}

// newName normalises a name that an account may have. It may not be the hub's or a device's.
func (g *Gateway) newName(cfg *config.Config, name string) (string, error) {
	j, err := jid.New(name, cfg.XMPP.Address, "")
	if err != nil || j.Localpart() == "" {
		return "", fmt.Errorf("account %q: %w", name, errName)
	}
	if t, taken := g.addresses.Load().Resolve(j.String()); taken {
		what := "the gateway itself"
		if t.Kind == mapping.ToDevice {
			what = "a device"
		}
		return "", fmt.Errorf("account %s: that is %w of %s: choose another name", name, errOurs, what)
	}
	return j.Localpart(), nil
}

// badPassword is a password that cannot be one.
type badPassword struct{ error }

// Why a name cannot be an account's.
var (
	errName = errors.New("this cannot be the name of an account: use letters, digits, dots and hyphens")
	errOurs = errors.New("the address")
)
