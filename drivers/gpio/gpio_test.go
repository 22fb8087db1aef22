package gpio

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/gpio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulated is an Opener of one simulated chip.
func simulated(chip *sim.Chip) Opener {
	return func(string) (Chip, error) {
		h, err := chip.Open()
		if err != nil {
			return nil, err
		}
		return h, nil
	}
}

const house = `
[drivers.pins]
type = "gpio"
chip = "house"
[devices.door]
[devices.door.points.open]
source = "GPIO17"
pull = "up"
[devices.boiler]
[devices.boiler.points.relay]
source = 1
direction = "out"
safe = false
`

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		chip := sim.NewChip("house", "GPIO17", "GPIO27")
		chip.SetFault("", sim.Gone, true)
		return drivertest.Stage{
			Type:   Type(simulated(chip)),
			Config: house,
			Plug:   func() { chip.SetFault("", sim.Gone, false) },
			Unplug: func() { chip.SetFault("", sim.Gone, true) },
			Reads:  drivertest.Point{Device: "door", Point: "open"},

			Command: devices.Command{Device: "boiler", Point: "relay", Value: devices.Bool(true)},
			Holds: func(ctx context.Context, want devices.Value) error {
				on, _ := want.Bool()
				return chip.Relay("GPIO27").Wait(ctx, on)
			},
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "door", Point: "open"},
		}
	}})
}

// bench is a chip with a driver running on it.
type bench struct {
	*testing.T
	chip   *sim.Chip
	driver *driver
	sink   *drivertest.Sink
	stop   func()
}

// run builds the driver of a configuration and runs it on chip, to be called in a synctest bubble: it returns when
// the driver waits for something.
func run(t *testing.T, chip *sim.Chip, toml string) *bench {
	t.Helper()
	return runOn(t, chip, simulated(chip), toml)
}

func runOn(t *testing.T, chip *sim.Chip, open Opener, toml string) *bench {
	t.Helper()
	b := runType(t, Type(open), toml)
	b.chip = chip
	return b
}

func runType(t *testing.T, typ devices.Type, toml string) *bench {
	t.Helper()
	b := &bench{T: t, sink: &drivertest.Sink{}}
	b.driver = drivertest.Build(t, typ, toml).(*driver)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.driver.Run(ctx, b.sink) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		for _, v := range b.sink.Violations() {
			t.Error(v)
		}
	})
	t.Cleanup(b.stop)
	synctest.Wait()
	return b
}

// point makes the configuration of one device "it" with one point "p" from that point's keys.
func point(keys string) string {
	return "[drivers.pins]\n[devices.it]\n[devices.it.points.p]\n" + strings.ReplaceAll(keys, ";", "\n") + "\n"
}

func (b *bench) do(point string, v devices.Value) (devices.Result, error) {
	return b.driver.Do(b.Context(), devices.Command{Device: "it", Point: point, Value: v})
}

// readings are the values that were read of it.p so far, as a word: 1 and 0, and f for a fault.
func (b *bench) readings() string {
	var out []byte
	for _, e := range b.sink.Events() {
		if e.Kind != drivertest.Read || e.Reading.Point != "p" {
			continue
		}
		on, ok := e.Reading.Value.Bool()
		switch {
		case !ok:
			out = append(out, 'f')
		case on:
			out = append(out, '1')
		default:
			out = append(out, '0')
		}
	}
	return string(out)
}

func (b *bench) expect(readings string) {
	b.Helper()
	synctest.Wait()
	if got := b.readings(); got != readings {
		b.Errorf("readings %s, want %s", got, readings)
	}
}

func TestPullAndActiveLow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keys, readings string }{
		// open, pressed to ground, open again, driven high
		{`pull = "up"`, "101"},
		{`pull = "up"; active_low = true`, "010"},
		{`pull = "down"`, "01"},
		{`pull = "down"; active_low = true`, "10"},
		{`pull = "none"`, "01"},
		{``, "01"},
	} {
		t.Run(c.keys, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chip := sim.NewChip("test", "A")
				b := run(t, chip, point(`source = "A"; `+c.keys))
				chip.Press("A")
				synctest.Wait()
				chip.Release("A")
				synctest.Wait()
				chip.Set("A", true)
				b.expect(c.readings)
				if up, cause := b.sink.Linked("it"); !up {
					t.Errorf("down: %v", cause)
				}
			})
		})
	}
}

func TestLineByNameAndNumber(t *testing.T) {
	t.Parallel()
	for _, source := range []string{`"B"`, `1`, `"1"`, `"01"`} {
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A", "B")
			b := run(t, chip, point("source = "+source))
			chip.Set("B", true)
			b.expect("01")
		})
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys           string
		initial, after bool // of the coil
	}{
		{``, false, true},
		{`initial = true`, true, true},
		{`active_low = true`, true, false},
		{`active_low = true; initial = true`, false, false},
	} {
		t.Run(c.keys, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chip := sim.NewChip("test", "A")
				b := run(t, chip, point(`source = "A"; direction = "out"; `+c.keys))
				relay := chip.Relay("A")
				if relay.On() != c.initial {
					t.Errorf("begins with the coil %t", relay.On())
				}
				mark := b.sink.Mark()
				asked := time.Now()
				res, err := b.do("p", devices.Bool(true))
				if err != nil || relay.On() != c.after {
					t.Fatalf("on: %v, coil %t", err, relay.On())
				}
				r := b.sink.WaitReadingAfter(t, mark, "it", "p", nil)
				if r.Value != devices.Bool(true) || r.At.Before(res.Written) || res.Written.Before(asked) {
					t.Errorf("read back %+v, written at %v", r, res.Written)
				}
				b.stop()
				if relay.On() != c.after {
					t.Error("without safe, the line did not stay as it was")
				}
				if chip.Held("A") {
					t.Error("the line is still held")
				}
			})
		})
	}
}

func TestSafe(t *testing.T) {
	t.Parallel()
	const keys = `source = "A"; direction = "out"; active_low = true; initial = false; safe = true`
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(keys))
		relay := chip.Relay("A") // active low: safe is the coil not drawn
		if !relay.On() {
			t.Fatal("the initial state is not set")
		}
		b.stop()
		if relay.On() {
			t.Error("stopped, and the line is not safe")
		}
	})
	// One line that cannot be had: the others of its device are let go, safe.
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A", "B")
		chip.SetFault("B", sim.Busy, true)
		b := run(t, chip, point(keys)+"[devices.it.points.q]\nsource = \"B\"\ndirection = \"out\"\n")
		if up, cause := b.sink.Linked("it"); up || !strings.Contains(cause.Error(), "stop the program that holds it") {
			t.Errorf("link %t: %v", up, cause)
		}
		if chip.Relay("A").On() || chip.Held("A") {
			t.Error("the line that could be had is held or not safe")
		}
		chip.SetFault("B", sim.Busy, false)
		time.Sleep(lastRetry)
		synctest.Wait()
		if up, cause := b.sink.Linked("it"); !up {
			t.Errorf("still down: %v", cause)
		}
	})
}

func TestPulse(t *testing.T) {
	t.Parallel()
	const keys = `source = "A"; direction = "out"; pulse = "500ms"`
	t.Run("on, then off", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A")
			b := run(t, chip, point(keys))
			relay := chip.Relay("A")
			for range 2 {
				if _, err := b.do("p", devices.Bool(true)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(400 * time.Millisecond)
				if _, err := b.do("p", devices.Bool(true)); !errors.Is(err, devices.ErrBusy) {
					t.Errorf("a second pulse into the first: %v", err)
				}
				time.Sleep(99 * time.Millisecond)
				if !relay.On() {
					t.Error("off too early")
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				if relay.On() {
					t.Error("not off after the pulse")
				}
			}
			b.expect("01010")
		})
	})
	t.Run("off ends it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A")
			b := run(t, chip, point(keys))
			for _, v := range []bool{true, false, true} {
				if _, err := b.do("p", devices.Bool(v)); err != nil {
					t.Fatal(err)
				}
				if chip.Relay("A").On() != v {
					t.Errorf("after %t the coil is not", v)
				}
			}
			time.Sleep(time.Second)
			b.expect("01010")
		})
	})
	t.Run("as an action", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A")
			b := run(t, chip, point(keys+`; kind = "action"`))
			info, _ := b.sink.Announced("it")
			if p := info.Points[0]; p.Kind != devices.KindAction || p.Readable || p.Confirms || !p.Writable {
				t.Errorf("announced %+v", p)
			}
			if _, err := b.do("p", devices.Value{}); err != nil || !chip.Relay("A").On() {
				t.Errorf("do: %v", err)
			}
			time.Sleep(time.Second)
			if synctest.Wait(); chip.Relay("A").On() {
				t.Error("not off after the pulse")
			}
			b.expect("")
		})
	})
	t.Run("stopped in the middle", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A")
			b := run(t, chip, point(keys))
			if _, err := b.do("p", devices.Bool(true)); err != nil {
				t.Fatal(err)
			}
			b.stop()
			if chip.Relay("A").On() {
				t.Error("stopped, and the line is on")
			}
		})
	})
}

func TestStuckRelayIsNotConfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(`source = "A"; direction = "out"`))
		chip.SetFault("A", sim.Stuck, true)
		if _, err := b.do("p", devices.Bool(true)); err != nil {
			t.Fatal(err)
		}
		b.expect("00") // what it is, not what was asked
		chip.SetFault("A", sim.Stuck, false)
		if _, err := b.do("p", devices.Bool(true)); err != nil {
			t.Fatal(err)
		}
		b.expect("001")
	})
}

func TestDoWrongValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := run(t, sim.NewChip("test", "A"), point(`source = "A"; direction = "out"`))
		if _, err := b.do("p", devices.Number(1)); !errors.Is(err, devices.ErrValue) {
			t.Errorf("a number for a switch: %v", err)
		}
		b.expect("0")
	})
}
