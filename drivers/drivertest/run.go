package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
)

// A Fixture says how a driver is put under test.
type Fixture struct {
	// New makes one stage: simulated hardware of its own, absent until Plug, taken down by t.Cleanup with every
	// goroutine it started. Called once a subtest; subtests run one after the other.
	New func(t testing.TB) Stage
	// Sources is the directory of the driver's sources, which are searched for the keys it reads; empty for the one
	// the test runs in, which is the package's own.
	Sources string
}

// A Stage is one driver's configuration with the simulated hardware it is for. All functions may be called more
// than once, from the goroutine of the test.
type Stage struct {
	Type   devices.Type // with the backends that reach the simulated hardware
	Config string       // one [drivers.NAME] and the [devices.*] on it; see Connection

	Plug   func() // makes the hardware be there, answering
	Unplug func() // takes it away: the driver must say so
	// Hush makes the hardware be there and say nothing; nil where it never speaks unasked.
	Hush func()
	// Speak makes the hardware give a reading of Reads; nil where it does by itself, again and again.
	Speak func()

	Reads Point // is read once the hardware is there (and has spoken)

	// Command is one that works and is not the safe value; its zero value is for a driver that cannot act.
	Command devices.Command
	// Holds waits until the hardware has this at the point of Command, or ctx is done.
	Holds func(ctx context.Context, want devices.Value) error
	// Safe is what the point of Command is left at when Run returns; zero where nothing is configured.
	Safe devices.Value
	// ReadOnly is a point that takes no commands; its zero value where there is none.
	ReadOnly Point

	sources string
}

// A Point names one point of one device.
type Point struct {
	Device devices.ID
	Point  string
}

// Run holds a driver against the contract, a subtest a promise. Call it from a test that is not parallel: it looks
// for goroutines left behind.
func Run(t *testing.T, f Fixture) {
	t.Helper()
	for _, promise := range []struct {
		name string
		test func(*testing.T, Stage)
	}{
		{"keys", testKeys},
		{"build touches nothing", testBuild},
		{"announce, link, read", testOrder},
		{"comes up when the hardware does", testAppears},
		{"says when the hardware goes", testReplug},
		{"run again", testRestart},
		{"stop at once", testStop},
		{"stop without hardware", testStopAbsent},
		{"stop in silence", testStopSilent},
		{"do", testDo},
		{"do what cannot be", testDoWrong},
		{"do while down", testDoDown},
		{"do with no time left", testDoCancelled},
		{"safe on stop", testSafe},
	} {
		before := goleak.IgnoreCurrent()
		t.Run(promise.name, func(t *testing.T) {
			s := f.New(t)
			s.sources = f.Sources
			promise.test(t, s)
		})
		if err := goleak.Find(before); err != nil {
			t.Errorf("%s: goroutines are left: %v", promise.name, err)
		}
	}
}

// scene is a stage with its driver running.
type scene struct {
	Stage
	driver devices.Driver
	sink   *Sink
	stop   func()
}

func (s Stage) start(t *testing.T) *scene {
	t.Helper()
	sc := &scene{Stage: s, driver: Build(t, s.Type, s.Config)}
	sc.run(t)
	return sc
}

// run runs the driver with a new sink: one that knows nothing has to be told everything.
func (sc *scene) run(t *testing.T) {
	t.Helper()
	sink := &Sink{}
	t.Cleanup(func() {
		if broken := sink.Violations(); len(broken) > 0 {
			t.Errorf("the driver broke the contract of its sink:\n%s", indent(broken))
		}
	})
	sc.sink, sc.stop = sink, Start(t, sc.driver, sink)
}

// up waits until the device is linked and, since it was, has been read.
func (sc *scene) up(t *testing.T) {
	t.Helper()
	sc.sink.WaitLink(t, sc.Reads.Device, true)
	mark := sc.sink.linkedAt(sc.Reads.Device)
	if sc.Speak != nil {
		sc.Speak()
	}
	sc.sink.WaitReadingAfter(t, mark, sc.Reads.Device, sc.Reads.Point, nil)
}

func (s Stage) acts() bool { return s.Command.Device != "" }

func (sc *scene) actuator(t *testing.T) devices.Actuator {
	t.Helper()
	a, ok := sc.driver.(devices.Actuator)
	if !ok {
		t.Fatal("the driver is not an Actuator")
	}
	return a
}

// do calls Do and requires that it returns promptly.
func (sc *scene) do(t *testing.T, cmd devices.Command) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asked := time.Now()
	_, err := sc.actuator(t).Do(ctx, cmd)
	if took := time.Since(asked); took > StopWithin {
		t.Errorf("do: took %v", took.Round(time.Millisecond))
	}
	return err
}

func (sc *scene) holds(t *testing.T, want devices.Value) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := sc.Holds(ctx, want); err != nil {
		t.Fatalf("the hardware does not hold %q at %s %s: %v", want, sc.Command.Device, sc.Command.Point, err)
	}
}

func testBuild(t *testing.T, s Stage) {
	for range 2 {
		before := goleak.IgnoreCurrent()
		begun := time.Now()
		Build(t, s.Type, s.Config)
		if took := time.Since(begun); took > StopWithin {
			t.Errorf("build: took %v", took)
		}
		if err := goleak.Find(before); err != nil {
			t.Errorf("build: started a goroutine: %v", err)
		}
	}
}

func testOrder(t *testing.T, s Stage) {
	s.Plug()
	sc := s.start(t)
	sc.up(t)
	info, ok := sc.sink.Announced(s.Reads.Device)
	if !ok {
		t.Fatalf("%s was not announced", s.Reads.Device)
	}
	c := Connection(t, s.Type, s.Config)
	if info.Driver != c.Name {
		t.Errorf("announced with driver %q, and the connection is %q", info.Driver, c.Name)
	}
	for _, d := range c.Devices { // configured devices are announced, with all of their points, before anything is heard
		info, ok := sc.sink.Announced(d.ID)
		if !ok {
			t.Errorf("%s was not announced", d.ID)
			continue
		}
		announced := map[string]devices.Point{}
		for _, p := range info.Points {
			announced[p.Name] = p
		}
		for _, p := range d.Points {
			if got, ok := announced[p.Name]; !ok || got.Kind != p.Kind {
				t.Errorf("%s: point %s is announced as %+v (%t), configured as %s", d.ID, p.Name, got, ok, p.Kind)
			}
		}
	}
	for i, e := range sc.sink.Events() {
		if e.Kind == Announced {
			continue
		}
		for _, d := range c.Devices {
			if !announcedBefore(sc.sink.Events()[:i], d.ID) {
				t.Errorf("%s is announced only after %s", d.ID, e)
			}
		}
		break
	}
}

func announcedBefore(events []Event, id devices.ID) bool {
	for _, e := range events {
		if e.Kind == Announced && e.ID == id {
			return true
		}
	}
	return false
}

func testAppears(t *testing.T, s Stage) {
	sc := s.start(t)
	sc.sink.WaitAnnounced(t, s.Reads.Device)
	sc.sink.WaitHealth(t, func(err error) bool { return err != nil })
	if up, _ := sc.sink.Linked(s.Reads.Device); up {
		t.Errorf("%s is up without hardware", s.Reads.Device)
	}
	s.Plug()
	sc.up(t)
	sc.sink.WaitHealth(t, func(err error) bool { return err == nil })
}

func testReplug(t *testing.T, s Stage) {
	s.Plug()
	sc := s.start(t)
	for range 2 {
		sc.up(t)
		s.Unplug()
		if cause := sc.sink.WaitLink(t, s.Reads.Device, false); cause == nil {
			t.Error("the link went down without a cause")
		}
		sc.sink.WaitHealth(t, func(err error) bool { return err != nil })
		s.Plug()
	}
	sc.up(t)
	sc.sink.WaitHealth(t, func(err error) bool { return err == nil })
}

func testRestart(t *testing.T, s Stage) {
	s.Plug()
	sc := s.start(t)
	for range 3 {
		sc.up(t)
		if s.acts() {
			if err := sc.do(t, s.Command); err != nil {
				t.Errorf("do: %v", err)
			}
			sc.holds(t, s.Command.Value)
		}
		sc.stop()
		sc.run(t)
	}
	sc.up(t)
}

func testStop(t *testing.T, s Stage) {
	s.Plug()
	sc := s.start(t)
	sc.stop() // at whatever point of its start it is
	sc.run(t)
	sc.up(t)
	sc.stop()
}

func testStopAbsent(t *testing.T, s Stage) {
	sc := s.start(t)
	sc.sink.WaitHealth(t, func(err error) bool { return err != nil })
	sc.stop()
}

func testStopSilent(t *testing.T, s Stage) {
	s.Plug()
	if s.Hush != nil {
		s.Hush()
	}
	sc := s.start(t)
	sc.sink.WaitAnnounced(t, s.Reads.Device)
	sc.sink.WaitHealth(t, func(err error) bool { return err == nil })
	sc.stop()
}

func testDo(t *testing.T, s Stage) {
	if !s.acts() {
		return
	}
	s.Plug()
	sc := s.start(t)
	sc.up(t)
	mark, asked := sc.sink.Mark(), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := sc.actuator(t).Do(ctx, s.Command)
	if err != nil {
		t.Fatalf("do: %v", err)
	}
	if res.Written.Before(asked) || res.Written.After(time.Now()) {
		t.Errorf("do: written at %v, asked at %v", res.Written, asked)
	}
	sc.holds(t, s.Command.Value)
	info, _ := sc.sink.Announced(s.Command.Device)
	for _, p := range info.Points {
		if p.Name == s.Command.Point {
			if !p.Writable {
				t.Errorf("%s takes commands and is not announced as writable", p.Name)
			}
			if p.Confirms {
				r := sc.sink.WaitReadingAfter(t, mark, s.Command.Device, p.Name, func(r devices.Reading) bool {
					return r.Value == s.Command.Value
				})
				if r.At.Before(res.Written) {
					t.Errorf("the reading that confirms was taken %v before the write", res.Written.Sub(r.At))
				}
			}
		}
	}
}

func testDoWrong(t *testing.T, s Stage) {
	if !s.acts() {
		return
	}
	s.Plug()
	sc := s.start(t)
	sc.up(t)
	for _, c := range []struct {
		cmd  devices.Command
		want error
	}{
		{devices.Command{Device: "no-such-device", Point: s.Command.Point, Value: s.Command.Value}, devices.ErrUnknownDevice},
		{devices.Command{Device: s.Command.Device, Point: "no_such_point", Value: s.Command.Value}, devices.ErrUnknownPoint},
		{devices.Command{Device: s.ReadOnly.Device, Point: s.ReadOnly.Point, Value: s.Command.Value}, devices.ErrNotWritable},
	} {
		if c.cmd.Device == "" {
			continue
		}
		if err := sc.do(t, c.cmd); !errors.Is(err, c.want) {
			t.Errorf("do %s %s: %v, want %v", c.cmd.Device, c.cmd.Point, err, c.want)
		} else {
			notAsked(t, err)
		}
	}
}

func testDoDown(t *testing.T, s Stage) {
	if !s.acts() {
		return
	}
	sc := &scene{Stage: s, driver: Build(t, s.Type, s.Config)}
	down := func(when string) {
		t.Helper()
		if err := sc.do(t, s.Command); !errors.Is(err, devices.ErrDown) {
			t.Errorf("do %s: %v, want %v", when, err, devices.ErrDown)
		} else {
			notAsked(t, err)
		}
	}
	down("before Run")
	sc.run(t)
	sc.sink.WaitHealth(t, func(err error) bool { return err != nil })
	down("without hardware")
	s.Plug()
	sc.up(t)
	if err := sc.do(t, s.Command); err != nil {
		t.Errorf("do: %v", err)
	}
	s.Unplug()
	sc.sink.WaitLink(t, s.Command.Device, false)
	down("after the hardware went")
	sc.stop()
	down("after Run")
}

func testDoCancelled(t *testing.T, s Stage) {
	if !s.acts() {
		return
	}
	s.Plug()
	sc := s.start(t)
	sc.up(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sc.actuator(t).Do(ctx, s.Command); !errors.Is(err, context.Canceled) {
		t.Errorf("do: %v, want %v", err, context.Canceled)
	} else {
		notAsked(t, err)
	}
}

// notAsked checks that an error says that the device was never asked.
func notAsked(t *testing.T, err error) {
	t.Helper()
	if _, asked := errors.AsType[*devices.AskedError](err); asked {
		t.Errorf("do: %v says that the device was asked, and nothing can have left", err)
	}
}

func testSafe(t *testing.T, s Stage) {
	if !s.acts() || s.Safe.IsZero() {
		return
	}
	if s.Safe == s.Command.Value {
		t.Fatalf("fixture: Safe and Command are both %q: the test could not tell", s.Safe)
	}
	s.Plug()
	sc := s.start(t)
	sc.up(t)
	if err := sc.do(t, s.Command); err != nil {
		t.Fatalf("do: %v", err)
	}
	sc.holds(t, s.Command.Value)
	sc.stop()
	sc.holds(t, s.Safe)
}
