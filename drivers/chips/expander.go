package chips

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"

	"tidings/devices"
)

// glance is how often the pins of an expander are looked at by default.
const glance = 50 * time.Millisecond

var pinModels = []*model{
	{name: "mcp23008", title: "Microchip MCP23008", addresses: span(0x20, 8), poll: glance, pins: pins(8), open: openMCP},
	{name: "mcp23017", title: "Microchip MCP23017", addresses: span(0x20, 8), poll: glance, pins: pins(16), open: openMCP},
	{name: "mcp23s08", title: "Microchip MCP23S08", spi: true, poll: glance, pins: pins(8), openSPI: openMCPSPI},
	{name: "mcp23s17", title: "Microchip MCP23S17", spi: true, poll: glance, pins: pins(16), openSPI: openMCPSPI},
	{name: "pca9685", title: "NXP PCA9685", addresses: span(0x40, 64)[:63], poll: defaultPoll, pins: pwmPins,
		keys: []string{"frequency"}, check: checkPCA, open: openPCA},
}

func lower(s string) string { return strings.ToLower(s) }

// pins are n pins, by number or, as the data sheet has them, by port and number.
func pins(n int) *pinKind {
	return &pinKind{
		example: map[bool]string{true: `"A0" to "B7", or 0 to 15`, false: "0 to 7"}[n == 16],
		parse: func(source string) (int, bool) {
			source = strings.TrimPrefix(lower(source), "gp")
			base, most := 0, n
			switch {
			case n == 16 && strings.HasPrefix(source, "a"):
				source, most = source[1:], 8
			case n == 16 && strings.HasPrefix(source, "b"):
				source, base, most = source[1:], 8, 8
			}
			pin, err := strconv.ParseUint(source, 10, 8)
			if err != nil || int(pin) >= most {
				return 0, false
			}
			return base + int(pin), true
		},
		point: devices.Point{Kind: devices.KindSwitch, Readable: true},
		keys:  []string{"direction", "pull", "active_low", "initial"},
	}
}

// mcp is a port expander: MCP23008 (Microchip DS21919), MCP23017 (DS20001952), or one of those for SPI. Its registers are in the
// order they have after a power-on (IOCON.BANK = 0).
type mcp struct {
	*config
	read  func(reg byte, r []byte) error
	write func(reg byte, w []byte) error

	iodir, gppu, gpio, olat byte // registers of the first port
	direction, pulls, out   []byte
}

func openMCP(c *config, l i2cLink) (instrument, error) {
	m := &mcp{config: c, read: l.readReg, write: func(reg byte, w []byte) error { return l.writeReg(reg, w...) }}
	return m, m.setUp(l.again)
}

func openMCPSPI(c *config, l spiLink) (instrument, error) {
	conn, err := l.Connect(10*physic.MegaHertz, spi.Mode0, 8)
	if err != nil {
		return nil, err
	}
	tx := func(op, reg byte, data []byte) ([]byte, error) {
		w := append([]byte{op, reg}, data...)
		r := make([]byte, len(w))
		err := conn.Tx(w, r)
		return r[2:], err
	}
	m := &mcp{config: c,
		read: func(reg byte, r []byte) error {
			got, err := tx(0x41, reg, make([]byte, len(r)))
			copy(r, got)
			return err
		},
		write: func(reg byte, w []byte) error {
			_, err := tx(0x40, reg, w)
			return err
		},
	}
	return m, m.setUp(l.again)
}

// setUp gives the pins their directions; outputs have their level before they drive it. A chip that was set up before and has
// kept it (a disturbed bus, no more) keeps its outputs, too.
func (m *mcp) setUp(again bool) error {
	ports := 1
	m.iodir, m.gppu, m.gpio, m.olat = 0x00, 0x06, 0x09, 0x0A
	if strings.HasSuffix(m.model.name, "17") {
		ports = 2
		m.gppu, m.gpio, m.olat = 0x0C, 0x12, 0x14
	}
	m.direction, m.pulls, m.out = make([]byte, ports), make([]byte, ports), make([]byte, ports)
	for port := range m.direction {
		m.direction[port] = 0xff
	}
	for _, ch := range m.channels {
		port, bit := ch.pin/8, byte(1)<<(ch.pin%8)
		if ch.output {
			m.direction[port] &^= bit
			if on, _ := ch.initial.Bool(); on != ch.activeLow {
				m.out[port] |= bit
			}
		} else if ch.pullUp {
			m.pulls[port] |= bit
		}
	}
	if again {
		switch kept, err := m.kept(); {
		case err != nil:
			return err
		case kept:
			return m.read(m.olat, m.out)
		}
	}
	for _, step := range []struct {
		reg  byte
		data []byte
	}{{m.olat, m.out}, {m.gppu, m.pulls}, {m.iodir, m.direction}} {
		if err := m.write(step.reg, step.data); err != nil {
			return err
		}
	}
	switch kept, err := m.kept(); {
	case err != nil:
		return err
	case !kept: // without an answer SPI reads anything
		return fmt.Errorf("what answers is no %s: it does not keep what is written to it", m.model.title)
	}
	return nil
}

// kept reports whether the chip has the settings it was given.
func (m *mcp) kept() (bool, error) {
	direction, pulls := make([]byte, len(m.direction)), make([]byte, len(m.pulls))
	if err := m.read(m.iodir, direction); err != nil {
		return false, err
	}
	if err := m.read(m.gppu, pulls); err != nil {
		return false, err
	}
	return string(direction) == string(m.direction) && string(pulls) == string(m.pulls), nil
}

func (m *mcp) measure(out []sample) error {
	kept, err := m.kept()
	if err != nil {
		return err
	}
	if !kept {
		return errReset
	}
	levels := make([]byte, len(m.direction))
	if err := m.read(m.gpio, levels); err != nil {
		return err
	}
	for i, ch := range m.channels {
		high := levels[ch.pin/8]&(1<<(ch.pin%8)) != 0
		out[i] = sample{value: devices.Bool(high != ch.activeLow)}
	}
	return nil
}

func (m *mcp) set(channel int, v devices.Value) error {
	ch := m.channels[channel]
	port, bit := ch.pin/8, byte(1)<<(ch.pin%8)
	on, _ := v.Bool()
	level := m.out[port] &^ bit
	if on != ch.activeLow {
		level |= bit
	}
	if err := m.write(m.olat+byte(port), []byte{level}); err != nil {
		return err
	}
	m.out[port] = level
	return nil
}

var pwmPins = &pinKind{
	example: "0 to 15",
	parse: func(source string) (int, bool) {
		n, err := strconv.ParseUint(source, 10, 8)
		return int(n), err == nil && n < 16
	},
	point: devices.Point{Kind: devices.KindNumber, Unit: "%", Low: 0, High: 100, Readable: true, Writable: true},
	keys:  []string{"initial"},
}

// Registers and bits of a PCA9685 (NXP, PCA9685 Product data sheet, rev. 4, section 7.3).
const (
	pcaMode1    = 0x00
	pcaMode2    = 0x01
	pcaLED0     = 0x06 // four registers a channel: ON and OFF, low byte first
	pcaPrescale = 0xFE

	pcaAutoIncrement = 0x20
	pcaSleep         = 0x10
	pcaTotemPole     = 0x04
	pcaFull          = 0x10 // in the high byte of ON or OFF
	pcaSteps         = 4096
	pcaClock         = 25e6 // Hz
)

// pca is 16 PWM outputs of 12 bits.
type pca struct {
	*config
	link     i2cLink
	prescale byte
	asked    []devices.Value // of each channel, as it was commanded
}

func checkPCA(c *config, mistake mistake) {
	if !(c.frequency >= 24 && c.frequency <= 1526) {
		mistake(nil, "frequency", "frequency is %g: NXP PCA9685 makes 24 to 1526 Hz", c.frequency)
	}
}

func openPCA(c *config, l i2cLink) (instrument, error) {
	p := &pca{config: c, link: l, asked: make([]devices.Value, len(c.channels))}
	p.prescale = byte(min(max(math.Round(pcaClock/(pcaSteps*c.frequency))-1, 3), 255))
	if l.again { // a disturbed bus, no more
		if kept, err := p.kept(); kept || err != nil {
			return p, err
		}
	}
	// Asleep, as it is after a power-on: the clock stands, and may be set.
	if err := l.writeReg(pcaMode1, pcaSleep|pcaAutoIncrement); err != nil {
		return nil, err
	}
	if err := l.writeReg(pcaPrescale, p.prescale); err != nil {
		return nil, err
	}
	if err := l.writeReg(pcaMode2, pcaTotemPole); err != nil {
		return nil, err
	}
	for i := range c.channels {
		initial := c.channels[i].initial
		if initial.IsZero() {
			initial = devices.Number(0)
		}
		if err := p.set(i, initial); err != nil {
			return nil, err
		}
	}
	if err := l.writeReg(pcaMode1, pcaAutoIncrement); err != nil {
		return nil, err
	}
	return p, l.sleep(ms) // the clock needs half of that
}

func (p *pca) kept() (bool, error) {
	var mode, prescale [1]byte
	if err := p.link.readReg(pcaMode1, mode[:]); err != nil {
		return false, err
	}
	if err := p.link.readReg(pcaPrescale, prescale[:]); err != nil {
		return false, err
	}
	return mode[0]&(pcaSleep|pcaAutoIncrement) == pcaAutoIncrement && prescale[0] == p.prescale, nil
}

// steps are how many of the 4096 a channel is on for.
func steps(percent float64) int { return int(math.Round(percent / 100 * pcaSteps)) }

func (p *pca) measure(out []sample) error {
	kept, err := p.kept()
	if err != nil {
		return err
	}
	if !kept {
		return errReset
	}
	for i, ch := range p.channels {
		var r [4]byte
		if err := p.link.readReg(pcaLED0+byte(4*ch.pin), r[:]); err != nil {
			return err
		}
		on, off := int(r[1]&0xf)<<8|int(r[0]), int(r[3]&0xf)<<8|int(r[2])
		n := (off - on + pcaSteps) % pcaSteps
		switch {
		case r[3]&pcaFull != 0:
			n = 0
		case r[1]&pcaFull != 0:
			n = pcaSteps
		}
		out[i] = sample{value: devices.Number(round(100*float64(n)/pcaSteps, 2))}
		if asked, ok := p.asked[i].Number(); ok && steps(asked) == n {
			out[i].value = p.asked[i] // that is what it means
		}
	}
	return nil
}

func (p *pca) set(channel int, v devices.Value) error {
	percent, _ := v.Number()
	n := steps(percent)
	r := [4]byte{0, 0, byte(n), byte(n >> 8)}
	switch n {
	case 0:
		r = [4]byte{0, 0, 0, pcaFull}
	case pcaSteps:
		r = [4]byte{0, pcaFull, 0, 0}
	}
	if err := p.link.writeReg(pcaLED0+byte(4*p.channels[channel].pin), r[:]...); err != nil {
		return err
	}
	p.asked[channel] = v
	return nil
}
