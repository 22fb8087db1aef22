package serial_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial"
	sim "tidings/firmware-sim/modbus"
)

// runBus starts a bus for the length of a test.
func runBus(t testing.TB, o sim.Options) *sim.Bus {
	t.Helper()
	bus, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := bus.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return bus
}

func TestConformanceModbus(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		bus := runBus(t, sim.Options{Link: filepath.Join(t.TempDir(), "bus"), Unplugged: true})
		sim.Meter(bus.Slave(1))
		relays := bus.Slave(2)
		sim.Relays(relays)
		return drivertest.Stage{
			Type: serial.Type(nil),
			Config: fmt.Sprintf(`
[drivers.meters]
port     = %q
baud     = 115200
protocol = "modbus"
poll     = "50ms"
[devices.meter]
slave   = 1
profile = "sdm120"
[devices.board]
slave   = 2
profile = "waveshare-relay-8"
[devices.board.points.relay3]
safe = false
`, bus.Path()),
			Plug: func() {
				bus.Hush(false)
				if err := bus.Plug(); err != nil {
					t.Error(err)
				}
			},
			Unplug:   bus.Unplug,
			Reads:    drivertest.Point{Device: "meter", Point: "power"},
			Command:  devices.Command{Device: "board", Point: "relay3", Value: devices.Bool(true)},
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "meter", Point: "power"},
			Holds: func(ctx context.Context, want devices.Value) error {
				on, _ := want.Bool()
				return holds(ctx, relays, sim.Coil, 2, on)
			},
		}
	}})
}

// TestModbusProfiles runs devices that are simulated as they are sold, by their profiles alone.
func TestModbusProfiles(t *testing.T) {
	t.Parallel()
	bus := runBus(t, sim.Options{})
	sim.Meter(bus.Slave(1))
	sim.Relays(bus.Slave(2))
	sim.Commanded(bus.Slave(3))
	sim.Climate(bus.Slave(4))
	d := drivertest.Build(t, serial.Type(nil), fmt.Sprintf(`
[drivers.meters]
port     = %q
baud     = 115200
protocol = "modbus"
poll     = "100ms"
[devices.meter]
slave   = 1
profile = "sdm120"
[devices.board]
slave   = 2
profile = "waveshare-relay-8"
[devices.commanded]
slave   = 3
profile = "r421a08"
[devices.climate]
slave   = 4
profile = "xy-md02"
`, bus.Path()))
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	defer stop()
	for point, want := range map[string]float64{
		"power": 480, "energy_import": 1234.5, "energy_total": 1302.3, "voltage": 230.2, "current": 2.1, "frequency": 50.01, "power_factor": 0.99,
		"reactive_energy_total": 16.8,
	} {
		sink.WaitValue(t, "meter", point, devices.Number(want))
	}
	sink.WaitValue(t, "climate", "temperature", devices.Number(214))
	sink.WaitValue(t, "climate", "humidity", devices.Number(480))
	for _, board := range []devices.ID{"board", "commanded"} {
		for _, want := range []devices.Value{devices.Bool(true), devices.Bool(false)} {
			sink.WaitReading(t, board, "relay8", nil)
			mark := sink.Mark()
			res, err := d.(devices.Actuator).Do(t.Context(), devices.Command{Device: board, Point: "relay8", Value: want})
			if err != nil {
				t.Fatal(err)
			}
			r := sink.WaitReadingAfter(t, mark, board, "relay8", func(r devices.Reading) bool { return !r.At.Before(res.Written) })
			if r.Value != want {
				t.Errorf("%s relay8 = %q reads back as %q", board, want, r.Value)
			}
		}
	}
	info, _ := sink.Announced("meter")
	if info.Model != "Eastron SDM120-Modbus" || len(info.Notes) > 0 {
		t.Errorf("announced %+v", info)
	}
}
