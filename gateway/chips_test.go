package gateway

import (
	"io/fs"
	"strings"
	"testing"

	"tidings/drivers"
	"tidings/drivers/chips"
	chipsim "tidings/firmware-sim/chips"
	wiresim "tidings/firmware-sim/onewire"
)

// Points that no table describes have their units, are found by alerts, and follow what tables override; a sensor without any
// table is a device.
func TestPointsThatComeByThemselves(t *testing.T) {
	t.Parallel()
	bus, climate := chipsim.NewBus(), chipsim.NewBME280()
	climate.Set(21.42, 48.4, 1013.2)
	bus.Put(0x76, climate)
	wire := wiresim.NewBus()
	wire.Set("28-0316a2794aff", 55.5)
	x := newTrial(t)
	x.backends = drivers.Backends{
		I2C: func(string) (chips.I2CBus, error) {
			h, err := bus.Open()
			if err != nil {
				return nil, err
			}
			return h, nil
		},
		OneWire: func(string) fs.FS { return wire },
	}
	x.write(strings.Replace(trialFile, "[alerts.open]", `[drivers.bus]
type = "i2c"
poll = "20ms"
[drivers.wire]
type = "onewire"
[devices.climate]
driver = "bus"
chip = "bme280"
primary = ["temperature", "pressure"]
settle = "50ms"
[devices.climate.points.temperature]
offset = -1.0
[alerts.damp]
device = "climate"
when = "humidity > 60"
to = ["alice@home.arpa"]
[alerts.open]`, 1))
	x.start()
	x.shows("climate", true, "20.4 °C · 1013.2 hPa")
	x.shows("onewire:28-0316a2794aff", true, "55.5 °C")
	damp := func() bool {
		for _, a := range x.router.Alerts() {
			if a.Device == "climate" {
				return true
			}
		}
		return false
	}
	if damp() {
		t.Error("an alert at 48 %")
	}
	climate.Set(21.42, 70, 1013.2)
	x.eventually("the alert", damp)
	bus.Put(0x76, nil)
	x.shows("climate", false, "nothing answers")
}
