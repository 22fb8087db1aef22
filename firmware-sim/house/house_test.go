package house_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"tidings/firmware-sim/house"
	"tidings/firmware-sim/mqtt/board"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// TestHouse runs a house on a broker: every dialect is heard, a command is obeyed, faults show, and in the end nothing is left.
func TestHouse(t *testing.T) {
	t.Parallel()
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
	defer server.Close()
	heard := make(chan string, 100_000)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + l.Addr().String()).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { heard <- m.Topic() + "=" + string(m.Payload()) }))
	for _, start := range []func() paho.Token{client.Connect, func() paho.Token { return client.Subscribe("#", 0, nil) }} {
		if token := start(); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	defer client.Disconnect(250)

	ports := t.TempDir()
	h, err := house.New(house.Options{Broker: "mqtt://" + l.Addr().String(), Dir: ports, Sensors: 3, Step: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	dialects := map[string]int{}
	for _, d := range h.Devices() {
		dialects[d.Dialect]++
	}
	if n := len(h.Devices()); n < 40 || len(dialects) < 9 || dialects["homeassistant"] != 3 {
		t.Errorf("%d devices: %v", n, dialects)
	}
	if err := h.Plug(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()

	wanted := func(wants ...string) {
		t.Helper()
		missing := map[string]bool{}
		for _, w := range wants {
			missing[w] = true
		}
		deadline := time.After(patience)
		for len(missing) > 0 {
			select {
			case m := <-heard:
				for w := range missing {
					if strings.HasPrefix(m, w) {
						delete(missing, w)
					}
				}
			case <-deadline:
				t.Fatalf("not heard: %v", missing)
			}
		}
	}
	fault := func(name string, f board.Fault, on bool) {
		t.Helper()
		if err := h.SetFault(name, f, on); err != nil {
			t.Error(err)
		}
	}
	wanted(`zigbee2mqtt/bridge/state={"state":"online"}`, "zigbee2mqtt/Lamp=", "weather/status=online", "weather/sensor/temperature/state=",
		"tele/washing/LWT=Online", "tasmota/discovery/", "shellyplus1pm-a8032abe5401/online=true", "homie/5/irrigation/$description=", "homie/sauna/$state=ready",
		"sensors0/sensors0-0002=")
	client.Publish("cmnd/washing/POWER", 0, false, "ON")
	wanted("stat/washing/POWER=ON")
	fault("Boiler", board.Offline, true)
	wanted("shellyplus1pm-a8032abe5401/online=false")
	fault("Hall motion", board.Offline, true)
	wanted(`zigbee2mqtt/Hall motion/availability={"state":"offline"}`)
	fault("Lamp", board.Vanish, true)
	wanted("homeassistant/light/0x00158d00000045b1/light/config=")
	fault(house.Bridge, board.Offline, true)
	wanted(`zigbee2mqtt/bridge/state={"state":"offline"}`)
	for _, wrong := range []func() error{
		func() error { return h.SetFault("Nothing", board.Offline, true) },
		func() error { return h.SetFault("Greenhouse", board.Offline, true) },
		func() error { return h.SetFault("Blind", board.Garbage, true) },
	} {
		if wrong() == nil {
			t.Error("a fault that cannot be was taken")
		}
	}
	if names, err := os.ReadDir(ports); err != nil || len(names) != 6 {
		t.Errorf("%d ports, %v", len(names), err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(ports); err != nil || len(names) != 0 {
		t.Errorf("ports are left: %v %v", names, err)
	}
}

// TestDays has a clock handed in: the same moment measures the same.
func TestDays(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 1, 15, 0, 0, 0, time.UTC)
	first, second := house.Outdoors(24*time.Hour, at), house.Outdoors(24*time.Hour, at.Add(-12*time.Hour))
	if first != house.Outdoors(24*time.Hour, at) || first != 14 || second != 4 {
		t.Errorf("%v °C in the afternoon, %v °C at night", first, second)
	}
}
