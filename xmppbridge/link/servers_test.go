//go:build servers

package link

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

var (
	prosody  *xmpptest.Prosody  // shared: tests use components and accounts of their own
	ejabberd *xmpptest.Ejabberd // with its own default of ten streams an account
)

// startServers starts what the tests share, and returns what ends it.
func startServers() (stop func() error, err error) {
	if prosody, err = xmpptest.NewProsody(xmpptest.Options{}); err != nil {
		return nil, err
	}
	if ejabberd, err = xmpptest.NewEjabberd(xmpptest.EjabberdOptions{MaxSessions: 10}); err != nil {
		return nil, errors.Join(err, prosody.Close())
	}
	return func() error { return errors.Join(prosody.Close(), ejabberd.Close()) }, nil
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// ask sends an IQ over a negotiated connection and returns what comes next: nothing of it may have been lost.
func ask(t *testing.T, conn net.Conn, iq, until string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(iq)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buffer := make([]byte, 4096)
	for !strings.Contains(string(got), until) {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("reading: %v, after %q", err, got)
		}
		got = append(got, buffer[:n]...)
	}
	return string(got)
}

func componentConfig(s *xmpptest.Prosody, n int) ComponentConfig {
	return ComponentConfig{Domain: s.Components[n], Server: s.Component, Secret: xmpptest.Secret}
}

func clientConfig(s *xmpptest.Prosody, account, resource string) ClientConfig {
	return ClientConfig{
		JID: account + "@" + s.Domain, Resource: resource, Password: Secret(xmpptest.Password(account)),
		Server: s.C2S, TLS: TLS{CAFile: s.CAFile},
	}
}

func TestComponentHandshake(t *testing.T) {
	t.Parallel()
	conn, err := DialComponent(testContext(t), componentConfig(prosody, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	domain := prosody.Components[1]
	if conn.JID != domain || conn.Namespace != NSComponent || conn.Encrypted {
		t.Errorf("got %+v", conn)
	}
	got := ask(t, conn, "<iq type='get' id='p1' from='"+domain+"' to='"+prosody.Domain+"'><ping xmlns='urn:xmpp:ping'/></iq>", "/>")
	if !strings.HasPrefix(got, "<iq") || !strings.Contains(got, "p1") {
		t.Errorf("the first stanza after the handshake is %q", got)
	}
	// The second gateway is refused while the first is there.
	_, err = DialComponent(testContext(t), componentConfig(prosody, 1))
	if !errors.Is(err, ErrConflict) || Permanent(err) {
		t.Errorf("second component: got %v", err)
	}
}

func TestComponentRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*ComponentConfig)
		want   error
	}{
		"wrong secret":       {func(c *ComponentConfig) { c.Secret = "guess" }, ErrCredentials},
		"unknown domain":     {func(c *ComponentConfig) { c.Domain = "nobody.test" }, ErrHost},
		"not a domain":       {func(c *ComponentConfig) { c.Domain = "a@b" }, ErrConfig},
		"plain text outside": {func(c *ComponentConfig) { c.Server, c.Mode = "192.0.2.1:5347", ComponentTLSOff }, ErrNoTLS},
		"TLS on plain port":  {func(c *ComponentConfig) { c.Mode = ComponentTLSDirect }, ErrNoTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := componentConfig(prosody, 3)
			c.change(&cfg)
			_, err := DialComponent(testContext(t), cfg)
			if !errors.Is(err, c.want) || !Permanent(err) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			t.Log(err)
		})
	}
}

func TestClientBindsTheResourceAskedFor(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*ClientConfig){
		"STARTTLS":   func(*ClientConfig) {},
		"direct TLS": func(c *ClientConfig) { c.Server, c.DirectTLS = prosody.DirectTLS, true },
		"pinned":     func(c *ClientConfig) { c.TLS = TLS{Pins: []Pin{serverPin(t, prosody)}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := clientConfig(prosody, "gateway", "lamp "+name+" & <co>")
			change(&cfg)
			conn, err := DialClient(testContext(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.JID != cfg.JID+"/"+cfg.Resource || !conn.Encrypted {
				t.Errorf("bound %q (encrypted: %v), asked for %q", conn.JID, conn.Encrypted, cfg.Resource)
			}
			if conn.Mechanism != "SCRAM-SHA-256" { // 0.12 offers no -PLUS over TLS 1.3
				t.Errorf("logged in with %s", conn.Mechanism)
			}
			got := ask(t, conn, "<iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", "/>")
			if !strings.HasPrefix(got, "<iq") || !strings.Contains(got, "p1") {
				t.Errorf("the first stanza after the bind is %q", got)
			}
		})
	}
}

func TestClientBindsItsLoginToTheChannel(t *testing.T) {
	t.Parallel()
	server := xmpptest.StartProsody(t, xmpptest.Options{TLS12: true})
	for name, change := range map[string]func(*ClientConfig){
		"STARTTLS":   func(*ClientConfig) {},
		"direct TLS": func(c *ClientConfig) { c.Server, c.DirectTLS = server.DirectTLS, true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clientConfig(server, "gateway", "hub")
			change(&cfg)
			conn, err := DialClient(testContext(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Mechanism != "SCRAM-SHA-256-PLUS" {
				t.Errorf("logged in with %s", conn.Mechanism)
			}
		})
	}
}

func TestClientRefused(t *testing.T) {
	t.Parallel()
	other, err := xmpptest.NewCA("somebody else")
	if err != nil {
		t.Fatal(err)
	}
	otherFile := filepath.Join(t.TempDir(), "other.crt")
	if err := os.WriteFile(otherFile, other.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*ClientConfig)
		want   error
	}{
		"wrong password":                {func(c *ClientConfig) { c.Password = "guess" }, ErrCredentials},
		"no such account":               {func(c *ClientConfig) { c.JID = "nobody@" + prosody.Domain }, ErrCredentials},
		"certificate of another CA":     {func(c *ClientConfig) { c.TLS.CAFile = otherFile }, ErrCertificate},
		"another CA, direct":            {func(c *ClientConfig) { c.TLS.CAFile, c.Server, c.DirectTLS = otherFile, prosody.DirectTLS, true }, ErrCertificate},
		"certificate of another domain": {func(c *ClientConfig) { c.JID = "gateway@elsewhere.test" }, ErrHost},
		"another domain, direct": {func(c *ClientConfig) {
			c.JID, c.Server, c.DirectTLS = "gateway@elsewhere.test", prosody.DirectTLS, true
		}, ErrCertificate},
		"another key than the pinned one": {func(c *ClientConfig) { c.TLS = TLS{Pins: []Pin{{1}}} }, ErrCertificate},
		"no CA file":                      {func(c *ClientConfig) { c.TLS.CAFile = "/nonexistent" }, ErrConfig},
		"not an account":                  {func(c *ClientConfig) { c.JID = prosody.Domain }, ErrConfig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := clientConfig(prosody, "gateway2", "x")
			c.change(&cfg)
			_, err := DialClient(testContext(t), cfg)
			if !errors.Is(err, c.want) || !Permanent(err) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			t.Log(err)
		})
	}
}

func TestClientSendsNothingInTheClear(t *testing.T) {
	t.Parallel()
	naked := xmpptest.StartProsody(t, xmpptest.Options{NoTLS: true})
	_, err := DialClient(testContext(t), clientConfig(naked, "gateway", "hub"))
	if !errors.Is(err, ErrNoTLS) || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

// serverPin is the pin of the certificate in the server's directory.
func serverPin(t *testing.T, s *xmpptest.Prosody) Pin {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(filepath.Dir(s.CAFile), "server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := ParsePin(PinOf(cert).String())
	if err != nil {
		t.Fatal(err)
	}
	return pin
}
