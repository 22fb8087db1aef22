package chips

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/i2c/i2ctest"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/chips"
)

func TestChipUnpluggedAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, climate := sim.NewBus(), sim.NewBME280()
		climate.Set(20, 50, 1000)
		bus.Put(0x76, climate)
		bus.Put(0x38, sim.NewAHT20())
		b := run(t, i2cOn(bus), chip(`chip = "bme280"`)+"[devices.other]\nchip = \"aht20\"\n")
		time.Sleep(time.Second)
		for range 3 {
			b.up("it", true)
			bus.Put(0x76, nil)
			time.Sleep(2 * time.Second)
			want := "i2c bus: bme280 at 0x76: nothing answers: check the wiring and the address (`i2cdetect` lists what is there): no such device or address"
			if cause := b.up("it", false); cause.Error() != want {
				t.Errorf("%v, want %s", cause, want)
			}
			b.up("other", true)
			time.Sleep(time.Minute)
			bus.Put(0x76, climate)
			time.Sleep(lastRetry + time.Second)
		}
		b.reads("temperature", 20, 0.05)
	})
}

func TestBusGoneAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Put(0x76, sim.NewBME280())
		bus.SetGone(true)
		b := run(t, i2cOn(bus), chip(`chip = "bme280"`))
		for range 3 {
			want := "i2c bus: simulated bus: no such file or directory: switch the bus on (on a Raspberry Pi with raspi-config), or correct bus"
			if cause := b.up("it", false); cause.Error() != want && !strings.Contains(cause.Error(), "no such device: plug it in") {
				t.Errorf("%v, want %s", cause, want)
			}
			time.Sleep(time.Minute)
			bus.SetGone(false)
			time.Sleep(lastRetry + time.Second)
			b.up("it", true)
			bus.SetGone(true)
			time.Sleep(2 * time.Second)
		}
	})
}

// TestHangingChipLeavesTheOthers has one chip hold the clock in every transaction: the others are read as often as they were,
// and no later than the time a transaction may take.
func TestHangingChipLeavesTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Put(0x76, sim.NewBME280())
		bus.Put(0x38, sim.NewAHT20())
		b := run(t, i2cOn(bus), chip(`chip = "bme280"`)+"[devices.other]\nchip = \"aht20\"\n")
		time.Sleep(time.Second)
		bus.SetFault(0x38, sim.Hanging, true)
		mark, begun := b.sink.Mark(), time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		var n int
		last := begun
		for _, e := range b.sink.Events()[mark:] {
			if e.Kind == drivertest.Read && e.ID == "it" && e.Reading.Point == "temperature" {
				n++
				if gap := e.Reading.At.Sub(last); gap > time.Second+4*sim.HangTime {
					t.Errorf("%v without a reading", gap)
				}
				last = e.Reading.At
			}
		}
		if n < 55 {
			t.Errorf("%d readings in a minute, one a second was asked for", n)
		}
		if cause := b.up("other", false); !errors.Is(cause, syscall.ETIMEDOUT) {
			t.Errorf("%v", cause)
		}
		b.up("it", true)
	})
}

// stuck is a bus on which a BME280 says for ever that it is measuring: its package asks without an end.
type stuck struct{ *sim.Handle }

func (s stuck) Tx(addr uint16, w, r []byte) error {
	err := s.Handle.Tx(addr, w, r)
	if len(w) == 1 && w[0] == 0xF3 && len(r) == 1 {
		r[0] |= 8
	}
	return err
}

func TestChipThatNeverFinishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := sim.NewBus()
		bus.Put(0x76, sim.NewBME280())
		b := run(t, I2C(func(string) (I2CBus, error) {
			h, err := bus.Open()
			return stuck{h}, err
		}), chip(`chip = "bme280"`))
		time.Sleep(10 * time.Second)
		if err := b.quality("temperature", devices.Faulty); err == nil || !strings.Contains(err.Error(), "does not come to an end") {
			t.Errorf("%v", err)
		}
	})
}

func TestGarbledIsAFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at    uint16
		chip  sim.Chip
		point string
	}{
		"aht20": {0x38, sim.NewAHT20(), "temperature"},
		"sgp30": {0x58, sim.NewSGP30(), "co2"},
		"scd40": {0x62, sim.NewSCD4x(), "co2"},
	} {
		synctest.Test(t, func(t *testing.T) {
			bus := sim.NewBus()
			bus.Put(c.at, c.chip)
			b := run(t, i2cOn(bus), chip("chip = \""+name+"\""))
			time.Sleep(20 * time.Second)
			bus.SetFault(c.at, sim.Garbled, true)
			time.Sleep(3 * time.Second)
			if err := b.quality(c.point, devices.Faulty); err == nil || !strings.Contains(err.Error(), "hecksum") && !strings.Contains(err.Error(), "CRC8") {
				t.Errorf("%s: %v", name, err)
			}
			b.up("it", true)
			bus.SetFault(c.at, sim.Garbled, false)
			time.Sleep(6 * time.Second)
			b.quality(c.point, devices.Good)
		})
	}
}

func TestWhatCannotBeIsAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, climate := sim.NewBus(), sim.NewBME280()
		climate.SetRaw(0xfffff, 0, 0)
		bus.Put(0x76, climate)
		b := run(t, i2cOn(bus), chip(`chip = "bme280"`))
		time.Sleep(time.Second)
		if err := b.quality("temperature", devices.Faulty); err == nil || !strings.Contains(err.Error(), "°C cannot be: it measures -40 to 85 °C") {
			t.Errorf("%v", err)
		}
		climate.Set(20, 50, 1000)
		time.Sleep(2 * time.Second)
		b.reads("temperature", 20, 0.05)
	})
	synctest.Test(t, func(t *testing.T) {
		bus, adc := sim.NewBus(), sim.NewADS1115()
		adc.Set(0, 5)
		bus.Put(0x48, adc)
		b := run(t, i2cOn(bus), chip(`chip = "ads1115"`))
		time.Sleep(time.Second)
		if err := b.quality("a0", devices.Faulty); err == nil || err.Error() != "more than ±4.096 V: give the input a larger full_scale" {
			t.Errorf("%v", err)
		}
		b.reads("a1", 0, 0.001)
	})
}

func TestAnotherChip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   uint16
		chip sim.Chip
		spi  bool
		keys string
		want string
	}{
		{0x76, sim.NewBMP280(), false, `chip = "bme280"`, `it is a bmp280: say chip = "bmp280"`},
		{0x76, sim.NewAHT20(), false, `chip = "bme280"`, "what answers is no Bosch BME280: its id is 0x"},
		{1, sim.NewBME280(), true, `chip = "bme280"`, "its id is 0xff, not 0x60"}, // nothing behind the chip select
		{1, sim.NewMCP23017(), true, "chip = \"mcp23s17\"\n[devices.it.points.a]\nsource = 0\n", "what answers is no Microchip MCP23S17"},
	} {
		synctest.Test(t, func(t *testing.T) {
			bus := sim.NewBus()
			bus.Put(c.at, c.chip)
			typ := i2cOn(bus)
			if c.spi {
				typ = spiOn(bus)
			}
			b := run(t, typ, chip(c.keys))
			time.Sleep(time.Second)
			if cause := b.up("it", false); cause == nil || !strings.Contains(cause.Error(), c.want) {
				t.Errorf("%v, want %s", cause, c.want)
			}
		})
	}
}

// remembers is a Memory.
type remembers struct {
	mu   sync.Mutex
	kept map[string]float64
}

func (m *remembers) Recall(_ devices.ID, point string) (float64, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.kept[point]
	return f, ok, nil
}

func (m *remembers) Keep(_ devices.ID, point string, f float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[point] = f
}

func TestSGP30RemembersWhatItLearnt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := &remembers{kept: map[string]float64{}}
		start := func(c *sim.SGP30) *bench {
			bus := sim.NewBus()
			bus.Put(0x58, c)
			typ := i2cOn(bus)
			build := typ.Build
			typ.Build = func(c devices.Connection) devices.Driver { c.Memory = memory; return build(c) }
			return run(t, typ, chip("chip = \"sgp30\"\npoll = \"1m\""))
		}
		c := sim.NewSGP30()
		c.Baseline = [2]uint16{0x9001, 0x9102}
		b := start(c)
		time.Sleep(11 * time.Hour)
		if _, kept, _ := memory.Recall("it", baseline); kept {
			t.Error("kept before it can have learnt anything")
		}
		time.Sleep(3 * time.Hour)
		b.stop()
		c = sim.NewSGP30()
		b = start(c)
		time.Sleep(time.Minute)
		b.stop()
		if want := [2]uint16{0x9001, 0x9102}; c.Baseline != want {
			t.Errorf("given back %x, want %x", c.Baseline, want)
		}
		time.Sleep(8 * 24 * time.Hour)
		c = sim.NewSGP30()
		b = start(c)
		time.Sleep(time.Minute)
		b.stop()
		if want := sim.NewSGP30().Baseline; c.Baseline != want {
			t.Errorf("given back %x, which is too old", c.Baseline)
		}
	})
}

// TestRecorded plays what an AHT20's data sheet has the master do, in periph's own form.
func TestRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		play := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
			{Addr: 0x38, W: []byte{0x71}, R: []byte{0x18}},
			{Addr: 0x38, W: []byte{0xAC, 0x33, 0x00}},
			{Addr: 0x38, R: []byte{0x1C, 0x80, 0x00, 0x05, 0x80, 0x00, crc8([]byte{0x1C, 0x80, 0x00, 0x05, 0x80, 0x00})}},
		}}
		b := run(t, I2C(func(string) (I2CBus, error) { return playing{play}, nil }), "[drivers.bus]\n[devices.it]\nchip = \"aht20\"\npoll = \"1h\"\n")
		time.Sleep(time.Second)
		b.reads("humidity", 50, 0.01)
		b.reads("temperature", 18.75, 0.01)
		b.stop()
		if err := play.Close(); err != nil {
			t.Error(err)
		}
	})
}

type playing struct{ *i2ctest.Playback }

func (playing) Check() error { return nil }
func (playing) Close() error { return nil }

var _ i2c.Bus = playing{}

// TestChecksum is the example of Sensirion's data sheets.
func TestChecksum(t *testing.T) {
	t.Parallel()
	if crc := crc8([]byte{0xBE, 0xEF}); crc != 0x92 {
		t.Errorf("0x%02x", crc)
	}
}

// What is no bus is told from one that is not there, on any machine.
func TestKernelRefusesWhatIsNoBus(t *testing.T) {
	t.Parallel()
	if _, err := openI2C("/dev/null"); err == nil || err.Error() != "/dev/null: is no I²C bus: correct bus" {
		t.Errorf("%v", err)
	}
	if _, err := openSPI("/dev/null"); err == nil || err.Error() != "/dev/null: is no SPI bus: correct bus" {
		t.Errorf("%v", err)
	}
	for _, err := range []error{
		func() error { _, err := openI2C("/dev/i2c-none"); return err }(),
		func() error { _, err := openSPI("/dev/spidev-none"); return err }(),
	} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
}
