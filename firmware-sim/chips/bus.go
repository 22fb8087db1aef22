package chips

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// A Chip is what can be put on a bus.
type Chip interface {
	// transfer is one transaction: bytes written, then bytes read. bus.mu is held.
	transfer(w, r []byte) error
	// reset is a power-on.
	reset()
}

// An SPIChip is what can be put behind a chip select.
type SPIChip interface {
	Chip
	// exchange is one transaction of as many bytes each way.
	exchange(w, r []byte)
}

// A Fault is something that goes wrong with a chip.
type Fault uint8

// The faults there are, and what shows of each.
const (
	Absent  Fault = iota // it does not answer: ENXIO, and on SPI all ones
	Hanging              // it holds the clock: a transaction takes HangTime and ends with ETIMEDOUT
	Garbled              // a bit of each byte that is read is wrong
)

// HangTime is how long a transaction with a chip takes that holds the clock.
const HangTime = 200 * time.Millisecond

// byteTime is how long a byte takes with its acknowledgement, at 100 kHz.
const byteTime = 90 * time.Microsecond

// A Bus is an I²C bus, or an SPI port when it is opened as one.
type Bus struct {
	mu     sync.Mutex
	chips  map[uint16]Chip
	faults map[uint16]map[Fault]bool
	gone   bool
	life   int // how often it was unplugged: handles of an earlier life stay dead
	count  int // transactions
}

// NewBus makes a bus without chips.
func NewBus() *Bus { return &Bus{chips: map[uint16]Chip{}, faults: map[uint16]map[Fault]bool{}} }

// Put puts a chip at an address, 0 for the one behind an SPI chip select; nil takes it off.
func (b *Bus) Put(addr uint16, c Chip) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c == nil {
		delete(b.chips, addr)
		return
	}
	b.chips[addr] = c
}

// SetFault switches a fault of the chip at an address on or off.
func (b *Bus) SetFault(addr uint16, f Fault, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faults[addr] == nil {
		b.faults[addr] = map[Fault]bool{}
	}
	b.faults[addr][f] = on
}

// SetGone takes the bus away, or brings it back: opening it fails with ENOENT meanwhile, what was open with ENODEV.
func (b *Bus) SetGone(gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if gone && !b.gone {
		b.life++
		for _, c := range b.chips {
			c.reset()
		}
	}
	b.gone = gone
}

// PowerCycle takes the power of a chip away for a moment.
func (b *Bus) PowerCycle(addr uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.chips[addr].reset()
}

// Transactions is how many there were.
func (b *Bus) Transactions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}

// A Handle is the bus as a program sees it that has opened it: an i2c.BusCloser, and a spi.PortCloser.
type Handle struct {
	bus  *Bus
	life int
}

var (
	_ i2c.BusCloser  = (*Handle)(nil)
	_ spi.PortCloser = (*Handle)(nil)
)

// Open opens the bus.
func (b *Bus) Open() (*Handle, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil, fmt.Errorf("simulated bus: %w", syscall.ENOENT)
	}
	return &Handle{b, b.life}, nil
}

func (h *Handle) String() string                  { return "simulated bus" }
func (h *Handle) SetSpeed(physic.Frequency) error { return nil }
func (h *Handle) Close() error                    { return nil }

// LimitSpeed is part of spi.PortCloser.
func (h *Handle) LimitSpeed(physic.Frequency) error { return nil }

// Check says whether the bus is still there.
func (h *Handle) Check() error {
	h.bus.mu.Lock()
	defer h.bus.mu.Unlock()
	return h.dead()
}

func (h *Handle) dead() error {
	if h.bus.gone || h.life != h.bus.life {
		return fmt.Errorf("simulated bus: %w", syscall.ENODEV)
	}
	return nil
}

// Tx is one transaction.
func (h *Handle) Tx(addr uint16, w, r []byte) error {
	b := h.bus
	b.mu.Lock()
	b.count++
	c, absent, hanging := b.chips[addr], b.faults[addr][Absent], b.faults[addr][Hanging]
	err := h.dead()
	b.mu.Unlock()
	switch {
	case err != nil:
		return err
	case c == nil || absent:
		return syscall.ENXIO
	case hanging:
		time.Sleep(HangTime)
		return syscall.ETIMEDOUT
	}
	time.Sleep(time.Duration(2+len(w)+len(r)) * byteTime)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.transfer(w, r); err != nil {
		return err
	}
	if b.faults[addr][Garbled] {
		for i := range r {
			r[i] ^= 0x10
		}
	}
	return nil
}

// Connect makes the connection of an SPI port.
func (h *Handle) Connect(physic.Frequency, spi.Mode, int) (spi.Conn, error) {
	return &spiConn{h}, h.Check()
}

type spiConn struct{ *Handle }

func (c *spiConn) Duplex() conn.Duplex { return conn.Full }

func (c *spiConn) Tx(w, r []byte) error {
	b := c.bus
	time.Sleep(time.Duration(len(w)) * byteTime / 10)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if err := c.dead(); err != nil {
		return err
	}
	if r == nil {
		r = make([]byte, len(w))
	}
	if len(w) != len(r) {
		return syscall.EINVAL
	}
	for i := range r {
		r[i] = 0xff // nobody drives the line
	}
	if chip, ok := b.chips[0].(SPIChip); ok && !b.faults[0][Absent] {
		chip.exchange(w, r)
	}
	return nil
}

func (c *spiConn) TxPackets(packets []spi.Packet) error {
	for _, p := range packets {
		if err := c.Tx(p.W, p.R); err != nil {
			return err
		}
	}
	return nil
}

// errNoAck is a chip that does not take what it is sent.
var errNoAck error = syscall.ENXIO
