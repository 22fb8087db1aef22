package serial_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial"
	sim "tidings/firmware-sim/serial"
)

// board is a simulated node that runs for the length of a test.
type board struct {
	*sim.Node
	t testing.TB
}

// newBoard starts a node behind a link, as unplugged as the options say, printing every few milliseconds.
func newBoard(t testing.TB, o sim.Options) board {
	t.Helper()
	if o.Link == "" && o.Listen == "" {
		o.Link = filepath.Join(t.TempDir(), "node")
	}
	if o.Every == 0 {
		o.Every = 5 * time.Millisecond
	}
	node, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := node.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return board{node, t}
}

func (b board) set(f sim.Fault, on bool) {
	b.t.Helper()
	if err := b.SetFault(f, on); err != nil {
		b.t.Fatal(err)
	}
}

// holds waits until the relay is as a value says.
func (b board) holds(ctx context.Context, want devices.Value) error {
	on, _ := want.Bool()
	return b.Await(ctx, func(s sim.State) bool { return s.Relay == on })
}

func greenhouseConfig(port string) string {
	return fmt.Sprintf(`
[drivers.attic]
type     = "serial"
port     = %q
baud     = 115200
protocol = "json"

[devices.greenhouse]
driver = "attic"
[devices.greenhouse.points.temperature]
source = "t"
scale  = 0.1
[devices.greenhouse.points.humidity]
source = "h"
[devices.greenhouse.points.target]
source = "set"
write  = '{"set":{{.Value}}}'
[devices.greenhouse.points.pump]
source = "pump"
kind   = "switch"
write  = '{"pump":{{.Value}}}'
safe   = false
`, port)
}

func bedConfig(port string) string {
	return fmt.Sprintf(`
[drivers.garden]
port     = %q
protocol = "keyvalue"
dtr      = false

[devices.bed]
[devices.bed.points.temperature]
source = "t"
[devices.bed.points.valve]
source = "valve"
on     = "on"
off    = "off"
write  = 'valve={{if .Value}}on{{else}}off{{end}}'
safe   = false
`, port)
}

func TestConformanceJSON(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		b := newBoard(t, sim.Options{Unplugged: true})
		return stage(b, greenhouseConfig(b.Path()), "greenhouse", "pump")
	}})
}

func TestConformanceKeyValue(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		b := newBoard(t, sim.Options{Kind: sim.Bed, Unplugged: true})
		return stage(b, bedConfig(b.Path()), "bed", "valve")
	}})
}

func stationConfig(port string) string {
	return fmt.Sprintf(`
[drivers.station]
port     = %q
protocol = "regexp"
pattern  = 'Temp: (?P<t>[\d.]+) C, hum (?P<h>\d+)%%|Pump (?P<pump>ON|OFF)'

[devices.station]
[devices.station.points.temperature]
source = "t"
[devices.station.points.pump]
source = "pump"
on     = "ON"
off    = "OFF"
write  = 'pump {{if .Value}}on{{else}}off{{end}}'
safe   = false
`, port)
}

func TestConformanceRegexp(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		b := newBoard(t, sim.Options{Kind: sim.Station, Unplugged: true})
		return stage(b, stationConfig(b.Path()), "station", "pump")
	}})
}

func TestConformanceTCP(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		b := newBoard(t, sim.Options{Unplugged: true, Listen: "127.0.0.1:0"})
		return stage(b, greenhouseConfig(b.Path()), "greenhouse", "pump")
	}})
}

// speaker is a stage for what only speaks.
func speaker(t testing.TB, kind sim.Kind, config, point string) drivertest.Stage {
	b := newBoard(t, sim.Options{Kind: kind, Unplugged: true})
	s := stage(b, fmt.Sprintf(config, b.Path()), "node", "")
	s.Reads.Point, s.Command, s.Safe, s.ReadOnly = point, devices.Command{}, devices.Value{}, drivertest.Point{}
	return s
}

func TestConformanceCSV(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		return speaker(t, sim.Logger, `
[drivers.logger]
port     = %q
protocol = "csv"
header   = true
[devices.node.points.temperature]
source = "t"
`, "temperature")
	}})
}

func TestConformanceP1(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		return speaker(t, sim.Meter, "[drivers.meter]\nport = %q\nprotocol = \"p1\"\n[devices.node]\n", "gas")
	}})
}

func TestConformanceSDS011(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		return speaker(t, sim.Dust, "[drivers.dust]\nport = %q\nprotocol = \"sds011\"\n[devices.node]\n", "pm25")
	}})
}

func stage(b board, config string, id devices.ID, relay string) drivertest.Stage {
	return drivertest.Stage{
		Type:     serial.Type(nil),
		Config:   config,
		Plug:     func() { b.set(sim.Unplug, false) },
		Unplug:   func() { b.set(sim.Unplug, true) },
		Hush:     func() { b.set(sim.Silence, true) },
		Reads:    drivertest.Point{Device: id, Point: "temperature"},
		Command:  devices.Command{Device: id, Point: relay, Value: devices.Bool(true)},
		Holds:    b.holds,
		Safe:     devices.Bool(false),
		ReadOnly: drivertest.Point{Device: id, Point: "temperature"},
	}
}
