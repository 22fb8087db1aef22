package drivertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/drivertest"
)

// wire is the simulated hardware of the tests' driver: one value that is there or not.
type wire struct {
	mu      sync.Mutex
	there   bool
	value   devices.Value
	changed chan struct{}
}

func newWire() *wire { return &wire{value: devices.Bool(false), changed: make(chan struct{})} }

func (w *wire) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wire) get() (there bool, v devices.Value, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.there, w.value, w.changed
}

func (w *wire) holds(ctx context.Context, want devices.Value) error {
	for {
		_, v, changed := w.get()
		if v == want {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errUnplugged = errors.New("wire: unplugged")

// echo is the least driver that can pass: one device, "relay", with the points "on" and "seen".
type echo struct {
	name string
	wire *wire
	safe devices.Value
	flaw string // what it does wrong; empty for nothing

	mu      sync.Mutex
	running bool
}

func (e *echo) Run(ctx context.Context, out devices.Sink) error {
	if e.flaw == "early" {
		out.Link("relay", true, nil)
	}
	out.Announce(devices.Info{ID: "relay", Driver: e.name, Points: []devices.Point{
		{Name: "on", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
		{Name: "seen", Kind: devices.KindSwitch, Readable: true},
	}})
	e.setRunning(true)
	defer func() {
		e.setRunning(false)
		if there, _, _ := e.wire.get(); there && !e.safe.IsZero() {
			e.wire.set(func() { e.wire.value = e.safe })
		}
	}()
	for {
		there, v, changed := e.wire.get()
		if there {
			out.Health(nil)
			out.Link("relay", true, nil)
			out.Publish(devices.Reading{Device: "relay", Point: "on", Value: v, At: time.Now()},
				devices.Reading{Device: "relay", Point: "seen", Value: v, At: time.Now()})
		} else {
			out.Health(errUnplugged)
			out.Link("relay", false, errUnplugged)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			switch e.flaw {
			case "slow":
				time.Sleep(drivertest.StopWithin + 100*time.Millisecond)
			case "leak":
				go func() { time.Sleep(time.Minute) }()
			case "error":
				return ctx.Err()
			}
			return nil
		}
	}
}

func (e *echo) setRunning(r bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = r
}

func (e *echo) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	there, _, _ := e.wire.get()
	switch {
	case e.flaw == "blind":
		return devices.Result{}, errUnplugged
	case ctx.Err() != nil:
		return devices.Result{}, ctx.Err()
	case cmd.Device != "relay":
		return devices.Result{}, devices.ErrUnknownDevice
	case cmd.Point == "seen":
		return devices.Result{}, devices.ErrNotWritable
	case cmd.Point != "on":
		return devices.Result{}, devices.ErrUnknownPoint
	case !there || !e.running:
		return devices.Result{}, devices.ErrDown
	}
	written := time.Now()
	e.wire.set(func() { e.wire.value = cmd.Value })
	return devices.Result{Written: written}, nil
}

const echoConfig = `
[drivers.loop]
port = "wire"
[devices.relay]
driver = "loop"
[devices.relay.points.on]
source = "on"
safe   = false
[devices.relay.points.seen]
source = "on"
[devices.relay.points.both]
value = "on and seen"
[devices.elsewhere]
driver = "other"
`

func echoType(w *wire) devices.Type { return flawedType(w, "") }

// flawedType is a driver that does one thing wrong.
func flawedType(w *wire, flaw string) devices.Type {
	help := "a loop of wire"
	if flaw == "help" {
		help = ""
	}
	return devices.Type{
		Name: "echo", Help: help, Kind: devices.KindSwitch,
		Connection: []schema.Key{
			{Name: "port", Kind: schema.String, Required: true, Help: "which wire"},
			{Name: "every", Kind: schema.Duration, Default: "10s", Help: "how often"},
		},
		Point: []schema.Key{{Name: "source", Kind: schema.String, Help: "what of it"}},
		Build: func(c devices.Connection) devices.Driver {
			if c.Table.String("port") == "none" {
				c.Table.Errorf("port", "there is no wire none")
			}
			return &echo{name: c.Name, wire: w, safe: c.Devices[0].Points[0].Safe, flaw: flaw}
		},
	}
}

func TestEcho(t *testing.T) { conform(t, "") }

func conform(t *testing.T, flaw string) {
	drivertest.Run(t, drivertest.Fixture{Sources: "testdata/none", New: func(t testing.TB) drivertest.Stage {
		w := newWire()
		return drivertest.Stage{
			Type:     flawedType(w, flaw),
			Config:   echoConfig,
			Plug:     func() { w.set(func() { w.there = true }) },
			Unplug:   func() { w.set(func() { w.there = false }) },
			Reads:    drivertest.Point{Device: "relay", Point: "seen"},
			Command:  devices.Command{Device: "relay", Point: "on", Value: devices.Bool(true)},
			Holds:    w.holds,
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "relay", Point: "seen"},
		}
	}})
}

// flawVariable names, in the environment of a second process, the flaw of the driver that TestFlawed runs there.
const flawVariable = "DRIVERTEST_FLAW"

// TestFlawed: the suite fails a driver for each thing it does wrong. It runs in a process of its own, where failing
// is what is expected.
func TestFlawed(t *testing.T) {
	if flaw := os.Getenv(flawVariable); flaw != "" {
		conform(t, flaw)
		return
	}
	t.Parallel()
	for flaw, c := range map[string]struct{ promise, says string }{
		"help":  {"keys", `type "echo" has the help ""`},
		"early": {"announce,_link,_read", "of a device that was not announced"},
		"slow":  {"stop_at_once", "after its context was done, 2s is allowed"},
		"leak":  {"stop_without_hardware", "goroutines are left"},
		"error": {"stop_in_silence", "run: context canceled"},
		"blind": {"do_what_cannot_be", "want no such point"},
	} {
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFlawed$/^"+c.promise+"$")
			cmd.Env = append(os.Environ(), flawVariable+"="+flaw)
			out, err := cmd.CombinedOutput()
			if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(string(out), c.says) {
				t.Errorf("the suite ends with %v and says %s", err, out)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	got := drivertest.Problems(t, echoType(newWire()), `[drivers.loop]
port = "none"
evry = "1s"
[devices.relay]
[devices.relay.points.on]
source = 4
unit = "mapping's"
`)
	want := []string{
		`gateway.toml:2: drivers.loop: there is no wire none`,
		`gateway.toml:3: drivers.loop: unknown key "evry": did you mean "every"?`,
		`gateway.toml:6: devices.relay.points.on: source is 4, but takes a string`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%q\nwant\n%q", got, want)
	}
}

func TestSinkSeesBreaches(t *testing.T) {
	t.Parallel()
	now := time.Now()
	info := devices.Info{ID: "d", Points: []devices.Point{{Name: "p", Readable: true}, {Name: "w", Writable: true}}}
	good := devices.Reading{Device: "d", Point: "p", Value: devices.Number(1), At: now}
	with := func(change func(*devices.Reading)) devices.Reading {
		r := good
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		say  func(*drivertest.Sink)
		want int
	}{
		"nothing wrong": {func(s *drivertest.Sink) {
			s.Announce(info)
			s.Health(nil)
			s.Link("d", true, nil)
			s.Publish(good)
			s.Publish(with(func(r *devices.Reading) { r.Value, r.Quality = devices.Value{}, devices.Unknown }))
			s.Link("d", false, errUnplugged)
			s.Withdraw("d", devices.Gone)
		}, 0},
		"link before announce":    {func(s *drivertest.Sink) { s.Link("d", true, nil) }, 1},
		"reading before announce": {func(s *drivertest.Sink) { s.Publish(good) }, 1},
		"reading before link":     {func(s *drivertest.Sink) { s.Announce(info); s.Publish(good) }, 1},
		"down without a cause":    {func(s *drivertest.Sink) { s.Announce(info); s.Link("d", false, nil) }, 1},
		"readings that cannot be": {func(s *drivertest.Sink) {
			s.Announce(info)
			s.Link("d", true, nil)
			s.Publish(
				with(func(r *devices.Reading) { r.Point = "x" }),
				with(func(r *devices.Reading) { r.Point = "w" }),
				with(func(r *devices.Reading) { r.At = time.Time{} }),
				with(func(r *devices.Reading) { r.Value = devices.Value{} }),
				with(func(r *devices.Reading) { r.Quality = devices.Faulty }),
				with(func(r *devices.Reading) { r.Value, r.Quality = devices.Value{}, devices.Faulty }),
			)
		}, 6},
		"after Run": {func(s *drivertest.Sink) { s.Close(); s.Health(nil); s.Open(); s.Health(nil) }, 1},
	} {
		s := &drivertest.Sink{}
		c.say(s)
		if got := s.Violations(); len(got) != c.want {
			t.Errorf("%s: %d breaches, want %d: %q", name, len(got), c.want, got)
		}
	}
}

func TestSinkWaits(t *testing.T) {
	t.Parallel()
	s := &drivertest.Sink{}
	s.Announce(devices.Info{ID: "d", Points: []devices.Point{{Name: "p", Readable: true}}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Link("d", true, nil)
		for i := range 10 {
			s.Publish(devices.Reading{Device: "d", Point: "p", Value: devices.Number(float64(i)), At: time.Now()})
		}
		s.Health(errUnplugged)
		s.Link("d", false, errUnplugged)
	}()
	s.WaitAnnounced(t, "d")
	s.WaitReadingAfter(t, 0, "d", "p", func(r devices.Reading) bool { return r.Value == devices.Number(3) })
	s.WaitValue(t, "d", "p", devices.Number(9))
	if cause := s.WaitLink(t, "d", false); !errors.Is(cause, errUnplugged) {
		t.Errorf("cause: %v", cause)
	}
	s.WaitHealth(t, func(err error) bool { return err != nil })
	if r, ok := s.Last("d", "p"); !ok || r.Value != devices.Number(9) {
		t.Errorf("last: %v %t", r, ok)
	}
	<-done
}
