//go:build servers

package scenario

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"tidings/xmppbridge/xmpptest"
)

// What the tests share. A scenario that stops a server has one of its own, and no house has the account of a person: what is for the
// person's bare JID would go to the hub, whose priority is higher.
var (
	prosody  *xmpptest.Prosody
	ejabberd *xmpptest.Ejabberd
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	var err error
	if prosody, err = xmpptest.NewProsody(shared("prosody.test", "alice", "bob", "mallory", "gateway", "gateway2", "gateway3",
		"gateway4", "gateway5", "gateway6", "gateway7", "gateway8", "gateway9")); err == nil {
		ejabberd, err = xmpptest.NewEjabberd(xmpptest.EjabberdOptions{Options: shared("ejabberd.test", "alice", "bob", "mallory")})
	}
	if err == nil {
		code = m.Run()
	}
	if prosody != nil {
		err = errors.Join(err, prosody.Close())
	}
	if ejabberd != nil {
		err = errors.Join(err, ejabberd.Close())
	}
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shared are the options of a server that scenarios share: with a component for each.
func shared(domain string, accounts ...string) xmpptest.Options {
	o := xmpptest.Options{Domain: domain, Accounts: accounts}
	for _, label := range []string{"gw.", "gw2.", "gw3.", "gw4.", "gw5.", "gw6."} {
		o.Components = append(o.Components, label+domain)
	}
	return o
}

// A ground is a place to hold a scenario on.
type ground struct {
	name    string
	xmpp    string                               // the section [xmpp], without its head
	domain  string                               // of people's accounts
	account string                               // client mode: the gateway's own, a bare JID
	things  string                               // otherwise: the domain of the devices
	login   func(name string) xmpptest.Login     // nil on the ground of the server inside: the house knows
	restart func(t testing.TB, meanwhile func()) // the server; nil where it is the gateway's own
	filled  bool                                 // the gateway may write contact lists
}

// strangers reports whether there can be people without a role: accounts of the server inside all have one.
func (g *ground) strangers() bool { return g.login != nil }

// asks reports whether people ask for a subscription: elsewhere the gateway gives them.
func (g *ground) asks() bool { return g.login != nil && !g.filled }

// bare is the bare JID of a device, or of the hub, which is called home.
func (g *ground) bare(name string) string {
	if g.account != "" {
		return g.account
	}
	return name + "@" + g.things
}

// full is the full JID.
func (g *ground) full(name string) string { return g.bare(name) + "/" + name }

// person is the bare JID of somebody's account.
func (g *ground) person(name string) string { return name + "@" + g.domain }

// server is what a ground needs of Prosody and ejabberd.
type server interface {
	Login(account string) xmpptest.Login
	Stop() error
	Start() error
}

func restarter(s server) func(testing.TB, func()) {
	return func(t testing.TB, meanwhile func()) {
		t.Helper()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		meanwhile()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

func component(name, domain, address, things string, s server) *ground {
	return &ground{
		name: name, domain: domain, things: things, login: s.Login, restart: restarter(s),
		xmpp: fmt.Sprintf("mode = %q\naddress = %q\nserver = %q\nsecret = %q\n", "component", things, address, xmpptest.Secret),
	}
}

func account(name string, p *xmpptest.Prosody, user string) *ground {
	return accountAt(name, p, p.Domain, p.C2S, p.CAFile, user)
}

// accountAt is an account of a server that is reached at an address.
func accountAt(name string, s server, domain, address, ca, user string) *ground {
	return &ground{
		name: name, domain: domain, account: user + "@" + domain, login: s.Login, restart: restarter(s),
		xmpp: fmt.Sprintf("mode = %q\naddress = %q\nserver = %q\nsecret = %q\ntls_ca_file = %q\n", "client", user+"@"+domain,
			address, xmpptest.Password(user), ca),
	}
}

// inside is the server inside the gateway.
func inside() *ground {
	const domain = "home.arpa"
	return &ground{
		name: "inside", domain: domain, things: domain,
		xmpp: fmt.Sprintf("mode = %q\naddress = %q\n", "local", domain) + "[xmpp.local]\nlisten = [\"127.0.0.1:0\"]\n",
	}
}

// A label keeps the scenarios that share a server apart: each has a component or an account of its own.
type label int

// grounds are all the places, for one scenario.
func grounds(n label) []*ground {
	return []*ground{
		component("prosody component", prosody.Domain, prosody.Component, prosody.Components[n], prosody),
		component("ejabberd component", ejabberd.Domain, ejabberd.ComponentAddrs[n], ejabberd.Components[n], ejabberd),
		account("prosody client", prosody, [...]string{"gateway", "gateway2", "gateway3", "gateway4", "gateway5"}[n]),
		inside(),
	}
}

// everywhere holds a scenario on every ground.
func everywhere(t *testing.T, n label, scenario func(*testing.T, *ground)) {
	t.Parallel()
	for _, g := range grounds(n) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			scenario(t, g)
		})
	}
}

// insideLogin is what a client needs to log in to the server inside, with the certificate the gateway has made.
func insideLogin(t testing.TB, addr net.Addr, dir, jid, password string) xmpptest.Login {
	t.Helper()
	host, text, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return xmpptest.Login{JID: jid, Password: password, Host: host, Port: port, CAFile: filepath.Join(dir, "xmpp.pem")}
}
