package chips

import (
	"encoding/binary"
	"math"
	"sync"
	"time"
)

// check8 is the CRC of Aosong and Sensirion: polynomial 0x31, beginning with 0xFF, bit by bit as a shift register does it.
func check8(data ...byte) byte {
	register := uint16(0xff)
	for _, b := range data {
		register ^= uint16(b)
		for range 8 {
			register <<= 1
			if register&0x100 != 0 {
				register = (register ^ 0x31) & 0xff
			}
		}
	}
	return byte(register)
}

// AHT20 is Aosong's sensor of temperature and humidity.
type AHT20 struct {
	mu         sync.Mutex
	t, h       float64
	calibrated bool
	ready      time.Time
	result     [6]byte
	asked      byte
}

// NewAHT20 makes one; it is at 0x38.
func NewAHT20() *AHT20 { return &AHT20{t: 20, h: 50} }

// Set sets what there is to measure: °C and %.
func (a *AHT20) Set(t, h float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.t, a.h = t, h
}

func (a *AHT20) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calibrated, a.asked = false, 0
}

func (a *AHT20) status() byte {
	s := byte(0x10)
	if time.Now().Before(a.ready) {
		s |= 0x80
	}
	if a.calibrated {
		s |= 0x08
	}
	return s
}

func (a *AHT20) transfer(w, r []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(w) > 0 {
		switch w[0] {
		case 0xBE:
			a.calibrated = true
		case 0xAC:
			a.ready = time.Now().Add(80 * time.Millisecond)
			h, t := uint32(math.Round(a.h/100*(1<<20))), uint32(math.Round((a.t+50)/200*(1<<20)))
			h, t = min(h, 1<<20-1), min(t, 1<<20-1)
			a.result = [6]byte{0, byte(h >> 12), byte(h >> 4), byte(h<<4) | byte(t>>16), byte(t >> 8), byte(t)}
		}
	}
	if len(r) > 0 {
		answer := a.result
		answer[0] = a.status()
		copy(r, append(answer[:], check8(answer[:]...)))
	}
	return nil
}

// sensirion is what chips share that take commands of 16 bits and answer with words that have a checksum each.
type sensirion struct {
	mu     sync.Mutex
	answer []byte
	from   time.Time // when it is there to be read
}

func (s *sensirion) say(after time.Duration, words ...uint16) {
	s.answer, s.from = nil, time.Now().Add(after)
	for _, w := range words {
		s.answer = append(s.answer, byte(w>>8), byte(w), check8(byte(w>>8), byte(w)))
	}
}

// read is what a master gets: nothing, and no acknowledgement, before the answer is there.
func (s *sensirion) read(r []byte) error {
	if len(s.answer) == 0 || time.Now().Before(s.from) {
		return errNoAck
	}
	copy(r, s.answer)
	s.answer = nil
	return nil
}

// argument reads a word behind a command; ok says that its checksum is right.
func argument(w []byte, n int) (word uint16, ok bool) {
	at := 2 + 3*n
	if len(w) < at+3 {
		return 0, false
	}
	return binary.BigEndian.Uint16(w[at:]), check8(w[at], w[at+1]) == w[at+2]
}

// SCD4x is Sensirion's sensor of carbon dioxide, temperature and humidity.
type SCD4x struct {
	sensirion
	co2       uint16
	t, h      float64
	measuring bool
	begun     time.Time
	taken     int // measurements that were read, since begun
}

const scdEvery = 5 * time.Second

// NewSCD4x makes one; it is at 0x62.
func NewSCD4x() *SCD4x { return &SCD4x{co2: 400, t: 20, h: 50} }

// Set sets what there is to measure: ppm, °C and %.
func (s *SCD4x) Set(co2 int, t, h float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.co2, s.t, s.h = uint16(co2), t, h
}

func (s *SCD4x) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measuring, s.answer = false, nil
}

func (s *SCD4x) transfer(w, r []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(w) >= 2 {
		if err := s.command(binary.BigEndian.Uint16(w)); err != nil {
			return err
		}
	}
	if len(r) > 0 {
		return s.read(r)
	}
	return nil
}

func (s *SCD4x) command(c uint16) error {
	fresh := 0
	if s.measuring {
		fresh = int(time.Since(s.begun)/scdEvery) - s.taken
	}
	switch c {
	case 0x3f86: // stop_periodic_measurement
		s.measuring = false
		s.from = time.Now().Add(500 * time.Millisecond)
		return nil
	case 0xe4b8: // get_data_ready_status
		word := uint16(0x8000)
		if fresh > 0 {
			word |= 6
		}
		s.say(time.Millisecond, word)
		return nil
	case 0xec05: // read_measurement
		if fresh == 0 {
			s.answer = nil
			return nil
		}
		s.taken += fresh
		s.say(time.Millisecond, s.co2, uint16(math.Round((s.t+45)/175*65535)), uint16(math.Round(s.h/100*65535)))
		return nil
	}
	if s.measuring || time.Now().Before(s.from) {
		return errNoAck // nothing else is taken while it measures, or has just been stopped
	}
	switch c {
	case 0x21b1: // start_periodic_measurement
		s.measuring, s.begun, s.taken = true, time.Now(), 0
	case 0x3682: // get_serial_number
		s.say(time.Millisecond, 0xf896, 0x9f07, 0x3bbe)
	}
	return nil
}

// SGP30 is Sensirion's sensor of air quality.
type SGP30 struct {
	sensirion
	co2, tvoc uint16
	begun     time.Time // zero: not initialised
	Baseline  [2]uint16 // CO₂ and TVOC, as it was set last; read it while nobody talks to the chip
}

// NewSGP30 makes one; it is at 0x58.
func NewSGP30() *SGP30 { return &SGP30{co2: 400, Baseline: [2]uint16{0x8d1a, 0x8e2b}} }

// Set sets what there is to measure: ppm and ppb.
func (s *SGP30) Set(co2, tvoc int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.co2, s.tvoc = uint16(co2), uint16(tvoc)
}

func (s *SGP30) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.answer = time.Time{}, nil
}

func (s *SGP30) transfer(w, r []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(w) >= 2 {
		switch binary.BigEndian.Uint16(w) {
		case 0x2003: // iaq_init
			s.begun = time.Now()
		case 0x2008: // measure_iaq
			co2, tvoc := s.co2, s.tvoc
			if s.begun.IsZero() || time.Since(s.begun) < 15*time.Second {
				co2, tvoc = 400, 0
			}
			s.say(12*time.Millisecond, co2, tvoc)
		case 0x2015: // get_iaq_baseline
			s.say(10*time.Millisecond, s.Baseline[0], s.Baseline[1])
		case 0x201e: // set_iaq_baseline: TVOC first
			tvoc, ok1 := argument(w, 0)
			co2, ok2 := argument(w, 1)
			if !ok1 || !ok2 {
				return errNoAck
			}
			s.Baseline = [2]uint16{co2, tvoc}
		}
	}
	if len(r) > 0 {
		return s.read(r)
	}
	return nil
}

// BH1750 is Rohm's sensor of light.
type BH1750 struct {
	mu    sync.Mutex
	lux   float64
	begun time.Time // of a measurement; zero: none
	last  uint16
}

// NewBH1750 makes one; it is at 0x23 or 0x5C.
func NewBH1750() *BH1750 { return &BH1750{} }

// Set sets what there is to measure, in lx.
func (b *BH1750) Set(lux float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lux = lux
}

func (b *BH1750) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun, b.last = time.Time{}, 0
}

func (b *BH1750) transfer(w, r []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun.IsZero() && time.Since(b.begun) >= 120*time.Millisecond {
		b.last, b.begun = uint16(min(math.Round(b.lux*1.2), 65535)), time.Time{}
	}
	if len(w) > 0 && w[0]&0x10 != 0 {
		b.begun = time.Now()
	}
	if len(r) >= 2 {
		binary.BigEndian.PutUint16(r, b.last)
	}
	return nil
}
