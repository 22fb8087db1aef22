package chips

import (
	"errors"
	"fmt"
	"math"
	"time"

	"periph.io/x/conn/v3/analog"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/ads1x15"
	"periph.io/x/devices/v3/ina219"

	"tidings/devices"
)

var powerModels = []*model{
	{name: "ina219", title: "TI INA219", addresses: span(0x40, 16), poll: defaultPoll,
		points: []devices.Point{number("voltage", "voltage", "V", 2), number("current", "current", "A", 3), number("power", "power", "W", 2)},
		keys:   []string{"shunt", "max_current"}, check: checkINA219, open: openINA219},
	{name: "ads1115", title: "TI ADS1115", addresses: span(0x48, 4), poll: defaultPoll, pins: analogPins, open: openADS},
	{name: "ads1015", title: "TI ADS1015", addresses: span(0x48, 4), poll: defaultPoll, pins: analogPins, open: openADS},
}

// span is n addresses from one on.
func span(first uint16, n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = first + uint16(i)
	}
	return out
}

// ina is an INA219 (TI SBOS448G). Its calibration is what the current is computed with in the chip; it is 0 after a power-on.
type ina struct {
	*config
	link        i2cLink
	dev         *ina219.Dev
	calibration [2]byte
}

func checkINA219(c *config, mistake mistake) {
	// The chip measures 320 mV at most, and its calibration has 16 bits.
	switch volts := c.shunt * c.maxCurrent; {
	case !(c.shunt > 0 && c.maxCurrent > 0 && c.shunt <= 1e3 && c.maxCurrent <= 1e3):
		mistake(nil, "shunt", "shunt is %g Ω and max_current %g A: both are more than nothing", c.shunt, c.maxCurrent)
	case volts > 0.3201:
		mistake(nil, "max_current", "%g A at %g Ω are %.3g V, and TI INA219 measures 0.32 V at most: give a smaller max_current, or take a smaller shunt", c.maxCurrent, c.shunt, volts)
	case volts < 0.021:
		mistake(nil, "max_current", "%g A at %g Ω are %.3g V, which TI INA219 cannot be calibrated for: give a larger max_current", c.maxCurrent, c.shunt, volts)
	}
}

func openINA219(c *config, l i2cLink) (instrument, error) {
	dev, err := ina219.New(l, &ina219.Opts{
		Address:       int(l.addr),
		SenseResistor: physic.ElectricResistance(math.Round(c.shunt * float64(physic.Ohm))),
		MaxCurrent:    physic.ElectricCurrent(math.Round(c.maxCurrent * float64(physic.Ampere))),
	})
	if err != nil {
		return nil, err
	}
	out := &ina{config: c, link: l, dev: dev}
	return out, l.readReg(5, out.calibration[:])
}

func (i *ina) measure(out []sample) error {
	var calibration [2]byte
	if err := i.link.readReg(5, calibration[:]); err != nil {
		return err
	}
	if calibration != i.calibration {
		return errReset
	}
	pm, err := i.dev.Sense()
	if err != nil {
		return err
	}
	volts := float64(pm.Voltage) / float64(physic.Volt)
	amps, watts := float64(pm.Current)/float64(physic.Ampere), float64(pm.Power)/float64(physic.Watt)
	if amps < 0 {
		watts = -watts // the chip says how much, and the current which way
	}
	values := map[string]sample{
		"voltage": reading(round(volts, 3), 0, 32.76, "V"),
		"current": {value: devices.Number(round(amps, 5))},
		"power":   {value: devices.Number(round(watts, 4))},
	}
	if shunt := math.Abs(float64(pm.Shunt) / float64(physic.Volt)); shunt >= 0.32 {
		over := fault(errors.New("more current flows than can be measured"))
		values["current"], values["power"] = over, over
	}
	i.pick(out, values)
	return nil
}

// analogChannels are the inputs of an ADS1x15: those against ground, and differences.
var analogChannels = map[string]ads1x15.Channel{
	"a0": ads1x15.Channel0, "a1": ads1x15.Channel1, "a2": ads1x15.Channel2, "a3": ads1x15.Channel3,
	"0": ads1x15.Channel0, "1": ads1x15.Channel1, "2": ads1x15.Channel2, "3": ads1x15.Channel3,
	"0-1": ads1x15.Channel0Minus1, "0-3": ads1x15.Channel0Minus3, "1-3": ads1x15.Channel1Minus3, "2-3": ads1x15.Channel2Minus3,
}

const (
	defaultFullScale = 4.096
	maxFullScale     = 6.144
)

var analogPins = &pinKind{
	example: `0, "A0", or the difference "0-1"`,
	parse: func(source string) (int, bool) {
		c, ok := analogChannels[lower(source)]
		return int(c), ok
	},
	point:   number("", "voltage", "V", 3),
	unasked: []devices.Point{{Name: "a0"}, {Name: "a1"}, {Name: "a2"}, {Name: "a3"}},
	keys:    []string{"full_scale"},
}

// ads is an ADS1115 or ADS1015 (TI SBAS444E, SBAS473F).
type ads struct {
	*config
	pins []ads1x15.PinADC
}

// settling gives a converter the time its clock may be slow by (10 %), before what it converted is read: the package waits for
// as long as a conversion takes by the book.
type settling struct{ i2cLink }

func (s settling) Tx(addr uint16, w, r []byte) error {
	if len(r) > 0 {
		if err := s.sleep(time.Millisecond); err != nil {
			return err
		}
	}
	return s.i2cLink.Tx(addr, w, r)
}

func openADS(c *config, l i2cLink) (instrument, error) {
	newDev, rate := ads1x15.NewADS1115, 475*physic.Hertz
	if c.model.name == "ads1015" {
		newDev, rate = ads1x15.NewADS1015, 1600*physic.Hertz
	}
	dev, err := newDev(settling{l}, &ads1x15.Opts{I2cAddress: l.addr})
	if err != nil {
		return nil, err
	}
	out := &ads{config: c}
	for _, ch := range c.channels {
		most := physic.ElectricPotential(math.Round(ch.fullScale * float64(physic.Volt)))
		pin, err := dev.PinForChannel(ads1x15.Channel(ch.pin), most, rate, ads1x15.BestQuality)
		if err != nil {
			return nil, err
		}
		out.pins = append(out.pins, pin)
	}
	return out, nil
}

func (a *ads) measure(out []sample) error {
	for i, pin := range a.pins {
		s, err := pin.Read()
		if err != nil {
			return err
		}
		out[i] = a.sample(pin, s)
	}
	return nil
}

func (a *ads) sample(pin ads1x15.PinADC, s analog.Sample) sample {
	_, most := pin.Range()
	if s.Raw >= 0x7ff0 || s.Raw == math.MinInt16 { // an ADS1015 has 12 bits, the upper ones
		return fault(fmt.Errorf("more than ±%g V: give the input a larger full_scale", float64(most.V)/float64(physic.Volt)))
	}
	return sample{value: devices.Number(round(float64(s.V)/float64(physic.Volt), 5))}
}
