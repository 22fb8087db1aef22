package chips

import (
	"fmt"
	"math"
	"time"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/devices/v3/bh1750"

	"tidings/devices"
)

var (
	co2  = number("co2", "carbon_dioxide", "ppm", 0)
	tvoc = number("tvoc", "volatile_organic_compounds_parts", "ppb", 0)
	lux  = number("illuminance", "illuminance", "lx", 0)
)

var airModels = []*model{
	{name: "scd40", title: "Sensirion SCD40", addresses: []uint16{0x62}, poll: defaultPoll,
		points: []devices.Point{co2, temperature, humidity}, open: openSCD4x},
	{name: "scd41", title: "Sensirion SCD41", addresses: []uint16{0x62}, poll: defaultPoll,
		points: []devices.Point{co2, temperature, humidity}, open: openSCD4x},
	{name: "sgp30", title: "Sensirion SGP30", addresses: []uint16{0x58}, poll: defaultPoll, cadence: time.Second,
		points: []devices.Point{co2, tvoc}, open: openSGP30},
	{name: "bh1750", title: "Rohm BH1750", addresses: []uint16{0x23, 0x5c}, poll: defaultPoll,
		points: []devices.Point{lux}, open: openBH1750},
}

// words asks a Sensirion chip with a command and reads words of 16 bits, each with a checksum behind it.
func (l i2cLink) words(command uint16, wait time.Duration, out []uint16) error {
	raw := make([]byte, 3*len(out))
	if err := l.command([]byte{byte(command >> 8), byte(command)}, wait, raw); err != nil {
		return err
	}
	for i := range out {
		if word := raw[3*i:]; crc8(word[:2]) != word[2] {
			return fmt.Errorf("the checksum is wrong: 0x%02x, and of %02x %02x it is 0x%02x", word[2], word[0], word[1], crc8(word[:2]))
		}
		out[i] = uint16(raw[3*i])<<8 | uint16(raw[3*i+1])
	}
	return nil
}

// crc8 is Sensirion's checksum: polynomial 0x31, beginning with 0xFF.
func crc8(data []byte) byte {
	crc := byte(0xff)
	for _, b := range data {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x31
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// scd4x is an SCD40 or SCD41 (Sensirion, SCD4x Datasheet, 2023, section 3). It measures by itself every five seconds.
type scd4x struct {
	*config
	link  i2cLink
	heard time.Time // the last measurement
	last  map[string]sample
}

func openSCD4x(c *config, l i2cLink) (instrument, error) {
	// One that measures already takes nothing but an end to it, and for that half a second.
	if err := l.command([]byte{0x3f, 0x86}, 500*ms, nil); err != nil {
		return nil, err
	}
	l.begin()
	var serial [3]uint16
	if err := l.words(0x3682, ms, serial[:]); err != nil {
		return nil, err
	}
	if err := l.command([]byte{0x21, 0xb1}, 0, nil); err != nil {
		return nil, err
	}
	return &scd4x{config: c, link: l, heard: time.Now()}, nil
}

// scdSilence is how long a chip that measures every five seconds may have nothing new to say.
const scdSilence = 30 * time.Second

func (s *scd4x) measure(out []sample) error {
	var ready [1]uint16
	if err := s.link.words(0xe4b8, ms, ready[:]); err != nil {
		return err
	}
	switch {
	case ready[0]&0x7ff != 0:
		var m [3]uint16
		if err := s.link.words(0xec05, ms, m[:]); err != nil {
			return err
		}
		s.heard = time.Now()
		s.last = map[string]sample{
			"co2":         reading(float64(m[0]), 1, 40000, "ppm"),
			"temperature": reading(round(-45+175*float64(m[1])/65535, 2), -10, 60, "°C"),
			"humidity":    reading(round(100*float64(m[2])/65535, 2), 0, 100, "%"),
		}
	case time.Since(s.heard) > scdSilence:
		return errReset // it lost its power, and does not measure any more
	case s.last == nil:
		for i := range out {
			out[i] = waiting("it has not measured yet")
		}
		return nil
	}
	s.pick(out, s.last)
	return nil
}

// sgp30 is an SGP30 (Sensirion, SGP30 Datasheet, May 2020, section 6). It wants to be asked once a second, and says 400 ppm and
// 0 ppb for the first 15 seconds. What it has learnt of the air is read from it every hour and given back to it at its start.
type sgp30 struct {
	*config
	link    i2cLink
	opened  time.Time
	learns  time.Time // since when it has been learning
	savedAt time.Time
}

const (
	sgpWarmUp     = 15 * time.Second
	sgpSave       = time.Hour
	sgpLearning   = 12 * time.Hour // before that, what it knows is not worth to be kept
	sgpForgetting = 7 * 24 * time.Hour
)

// The names under which an SGP30's baseline is kept, and when it was.
const (
	baseline   = "baseline"
	baselineAt = "baseline_at"
)

func openSGP30(c *config, l i2cLink) (instrument, error) {
	if err := l.command([]byte{0x20, 0x03}, 10*ms, nil); err != nil {
		return nil, err
	}
	now := time.Now()
	s := &sgp30{config: c, link: l, opened: now, learns: now, savedAt: now}
	return s, s.restore()
}

// restore gives back what was learnt, if that is not too long ago.
func (s *sgp30) restore() error {
	if s.memory == nil {
		return nil
	}
	words, there, err := s.memory.Recall(s.id, baseline)
	at, _, atErr := s.memory.Recall(s.id, baselineAt)
	if err != nil || atErr != nil || !there || time.Since(time.Unix(int64(at), 0)) > sgpForgetting {
		return nil // it learns anew
	}
	co2, tvoc := uint16(uint32(words)>>16), uint16(uint32(words))
	w := []byte{0x20, 0x1e}
	for _, word := range []uint16{tvoc, co2} { // in the other order than it says them
		bytes := []byte{byte(word >> 8), byte(word)}
		w = append(w, bytes[0], bytes[1], crc8(bytes))
	}
	s.learns = s.learns.Add(-sgpLearning)
	return s.link.command(w, 10*ms, nil)
}

// save keeps what it has learnt, once an hour.
func (s *sgp30) save() error {
	now := time.Now()
	if s.memory == nil || now.Sub(s.savedAt) < sgpSave || now.Sub(s.learns) < sgpLearning {
		return nil
	}
	var words [2]uint16
	if err := s.link.words(0x2015, 10*ms, words[:]); err != nil {
		return err
	}
	s.savedAt = now
	s.memory.Keep(s.id, baseline, float64(uint32(words[0])<<16|uint32(words[1])))
	s.memory.Keep(s.id, baselineAt, float64(now.Unix()))
	return nil
}

func (s *sgp30) measure(out []sample) error {
	var m [2]uint16
	if err := s.link.words(0x2008, 12*ms, m[:]); err != nil {
		return err
	}
	values := map[string]sample{"co2": reading(float64(m[0]), 400, 60000, "ppm"), "tvoc": reading(float64(m[1]), 0, 60000, "ppb")}
	if m == [2]uint16{400, 0} && time.Since(s.opened) < sgpWarmUp {
		values["co2"], values["tvoc"] = waiting("it is warming up"), waiting("it is warming up")
	}
	s.pick(out, values)
	return s.save()
}

// openBH1750 sets up a BH1750 (Rohm, BH1750FVI, 2011). It measures 120 ms.
func openBH1750(c *config, l i2cLink) (instrument, error) {
	dev, err := bh1750.NewI2C(l, l.addr)
	if err != nil {
		return nil, err
	}
	return &light{config: c, dev: dev}, nil
}

type light struct {
	*config
	dev *bh1750.Dev
}

func (b *light) measure(out []sample) error {
	flux, err := b.dev.Sense()
	if err != nil {
		return err
	}
	b.pick(out, map[string]sample{"illuminance": reading(float64(flux)/float64(physic.Lumen), 0, 65535, "lx")})
	return nil
}

// round rounds to so many digits after the point: what a chip resolves.
func round(f float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(f*scale) / scale
}
