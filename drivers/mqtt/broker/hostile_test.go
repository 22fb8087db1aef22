package broker_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
)

// raw is a connection that says what no library would. It is logged in when id is not empty.
func raw(t *testing.T, b *broker.Broker, id string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if id == "" {
		return c
	}
	send(t, c, connectPacket(id))
	if answer := make([]byte, 4); !reads(c, answer) || answer[3] != 0 {
		t.Fatalf("CONNACK %x", answer)
	}
	return c
}

func reads(c net.Conn, p []byte) bool {
	_, err := io.ReadFull(c, p)
	return err == nil
}

func send(t *testing.T, c net.Conn, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

// packet puts the length before a body.
func packet(first byte, body string) []byte {
	p := binary.AppendUvarint([]byte{first}, uint64(len(body)))
	return append(p, body...)
}

func str(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }

// cutOff waits until the broker has ended a connection.
func cutOff(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err != nil {
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Error("not cut off")
		}
	}
}

// What ends its sender, and nobody else.
func TestHostilePackets(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, MaxPacket: 1_000_000})
	good, got := mustClient(t, b, nil)
	do(t, good.Subscribe("a", 1, nil))
	deep := strings.Repeat("a/", 30_000)
	filters := ""
	for i := range 6000 {
		filters += str(fmt.Sprint("f/", i)) + "\x00"
	}
	for name, p := range map[string][]byte{
		"deep topic":           packet(0x30, str(deep)+"x"),
		"deep retained topic":  packet(0x31, str(deep)+"x"),
		"deep filter":          packet(0x82, "\x00\x01"+str(deep+"#")+"\x00"),
		"too many filters":     packet(0x82, "\x00\x01"+filters),
		"topic with wildcard":  packet(0x30, str("a/#")+"x"),
		"second CONNECT":       connectPacket("again"),
		"packet of no kind":    {0xf0, 0},
		"SUBSCRIBE of nothing": {0x82, 0},
		"too large":            {0x30, 0xff, 0xff, 0xff, 0x7f},
		"length without end":   {0x30, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		c := raw(t, b, "hostile")
		send(t, c, p)
		t.Run(name, func(t *testing.T) { cutOff(t, c) })
	}
	do(t, good.Publish("a", 1, false, "1"))
	want(t, got, "a=1 retained=false")
}

// Before the login there is room for a CONNECT of some size, in some time.
func TestHostileStrangers(t *testing.T) {
	t.Parallel()
	b := broker.New(broker.Options{Listen: []string{"127.0.0.1:0"}, WebSocket: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	b.SetLoginTime(500 * time.Millisecond)
	run(t, b)
	for _, p := range [][]byte{
		{0x10, 0xff, 0xff, 0x03},                   // 64 KiB are announced
		{0x10, 0xff, 0xff, 0xff, 0xff, 0xff},       // a length without an end
		[]byte("GET / HTTP/1.1\r\n\r\n"),           // another protocol
		{0x30, 5, 0, 1, 'a', '1', '2'},             // a message before the login
		connectPacket(strings.Repeat("x", 10))[:5], // and nothing more
	} {
		c := raw(t, b, "")
		send(t, c, p)
		began := time.Now()
		cutOff(t, c)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%x: cut off after %v", p, took)
		}
	}
	good, _ := mustClient(t, b, nil)
	do(t, good.Publish("a", 1, false, "1"))
}

// Connections that never log in leave no room for more of them, and as much as before for those who do.
func TestTooManyStrangers(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	good, got := mustClient(t, b, nil)
	do(t, good.Subscribe("a", 1, nil))
	closed := make(chan bool, 300)
	for range cap(closed) {
		c := raw(t, b, "")
		go func() {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			_, err := c.Read(make([]byte, 1))
			timeout, ok := err.(net.Error)
			closed <- !ok || !timeout.Timeout()
		}()
	}
	n := 0
	for range cap(closed) {
		if <-closed {
			n++
		}
	}
	if n < 100 {
		t.Errorf("%d of %d connections were closed, there is room for 200", n, cap(closed))
	}
	do(t, good.Publish("a", 1, false, "1"))
	want(t, got, "a=1 retained=false")
}

// A client that does not read costs what max_queue says, and others get their messages.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, MaxQueue: 200_000})
	deaf := raw(t, b, "deaf")
	send(t, deaf, packet(0x82, "\x00\x01"+str("#")+"\x00"))
	good, got := mustClient(t, b, nil)
	do(t, good.Subscribe("load/+", 1, nil))
	payload := strings.Repeat("x", 50_000)
	began := time.Now()
	for i := range 400 { // 20 MB: more than the kernel keeps
		do(t, good.Publish(fmt.Sprint("load/", i), 1, false, payload))
		want(t, got, fmt.Sprintf("load/%d=%s retained=false", i, payload))
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("others waited for it: %v", took)
	}
	_ = deaf.SetReadDeadline(time.Now().Add(time.Second))
	if n, _ := io.Copy(io.Discard, deaf); n > 15_000_000 {
		t.Errorf("%d bytes were kept for it", n)
	}
}

// Who sends without end is read from no faster than is good for the others.
func TestFlood(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	good, got := mustClient(t, b, nil)
	do(t, good.Subscribe("a", 1, nil))
	var floods sync.WaitGroup
	for i := range 4 {
		c := raw(t, b, fmt.Sprint("flood", i))
		floods.Go(func() {
			for pings := []byte(strings.Repeat("\xc0\x00", 32_000)); ; {
				if _, err := c.Write(pings); err != nil {
					return
				}
			}
		})
		defer c.Close()
	}
	for i := range 50 {
		do(t, good.Publish("a", 1, false, fmt.Sprint(i)))
		want(t, got, fmt.Sprintf("a=%d retained=false", i))
	}
	t.Cleanup(floods.Wait)
}

func TestTooManySubscriptions(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	c, got := mustClient(t, b, nil)
	refused := 0
	for i := 0; i < 5010; i += 10 {
		ten := map[string]byte{}
		for k := range 10 {
			ten[fmt.Sprint("f/", i+k)] = 1
		}
		token := c.SubscribeMultiple(ten, nil).(*paho.SubscribeToken)
		if !token.WaitTimeout(20 * time.Second) {
			t.Fatal("no SUBACK")
		}
		for _, code := range token.Result() {
			if code == 0x80 {
				refused++
			}
		}
	}
	if refused != 10 {
		t.Errorf("%d of 5010 subscriptions were refused, want 10", refused)
	}
	do(t, c.Subscribe("f/1", 0, nil)) // one that there is
	do(t, c.Publish("f/1", 0, false, "1"))
	want(t, got, "f/1=1 retained=false")
	for _, filter := range []string{"a+", "a/#/b", strings.Repeat("a/", 33)} {
		if c, _ := mustClient(t, b, nil); granted(t, c, "x") != 1 {
			t.Fatal("x is not granted")
		} else if token := c.Subscribe(filter, 0, nil).(*paho.SubscribeToken); token.WaitTimeout(20*time.Second) && token.Error() == nil && token.Result()[filter] != 0x80 {
			t.Errorf("%s is granted", filter)
		}
	}
}

func TestTooManyClients(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, MaxClients: 3})
	session := func(id string) (paho.Client, error) {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addrs()[0].String()).SetClientID(id).SetCleanSession(false).
			SetAutoReconnect(false).SetConnectRetry(false).SetProtocolVersion(4))
		token := c.Connect()
		token.Wait()
		return c, token.Error()
	}
	var clients []paho.Client
	for i := range 3 {
		c, err := session(fmt.Sprint("c", i))
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	if _, err := session("one more"); err == nil {
		t.Error("a fourth client was let in")
	}
	// The gateway itself always finds room.
	inside, _ := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, inside.Publish("a", 1, false, "1"))
	// A session that waits makes room.
	clients[0].Disconnect(1000)
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := session("one more")
		if err == nil {
			clients[0] = c
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, c := range clients {
		c.Disconnect(1000)
	}
}

// A session that waits holds no more than max_queue.
func TestFloodOfASessionThatWaits(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, MaxQueue: 200_000})
	sleeper := func() (paho.Client, <-chan int) {
		got := make(chan int, 1000)
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addrs()[0].String()).SetClientID("sleeper").SetCleanSession(false).
			SetAutoReconnect(false).SetProtocolVersion(4).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { got <- len(m.Payload()) }))
		do(t, c.Connect())
		return c, got
	}
	c, _ := sleeper()
	do(t, c.Subscribe("load", 1, nil))
	c.Disconnect(1000)
	good, gotGood := mustClient(t, b, nil)
	do(t, good.Subscribe("done", 1, nil))
	payload := make([]byte, 10_000)
	for range 200 {
		do(t, good.Publish("load", 1, false, payload))
	}
	do(t, good.Publish("done", 1, false, "1"))
	want(t, gotGood, "done=1 retained=false")
	c, got := sleeper()
	defer c.Disconnect(1000)
	sum := 0
	do(t, c.Subscribe("own", 1, nil))
	for deadline := time.After(20 * time.Second); ; {
		do(t, good.Publish("own", 1, false, "x")) // has room when what waited has been acknowledged
		select {
		case n := <-got:
			if n == 1 {
				if sum < 100_000 || sum > 220_000 {
					t.Errorf("%d bytes waited, want about 200,000", sum)
				}
				return
			}
			sum += n
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d bytes came, and not the last message", sum)
		}
	}
}

// Guessing passwords takes longer and longer, and is in nobody's way who knows the password.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}, UsersFile: usersFile(t, broker.NewUser{Name: "a"})})
	if _, _, err := client(t, b, "a", "pw", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, _, err := client(t, b, "a", fmt.Sprint("guess", i), nil); err == nil {
			t.Error("a guess was right")
		}
	}
	if _, _, err := client(t, b, "a", "pw", nil); err != nil {
		t.Errorf("after others guessed: %v", err)
	}
}

// A client that comes again while its old connection stands: the last will of that comes before what it says now.
func TestLastWillOfAnOldConnection(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	watcher, got := mustClient(t, b, nil)
	do(t, watcher.Subscribe("LWT", 1, nil))
	for i := range 20 {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://"+b.Addrs()[0].String()).SetClientID("lamp").SetAutoReconnect(false).
			SetProtocolVersion(4).SetWill("LWT", "Offline", 1, true))
		do(t, c.Connect())
		defer c.Disconnect(100)
		if i > 0 {
			want(t, got, "LWT=Offline retained=false")
		}
		do(t, c.Publish("LWT", 1, true, "Online"))
		want(t, got, "LWT=Online retained=false")
	}
}

// A packet that mochi panics of is as the end of the connection: the last will is published, and the client forgotten.
func TestPacketThatEndsEarly(t *testing.T) {
	t.Parallel()
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	watcher, got := mustClient(t, b, nil)
	do(t, watcher.Subscribe("LWT", 1, nil))
	for range 3 {
		c := raw(t, b, "")
		send(t, c, packet(0x10, "\x00\x04MQTT\x05\x26\x00\x00\x00"+str("v5")+"\x00"+str("LWT")+str("Offline")))
		send(t, c, packet(0x82, "\x00\x01\x00"+str("a"))) // without the byte of options
		cutOff(t, c)
		want(t, got, "LWT=Offline retained=false")
	}
	late, gotLate := mustClient(t, b, nil)
	do(t, late.Subscribe("#", 1, nil))
	want(t, gotLate, "LWT=Offline retained=true")
}
