package chips

import (
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// INA219 is TI's monitor of voltage and current (SBOS448G): it computes current and power from its calibration register.
type INA219 struct {
	mu          sync.Mutex
	volts       float64
	amps        float64
	ohms        float64
	config      uint16
	calibration uint16
	pointer     byte
}

// NewINA219 makes one with a shunt of so many Ω.
func NewINA219(ohms float64) *INA219 {
	i := &INA219{ohms: ohms}
	i.reset()
	return i
}

// Set sets what there is to measure: V at the load, and A through the shunt.
func (i *INA219) Set(volts, amps float64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.volts, i.amps = volts, amps
}

func (i *INA219) reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.config, i.calibration = 0x399f, 0
}

func (i *INA219) transfer(w, r []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(w) > 0 {
		i.pointer = w[0]
	}
	if len(w) >= 3 {
		switch v := binary.BigEndian.Uint16(w[1:]); i.pointer {
		case 0:
			i.config = v
		case 5:
			i.calibration = v &^ 1 // FS0 cannot be written
		}
	}
	if len(r) >= 2 {
		binary.BigEndian.PutUint16(r, i.register())
	}
	return nil
}

func (i *INA219) register() uint16 {
	shunt := int32(math.Round(min(max(i.amps*i.ohms/10e-6, -32000), 32000)))
	bus := int32(math.Round(i.volts / 4e-3))
	current := shunt * int32(i.calibration) / 4096
	power := max(current, -current) * bus / 5000
	switch i.pointer {
	case 0:
		return i.config
	case 1:
		return uint16(int16(shunt))
	case 2:
		return uint16(bus)<<3 | 2
	case 3:
		return uint16(power)
	case 4:
		return uint16(int16(current))
	}
	return i.calibration
}

// ADS1115 is TI's converter with four inputs (SBAS444E), or with 12 bits the ADS1015 (SBAS473F). Its clock is slow by a tenth,
// which is what it may be.
type ADS1115 struct {
	mu      sync.Mutex
	volts   [4]float64
	rates   [8]float64
	mask    uint16
	config  uint16
	last    int16
	next    int16
	ready   time.Time
	pointer byte
}

// NewADS1115 makes one of 16 bits.
func NewADS1115() *ADS1115 {
	a := &ADS1115{rates: [8]float64{8, 16, 32, 64, 128, 250, 475, 860}, mask: 0xffff}
	a.reset()
	return a
}

// NewADS1015 makes one of 12 bits.
func NewADS1015() *ADS1115 {
	a := &ADS1115{rates: [8]float64{128, 250, 490, 920, 1600, 2400, 3300, 3300}, mask: 0xfff0}
	a.reset()
	return a
}

// Set sets the voltage at an input.
func (a *ADS1115) Set(input int, volts float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.volts[input] = volts
}

func (a *ADS1115) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.config, a.last, a.next, a.ready = 0x8583, 0, 0, time.Time{}
}

func (a *ADS1115) transfer(w, r []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ready.IsZero() && !time.Now().Before(a.ready) {
		a.last, a.ready = a.next, time.Time{}
	}
	if len(w) > 0 {
		a.pointer = w[0]
	}
	if len(w) >= 3 && a.pointer == 1 {
		a.config = binary.BigEndian.Uint16(w[1:])
		if a.config&0x8000 != 0 {
			a.next = a.convert()
			a.ready = time.Now().Add(time.Duration(1.1 / a.rates[a.config>>5&7] * float64(time.Second)))
		}
	}
	if len(r) >= 2 {
		word := uint16(a.last)
		if a.pointer == 1 {
			word = a.config &^ 0x8000
			if a.ready.IsZero() {
				word |= 0x8000
			}
		}
		binary.BigEndian.PutUint16(r, word)
	}
	return nil
}

func (a *ADS1115) convert() int16 {
	v := a.volts
	difference := [8]float64{v[0] - v[1], v[0] - v[3], v[1] - v[3], v[2] - v[3], v[0], v[1], v[2], v[3]}[a.config>>12&7]
	full := [8]float64{6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256}[a.config>>9&7]
	raw := int16(min(max(math.Round(difference/full*32768), -32768), 32767))
	return int16(uint16(raw) & a.mask)
}
