package board_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"tidings/firmware-sim/mqtt/board"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// thing is firmware that says ON or OFF.
type thing struct {
	on      bool
	renamed bool
	stopped bool
}

func (*thing) ID() string { return "thing" }
func (*thing) Will() board.Message {
	return board.Message{Topic: "thing/status", Payload: "offline", Retained: true, About: board.Presence}
}
func (*thing) Filters() []string { return []string{"thing/set"} }
func (t *thing) Start(time.Time) []board.Message {
	return append([]board.Message{{Topic: "thing/status", Payload: "online", Retained: true, About: board.Presence}, t.about()}, t.Step(time.Time{})...)
}

func (t *thing) about() board.Message {
	return board.Message{Topic: "thing/about", Payload: map[bool]string{true: "other", false: "thing"}[t.renamed], Retained: true, About: board.Announcement}
}

func (t *thing) Take(_ time.Time, _, payload string) []board.Message {
	t.on = payload == "ON"
	return t.Step(time.Time{})
}

func (t *thing) Step(time.Time) []board.Message {
	return []board.Message{{Topic: "thing/state", Payload: map[bool]string{true: "is ON", false: "is OFF"}[t.on]}}
}

func (t *thing) Stop() []board.Message { t.stopped = true; return nil }

func (t *thing) Rename(_ time.Time, on bool) []board.Message {
	t.renamed = on
	return []board.Message{t.about()}
}

func (*thing) Vanish(time.Time, bool) []board.Message {
	return []board.Message{{Topic: "thing/about", Retained: true, About: board.Announcement}}
}

// watch starts a broker and a client that hears everything on it.
func watch(t *testing.T) (dial func(context.Context) (net.Conn, error), client paho.Client, heard <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := server.AddHook(&auth.AllowHook{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listeners.NewNet("tcp", l)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	all := make(chan string, 10_000)
	client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + l.Addr().String()).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { all <- m.Topic() + "=" + string(m.Payload()) }))
	for _, token := range []func() paho.Token{client.Connect, func() paho.Token { return client.Subscribe("#", 1, nil) }} {
		if tk := token(); !tk.WaitTimeout(patience) || tk.Error() != nil {
			t.Fatal(tk.Error())
		}
	}
	t.Cleanup(func() { client.Disconnect(250) })
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}, client, all
}

func wait(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-heard:
			if strings.HasPrefix(m, want) {
				return
			}
		case <-deadline:
			t.Fatalf("heard no %s", want)
		}
	}
}

// TestFaults switches each fault on a board on, and off.
func TestFaults(t *testing.T) {
	t.Parallel()
	dial, client, heard := watch(t)
	f := &thing{}
	b := board.New(board.Options{Dial: dial, Every: time.Hour, Late: 200 * time.Millisecond}, f)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	set := func(fault board.Fault, on bool) {
		t.Helper()
		if err := b.SetFault(fault, on); err != nil {
			t.Error(err)
		}
	}
	ask := func(payload string) {
		t.Helper()
		if token := client.Publish("thing/set", 1, false, payload); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	wait(t, heard, "thing/status=online")
	wait(t, heard, "thing/state=is OFF")
	ask("ON")
	wait(t, heard, "thing/state=is ON")

	set(board.Garbage, true)
	ask("OFF")
	wait(t, heard, "thing/state=\xff\x00")
	set(board.Garbage, false)

	set(board.Slow, true)
	asked := time.Now()
	ask("ON")
	wait(t, heard, "thing/state=is ON")
	if late := time.Since(asked); late < 200*time.Millisecond {
		t.Errorf("a slow board answers after %v", late)
	}
	set(board.Slow, false)

	set(board.Flood, true)
	for range 2000 {
		wait(t, heard, "thing/state=is ON")
	}
	set(board.Flood, false)

	set(board.Rename, true)
	wait(t, heard, "thing/about=other")
	set(board.Rename, false)
	wait(t, heard, "thing/about=thing")
	set(board.Vanish, true)
	wait(t, heard, "thing/about=")

	set(board.Offline, true)
	wait(t, heard, "thing/status=offline") // the last will
	set(board.Offline, false)
	wait(t, heard, "thing/status=online")

	set(board.Stuck, true)
	ask("OFF")
	set(board.Offline, true) // what came before is done with
	wait(t, heard, "thing/status=offline")
	set(board.Offline, false)
	set(board.Stuck, false)
	wait(t, heard, "thing/state=is ON") // it had not obeyed

	if err := b.SetFault("fire", true); err == nil {
		t.Error("an unknown fault was taken")
	}
	cancel()
	running.Wait()
	if !f.stopped {
		t.Error("it left without a word")
	}
}

// TestNoBroker ends a board that never had a broker.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := board.New(board.Options{Broker: "mqtt://127.0.0.1:1"}, &thing{}).Run(ctx); err != nil {
		t.Error(err)
	}
	if err := board.New(board.Options{Broker: "127.0.0.1"}, &thing{}).Run(t.Context()); err == nil {
		t.Error("a broker without a scheme was taken")
	}
}
