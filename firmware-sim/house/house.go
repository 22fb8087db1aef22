package house

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"tidings/firmware-sim/chips"
	"tidings/firmware-sim/gpio"
	"tidings/firmware-sim/modbus"
	"tidings/firmware-sim/mqtt/board"
	"tidings/firmware-sim/mqtt/homeassistant"
	"tidings/firmware-sim/mqtt/zigbee2mqtt"
	"tidings/firmware-sim/serial"
)

// Options describe a house. Broker or Dial is needed.
type Options struct {
	Broker             string // mqtt://host:port; ignored with Dial
	Dial               func(ctx context.Context) (net.Conn, error)
	Username, Password string

	// Dir is the folder for the links to serial ports: greenhouse, bed, logger, meter, dust and modbus. Empty: nothing is wired.
	Dir string
	// Sensors are plain ones besides, for load.
	Sensors int

	Day    time.Duration    // how long one lasts; default 24 h
	Every  time.Duration    // between two reports of a device; default 10 s
	Step   time.Duration    // between two looks at the clock; default 500 ms
	Heat   time.Duration    // from one crossing of the greenhouse's 35 °C to the next; default a minute
	Settle time.Duration    // from Home Assistant's birth to all states of Zigbee devices; default 30 s
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // nil: none
}

// A Device is one of the house.
type Device struct {
	Name    string // what it calls itself, or what it is
	Room    string // where it says that it is; empty: its dialect cannot say
	Dialect string // zigbee2mqtt, esphome, tasmota, shelly, homie, homeassistant, serial, modbus, gpio, i2c
}

type resident struct {
	Device
	board *board.Board // nil: it is on the bridge, or wired
}

// The lines of the chip.
const (
	ChipLabel = "house"
	DoorLine  = "GPIO17" // a door contact
	RelayLine = "GPIO27" // a heater's relay
	MeterLine = "GPIO22" // a water meter: a pulse is 1 L
)

// ClimateAddress is where the BME280 is on the I²C bus.
const ClimateAddress = 0x76

// A House is all of it.
type House struct {
	Chip       *gpio.Chip
	Bus        *chips.Bus
	Greenhouse *serial.Node // nil when nothing is wired, as those that follow
	Bed        *serial.Node
	Logger     *serial.Node
	Meter      *serial.Node
	Dust       *serial.Node
	Modbus     *modbus.Bus

	options     Options
	weather     weather
	residents   []*resident
	boards      []*board.Board
	zigbees     []*zigbee2mqtt.Device
	bridge      *zigbee2mqtt.Bridge
	bridgeBoard *board.Board
	climate     *chips.BMx280
}

// New makes a house. Ports are made by Plug.
func New(o Options) (*House, error) {
	o.Day, o.Every, o.Step = cmp.Or(o.Day, 24*time.Hour), cmp.Or(o.Every, 10*time.Second), cmp.Or(o.Step, 500*time.Millisecond)
	o.Heat = cmp.Or(o.Heat, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &House{options: o, weather: weather{o.Day}}
	h.zigbee()
	h.esphome()
	h.tasmota()
	h.shelly()
	h.homie()
	if o.Sensors > 0 {
		h.sensors()
	}
	return h, h.wire()
}

// sensors adds the plain ones, a hundred a client.
func (h *House) sensors() {
	const most = 100
	for i := 0; i < h.options.Sensors; i += most {
		o := homeassistant.Options{Name: fmt.Sprintf("sensors%d", i/most), Count: min(most, h.options.Sensors-i), Every: h.options.Every}
		b := h.board(homeassistant.New(o))
		h.boards = append(h.boards, b)
		for n := range o.Count {
			h.residents = append(h.residents, &resident{Device{fmt.Sprintf("%s %d", o.Name, n), fmt.Sprintf("Floor %d", n%10), "homeassistant"}, b})
		}
	}
}

func (h *House) board(f board.Firmware) *board.Board {
	o := h.options
	return board.New(board.Options{Broker: o.Broker, Dial: o.Dial, Username: o.Username, Password: o.Password, Every: o.Step, Now: o.Now, Log: o.Log}, f)
}

// Devices are those of the house, in the order of their dialects.
func (h *House) Devices() []Device {
	out := make([]Device, len(h.residents))
	for i, r := range h.residents {
		out[i] = r.Device
	}
	return out
}

// SetFault switches a fault of a device on MQTT by its name. Of a Zigbee device there are Offline, Vanish and Rename; what the bridge
// itself has is Bridge's.
func (h *House) SetFault(name string, f board.Fault, on bool) error {
	i := slices.IndexFunc(h.residents, func(r *resident) bool { return r.Name == name })
	switch {
	case name == Bridge:
		return h.bridgeBoard.SetFault(f, on)
	case i < 0:
		return fmt.Errorf("house: %q is none of its devices", name)
	case h.residents[i].board != nil:
		return h.residents[i].board.SetFault(f, on)
	case h.residents[i].Dialect != "zigbee2mqtt":
		return fmt.Errorf("house: %s is wired: its faults are its own", name)
	}
	switch f {
	case board.Offline:
		h.bridgeBoard.Do(func(now time.Time) []board.Message { return h.bridge.Lose(now, name, on) })
	case board.Vanish:
		if !on {
			return fmt.Errorf("house: %s was removed from the network; only all devices join again, with %s", name, Bridge)
		}
		h.bridgeBoard.Do(func(time.Time) []board.Message { return h.bridge.Remove(name) })
	default:
		return fmt.Errorf("house: fault: %s is one of %s", f, Bridge)
	}
	return nil
}

// Bridge is the name of the Zigbee bridge for SetFault.
const Bridge = "Zigbee2MQTT"

// Run runs everything until ctx is done, or something fails that cannot be mended.
func (h *House) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	run := func(part func(context.Context) error) {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
				cancel()
			}
		})
	}
	for _, b := range h.boards {
		run(b.Run)
	}
	for _, part := range h.wired() {
		run(part)
	}
	parts.Wait()
	return errors.Join(failed...)
}
