package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
)

// The broker inside with TLS and no certificate makes one, keeps retained messages over a restart, and takes up other
// users with a reload, which cuts nobody else off.
func TestBrokerInside(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	users := filepath.Join(x.dir, "broker.users")
	for _, name := range []string{"alice", "bob"} {
		if err := broker.AddUser(users, broker.NewUser{Name: name, Password: "pw"}); err != nil {
			t.Fatal(err)
		}
	}
	text := trialFile + "[broker]\nlisten = []\ntls_listen = [\"127.0.0.1:0\"]\nusers_file = \"broker.users\"\n"
	x.write(text)
	x.start()
	if _, err := x.BrokerAddrs(x.context()); err != nil { // when it listens, there is a certificate
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(x.dir, broker.CertificateFile))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("certificate: %v", err)
	}
	connect := func(user string) (paho.Client, chan string) {
		addrs, err := x.BrokerAddrs(x.context())
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 10)
		c := paho.NewClient(paho.NewClientOptions().AddBroker("ssl://" + addrs[0].String()).SetClientID(user).SetUsername(user).SetPassword("pw").
			SetTLSConfig(&tls.Config{RootCAs: pool}).SetAutoReconnect(false).SetProtocolVersion(4).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- fmt.Sprintf("%s=%s", m.Topic(), m.Payload()) }))
		finish(t, c.Connect())
		t.Cleanup(func() { c.Disconnect(100) })
		return c, got
	}
	alice, _ := connect("alice")
	bob, _ := connect("bob")
	finish(t, alice.Publish("a", 1, true, "kept"))

	// bob's line goes.
	kept, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	only, _, _ := strings.Cut(string(kept), "bob:")
	if err := os.WriteFile(users, []byte(only+strings.Repeat("#\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := x.Reload(x.context()); err != nil {
		t.Fatal(err)
	}
	x.eventually("bob is cut off", func() bool { return !bob.IsConnectionOpen() })
	if !alice.IsConnectionOpen() {
		t.Error("alice is cut off")
	}
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.start()
	again, got := connect("alice")
	finish(t, again.Subscribe("#", 1, nil))
	if m := <-got; m != "a=kept" {
		t.Errorf("after a restart: %s", m)
	}
}

func finish(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("mqtt: %v", token.Error())
	}
}

// A broker that others reach is refused without users, whatever it listens with.
func TestBrokerIsNotLeftOpen(t *testing.T) {
	t.Parallel()
	for _, door := range []string{`listen = ["0.0.0.0:1883"]`, `tls_listen = ["[::]:8883"]`, `websocket = "192.0.2.1:9001"`, `tls_websocket = ":9001"`} {
		x := newTrial(t)
		x.write(trialFile + "[broker]\n" + door + "\n")
		if err := Check(x.file()); err == nil || !strings.Contains(err.Error(), "there are no users: set users_file") {
			t.Errorf("%s: %v", door, err)
		}
	}
}
