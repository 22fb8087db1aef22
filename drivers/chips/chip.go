package chips

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/handover"
)

// A model is a kind of chip.
type model struct {
	name      string
	title     string   // as its maker writes it, with what it is
	addresses []uint16 // on I²C, the usual one first; nil: the chip is for SPI only
	spi       bool
	poll      time.Duration // how often it is read by default
	cadence   time.Duration // how often it has to be read, whatever poll says; 0: as poll says

	points []devices.Point // that it has by itself; nil: those that tables describe
	pins   *pinKind        // of a chip whose points are its pins or channels
	keys   []string        // the device's keys it knows besides chip, address and poll

	check func(c *config, mistake mistake) // what else can be wrong with its configuration; nil: nothing
	open  func(c *config, l i2cLink) (instrument, error)
	// openSPI is open behind a chip select.
	openSPI func(c *config, l spiLink) (instrument, error)
}

type mistake func(t *schema.Table, key, format string, args ...any)

// An instrument is a chip that has been set up. It belongs to its chip's goroutine.
type instrument interface {
	// measure fills in what the chip says at each channel. An error is about all of them.
	measure(out []sample) error
}

// A setter is an instrument whose channels can be set.
type setter interface {
	set(channel int, v devices.Value) error
}

// A sample is what one channel says: a value, or why there is none.
type sample struct {
	value   devices.Value
	quality devices.Quality
	err     error
}

// errReset is what measure returns when the chip has lost its settings, or is another one: it has to be set up anew.
var errReset = errors.New("it has lost its settings")

// config is what the configuration says of one chip.
type config struct {
	id       devices.ID
	model    *model
	addr     uint16
	poll     time.Duration
	channels []channel
	memory   devices.Memory // nil: nothing is kept
	desk     *handover.Desk[job]

	shunt, maxCurrent float64 // of an INA219, in Ω and A
	frequency         float64 // of PWM outputs, in Hz
}

// A channel is one point of a chip.
type channel struct {
	devices.Point
	source    string // the pin or channel as its table names it; empty for points a chip has by itself
	pin       int    // its number, where the model has pins
	output    bool
	activeLow bool
	pullUp    bool
	fullScale float64 // of a converter's input, in V
	initial   devices.Value
	safe      devices.Value // zero: left as it is
}

// where is how a person finds the chip.
func (c *config) where() string {
	if c.addr == 0 && c.model.addresses == nil {
		return c.model.name
	}
	return fmt.Sprintf("%s at 0x%02x", c.model.name, c.addr)
}

// models are the chips there are, by name.
var models = slices.Concat(climateModels, airModels, powerModels, pinModels)

func modelNames(spi bool) []string {
	var out []string
	for _, m := range models {
		if spi && m.spi || !spi && m.addresses != nil {
			out = append(out, m.name)
		}
	}
	slices.Sort(out)
	return out
}

func findModel(name string) *model {
	i := slices.IndexFunc(models, func(m *model) bool { return m.name == strings.ToLower(name) })
	if i < 0 {
		return nil
	}
	return models[i]
}

// number is a point that is measured.
func number(name, class, unit string, digits uint8) devices.Point {
	return devices.Point{Name: name, Kind: devices.KindNumber, Class: class, Unit: unit, Digits: digits + 1, Readable: true}
}

// reading makes a sample of a number, and a fault of one that no such chip can measure.
func reading(f, low, high float64, unit string) sample {
	if !(f >= low && f <= high) {
		return fault(fmt.Errorf("%.4g %s cannot be: it measures %g to %g %s", f, unit, low, high, unit))
	}
	return sample{value: devices.Number(f)}
}

func fault(err error) sample { return sample{quality: devices.Faulty, err: err} }

// waiting is a channel that has nothing to say yet.
func waiting(why string) sample { return sample{quality: devices.Unknown, err: errors.New(why)} }

// pick puts the values of a chip, by what it measures, where the channels are that were chosen.
func (c *config) pick(out []sample, values map[string]sample) {
	for i := range c.channels {
		out[i] = values[c.channels[i].source]
	}
}
