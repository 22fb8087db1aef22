package serial

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/creack/pty"
)

// patience is how long a line may take to leave before it is dropped, as a UART drops what nobody reads.
const patience = 100 * time.Millisecond

// backlog is how much may lie unread before it is thrown away: a port that nobody has open keeps nothing.
const backlog = 512

// tcflsh with the argument 0 (TCIFLUSH) forgets what the slave has not read; package syscall does not name it.
const tcflsh = 0x540b

// tty is one pseudo-terminal. The firmware has the master; the slave stays open too, because reading the master
// fails while nobody has it.
type tty struct{ master, slave *os.File }

func openTTY() (*tty, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	t := &tty{master: master, slave: slave}
	if t.master, err = pollable(master); err != nil {
		_ = slave.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	if err := t.raw(); err != nil {
		t.close()
		return nil, fmt.Errorf("pseudo-terminal: raw mode: %w", err)
	}
	return t, nil
}

// pollable makes a file of f whose Close ends a Read and that has deadlines: package pty leaves it blocking. It takes f.
func pollable(f *os.File) (*os.File, error) {
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := conn.Control(func(old uintptr) {
		if fd, dupErr = syscall.Dup(int(old)); dupErr == nil {
			syscall.CloseOnExec(fd)
			dupErr = syscall.SetNonblock(fd, true)
		}
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, fmt.Errorf("no second handle: %w", dupErr)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (t *tty) close() {
	_ = t.master.Close()
	_ = t.slave.Close()
}

// raw makes it a plain wire: no echo, no line editing, no translation.
func (t *tty) raw() error {
	var mode syscall.Termios
	if err := t.ioctl(syscall.TCGETS, unsafe.Pointer(&mode)); err != nil {
		return err
	}
	mode.Iflag = 0
	mode.Oflag = 0
	mode.Lflag = 0
	mode.Cflag = mode.Cflag&^(syscall.CSIZE|syscall.PARENB) | syscall.CS8
	mode.Cc[syscall.VMIN], mode.Cc[syscall.VTIME] = 1, 0
	return t.ioctl(syscall.TCSETS, unsafe.Pointer(&mode))
}

// unread is how many bytes lie at one end.
func unread(end *os.File) int32 {
	var n int32
	if ioctl(end, syscall.TIOCINQ, unsafe.Pointer(&n)) != nil {
		return 0
	}
	return n
}

// drain waits until the firmware has read what has come in, for as long as a line may take.
func (t *tty) drain() {
	for end := time.Now().Add(patience); unread(t.master) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func (t *tty) ioctl(request uintptr, arg unsafe.Pointer) error { return ioctl(t.slave, request, arg) }

func ioctl(end *os.File, request uintptr, arg unsafe.Pointer) error {
	conn, err := end.SyscallConn() // Fd would make it block
	if err != nil {
		return err
	}
	var errno syscall.Errno
	if err := conn.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg))
	}); err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// print sends text. What lies unread for too long is lost, as on a wire.
func (t *tty) print(text string) {
	if text == "" {
		return
	}
	if unread(t.slave) > backlog {
		_ = t.ioctl(tcflsh, nil)
	}
	_ = t.master.SetWriteDeadline(time.Now().Add(patience))
	_, _ = t.master.WriteString(text)
}

func (t *tty) lines(take func(string)) { readLines(t.master, take) }

func (t *tty) name() string { return t.slave.Name() }
