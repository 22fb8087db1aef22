package house

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tidings/firmware-sim/chips"
	"tidings/firmware-sim/gpio"
	"tidings/firmware-sim/modbus"
	"tidings/firmware-sim/serial"
)

// The slaves on the Modbus line.
const (
	GridMeter  = 1 // an SDM120
	SolarMeter = 2 // an SDM120
	Relays     = 3 // a Waveshare relay board
)

// wire makes what is wired, with its ports not there yet.
func (h *House) wire() error {
	h.Chip = gpio.NewChip(ChipLabel, DoorLine, RelayLine, MeterLine)
	h.Bus, h.climate = chips.NewBus(), chips.NewBME280()
	h.Bus.Put(ClimateAddress, h.climate)
	h.measure()
	for _, name := range []string{"Front door", "Heater", "Water meter"} {
		h.reside(name, "", "gpio", nil)
	}
	h.reside("Attic climate", "", "i2c", nil)
	if h.options.Dir == "" {
		return nil
	}
	for _, n := range []struct {
		at   **serial.Node
		kind serial.Kind
		link string
		name string
	}{
		{&h.Greenhouse, serial.Greenhouse, "greenhouse", "Greenhouse"}, {&h.Bed, serial.Bed, "bed", "Garden bed"},
		{&h.Logger, serial.Logger, "logger", "Pool"}, {&h.Meter, serial.Meter, "meter", "Smart meter"}, {&h.Dust, serial.Dust, "dust", "Air quality"},
	} {
		period := h.options.Day
		if n.kind == serial.Greenhouse {
			period = h.options.Heat
		}
		node, err := serial.New(serial.Options{Kind: n.kind, Link: filepath.Join(h.options.Dir, n.link), Period: period, Unplugged: true})
		if err != nil {
			return fmt.Errorf("%s: %w", n.link, err)
		}
		*n.at = node
		h.reside(n.name, "", "serial", nil)
	}
	bus, err := modbus.New(modbus.Options{Link: filepath.Join(h.options.Dir, "modbus"), Unplugged: true})
	if err != nil {
		return fmt.Errorf("modbus: %w", err)
	}
	h.Modbus = bus
	modbus.Meter(bus.Slave(GridMeter))
	modbus.Meter(bus.Slave(SolarMeter))
	modbus.Relays(bus.Slave(Relays))
	for _, name := range []string{"Grid", "Solar", "Relay board"} {
		h.reside(name, "", "modbus", nil)
	}
	return nil
}

// Plug makes the serial ports be there. Run takes them away in the end; whoever plugs runs.
func (h *House) Plug() error {
	for _, n := range h.nodes() {
		if err := n.SetFault(serial.Unplug, false); err != nil {
			return fmt.Errorf("house: %w", err)
		}
	}
	if h.Modbus != nil {
		if err := h.Modbus.Plug(); err != nil {
			return fmt.Errorf("house: %w", err)
		}
	}
	return nil
}

func (h *House) nodes() (out []*serial.Node) {
	for _, n := range []*serial.Node{h.Greenhouse, h.Bed, h.Logger, h.Meter, h.Dust} {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

// wired is what runs of what is wired.
func (h *House) wired() []func(context.Context) error {
	parts := []func(context.Context) error{
		func(ctx context.Context) error {
			return h.Chip.Contact(DoorLine).Run(ctx, 3*h.options.Heat/4, h.options.Heat/4)
		},
		func(ctx context.Context) error {
			return h.Chip.Meter(MeterLine).Run(ctx, 4*time.Second, 50*time.Millisecond)
		},
		h.runMeasures,
	}
	for _, n := range h.nodes() {
		parts = append(parts, n.Run)
	}
	if h.Modbus != nil {
		parts = append(parts, h.Modbus.Run)
	}
	return parts
}

// runMeasures keeps up to date what chips and slaves measure.
func (h *House) runMeasures(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	begun := h.options.Now()
	for {
		h.measure()
		if h.Modbus != nil {
			h.metering(h.options.Now().Sub(begun))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (h *House) measure() {
	now := h.options.Now()
	h.climate.Set(17+4*h.weather.wave(now, 16), 48, 1013+4*h.weather.wave(now, 3))
}

// The input registers of an SDM120 that are kept up to date.
const (
	meterCurrent = 0x06
	meterPower   = 0x0C
	meterImport  = 0x48
	meterTotal   = 0x156
)

// metering is what the two meters say after so long.
func (h *House) metering(since time.Duration) {
	now := h.options.Now()
	for address, watts := range map[byte]float64{GridMeter: h.weather.use(now), SolarMeter: h.weather.sun(now) / 20} {
		s := h.Modbus.Slave(address)
		s.Float(modbus.Input, meterPower, float32(watts))
		s.Float(modbus.Input, meterCurrent, float32(watts/230))
		s.Float(modbus.Input, meterImport, float32(1234.5+watts*since.Hours()/1000))
		s.Float(modbus.Input, meterTotal, float32(1302.3+watts*since.Hours()/1000))
	}
}
