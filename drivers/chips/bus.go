package chips

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// A Bus is one that has been opened.
type Bus interface {
	io.Closer
	// Check reports why the bus cannot be used any more, or nil. It is asked after a transaction has failed.
	Check() error
}

// An I2CBus is an I²C bus.
type I2CBus interface {
	Bus
	i2c.Bus
}

// An SPIPort is an SPI bus with one chip select.
type SPIPort interface {
	Bus
	spi.Port
}

// An I2COpener opens an I²C bus by its path. Errors that wrap fs.ErrNotExist or fs.ErrPermission are told with what can be
// done about them.
type I2COpener func(path string) (I2CBus, error)

// An SPIOpener opens an SPI bus with a chip select by its path, as an I2COpener does.
type SPIOpener func(path string) (SPIPort, error)

const (
	// txTimeout is how long the kernel lets one transaction take, and tries it again.
	txTimeout = 200 * time.Millisecond
	// opLimit is how long a chip may take to measure, or to be set up, as far as that is seen: it gets no further
	// transaction after that.
	opLimit = 2 * time.Second
)

var errTooLong = errors.New("it does not come to an end")

// A link is one chip's way to it. periph's packages get it as an i2c.Bus, for they hide what went wrong: the link remembers.
// It belongs to the chip's goroutine; the bus is shared.
type link struct {
	bus   *sharedBus
	ctx   context.Context // done when the chip is to be let go
	until time.Time       // no transaction begins after that
	err   error           // of the last transaction, since begin
	again bool            // the chip was set up before, since the bus was opened
}

// sharedBus takes care that one transaction is on the bus at a time.
type sharedBus struct {
	Bus
	turn chan struct{} // holds one token while a transaction is under way
}

// begin begins a measurement, or whatever else may take opLimit.
func (l *link) begin() { l.until, l.err = time.Now().Add(opLimit), nil }

// do runs one transaction on the bus.
func (l *link) do(tx func() error) error {
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case time.Now().After(l.until):
		return errTooLong
	}
	select {
	case l.bus.turn <- struct{}{}:
		defer func() { <-l.bus.turn }()
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
	if err := tx(); err != nil {
		l.err = err
		return err
	}
	return nil
}

// sleep waits, or returns ctx's error when the chip is to be let go.
func (l *link) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.ctx.Done():
		return l.ctx.Err()
	}
}

// i2cLink is a link to a chip on an I²C bus.
type i2cLink struct {
	*link
	addr uint16
}

var _ i2c.Bus = i2cLink{}

func (l i2cLink) String() string                  { return fmt.Sprintf("0x%02x", l.addr) }
func (l i2cLink) SetSpeed(physic.Frequency) error { return errors.ErrUnsupported }

func (l i2cLink) Tx(addr uint16, w, r []byte) error {
	bus, ok := l.bus.Bus.(i2c.Bus)
	if !ok {
		return errors.ErrUnsupported
	}
	return l.do(func() error { return bus.Tx(addr, w, r) })
}

// command writes to the chip and, after a wait, reads what it has to say.
func (l i2cLink) command(w []byte, wait time.Duration, r []byte) error {
	if err := l.Tx(l.addr, w, nil); err != nil {
		return err
	}
	if wait > 0 {
		if err := l.sleep(wait); err != nil {
			return err
		}
	}
	if len(r) == 0 {
		return nil
	}
	return l.Tx(l.addr, nil, r)
}

// readReg reads registers from one on.
func (l i2cLink) readReg(reg byte, r []byte) error { return l.Tx(l.addr, []byte{reg}, r) }

// writeReg writes registers from one on.
func (l i2cLink) writeReg(reg byte, data ...byte) error {
	return l.Tx(l.addr, append([]byte{reg}, data...), nil)
}

// spiLink is a link to a chip behind an SPI chip select.
type spiLink struct{ *link }

var _ spi.Port = spiLink{}

func (l spiLink) String() string { return "spi" }

func (l spiLink) Connect(f physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	port, ok := l.bus.Bus.(spi.Port)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	var conn spi.Conn
	err := l.do(func() (err error) { conn, err = port.Connect(f, mode, bits); return err })
	return spiConn{conn, l.link}, err
}

type spiConn struct {
	spi.Conn
	link *link
}

func (c spiConn) Tx(w, r []byte) error {
	return c.link.do(func() error { return c.Conn.Tx(w, r) })
}

// wayOut is what a person can do about an error of a bus, beginning with ": ", or "".
func wayOut(err error, group string) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ": add the user to group " + group
	case errors.Is(err, fs.ErrNotExist):
		return ": switch the bus on (on a Raspberry Pi with raspi-config), or correct bus"
	case errors.Is(err, syscall.ENODEV):
		return ": plug it in, or correct bus"
	}
	return ""
}

// silent reports whether an error means that no chip answers at an address.
func silent(err error) bool {
	return errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EREMOTEIO)
}
