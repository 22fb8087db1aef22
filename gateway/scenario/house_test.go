//go:build servers

package scenario

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/drivers"
	gpiodriver "tidings/drivers/gpio"
	gpiosim "tidings/firmware-sim/gpio"
	mqttsim "tidings/firmware-sim/mqtt"
	serialsim "tidings/firmware-sim/serial"
	"tidings/gateway"
	"tidings/xmppbridge/link"
	"tidings/xmppbridge/xmpptest"
)

// patience is how long anything may take on a loaded machine.
const patience = 30 * time.Second

// A house is a gateway that runs, with simulated devices behind its drivers. Its temperature stays where it is; its
// humidity goes from 48 % to 58 % while the pump runs.
type house struct {
	t       *testing.T
	ground  *ground
	dir     string
	file    string // gateway.toml
	gateway *gateway.Gateway
	stop    func() // ends the gateway and waits

	node   *serialsim.Node
	chip   *gpiosim.Chip
	lamp   *mqttsim.Device
	unplug func() // the lamp goes away

	log       logs
	peopled   bool          // the server inside has its accounts
	listening chan net.Addr // of the server inside
	inside    net.Addr
}

// base is the configuration every scenario begins with: {{xmpp}}, {{port}} and {{domain}} are filled in.
const base = `
[gateway]
name = "House"

[xmpp]
{{xmpp}}

[access]
"alice@{{domain}}" = "admin"
"bob@{{domain}}" = "viewer"

[broker]
listen = ["127.0.0.1:0"]

[history]
flush = "1s"

[drivers.garden]
type = "serial"
port = "{{port}}"
protocol = "json"

[devices.greenhouse]
driver = "garden"
name = "Greenhouse"
location = "Garden"
settle = "300ms"
primary = ["temperature", "humidity"]
[devices.greenhouse.points.temperature]
source = "t"
scale = 0.1
precision = 0
unit = "°C"
[devices.greenhouse.points.humidity]
source = "h"
unit = "%"
[devices.greenhouse.points.target]
source = "set"
unit = "°C"
write = '{"set":{{.Value}}}'
range = [5, 30]
step = 0.5
[devices.greenhouse.points.pump]
source = "pump"
kind = "switch"
write = '{"pump":{{.Value}}}'
danger = true

[drivers.pins]
type = "gpio"
chip = "gpiochip0"

[devices.door]
driver = "pins"
name = "Front door"
location = "Hall"
settle = "300ms"
[devices.door.points.open]
source = "GPIO17"
kind = "switch"
class = "door"
pull = "up"
[devices.door.points.bell]
source = "GPIO27"
kind = "action"
direction = "out"
pulse = "50ms"

[drivers.house]
type = "mqtt"
broker = "local"

[devices.lamp]
driver = "house"
name = "Lamp"
location = "Hall"
class = "light"
settle = "300ms"
availability = "tele/lamp/LWT"
online = "Online"
offline = "Offline"
[devices.lamp.points.power]
source = "stat/lamp/POWER"
command = "cmnd/lamp/POWER"
kind = "switch"
on = "ON"
off = "OFF"

[alerts.wet]
device = "greenhouse"
when = "pump"
text = "{{.device}} is being watered"
to = ["alice@{{domain}}"]
`

// begin starts a house on a ground, with more in its configuration, and returns when the gateway runs and every device was heard.
func begin(t *testing.T, g *ground, more ...string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, ground: g, dir: dir, file: filepath.Join(dir, "gateway.toml"), listening: make(chan net.Addr, 1)}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- gateway\n%s", h.log.String())
		}
	})
	var err error
	if h.node, err = serialsim.New(serialsim.Options{Link: filepath.Join(dir, "ttyGarden"), Every: 200 * time.Millisecond, Period: time.Hour * 100}); err != nil {
		t.Fatal(err)
	}
	h.run(h.node.Run)
	h.chip = gpiosim.NewChip("house", "GPIO17", "GPIO22", "GPIO27")
	h.chip.Contact("GPIO17").Close()
	h.configure(base + strings.Join(more, "\n"))
	h.start()
	h.plugIn()
	return h
}

// run runs a part of the house until the test ends, or the function it returns is called.
func (h *house) run(part func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := part(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	end = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.t.Cleanup(end)
	return end
}

// configure writes the configuration, with more behind it.
func (h *house) configure(text string) {
	h.t.Helper()
	text = strings.NewReplacer("{{xmpp}}", h.ground.xmpp+"\n", "{{port}}", filepath.Join(h.dir, "ttyGarden"), "{{domain}}", h.ground.domain,
		"[xmpp]\n", "[xmpp]\npresence_interval = \"1s\"\n").Replace(text)
	// Not more than the name of a unix socket may have.
	text += fmt.Sprintf("\n[control]\nsocket = %q\n", filepath.Join(h.dir, "c"))
	text = strings.Replace(text, "[gateway]\n", fmt.Sprintf("[gateway]\ndata_dir = %q\n", h.dir), 1)
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// start starts the gateway.
func (h *house) start() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	var err error
	h.gateway, err = gateway.New(ctx, gateway.Options{
		Config: h.file, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Backends: drivers.Backends{GPIO: func(string) (gpiodriver.Chip, error) { return h.chip.Open() }},
		Backoff:  link.Backoff{Min: 50 * time.Millisecond, Max: 500 * time.Millisecond},
		Listening: func(addrs []net.Addr, _ string) {
			h.listening <- addrs[0]
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.stop = h.run(h.gateway.Run)
	select {
	case <-h.gateway.Ready():
	case <-ctx.Done():
		h.t.Fatal("the gateway is not ready")
	}
	if h.ground.login == nil {
		select {
		case h.inside = <-h.listening:
		case <-ctx.Done():
			h.t.Fatal("the server inside does not listen")
		}
		if !h.peopled {
			h.peopled = true
			for name, role := range map[string]string{"alice": "admin", "bob": "viewer"} {
				if err := h.gateway.AddAccount(ctx, name, role, xmpptest.Password(name)); err != nil {
					h.t.Fatal(err)
				}
			}
		}
	}
}

// plugIn connects the lamp to the broker inside.
func (h *house) plugIn() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	addrs, err := h.gateway.BrokerAddrs(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	h.lamp = mqttsim.NewLamp(mqttsim.Options{Broker: "mqtt://" + addrs[0].String()})
	h.unplug = h.run(h.lamp.Run)
}

// client logs somebody in.
func (h *house) client(name string) *xmpptest.Client {
	h.t.Helper()
	c := xmpptest.StartClient(h.t)
	c.Login(h.login(name))
	return c
}

func (h *house) login(name string) xmpptest.Login {
	h.t.Helper()
	if h.ground.login != nil {
		return h.ground.login(name)
	}
	return insideLogin(h.t, h.inside, h.dir, h.ground.person(name), xmpptest.Password(name))
}

// meet makes somebody a contact of the hub and of devices: they subscribe, except where the house does it for them.
func (h *house) meet(c *xmpptest.Client, names ...string) {
	h.t.Helper()
	if !h.ground.asks() {
		return
	}
	asked := map[string]bool{}
	for _, name := range append([]string{"home"}, names...) {
		if bare := h.ground.bare(name); !asked[bare] {
			asked[bare] = true
			c.Subscribe(bare)
		}
	}
}

// waitLog waits until the gateway has logged a text.
func (h *house) waitLog(text string) {
	h.t.Helper()
	h.waitLogAfter(0, text)
}

// waitLogAfter waits until it has logged it behind what it had logged by then, so many bytes.
func (h *house) waitLogAfter(before int, text string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(h.log.String()[before:], text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("the gateway never logged %q", text)
		}
	}
}

// logs is what the gateway logged, for a test that failed.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
