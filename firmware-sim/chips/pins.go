package chips

import (
	"context"
	"math"
	"sync"
)

// MCP23x is Microchip's port expander: the MCP23008 (DS21919) and MCP23017 (DS20001952), and their kin on SPI.
type MCP23x struct {
	mu      sync.Mutex
	mem     [32]byte
	ports   int
	driven  []byte // pins that the outside drives
	outside []byte // and to what
	pointer byte
	change  chan struct{} // closed and replaced when something is written
	rises   map[int]int   // how often a pin that is an output went high
}

// NewMCP23017 makes one with 16 pins.
func NewMCP23017() *MCP23x { return newMCP(2) }

// NewMCP23008 makes one with 8 pins.
func NewMCP23008() *MCP23x { return newMCP(1) }

func newMCP(ports int) *MCP23x {
	m := &MCP23x{ports: ports, driven: make([]byte, ports), outside: make([]byte, ports), change: make(chan struct{}), rises: map[int]int{}}
	m.reset()
	return m
}

// The registers' order with IOCON.BANK = 0, in units of ports.
const (
	mcpIODIR = 0x0
	mcpGPPU  = 0x6
	mcpGPIO  = 0x9
	mcpOLAT  = 0xA
)

func (m *MCP23x) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mem = [32]byte{}
	for port := range m.ports {
		m.mem[mcpIODIR*m.ports+port] = 0xff
	}
	m.changed()
}

func (m *MCP23x) changed() {
	close(m.change)
	m.change = make(chan struct{})
}

// Set drives a pin from outside, numbered from 0 (A0) to 15 (B7).
func (m *MCP23x) Set(pin int, high bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	port, bit := pin/8, byte(1)<<(pin%8)
	m.driven[port] |= bit
	m.outside[port] &^= bit
	if high {
		m.outside[port] |= bit
	}
}

// Level is what a voltmeter at a pin shows: whether it is high. A pin that nothing drives is low.
func (m *MCP23x) Level(pin int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.level(pin/8)&(1<<(pin%8)) != 0
}

// Rises is how often the chip drove a pin high that was not.
func (m *MCP23x) Rises(pin int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rises[pin]
}

// Wait returns when a pin has that level, or with ctx's error.
func (m *MCP23x) Wait(ctx context.Context, pin int, high bool) error {
	for {
		m.mu.Lock()
		is, change := m.level(pin/8)&(1<<(pin%8)) != 0, m.change
		m.mu.Unlock()
		if is == high {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drive are the pins of a port that the chip drives high.
func (m *MCP23x) drive(port int) byte {
	return m.mem[mcpOLAT*m.ports+port] &^ m.mem[mcpIODIR*m.ports+port]
}

func (m *MCP23x) level(port int) byte {
	inputs := m.mem[mcpIODIR*m.ports+port]
	free := inputs &^ m.driven[port]
	return m.drive(port) | inputs&m.driven[port]&m.outside[port] | free&m.mem[mcpGPPU*m.ports+port]
}

func (m *MCP23x) get(reg byte) byte {
	if int(reg)/m.ports == mcpGPIO {
		return m.level(int(reg) % m.ports)
	}
	return m.mem[reg&31]
}

func (m *MCP23x) put(reg, v byte) {
	if int(reg)/m.ports == mcpGPIO { // writing the port writes its latch
		reg += byte(m.ports)
	}
	port := int(reg) % m.ports
	before := m.drive(port)
	m.mem[reg&31] = v
	for bit := range 8 {
		if (m.drive(port)&^before)&(1<<bit) != 0 {
			m.rises[8*port+bit]++
		}
	}
	m.changed()
}

func (m *MCP23x) transfer(w, r []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(w) > 0 {
		m.pointer = w[0]
		for _, v := range w[1:] {
			m.put(m.pointer, v)
			m.pointer++
		}
	}
	for i := range r {
		r[i] = m.get(m.pointer)
		m.pointer++
	}
	return nil
}

// exchange is SPI: an opcode with the direction, then the register.
func (m *MCP23x) exchange(w, r []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(w) < 2 || w[0]&0xf0 != 0x40 {
		return
	}
	for i := 2; i < len(w); i++ {
		reg := w[1] + byte(i-2)
		if w[0]&1 != 0 {
			r[i] = m.get(reg)
		} else {
			m.put(reg, w[i])
		}
	}
}

// PCA9685 is NXP's PWM controller with 16 outputs (Product data sheet, rev. 4).
type PCA9685 struct {
	mu      sync.Mutex
	mem     [256]byte
	pointer byte
	change  chan struct{}
}

// NewPCA9685 makes one; it is at 0x40 and up.
func NewPCA9685() *PCA9685 {
	p := &PCA9685{change: make(chan struct{})}
	p.reset()
	return p
}

func (p *PCA9685) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mem = [256]byte{0x00: 0x11, 0x01: 0x04, 0xFE: 0x1E}
	for channel := range 16 {
		p.mem[9+4*channel] = 0x10
	}
	close(p.change)
	p.change = make(chan struct{})
}

// Frequency is that of all outputs, in Hz.
func (p *PCA9685) Frequency() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return 25e6 / 4096 / (float64(p.mem[0xFE]) + 1)
}

// Duty is how much of the time an output is on, in %; an output of a chip that sleeps is off.
func (p *PCA9685) Duty(channel int) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.duty(channel)
}

func (p *PCA9685) duty(channel int) float64 {
	r := p.mem[6+4*channel:][:4]
	on, off := int(r[0])|int(r[1]&0xf)<<8, int(r[2])|int(r[3]&0xf)<<8
	switch {
	case p.mem[0]&0x10 != 0, r[3]&0x10 != 0:
		return 0
	case r[1]&0x10 != 0:
		return 100
	}
	return 100 * float64((off-on+4096)%4096) / 4096
}

// Wait returns when an output is on for so much of the time, to a step of the 4096, or with ctx's error.
func (p *PCA9685) Wait(ctx context.Context, channel int, percent float64) error {
	for {
		p.mu.Lock()
		is, change := p.duty(channel), p.change
		p.mu.Unlock()
		if math.Abs(is-percent) < 100.0/4096 {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *PCA9685) transfer(w, r []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	step := byte(0)
	if p.mem[0]&0x20 != 0 {
		step = 1
	}
	if len(w) > 0 {
		p.pointer = w[0]
		for _, v := range w[1:] {
			if p.pointer != 0xFE || p.mem[0]&0x10 != 0 { // the clock is set while it stands
				p.mem[p.pointer] = v
			}
			p.pointer += step
		}
		close(p.change)
		p.change = make(chan struct{})
	}
	for i := range r {
		r[i] = p.mem[p.pointer]
		p.pointer += step
	}
	return nil
}
