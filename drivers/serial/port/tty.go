package port

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// ErrInUse is a port that another program, or another driver of this one, has open.
var ErrInUse = errors.New("in use: another program or another [drivers] table has it open")

// ErrNotSerial is a path that leads to something else.
var ErrNotSerial = errors.New("not a serial port")

// openTTY opens a port of this machine, for this process alone.
func openTTY(port string, mode Mode) (Port, error) {
	// Bytes go through an os.File, because that has deadlines and a Close that ends a Read safely. Without O_NONBLOCK
	// opening could wait for a carrier that never comes.
	file, err := os.OpenFile(port, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return nil, ErrInUse
		}
		return nil, err
	}
	p := &ttyPort{File: file}
	if err := p.setUp(port, mode); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// ttyPort is a port of this machine: one handle for the bytes and one of go.bug.st/serial for everything else.
type ttyPort struct {
	*os.File
	control serial.Port // nil until it is open
	stuck   atomic.Bool // a write failed
}

func (p *ttyPort) setUp(port string, mode Mode) error {
	if info, err := p.Stat(); err != nil {
		return err
	} else if info.Mode()&fs.ModeCharDevice == 0 {
		return ErrNotSerial
	}
	// TIOCEXCL, which go.bug.st/serial asks for too, does not keep root out; this keeps out whoever asks the same.
	if err := p.lock(); err != nil {
		return err
	}
	if err := p.SetWriteDeadline(time.Time{}); err != nil {
		return ErrNotSerial
	}
	var err error
	if p.control, err = serial.Open(port, mode.native()); err != nil {
		if e := (*serial.PortError)(nil); errors.As(err, &e) && e.Code() == serial.InvalidSerialPort {
			return fmt.Errorf("%w: %w", ErrNotSerial, err)
		}
		return err
	}
	if mode.DTR != nil {
		// A pseudo-terminal has no such line.
		if err := p.control.SetDTR(*mode.DTR); err != nil && !errors.Is(err, syscall.ENOTTY) && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("dtr: %w", err)
		}
	}
	_ = p.control.ResetInputBuffer() // what was said before is no reading of now; not every device can forget it
	return nil
}

func (p *ttyPort) lock() error {
	raw, err := p.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	if err := raw.Control(func(fd uintptr) { lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(lockErr, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return lockErr
}

// Write also remembers that it failed, for Close.
func (p *ttyPort) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	if err != nil {
		p.stuck.Store(true)
	}
	return n, err
}

// Close lets the port go. What is written and has not left is forgotten where the port takes nothing any more: closing
// would wait for it, for up to half a minute.
func (p *ttyPort) Close() error {
	if p.control != nil {
		if p.stuck.Load() {
			_ = p.control.ResetOutputBuffer()
		}
		_ = p.control.Close()
	}
	return p.File.Close()
}

func (m Mode) native() *serial.Mode {
	native := &serial.Mode{BaudRate: m.Baud, DataBits: m.DataBits}
	switch m.Parity {
	case 'E':
		native.Parity = serial.EvenParity
	case 'O':
		native.Parity = serial.OddParity
	}
	if m.StopBits == 2 {
		native.StopBits = serial.TwoStopBits
	}
	return native
}
