package gpio_test

import (
	"context"
	"fmt"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/gpio"
	sim "tidings/firmware-sim/gpio"
)

// show prints what a driver says.
type show struct{ read chan struct{} }

func (show) Announce(info devices.Info)           { fmt.Println(info.ID, "at", info.Address) }
func (show) Withdraw(devices.ID, devices.Why)     {}
func (show) Link(id devices.ID, up bool, _ error) { fmt.Println(id, "up:", up) }
func (show) Health(error)                         {}
func (s show) Publish(readings ...devices.Reading) {
	for _, r := range readings {
		fmt.Println(r.Device, r.Point, r.Value)
	}
	close(s.read)
}

func Example() {
	chip := sim.NewChip("house", "GPIO17")
	typ := gpio.Type(func(string) (gpio.Chip, error) { return chip.Open() })

	var problems schema.Problems
	table := func(path string, keys map[string]any) *schema.Table {
		t := schema.NewTable(path, "gateway.toml", 1, &problems)
		for k, v := range keys {
			t.Set(k, schema.Value{V: v, File: "gateway.toml", Line: 1})
		}
		return t
	}
	driver := typ.Build(devices.Connection{
		Name:  "pins",
		Table: table("drivers.pins", nil),
		Devices: []devices.DeviceConfig{{ID: "door", Points: []devices.PointConfig{{
			Name: "open", Kind: devices.KindSwitch,
			Table: table("devices.door.points.open", map[string]any{"source": "GPIO17", "pull": "up"}),
		}}}},
	})

	ctx, cancel := context.WithCancel(context.Background())
	out := show{read: make(chan struct{})}
	go func() {
		<-out.read
		cancel()
	}()
	if err := driver.Run(ctx, out); err != nil {
		fmt.Println(err)
	}
	// Output:
	// door at gpiochip0 GPIO17
	// door up: true
	// door open true
}
