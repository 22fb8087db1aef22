package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"tidings/drivers/mqtt/broker"
)

const patience = 20 * time.Second

// station is a broker inside and a client of it that plays the devices.
type station struct {
	t      testing.TB
	broker *broker.Broker
	client paho.Client
	heard  chan string // topic=payload of what the client hears
}

func newStation(t testing.TB, o broker.Options) *station {
	t.Helper()
	o.Log = testLog(t).With("side", "broker")
	s := &station{t: t, broker: broker.New(o), heard: make(chan string, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.broker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := s.broker.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.client = connectClient(t, "devices", s.heard, func() (net.Conn, error) { return s.broker.Dial(ctx) })
	return s
}

// connectClient connects a plain client for the length of the test.
func connectClient(t testing.TB, id string, heard chan<- string, dial func() (net.Conn, error)) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(id).SetAutoReconnect(false).
		SetProtocolVersion(4).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return dial() }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			heard <- m.Topic() + "=" + string(m.Payload())
		}))
	done(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(250) })
	return c
}

func done(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("paho: %v", token.Error())
	}
}

// say publishes as a device and waits until the broker has it.
func (s *station) say(topic, payload string, retained bool) {
	s.t.Helper()
	done(s.t, s.client.Publish(topic, 1, retained, payload))
}

func (s *station) listen(topics ...string) {
	s.t.Helper()
	for _, topic := range topics {
		done(s.t, s.client.Subscribe(topic, 1, nil))
	}
}

func (s *station) expect(want string) {
	s.t.Helper()
	select {
	case got := <-s.heard:
		if got != want {
			s.t.Errorf("heard %q, want %q", got, want)
		}
	case <-time.After(patience):
		s.t.Errorf("heard nothing, want %q", want)
	}
}

// serve accepts on a free port for the length of the test. handle owns its connection until it returns.
func serve(t testing.TB, config *tls.Config, handle func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := raw
			if config != nil {
				c = tls.Server(raw, config)
			}
			mu.Lock()
			open[raw] = true
			mu.Unlock()
			all.Go(func() {
				handle(c)
				mu.Lock()
				delete(open, raw)
				mu.Unlock()
				_ = raw.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// relay joins a connection to the broker.
func (s *station) relay(c net.Conn) {
	in, err := s.broker.Dial(context.Background())
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(in, c)
		_ = in.Close()
	})
	_, _ = io.Copy(c, in)
	_ = c.Close()
	both.Wait()
}

// authority signs certificates.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.key, a.cert = a.make(t, "ca", &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	return a
}

// file is the path of NAME.crt or NAME.key in PEM.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) make(t testing.TB, name string, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-2 * time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(a.file(name+file), pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return key, cert
}

// issue makes NAME.crt and NAME.key, for this process unless hosts are named.
func (a *authority) issue(t testing.TB, name string, template *x509.Certificate) tls.Certificate {
	t.Helper()
	if len(template.DNSNames) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), own}
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	key, cert := a.make(t, name, template)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func writePEM(t testing.TB, cert *x509.Certificate) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// framed is the server's side of MQTT over WebSocket, written for the tests alone.
type framed struct {
	net.Conn
	ws   *websocket.Conn
	rest []byte
}

func (f *framed) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		_, message, err := f.ws.ReadMessage()
		if err != nil {
			return 0, err
		}
		f.rest = message
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *framed) Write(p []byte) (int, error) {
	return len(p), f.ws.WriteMessage(websocket.BinaryMessage, p)
}
