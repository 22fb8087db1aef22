package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"tidings/xmppbridge/stream"
)

// script is a server written for one test: what it does with one connection. It runs on a goroutine of the dialler's.
type script func(conn net.Conn) error

// scripted returns a dialler that leads to a server that does what the script says, and a function that waits until all
// its connections are done with and returns their errors.
func scripted(s script) (Dialer, func() []error) {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		errs    []error
	)
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		running.Go(func() {
			defer there.Close()
			if err := s(there); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
		return here, nil
	}
	return dial, func() []error { running.Wait(); return errs }
}

// says is a server that reads whatever comes and writes text, then closes.
func says(text string) script {
	return func(conn net.Conn) error {
		go func() {
			buffer := make([]byte, 4096)
			for {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
			}
		}()
		_, _ = conn.Write([]byte(text))
		return nil
	}
}

const componentHeader = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='gw.test' id='s1'>`

// fakeServer is the server's side of a stream whose negotiation is complete.
type fakeServer struct {
	conn net.Conn
	dec  *stream.Decoder
}

// acceptComponent lets a component in, whatever its secret.
func acceptComponent(conn net.Conn) (*fakeServer, error) {
	f := &fakeServer{conn: conn, dec: stream.NewDecoder(conn, stream.Limits{})}
	if _, err := f.dec.Open(); err != nil {
		return nil, err
	}
	if err := f.write(componentHeader); err != nil {
		return nil, err
	}
	if _, err := f.dec.Next(); err != nil { // the handshake
		return nil, err
	}
	// In one write with what follows: nothing of it may get lost.
	return f, nil
}

func (f *fakeServer) write(text string) error {
	_, err := f.conn.Write([]byte(text))
	return err
}

// next returns the next stanza, or nil when the stream ends.
func (f *fakeServer) next() *stream.Element {
	e, err := f.dec.Next()
	if err != nil {
		return nil
	}
	return e
}

// echo sends an element back as it came, as a server does with what a component sends itself.
func (f *fakeServer) echo(e *stream.Element) error {
	_, err := f.conn.Write(e.AppendXML(nil))
	return err
}

// account is a server for clients: STARTTLS, SCRAM-SHA-256-PLUS bound by tls-exporter, bind.
type account struct {
	cert     tls.Certificate
	password string
	features string                       // after TLS, before login; default: SCRAM-SHA-256-PLUS and SCRAM-SHA-256
	answer   func(resource string) string // the answer to a bind; default: what was asked for
	then     func(*fakeServer) error      // once bound
}

// serve lets a client log in and bind.
func (a *account) serve(conn net.Conn) error {
	f, secure, err := a.secure(conn)
	if err != nil {
		return err
	}
	if err := f.open(a.offer()); err != nil {
		return nil // a client that does not believe the certificate
	}
	if ok, err := a.login(f, secure); err != nil || !ok {
		return err
	}
	if err := f.open(`<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>`); err != nil {
		return err
	}
	e := f.next()
	if e == nil {
		return nil
	}
	resource := e.First().ChildText("", "resource")
	answer := `<iq type='result' id='` + e.Attr("id") + `'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@client.test/` + resource + `</jid></bind></iq>`
	if a.answer != nil {
		answer = a.answer(resource)
	}
	err = f.write(answer + `<message from='client.test'><body>first</body></message>`)
	if a.then == nil || err != nil {
		return nil // a client that does not like the answer closes
	}
	return a.then(f)
}

// serveChallenge sends a challenge of the test's own, with the client's nonce where it says %s.
func (a *account) serveChallenge(conn net.Conn, challenge string) error {
	f, _, err := a.secure(conn)
	if err != nil {
		return err
	}
	if err := f.open(a.offer()); err != nil {
		return err
	}
	first, err := base64.StdEncoding.DecodeString(f.next().Content())
	if err != nil {
		return err
	}
	_, nonce, _ := strings.Cut(string(first), "r=")
	challenge = strings.Replace(challenge, "%s", nonce+"more", 1)
	_ = f.write(`<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>` + base64.StdEncoding.EncodeToString([]byte(challenge)) + `</challenge>`)
	return nil
}

func (a *account) offer() string {
	if a.features == "none" {
		return ""
	}
	if a.features != "" {
		return a.features
	}
	return `<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism></mechanisms>` +
		`<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/></sasl-channel-binding>`
}

// secure offers and does STARTTLS, unless the connection has TLS already.
func (a *account) secure(conn net.Conn) (*fakeServer, *tls.Conn, error) {
	f := &fakeServer{conn: conn, dec: stream.NewDecoder(conn, stream.Limits{})}
	if secure, ok := conn.(*tls.Conn); ok {
		return f, secure, nil
	}
	if err := f.open(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>`); err != nil {
		return nil, nil, err
	}
	if e := f.next(); !e.Is("urn:ietf:params:xml:ns:xmpp-tls", "starttls") {
		return nil, nil, fmt.Errorf("got %v instead of starttls", e)
	}
	if err := f.write(`<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`); err != nil {
		return nil, nil, err
	}
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{a.cert}})
	f.conn = secure
	f.dec.Reset(secure)
	return f, secure, nil
}

func (f *fakeServer) open(features string) error {
	if _, err := f.dec.Open(); err != nil {
		return err
	}
	return f.write(`<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' version='1.0' from='client.test' id='s1'>` +
		`<stream:features>` + features + `</stream:features>`)
}

func (a *account) login(f *fakeServer, secure *tls.Conn) (ok bool, err error) {
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		client, err := scram.SHA256.NewClient("me", a.password, "")
		if err != nil {
			return scram.StoredCredentials{}, err
		}
		return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	})
	if err != nil {
		return false, err
	}
	var conversation *scram.ServerConversation
	for {
		e := f.next()
		switch {
		case e == nil:
			return false, nil
		case e.Name == "auth" && e.Attr("mechanism") == "SCRAM-SHA-256-PLUS":
			state := secure.ConnectionState()
			binding, err := scram.NewTLSExporterBinding(&state)
			if err != nil {
				return false, err
			}
			conversation = server.NewConversationWithChannelBindingRequired(binding)
		case e.Name == "auth":
			conversation = server.NewConversation()
		}
		message, err := base64.StdEncoding.DecodeString(e.Content())
		if err != nil {
			return false, err
		}
		response, err := conversation.Step(string(message))
		if err != nil {
			return false, f.write(`<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/><text>no &amp; no</text></failure>`)
		}
		tag := "challenge"
		if conversation.Done() {
			tag = "success"
		}
		if err := f.write(`<` + tag + ` xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>` + base64.StdEncoding.EncodeToString([]byte(response)) + `</` + tag + `>`); err != nil || conversation.Done() {
			return err == nil, err
		}
	}
}

// selfSigned returns a certificate and its pin.
func selfSigned(t *testing.T) (tls.Certificate, Pin) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client.test"}, DNSNames: []string{"client.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}, PinOf(cert)
}

func oneLine(s string) bool { return s != "" && !strings.ContainsAny(s, "\n\r") }
