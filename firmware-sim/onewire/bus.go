package onewire

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Fault is something that goes wrong with a sensor.
type Fault uint8

// The faults there are, and what shows of each.
const (
	Silent    Fault = iota // it does not answer: reading it fails with EIO
	Disturbed              // a bit is wrong: the checksum does not fit
	Starved                // it loses its power before it has measured: 85 °C
	Shorted                // the data wire is at ground: zeros, and the checksum fits
)

// A Bus is a 1-Wire bus with its sensors.
type Bus struct {
	// Conversion is how long a measurement takes; 0 as NewBus makes it, 750 ms with real ones.
	Conversion time.Duration

	mu      sync.Mutex
	sensors map[string]*sensor
	gone    bool
}

type sensor struct {
	celsius float64
	faults  map[Fault]bool
}

// NewBus makes a bus without sensors.
func NewBus() *Bus { return &Bus{sensors: map[string]*sensor{}} }

// Set puts a sensor on the bus, or sets the temperature of one that is there.
func (b *Bus) Set(rom string, celsius float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sensors[rom] == nil {
		b.sensors[rom] = &sensor{faults: map[Fault]bool{}}
	}
	b.sensors[rom].celsius = celsius
}

// Remove takes a sensor off the bus.
func (b *Bus) Remove(rom string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sensors, rom)
}

// SetFault switches a fault of a sensor on or off.
func (b *Bus) SetFault(rom string, f Fault, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sensors[rom].faults[f] = on
}

// SetGone takes the whole bus away, or brings it back.
func (b *Bus) SetGone(gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = gone
}

var (
	_ fs.ReadDirFS  = (*Bus)(nil)
	_ fs.ReadFileFS = (*Bus)(nil)
)

// Open is part of fs.FS. It opens nothing: files are read with ReadFile and ReadDir.
func (b *Bus) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ReadDir lists the sensors, and the bus master as the kernel does.
func (b *Bus) ReadDir(name string) ([]fs.DirEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone || name != "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	out := []fs.DirEntry{entry("w1_bus_master1")}
	for rom := range b.sensors {
		out = append(out, entry(rom))
	}
	slices.SortFunc(out, func(x, y fs.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	return out, nil
}

// ReadFile reads a sensor's file w1_slave.
func (b *Bus) ReadFile(name string) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, &fs.PathError{Op: "read", Path: name, Err: err} }
	rom, file, _ := strings.Cut(name, "/")
	b.mu.Lock()
	s, gone := b.sensors[rom], b.gone
	b.mu.Unlock()
	if s == nil || gone || file != "w1_slave" {
		return fail(syscall.ENOENT)
	}
	time.Sleep(b.Conversion)
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.faults[Silent] {
		return fail(syscall.EIO)
	}
	return []byte(s.text(rom)), nil
}

// text is what w1_therm.c prints.
func (s *sensor) text(rom string) string {
	raw := int16(math.Round(s.celsius * 16))
	scratch := []byte{byte(raw), byte(uint16(raw) >> 8), 0x4b, 0x46, 0x7f, 0xff, 0x10 - byte(raw)&0xf, 0x10, 0}
	milli := int(raw) * 1000 / 16
	if strings.HasPrefix(rom, "10-") { // a DS18S20: half degrees, and what remained of the count
		half := int16(math.Floor(s.celsius*2 + 0.5))
		scratch = []byte{byte(half), byte(uint16(half) >> 8), 0x4b, 0x46, 0xff, 0xff, 0x0b, 0x10, 0}
		milli = int(half) * 500
	}
	switch {
	case s.faults[Starved]:
		scratch = []byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0}
		milli = 85000
	case s.faults[Shorted]:
		scratch, milli = make([]byte, 9), 0
	}
	scratch[8] = check(scratch[:8])
	computed, verdict := scratch[8], "YES"
	if s.faults[Disturbed] {
		scratch[0] ^= 0x20
		milli += 2000
		computed, verdict = check(scratch[:8]), "NO"
	}
	bytes := fmt.Sprintf("% x", scratch)
	return fmt.Sprintf("%s : crc=%02x %s\n%s t=%d\n", bytes, computed, verdict, bytes, milli)
}

// check is the checksum of Maxim's application note 27, as the shift register in its figure 2.
func check(data []byte) byte {
	var register byte
	for _, b := range data {
		for bit := range 8 {
			feedback := (register ^ b>>bit) & 1
			register >>= 1
			if feedback != 0 {
				register ^= 0b1000_1100
			}
		}
	}
	return register
}

type entry string

func (e entry) Name() string               { return string(e) }
func (e entry) IsDir() bool                { return false } // links, in the kernel's files
func (e entry) Type() fs.FileMode          { return fs.ModeSymlink }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
