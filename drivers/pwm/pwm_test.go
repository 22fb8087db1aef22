package pwm

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/pwm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func on(chip *sim.Chip) devices.Type { return Type(func(string) Files { return chip }) }

const house = `
[drivers.fans]
type = "pwm"
[devices.fan]
[devices.fan.points.speed]
source = 1
frequency = 25000
safe = 30
[devices.light]
[devices.light.points.level]
source = 0
initial = 12.5
inverted = true
`

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		chip := sim.NewChip("pwmchip0", 2)
		chip.SetGone(true)
		return drivertest.Stage{
			Type:   on(chip),
			Config: house,
			Plug:   func() { chip.SetGone(false) },
			Unplug: func() { chip.SetGone(true) },
			Reads:  drivertest.Point{Device: "light", Point: "level"},

			Command: devices.Command{Device: "fan", Point: "speed", Value: devices.Number(80)},
			Holds: func(ctx context.Context, want devices.Value) error {
				percent, _ := want.Number()
				return chip.Wait(ctx, 1, percent)
			},
			Safe: devices.Number(30),
		}
	}})
}

type bench struct {
	*testing.T
	driver *driver
	sink   *drivertest.Sink
	stop   func()
}

// run runs the driver of a configuration, to be called in a synctest bubble.
func run(t *testing.T, typ devices.Type, toml string) *bench {
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

func (b *bench) reads(id devices.ID, point string, want float64) {
	b.Helper()
	synctest.Wait()
	if r, _ := b.sink.Last(id, point); r.Value != devices.Number(want) {
		b.Errorf("%s is %v, want %v", point, r.Value, want)
	}
}

func (b *bench) do(id devices.ID, point string, v devices.Value) error {
	_, err := b.driver.Do(b.Context(), devices.Command{Device: id, Point: point, Value: v})
	return err
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("pwmchip0", 2)
		b := run(t, on(chip), house)
		if chip.Period(1) != 40_000 || chip.Period(0) != 1_000_000 {
			t.Errorf("periods of %d and %d ns", chip.Period(1), chip.Period(0))
		}
		b.reads("fan", "speed", 0)
		b.reads("light", "level", 12.5)
		if high := chip.Duty(0); math.Abs(high-87.5) > 0.001 {
			t.Errorf("inverted at 12.5 %%, it is high for %v %%", high)
		}
		for _, percent := range []float64{0.01, 33.3, 100, 0, 50} {
			if err := b.do("fan", "speed", devices.Number(percent)); err != nil {
				t.Fatal(err)
			}
			b.reads("fan", "speed", percent)
			if got := chip.Duty(1); math.Abs(got-percent) > 0.005 {
				t.Errorf("%v %% is %v", percent, got)
			}
		}
		for _, v := range []devices.Value{devices.Number(100.5), devices.Number(-1), devices.Bool(true)} {
			if err := b.do("fan", "speed", v); !errors.Is(err, devices.ErrValue) {
				t.Errorf("%v: %v", v, err)
			}
		}
		if err := chip.Write("pwmchip0/pwm1/duty_cycle", "10000"); err != nil { // somebody else
			t.Fatal(err)
		}
		time.Sleep(probeEvery)
		b.reads("fan", "speed", 25)
		b.stop()
		if chip.Duty(1) != 30 || math.Abs(chip.Duty(0)-87.5) > 0.001 {
			t.Errorf("stopped at %v and %v %%", chip.Duty(1), chip.Duty(0))
		}
		// What is exported already, after a crash for one, is taken over.
		b = run(t, on(chip), strings.Replace(house, "frequency = 25000", "frequency = 50000", 1))
		b.reads("fan", "speed", 0)
		if chip.Period(1) != 20_000 {
			t.Errorf("a period of %d ns", chip.Period(1))
		}
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		toml string
		set  func(*sim.Chip)
		want string
	}{
		{"no chip", house, func(c *sim.Chip) { c.SetGone(true) }, "pwm fans: pwmchip0: no such file or directory: switch it on (on a Raspberry Pi: dtoverlay=pwm-2chan"},
		{"not allowed", house, func(c *sim.Chip) { c.SetDenied(true) }, "channel 1: permission denied: let the gateway write below /sys/class/pwm"},
		{"no channel", strings.Replace(house, "source = 1", "source = 2", 1), func(*sim.Chip) {}, "there is no channel 2 of fan.speed: it has 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chip := sim.NewChip("pwmchip0", 2)
				c.set(chip)
				b := run(t, on(chip), c.toml)
				if up, cause := b.sink.Linked("fan"); up || !strings.Contains(cause.Error(), c.want) {
					t.Errorf("up %t: %v, want %s", up, cause, c.want)
				}
				if err := b.do("light", "level", devices.Number(1)); !errors.Is(err, devices.ErrDown) {
					t.Errorf("do: %v", err)
				}
				chip.SetGone(false)
				chip.SetDenied(false)
				time.Sleep(lastRetry)
				synctest.Wait()
				if up, _ := b.sink.Linked("fan"); up != (c.name != "no channel") {
					t.Errorf("up %t", up)
				}
			})
		})
	}
}

// TestKernelFiles writes real files. They do nothing; what a kernel does with them is the simulated chip's part.
func TestKernelFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"pwmchip0/npwm": "2\n", "pwmchip0/export": "", "pwmchip0/pwm1/period": "0\n", "pwmchip0/pwm1/duty_cycle": "0\n",
		"pwmchip0/pwm1/enable": "0\n", "pwmchip0/pwm1/polarity": "normal\n",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	sink := &drivertest.Sink{}
	toml := "[drivers.fans]\nroot = \"" + root + "\"\n[devices.fan.points.speed]\nsource = 1\ninitial = 50\n"
	stop := drivertest.Start(t, drivertest.Build(t, Type(nil), toml), sink)
	sink.WaitLink(t, "fan", true)
	stop()
	for name, want := range map[string]string{"period": "1000000", "duty_cycle": "500000", "enable": "1"} {
		if text, err := os.ReadFile(filepath.Join(root, "pwmchip0/pwm1", name)); err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s is %q, %v, want %s", name, text, err, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	point := func(keys string) string {
		return "[drivers.fans]\n[devices.it.points.p]\n" + strings.ReplaceAll(keys, ";", "\n") + "\n"
	}
	for _, c := range []struct{ toml, want string }{
		{point(``), "source is the channel of the chip: 0 or more"},
		{point(`source = -1`), "source is the channel of the chip"},
		{point(`source = 0; frequency = 0`), "frequency is 0: from 0.1 to 1e+07 Hz"},
		{point(`source = 0; initial = 101`), "initial is 101: from 0 to 100 %"},
		{point(`source = 0; safe = -1`), "safe is -1: from 0 to 100 %"},
		{point(`source = 0; kind = "switch"`), "kind is switch: an output is a number, from 0 to 100"},
		{point("source = 0\n[devices.other.points.q]\nsource = 0"), "channel 0 is already that of it.p"},
		{"[drivers.fans]\nchip = \"gpiochip0\"\n", `chip is "gpiochip0": write it as in "pwmchip0"`},
		{"[drivers.fans]\nchip = \"/sys/class/pwm/pwmchip2\"\n", ""},
		{house, ""},
	} {
		problems := drivertest.Problems(t, Type(nil), c.toml)
		if got := strings.Join(problems, "\n"); !strings.Contains(got, c.want) || (c.want == "") != (got == "") || len(problems) > 1 {
			t.Errorf("%s: %q, want %q", c.toml, problems, c.want)
		}
	}
}
