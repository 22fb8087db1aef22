package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/gateway/store"
	"tidings/mapping"
	"tidings/xmppbridge"
)

// Devices that their drivers let go of because the gateway stops are not devices that are gone.
func TestStopIsNoAlert(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(strings.ReplaceAll(trialFile, `settle = "50ms"`, `settle = "0s"`) +
		"\n[alerts.gone]\ndevice = \"heater\"\nwhen = \"offline\"\nto = [\"alice@home.arpa\"]\n")
	x.start()
	x.shows("heater", true, "power off")
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	for _, a := range x.router.Alerts() {
		if a.Name == "gone" {
			t.Errorf("stopping made an alert: %s", a.Text)
		}
	}
}

// When the router fails the gateway ends, with its outputs safe, and says why: whoever supervises it starts it again.
func TestRouterFails(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	var err error
	if x.Gateway, err = New(x.context(), x.options()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- x.Run(x.context()) }()
	<-x.Ready()
	x.shows("heater", true, "")
	if err := x.router.do(x.context(), func() { panic("test") }); err == nil {
		t.Error("a call that panicked was carried out")
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "internal error: test") {
		t.Errorf("Run: %v", err)
	}
	if x.chips["b"].Held("OUT") {
		t.Error("the line is still held")
	}
}

// A driver that hangs while it is replaced holds up neither the outputs of the others nor, for ever, the end.
func TestStopWhileADriverHangsInAReload(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	x.shows("heater", true, "")
	x.shows("door", true, "")
	c := hang(x.Gateway, "a")
	x.write(strings.Replace(trialFile, `source = "IN"`, `source = "IN2"`, 1))
	reloaded := make(chan error, 1)
	go func() { reloaded <- x.Reload(context.Background()) }()
	<-c.asked
	stopped := make(chan error, 1)
	go func() { stopped <- x.stop() }()
	x.eventually("the heater's line is free", func() bool { return !x.chips["b"].Held("OUT") })
	select {
	case err := <-reloaded:
		t.Errorf("the reload did not wait: %v", err)
	default:
	}
	close(c.release)
	if err := <-reloaded; !errors.Is(err, devices.ErrStopping) {
		t.Errorf("the reload: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if x.chips["a"].Held("IN2") || x.opened("b") != 1 {
		t.Error("a driver was started after the end")
	}
}

// One that never ends is given up.
func TestStopGivesADriverUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := &connection{inbox: newInbox(), unit: start(func(context.Context) error { <-release; return nil })}
		ending := make(chan struct{})
		close(ending)
		began := time.Now()
		if err := c.stop(func(string, devices.ID) bool { return true }, ending); err == nil || time.Since(began) != stopLimit {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		close(release)
	})
}

// A hanging is a driver that does not end before it is released.
type hanging struct {
	asked   chan struct{} // closed when it is asked to end
	release chan struct{}
}

// hang has a connection's driver hang when it is stopped.
func hang(g *Gateway, name string) *hanging {
	h := &hanging{asked: make(chan struct{}), release: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.connections[name].unit
	g.connections[name].unit = start(func(ctx context.Context) error {
		<-ctx.Done()
		err := was.stop()
		close(h.asked)
		<-h.release
		return err
	})
	return h
}

// What waits for the disk when the gateway stops is stored.
func TestPostboxStoresToTheEnd(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	file := filepath.Join(t.TempDir(), "tidings.db")
	for range 8 { // which of two things that are ready comes first is left to chance
		s, err := store.Open(file, log)
		if err != nil {
			t.Fatal(err)
		}
		storing := start(s.Run)
		p := newPostbox(s, func() *xmppbridge.Bridge { return nil }, log)
		p.put(mapping.Alert{To: []string{"alice@home.arpa"}, Text: "hot", At: time.Now()}, remembered{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.run(ctx); err != nil {
			t.Error(err)
		}
		if err := storing.stop(); err != nil {
			t.Error(err)
		}
	}
	s, err := store.Open(file, log)
	if err != nil {
		t.Fatal(err)
	}
	defer start(s.Run).stop()
	if list, err := s.Pending(t.Context(), "alice@home.arpa", 100); err != nil || len(list) != 8 {
		t.Errorf("%d of 8 alerts stored, %v", len(list), err)
	}
}
