package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/drivers"
	gpiodriver "tidings/drivers/gpio"
	gpiosim "tidings/firmware-sim/gpio"
	"tidings/gateway"
	"tidings/gateway/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const file = `
[gateway]
name = "Trial"
data_dir = %q
[xmpp]
mode = "local"
address = "home.arpa"
[xmpp.local]
listen = ["127.0.0.1:0"]
[control]
socket = %q
[drivers.pins]
type = "gpio"
[devices.heater]
driver = "pins"
name = "Heating below"
location = "Hall"
settle = "50ms"
[devices.heater.points.power]
source = "OUT"
direction = "out"
[devices.heater.points.boost]
source = "OUT2"
direction = "out"
danger = true
`

// begin runs a gateway until the test ends and returns its client.
func begin(t *testing.T) (*control.Client, *gpiosim.Chip, context.Context) {
	t.Helper()
	dir := t.TempDir()
	config, socket := filepath.Join(dir, "gateway.toml"), filepath.Join(dir, "s")
	if err := os.WriteFile(config, fmt.Appendf(nil, file, dir, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	chip := gpiosim.NewChip("pins", "OUT", "OUT2")
	g, err := gateway.New(ctx, gateway.Options{Config: config, Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
		Backends: drivers.Backends{GPIO: func(string) (gpiodriver.Chip, error) { return chip.Open() }}})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	<-g.Ready()
	return control.New(socket), chip, ctx
}

func TestClient(t *testing.T) {
	t.Parallel()
	c, chip, ctx := begin(t)
	var list []gateway.DeviceStatus
	for {
		var err error
		if list, err = c.Devices(ctx); err != nil {
			t.Fatal(err)
		}
		if len(list) == 1 && list[0].Online && strings.HasPrefix(list[0].Status, "power off") {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if d := list[0]; d.Name != "Heating below" || d.JID != "heater@home.arpa/heater" || d.Location != "Hall" || d.Driver != "pins" ||
		!slices.Contains(d.Commands, "power on") || len(d.Points) != 2 || d.Points[0].Value != "off" {
		t.Errorf("devices: %+v", d)
	}
	status, err := c.Status(ctx)
	for ; err == nil && !status.Connected; status, err = c.Status(ctx) {
		time.Sleep(5 * time.Millisecond) // the server inside is about to listen
	}
	if err != nil || status.Name != "Trial" || status.Version != "1.2.3" || !status.Connected || len(status.Drivers) != 1 || status.Drivers[0].Error != "" {
		t.Errorf("status: %+v, %v", status, err)
	}
	out, err := c.Send(ctx, gateway.SendRequest{Device: "heater", Words: []string{"power", "on"}})
	if err != nil || !out.Confirmed || !chip.Relay("OUT").On() {
		t.Errorf("send: %+v, %v", out, err)
	}
	for _, words := range [][]string{{"power off"}, {" power ", "on"}} { // in quotes
		if out, err := c.Send(ctx, gateway.SendRequest{Device: "heating below", Words: words}); err != nil || !out.Confirmed {
			t.Errorf("send %q: %+v, %v", words, out, err)
		}
	}
	if _, err := c.Send(ctx, gateway.SendRequest{Device: "heater", Words: []string{"boost", "on"}}); err == nil || !strings.Contains(err.Error(), "--yes") || chip.Relay("OUT2").On() {
		t.Errorf("danger: %v", err)
	}
	if _, err := c.Send(ctx, gateway.SendRequest{Device: "heater", Words: []string{"boost", "on"}, Yes: true}); err != nil || !chip.Relay("OUT2").On() {
		t.Errorf("danger with a yes: %v", err)
	}
	for _, row := range []struct{ device, word, want string }{
		{"Heatng below", "on", `Heatng below: no such device: did you mean "Heating below"?`},
		{"Heating below", "explode", "Heating below does not understand \"explode\": `tidings devices heater` lists what it does"},
	} {
		if _, err := c.Send(ctx, gateway.SendRequest{Device: devices.ID(row.device), Words: []string{row.word}}); err == nil || err.Error() != row.want {
			t.Errorf("%s %s: %v", row.device, row.word, err)
		}
	}
	for _, r := range []gateway.SendRequest{{Device: "sink", Words: []string{"on"}}, {Device: "heater", Words: []string{"explode"}}, {Device: "heater"}} {
		if _, err := c.Send(ctx, r); err == nil {
			t.Errorf("%+v is done", r)
		}
	}
	if err := c.Reload(ctx); err != nil {
		t.Error(err)
	}
	if err := c.AddAccount(ctx, gateway.AccountRequest{Name: "alice", Role: "admin", Password: "secret of alice"}); err != nil {
		t.Error(err)
	}
	for _, r := range []gateway.AccountRequest{{Name: "alice", Role: "viewer", Password: "another one"}, {Name: "heater", Role: "viewer", Password: "secret"},
		{Name: "home", Role: "viewer", Password: "secret"}, {Name: "bob", Role: "king", Password: "secret"}, {Name: "", Role: "viewer", Password: "secret"},
		{Name: "a@b", Role: "viewer", Password: "secret"}} {
		if err := c.AddAccount(ctx, r); err == nil {
			t.Errorf("account %+v is made", r)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	if _, err := control.New(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "no gateway answers at "+path) {
		t.Error(err)
	}
}
