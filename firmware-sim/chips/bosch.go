package chips

import (
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// BMx280 is a Bosch BME280 or BMP280 (BST-BME280-DS002, BST-BMP280-DS001). Its calibration is that of the example in the data
// sheet of the BMP280 (section 3.12), and for humidity one as chips have it.
type BMx280 struct {
	mu    sync.Mutex
	id    byte
	mem   [256]byte
	t     float64 // °C
	h     float64 // %
	p     float64 // hPa
	raw   func() (t, p, h uint32)
	ready time.Time // when the measurement under way is done
	busy  bool
}

// The words of the calibration, as the data sheet names them.
const (
	digT1, digT2, digT3        = 27504, 26435, -1000
	digP1, digP2, digP3        = 36477, -10685, 3024
	digP4, digP5, digP6        = 2855, 140, -7
	digP7, digP8, digP9        = 15500, -14600, 6000
	digH1, digH2, digH3        = 75, 361, 0
	digH4, digH5               = 324, 50
	digH6                      = 30
	regID, regReset, regStatus = 0xD0, 0xE0, 0xF3
	regHum, regMeas, regConfig = 0xF2, 0xF4, 0xF5
)

// NewBME280 makes one that measures temperature, humidity and pressure.
func NewBME280() *BMx280 { return newBMx280(0x60) }

// NewBMP280 makes one without humidity.
func NewBMP280() *BMx280 { return newBMx280(0x58) }

func newBMx280(id byte) *BMx280 {
	b := &BMx280{id: id, t: 20, h: 50, p: 1013.25}
	b.raw = b.invert
	b.reset()
	return b
}

// Set sets what there is to measure: °C, % and hPa.
func (b *BMx280) Set(t, h, p float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t, b.h, b.p, b.raw = t, h, p, b.invert
}

// SetRaw sets what the converters say, as in the example of the data sheet: adc_T 519888 and adc_P 415148.
func (b *BMx280) SetRaw(t, p, h uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.raw = func() (uint32, uint32, uint32) { return t, p, h }
}

func (b *BMx280) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mem = [256]byte{}
	b.mem[regID] = b.id
	words := []int{digT1, digT2, digT3, digP1, digP2, digP3, digP4, digP5, digP6, digP7, digP8, digP9}
	for i, w := range words {
		binary.LittleEndian.PutUint16(b.mem[0x88+2*i:], uint16(w))
	}
	if b.id == 0x60 {
		b.mem[0xA1] = digH1
		binary.LittleEndian.PutUint16(b.mem[0xE1:], digH2)
		b.mem[0xE3] = digH3
		b.mem[0xE4] = digH4 >> 4
		b.mem[0xE5] = digH4&0xf | digH5&0xf<<4
		b.mem[0xE6] = digH5 >> 4
		b.mem[0xE7] = digH6
	}
	copy(b.mem[0xF7:], []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0})
	b.busy = false
}

// settle ends a measurement whose time has come.
func (b *BMx280) settle() {
	b.mem[regStatus] = 0
	if !b.busy {
		return
	}
	if time.Now().Before(b.ready) {
		b.mem[regStatus] = 0x08
		return
	}
	b.busy = false
	b.mem[regMeas] &^= 3 // forced mode is over
	t, p, h := b.raw()
	put20 := func(reg int, v uint32) {
		b.mem[reg], b.mem[reg+1], b.mem[reg+2] = byte(v>>12), byte(v>>4), byte(v<<4)
	}
	put20(0xF7, p)
	put20(0xFA, t)
	if b.id == 0x60 {
		if b.mem[regHum]&7 == 0 {
			h = 0x8000
		}
		b.mem[0xFD], b.mem[0xFE] = byte(h>>8), byte(h)
	}
}

func (b *BMx280) transfer(w, r []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(w) == 0 {
		return errNoAck
	}
	b.settle()
	if len(r) > 0 {
		for i := range r {
			r[i] = b.mem[byte(int(w[0])+i)]
		}
		return nil
	}
	for i := 0; i+1 < len(w); i += 2 { // pairs of register and value
		b.write(w[i], w[i+1])
	}
	return nil
}

func (b *BMx280) write(reg, v byte) {
	switch reg {
	case regHum, regConfig:
		b.mem[reg] = v
	case regMeas:
		b.mem[reg] = v
		if v&3 == 1 || v&3 == 2 {
			b.busy = true
			b.ready = time.Now().Add(b.duration())
		}
	case regReset:
		if v == 0xB6 {
			b.mem[regHum], b.mem[regMeas], b.mem[regConfig] = 0, 0, 0
		}
	}
}

// duration is how long a measurement takes at most (BME280, section 9.1).
func (b *BMx280) duration() time.Duration {
	factor := func(bits byte) float64 {
		if bits == 0 {
			return 0
		}
		return math.Pow(2, float64(min(bits, 5)-1))
	}
	t, p, h := factor(b.mem[regMeas]>>5), factor(b.mem[regMeas]>>2&7), factor(b.mem[regHum]&7)
	msec := 1.25 + 2.3*t
	if p > 0 {
		msec += 2.3*p + 0.575
	}
	if h > 0 {
		msec += 2.3*h + 0.575
	}
	return time.Duration(msec * float64(time.Millisecond))
}

// exchange is SPI: the highest bit of the register says whether it is read.
func (b *BMx280) exchange(w, r []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	if w[0]&0x80 != 0 {
		for i := 1; i < len(r); i++ {
			r[i] = b.mem[byte(int(w[0])+i-1)]
		}
		return
	}
	for i := 0; i+1 < len(w); i += 2 {
		b.write(w[i]|0x80, w[i+1])
	}
}

// invert finds what the converters say: the compensations of the data sheet in floating point (BMP280 section 8.1, BME280
// section 8.1) rise or fall with it, so that it is found by halves.
func (b *BMx280) invert() (t, p, h uint32) {
	t = halves(1<<20, func(adc float64) bool { return temperatureOf(fine(adc)) < b.t })
	tFine := fine(float64(t))
	p = halves(1<<20, func(adc float64) bool { return pressureOf(adc, tFine) > 100*b.p })
	h = halves(1<<16, func(adc float64) bool { return humidityOf(adc, tFine) < b.h })
	return t, p, h
}

// halves finds the first of n numbers for which below is false.
func halves(n uint32, below func(float64) bool) uint32 {
	low, high := uint32(0), n-1
	for low < high {
		middle := (low + high) / 2
		if below(float64(middle)) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

func fine(adc float64) float64 {
	v1 := (adc/16384 - digT1/1024.0) * digT2
	v2 := (adc/131072 - digT1/8192.0) * (adc/131072 - digT1/8192.0) * digT3
	return v1 + v2
}

func temperatureOf(tFine float64) float64 { return tFine / 5120 }

// pressureOf is in Pa.
func pressureOf(adc, tFine float64) float64 {
	v1 := tFine/2 - 64000
	v2 := v1 * v1 * digP6 / 32768
	v2 += v1 * digP5 * 2
	v2 = v2/4 + digP4*65536
	v1 = (digP3*v1*v1/524288 + digP2*v1) / 524288
	v1 = (1 + v1/32768) * digP1
	p := 1048576 - adc
	p = (p - v2/4096) * 6250 / v1
	v1 = digP9 * p * p / 2147483648
	v2 = p * digP8 / 32768
	return p + (v1+v2+digP7)/16
}

func humidityOf(adc, tFine float64) float64 {
	h := tFine - 76800
	h = (adc - (digH4*64 + digH5/16384.0*h)) * (digH2 / 65536.0 * (1 + digH6/67108864.0*h*(1+digH3/67108864.0*h)))
	return h * (1 - digH1*h/524288)
}

// BMP180 is a Bosch BMP180 (BST-BMP180-DS000) with the calibration of its data sheet's example (section 3.5): at UT 27898 and UP
// 23843 it is 15.0 °C and 699.64 hPa.
type BMP180 struct {
	mu     sync.Mutex
	mem    [256]byte
	ut, up uint16
	ready  time.Time
}

// NewBMP180 makes one that measures what the example measures.
func NewBMP180() *BMP180 {
	b := &BMP180{ut: 27898, up: 23843}
	b.reset()
	return b
}

func (b *BMP180) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mem = [256]byte{regID: 0x55}
	for i, w := range []int{408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868} {
		binary.BigEndian.PutUint16(b.mem[0xAA+2*i:], uint16(w))
	}
}

func (b *BMP180) transfer(w, r []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(w) == 0:
		return errNoAck
	case len(r) > 0:
		for i := range r {
			r[i] = b.mem[byte(int(w[0])+i)]
		}
	case len(w) == 2 && w[0] == 0xF4:
		value, takes := b.ut, 4500*time.Microsecond
		if w[1] == 0x34 {
			value = b.up
		}
		b.ready = time.Now().Add(takes)
		binary.BigEndian.PutUint16(b.mem[0xF6:], value)
		b.mem[0xF8] = 0
	}
	return nil
}
