package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers"
	gpiodriver "tidings/drivers/gpio"
	gpiosim "tidings/firmware-sim/gpio"
	"tidings/mapping"
)

// patience is how long anything may take on a loaded machine.
const patience = 20 * time.Second

// A trial is a gateway with the server inside and two simulated chips.
type trial struct {
	backends drivers.Backends // but for GPIO
	*Gateway
	t    *testing.T
	dir  string
	stop func() error

	chips map[string]*gpiosim.Chip
	mu    sync.Mutex
	opens map[string]int     // how often a chip was opened: once a run of its driver
	open  func(string) error // called before a chip is opened
}

const trialFile = `
[gateway]
name = "Trial"
[xmpp]
mode = "local"
address = "home.arpa"
presence_interval = "1s"
[xmpp.local]
listen = ["127.0.0.1:0"]
[access]
"alice@home.arpa" = "admin"
[drivers.a]
type = "gpio"
chip = "a"
[drivers.b]
type = "gpio"
chip = "b"
[devices.door]
driver = "a"
name = "Door"
settle = "50ms"
[devices.door.points.open]
source = "IN"
pull = "up"
[devices.heater]
driver = "b"
name = "Heater"
settle = "50ms"
[devices.heater.points.power]
source = "OUT"
direction = "out"
[devices.heater.points.boost]
source = "OUT2"
direction = "out"
danger = true
[alerts.open]
device = "door"
when = "open"
to = ["alice@home.arpa"]
text = "door is open"
`

func newTrial(t *testing.T) *trial {
	t.Helper()
	return &trial{t: t, dir: t.TempDir(), opens: map[string]int{}, chips: map[string]*gpiosim.Chip{
		"a": gpiosim.NewChip("a", "IN", "IN2"), "b": gpiosim.NewChip("b", "OUT", "OUT2"),
	}}
}

func (x *trial) file() string { return filepath.Join(x.dir, "gateway.toml") }

// write writes the configuration.
func (x *trial) write(text string) {
	x.t.Helper()
	text = strings.Replace(text, "[gateway]\n", fmt.Sprintf("[gateway]\ndata_dir = %q\n", x.dir), 1) +
		fmt.Sprintf("\n[control]\nsocket = %q\n", x.socket())
	if err := os.WriteFile(x.file(), []byte(text), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func (x *trial) socket() string { return filepath.Join(x.dir, "s") }

func (x *trial) context() context.Context {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	x.t.Cleanup(cancel)
	return ctx
}

func (x *trial) options() Options {
	x.backends.GPIO = x.openChip
	return Options{Config: x.file(), Version: "1.2.3", Log: slog.New(slog.DiscardHandler), Backends: x.backends}
}

func (x *trial) openChip(name string) (gpiodriver.Chip, error) {
	x.mu.Lock()
	x.opens[name]++
	before := x.open
	x.mu.Unlock()
	if before != nil {
		if err := before(name); err != nil {
			return nil, err
		}
	}
	return x.chips[name].Open()
}

func (x *trial) opened(name string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.opens[name]
}

// start starts the gateway and waits until it runs.
func (x *trial) start() {
	x.t.Helper()
	var err error
	if x.Gateway, err = New(x.context(), x.options()); err != nil {
		x.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	x.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	x.t.Cleanup(func() {
		if err := x.stop(); err != nil {
			x.t.Error(err)
		}
	})
	select {
	case <-x.Ready():
	case err := <-ended:
		ended <- err
		x.t.Fatal(err)
	case <-x.context().Done():
		x.t.Fatal("not ready")
	}
}

// eventually waits until something is so.
func (x *trial) eventually(what string, is func() bool) {
	x.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.t.Fatalf("never: %s: %+v", what, x.DeviceStatus())
		}
	}
}

// shows waits for what a device shows; offline says so.
func (x *trial) shows(id devices.ID, online bool, status string) {
	x.t.Helper()
	x.eventually(fmt.Sprintf("%s online=%v %q", id, online, status), func() bool {
		for _, d := range x.DeviceStatus() {
			if d.ID == id {
				return d.Online == online && strings.Contains(d.Status, status)
			}
		}
		return false
	})
}

func TestGatewayRuns(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	x.shows("door", true, "open")
	x.shows("heater", true, "power off")
	if !x.Alive() {
		t.Error("not alive")
	}
	x.chips["a"].Press("IN")
	x.shows("door", true, "closed")
	if err := x.stop(); err != nil {
		t.Error(err)
	}
	if x.chips["a"].Held("IN") || x.chips["b"].Held("OUT") {
		t.Error("lines are still held")
	}
}

// A reload with a mistake changes nothing; one without restarts the drivers that changed and no others.
func TestReload(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	x.shows("door", true, "")
	x.shows("heater", true, "")
	opens := func(a, b int) {
		t.Helper()
		x.eventually(fmt.Sprintf("drivers ran %d and %d times", a, b), func() bool { return x.opened("a") >= a && x.opened("b") >= b })
		if x.opened("a") != a || x.opened("b") != b {
			t.Errorf("drivers ran %d and %d times, want %d and %d", x.opened("a"), x.opened("b"), a, b)
		}
	}
	reload := func() {
		t.Helper()
		if err := x.Reload(x.context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, mistake := range []string{"[devices.x]\ndriver = \"none\"\n", "oops"} {
		x.write(trialFile + mistake)
		if err := x.Reload(x.context()); err == nil {
			t.Errorf("%q is taken", mistake)
		}
	}
	x.write(strings.Replace(trialFile, `listen = ["127.0.0.1:0"]`, `listen = ["127.0.0.1:0", "192.0.2.1:1"]`, 1))
	reload() // an address that is not ours is tried again, not fatal
	x.write(trialFile)
	reload()
	opens(1, 1)
	x.shows("door", true, "")

	// What only mapping reads restarts no driver.
	x.write(strings.Replace(trialFile, `name = "Door"`, `name = "Front door"`, 1))
	reload()
	opens(1, 1)
	x.eventually("the new name", func() bool { return x.DeviceStatus()[0].Name == "Front door" })

	// A device of another driver comes: that driver is started anew, and its devices do not go offline.
	x.write(trialFile + "[devices.window]\ndriver = \"a\"\nsettle = \"50ms\"\n[devices.window.points.open]\nsource = \"IN2\"\npull = \"up\"\n")
	reload()
	x.shows("window", true, "")
	opens(2, 1)

	// A device and its driver go.
	less := trialFile[:strings.Index(trialFile, "[drivers.b]")] + trialFile[strings.Index(trialFile, "[devices.door]"):strings.Index(trialFile, "[devices.heater]")] +
		trialFile[strings.Index(trialFile, "[alerts.open]"):]
	x.write(less)
	reload()
	x.eventually("only the door", func() bool { return len(x.DeviceStatus()) == 1 })
	opens(3, 1)
	x.eventually("the line is free", func() bool { return !x.chips["b"].Held("OUT") })
	if _, err := x.Send(x.context(), SendRequest{Device: "heater", Words: []string{"power", "on"}}); err == nil {
		t.Error("the heater is still there")
	}

	x.write(strings.Replace(trialFile, "[xmpp]", "[xmpp]\nhub = \"house\"", 1))
	reload() // other streams
	x.shows("heater", true, "")
	opens(3, 2)
	if err := x.stop(); err != nil {
		t.Error(err)
	}
	if err := x.Reload(x.context()); !errors.Is(err, devices.ErrStopping) {
		t.Errorf("a reload after the end: %v", err)
	}
}

// A driver that panics is started again, and takes nobody along; what people see of it is a line.
func TestPanickingDriver(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.open = func(name string) error {
		if name == "a" && x.opened("a") == 1 {
			panic("test")
		}
		return nil
	}
	x.start()
	x.shows("heater", true, "")
	x.eventually("its health", func() bool {
		for _, d := range x.Status().Drivers {
			if d.Name == "a" && d.Error == "internal error: test" {
				return true
			}
		}
		return x.opened("a") > 1
	})
	x.shows("door", true, "")
	if x.opened("a") < 2 || x.opened("b") != 1 {
		t.Errorf("drivers ran %d and %d times", x.opened("a"), x.opened("b"))
	}
}

// An alert that is active is so after a restart, and is not told again; who has no account yet is told when they have.
func TestAlertsOverRestart(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	pending := func() int {
		list, err := x.store.Pending(x.context(), "alice@home.arpa", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	x.eventually("the alert", func() bool { return len(x.router.Alerts()) == 1 && pending() == 1 })
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.start()
	x.shows("door", true, "open")
	if got := x.router.Alerts(); len(got) != 1 || got[0].Text != "door is open" || pending() != 1 {
		t.Errorf("after the restart: %+v, %d pending", got, pending())
	}
	x.chips["a"].Press("IN")
	x.eventually("the recovery", func() bool { return len(x.router.Alerts()) == 0 && pending() == 2 })
	x.chips["a"].Release("IN")
	x.eventually("once more", func() bool { return len(x.router.Alerts()) == 1 && pending() == 3 })
	x.write(strings.Replace(trialFile, "[alerts.open]", "[alerts.open]\nenabled = false", 1))
	if err := x.Reload(x.context()); err != nil {
		t.Fatal(err)
	}
	x.eventually("no alert any more", func() bool { return len(x.router.Alerts()) == 0 && pending() == 4 })
}

// What people say to alerts is kept at once, also where nothing is said in return.
func TestSilenceOverRestart(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(strings.Replace(trialFile, "[alerts.open]", "[alerts.open]\nenabled = false", 1))
	x.start()
	if err := x.Silence(x.context(), SilenceRequest{Seconds: 3600}); err != nil {
		t.Fatal(err)
	}
	stored := func() int {
		var kept remembered
		if err := x.store.State(x.context(), stateKey, &kept); err != nil {
			t.Fatal(err)
		}
		return len(kept.Silences)
	}
	x.eventually("the silence", func() bool { return len(x.router.Silences()) == 1 && stored() == 1 })
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.start()
	if got := x.router.Silences(); len(got) != 1 || got[0].Until.Before(time.Now().Add(59*time.Minute)) {
		t.Errorf("silences %+v", got)
	}
}

// Two gateways do not share a socket; one that crashed leaves nothing that would be in the way.
func TestControlSocketTaken(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	second, err := New(x.context(), x.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(x.context()); err == nil || !strings.Contains(err.Error(), "another gateway answers there") {
		t.Errorf("the second gateway: %v", err)
	}
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: x.socket(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	x.start()
	if info, err := os.Stat(x.socket()); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
}

// A slip in [control] does not cost anybody a file.
func TestControlSocketIsNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listenControl(path); err == nil {
		l.Close()
		t.Error("the file was taken for a socket")
	}
	if text, err := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is gone: %v", err)
	}
}

// Why the broker inside does not run is what its driver says, too.
func TestBusyBrokerIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	x := newTrial(t)
	x.write(trialFile + fmt.Sprintf("[broker]\nlisten = [%q]\n[drivers.m]\ntype = \"mqtt\"\nbroker = \"local\"\n", taken.Addr()))
	x.start()
	x.eventually("the reason", func() bool {
		for _, d := range x.Status().Drivers {
			if d.Name == "m" {
				return strings.Contains(d.Error, "another broker is listening there")
			}
		}
		return false
	})
}

// TestRecipientWithoutAccount names someone in an alert whom the server inside does not know, beside one who has an
// account and one whom [access] names.
func TestRecipientWithoutAccount(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(strings.Replace(trialFile, `to = ["alice@home.arpa"]`, `to = ["alice@home.arpa", "bob@home.arpa", "alcie@home.arpa"]`, 1))
	var log bytes.Buffer
	o := x.options()
	o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	g, err := New(x.context(), o)
	if err != nil {
		t.Fatal(err)
	}
	g.accounts.set("bob", mapping.Viewer)
	g.access.Store(g.accounts.over(g.config.Load().Mapping.Access))
	ctx, cancel := context.WithCancel(x.context())
	go func() { <-g.Ready(); cancel() }()
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "jid=alcie@home.arpa") {
		t.Errorf("it warns of:\n%s", said)
	}
}
