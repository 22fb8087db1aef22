package serial_test

import (
	"context"
	"fmt"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial"
	sim "tidings/firmware-sim/modbus"
)

const netConfig = `
[drivers.net]
port     = %q
protocol = %q
poll     = "50ms"
[devices.board]
slave   = 1
profile = "r421a08"
[devices.board.points.relay1]
safe = false
[devices.board.points.sensed]
source = "holding:2"
`

func TestConformanceModbusTCP(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		bus := runBus(t, sim.Options{Listen: "127.0.0.1:0", TCP: true})
		bus.Unplug() // it keeps its address
		board := bus.Slave(1)
		sim.Commanded(board)
		return drivertest.Stage{
			Type:   serial.Type(nil),
			Config: fmt.Sprintf(netConfig, bus.Path(), "modbus-tcp"),
			Plug: func() {
				if err := bus.Plug(); err != nil {
					t.Error(err)
				}
			},
			Unplug:   bus.Unplug,
			Reads:    drivertest.Point{Device: "board", Point: "sensed"},
			Command:  devices.Command{Device: "board", Point: "relay1", Value: devices.Bool(true)},
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "board", Point: "sensed"},
			Holds: func(ctx context.Context, want devices.Value) error {
				on, _ := want.Bool()
				return holds(ctx, board, sim.Holding, 1, on)
			},
		}
	}})
}

// TestModbusThroughSerialServer: the bytes of a line may come over the network, too.
func TestModbusThroughSerialServer(t *testing.T) {
	t.Parallel()
	bus := runBus(t, sim.Options{Listen: "127.0.0.1:0"})
	sim.Commanded(bus.Slave(1))
	d := drivertest.Build(t, serial.Type(nil), fmt.Sprintf(netConfig, bus.Path(), "modbus"))
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	sink.WaitValue(t, "board", "relay1", devices.Bool(false))
	if _, err := d.(devices.Actuator).Do(t.Context(), devices.Command{Device: "board", Point: "relay1", Value: devices.Bool(true)}); err != nil {
		t.Error(err)
	}
	sink.WaitValue(t, "board", "relay1", devices.Bool(true))
	bus.Unplug()
	sink.WaitLink(t, "board", false)
	if err := bus.Plug(); err != nil {
		t.Fatal(err)
	}
	sink.WaitLink(t, "board", true)
	stop()
	if err := holds(t.Context(), bus.Slave(1), sim.Holding, 1, false); err != nil {
		t.Error(err)
	}
}

// holds waits until a coil or register is 1 or 0.
func holds(ctx context.Context, s *sim.Slave, table sim.Table, address uint16, want bool) error {
	for {
		changed := s.Changed()
		if s.Get(table, address) == 1 == want {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
