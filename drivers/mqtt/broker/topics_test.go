package broker_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
)

// usersFile is a file of users, each with the password "pw".
func usersFile(t *testing.T, users ...broker.NewUser) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users")
	for _, u := range users {
		u.Password = "pw"
		if err := broker.AddUser(file, u); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func mustLogin(t *testing.T, b *broker.Broker, user string) (paho.Client, <-chan string) {
	t.Helper()
	c, got, err := client(t, b, user, "pw", nil)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	return c, got
}

// granted subscribes and returns what was granted, 0x80 for nothing.
func granted(t *testing.T, c paho.Client, filter string) byte {
	t.Helper()
	token := c.Subscribe(filter, 1, nil).(*paho.SubscribeToken)
	if !token.WaitTimeout(20 * time.Second) {
		t.Fatal("no SUBACK")
	}
	return token.Result()[filter]
}

func TestRulesOfUsers(t *testing.T) {
	t.Parallel()
	file := usersFile(t, broker.NewUser{Name: "lamp", Read: []string{"cmnd/%u/#"}, Write: []string{"stat/%u/#"}}, broker.NewUser{Name: "all"})
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: file})
	lamp, gotLamp := mustLogin(t, b, "lamp")
	all, gotAll := mustLogin(t, b, "all")
	if g := granted(t, all, "#"); g != 1 {
		t.Fatalf("all: granted %#x", g)
	}
	for filter, want := range map[string]byte{"cmnd/lamp/POWER": 1, "#": 1, "+/lamp/+": 1, "stat/lamp/x": 0x80, "cmnd/other/#": 0x80, "$SYS/#": 0x80} {
		if g := granted(t, lamp, filter); g != want {
			t.Errorf("lamp subscribes to %s: granted %#x, want %#x", filter, g, want)
		}
	}
	// What may not be published is acknowledged, as MQTT 3.1.1 has no other answer, and goes nowhere.
	for qos := range byte(3) {
		do(t, lamp.Publish("cmnd/lamp/POWER", qos, true, "own"))
		do(t, lamp.Publish("stat/other/POWER", qos, true, "not its own"))
		do(t, lamp.Publish("stat/lamp/POWER", qos, false, fmt.Sprint(qos)))
		want(t, gotAll, fmt.Sprintf("stat/lamp/POWER=%d retained=false", qos))
	}
	do(t, all.Publish("stat/lamp/POWER", 1, false, "not for the lamp"))
	do(t, all.Publish("cmnd/lamp/POWER", 1, false, "OFF"))
	want(t, gotLamp, "cmnd/lamp/POWER=OFF retained=false")

	// The gateway itself may do all, and everyone's messages come through.
	inside, gotInside := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, inside.Subscribe("stat/#", 1, nil))
	do(t, lamp.Publish("stat/lamp/POWER", 1, false, "ON"))
	want(t, gotInside, "stat/lamp/POWER=ON retained=false")
	if g := granted(t, inside, "$SYS/broker/version"); g != 1 {
		t.Errorf("the gateway itself: granted %#x", g)
	}
	if m := <-gotInside; !strings.HasPrefix(m, "$SYS/broker/version=") {
		t.Errorf("got %s", m)
	}
}

// A last will is published under the rules, too.
func TestRulesOfLastWills(t *testing.T) {
	t.Parallel()
	file := usersFile(t, broker.NewUser{Name: "lamp", Write: []string{"tele/lamp/LWT"}})
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: file})
	inside, got := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, inside.Subscribe("#", 0, nil))
	for _, topic := range []string{"tele/other/LWT", "tele/#", "$SYS/broker/version", strings.Repeat("a/", 100), "tele/lamp/LWT"} {
		conn, err := net.Dial("tcp", b.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetUsername("lamp").SetPassword("pw").SetProtocolVersion(4).
			SetAutoReconnect(false).SetWill(topic, "Offline", 1, true).SetCustomOpenConnectionFn(once(conn)))
		do(t, c.Connect())
		conn.Close()
		defer c.Disconnect(100)
	}
	want(t, got, "tele/lamp/LWT=Offline retained=false")
	late, gotLate := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, late.Subscribe("#", 0, nil))
	want(t, gotLate, "tele/lamp/LWT=Offline retained=true")
}

// Rules and users change while clients are connected: only those who are gone, or have another password, are cut off.
func TestUsersChangeUnderway(t *testing.T) {
	t.Parallel()
	file := usersFile(t, broker.NewUser{Name: "stays"}, broker.NewUser{Name: "ruled"}, broker.NewUser{Name: "changed"}, broker.NewUser{Name: "gone"})
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: file})
	stays, gotStays := mustLogin(t, b, "stays")
	ruled, gotRuled := mustLogin(t, b, "ruled")
	changed, _ := mustLogin(t, b, "changed")
	gone, _ := mustLogin(t, b, "gone")
	do(t, stays.Subscribe("#", 1, nil))
	do(t, ruled.Subscribe("#", 1, nil))

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "ruled:"):
			line += "readwrite open/#\n"
		case strings.HasPrefix(line, "changed:"):
			line = strings.Replace(string(text[strings.Index(string(text), "stays:"):][:len("stays:")+60]), "stays:", "changed:", 1) + "\n"
		case strings.HasPrefix(line, "gone:"):
			line = ""
		}
		out.WriteString(line)
	}
	write := func(text string) {
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	// A mistake first: nothing changes for anybody.
	write(out.String() + "nonsense\n")
	b.Reload()
	do(t, ruled.Publish("closed", 1, false, "before"))
	want(t, gotStays, "closed=before retained=false")
	want(t, gotRuled, "closed=before retained=false")

	// Then in place, as some editors do: empty for a moment, which throws nobody out.
	write(string(text))
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	b.Reload()
	if _, _, err := client(t, b, "stays", "pw", nil); err != nil {
		t.Errorf("while the file is being written: %v", err)
	}
	write(out.String() + "# so that it is no shorter than before, which would be taken up a second later\n" + strings.Repeat("#\n", 100))
	b.Reload()
	for deadline := time.Now().Add(20 * time.Second); changed.IsConnectionOpen() || gone.IsConnectionOpen(); {
		if time.Now().After(deadline) {
			t.Fatal("who is gone, or has another password, stays connected")
		}
		time.Sleep(5 * time.Millisecond)
	}
	do(t, stays.Publish("closed", 1, false, "for stays alone"))
	do(t, ruled.Publish("closed", 1, false, "for nobody"))
	do(t, ruled.Publish("open/a", 1, false, "for both"))
	want(t, gotStays, "closed=for stays alone retained=false")
	want(t, gotStays, "open/a=for both retained=false")
	want(t, gotRuled, "open/a=for both retained=false")
	if !stays.IsConnectionOpen() || !ruled.IsConnectionOpen() {
		t.Error("who did nothing was cut off")
	}
}

// What waits in a session is for the user it belongs to.
func TestSessionsAreTheirUsers(t *testing.T) {
	t.Parallel()
	file := usersFile(t, broker.NewUser{Name: "alice"}, broker.NewUser{Name: "mallory"})
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: file})
	connect := func(user string) (paho.Client, error) {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addrs()[0].String()).SetClientID("phone").SetUsername(user).
			SetPassword("pw").SetCleanSession(false).SetAutoReconnect(false).SetProtocolVersion(4))
		token := c.Connect()
		token.Wait()
		if token.Error() == nil {
			t.Cleanup(func() { c.Disconnect(1000) })
		}
		return c, token.Error()
	}
	alice, err := connect("alice")
	if err != nil {
		t.Fatal(err)
	}
	do(t, alice.Subscribe("private", 1, nil))
	if _, err := connect("mallory"); err == nil || !alice.IsConnectionOpen() {
		t.Errorf("mallory throws alice out: %v", err)
	}
	alice.Disconnect(1000)
	if _, err := connect("mallory"); err == nil {
		t.Error("mallory takes alice's session")
	}
	if _, err := connect("alice"); err != nil {
		t.Errorf("alice: %v", err)
	}
}

func TestRetainedSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, stop := start(t, broker.Options{Dir: dir, Listen: []string{"127.0.0.1:0"}})
	c, got := mustClient(t, b, nil)
	do(t, c.Subscribe("wait", 1, nil))
	do(t, c.Publish("a", 1, true, "1"))
	do(t, c.Publish("b", 1, true, "1"))
	do(t, c.Publish("b", 1, true, ""))
	do(t, c.Publish("c", 1, false, "1"))
	do(t, c.Publish("wait", 1, false, "x"))
	want(t, got, "wait=x retained=false")

	// A second broker on what is there by now, as after kill -9.
	var crashed []byte
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(string(crashed), "a"); {
		var err error
		if crashed, err = os.ReadFile(filepath.Join(dir, broker.RetainedFile)); err != nil {
			t.Fatal(err)
		}
		if crashed = crashed[min(len(crashed), len("tidings retained 1\n")):]; time.Now().After(deadline) {
			t.Fatal("nothing is written")
		}
		time.Sleep(5 * time.Millisecond)
	}
	do(t, c.Publish("last", 1, true, "1"))
	stop()
	b, _ = start(t, broker.Options{Dir: dir, Listen: []string{"127.0.0.1:0"}})
	c, got = mustClient(t, b, nil)
	do(t, c.Subscribe("#", 1, nil))
	want(t, got, "a=1 retained=true")
	want(t, got, "last=1 retained=true")
	do(t, c.Publish("end", 1, false, "1"))
	want(t, got, "end=1 retained=false")
}

// Thousands of retained messages come whole, whatever the QoS: none is left out because the client's queue is full.
func TestManyRetained(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{MaxQueue: 100_000, Listen: []string{"127.0.0.1:0"}})
	inside := func() (net.Conn, error) { return b.Dial(t.Context()) }
	c, _ := mustClient(t, b, inside)
	const n = 8000
	payload := strings.Repeat("x", 200)
	var last paho.Token
	for i := range n {
		last = c.Publish(fmt.Sprintf("homeassistant/sensor/%04d/config", i), 1, true, payload)
	}
	do(t, last)
	for qos := range byte(3) {
		got := make(chan string, n)
		reader := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(fmt.Sprint("reader", qos)).SetAutoReconnect(false).
			SetProtocolVersion(4).SetCustomOpenConnectionFn(dialling(inside)).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- m.Topic() }))
		do(t, reader.Connect())
		do(t, reader.Subscribe("homeassistant/+/+/config", qos, nil))
		seen := map[string]bool{}
		for len(seen) < n {
			select {
			case topic := <-got:
				if seen[topic] {
					t.Fatalf("QoS %d: %s came twice", qos, topic)
				}
				seen[topic] = true
			case <-time.After(20 * time.Second):
				t.Fatalf("QoS %d: %d of %d messages", qos, len(seen), n)
			}
		}
		reader.Disconnect(1000)
	}
}

func TestRetainedFlood(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{MaxRetained: 100_000, Listen: []string{"127.0.0.1:0"}})
	c, _ := mustClient(t, b, nil)
	var last paho.Token
	for i := range 2000 {
		last = c.Publish(fmt.Sprint("flood/", i), 1, true, "0123456789")
	}
	do(t, last)
	reader, got := mustClient(t, b, nil)
	do(t, reader.Subscribe("flood/#", 1, nil))
	do(t, reader.Subscribe("end", 1, nil))
	n := 0
	do(t, c.Publish("end", 1, false, "1"))
	// The live message may overtake; what is retained stops at the bound.
	for deadline := time.After(time.Second); ; {
		select {
		case <-got:
			n++
			continue
		case <-deadline:
		}
		break
	}
	if n < 300 || n > 500 {
		t.Errorf("%d messages, 100,000 bytes are about 450", n)
	}
}
