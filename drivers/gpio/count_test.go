package gpio

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/gpio"
)

// meter is a meter with 1,000 pulses a kilowatt-hour: what is counted are watt-hours.
const meter = `[drivers.pins]
[devices.meter]
[devices.meter.points.power]
source = "S0"
rate = "1h"
[devices.meter.points.energy]
source = "S0"
count = "falling"
pull = "up"
debounce = "10ms"
`

// notes is a Memory that can be broken.
type notes struct {
	mu     sync.Mutex
	kept   map[string]float64
	broken error
}

func (n *notes) Recall(id devices.ID, point string) (float64, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, ok := n.kept[string(id)+"."+point]
	return f, ok, n.broken
}

func (n *notes) Keep(id devices.ID, point string, f float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept = map[string]float64{}
	}
	n.kept[string(id)+"."+point] = f
}

// value is what is kept of the meter.
func (n *notes) value() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept["meter.energy"]
}

func (n *notes) mend(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broken = err
}

// count runs the driver with a memory.
func count(t *testing.T, open Opener, memory devices.Memory, toml string) *bench {
	t.Helper()
	typ := Type(open)
	build := typ.Build
	typ.Build = func(c devices.Connection) devices.Driver {
		c.Memory = memory
		return build(c)
	}
	return runType(t, typ, toml)
}

func (b *bench) number(id devices.ID, point string) float64 {
	b.Helper()
	synctest.Wait()
	r, ok := b.sink.Last(id, point)
	f, isNumber := r.Value.Number()
	if !ok || !isNumber {
		return math.NaN()
	}
	return f
}

func (b *bench) expectNumber(point string, want float64) {
	b.Helper()
	if got := b.number("meter", point); math.Abs(got-want) > 1e-9*math.Abs(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
		b.Errorf("%s is %v, want %v", point, got, want)
	}
}

// onCounter is the driver on a kernel's chip whose first line is S0.
func onCounter(t *testing.T, memory devices.Memory, toml string) (*bench, *fakeChip) {
	t.Helper()
	c := fake("gpiochip0", "x", "S0")
	b := count(t, func(chip string) (Chip, error) { return openChip(fakeKernel{"/dev/gpiochip0": c}, chip) }, memory, toml)
	return b, c
}

// pulse is what a meter's output does: 30 ms against ground.
func (l *fakeLine) pulse() {
	l.change(gpio.Low, time.Now())
	time.Sleep(30 * time.Millisecond)
	l.change(gpio.High, time.Now())
}

func TestCounter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &notes{}
		b, c := onCounter(t, memory, meter)
		info, _ := b.sink.Announced("meter")
		if want := []devices.Point{
			{Name: "energy", Kind: devices.KindNumber, Readable: true, Writable: true, Confirms: true},
			{Name: "power", Kind: devices.KindNumber, Readable: true},
		}; fmt.Sprint(info.Points) != fmt.Sprint(want) {
			t.Errorf("announced %+v", info.Points)
		}
		if r := c.held[0].request; r.edge != gpio.FallingEdge || r.debounce != 10*time.Millisecond || r.pull != gpio.PullUp {
			t.Errorf("requested %+v", r)
		}
		b.expectNumber("energy", 0)
		b.expectNumber("power", math.NaN()) // nobody knows yet
		for range 10 {
			c.held[0].pulse()
			time.Sleep(1970 * time.Millisecond) // 1800 W
		}
		b.expectNumber("energy", 10)
		b.expectNumber("power", 1800)
		for range 100 { // 20 a second
			c.held[0].pulse()
			time.Sleep(20 * time.Millisecond)
		}
		b.expectNumber("power", 72000)
		time.Sleep(reportEvery)
		b.expectNumber("energy", 110)
		if n := len(b.sink.Events()); n > 60 {
			t.Errorf("%d events: readings came more often than once in %v", n, reportEvery)
		}
		b.stop()
		if f := memory.value(); f != 110 {
			t.Errorf("kept %v", f)
		}
	})
}

func TestRateFallsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, c := onCounter(t, nil, meter)
		for range 3 {
			c.held[0].pulse()
			time.Sleep(9970 * time.Millisecond) // 360 W
		}
		b.expectNumber("power", 360)
		last := 360.0
		for elapsed := 10 * time.Second; elapsed < time.Hour; elapsed += 10 * time.Second {
			power, bound := b.number("meter", "power"), 3600/elapsed.Seconds()
			if power > last || power > overdue*bound*1.01 || power < min(bound, 360)-1e-6 {
				t.Fatalf("%v after the last pulse: %v W, after %v W, and it cannot be more than %v W", elapsed, power, last, bound)
			}
			last = power
			time.Sleep(10 * time.Second)
		}
		time.Sleep(10 * time.Second)
		b.expectNumber("power", 0)
		events := b.sink.Mark()
		time.Sleep(24 * time.Hour)
		if now := b.sink.Mark(); now != events {
			t.Errorf("%d readings of a line at rest", now-events)
		}
		c.held[0].pulse()
		time.Sleep(970 * time.Millisecond)
		c.held[0].pulse()
		time.Sleep(2 * time.Second)
		if power := b.number("meter", "power"); power < 1200 || power > 3600 {
			t.Errorf("pulses a second apart: %v W", power)
		}
	})
}

func TestRateIsZeroWithoutAPulse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := onCounter(t, nil, "[drivers.pins]\n[devices.meter.points.wind]\nsource = \"S0\"\nrate = \"1s\"\n")
		b.expectNumber("wind", math.NaN())
		time.Sleep(leastFading + time.Second)
		b.expectNumber("wind", 0)
	})
}

// TestLostEdgesAreCounted has the kernel number edges that nobody could take any more: those between two that were seen.
func TestLostEdgesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, c := onCounter(t, nil, meter)
		line := c.held[0]
		line.pulse()
		line.edges += 41 // the kernel's queue was full
		line.pulse()
		time.Sleep(2 * reportEvery)
		b.expectNumber("energy", 43)
		for range 10 * edgesKept { // faster than the loop is scheduled, and than the pin keeps them
			line.edges++
			line.notify(stampedEdge{gpio.Low, time.Now(), line.edges})
		}
		time.Sleep(2 * reportEvery)
		b.expectNumber("energy", 43+10*edgesKept)
		line.edges = math.MaxUint32 - 1 // the number wraps
		line.pulse()
		before := b.number("meter", "energy")
		line.pulse()
		line.pulse()
		time.Sleep(2 * reportEvery)
		b.expectNumber("energy", before+math.MaxUint32-1-43-10*edgesKept+2)
	})
}

func TestTotalOverRestartsAndUnplugging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &notes{kept: map[string]float64{"meter.energy": 12345600.5}}
		b, c := onCounter(t, memory, meter)
		b.expectNumber("energy", 12345600.5)
		c.held[0].pulse()
		time.Sleep(reportEvery) // and the gateway crashes: nothing is said any more
		if f := memory.value(); f != 12345601.5 {
			t.Errorf("kept %v a second after the pulse", f)
		}
		c.held[0].pulse()
		c.gone.Store(true)
		time.Sleep(time.Minute)
		if up, _ := b.sink.Linked("meter"); up {
			t.Error("up without a chip")
		}
		c.gone.Store(false)
		time.Sleep(lastRetry)
		b.expectNumber("energy", 12345602.5)
		c.held[0].pulse()
		b.stop()
		b, c = onCounter(t, memory, meter)
		b.expectNumber("energy", 12345603.5)
		c.held[0].pulse()
		time.Sleep(2 * reportEvery)
		b.expectNumber("energy", 12345604.5)
	})
}

func TestMemoryThatCannotBeReadIsNotReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &notes{kept: map[string]float64{"meter.energy": 5}, broken: errors.New("disk on fire")}
		b, _ := onCounter(t, memory, meter)
		if up, cause := b.sink.Linked("meter"); up || !strings.Contains(cause.Error(), "energy: the count so far cannot be read, and a new one would replace it: disk on fire") {
			t.Errorf("up %t: %v", up, cause)
		}
		if memory.value() != 5 {
			t.Error("it was replaced")
		}
		memory.mend(nil)
		time.Sleep(lastRetry)
		b.expectNumber("energy", 5)
	})
}

func TestSetTotal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &notes{}
		b, c := onCounter(t, memory, meter)
		do := func(point string, v devices.Value) error {
			_, err := b.driver.Do(t.Context(), devices.Command{Device: "meter", Point: point, Value: v})
			return err
		}
		if err := do("energy", devices.Number(12345600)); err != nil {
			t.Fatal(err)
		}
		b.expectNumber("energy", 12345600)
		c.held[0].pulse()
		time.Sleep(2 * reportEvery)
		b.expectNumber("energy", 12345601)
		if f := memory.value(); f != 12345601 {
			t.Errorf("kept %v", f)
		}
		if err := do("energy", devices.Bool(true)); !errors.Is(err, devices.ErrValue) {
			t.Errorf("a count set to true: %v", err)
		}
		if err := do("power", devices.Number(1)); !errors.Is(err, devices.ErrNotWritable) {
			t.Errorf("a rate that is set: %v", err)
		}
	})
}

// TestCounterWithoutTheKernel counts where the chip does not debounce, where it cannot interrupt, and through a pin that has
// nothing but periph's interface.
func TestCounterWithoutTheKernel(t *testing.T) {
	t.Parallel()
	bouncing := func(t *testing.T, set func(gpio.Level)) {
		for range 25 {
			for range 3 {
				set(gpio.Low)
				time.Sleep(time.Millisecond)
				set(gpio.High)
				time.Sleep(time.Millisecond)
			}
			set(gpio.Low)
			time.Sleep(40 * time.Millisecond)
			set(gpio.High)
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(2 * reportEvery)
	}
	t.Run("a kernel that does not debounce", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "S0")
			c.debounces = false
			b := count(t, func(chip string) (Chip, error) { return openChip(fakeKernel{"/dev/gpiochip0": c}, chip) }, nil, meter)
			bouncing(t, func(level gpio.Level) { c.held[0].change(level, time.Now()); synctest.Wait() })
			b.expectNumber("energy", 25)
		})
	})
	t.Run("a chip without interrupts", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "S0")
			chip.SetFault("", sim.NoEdges, true)
			b := count(t, simulated(chip), nil, meter)
			bouncing(t, func(level gpio.Level) { chip.Set("S0", level) })
			b.expectNumber("energy", 25)
		})
	})
	t.Run("a plain pin", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "S0")
			b := count(t, simulated(chip), nil, strings.Replace(meter, `debounce = "10ms"`, "", 1))
			s0 := chip.Meter("S0")
			for range 25 {
				s0.Pulse(30 * time.Millisecond)
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(2 * reportEvery)
			b.expectNumber("energy", 25)
		})
	})
}

func TestCounterFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fickle{}
		b := count(t, func(string) (Chip, error) { return f, nil }, &notes{kept: map[string]float64{"meter.energy": 7}}, meter)
		b.expectNumber("energy", 7)
		f.become(gpio.Low, errors.New("broken"))
		time.Sleep(2 * probeEvery)
		for _, point := range []string{"energy", "power"} {
			if r, _ := b.sink.Last("meter", point); r.Quality != devices.Faulty {
				t.Errorf("%s is %+v", point, r)
			}
		}
		f.become(gpio.Low, nil)
		time.Sleep(2 * probeEvery)
		b.expectNumber("energy", 7)
	})
}

func TestCounterMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keys, want string }{
		{`source = "A"; count = "raising"`, `count: "raising" is none of rising, falling, both: did you mean "rising"?`},
		{`source = "A"; count = "rising"; direction = "out"`, `pulses are counted at an input: leave direction out`},
		{`source = "A"; count = "rising"; active_low = true`, `active_low has no meaning where pulses are counted`},
		{`source = "A"; count = "rising"; kind = "switch"`, `kind is switch: pulses are a number`},
		{`source = "A"; count = "rising"; safe = 1`, `safe is for outputs, and pulses are counted at an input`},
		{`source = "A"; count = "rising"; debounce = "2h"`, `debounce is 2h0m0s: at most 1m0s`},
		{`source = "A"; rate = "1ms"`, `rate is "1ms": from 1s to 24h0m0s`},
		{"source = \"A\"; count = \"rising\"\n[devices.it.points.q]\nsource = \"A\"\nrate = \"1h\"\npull = \"up\"", `pull is said where the line is counted: in it.p`},
		{"source = \"A\"; count = \"rising\"\n[devices.it.points.q]\nsource = \"A\"\ncount = \"falling\"", `line A is already that of it.p`},
		{"source = \"A\"; rate = \"1m\"\n[devices.it.points.q]\nsource = \"A\"\nrate = \"1h\"", `line A is already that of it.p`},
		{"source = \"A\"; count = \"rising\"\n[devices.other.points.q]\nsource = \"A\"\nrate = \"1h\"", `line A is already that of it.p`},
	} {
		problems := drivertest.Problems(t, Type(nil), point(c.keys))
		if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
			t.Errorf("%s: %q, want %s", c.keys, problems, c.want)
		}
	}
	if problems := drivertest.Problems(t, Type(nil), meter); len(problems) > 0 {
		t.Errorf("%q", problems)
	}
}

// TestCounterWhoseEdgesEnd: a chip that is there and tells of no more edges is looked at.
func TestCounterWhoseEdgesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pin := &fickle{}
		b := runOn(t, nil, func(string) (Chip, error) { return pin, nil }, `[drivers.pins]
[devices.meter]
[devices.meter.points.pulses]
source = "S0"
count = "rising"
`)
		time.Sleep(probeEvery)
		for range 7 {
			pin.become(gpio.High, nil)
			time.Sleep(30 * time.Millisecond)
			pin.become(gpio.Low, nil)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * reportEvery)
		b.expectNumber("pulses", 7)
	})
}

// TestSetTotalBetweenPulses: readings of a total that is set come in the order of their times.
func TestSetTotalBetweenPulses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, c := onCounter(t, nil, meter)
		time.Sleep(2 * reportEvery)
		for range 2 { // the second is told a second after the first
			c.held[0].pulse()
			time.Sleep(100 * time.Millisecond)
		}
		res, err := b.driver.Do(t.Context(), devices.Command{Device: "meter", Point: "energy", Value: devices.Number(500)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * reportEvery)
		var last time.Time
		for _, e := range b.sink.Events() {
			if e.Kind != drivertest.Read || e.Reading.Point != "energy" {
				continue
			}
			if e.Reading.At.Before(last) {
				t.Errorf("%v at %v comes after one at %v", e.Reading.Value, e.Reading.At, last)
			}
			last = e.Reading.At
		}
		b.expectNumber("energy", 500)
		if last.Before(res.Written) {
			t.Error("nothing confirms it")
		}
	})
}
