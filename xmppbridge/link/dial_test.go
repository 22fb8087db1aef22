package link

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

func TestComponentBadInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server script
		want   error // nil: passes by itself
	}{
		"closes at once":        {says(""), nil},
		"closes mid-header":     {says(componentHeader[:60]), nil},
		"closes in the answer":  {says(componentHeader + "<handsha"), nil},
		"HTTP":                  {says("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrProtocol},
		"SSH":                   {says("SSH-2.0-OpenSSH_9.2\r\n"), ErrProtocol},
		"binary":                {says("\x15\x03\x01\x00\x02\x02\x28"), ErrProtocol},
		"bad UTF-8":             {says("<?xml version='1.0'?><stream:stream \xff\xfe>"), ErrProtocol},
		"HTML":                  {says("<html><body>It works!</body></html>"), ErrProtocol},
		"no id":                 {says(strings.Replace(componentHeader, "id='s1'", "", 1) + "<handshake/>"), ErrProtocol},
		"an end out of nowhere": {says(componentHeader + "</a>"), ErrProtocol},
		"the stream's end":      {says(componentHeader + "</stream:stream>"), ErrProtocol},
		"an unknown answer":     {says(componentHeader + "<iq/>"), ErrProtocol},
		"text as answer":        {says(componentHeader + "hello"), ErrProtocol},
		"a DTD":                 {says("<!DOCTYPE a [<!ENTITY b 'c'>]>" + componentHeader), ErrProtocol},
		"endless white space":   {says("<stream:stream" + strings.Repeat(" ", 1<<20)), ErrProtocol},
		"an endless attribute":  {says("<stream:stream id='" + strings.Repeat("a", 1<<20)), ErrProtocol},
		"an endless depth":      {says(componentHeader + strings.Repeat("<handshake>", 1<<17)), ErrProtocol},
		"an empty error":        {says(componentHeader + "<stream:error/>"), nil},
		"conflict":              {says(componentHeader + "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>taken\nalready</text></stream:error>"), ErrConflict},
		"not-authorized":        {says(componentHeader + "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"), ErrCredentials},
		"see-other-host":        {says(componentHeader + "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[::1]:99</see-other-host></stream:error>"), ErrRedirect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial, wait := scripted(c.server)
			defer wait()
			_, err := DialComponent(t.Context(), ComponentConfig{Domain: "gw.test", Secret: "s", Dial: dial})
			checkError(t, err, c.want)
		})
	}
}

// checkError wants an Error of a kind, or of none, that is a sentence on one line.
func checkError(t *testing.T, err, kind error) {
	t.Helper()
	known, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %T: %v", err, err)
	}
	if kind != nil && !errors.Is(err, kind) || kind == nil && known.Kind != nil {
		t.Errorf("got %v (%v), want %v", err, known.Kind, kind)
	}
	if !oneLine(err.Error()) || strings.Count(err.Error(), "127.0.0.1:5347") > 1 {
		t.Errorf("no sentence: %q", err)
	}
	t.Log(err)
}

func TestSilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	silent := func(conn net.Conn) error { _, err := io.Copy(io.Discard, conn); return err }
	for name, c := range map[string]struct {
		server script
		dial   func(ctx context.Context, d Dialer) error
	}{
		"component": {silent, func(ctx context.Context, d Dialer) error {
			_, err := DialComponent(ctx, ComponentConfig{Domain: "gw.test", Dial: d})
			return err
		}},
		"client": {silent, func(ctx context.Context, d Dialer) error {
			_, err := DialClient(ctx, ClientConfig{JID: "me@client.test", Server: "x:5222", Dial: d})
			return err
		}},
		"client in the TLS handshake": {silent, func(ctx context.Context, d Dialer) error {
			_, err := DialClient(ctx, ClientConfig{JID: "me@client.test", Server: "x:5223", Dial: d})
			return err
		}},
		"client after the bind request": {
			(&account{cert: cert, password: "p", answer: func(string) string { time.Sleep(time.Hour); return "" }}).serve,
			func(ctx context.Context, d Dialer) error {
				_, err := DialClient(ctx, ClientConfig{JID: "me@client.test", Resource: "r", Password: "p", Server: "x:5222", Dial: d, TLS: TLS{Pins: []Pin{pin}}})
				return err
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				dial, wait := scripted(c.server)
				err := c.dial(t.Context(), dial)
				if took := time.Since(start); err == nil || took != negotiationTimeout || !strings.Contains(err.Error(), "did not finish") {
					t.Errorf("after %v: %v", took, err)
				}
				// And a caller who has had enough is heard at once.
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start = time.Now()
				if err := c.dial(ctx, dial); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				wait()
			})
		})
	}
}

func TestClientNegotiation(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	const mechanism = `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>%s</mechanism></mechanisms>`
	for name, c := range map[string]struct {
		account   account
		change    func(*ClientConfig)
		mechanism string
		want      error // for no error: nil and a mechanism
	}{
		"bound to the channel": {account: account{password: "p"}, mechanism: "SCRAM-SHA-256-PLUS"},
		"without PLUS":         {account: account{password: "p", features: fmt.Sprintf(mechanism, "SCRAM-SHA-256")}, mechanism: "SCRAM-SHA-256"},
		"wrong password":       {account: account{password: "q"}, want: ErrCredentials},
		"only PLAIN":           {account: account{password: "p", features: fmt.Sprintf(mechanism, "PLAIN")}, want: ErrMechanism},
		"nothing after TLS":    {account: account{password: "p", features: "none"}, want: ErrProtocol},
		"nothing we know":      {account: account{password: "p", features: "<x xmlns='urn:example:x'/>"}, want: ErrProtocol},
		"another resource": {account: account{password: "p", answer: func(string) string {
			return `<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@client.test/other</jid></bind></iq>`
		}}, want: ErrLimit},
		"somebody else": {account: account{password: "p", answer: func(string) string {
			return `<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>you@client.test/lamp</jid></bind></iq>`
		}}, want: ErrProtocol},
		"no more streams": {account: account{password: "p", answer: func(string) string {
			return `<iq type='error' id='bind'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`
		}}, want: ErrLimit},
		"resource in use": {account: account{password: "p", answer: func(string) string {
			return `<iq type='error' id='bind'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`
		}}, want: ErrConflict},
		"another answer": {account: account{password: "p", answer: func(string) string { return `<message/>` }}, want: ErrProtocol},
		"another key":    {account: account{password: "p"}, change: func(c *ClientConfig) { c.TLS.Pins = []Pin{{}} }, want: ErrCertificate},
		"self-signed":    {account: account{password: "p"}, change: func(c *ClientConfig) { c.TLS.Pins = nil }, want: ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.account.cert = cert
			dial, wait := scripted(c.account.serve)
			cfg := ClientConfig{JID: "me@client.test", Resource: "lamp", Password: "p", Server: "x:5222", Dial: dial, TLS: TLS{Pins: []Pin{pin}}}
			if c.change != nil {
				c.change(&cfg)
			}
			conn, err := DialClient(t.Context(), cfg)
			if c.want != nil {
				checkError(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err, wait())
			}
			if conn.Mechanism != c.mechanism || conn.JID != "me@client.test/lamp" || !conn.Encrypted {
				t.Errorf("got %+v", conn)
			}
			// What the server sent together with the answer to the bind is still there.
			if e, err := stream.NewDecoder(conn, stream.Limits{}).Next(); err != nil || e.Body() != "first" {
				t.Errorf("first stanza: %v, %v", e, err)
			}
			_ = conn.Close()
			if errs := wait(); len(errs) > 0 {
				t.Error(errs)
			}
		})
	}
}

func TestClientBadInput(t *testing.T) {
	t.Parallel()
	const header = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0' from='client.test' id='s1'>`
	for name, c := range map[string]struct {
		server script
		want   error
	}{
		"closes at once":    {says(""), nil},
		"closes mid-header": {says(header[:70]), nil},
		"HTTP":              {says("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrProtocol},
		"no encryption":     {says(header + "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"), ErrNoTLS},
		"no features":       {says(header + "<stream:features/>"), ErrNoTLS},
		"TLS refused":       {says(header + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), ErrProtocol},
		"text before TLS":   {says(header + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message/><message/>"), ErrNoTLS},
		"endless features":  {says(header + "<stream:features>" + strings.Repeat("<a/>", 1<<17)), ErrProtocol},
		"host-unknown":      {says(header + "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"), ErrHost},
		"another host":      {says(strings.Replace(header, "client.test", "evil.test", 1) + "<stream:features/>"), ErrProtocol},
		"an old version":    {says(strings.Replace(header, "version='1.0' from", "from", 1) + "<stream:features/>"), ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial, wait := scripted(c.server)
			defer wait()
			_, err := DialClient(t.Context(), ClientConfig{JID: "me@client.test", Resource: "r", Password: "p", Server: "x:5222", Dial: dial})
			checkError(t, err, c.want)
		})
	}
}

func TestScramChallengesThatWouldHang(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	for name, challenge := range map[string]string{
		"empty":           "",
		"a short field":   "r=",
		"no fields":       "x",
		"too much work":   "r=%s,s=c2FsdA==,i=2000000000",
		"too little work": "r=%s,s=c2FsdA==,i=1",
		"no number":       "r=%s,s=c2FsdA==,i=99999999999999999999",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{cert: cert, features: `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>`}
			dial, wait := scripted(func(conn net.Conn) error {
				return a.serveChallenge(conn, challenge)
			})
			defer wait()
			_, err := DialClient(t.Context(), ClientConfig{JID: "me@client.test", Password: "p", Server: "x:5222", Dial: dial, TLS: TLS{Pins: []Pin{pin}}})
			checkError(t, err, ErrProtocol)
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	cfg := ComponentConfig{Domain: "gw.test", Secret: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, cfg); strings.Contains(got, "hunter2") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestParsePin(t *testing.T) {
	t.Parallel()
	pin := Pin{1, 2, 250}
	for _, s := range []string{pin.String(), strings.ToUpper(pin.String()), "sha256/" + base64.StdEncoding.EncodeToString(pin[:]), base64.RawStdEncoding.EncodeToString(pin[:])} {
		if got, err := ParsePin(s); err != nil || got != pin {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "abc", "zz", strings.Repeat("00", 31)} {
		if _, err := ParsePin(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
