package local

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// binding makes what a client binds a connection by.
func binding(t *testing.T, kind string, conn net.Conn) *scram.ChannelBinding {
	t.Helper()
	tc := conn.(*tls.Conn)
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	state := tc.ConnectionState()
	var b scram.ChannelBinding
	var err error
	switch kind {
	case "":
		return nil
	case "tls-exporter":
		b, err = scram.NewTLSExporterBinding(&state)
	case "tls-server-end-point":
		b, err = scram.NewTLSServerEndpointBinding(&state)
	case "tls-unique":
		b = scram.NewTLSUniqueBinding(state.TLSUnique)
	default:
		b = scram.ChannelBinding{Type: scram.ChannelBindingType(kind), Data: []byte("nothing")}
	}
	if err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestLogin(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		types := []string{"tls-exporter", "tls-server-end-point"}
		if version == tls.VersionTLS12 {
			types = append(types, "tls-unique")
		}
		for _, direct := range []bool{false, true} {
			for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256"} {
				for _, kind := range append(types, "") {
					name := fmt.Sprintf("%s/direct=%v/%s/%s", tls.VersionName(version), direct, mechanism, kind)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						mechanism := mechanism
						if kind != "" {
							mechanism += "-PLUS"
						}
						c := f.dial()
						c.t = t
						config := f.tls()
						config.MinVersion, config.MaxVersion = version, version
						if direct {
							config.NextProtos = []string{"xmpp-client"}
							c.use(tls.Client(c.conn, config))
						} else {
							c.startTLS(config)
						}
						features := c.open()
						offered := features.String()
						if !strings.Contains(offered, ">"+mechanism+"<") {
							t.Fatalf("no %s in %s", mechanism, offered)
						}
						for _, x := range types {
							if !strings.Contains(offered, "type='"+x+"'") {
								t.Errorf("binding %s not announced: %s", x, offered)
							}
						}
						if strings.Contains(offered, "PLAIN") {
							t.Errorf("offered PLAIN")
						}
						talk := conversation(t, mechanism, "Alice", password, binding(t, kind, c.conn))
						if failed := c.authenticate(mechanism, talk, nil); failed != "" {
							t.Fatalf("failed: %s", failed)
						}
						c.open()
						if c.bind("r"); !strings.HasPrefix(c.full, "alice@home.example/") {
							t.Fatalf("bound %q", c.full)
						}
					})
				}
			}
		}
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	swap := func(n int, from, to string) func(int, string) string {
		return func(i int, s string) string {
			if i == n {
				return strings.Replace(s, from, to, 1)
			}
			return s
		}
	}
	rebind := func(to string) func(int, string) string { // another c= in the last message
		return func(i int, s string) string {
			if i == 2 {
				_, rest, _ := strings.Cut(s, ",")
				return "c=" + b64(to) + "," + rest
			}
			return s
		}
	}
	for _, c := range []struct {
		name, user, password, mechanism, binding string
		tamper                                   func(int, string) string
		want                                     string
	}{
		{name: "wrong password", password: "wrong", want: "not-authorized"},
		{name: "unknown user", user: "mallory", want: "not-authorized"},
		{name: "device as user", user: "lamp", want: "not-authorized"},
		{name: "user that is no localpart", user: "a b@c/d", want: "not-authorized"},
		{name: "wrong password bound", password: "wrong", mechanism: "SCRAM-SHA-256-PLUS", binding: "tls-exporter", want: "not-authorized"},
		{name: "downgrade", tamper: swap(1, "n,,", "y,,"), want: "not-authorized"},
		{name: "nonce of another", tamper: swap(2, "r=", "r=x"), want: "not-authorized"},
		{name: "binding data", mechanism: "SCRAM-SHA-256-PLUS", binding: "tls-exporter", tamper: rebind("p=tls-exporter,,other"), want: "not-authorized"},
		{name: "binding left out", mechanism: "SCRAM-SHA-256-PLUS", binding: "tls-exporter", tamper: rebind("n,,"), want: "not-authorized"},
		{name: "binding of another type", mechanism: "SCRAM-SHA-256-PLUS", binding: "tls-martian", want: "not-authorized"},
		{name: "header changed", tamper: rebind("y,,"), want: "not-authorized"},
		{name: "plus without binding", mechanism: "SCRAM-SHA-256-PLUS", want: "malformed-request"},
		{name: "binding without plus", tamper: swap(1, "n,,", "p=tls-exporter,,"), want: "malformed-request"},
		{name: "authzid of another", tamper: swap(1, "n,,", "n,a=bob@home.example,"), want: "invalid-authzid"},
		{name: "mandatory extension", tamper: swap(1, "n,,", "n,,m=x,"), want: "malformed-request"},
		{name: "no nonce", tamper: swap(1, ",r=", ",x="), want: "malformed-request"},
		{name: "no user", tamper: swap(1, "n=alice", "n="), want: "malformed-request"},
		{name: "bad escape", tamper: swap(1, "n=alice", "n=al=ice"), want: "malformed-request"},
		{name: "no proof", tamper: swap(2, ",p=", ",q="), want: "malformed-request"},
		{name: "short proof", tamper: swap(2, ",p=", ",p=AAAA,p="), want: "not-authorized"},
		{name: "empty proof", tamper: func(i int, s string) string {
			if i == 2 {
				return s[:strings.Index(s, ",p=")] + ",p="
			}
			return s
		}, want: "malformed-request"},
		{name: "not UTF-8", tamper: swap(1, "alice", "al\xffice"), want: "malformed-request"},
		{name: "plain", mechanism: "PLAIN", want: "invalid-mechanism"},
		{name: "unknown mechanism", mechanism: "X-MAGIC", want: "invalid-mechanism"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, Limits{FailureDelay: time.Millisecond})
			client := f.secure()
			user, pass, mechanism := c.user, c.password, c.mechanism
			if user == "" {
				user = "alice"
			}
			if pass == "" {
				pass = password
			}
			if mechanism == "" {
				mechanism = "SCRAM-SHA-256"
			}
			talk := conversation(t, mechanism, user, pass, binding(t, c.binding, client.conn))
			if got := client.authenticate(mechanism, talk, c.tamper); got != c.want {
				t.Errorf("failure %q, want %q", got, c.want)
			}
			// The stream goes on: the right password gets in.
			if got := client.authenticate("SCRAM-SHA-1", conversation(t, "SCRAM-SHA-1", "alice", password, nil), nil); got != "" {
				t.Errorf("second attempt: %s", got)
			}
		})
	}
}

// challenge asks for a challenge and gives up.
func (c *raw) challenge(user string) string {
	c.t.Helper()
	c.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-256'>" + b64("n,,n="+user+",r=abc") + "</auth>")
	e := c.next()
	if !e.Is(nsSASL, "challenge") {
		c.t.Fatalf("challenge: %s", e)
	}
	c.write("<abort xmlns='" + nsSASL + "'/>")
	if e := c.next(); e.First() == nil || e.First().Name != "aborted" {
		c.t.Fatalf("abort: %s", e)
	}
	_, salt, _ := strings.Cut(unb64(c.t, e.Content()), ",")
	return salt
}

// What is no account cannot be told from what is: the same kind of salt, the same one each time, also after a restart.
func TestAccountsCannotBeProbed(t *testing.T) {
	t.Parallel()
	limits := Limits{Attempts: 100}
	f, again := start(t, limits), start(t, limits)
	c, d := f.secure(), again.secure()
	real, fake := c.challenge("alice"), c.challenge("mallory")
	if len(real) != len(fake) || real[strings.Index(real, ",i="):] != fake[strings.Index(fake, ",i="):] {
		t.Errorf("challenges look different: %q, %q", real, fake)
	}
	if c.challenge("ALICE") != real || c.challenge("MALLORY") != fake {
		t.Errorf("the salt depends on how a name is spelt")
	}
	if d.challenge("mallory") != fake {
		t.Errorf("the salt of an unknown user changes with a restart")
	}
	if d.challenge("trudy") == fake {
		t.Errorf("all unknown users share a salt")
	}
}

// Clients on OpenSSL bind TLS 1.3 by tls-unique, with their Finished. It is not announced, and checked.
func TestBindingOfOpenSSL(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{FailureDelay: time.Millisecond})
	config, secrets := f.tls(), new(keyLog)
	config.KeyLogWriter = secrets
	config.MinVersion = tls.VersionTLS13
	c := f.dial()
	beneath := &sendTap{Conn: c.conn}
	conn := tls.Client(beneath, config)
	c.use(conn)
	if features := c.open(); strings.Contains(features.String(), "tls-unique") {
		t.Errorf("announced: %s", features)
	}
	mine := clientFinished(conn.ConnectionState().CipherSuite, secrets.secret, beneath.sent)
	if len(mine) == 0 {
		t.Fatal("no Finished in what the client sent")
	}
	b := scram.NewTLSUniqueBinding(append([]byte("x"), mine...))
	if got := c.authenticate("SCRAM-SHA-256-PLUS", conversation(t, "SCRAM-SHA-256", "alice", password, &b), nil); got != "not-authorized" {
		t.Errorf("another Finished: %q", got)
	}
	b = scram.NewTLSUniqueBinding(mine)
	if got := c.authenticate("SCRAM-SHA-256-PLUS", conversation(t, "SCRAM-SHA-256", "alice", password, &b), nil); got != "" {
		t.Errorf("failed: %s", got)
	}
}

// sendTap keeps what a client sends.
type sendTap struct {
	net.Conn
	sent []byte
}

func (s *sendTap) Write(b []byte) (int, error) {
	s.sent = append(s.sent, b...)
	return s.Conn.Write(b)
}

// Someone took the -PLUS mechanisms out of the list: the client could bind and believes that we cannot.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{FailureDelay: time.Millisecond})
	c := f.secure()
	if got := c.handLogin("y,,", "alice"); got != "not-authorized" {
		t.Errorf("downgraded: %q", got)
	}
	if got := c.handLogin("n,,", "alice"); got != "" {
		t.Errorf("a client that cannot bind: %q", got)
	}
}

// A client that knows the password and proves what it says still has to say what this exchange is about.
func TestProvenNonsense(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{FailureDelay: time.Millisecond, Attempts: 10})
	c := f.secure()
	for name, change := range map[string]func(string) string{
		"another nonce":       func(s string) string { return s + "x" },
		"only its own nonce":  func(s string) string { return s[:strings.Index(s, "r=")] + "r=abcdefgh" },
		"another header":      func(s string) string { return "c=" + b64("y,,") + s[strings.Index(s, ","):] },
		"header of a binding": func(s string) string { return "c=" + b64("p=tls-exporter,,x") + s[strings.Index(s, ","):] },
	} {
		if got := c.proven("n,,", "alice", change); got != "not-authorized" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := c.handLogin("n,,", "alice"); got != "" {
		t.Errorf("right: %q", got)
	}
}

// handLogin is a SCRAM client with a GS2 header of the caller's.
func (c *raw) handLogin(gs2, user string) string {
	c.t.Helper()
	return c.proven(gs2, user, func(s string) string { return s })
}

// proven is handLogin with the last message changed before it is proven.
func (c *raw) proven(gs2, user string, change func(string) string) string {
	c.t.Helper()
	bare := "n=" + user + ",r=abcdefgh"
	c.write("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-256'>" + b64(gs2+bare) + "</auth>")
	e := c.next()
	if e.Is(nsSASL, "failure") {
		return e.First().Name
	}
	first := unb64(c.t, e.Content())
	nonce, _, _ := strings.Cut(first, ",")
	final := change("c=" + b64(gs2) + "," + nonce)
	c.write("<response xmlns='" + nsSASL + "'>" + b64(final+",p="+b64(proof(c.t, first, bare+","+first+","+final))) + "</response>")
	if e = c.next(); e.Is(nsSASL, "failure") {
		return e.First().Name
	}
	return ""
}

func TestTooManyAttempts(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{FailureDelay: time.Millisecond})
	c := f.secure()
	for range 3 {
		if got := c.authenticate("SCRAM-SHA-256", conversation(t, "SCRAM-SHA-256", "alice", "wrong", nil), nil); got != "not-authorized" {
			t.Fatalf("failure %q", got)
		}
	}
	if got := c.ended(); got != "policy-violation" {
		t.Errorf("stream error %q", got)
	}
}

// Failures slow down the next login from the same address, on whatever connection.
func TestFailuresSlowDown(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{FailureDelay: 200 * time.Millisecond})
	f.secure().authenticate("SCRAM-SHA-256", conversation(t, "SCRAM-SHA-256", "alice", "wrong", nil), nil)
	before := time.Now()
	f.login("alice", "phone")
	if passed := time.Since(before); passed < 150*time.Millisecond {
		t.Errorf("logged in %v after a failure", passed)
	}
}

// A client written by others negotiates with us.
func TestMellium(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, m := range []sasl.Mechanism{sasl.ScramSha256Plus, sasl.ScramSha1Plus, sasl.ScramSha256, sasl.ScramSha1} {
			t.Run(tls.VersionName(version)+"/"+m.Name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				config := f.tls()
				config.MinVersion, config.MaxVersion = version, version
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				session, err := xmpp.NewClientSession(ctx, jid.MustParse("bob@"+testDomain), conn,
					xmpp.StartTLS(config), xmpp.SASL("", password, m), xmpp.BindResource())
				if err != nil {
					t.Fatal(err)
				}
				if got := session.LocalAddr(); got.Localpart() != "bob" || got.Resourcepart() == "" {
					t.Errorf("bound %s", got)
				}
				if err := session.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Streams: 2, PerAddress: 100})
	in := func() *raw {
		c := f.secure()
		if got := c.authenticate("SCRAM-SHA-256", conversation(t, "SCRAM-SHA-256", "alice", password, nil), nil); got != "" {
			t.Fatal(got)
		}
		features := c.open()
		if features.Child(nsBind, "bind") == nil || features.Child(nsSession, "session").Child(nsSession, "optional") == nil {
			t.Fatalf("features: %s", features)
		}
		return c
	}
	a := in()
	if got := condition(a.bind("\u200e")); got != "modify bad-request" {
		t.Errorf("resource that is none: %q", got)
	}
	if a.bind(""); len(a.full) < len("alice@home.example/")+10 {
		t.Errorf("resource made by the server: %q", a.full)
	}
	b := in()
	if b.bind("phone"); b.full != "alice@home.example/phone" {
		t.Errorf("bound %q", b.full)
	}
	c := in()
	if got := condition(c.bind("third")); got != "wait resource-constraint" {
		t.Errorf("one client too many: %q", got)
	}
	// The same resource again: the older one ends, the newer one is there.
	b.write("<presence/>")
	b.expect("own presence", presence("", b.full))
	if c.bind("phone"); c.full != "alice@home.example/phone" {
		t.Errorf("bound %q", c.full)
	}
	if got := b.ended(); got != stream.Conflict {
		t.Errorf("older stream: %q", got)
	}
	c.write("<presence/>")
	c.expect("own presence", presence("", c.full))
	f.house.await("one after the other", func() bool {
		return strings.Contains(strings.Join(f.house.events, ","),
			"available alice@home.example/phone,unavailable alice@home.example/phone,available alice@home.example/phone")
	})
	if got := c.request("<iq type='set'><session xmlns='" + nsSession + "'/></iq>"); got.Attr("type") != "result" {
		t.Errorf("session: %s", got)
	}
}
