package chips

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// From linux/spi/spidev.h, as most architectures number their ioctls.
const (
	spiWriteMode  = 0x40016b01
	spiWriteBits  = 0x40016b03
	spiWriteSpeed = 0x40046b04
	spiMessage    = 0x40206b00 // of one transfer
)

type spiTransfer struct {
	tx, rx                           uint64
	length, speed                    uint32
	delay                            uint16
	bits, csChange, txWidth, rxWidth uint8
	wordDelay, _                     uint8
}

// kernelSPI is a bus with a chip select behind the kernel's spidev.
type kernelSPI struct {
	file *os.File
	path string
}

func openSPI(path string) (SPIPort, error) {
	file, err := openDevice(path)
	if err != nil {
		return nil, err
	}
	bits := uint8(8)
	if err := ioctl(file, spiWriteBits, unsafe.Pointer(&bits)); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: is no SPI bus: correct bus", path), file.Close())
	}
	return &kernelSPI{file: file, path: path}, nil
}

func (k *kernelSPI) String() string { return k.path }
func (k *kernelSPI) Close() error   { return k.file.Close() }
func (k *kernelSPI) Check() error   { return checkDevice(k.path) }

// slowest is how fast chips are talked to: on wires between boards faster is of no use.
const slowest = physic.MegaHertz

func (k *kernelSPI) Connect(f physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	m, b, speed := uint8(mode&0x3), uint8(bits), uint32(min(f, slowest)/physic.Hertz)
	for _, set := range []struct {
		request uintptr
		arg     unsafe.Pointer
	}{{spiWriteMode, unsafe.Pointer(&m)}, {spiWriteBits, unsafe.Pointer(&b)}, {spiWriteSpeed, unsafe.Pointer(&speed)}} {
		if err := ioctl(k.file, set.request, set.arg); err != nil {
			return nil, fmt.Errorf("%s: %w", k.path, err)
		}
	}
	return &kernelSPIConn{k}, nil
}

type kernelSPIConn struct{ *kernelSPI }

func (c *kernelSPIConn) Duplex() conn.Duplex { return conn.Full }

// Tx exchanges bytes. Either may be nil; else they are of one length.
func (c *kernelSPIConn) Tx(w, r []byte) error {
	n := max(len(w), len(r))
	if n == 0 {
		return nil
	}
	if len(w) > 0 && len(r) > 0 && len(w) != len(r) {
		return fmt.Errorf("%s: %d bytes to write and %d to read: %w", c.path, len(w), len(r), errors.ErrUnsupported)
	}
	t := &spiTransfer{length: uint32(n)}
	if len(w) > 0 {
		t.tx = uint64(uintptr(unsafe.Pointer(&w[0])))
	}
	if len(r) > 0 {
		t.rx = uint64(uintptr(unsafe.Pointer(&r[0])))
	}
	err := ioctl(c.file, spiMessage, unsafe.Pointer(t))
	runtime.KeepAlive(w)
	runtime.KeepAlive(r)
	return err
}

func (c *kernelSPIConn) TxPackets(packets []spi.Packet) error {
	for _, p := range packets {
		if p.KeepCS {
			return errors.ErrUnsupported
		}
		if err := c.Tx(p.W, p.R); err != nil {
			return err
		}
	}
	return nil
}
