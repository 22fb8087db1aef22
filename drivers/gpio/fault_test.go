package gpio

import (
	"errors"
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

func asLevel(on bool) gpio.Level { return gpio.Level(on) }

// healths are the errors of the connection so far, "" for none, without repeats.
func (b *bench) healths() []string {
	var out []string
	for _, e := range b.sink.Events() {
		if e.Kind != drivertest.Healthy {
			continue
		}
		text := ""
		if e.Err != nil {
			text = e.Err.Error()
		}
		if len(out) == 0 || out[len(out)-1] != text {
			out = append(out, text)
		}
	}
	return out
}

func TestChipGoneAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("house", "A", "B", "C")
		b := run(t, chip, point(`source = "A"; direction = "out"; initial = true`)+
			"[devices.door.points.p2]\nsource = \"B\"\n[devices.door.points.polled]\nsource = \"C\"\n")
		for range 3 {
			if !chip.Relay("A").On() || !chip.Held("B") {
				t.Fatal("the lines are not set up")
			}
			if _, err := b.do("p", devices.Bool(false)); err != nil {
				t.Fatal(err)
			}
			chip.SetFault("", sim.Gone, true)
			synctest.Wait() // no probe is needed: the edges ended
			for _, id := range []devices.ID{"it", "door"} {
				up, cause := b.sink.Linked(id)
				if want := "gpio pins: house: no such device: plug it in, or correct chip"; up || cause.Error() != want {
					t.Fatalf("%s is up %t: %v, want %s", id, up, cause, want)
				}
			}
			if _, err := b.do("p", devices.Bool(true)); !errors.Is(err, devices.ErrDown) || !strings.Contains(err.Error(), "plug it in") {
				t.Errorf("do while the chip is gone: %v", err)
			}
			time.Sleep(time.Minute)
			chip.SetFault("", sim.Gone, false)
			time.Sleep(lastRetry)
			synctest.Wait()
			if up, cause := b.sink.Linked("it"); !up {
				t.Fatalf("not back: %v", cause)
			}
		}
		b.stop()
		if got, want := len(b.healths()), 1+3*3; got != want { // up; gone, not there, up
			t.Errorf("%d changes of health, want %d: %q", got, want, b.healths())
		}
	})
}

func TestRetriesBeginAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("house", "A", "B")
		chip.SetFault("B", sim.Busy, true)
		b := run(t, chip, point(`source = "A"`)+"[devices.other.points.q]\nsource = \"B\"\n")
		up := func(id devices.ID) bool {
			synctest.Wait()
			up, _ := b.sink.Linked(id)
			return up
		}
		for range 5 {
			time.Sleep(time.Minute) // long enough for every pause to have grown to its longest
			if !up("it") || up("other") {
				t.Fatal("not as it was set up")
			}
			chip.SetFault("", sim.Gone, true)
			if up("it") {
				t.Fatal("up without a chip")
			}
			chip.SetFault("", sim.Gone, false)
			time.Sleep(firstRetry)
			if !up("it") {
				t.Error("a chip that was there for long is not tried again soon")
			}
		}
		chip.SetFault("", sim.Gone, true)
		synctest.Wait()
		chip.SetFault("B", sim.Busy, false)
		chip.SetFault("", sim.Gone, false)
		for !up("it") {
			time.Sleep(time.Millisecond)
		}
		if !up("other") {
			t.Error("a device has to wait although its chip is new")
		}
	})
}

func TestTroubleIsToldWithTheWayOut(t *testing.T) {
	t.Parallel()
	t.Run("no chip", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("house", "A")
			chip.SetFault("", sim.Gone, true)
			b := run(t, chip, point(`source = "A"`))
			if got := b.healths(); len(got) != 1 || got[0] != "gpio pins: house: no such file or directory: plug it in, or correct chip" {
				t.Errorf("health %q", got)
			}
		})
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("house", "A")
			chip.SetFault("", sim.Denied, true)
			b := run(t, chip, point(`source = "A"`))
			if got := b.healths(); len(got) != 1 || got[0] != "gpio pins: house: permission denied: add the user to group gpio" {
				t.Errorf("health %q", got)
			}
			chip.SetFault("", sim.Denied, false)
			time.Sleep(time.Second)
			b.expect("0")
		})
	})
	t.Run("no such line", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("house", "A", "B")
			b := run(t, chip, point(`source = "Z"`)+"[devices.other.points.p2]\nsource = \"B\"\n")
			if up, cause := b.sink.Linked("it"); up || !strings.Contains(cause.Error(), "there is no line Z") {
				t.Errorf("up %t: %v", up, cause)
			}
			if up, cause := b.sink.Linked("other"); !up {
				t.Errorf("a device on a good line is down with it: %v", cause)
			}
			if _, err := b.do("p", devices.Bool(true)); !errors.Is(err, devices.ErrNotWritable) {
				t.Errorf("do: %v", err)
			}
			time.Sleep(time.Minute)
			down := 0
			for _, e := range b.sink.Events() {
				if e.Kind == drivertest.Linked && !e.Up {
					down++
				}
			}
			if down != 1 {
				t.Errorf("the same reason was told %d times", down)
			}
		})
	})
	t.Run("one line twice", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("house", "A", "B")
			b := run(t, chip, point(`source = "B"`)+"[devices.other.points.p2]\nsource = 1\n")
			if up, cause := b.sink.Linked("other"); up || !strings.Contains(cause.Error(), "line 1 is already that of it.p, as B") {
				t.Errorf("up %t: %v", up, cause)
			}
		})
	})
}

func TestSomebodyElseMovesAnOutput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pin := &fickle{}
		b := runOn(t, nil, func(string) (Chip, error) { return pin, nil }, point(`source = "A"; direction = "out"`))
		pin.become(gpio.High, nil)
		time.Sleep(probeEvery)
		b.expect("01")
	})
}

func TestLineThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"in", "out"} {
		synctest.Test(t, func(t *testing.T) {
			pin := &fickle{}
			b := runOn(t, nil, func(string) (Chip, error) { return pin, nil }, point(`source = "A"; direction = "`+direction+`"`))
			b.expect("0")
			pin.become(gpio.Low, errors.New("no power"))
			time.Sleep(10 * probeEvery)
			b.expect("0f")
			pin.become(gpio.High, nil)
			time.Sleep(probeEvery)
			b.expect("0f1")
		})
	}
}

func TestPulseEndIsTriedUntilItWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pin := &fickle{}
		b := runOn(t, nil, func(string) (Chip, error) { return pin, nil }, point(`source = "A"; direction = "out"; pulse = "1s"`))
		if _, err := b.do("p", devices.Bool(true)); err != nil {
			t.Fatal(err)
		}
		pin.become(gpio.High, errors.New("no power"))
		if _, err := b.do("p", devices.Bool(false)); err == nil {
			t.Error("a write that failed is none")
		}
		time.Sleep(10 * time.Second)
		pin.become(gpio.High, nil)
		time.Sleep(2 * probeEvery)
		synctest.Wait()
		if level, _ := pin.Level(); level {
			t.Error("still on")
		}
	})
}

// fickle is a chip of one line that fails at the test's word.
type fickle struct {
	gpio.PinIO // what is not used

	mu     sync.Mutex
	level  gpio.Level
	broken error
}

// become is the line at that level, or broken.
func (f *fickle) become(level gpio.Level, broken error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.level, f.broken = level, broken
}

func (f *fickle) Level() (gpio.Level, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.level, f.broken
}

func (f *fickle) Out(level gpio.Level) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.level = level
	}
	return f.broken
}

func (f *fickle) Pin(string) (gpio.PinIO, error) { return f, nil }
func (f *fickle) Check() error                   { return nil }
func (f *fickle) Close() error                   { return nil }
func (f *fickle) Halt() error                    { return nil }
func (f *fickle) Number() int                    { return 0 }
func (f *fickle) In(gpio.Pull, gpio.Edge) error  { return nil }
func (f *fickle) WaitForEdge(time.Duration) bool { return false }
