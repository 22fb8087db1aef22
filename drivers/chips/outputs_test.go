package chips

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	sim "tidings/firmware-sim/chips"
)

// expanderKeys is a chip with an active-low relay, a lamp and a button.
const expanderKeys = `chip = "mcp23017"
[devices.it.points.relay]
source = "A0"
direction = "out"
active_low = true
safe = false
[devices.it.points.lamp]
source = "B1"
direction = "out"
initial = true
[devices.it.points.button]
source = "GPB7"
pull = "up"
active_low = true
`

func TestExpander(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, pins := sim.NewBus(), sim.NewMCP23017()
		bus.Put(0x20, pins)
		b := run(t, i2cOn(bus), chip(expanderKeys))
		time.Sleep(time.Second)
		is := func(point string, want bool) {
			t.Helper()
			synctest.Wait()
			if r, _ := b.sink.Last("it", point); r.Value != devices.Bool(want) {
				t.Errorf("%s is %v (%v), want %t", point, r.Value, r.Err, want)
			}
		}
		is("relay", false)
		is("lamp", true)
		is("button", false)
		if !pins.Level(0) || pins.Rises(0) != 1 {
			t.Errorf("the relay's pin is %t and rose %d times: off is high, from the first moment", pins.Level(0), pins.Rises(0))
		}
		pins.Set(15, false)
		time.Sleep(time.Second)
		is("button", true)
		mark := b.sink.Mark()
		if err := b.do("relay", devices.Bool(true)); err != nil || pins.Level(0) {
			t.Errorf("on: %v, the pin is %t", err, pins.Level(0))
		}
		b.sink.WaitReadingAfter(t, mark, "it", "relay", func(r devices.Reading) bool { return r.Value == devices.Bool(true) })
		// A disturbed bus leaves outputs as they are; a chip that lost its power begins anew.
		bus.SetFault(0x20, sim.Absent, true)
		time.Sleep(3 * time.Second)
		if err := b.do("relay", devices.Bool(false)); !errors.Is(err, devices.ErrDown) {
			t.Errorf("do while it is away: %v", err)
		}
		bus.SetFault(0x20, sim.Absent, false)
		time.Sleep(lastRetry)
		is("relay", true)
		bus.PowerCycle(0x20)
		time.Sleep(2 * time.Second)
		is("relay", false)
		is("lamp", true)
		if err := b.do("relay", devices.Bool(true)); err != nil {
			t.Error(err)
		}
		if err := b.do("lamp", devices.Bool(false)); err != nil {
			t.Error(err)
		}
		b.stop()
		if !pins.Level(0) || pins.Level(9) {
			t.Errorf("stopped, and the relay's pin is %t, the lamp's %t", pins.Level(0), pins.Level(9))
		}
	})
}

// The expander with 8 pins has its registers closer together.
func TestSmallExpander(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, pins := sim.NewBus(), sim.NewMCP23008()
		bus.Put(0x20, pins)
		b := run(t, i2cOn(bus), chip("chip = \"mcp23008\"\n[devices.it.points.lamp]\nsource = 0\ndirection = \"out\"\n[devices.it.points.button]\nsource = 7\npull = \"up\"\nactive_low = true\n"))
		time.Sleep(time.Second)
		if r, _ := b.sink.Last("it", "button"); r.Value != devices.Bool(false) {
			t.Errorf("the button is %v (%v)", r.Value, r.Err)
		}
		pins.Set(7, false)
		time.Sleep(time.Second)
		synctest.Wait()
		if r, _ := b.sink.Last("it", "button"); r.Value != devices.Bool(true) {
			t.Errorf("pressed, the button is %v (%v)", r.Value, r.Err)
		}
		if err := b.do("lamp", devices.Bool(true)); err != nil || !pins.Level(0) {
			t.Errorf("on: %v, the pin is %t", err, pins.Level(0))
		}
		b.stop()
	})
}

func TestPWM(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, out := sim.NewBus(), sim.NewPCA9685()
		bus.Put(0x40, out)
		b := run(t, i2cOn(bus), chip("chip = \"pca9685\"\nfrequency = 50\n[devices.it.points.fan]\nsource = 15\nsafe = 0\n[devices.it.points.light]\nsource = 0\ninitial = 25\n"))
		time.Sleep(time.Second)
		if f := out.Frequency(); math.Abs(f-50) > 0.2 {
			t.Errorf("%v Hz", f)
		}
		b.reads("fan", 0, 0)
		b.reads("light", 25, 0)
		for _, percent := range []float64{0.01, 0.02, 33.3, 50, 99.99, 100, 0, 12.5} {
			if err := b.do("fan", devices.Number(percent)); err != nil {
				t.Fatal(err)
			}
			b.reads("fan", percent, 0)
			if got := out.Duty(15); math.Abs(got-percent) > 50.0/4096 {
				t.Errorf("%v %% is %v", percent, got)
			}
		}
		for _, v := range []devices.Value{devices.Number(100.1), devices.Number(-1), devices.Bool(true)} {
			if err := b.do("fan", v); !errors.Is(err, devices.ErrValue) {
				t.Errorf("%v: %v", v, err)
			}
		}
		bus.PowerCycle(0x40)
		time.Sleep(2 * time.Second)
		b.reads("light", 25, 0)
		if err := b.do("fan", devices.Number(80)); err != nil {
			t.Error(err)
		}
		b.stop()
		if out.Duty(15) != 0 || out.Duty(0) != 25 {
			t.Errorf("stopped at %v and %v %%", out.Duty(15), out.Duty(0))
		}
	})
}

// TestChipThatGoesAtACommand: a chip that is looked at once an hour is known to be gone when a command finds it gone.
func TestChipThatGoesAtACommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Put(0x40, sim.NewPCA9685())
		b := run(t, i2cOn(bus), chip("chip = \"pca9685\"\npoll = \"1h\"\n[devices.it.points.fan]\nsource = 15\n"))
		time.Sleep(time.Second)
		b.up("it", true)
		bus.Put(0x40, nil)
		var asked *devices.AskedError
		if err := b.do("fan", devices.Number(50)); !errors.As(err, &asked) {
			t.Errorf("do: %v", err)
		}
		time.Sleep(time.Second)
		b.up("it", false)
		bus.Put(0x40, sim.NewPCA9685())
		time.Sleep(lastRetry)
		b.up("it", true)
		if err := b.do("fan", devices.Number(50)); err != nil {
			t.Error(err)
		}
	})
}
