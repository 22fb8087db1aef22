package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"tidings/devices/schema"
	"tidings/drivers/mqtt/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a broker for the length of the test and returns it with the function that ends it early.
func start(t *testing.T, o broker.Options) (*broker.Broker, func()) {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := broker.New(o)
	b.Hurry(20 * time.Millisecond)
	return b, run(t, b)
}

func run(t *testing.T, b *broker.Broker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if err := b.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not return")
		}
	}
	t.Cleanup(stop)
	return stop
}

// client connects a client that takes its messages into the channel; dial is nil for the broker's first address.
func client(t *testing.T, b *broker.Broker, user, password string, dial func() (net.Conn, error)) (paho.Client, <-chan string, error) {
	t.Helper()
	if dial == nil {
		addr := b.Addrs()[0].String()
		dial = func() (net.Conn, error) { return net.Dial("tcp", addr) }
	}
	got := make(chan string, 100)
	o := paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(t.Name() + time.Now().String()).
		SetUsername(user).SetPassword(password).SetAutoReconnect(false).SetProtocolVersion(4).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return dial() }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			got <- fmt.Sprintf("%s=%s retained=%t", m.Topic(), m.Payload(), m.Retained())
		})
	c := paho.NewClient(o)
	token := c.Connect()
	<-token.Done()
	if token.Error() == nil {
		t.Cleanup(func() { c.Disconnect(1000) })
	}
	return c, got, token.Error()
}

func mustClient(t *testing.T, b *broker.Broker, dial func() (net.Conn, error)) (paho.Client, <-chan string) {
	t.Helper()
	c, got, err := client(t, b, "", "", dial)
	if err != nil {
		t.Fatal(err)
	}
	return c, got
}

func do(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("token: %v", token.Error())
	}
}

func want(t *testing.T, got <-chan string, message string) {
	t.Helper()
	select {
	case m := <-got:
		if m != message {
			t.Fatalf("got %q, want %q", m, message)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("no message, want %q", message)
	}
}

func TestMessagesFromInsideToOutsideAndBack(t *testing.T) {
	b, stop := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	outside, gotOutside := mustClient(t, b, nil)
	inside, gotInside := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, outside.Publish("stat/lamp", 1, true, "ON"))
	do(t, inside.Subscribe("stat/lamp", 1, nil))
	want(t, gotInside, "stat/lamp=ON retained=true")
	do(t, outside.Subscribe("cmnd/#", 1, nil))
	do(t, inside.Publish("cmnd/lamp", 1, false, "OFF"))
	want(t, gotOutside, "cmnd/lamp=OFF retained=false")

	stop()
	if _, err := b.Dial(t.Context()); !errors.Is(err, broker.ErrNotRunning) {
		t.Errorf("Dial after the end: %v", err)
	}
	if b.Addrs() != nil {
		t.Errorf("addresses after the end: %v", b.Addrs())
	}
	run(t, b)
	again, gotAgain := mustClient(t, b, nil)
	do(t, again.Subscribe("#", 0, nil))
	do(t, again.Publish("a", 0, false, "1"))
	want(t, gotAgain, "a=1 retained=false")
}

// A session that is taken up again with a message unacknowledged: its identifier is that of the new SUBSCRIBE.
func TestSubscribeAgainWithMessagesOnTheirWay(t *testing.T) {
	b, _ := start(t, broker.Options{})
	connect := func() (paho.Client, <-chan string) {
		got := make(chan string, 10)
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID("again").SetAutoReconnect(false).
			SetProtocolVersion(4).SetCleanSession(false).SetAutoAckDisabled(true).
			SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return b.Dial(t.Context()) }).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
				got <- fmt.Sprintf("%s=%s retained=%t", m.Topic(), m.Payload(), m.Retained())
			}))
		do(t, c.Connect())
		return c, got
	}
	c, got := connect()
	do(t, c.Subscribe("a", 1, nil))
	// The broker looks for retained messages after it granted the subscription; the next grant says that it has looked.
	do(t, c.Subscribe("b", 1, nil))
	other, _ := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, other.Publish("a", 1, true, "1"))
	want(t, got, "a=1 retained=false")
	c.Disconnect(1000)
	c, got = connect()
	defer c.Disconnect(1000)
	want(t, got, "a=1 retained=false") // once more, for it was not acknowledged
	token := c.Subscribe("a", 1, nil).(*paho.SubscribeToken)
	do(t, token)
	if token.Result()["a"] != 1 {
		t.Errorf("granted %#x, want 1", token.Result()["a"])
	}
	want(t, got, "a=1 retained=true")
}

func TestServesInsideWithoutListening(t *testing.T) {
	b, _ := start(t, broker.Options{})
	c, got := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, c.Subscribe("a", 0, nil))
	do(t, c.Publish("a", 0, false, "1"))
	want(t, got, "a=1 retained=false")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	if err := broker.AddUser(file, broker.NewUser{Name: "alice", Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: file})
	for _, try := range []struct{ user, password string }{{"", ""}, {"alice", ""}, {"alice", "wrong"}, {"bob", "correct horse"}, {strings.Repeat("a", 2000), "x"}} {
		if _, _, err := client(t, b, try.user, try.password, nil); err == nil {
			t.Errorf("%q with password %q was let in", try.user, try.password)
		}
	}
	for range 2 { // the second is answered from memory
		if _, _, err := client(t, b, "alice", "correct horse", nil); err != nil {
			t.Errorf("alice: %v", err)
		}
	}
	if _, _, err := client(t, b, "alice", "wrong", nil); err == nil {
		t.Error("a wrong password after a right one was let in")
	}
	// Somebody is added, and a password changed, while the broker runs.
	if err := broker.AddUser(file, broker.NewUser{Name: "bob", Password: "battery staple"}); err != nil {
		t.Fatal(err)
	}
	if err := broker.AddUser(file, broker.NewUser{Name: "alice", Password: "a new one"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client(t, b, "bob", "battery staple", nil); err != nil {
		t.Errorf("bob: %v", err)
	}
	if _, _, err := client(t, b, "alice", "correct horse", nil); err == nil {
		t.Error("the old password was taken")
	}
	if _, _, err := client(t, b, "alice", "a new one", nil); err != nil {
		t.Errorf("alice: %v", err)
	}
	if _, _, err := client(t, b, "", "", func() (net.Conn, error) { return b.Dial(t.Context()) }); err != nil {
		t.Errorf("the gateway itself: %v", err)
	}
}

func TestAddUser(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "users")
	for _, name := range []string{"", "a:b", "a\nb", " a", "#a"} {
		if err := broker.AddUser(file, broker.NewUser{Name: name, Password: "x"}); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	if err := broker.AddUser(file, broker.NewUser{Name: "alice", Password: ""}); err == nil {
		t.Error("an empty password was taken")
	}
	if err := broker.AddUser(file, broker.NewUser{Name: "alice", Password: strings.Repeat("x", 73)}); err == nil {
		t.Error("a password longer than bcrypt looks at was taken")
	}
	if err := broker.AddUser(file, broker.NewUser{Name: "alice", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("# people\nalice:plain\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := broker.AddUser(file, broker.NewUser{Name: "bob", Password: "x"}); err == nil || !strings.Contains(err.Error(), "users:2: ") {
		t.Errorf("a file with a broken line: %v", err)
	}
}

func TestStrangersDoNotHoldTheEndUp(t *testing.T) {
	t.Parallel()
	b, stop := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	for _, first := range []string{"", "\x10", "GET / HTTP/1.1\r\n\r\n", "\x10\xff\xff\xff\x7f"} {
		c, err := net.Dial("tcp", b.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}

func TestTooLargeAPacketEndsItsSenderOnly(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, MaxPacket: 2000})
	good, got := mustClient(t, b, nil)
	do(t, good.Subscribe("a", 0, nil))
	bad, _ := mustClient(t, b, nil)
	token := bad.Publish("a", 1, false, make([]byte, 3000))
	for bad.IsConnectionOpen() {
		if token.WaitTimeout(10*time.Millisecond) && token.Error() == nil {
			t.Fatal("a packet of 3,000 bytes was taken")
		}
	}
	do(t, good.Publish("a", 0, false, "1"))
	want(t, got, "a=1 retained=false")
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	missing := filepath.Join(t.TempDir(), "users")
	open := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(open, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    broker.Options
		says string
	}{
		{broker.Options{Listen: []string{"127.0.0.1:0", taken}}, "is taken: another broker"},
		{broker.Options{Listen: []string{"0.0.0.0:0"}}, "there are no users"},
		{broker.Options{UsersFile: missing}, "there is no file " + missing + ": add a user with `tidings broker adduser NAME --file " + missing + "`"},
		{broker.Options{UsersFile: open}, "chmod 600"},
	} {
		b := broker.New(c.o)
		if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want one that says %q", c.o, err, c.says)
		}
		if _, err := b.Dial(t.Context()); !errors.Is(err, broker.ErrNotRunning) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Dial: %v", err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, public, missing := filepath.Join(dir, "private"), filepath.Join(dir, "public"), filepath.Join(dir, "missing")
	for file, mode := range map[string]os.FileMode{private: 0o600, public: 0o640} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ toml, problems string }{
		{``, ``},
		{`listen = []`, ``},
		{`listen = ["[::1]:1883", "localhost:0"]`, ``},
		{`listen = ["0.0.0.0:1883"]`, "there are no users: set users_file, or listen on 127.0.0.1"},
		{`listen = ["192.168.1.2:1883"]`, "there are no users"},
		{`listen = [":1883"]`, "there are no users"},
		{"listen = [\"[::]:1883\"]\nusers_file = \"private\"", ``},
		{"users_file = \"public\"", "mode 0640"},
		{"users_file = \"missing\"", "broker: users_file: there is no file " + missing + ": add a user with `tidings broker adduser NAME --file " + missing + "`"},
		{`listen = ["1883"]`, `"1883" is not an address`},
		{`max_packet = 12`, "between 1KB and 10MB"},
		{`max_packet = "1MB"`, ``},

		{`lisen = []`, `unknown key "lisen": did you mean "listen"?`},
	} {
		parsed, err := schema.Parse(filepath.Join(dir, "gateway.toml"), []byte("[broker]\n"+c.toml))
		if err != nil {
			t.Fatal(err)
		}
		var problems schema.Problems
		table := schema.NewTable("broker", parsed.File, 1, &problems)
		for _, k := range parsed.Table("broker").Keys() {
			v, _ := parsed.Table("broker").Get(k)
			table.Set(k, v)
		}
		table.Check(schema.Spec{Keys: broker.Keys})
		broker.Parse(table, nil)
		text := fmt.Sprint(problems.Err())
		if (c.problems == "") != (problems.Len() == 0) || !strings.Contains(text, c.problems) {
			t.Errorf("%s:\n%s\nwant %q", c.toml, text, c.problems)
		}
	}
	if o := broker.Parse(nil, nil); len(o.Listen) != 1 || o.Listen[0] != "127.0.0.1:1883" || o.MaxPacket != 256_000 {
		t.Errorf("defaults: %+v", o)
	}
}

// dialling is a way of paho's to connect.
func dialling(dial func() (net.Conn, error)) paho.OpenConnectionFunc {
	return func(*url.URL, paho.ClientOptions) (net.Conn, error) { return dial() }
}

// once connects by a connection that is there.
func once(c net.Conn) paho.OpenConnectionFunc {
	return dialling(func() (net.Conn, error) { return c, nil })
}
