package local

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

// guests are the invitations of a test: token to name.
type guests struct {
	store *memory
	open  map[string]string // guarded by store.mu
	fail  error
}

func (g *guests) Open() bool {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	return len(g.open) > 0
}

func (g *guests) Invitation(token string) (string, bool) {
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	name, ok := g.open[token]
	return name, ok
}

func (g *guests) Accept(_ context.Context, token, name, password string) error {
	credentials, err := NewCredentials(password)
	g.store.mu.Lock()
	defer g.store.mu.Unlock()
	_, taken := g.store.accounts[name]
	_, open := g.open[token]
	switch {
	case g.fail != nil:
		return g.fail
	case !open:
		return ErrNoInvitation
	case taken:
		return ErrTaken
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	delete(g.open, token)
	g.store.accounts[name] = credentials
	return nil
}

// startInviting runs a server with invitations: TOKEN for any name, CAROL for carol.
func startInviting(t testing.TB, limits Limits) (*fixture, *guests) {
	store := people()
	g := &guests{store: store, open: map[string]string{"TOKEN": "", "CAROL": "carol"}}
	return startWith(t, limits, store, func(s *Server) { s.invites = g }), g
}

func preauth(token string) string {
	return "<iq type='set' to='" + testDomain + "'><preauth xmlns='" + nsPreauth + "' token='" + token + "'/></iq>"
}

func registration77(name, password string) string {
	return "<iq type='set'><query xmlns='" + nsRegister + "'><username>" + name + "</username><password>" + password + "</password></query></iq>"
}

const registerForm = "<iq type='get' to='" + testDomain + "'><query xmlns='" + nsRegister + "'/></iq>"

// An invitation makes an account once, and it logs in on the same stream or on another.
func TestRegister(t *testing.T) {
	t.Parallel()
	f, g := startInviting(t, Limits{})
	c := f.dial()
	c.startTLS(f.tls())
	features := c.open()
	for _, space := range []string{"http://jabber.org/features/iq-register", "urn:xmpp:ibr-token:0", "urn:xmpp:invite"} {
		if features.Child(space, "register") == nil {
			t.Errorf("no %s in %s", space, features)
		}
	}
	if got := condition(c.request(registerForm)); got != "cancel not-allowed" {
		t.Errorf("without an invitation: %q", got)
	}
	if e := c.request(preauth("TOKEN")); e.Attr("type") != "result" {
		t.Fatalf("preauth: %s", e)
	}
	form := c.request(registerForm).Child(nsRegister, "query")
	if form.Child(nsRegister, "username") == nil || form.Child(nsRegister, "password") == nil || form.Child(nsRegister, "instructions") == nil {
		t.Errorf("form %s", form)
	}
	for name, want := range map[string]string{
		registration77("alice", "x"):                                              "cancel conflict",
		registration77("", "x"):                                                   "modify not-acceptable",
		registration77("a@b", "x"):                                                "modify not-acceptable",
		registration77("dave", ""):                                                "modify not-acceptable",
		registration77("dave", "\u200b\u200e"):                                    "modify not-acceptable",
		registration77("dave", strings.Repeat("x", 600)):                          "modify not-acceptable",
		"<iq type='set'><query xmlns='" + nsRegister + "'><remove/></query></iq>": "cancel not-allowed",
	} {
		if got := condition(c.request(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if e := c.request(registration77("Dave", password)); e.Attr("type") != "result" {
		t.Fatalf("register: %s", e)
	}
	if got := condition(c.request(registration77("eve", password))); got != "cancel not-allowed" {
		t.Errorf("a second account: %q", got)
	}
	if failed := c.authenticate("SCRAM-SHA-256", conversation(t, "SCRAM-SHA-256", "dave", password, nil), nil); failed != "" {
		t.Fatalf("login on the same stream: %s", failed)
	}
	f.login("dave", "phone")

	// One that is for a name is for no other.
	c = f.secure()
	c.request(preauth("CAROL"))
	if name := c.request(registerForm).Child(nsRegister, "query").ChildText(nsRegister, "username"); name != "carol" {
		t.Errorf("the form names %q", name)
	}
	if got := condition(c.request(registration77("dora", password))); got != "modify not-acceptable" {
		t.Errorf("another name: %q", got)
	}
	if e := c.request(registration77("carol", password)); e.Attr("type") != "result" {
		t.Errorf("register: %s", e)
	}
	if g.Open() {
		t.Error("an invitation is left")
	}
	// With none left, nothing is said of them.
	c = f.dial()
	c.startTLS(f.tls())
	if features := c.open(); features.Child("", "register") != nil {
		t.Errorf("features %s", features)
	}
}

// Two streams with one invitation make one account.
func TestRegisterTwice(t *testing.T) {
	t.Parallel()
	f, g := startInviting(t, Limits{FailureDelay: time.Millisecond})
	first, second := f.secure(), f.secure()
	first.request(preauth("TOKEN"))
	second.request(preauth("TOKEN"))
	if e := first.request(registration77("dave", password)); e.Attr("type") != "result" {
		t.Fatalf("first: %s", e)
	}
	if got := condition(second.request(registration77("eve", password))); got != "cancel item-not-found" {
		t.Errorf("second: %q", got)
	}
	g.fail = errors.New("disk full")
	second.request(preauth("CAROL"))
	if got := condition(second.request(registration77("carol", password))); got != "cancel internal-server-error" {
		t.Errorf("a fault of ours: %q", got)
	}
}

func TestRegisterHostile(t *testing.T) {
	t.Parallel()
	f, _ := startInviting(t, Limits{PerAddress: 50, FailureDelay: time.Millisecond})
	for _, c := range []struct{ name, send, want string }{
		{"another domain", strings.Replace(preauth("TOKEN"), testDomain, "else.example", 1), stream.NotAuthorized},
		{"no id", preauth("TOKEN"), stream.NotAuthorized},
		{"two payloads", strings.Replace(preauth("TOKEN"), "</iq>", "<a/></iq>", 1), stream.NotAuthorized},
		{"another iq", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", stream.NotAuthorized},
		{"get of preauth", "<iq type='get' id='1'><preauth xmlns='" + nsPreauth + "' token='TOKEN'/></iq>", stream.NotAuthorized},
		{"many wrong tokens", strings.Repeat(numbered(preauth("WRONG")), 4), stream.PolicyViolation},
		{"long token", strings.Repeat(numbered(preauth(strings.Repeat("A", 500))), 4), stream.PolicyViolation},
		{"no token", strings.Repeat(numbered(preauth("")), 4), stream.PolicyViolation},
		{"many accounts", numbered(preauth("TOKEN")) + strings.Repeat(numbered(registration77("alice", "x")), 50), stream.PolicyViolation},
		{"in the clear", header + numbered(preauth("TOKEN")), stream.NotAuthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := f.dial()
			if c.name == "in the clear" {
				client.try(c.send)
				if _, err := client.dec.Open(); err != nil {
					t.Fatal(err)
				}
			} else {
				client = f.secure()
				client.try(c.send)
			}
			client.t = t
			if got := client.ended(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func numbered(iq string) string { return strings.Replace(iq, "<iq ", "<iq id='x' ", 1) }
