package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

// executorFile is the house of the executor's tests.
const executorFile = `
[access]
"otto@example.org" = "operator"
"vera@example.org" = "viewer"
"wim@example.org" = { role = "operator", devices = ["lamp"] }
[drivers.line]
type = "test"
[devices.lamp]
driver = "line"
name = "Lamp"
settle = "0s"
[devices.lamp.points.power]
kind = "switch"
confirm_within = "2s"
[devices.oven]
driver = "line"
name = "Oven"
settle = "0s"
[devices.oven.points.heat]
kind = "switch"
danger = true
[devices.oven.points.light]
kind = "switch"
danger = true
programs = true
[devices.oven.points.target]
unit = "°C"
scale = 0.1
range = [50, 250]
step = 0.5
`

// An executing is an executor over a router that is stepped by hand, and a driver that does what the test says.
type executing struct {
	*executor
	t      *testing.T
	router *router
	access *mapping.Access

	do func(context.Context, devices.Command) (devices.Result, error)

	mu       sync.Mutex
	commands []devices.Command
}

type nobody struct{}

func (nobody) present(mapping.Presence)        {}
func (nobody) turned(devices.ID, bool)         {}
func (nobody) alert(mapping.Alert, remembered) {}
func (nobody) remember(remembered)             {}
func (nobody) meet(*mapping.Device)            {}
func (nobody) appeared(*mapping.Device)        {}
func (nobody) gone(devices.ID)                 {}
func (nobody) read([]devices.Reading)          {}

// execution runs a test of the executor in a bubble, where both devices have been heard.
func execution(t *testing.T, test func(*executing)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := readMapping(t, executorFile)
		registry := devices.NewRegistry()
		x := &executing{t: t, access: cfg.Access}
		x.router = newRouter(mapping.NewRules(cfg, registry, mapping.RulesOptions{}), registry, nobody{}, slog.New(slog.DiscardHandler))
		x.executor = newExecutor(x.router, func() *mapping.Access { return x.access }, func(devices.ID) (devices.Actuator, bool) { return x, true })
		running := start(x.router.run)
		in := x.router.inbox
		in.announce(devices.Info{ID: "lamp", Driver: "line", Points: []devices.Point{
			{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
			{Name: "flash", Kind: devices.KindAction, Writable: true},
			{Name: "hours", Kind: devices.KindNumber, Readable: true},
			{Name: "brightness", Kind: devices.KindNumber, Unit: "%", High: 100, Readable: true, Writable: true, Confirms: true}}})
		in.announce(devices.Info{ID: "oven", Driver: "line", Points: []devices.Point{
			{Name: "heat", Kind: devices.KindSwitch, Readable: true, Writable: true},
			{Name: "light", Kind: devices.KindSwitch, Readable: true, Writable: true},
			{Name: "target", Kind: devices.KindNumber, Readable: true, Writable: true, Confirms: true}}})
		in.link("lamp", true, nil)
		in.link("oven", true, nil)
		synctest.Wait()
		test(x)
		if err := running.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Do implements devices.Actuator: by default it writes and the device obeys a second later.
func (x *executing) Do(ctx context.Context, cmd devices.Command) (devices.Result, error) {
	x.mu.Lock()
	x.commands = append(x.commands, cmd)
	x.mu.Unlock()
	if x.do != nil {
		return x.do(ctx, cmd)
	}
	written := time.Now()
	time.AfterFunc(time.Second, func() { x.read(cmd, cmd.Value) })
	return devices.Result{Written: written}, nil
}

func (x *executing) read(cmd devices.Command, v devices.Value) {
	x.router.inbox.publish([]devices.Reading{{Device: cmd.Device, Point: cmd.Point, Value: v, At: time.Now()}})
}

func lampOn(by devices.Principal) devices.Request {
	return devices.Request{By: by, Device: "lamp", Point: "power", Value: devices.Bool(true)}
}

func TestExecuteRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		request devices.Request
		want    error
	}{
		{"a stranger", lampOn("mallory@example.org"), devices.ErrUnknownDevice},
		{"nobody", lampOn(""), devices.ErrUnknownDevice},
		{"a viewer", lampOn("vera@example.org"), devices.ErrForbidden},
		{"hidden", devices.Request{By: "wim@example.org", Device: "oven", Point: "heat", Value: devices.Bool(true), Confirmed: true}, devices.ErrUnknownDevice},
		{"no device", devices.Request{By: devices.Control, Device: "sink", Point: "tap"}, devices.ErrUnknownDevice},
		{"no point", devices.Request{By: devices.Control, Device: "lamp", Point: "tap"}, devices.ErrUnknownPoint},
		{"read only", devices.Request{By: devices.Control, Device: "lamp", Point: "hours", Value: devices.Number(1)}, devices.ErrNotWritable},
		{"danger", devices.Request{By: devices.Control, Device: "oven", Point: "heat", Value: devices.Bool(true)}, devices.ErrUnconfirmed},
		{"a program", devices.Request{By: "otto@example.org", Via: devices.ViaIoT, Device: "oven", Point: "heat", Value: devices.Bool(true), Confirmed: true}, devices.ErrForbidden},
		{"no value", devices.Request{By: devices.Control, Device: "oven", Point: "target"}, devices.ErrValue},
		{"another kind", devices.Request{By: devices.Control, Device: "oven", Point: "target", Value: devices.Text("hot")}, devices.ErrValue},
		{"out of range", devices.Request{By: devices.Control, Device: "oven", Point: "target", Value: devices.Number(251)}, devices.ErrRange},
	} {
		t.Run(c.name, func(t *testing.T) {
			execution(t, func(x *executing) {
				if err := x.executor.Check(c.request); !errors.Is(err, c.want) {
					t.Errorf("check: %v, want %v", err, c.want)
				}
				_, err := x.Execute(x.t.Context(), c.request)
				var asked *devices.AskedError
				if !errors.Is(err, c.want) || errors.As(err, &asked) || len(x.commands) != 0 {
					t.Errorf("%v, want %v; written %v", err, c.want, x.commands)
				}
			})
		})
	}
}

// A program is not asked: it may or it may not.
func TestExecuteProgram(t *testing.T) {
	execution(t, func(x *executing) {
		request := devices.Request{By: "otto@example.org", Via: devices.ViaIoT, Device: "oven", Point: "light", Value: devices.Bool(true)}
		if err := x.executor.Check(request); err != nil || len(x.commands) != 0 {
			t.Errorf("check: %v, written %v", err, x.commands)
		}
		if _, err := x.Execute(x.t.Context(), request); err != nil || len(x.commands) != 1 {
			t.Errorf("%v, written %v", err, x.commands)
		}
		request.Via = devices.ViaCommand
		if err := x.executor.Check(request); !errors.Is(err, devices.ErrUnconfirmed) {
			t.Errorf("a person: %v", err)
		}
	})
}

func TestExecuteOffline(t *testing.T) {
	execution(t, func(x *executing) {
		x.router.inbox.link("lamp", false, errors.New("port gone"))
		synctest.Wait()
		_, err := x.Execute(x.t.Context(), lampOn(devices.Control))
		if !errors.Is(err, devices.ErrDown) || !strings.Contains(err.Error(), "port gone") {
			t.Error(err)
		}
		x.router.inbox.link("lamp", true, nil)
		synctest.Wait()
		x.do = func(context.Context, devices.Command) (devices.Result, error) {
			return devices.Result{}, fmt.Errorf("line: %w", devices.ErrDown)
		}
		_, err = x.Execute(x.t.Context(), lampOn(devices.Control))
		if asked := (*devices.AskedError)(nil); !errors.Is(err, devices.ErrDown) || errors.As(err, &asked) {
			t.Errorf("down by the time it was asked: %v", err)
		}
	})
}

// Only a reading that was taken after the write and equals what was asked confirms.
func TestExecuteConfirms(t *testing.T) {
	t.Run("afterwards", func(t *testing.T) {
		execution(t, func(x *executing) {
			out, err := x.Execute(x.t.Context(), lampOn("otto@example.org"))
			if err != nil || !out.Confirmed || out.Value != devices.Bool(true) {
				t.Errorf("%+v, %v", out, err)
			}
		})
	})
	t.Run("with its scale and step", func(t *testing.T) {
		execution(t, func(x *executing) {
			out, err := x.Execute(x.t.Context(), devices.Request{By: "otto@example.org", Device: "oven", Point: "target", Value: devices.Number(180.3)})
			if err != nil || !out.Confirmed || out.Value != devices.Number(180.5) || x.commands[0].Value != devices.Number(1805) {
				t.Errorf("%+v, %v, written %v", out, err, x.commands)
			}
		})
	})
	t.Run("that it is off, and what it will have when it is on again", func(t *testing.T) {
		execution(t, func(x *executing) {
			x.do = func(_ context.Context, cmd devices.Command) (devices.Result, error) {
				written := time.Now()
				time.AfterFunc(time.Second, func() {
					x.read(devices.Command{Device: "lamp", Point: "power"}, devices.Bool(false))
					x.read(devices.Command{Device: "lamp", Point: "brightness"}, devices.Number(40))
				})
				return devices.Result{Written: written}, nil
			}
			dim := devices.Request{By: "otto@example.org", Device: "lamp", Point: "brightness", Value: devices.Number(0)}
			out, err := x.Execute(x.t.Context(), dim)
			if err != nil || !out.Confirmed || out.Value != devices.Number(0) || !out.Reading.IsZero() {
				t.Errorf("%+v, %v", out, err)
			}
			dim.Value = devices.Number(20)
			if _, err := x.Execute(x.t.Context(), dim); !errors.Is(err, devices.ErrNoConfirm) {
				t.Errorf("off is not 20 %%: %v", err)
			}
			if len(x.router.confirms.waiting) != 0 {
				t.Errorf("left over: %v", x.router.confirms.waiting)
			}
		})
	})
	no := func(name string, do func(x *executing, cmd devices.Command)) {
		t.Run(name, func(t *testing.T) {
			execution(t, func(x *executing) {
				x.do = func(_ context.Context, cmd devices.Command) (devices.Result, error) {
					written := time.Now()
					do(x, cmd)
					return devices.Result{Written: written}, nil
				}
				began := time.Now()
				_, err := x.Execute(x.t.Context(), lampOn("otto@example.org"))
				var asked *devices.AskedError
				if !errors.Is(err, devices.ErrNoConfirm) || !errors.As(err, &asked) || time.Since(began) != 2*time.Second {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		})
	}
	no("silence", func(*executing, devices.Command) {})
	no("the old value", func(x *executing, cmd devices.Command) { x.read(cmd, devices.Bool(false)) })
	no("a reading from before", func(x *executing, cmd devices.Command) {
		x.router.inbox.publish([]devices.Reading{{Device: "lamp", Point: "power", Value: devices.Bool(true), At: time.Now().Add(-time.Second)}})
	})
	no("a fault", func(x *executing, cmd devices.Command) {
		x.router.inbox.publish([]devices.Reading{{Device: "lamp", Point: "power", Quality: devices.Faulty, At: time.Now()}})
	})
	no("another point", func(x *executing, cmd devices.Command) {
		x.read(devices.Command{Device: "oven", Point: "heat"}, devices.Bool(true))
	})
	no("too late", func(x *executing, cmd devices.Command) {
		time.AfterFunc(3*time.Second, func() { x.read(cmd, devices.Bool(true)) })
	})
	t.Run("what cannot be", func(t *testing.T) {
		execution(t, func(x *executing) {
			for _, r := range []devices.Request{{By: "otto@example.org", Device: "lamp", Point: "flash"},
				{By: "otto@example.org", Device: "oven", Point: "heat", Value: devices.Bool(true), Confirmed: true}} {
				if out, err := x.Execute(x.t.Context(), r); err != nil || out.Confirmed {
					t.Errorf("%+v, %v", out, err)
				}
			}
		})
	})
	t.Run("the driver's error", func(t *testing.T) {
		execution(t, func(x *executing) {
			oops := errors.New("oops")
			for _, c := range []struct {
				err, want error
				asked     bool
			}{
				{oops, oops, false},
				{&devices.AskedError{Err: oops}, oops, true},
				{&devices.AskedError{Err: fmt.Errorf("%w: connection lost", devices.ErrDown)}, devices.ErrDown, true},
				{context.DeadlineExceeded, devices.ErrTimeout, false}, // its turn did not come
				{&devices.AskedError{Err: context.DeadlineExceeded}, devices.ErrTimeout, true},
			} {
				x.do = func(context.Context, devices.Command) (devices.Result, error) { return devices.Result{}, c.err }
				_, err := x.Execute(x.t.Context(), lampOn("otto@example.org"))
				if asked := (*devices.AskedError)(nil); !errors.Is(err, c.want) || errors.As(err, &asked) != c.asked {
					t.Errorf("%v: %v", c.err, err)
				}
			}
		})
	})
}

// Requests for one device take turns in the order they came, those for another pass; too many are refused, and what
// changed meanwhile counts.
func TestExecuteInTurn(t *testing.T) {
	execution(t, func(x *executing) {
		var waiting sync.WaitGroup
		errs := make([]error, maxWaiting+1)
		for i := range errs {
			waiting.Go(func() { _, errs[i] = x.Execute(context.Background(), lampOn("otto@example.org")) })
			synctest.Wait()
		}
		if !errors.Is(errs[maxWaiting], devices.ErrBusy) {
			t.Errorf("one too many: %v", errs[maxWaiting])
		}
		if out, err := x.Execute(x.t.Context(), devices.Request{By: "otto@example.org", Device: "oven", Point: "target", Value: devices.Number(100)}); err != nil || !out.Confirmed {
			t.Errorf("another device: %+v, %v", out, err)
		}
		ctx, cancel := context.WithTimeout(x.t.Context(), time.Millisecond)
		if _, err := x.Execute(ctx, lampOn("otto@example.org")); err == nil {
			t.Error("it did not wait")
		}
		cancel()
		x.mu.Lock()
		if n := len(slices.DeleteFunc(slices.Clone(x.commands), func(c devices.Command) bool { return c.Device != "lamp" })); n > 2 {
			t.Errorf("%d at once", n)
		}
		x.mu.Unlock()
		x.router.inbox.link("lamp", false, errors.New("port gone"))
		waiting.Wait()
		if err := errs[maxWaiting-1]; !errors.Is(err, devices.ErrDown) {
			t.Errorf("the last in turn, when the device had gone: %v", err)
		}
		if len(x.lines) != 0 {
			t.Errorf("left over: %v", x.lines)
		}
	})
}
