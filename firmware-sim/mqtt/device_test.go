package mqtt_test

import (
	"context"
	"encoding/json"
	"image/jpeg"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"tidings/firmware-sim/mqtt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// watch starts a broker and a client that hears everything on it.
func watch(t *testing.T) (addr string, client paho.Client, heard <-chan string) {
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
	addr = l.Addr().String()
	all := make(chan string, 1000)
	client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetAutoReconnect(false).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return net.Dial("tcp", addr) }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { all <- m.Topic() + "=" + string(m.Payload()) }))
	do(t, client.Connect())
	do(t, client.Subscribe("+/+/+", 1, nil))
	t.Cleanup(func() { client.Disconnect(250) })
	return addr, client, all
}

func do(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func start(t *testing.T, d *mqtt.Device) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
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
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	}
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, heard <-chan string, match string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-heard:
			if strings.HasPrefix(m, match) {
				return m
			}
		case <-deadline:
			t.Fatalf("heard no %s", match)
		}
	}
}

func TestLamp(t *testing.T) {
	t.Parallel()
	addr, client, heard := watch(t)
	lamp := mqtt.NewLamp(mqtt.Options{Broker: "mqtt://" + addr, Reboot: 10 * time.Millisecond})
	stop := start(t, lamp)
	wait(t, heard, "tele/lamp/LWT=Online")
	wait(t, heard, "stat/lamp/POWER=OFF")
	client.Publish("cmnd/lamp/POWER", 1, false, "TOGGLE")
	wait(t, heard, `stat/lamp/RESULT={"POWER":"ON"}`)
	wait(t, heard, "stat/lamp/POWER=ON")
	if !lamp.Power() {
		t.Error("the lamp is off")
	}
	client.Publish("cmnd/lamp/POWER", 1, false, "")
	wait(t, heard, "stat/lamp/POWER=ON")

	set := func(f mqtt.Fault, on bool) {
		t.Helper()
		if err := lamp.SetFault(f, on); err != nil {
			t.Error(err)
		}
	}
	set(mqtt.Stuck, true)
	do(t, client.Publish("cmnd/lamp/POWER", 1, false, "OFF"))
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := lamp.WaitPower(brief, false); err == nil {
		t.Error("a stuck relay moved")
	}
	set(mqtt.Stuck, false)
	set(mqtt.Garbage, true)
	lamp.Press(true)
	wait(t, heard, "stat/lamp/POWER=\xff\x00")
	set(mqtt.Garbage, false)
	set(mqtt.Reboot, true)
	wait(t, heard, "tele/lamp/LWT=Offline")
	wait(t, heard, "tele/lamp/LWT=Online")
	wait(t, heard, "stat/lamp/POWER=ON") // the relay is as it was
	set(mqtt.Silence, true)
	client.Publish("cmnd/lamp/POWER", 1, false, "OFF")
	long, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := lamp.WaitPower(long, false); err != nil {
		t.Error("a silent lamp still obeys:", err)
	}
	stop()
	wait(t, heard, "tele/lamp/LWT=Offline")
	if err := lamp.SetFault("fire", true); err == nil {
		t.Error("an unknown fault was taken")
	}
}

func TestPlugMeters(t *testing.T) {
	t.Parallel()
	addr, _, heard := watch(t)
	plug := mqtt.NewPlug(mqtt.Options{Broker: "mqtt://" + addr, Interval: 10 * time.Millisecond})
	start(t, plug)
	power := func() float64 {
		t.Helper()
		var sensor struct {
			ENERGY struct{ Power, Total float64 }
		}
		_, payload, _ := strings.Cut(wait(t, heard, "tele/plug/SENSOR="), "=")
		if err := json.Unmarshal([]byte(payload), &sensor); err != nil {
			t.Fatal(err)
		}
		return sensor.ENERGY.Power
	}
	if w := power(); w != 0 {
		t.Errorf("%v W while off", w)
	}
	plug.Press(true)
	wait(t, heard, "stat/plug/POWER=ON")
	if w := power(); w < 29 || w > 51 {
		t.Errorf("%v W while on", w)
	}
}

func TestCamera(t *testing.T) {
	t.Parallel()
	addr, client, heard := watch(t)
	camera := mqtt.NewCamera(mqtt.Options{Broker: "mqtt://" + addr})
	start(t, camera)
	see := func() []byte {
		t.Helper()
		_, payload, _ := strings.Cut(wait(t, heard, "tele/camera/PICTURE="), "=")
		img, err := jpeg.Decode(strings.NewReader(payload))
		if err != nil || img.Bounds().Dx() != mqtt.PictureWidth || img.Bounds().Dy() != mqtt.PictureHeight {
			t.Fatalf("what it sees: %v", err)
		}
		return []byte(payload)
	}
	if n := len(see()); n < 2_000 || n > 60_000 {
		t.Errorf("a picture of %d bytes", n)
	}
	client.Publish("cmnd/camera/SNAPSHOT", 1, false, "")
	see()
	camera.Press(true)
	wait(t, heard, "stat/camera/MOTION=ON")
	see()
}

func TestNoBroker(t *testing.T) {
	t.Parallel()
	lamp := mqtt.NewLamp(mqtt.Options{Broker: "mqtt://127.0.0.1:1"})
	start(t, lamp)() // ends at once
	if err := mqtt.NewLamp(mqtt.Options{Broker: "127.0.0.1"}).Run(t.Context()); err == nil {
		t.Error("a broker without a scheme was taken")
	}
}
