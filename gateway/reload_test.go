package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// A reload whose time is up when it has begun to replace things is carried through: the streams are there afterwards.
func TestReloadIsCarriedThrough(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	x.shows("door", true, "")
	running, release := make(chan struct{}), make(chan struct{})
	go func() { x.router.calls <- func() { close(running); <-release } }()
	<-running
	ctx, cancel := context.WithCancel(t.Context())
	was := x.xmpp.Load()
	go func() { // its time is up as soon as the new streams have taken the old ones' place
		for x.xmpp.Load() == was {
			time.Sleep(time.Millisecond)
		}
		cancel()
		time.Sleep(20 * time.Millisecond)
		close(release)
	}()
	x.write(strings.Replace(trialFile, "[xmpp]", "[xmpp]\nhub = \"house\"", 1))
	if err := x.Reload(ctx); err != nil {
		t.Error(err)
	}
	if on := x.xmpp.Load(); on == was || on.run == nil {
		t.Error("the new streams were not started")
	}
}

// A device that is disabled, by itself or with its driver, stays a contact: it shows so, does nothing, and those who watch it
// go on when it is enabled again.
func TestDisabledByReload(t *testing.T) {
	t.Parallel()
	component := strings.NewReplacer("mode = \"local\"", "mode = \"component\"\nsecret = \"s\"\nserver = \"127.0.0.1:1\"",
		"[xmpp.local]\nlisten = [\"127.0.0.1:0\"]\n", "").Replace(trialFile)
	for name, off := range map[string]string{
		"device": strings.Replace(component, "[devices.door]", "[devices.door]\nenabled = false", 1),
		"driver": strings.Replace(component, "[drivers.a]", "[drivers.a]\nenabled = false", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTrial(t)
			x.write(component)
			x.start()
			x.shows("door", true, "open")
			x.eventually("the alert", func() bool { return len(x.router.Alerts()) == 1 })
			door := "door@home.arpa"
			x.bridge().Deliver(stream.New(stream.NS, "presence", "type", "subscribe", "from", "alice@home.arpa", "to", door), true)
			subscribed := func() bool {
				list, err := x.store.Subscriptions(x.context())
				return err == nil && slices.ContainsFunc(list, func(s xmppbridge.Subscription) bool { return s.Target == door && s.From })
			}
			x.eventually("the subscription", subscribed)
			disabled := func() {
				t.Helper()
				x.eventually("disabled", func() bool {
					x.router.mu.RLock()
					defer x.router.mu.RUnlock()
					d, shown := x.router.models["door"], x.router.shown["door"]
					return d != nil && d.Disabled && len(d.Actions()) == 0 && shown.Show == mapping.ShowXA && shown.Status == "disabled"
				})
				if len(x.router.Alerts()) != 0 || x.chips["a"].Held("IN") || !subscribed() {
					t.Errorf("alerts %v, line held %v, subscribed %v", x.router.Alerts(), x.chips["a"].Held("IN"), subscribed())
				}
				if _, err := x.Send(x.context(), SendRequest{Device: "door", Words: []string{"open"}}); !errors.Is(err, devices.ErrDown) {
					t.Errorf("a command: %v", err)
				}
				_, err := x.executor.Execute(x.context(), devices.Request{By: "alice@home.arpa", Device: "door", Point: "open", Value: devices.Bool(true)})
				if !errors.Is(err, devices.ErrDown) {
					t.Errorf("a command of a person: %v", err)
				}
			}
			x.write(off)
			if err := x.Reload(x.context()); err != nil {
				t.Fatal(err)
			}
			disabled()
			if err := x.stop(); err != nil {
				t.Fatal(err)
			}
			x.start()
			disabled()
			x.write(component)
			if err := x.Reload(x.context()); err != nil {
				t.Fatal(err)
			}
			x.shows("door", true, "open")
			x.eventually("the alert again", func() bool { return len(x.router.Alerts()) == 1 })
			if !subscribed() {
				t.Error("the subscription is gone")
			}
			// Gone for good is something else, also while it is disabled.
			x.write(off)
			if err := x.Reload(x.context()); err != nil {
				t.Fatal(err)
			}
			i, j := strings.Index(component, "[devices.door]"), strings.Index(component, "[devices.heater]")
			x.write(component[:i] + component[j:strings.Index(component, "[alerts.open]")])
			if err := x.Reload(x.context()); err != nil {
				t.Fatal(err)
			}
			x.eventually("it is gone", func() bool { return len(x.DeviceStatus()) == 1 })
		})
	}
}

// A discovered device stays while its driver may discover it again and no table of that driver has taken it.
func TestStays(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{
		Drivers: []config.Driver{{Name: "house", Discovers: true}, {Name: "barn", Discovers: true}, {Name: "line"}},
		Mapping: &mapping.Config{Devices: map[devices.ID]*mapping.DeviceConfig{"lamp": {Driver: "house", Match: "homeassistant:1"}}},
	}
	for _, c := range []struct {
		driver string
		id     devices.ID
		want   bool
	}{
		{"house", "lamp", true}, {"house", "homeassistant:1", false}, {"house", "homeassistant:2", true}, {"barn", "homeassistant:1", true},
		{"house", "gone", false}, {"line", "homeassistant:2", false}, {"removed", "homeassistant:2", false},
	} {
		if got := stays(cfg, c.driver, c.id); got != c.want {
			t.Errorf("%s of %s: %v", c.id, c.driver, got)
		}
	}
}

// Why a configuration was not taken stands in the log, whatever the reason: after a SIGHUP nobody else is told.
func TestReloadSaysWhyNot(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	var log bytes.Buffer
	o := x.options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	g, err := New(x.context(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(x.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.file(), bytes.Replace(text, []byte("data_dir = \""), []byte("data_dir = \"/elsewhere"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t.Context()); err == nil || !strings.Contains(log.String(), "data_dir") {
		t.Errorf("%v, and in the log: %s", err, log.String())
	}
	if err := g.closeStore(); err != nil {
		t.Error(err)
	}
}

// A certificate that was renewed in its files is shown after a reload, and nobody's stream ends for it.
func TestReloadTakesRenewedCertificate(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	cert := filepath.Join(x.dir, "cert.pem")
	renew := func() string {
		t.Helper()
		dir := t.TempDir()
		_, fingerprint, err := local.Certificate(dir, "home.arpa")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "xmpp.pem"), cert); err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	first := renew()
	x.write(strings.Replace(trialFile, `listen = ["127.0.0.1:0"]`, "listen = [\"127.0.0.1:0\"]\ncert_file = \"cert.pem\"\nkey_file = \"cert.pem\"", 1))
	x.start()
	shown := func() string {
		t.Helper()
		addr := x.xmpp.Load().network.(*localNetwork).server.Addrs(x.context())[0]
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr.String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return local.Fingerprint(tls.Certificate{Certificate: [][]byte{conn.ConnectionState().PeerCertificates[0].Raw}})
	}
	if got := shown(); got != first {
		t.Errorf("shows %s, want %s", got, first)
	}
	second, was := renew(), x.xmpp.Load()
	if err := x.Reload(x.context()); err != nil {
		t.Fatal(err)
	}
	if got := shown(); got != second {
		t.Errorf("after the reload it shows %s, want %s", got, second)
	}
	if x.xmpp.Load() != was {
		t.Error("the streams were replaced")
	}
}

// Another domain with the certificate of the old one is told of, with the way out; the certificate stays.
func TestCertificateOfAnotherDomain(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	var log bytes.Buffer
	open := func() string {
		t.Helper()
		log.Reset()
		o := x.options()
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		g, err := New(x.context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, fingerprint, err := g.certificate(g.config.Load())
		if err := errors.Join(err, g.closeStore()); err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	first := open()
	if strings.Contains(log.String(), "certificate") {
		t.Errorf("warned of its own certificate: %s", log.String())
	}
	x.write(strings.ReplaceAll(trialFile, "home.arpa", "house.example"))
	if second := open(); second != first || !strings.Contains(log.String(), "level=WARN") ||
		!strings.Contains(log.String(), "remove "+filepath.Join(x.dir, "xmpp.pem")) || !strings.Contains(log.String(), first) {
		t.Errorf("fingerprint %s, was %s; %s", second, first, log.String())
	}
	if err := os.Remove(filepath.Join(x.dir, "xmpp.pem")); err != nil {
		t.Fatal(err)
	}
	if open() == first || strings.Contains(log.String(), "certificate") {
		t.Errorf("no new one: %s", log.String())
	}
}

// The accounts are asked for while a reload changes the domain.
func TestAccountsWhileReloading(t *testing.T) {
	t.Parallel()
	a := &accounts{domain: "one.example", roles: map[string]mapping.Role{"alice": mapping.Viewer}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			a.configure(config.XMPP{Mode: config.Local, Address: "two.example"}, &mapping.Access{})
		}
	}()
	for range 1000 {
		if got := a.addresses(); len(got) != 1 {
			t.Fatal(got)
		}
	}
	<-done
}

// What is done on the old streams until they have ended is known on the new ones: a command that comes again there is not carried
// out twice.
func TestReloadKnowsWhatWasDoneMeanwhile(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	component := strings.NewReplacer("mode = \"local\"", "mode = \"component\"\nsecret = \"s\"\nserver = \"127.0.0.1:1\"",
		"[xmpp.local]\nlisten = [\"127.0.0.1:0\"]\n", "").Replace(trialFile)
	x.write(component)
	x.start()
	x.shows("heater", true, "power off")
	var mu sync.Mutex
	var done []string
	find := x.executor.actuator
	x.executor.actuator = func(id devices.ID) (devices.Actuator, bool) {
		a, ok := find(id)
		return noted{a, func(c devices.Command) {
			mu.Lock()
			defer mu.Unlock()
			done = append(done, c.Value.String())
		}}, ok
	}
	command := func(id, action string) {
		st, err := stream.Parse(fmt.Appendf(nil, "<iq xmlns='jabber:client' type='set' id='%s' from='alice@home.arpa/x' to='heater@home.arpa/heater'>"+
			"<command xmlns='http://jabber.org/protocol/commands' node='heater/power/%s'/></iq>", id, action))
		if err != nil {
			t.Fatal(err)
		}
		x.bridge().Deliver(st, true)
	}
	// The old streams take their time to end.
	on := x.xmpp.Load()
	ending, release := make(chan struct{}), make(chan struct{})
	was := on.run
	on.run = start(func(ctx context.Context) error {
		<-ctx.Done()
		close(ending)
		<-release
		return was.stop()
	})
	x.write(strings.Replace(component, "[xmpp]", "[xmpp]\nhub = \"house\"", 1))
	reloaded := make(chan error, 1)
	go func() { reloaded <- x.Reload(context.Background()) }()
	<-ending
	command("c1", "on")
	x.shows("heater", true, "power on")
	if _, err := x.Send(x.context(), SendRequest{Device: "heater", Words: []string{"power", "off"}}); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	x.shows("heater", true, "power off")
	command("c1", "on") // again
	command("c2", "off")
	command("c3", "on") // one queue has all three
	x.eventually("what came last", func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := len(done)
		return n >= 4 && done[n-2] == "false" && done[n-1] == "true"
	})
	if got := strings.Join(done, " "); got != "true false false true" {
		t.Errorf("done: %s", got)
	}
}

// noted is an actuator whose commands somebody sees.
type noted struct {
	devices.Actuator
	see func(devices.Command)
}

func (n noted) Do(ctx context.Context, c devices.Command) (devices.Result, error) {
	n.see(c)
	return n.Actuator.Do(ctx, c)
}
