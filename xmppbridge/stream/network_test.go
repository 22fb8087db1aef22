package stream

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// tlsPair is tcpPair with TLS on it, near being the server.
func tlsPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.org"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	a, b := tcpPair(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client := tls.Client(b, &tls.Config{RootCAs: roots, ServerName: "example.org"})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// TestStreamTellsThePeerItsMistake needs a network, where closing over unread bytes
// would destroy the explanation.
func TestStreamTellsThePeerItsMistake(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string]func(*testing.T) (net.Conn, net.Conn){"TCP": tcpPair, "TLS": tlsPair} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t)
			r := runOn(t, near, far, Options{Limits: Limits{Bytes: 4096}})
			wrote := make(chan struct{})
			go func() {
				defer close(wrote)
				// More than the limit and much more than what was read when it
				// was noticed. The end may meet a connection that is gone.
				_, _ = io.WriteString(far, "<message><body>"+strings.Repeat("x", 500_000))
			}()
			if e := ParseStreamError(r.hear()); e == nil || e.Condition != PolicyViolation {
				t.Errorf("heard %v", e)
			}
			r.hearEnd()
			<-wrote
			far.Close()
			var e *Error
			if err := <-r.end; !errors.As(err, &e) || e.Remote || e.Condition != PolicyViolation {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestAbortTellsWhy(t *testing.T) {
	t.Parallel()
	near, far := tcpPair(t)
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = io.WriteString(far, strings.Repeat("x", 100_000))
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		Abort(near, &Error{Condition: NotAuthorized})
	}()
	d := NewDecoder(far, Limits{})
	if e, err := d.Next(); err != nil || ParseStreamError(e).Condition != NotAuthorized {
		t.Errorf("heard %v, %v", e, err)
	}
	<-wrote
	far.Close()
	<-done
}

// TestStreamUnderLoad has many goroutines ask and send at once on a TLS connection; everything is
// answered, and arrives once and in the order of its sender.
func TestStreamUnderLoad(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 200
	near, far := tlsPair(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)

	next := map[string]int{} // by sender, on the goroutine of Handle
	var server *Stream
	server = NewStream(near, NewDecoder(near, Limits{}), Options{Handle: func(e *Element) {
		if IsRequest(e) {
			if err := server.Send(Result(e)); err != nil {
				t.Error(err)
			}
			return
		}
		from := e.Attr("from")
		if got := e.Body(); got != fmt.Sprint(next[from]) {
			t.Errorf("%s: message %s, want %d", from, got, next[from])
		}
		next[from]++
	}})
	client := NewStream(far, NewDecoder(far, Limits{}), Options{})
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- client.Run(ctx) }()

	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			from := fmt.Sprint("sender", i)
			for n := range each {
				if err := client.Send(New(NS, "message", "from", from).Add(New(NS, "body").AddText(fmt.Sprint(n)))); err != nil {
					t.Error(err)
					return
				}
				if _, err := client.Request(ctx, New(NS, "iq", "type", "get", "to", "a@b", "from", from)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for i := range senders {
		if n := next[fmt.Sprint("sender", i)]; n != each {
			t.Errorf("sender %d: %d messages arrived", i, n)
		}
	}
}
