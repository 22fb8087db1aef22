package onewire

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/onewire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	one = "28-0316a2794aff"
	two = "28-00000abc0001"
)

func on(bus *sim.Bus) devices.Type { return Type(func(string) fs.FS { return bus }) }

func TestConformance(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		bus := sim.NewBus()
		bus.Set(one, 21.5)
		bus.SetGone(true)
		return drivertest.Stage{
			Type:   on(bus),
			Config: "[drivers.w1]\npoll = \"20ms\"\n[devices.boiler]\naddress = \"" + one + "\"\n[devices.boiler.points.flow]\nprecision = 1\n",
			Plug:   func() { bus.SetGone(false) },
			Unplug: func() { bus.SetGone(true) },
			Reads:  drivertest.Point{Device: "boiler", Point: "flow"},
		}
	}})
}

type bench struct {
	*testing.T
	sink *drivertest.Sink
	stop func()
}

// begin runs the driver of a configuration, to be called in a synctest bubble.
func begin(t *testing.T, bus *sim.Bus, toml string) *bench {
	t.Helper()
	b := &bench{T: t, sink: &drivertest.Sink{}}
	d := drivertest.Build(t, on(bus), toml)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx, b.sink) }()
	b.stop = sync.OnceFunc(func() {
		asked := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(asked); took > time.Second {
			t.Errorf("run: took %v to end", took)
		}
		for _, v := range b.sink.Violations() {
			t.Error(v)
		}
	})
	t.Cleanup(b.stop)
	return b
}

func (b *bench) reads(id devices.ID, want float64) {
	b.Helper()
	synctest.Wait()
	if r, _ := b.sink.Last(id, "temperature"); r.Value != devices.Number(want) {
		b.Errorf("%s is %v (%s, %v), want %v", id, r.Value, r.Quality, r.Err, want)
	}
}

func (b *bench) up(id devices.ID, want bool) error {
	b.Helper()
	synctest.Wait()
	up, cause := b.sink.Linked(id)
	if up != want {
		b.Errorf("%s is up %t: %v", id, up, cause)
	}
	return cause
}

const configured = "[drivers.w1]\npoll = \"10s\"\n[devices.boiler]\naddress = \"28-0316A2794AFF\"\n"

func TestSensors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Conversion = 750 * time.Millisecond
		bus.Set(one, 21.4375)
		b := begin(t, bus, configured)
		time.Sleep(2 * time.Second)
		b.reads("boiler", 21.437)
		for _, c := range []float64{-0.5, -10.125, 125, -55, 0, 85} {
			bus.Set(one, c)
			time.Sleep(10 * time.Second)
			b.reads("boiler", c)
		}
		// Found while it runs, under its own name; another family, and what is no thermometer.
		bus.Set(two, 50)
		bus.Set("10-000802b5e535", 18.5)
		bus.Set("29-0000000a1b2c", 1)
		time.Sleep(20 * time.Second)
		b.reads(devices.ID("onewire:"+two), 50)
		b.reads("onewire:10-000802b5e535", 18.5)
		info, _ := b.sink.Announced(devices.ID("onewire:" + two))
		if info.Match != "onewire:"+two || info.Name != two || info.Model != "DS18B20" || info.Points[0].Class != "temperature" {
			t.Errorf("announced %+v", info)
		}
		if _, found := b.sink.Announced("onewire:29-0000000a1b2c"); found {
			t.Error("a switch is no thermometer")
		}
		bus.Remove(two)
		time.Sleep(12 * time.Second)
		if cause := b.up(devices.ID("onewire:"+two), false); !strings.Contains(cause.Error(), two+" does not answer: check its wires") {
			t.Errorf("%v", cause)
		}
		b.up("boiler", true)
		bus.Set(two, 51)
		time.Sleep(12 * time.Second)
		b.up(devices.ID("onewire:"+two), true)
		b.reads(devices.ID("onewire:"+two), 51)
	})
}

func TestMatchAndDiscover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Set(one, 21)
		bus.Set(two, 22)
		b := begin(t, bus, "[drivers.w1]\n[devices.boiler]\nmatch = \"onewire:"+one+"\"\n")
		time.Sleep(time.Second)
		b.reads("boiler", 21)
		if info, _ := b.sink.Announced("boiler"); info.Match != "onewire:"+one {
			t.Errorf("announced %+v", info)
		}
		b.reads(devices.ID("onewire:"+two), 22)
		if _, twice := b.sink.Announced(devices.ID("onewire:" + one)); twice {
			t.Error("it is there under two names")
		}
		b.stop()
		b = begin(t, bus, "[drivers.w1]\ndiscover = false\n[devices.boiler]\nmatch = \"onewire:"+one+"\"\n")
		time.Sleep(time.Second)
		if _, found := b.sink.Announced(devices.ID("onewire:" + two)); found {
			t.Error("found, with discover = false")
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Set(one, 21)
		b := begin(t, bus, configured)
		time.Sleep(time.Second)
		for fault, want := range map[sim.Fault]string{
			sim.Disturbed: "the checksum is wrong",
			sim.Starved:   "it says 85 °C, as after a power-on",
			sim.Shorted:   "nothing but zeros",
		} {
			bus.SetFault(one, fault, true)
			time.Sleep(10 * time.Second)
			b.up("boiler", true)
			if r, _ := b.sink.Last("boiler", "temperature"); r.Quality != devices.Faulty || !strings.Contains(r.Err.Error(), want) {
				t.Errorf("%v (%s, %v), want %s", r.Value, r.Quality, r.Err, want)
			}
			bus.SetFault(one, fault, false)
			time.Sleep(10 * time.Second)
			b.reads("boiler", 21)
		}
		bus.SetFault(one, sim.Silent, true)
		time.Sleep(10 * time.Second)
		if cause := b.up("boiler", false); !errors.Is(cause, syscall.EIO) {
			t.Errorf("%v", cause)
		}
		// One that cannot be read is not taken in.
		bus.Set(two, 20)
		bus.SetFault(two, sim.Disturbed, true)
		time.Sleep(20 * time.Second)
		if _, found := b.sink.Announced(devices.ID("onewire:" + two)); found {
			t.Error("taken in with a wrong checksum")
		}
	})
}

func TestManySensors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		for n := range 2 * maxFound {
			bus.Set("28-"+strings.Repeat("0", 9)+string("0123456789abcdef"[n/16/16%16])+string("0123456789abcdef"[n/16%16])+string("0123456789abcdef"[n%16]), 20)
		}
		b := begin(t, bus, "[drivers.w1]\n")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		found := map[devices.ID]bool{}
		for _, e := range b.sink.Events() {
			found[e.ID] = found[e.ID] || e.Kind == drivertest.Announced
		}
		delete(found, "")
		if len(found) != maxFound {
			t.Errorf("%d sensors, %d are the most", len(found), maxFound)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want float64
		err  string
	}{
		// As kernels print it: from the documentation of w1_therm and from a Raspberry Pi.
		{"72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n", 23.125, ""},
		{"5e ff 4b 46 7f ff 02 10 d3 : crc=d3 YES\n5e ff 4b 46 7f ff 02 10 d3 t=-10125\n", 0, "checksum"},
		{"72 01 4b 46 7f ff 0e 10 57 : crc=57 NO\n72 01 4b 46 7f ff 0e 10 57 t=23125\n", 0, "checksum"},
		{"00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", 0, "zeros"},
		{"50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n", 0, "85 °C"},
		{"", 0, "which is no measurement"},
		{"72 01", 0, "which is no measurement"},
		{strings.Repeat("z", 100000), 0, "which is no measurement"},
	} {
		got, err := parse(c.text)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || got != c.want {
			t.Errorf("%.60q: %v, %v", c.text, got, err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parse(text); err == nil && (c < -55 || c > 125) {
			t.Errorf("%v", c)
		}
	})
}

// TestKernelFiles reads real files, laid out as the kernel does: directories behind links.
func TestKernelFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := filepath.Join(dir, "w1_bus_master1", one)
	root := filepath.Join(dir, "bus")
	for _, d := range []string{real, root} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(real, "w1_slave"), []byte("72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../w1_bus_master1/"+one, filepath.Join(root, one)); err != nil {
		t.Fatal(err)
	}
	sink := &drivertest.Sink{}
	drivertest.Start(t, drivertest.Build(t, Type(nil), "[drivers.w1]\nroot = \""+root+"\"\n"), sink)
	sink.WaitValue(t, devices.ID("onewire:"+one), "temperature", devices.Number(23.125))
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const w1 = "[drivers.w1]\n"
	for _, c := range []struct{ toml, want string }{
		{w1 + "root = \"\"\n", "root is empty: leave it out for /sys/bus/w1/devices"},
		{w1 + "poll = \"1ms\"\n", "poll is 1ms: from 10ms to 24h0m0s"},
		{w1 + "[devices.a]\n", `address is "": a thermometer's is as in "28-0316a2794aff"`},
		{w1 + "[devices.a]\naddress = \"29-0316a2794aff\"\n", `address is "29-0316a2794aff": a thermometer's is as in`},
		{w1 + "[devices.a]\nmatch = \"tasmota:1\"\n", `match is "tasmota:1": a thermometer's is as in "onewire:28-0316a2794aff"`},
		{w1 + "[devices.a]\naddress = \"" + one + "\"\nmatch = \"onewire:" + one + "\"\n", "address and match both name the sensor"},
		{w1 + "[devices.a]\naddress = \"" + one + "\"\n[devices.b]\nmatch = \"onewire:" + one + "\"\n", one + " is already that of a"},
		{w1 + "[devices.a]\naddress = \"" + one + "\"\n[devices.a.points.x]\nkind = \"switch\"\n", "kind is switch: a temperature is a number"},
		{w1 + "[devices.a]\naddress = \"" + one + "\"\n[devices.a.points.x]\n[devices.a.points.y]\n", "a thermometer has one point, which is x already"},
		{configured, ""},
	} {
		problems := drivertest.Problems(t, Type(nil), c.toml)
		if got := strings.Join(problems, "\n"); !strings.Contains(got, c.want) || (c.want == "") != (got == "") || len(problems) > 1 {
			t.Errorf("%s: %q, want %q", c.toml, problems, c.want)
		}
	}
}
