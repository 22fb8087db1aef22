package modbus

import "math"

// A reading is a register with a value, as a float of two registers.
type reading struct {
	address uint16
	value   float32
}

// Meter makes a slave a single-phase meter with the input registers of an Eastron SDM120: floats, the high register first. What
// lies between them reads as zero.
func Meter(s *Slave) {
	s.Set(Input, 0, make([]uint16, 0x50)...)
	s.Set(Input, 0x156, make([]uint16, 4)...)
	for _, r := range []reading{
		{0x00, 230.2}, {0x06, 2.1}, {0x0C, 480}, {0x12, 483.4}, {0x18, 57.3}, {0x1E, 0.99}, {0x46, 50.01},
		{0x48, 1234.5}, {0x4A, 67.8}, {0x4C, 12.3}, {0x4E, 4.5}, {0x156, 1302.3}, {0x158, 16.8},
	} {
		s.Float(Input, r.address, r.value)
	}
	s.Limit(80)
}

// Relays makes it a board of eight relays as Waveshare's Modbus RTU Relay: coils 0 to 7.
func Relays(s *Slave) { s.Set(Coil, 0, make([]uint16, 8)...) }

// Commanded makes it a board of eight relays as Eletechsup's R421A08: registers 1 to 8, which take the commands 0x0100, 0x0200 and
// 0x0300 (on, off, toggle) and read as 1 or 0.
func Commanded(s *Slave) {
	s.Set(Holding, 1, make([]uint16, 8)...)
	s.Limit(8)
	s.Obey(func(address, value uint16) uint16 {
		switch value >> 8 {
		case 1:
			return 1
		case 2:
			return 0
		case 3:
			return 1 - s.data[Holding][address] // called while the slave is held
		}
		return s.data[Holding][address]
	})
}

// Climate makes it a sensor as the XY-MD02: temperature and humidity in tenths, input registers 1 and 2.
func Climate(s *Slave) {
	s.Set(Input, 1, 214, 480)
	s.Limit(2)
}

// Float sets two registers to a float, the high one first.
func (s *Slave) Float(t Table, address uint16, f float32) {
	bits := math.Float32bits(f)
	s.Set(t, address, uint16(bits>>16), uint16(bits))
}
