package serial

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// Mode is how a port is set up.
type Mode struct {
	Baud     int  // bits a second
	DataBits int  // 5 to 8
	Parity   byte // 'N', 'E' or 'O'
	StopBits int  // 1 or 2
	// DTR is what the line is set to after opening; nil leaves it as the system does, which raises it. The system
	// raises it for a moment either way.
	DTR *bool
}

// A Port is an open serial port, or what stands for one in a test. Read and Write may be called at the same time.
type Port interface {
	// Read blocks until there is a byte, or the port is closed or gone.
	// Close ends a Read and a Write that are under way, at once.
	io.ReadWriteCloser
	// SetWriteDeadline ends a Write that is under way or comes later at that time, with os.ErrDeadlineExceeded.
	SetWriteDeadline(time.Time) error
}

// An Opener opens a port by the name it has in the configuration.
type Opener func(port string, mode Mode) (Port, error)

// errLocked is a port that another program, or another driver of this one, has open.
var errLocked = errors.New("in use: another program or another [drivers] table has it open")

// errNotSerial is a path that leads to something else.
var errNotSerial = errors.New("not a serial port")

// Open opens a port of this machine, for this process alone.
func Open(port string, mode Mode) (Port, error) {
	// Bytes go through an os.File, because that has deadlines and a Close that ends a Read safely. Without O_NONBLOCK
	// opening could wait for a carrier that never comes.
	file, err := os.OpenFile(port, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return nil, errLocked
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
		return errNotSerial
	}
	// TIOCEXCL, which go.bug.st/serial asks for too, does not keep root out; this keeps out whoever asks the same.
	if err := p.lock(); err != nil {
		return err
	}
	if err := p.SetWriteDeadline(time.Time{}); err != nil {
		return errNotSerial
	}
	var err error
	if p.control, err = serial.Open(port, mode.native()); err != nil {
		if e := (*serial.PortError)(nil); errors.As(err, &e) && e.Code() == serial.InvalidSerialPort {
			return fmt.Errorf("%w: %w", errNotSerial, err)
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
		return errLocked
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

// parseMode reads "8N1".
func parseMode(s string) (Mode, error) {
	if len(s) != 3 || s[0] < '5' || s[0] > '8' || s[1] != 'N' && s[1] != 'E' && s[1] != 'O' || s[2] != '1' && s[2] != '2' {
		return Mode{}, fmt.Errorf("%q is none: it is data bits (5 to 8), parity (N, E or O) and stop bits (1 or 2), as in \"8N1\"", s)
	}
	return Mode{DataBits: int(s[0] - '0'), Parity: s[1], StopBits: int(s[2] - '0')}, nil
}

// explain says in words what is wrong with a port and what to do about it.
func explain(port string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w: add the user to group %s", port, err, groupOf(port))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: is it plugged in?", port, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%s: gone: was it unplugged? (%w)", port, err)
	}
	return fmt.Errorf("%s: %w", port, err)
}

// groupOf is the group that may use a port: the one it belongs to, and where that cannot be told Debian's.
func groupOf(port string) string {
	info, err := os.Stat(port)
	if err != nil {
		return "dialout"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Gid == 0 {
		return "dialout"
	}
	group, err := user.LookupGroupId(strconv.FormatUint(uint64(stat.Gid), 10))
	if err != nil {
		return "dialout"
	}
	return group.Name
}
