package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"mellium.im/xmpp/jid"

	"tidings/gateway/config"
	"tidings/gateway/store"
	"tidings/mapping"
	"tidings/xmppbridge/local"
)

// accounts knows the accounts of the server inside without asking the disk. In other modes there are none.
type accounts struct {
	mu     sync.RWMutex
	domain string // empty: no server inside
	roles  map[string]mapping.Role
}

func loadAccounts(ctx context.Context, s *store.Store, x config.XMPP) (*accounts, error) {
	list, err := s.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	a := &accounts{roles: map[string]mapping.Role{}}
	for _, account := range list {
		a.roles[account.Name], _ = mapping.ParseRole(account.Role)
	}
	if x.Mode == config.Local {
		a.domain = x.Address
	}
	return a, nil
}

// configure puts another [xmpp] in force and returns the access that belongs to it.
func (a *accounts) configure(x config.XMPP, access *mapping.Access) *mapping.Access {
	a.mu.Lock()
	a.domain = ""
	if x.Mode == config.Local {
		a.domain = x.Address
	}
	a.mu.Unlock()
	return a.over(access)
}

// over gives accounts their roles where [access] says nothing of them.
func (a *accounts) over(access *mapping.Access) *mapping.Access {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.domain == "" {
		return access
	}
	roles := make(map[string]mapping.Role, len(a.roles))
	for name, role := range a.roles {
		roles[name+"@"+a.domain] = role
	}
	return access.WithAccounts(roles)
}

func (a *accounts) is(name string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, ok := a.roles[name]
	return ok && a.domain != ""
}

func (a *accounts) names() []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []string
	if a.domain != "" {
		for name := range a.roles {
			out = append(out, name)
		}
	}
	return out
}

// addresses are the bare JIDs of all accounts.
func (a *accounts) addresses() []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []string
	if a.domain != "" {
		for name := range a.roles {
			out = append(out, name+"@"+a.domain)
		}
	}
	return out
}

func (a *accounts) set(name string, role mapping.Role) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if role == mapping.None {
		delete(a.roles, name)
	} else {
		a.roles[name] = role
	}
}

// warnRecipients says whom alerts name in vain. The server inside has people whose role is their account's, which a check
// of the file cannot see: only the gateway knows that nobody has such an account.
func (g *Gateway) warnRecipients(cfg *config.Config) {
	access := g.access.Load()
	for _, alert := range cfg.Mapping.Alerts {
		all := alert.To
		if alert.Escalate != nil {
			all = slices.Concat(all, alert.Escalate.To)
		}
		for _, to := range all {
			if access.Role(to) == mapping.None {
				g.log.Warn("alert names someone who has no account and no role, and is told nothing: `tidings account add`, or correct the name",
					"alert", alert.Name, "jid", to)
			}
		}
	}
}

// AddAccount makes an account of the server inside. The name may not be the hub's or a device's.
func (g *Gateway) AddAccount(ctx context.Context, name, role, password string) error {
	return g.newAccount(ctx, name, role, password, g.store.AddAccount)
}

// newAccount makes an account that insert puts into the store.
func (g *Gateway) newAccount(ctx context.Context, name, role, password string, insert func(context.Context, store.Account) error) error {
	cfg := g.config.Load()
	if cfg.XMPP.Mode != config.Local {
		return fmt.Errorf("account %s: accounts belong to mode = \"local\"; here they are the server's: give %s@… a role in [access]", name, name)
	}
	r, ok := mapping.ParseRole(role)
	if !ok {
		return fmt.Errorf("account %s: role %q is none of viewer, operator, admin", name, role)
	}
	name, err := g.newName(cfg, name)
	if err != nil {
		return err
	}
	credentials, err := local.NewCredentials(password)
	if err != nil {
		return fmt.Errorf("account %s: %w", name, badPassword{err})
	}
	err = insert(ctx, store.Account{Name: name, Role: role, Credentials: credentials})
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("account %s: %w", name, store.ErrExists)
	}
	if err != nil {
		return err
	}
	g.reload.Lock() // or a reload under way would be answered with what was in force before it
	defer g.reload.Unlock()
	g.accounts.set(name, r)
	g.addresses.Load().Reserve(name)
	g.accountsChanged()
	g.log.Info("account added", "account", name, "role", role)
	return nil
}

// RemoveAccount takes an account of the server inside away, with its contact list. Its clients are logged out.
func (g *Gateway) RemoveAccount(ctx context.Context, name string) error {
	return g.changeAccount(name, func(name string) error {
		if err := g.store.RemoveAccount(ctx, name); err != nil {
			return err
		}
		g.accounts.set(name, mapping.None)
		g.accountsChanged()
		g.logOut(name)
		g.log.Info("account removed", "account", name)
		return nil
	})
}

// SetRole gives an account of the server inside another role. What [access] says of it still comes first.
func (g *Gateway) SetRole(ctx context.Context, name, role string) error {
	r, ok := mapping.ParseRole(role)
	if !ok {
		return fmt.Errorf("account %s: role %q is none of viewer, operator, admin", name, role)
	}
	return g.changeAccount(name, func(name string) error {
		if err := g.store.SetRole(ctx, name, role); err != nil {
			return err
		}
		g.accounts.set(name, r)
		g.accountsChanged()
		g.log.Info("account has another role", "account", name, "role", role)
		return nil
	})
}

// SetPassword gives an account of the server inside another password. Its clients are logged out.
func (g *Gateway) SetPassword(ctx context.Context, name, password string) error {
	credentials, err := local.NewCredentials(password)
	if err != nil {
		return fmt.Errorf("account %s: %w", name, err)
	}
	return g.changeAccount(name, func(name string) error {
		if err := g.store.SetPassword(ctx, name, credentials); err != nil {
			return err
		}
		g.logOut(name)
		g.log.Info("account has another password", "account", name)
		return nil
	})
}

// changeAccount lets change work on an account that is there, by its normalised name, while nothing is replaced.
func (g *Gateway) changeAccount(name string, change func(name string) error) error {
	g.reload.Lock()
	defer g.reload.Unlock()
	if j, err := jid.New(name, "localhost", ""); err == nil {
		name = j.Localpart()
	}
	if !g.accounts.is(name) {
		return fmt.Errorf("account %s: there is none of that name: `tidings account list` shows those there are", name)
	}
	return change(name)
}

// logOut ends the streams of an account.
func (g *Gateway) logOut(name string) {
	if inside, ok := g.xmpp.Load().network.(*localNetwork); ok {
		inside.server.Drop(name)
	}
}

// Accounts are those of the server inside, by name, each with the role in force.
func (g *Gateway) Accounts() []AccountStatus {
	list := []AccountStatus{}
	for _, address := range g.accounts.addresses() {
		name, _, _ := strings.Cut(address, "@")
		list = append(list, AccountStatus{Name: name, JID: address, Role: g.access.Load().Role(address).String()})
	}
	slices.SortFunc(list, func(a, b AccountStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// accountsChanged puts what accounts there are in force.
func (g *Gateway) accountsChanged() {
	cfg := g.config.Load()
	access := g.accounts.over(cfg.Mapping.Access)
	g.access.Store(access)
	if b := g.bridge(); b != nil {
		b.Configure(cfg.Gateway.Name, access)
	}
	g.rosterChanged()
}

// renewCertificate has the server inside show the certificate that its files hold now, to those who connect from now on.
func (g *Gateway) renewCertificate(cfg *config.Config) error {
	inside, ok := g.xmpp.Load().network.(*localNetwork)
	if !ok {
		return nil
	}
	cert, _, err := g.certificate(cfg)
	if err != nil {
		return err
	}
	return inside.server.SetCertificate(cert)
}

// certificate is the one of the configuration, or the one made once. One that does not cover the domain is shown all the same,
// because people have compared its fingerprint, and told of: another is theirs to decide.
func (g *Gateway) certificate(cfg *config.Config) (cert tls.Certificate, fingerprint string, err error) {
	l, wayOut := cfg.XMPP.Local, "name one in cert_file that does"
	if l.CertFile == "" {
		wayOut = "remove " + filepath.Join(certificateDir(cfg), local.CertificateFile) + " and start the gateway again, and a new one is made"
		cert, fingerprint, err = local.Certificate(certificateDir(cfg), cfg.XMPP.Address, machineNames(l)...)
	} else if cert, err = tls.LoadX509KeyPair(l.CertFile, l.KeyFile); err != nil {
		err = fmt.Errorf("certificate %s: %w", l.CertFile, err)
	} else {
		fingerprint = local.Fingerprint(cert)
	}
	if err != nil {
		return cert, "", err
	}
	if why := cert.Leaf.VerifyHostname(cfg.XMPP.Address); why != nil {
		g.log.Warn("certificate is not for the domain: people's clients will warn of it or refuse it", "domain", cfg.XMPP.Address,
			"fingerprint", fingerprint, "err", why, "mend", wayOut)
	}
	return cert, fingerprint, nil
}
