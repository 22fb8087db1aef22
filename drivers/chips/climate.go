package chips

import (
	"fmt"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/devices/v3/aht20"
	"periph.io/x/devices/v3/bmxx80"

	"tidings/devices"
)

var (
	temperature = number("temperature", "temperature", "°C", 1)
	humidity    = number("humidity", "humidity", "%", 0)
	pressure    = number("pressure", "atmospheric_pressure", "hPa", 1)
)

var climateModels = []*model{
	{name: "bme280", title: "Bosch BME280", addresses: []uint16{0x76, 0x77}, spi: true, poll: defaultPoll,
		points: []devices.Point{temperature, humidity, pressure}, open: openBosch, openSPI: openBoschSPI},
	{name: "bmp280", title: "Bosch BMP280", addresses: []uint16{0x76, 0x77}, spi: true, poll: defaultPoll,
		points: []devices.Point{temperature, pressure}, open: openBosch, openSPI: openBoschSPI},
	{name: "bmp180", title: "Bosch BMP180", addresses: []uint16{0x77}, poll: defaultPoll,
		points: []devices.Point{temperature, pressure}, open: openBosch},
	{name: "aht20", title: "Aosong AHT20", addresses: []uint16{0x38}, poll: defaultPoll,
		points: []devices.Point{temperature, humidity}, open: openAHT20},
}

// boschIDs are what the chips of the family call themselves, in register 0xD0.
var boschIDs = map[string]byte{"bme280": 0x60, "bmp280": 0x58, "bmp180": 0x55}

// bosch is a chip of the BMx80 family: see the data sheets BST-BME280-DS002, BST-BMP280-DS001 and BST-BMP180-DS000.
type bosch struct {
	*config
	dev *bmxx80.Dev
	// readReg reads a register: what bmxx80 does not look at.
	readReg func(reg byte, r []byte) error
}

func openBosch(c *config, l i2cLink) (instrument, error) {
	b := &bosch{config: c, readReg: l.readReg}
	return b.setUp(func(o *bmxx80.Opts) (*bmxx80.Dev, error) {
		return bmxx80.NewI2C(i2c.Bus(l), l.addr, o)
	})
}

func openBoschSPI(c *config, l spiLink) (instrument, error) {
	conn, err := l.Connect(10*physic.MegaHertz, spi.Mode3, 8)
	if err != nil {
		return nil, err
	}
	b := &bosch{config: c, readReg: func(reg byte, r []byte) error {
		in := make([]byte, 1+len(r))
		out := make([]byte, len(in))
		out[0] = reg | 0x80
		err := conn.Tx(out, in)
		copy(r, in[1:])
		return err
	}}
	return b.setUp(func(o *bmxx80.Opts) (*bmxx80.Dev, error) { return bmxx80.NewSPI(connected{conn}, o) })
}

// connected is a port that has been connected already: it may be only once.
type connected struct{ conn spi.Conn }

func (c connected) String() string { return "spi" }
func (c connected) Connect(physic.Frequency, spi.Mode, int) (spi.Conn, error) {
	return c.conn, nil
}

func (b *bosch) setUp(make func(*bmxx80.Opts) (*bmxx80.Dev, error)) (instrument, error) {
	if err := b.identify(); err != nil {
		return nil, err
	}
	// Weather monitoring, as the data sheet has it: single measurements, without a filter.
	dev, err := make(&bmxx80.Opts{Temperature: bmxx80.O1x, Pressure: bmxx80.O1x, Humidity: bmxx80.O1x})
	if err != nil {
		return nil, err
	}
	b.dev = dev
	return b, nil
}

// identify reads who answers: where nothing is wired, SPI reads all ones or zeros.
func (b *bosch) identify() error {
	var id [1]byte
	if err := b.readReg(0xD0, id[:]); err != nil {
		return err
	}
	want := boschIDs[b.model.name]
	if id[0] == want {
		return nil
	}
	for name, other := range boschIDs {
		if id[0] == other {
			return fmt.Errorf("it is a %s: say chip = %q", name, name)
		}
	}
	return fmt.Errorf("what answers is no %s: its id is 0x%02x, not 0x%02x", b.model.title, id[0], want)
}

func (b *bosch) measure(out []sample) error {
	// ctrl_hum is 0 after a power-on: humidity would then be the reset value, which looks like one.
	if err := b.identify(); err != nil {
		return fmt.Errorf("%w: %w", errReset, err)
	}
	if b.model.name == "bme280" {
		var hum [1]byte
		if err := b.readReg(0xF2, hum[:]); err != nil {
			return err
		}
		if hum[0]&7 != byte(bmxx80.O1x) {
			return errReset
		}
	}
	var e physic.Env
	if err := b.dev.Sense(&e); err != nil {
		return err
	}
	b.pick(out, map[string]sample{
		"temperature": reading(e.Temperature.Celsius(), -40, 85, "°C"),
		"humidity":    reading(round(float64(e.Humidity)/float64(physic.PercentRH), 2), 0, 100, "%"),
		"pressure":    reading(round(float64(e.Pressure)/float64(100*physic.Pascal), 2), 300, 1100, "hPa"),
	})
	return nil
}

// openAHT20 sets up an AHT20 (Aosong, AHT20 Product manuals, 2020). It needs 40 ms after it got its power.
func openAHT20(c *config, l i2cLink) (instrument, error) {
	dev, err := aht20.NewI2C(l, &aht20.DefaultOpts)
	if err != nil {
		return nil, err
	}
	return &aht{config: c, dev: dev}, nil
}

type aht struct {
	*config
	dev *aht20.Dev
}

func (a *aht) measure(out []sample) error {
	var e physic.Env
	err := a.dev.Sense(&e)
	if _, lost := err.(*aht20.NotInitializedError); lost {
		return errReset
	}
	if err != nil {
		return err
	}
	a.pick(out, map[string]sample{
		"temperature": reading(round(e.Temperature.Celsius(), 2), -50, 150, "°C"),
		"humidity":    reading(round(float64(e.Humidity)/float64(physic.PercentRH), 2), 0, 100, "%"),
	})
	return nil
}

const ms = time.Millisecond
