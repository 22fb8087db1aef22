package chips

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/chips"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func i2cOn(bus *sim.Bus) devices.Type {
	return I2C(func(string) (I2CBus, error) {
		h, err := bus.Open()
		if err != nil {
			return nil, err
		}
		return h, nil
	})
}

func spiOn(bus *sim.Bus) devices.Type {
	return SPI(func(string) (SPIPort, error) {
		h, err := bus.Open()
		if err != nil {
			return nil, err
		}
		return h, nil
	})
}

const house = `
[drivers.bus]
type = "i2c"
poll = "20ms"
[devices.climate]
chip = "bme280"
[devices.relays]
chip = "mcp23017"
[devices.relays.points.pump]
source = "A0"
direction = "out"
safe = false
[devices.relays.points.contact]
source = "B7"
pull = "up"
`

func TestConformanceOfI2C(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		bus, expander := sim.NewBus(), sim.NewMCP23017()
		bus.Put(0x76, sim.NewBME280())
		bus.Put(0x20, expander)
		bus.SetGone(true)
		return drivertest.Stage{
			Type:   i2cOn(bus),
			Config: house,
			Plug:   func() { bus.SetGone(false) },
			Unplug: func() { bus.SetGone(true) },
			Reads:  drivertest.Point{Device: "climate", Point: "temperature"},

			Command: devices.Command{Device: "relays", Point: "pump", Value: devices.Bool(true)},
			Holds: func(ctx context.Context, want devices.Value) error {
				on, _ := want.Bool()
				return expander.Wait(ctx, 0, on)
			},
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "relays", Point: "contact"},
		}
	}})
}

func TestConformanceOfSPI(t *testing.T) {
	drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
		bus, expander := sim.NewBus(), sim.NewMCP23017()
		bus.Put(0, expander)
		bus.SetGone(true)
		return drivertest.Stage{
			Type: spiOn(bus),
			Config: `
[drivers.bus]
poll = "20ms"
[devices.relays]
chip = "mcp23s17"
[devices.relays.points.pump]
source = 3
direction = "out"
safe = false
[devices.relays.points.contact]
source = "B7"
pull = "up"
`,
			Plug:   func() { bus.SetGone(false) },
			Unplug: func() { bus.SetGone(true) },
			Reads:  drivertest.Point{Device: "relays", Point: "contact"},

			Command: devices.Command{Device: "relays", Point: "pump", Value: devices.Bool(true)},
			Holds: func(ctx context.Context, want devices.Value) error {
				on, _ := want.Bool()
				return expander.Wait(ctx, 3, on)
			},
			Safe:     devices.Bool(false),
			ReadOnly: drivertest.Point{Device: "relays", Point: "contact"},
		}
	}})
}

// bench is a bus with a driver running on it.
type bench struct {
	*testing.T
	driver *driver
	sink   *drivertest.Sink
	stop   func()
}

// run builds the driver of a configuration and runs it, to be called in a synctest bubble.
func run(t *testing.T, typ devices.Type, toml string) *bench {
	t.Helper()
	b := &bench{T: t, sink: &drivertest.Sink{}}
	b.driver = drivertest.Build(t, typ, toml).(*driver)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.driver.Run(ctx, b.sink) }()
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
	synctest.Wait()
	return b
}

// chip is the configuration of one device "it" from its keys and tables.
func chip(keys string) string { return "[drivers.bus]\npoll = \"1s\"\n[devices.it]\n" + keys + "\n" }

func (b *bench) reads(point string, want float64, within float64) {
	b.Helper()
	synctest.Wait()
	r, _ := b.sink.Last("it", point)
	got, ok := r.Value.Number()
	if !ok || math.Abs(got-want) > within {
		b.Errorf("%s is %v (%s, %v), want %v", point, r.Value, r.Quality, r.Err, want)
	}
}

func (b *bench) quality(point string, want devices.Quality) error {
	b.Helper()
	synctest.Wait()
	r, ok := b.sink.Last("it", point)
	if !ok || r.Quality != want {
		b.Errorf("%s is %v (%s, %v), want %s", point, r.Value, r.Quality, r.Err, want)
	}
	return r.Err
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

func (b *bench) do(point string, v devices.Value) error {
	_, err := b.driver.Do(b.Context(), devices.Command{Device: "it", Point: point, Value: v})
	return err
}

// TestChips reads each chip: what its simulation, which computes its registers from the data sheet, was set to.
func TestChips(t *testing.T) {
	t.Parallel()
	type reads map[string]float64
	for name, c := range map[string]struct {
		config string
		at     uint16
		chip   func() sim.Chip
		spi    bool
		wait   time.Duration
		want   reads
		within float64
	}{
		"bme280": {`chip = "bme280"`, 0x76, func() sim.Chip { c := sim.NewBME280(); c.Set(21.37, 48.5, 987.6); return c }, false, time.Second,
			reads{"temperature": 21.37, "humidity": 48.5, "pressure": 987.6}, 0.051},
		"bme280 in the cold": {"chip = \"bme280\"\naddress = 0x77", 0x77, func() sim.Chip { c := sim.NewBME280(); c.Set(-18.2, 91, 1030); return c }, false, time.Second,
			reads{"temperature": -18.2, "humidity": 91, "pressure": 1030}, 0.051},
		"bme280 on SPI": {`chip = "bme280"`, 0, func() sim.Chip { c := sim.NewBME280(); c.Set(21.37, 48.5, 987.6); return c }, true, time.Second,
			reads{"temperature": 21.37, "humidity": 48.5, "pressure": 987.6}, 0.051},
		// The example of its data sheet, section 3.12.
		"bmp280": {`chip = "bmp280"`, 0x76, func() sim.Chip { c := sim.NewBMP280(); c.SetRaw(519888, 415148, 0); return c }, false, time.Second,
			reads{"temperature": 25.08, "pressure": 1006.53}, 0.005},
		// The example of its data sheet, section 3.5.
		"bmp180": {`chip = "bmp180"`, 0x77, func() sim.Chip { return sim.NewBMP180() }, false, time.Second,
			reads{"temperature": 15.0, "pressure": 699.64}, 0.001},
		"aht20": {`chip = "aht20"`, 0x38, func() sim.Chip { c := sim.NewAHT20(); c.Set(-3.25, 77.7); return c }, false, time.Second,
			reads{"temperature": -3.25, "humidity": 77.7}, 0.01},
		"scd41": {`chip = "scd41"`, 0x62, func() sim.Chip { c := sim.NewSCD4x(); c.Set(1234, 22.5, 45); return c }, false, 7 * time.Second,
			reads{"co2": 1234, "temperature": 22.5, "humidity": 45}, 0.01},
		"sgp30": {`chip = "sgp30"`, 0x58, func() sim.Chip { c := sim.NewSGP30(); c.Set(612, 87); return c }, false, 17 * time.Second,
			reads{"co2": 612, "tvoc": 87}, 0},
		"bh1750": {`chip = "bh1750"`, 0x23, func() sim.Chip { c := sim.NewBH1750(); c.Set(432); return c }, false, 3 * time.Second,
			reads{"illuminance": 432}, 1},
		"ina219": {`chip = "ina219"`, 0x40, func() sim.Chip { c := sim.NewINA219(0.1); c.Set(12.048, 1.25); return c }, false, time.Second,
			reads{"voltage": 12.048, "current": 1.25, "power": 15.06}, 0.006},
		"ina219 the other way": {"chip = \"ina219\"\naddress = 0x45\nshunt = 0.01\nmax_current = 20", 0x45, func() sim.Chip { c := sim.NewINA219(0.01); c.Set(5, -8); return c }, false, time.Second,
			reads{"voltage": 5, "current": -8, "power": -40}, 0.05},
		"ads1115": {`chip = "ads1115"`, 0x48, func() sim.Chip { c := sim.NewADS1115(); c.Set(0, 1.5); c.Set(1, 0.25); c.Set(3, 3.3); return c }, false, time.Second,
			reads{"a0": 1.5, "a1": 0.25, "a2": 0, "a3": 3.3}, 0.0002},
		"ads1015, differences": {"chip = \"ads1015\"\naddress = 0x4b\n[devices.it.points.shunt]\nsource = \"0-1\"\nfull_scale = 0.256\n[devices.it.points.battery]\nsource = \"A2\"\nfull_scale = 6.144", 0x4b,
			func() sim.Chip { c := sim.NewADS1015(); c.Set(0, 1.1); c.Set(1, 1); c.Set(2, 5); return c }, false, time.Second,
			reads{"shunt": 0.1, "battery": 5}, 0.003},
		"renamed and chosen": {"chip = \"bme280\"\nonly = [\"temperature\"]\n[devices.it.points.outside]\nsource = \"humidity\"", 0x76,
			func() sim.Chip { c := sim.NewBME280(); c.Set(21.37, 48.5, 987.6); return c }, false, time.Second,
			reads{"temperature": 21.37, "outside": 48.5}, 0.051},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus := sim.NewBus()
				bus.Put(c.at, c.chip())
				typ := i2cOn(bus)
				if c.spi {
					typ = spiOn(bus)
				}
				b := run(t, typ, chip(c.config))
				time.Sleep(c.wait)
				b.up("it", true)
				info, _ := b.sink.Announced("it")
				if len(info.Points) != len(c.want) {
					t.Errorf("announced %+v", info.Points)
				}
				for point, want := range c.want {
					b.reads(point, want, c.within)
				}
				// Again, after the chip lost its power for a moment. An SGP30 does not tell that it did; it is asked once a second.
				bus.SetFault(c.at, sim.Absent, name == "sgp30")
				bus.PowerCycle(c.at)
				time.Sleep(2 * time.Second)
				bus.SetFault(c.at, sim.Absent, false)
				time.Sleep(2*c.wait + 40*time.Second)
				b.up("it", true)
				for point, want := range c.want {
					b.reads(point, want, c.within)
				}
			})
		})
	}
}
