package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"tidings/drivers/mqtt/broker"
)

// pair writes a certificate for 127.0.0.1 with its key to a file, and returns the pool that believes it.
func pair(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text := append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

func TestEveryWayIn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "broker.pem")
	pool := pair(t, file)
	b, _ := start(t, broker.Options{
		Listen: []string{"127.0.0.1:0"}, TLSListen: []string{"127.0.0.1:0"}, WebSocket: "127.0.0.1:0", TLSWebSocket: "127.0.0.1:0",
		CertFile: file, KeyFile: file,
	})
	inside, got := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, inside.Subscribe("#", 1, nil))
	for i, scheme := range []string{"tcp://", "ssl://", "ws://", "wss://"} {
		c := paho.NewClient(paho.NewClientOptions().AddBroker(scheme + b.Addrs()[i].String() + "/mqtt").SetAutoReconnect(false).SetProtocolVersion(4).
			SetTLSConfig(&tls.Config{RootCAs: pool}))
		do(t, c.Connect())
		own := make(chan string, 1)
		do(t, c.Subscribe("back", 1, func(_ paho.Client, m paho.Message) { own <- string(m.Payload()) }))
		do(t, c.Publish("from", 1, false, scheme))
		want(t, got, "from="+scheme+" retained=false")
		do(t, inside.Publish("back", 1, false, scheme))
		want(t, own, scheme)
		want(t, got, "back="+scheme+" retained=false")
		c.Disconnect(1000)
	}
}

// A certificate that was renewed is shown to who connects then; while its files are wrong the old one is.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "broker.pem")
	old := pair(t, file)
	b, _ := start(t, broker.Options{TLSListen: []string{"127.0.0.1:0"}, CertFile: file, KeyFile: file})
	shown := func(pool *x509.CertPool) error {
		c, err := tls.Dial("tcp", b.Addrs()[0].String(), &tls.Config{RootCAs: pool})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := shown(old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("half of a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := shown(old); err != nil {
			t.Errorf("with a mistake in the file: %v", err)
		}
	}
	renewed := pair(t, file)
	if err := shown(renewed); err != nil {
		t.Errorf("the new one is not shown: %v", err)
	}
	if err := shown(old); err == nil {
		t.Error("the old one is still shown")
	}
}

// Without users a page of another site is not let in, nor one that calls this machine by a name of its own.
func TestPagesOfOthers(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{WebSocket: "127.0.0.1:0"})
	guarded, _ := start(t, broker.Options{WebSocket: "127.0.0.1:0", UsersFile: usersFile(t, broker.NewUser{Name: "a"})})
	for _, c := range []struct {
		host, origin string
		open, users  bool
	}{
		{"", "", true, true},
		{"", "http://localhost:8080", true, true},
		{"", "http://127.0.0.1", true, true},
		{"", "https://evil.example", false, true},
		{"", "null", false, true},
		{"evil.example", "http://evil.example", false, true},
		{"evil.example", "http://localhost", false, true},
	} {
		for at, let := range map[*broker.Broker]bool{b: c.open, guarded: c.users} {
			h := http.Header{}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			if c.host != "" {
				h.Set("Host", c.host)
			}
			ws, res, err := (&websocket.Dialer{Subprotocols: []string{"mqtt"}}).Dial("ws://"+at.Addrs()[0].String()+"/mqtt", h)
			if (err == nil) != let {
				t.Errorf("host %q, origin %q: %v, want %t", c.host, c.origin, err, let)
			}
			if err == nil {
				ws.Close()
			} else if res == nil || res.StatusCode != http.StatusForbidden {
				t.Errorf("host %q, origin %q: %v", c.host, c.origin, err)
			}
		}
	}
	ws, res, err := websocket.DefaultDialer.Dial("ws://"+b.Addrs()[0].String()+"/", nil)
	if err == nil {
		ws.Close()
		t.Error("a WebSocket of no subprotocol is let in")
	} else if res == nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("without a subprotocol: %v", err)
	}
}

// Packets need not begin where WebSocket messages do, and text is none.
func TestWebSocketMessages(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{WebSocket: "127.0.0.1:0"})
	dial := func() *websocket.Conn {
		ws, _, err := (&websocket.Dialer{Subprotocols: []string{"mqtt"}}).Dial("ws://"+b.Addrs()[0].String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		_ = ws.SetReadDeadline(time.Now().Add(20 * time.Second))
		return ws
	}
	ws := dial()
	packets := append(connectPacket("pieces"), 0xc0, 0) // and a PINGREQ
	for _, p := range [][]byte{packets[:1], packets[1:3], {}, packets[3:]} {
		if err := ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
			t.Fatal(err)
		}
	}
	var answer []byte
	for len(answer) < 6 {
		_, p, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		answer = append(answer, p...)
	}
	if string(answer) != "\x20\x02\x00\x00\xd0\x00" {
		t.Errorf("answered %x", answer)
	}
	ws = dial()
	if err := ws.WriteMessage(websocket.TextMessage, packets); err != nil {
		t.Fatal(err)
	}
	if _, p, err := ws.ReadMessage(); err == nil {
		t.Errorf("text was answered with %x", p)
	}
}

// connectPacket is a CONNECT of MQTT 3.1.1 without a user.
func connectPacket(id string) []byte {
	body := append([]byte("\x00\x04MQTT\x04\x02\x00\x00\x00"), byte(len(id)))
	return append([]byte{0x10, byte(len(body) + len(id))}, append(body, id...)...)
}
