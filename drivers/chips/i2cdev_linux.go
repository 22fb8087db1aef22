package chips

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// From linux/i2c-dev.h and linux/i2c.h.
const (
	i2cRetries = 0x0701
	i2cTimeout = 0x0702 // in 10 ms
	i2cFuncs   = 0x0705
	i2cRdwr    = 0x0707

	i2cRead = 0x0001 // I2C_M_RD
)

type i2cMsg struct {
	addr, flags, length uint16
	buf                 *byte
}

type i2cRdwrData struct {
	msgs *i2cMsg
	n    uint32
}

// kernelI2C is a bus behind the kernel's i2c-dev.
type kernelI2C struct {
	file *os.File
	path string
}

func openI2C(path string) (I2CBus, error) {
	file, err := openDevice(path)
	if err != nil {
		return nil, err
	}
	var functions uint64
	if err := ioctl(file, i2cFuncs, unsafe.Pointer(&functions)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: is no I²C bus: correct bus", path), file.Close())
	}
	// Not every bus can be told: then its own timeout, a second with most, is what it is.
	_ = ioctlInt(file, i2cTimeout, uintptr(txTimeout/(10*time.Millisecond)))
	_ = ioctlInt(file, i2cRetries, 1)
	return &kernelI2C{file: file, path: path}, nil
}

func (k *kernelI2C) String() string                  { return k.path }
func (k *kernelI2C) SetSpeed(physic.Frequency) error { return errors.ErrUnsupported }
func (k *kernelI2C) Close() error                    { return k.file.Close() }
func (k *kernelI2C) Check() error                    { return checkDevice(k.path) }

var _ i2c.Bus = (*kernelI2C)(nil)

// Tx writes and reads in one transaction, with a repeated start between the two.
func (k *kernelI2C) Tx(addr uint16, w, r []byte) error {
	var msgs []i2cMsg
	if len(w) > 0 {
		msgs = append(msgs, i2cMsg{addr: addr, length: uint16(len(w)), buf: &w[0]})
	}
	if len(r) > 0 {
		msgs = append(msgs, i2cMsg{addr: addr, flags: i2cRead, length: uint16(len(r)), buf: &r[0]})
	}
	if len(msgs) == 0 {
		return nil
	}
	err := ioctl(k.file, i2cRdwr, unsafe.Pointer(&i2cRdwrData{msgs: &msgs[0], n: uint32(len(msgs))}))
	runtime.KeepAlive(msgs)
	return err
}

// openDevice opens a device file. The error has the path once.
func openDevice(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("%s: %w", path, pathErr.Err)
	}
	return file, err
}

// checkDevice reports that a device file is not there any more.
func checkDevice(path string) error {
	_, err := os.Stat(path)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", path, pathErr.Err)
	}
	return err
}

func ioctl(file *os.File, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(arg))
		if errno != unix.EINTR {
			return asError(errno)
		}
	}
}

func ioctlInt(file *os.File, request, arg uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, arg)
	return asError(errno)
}

func asError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
