// Package chips simulates an I²C bus and an SPI port with chips at them, in memory. A chip answers byte by byte as its data
// sheet says: what it measures is set in people's units, and turned into registers with the formulas of the sheet the other way
// round. Chips keep time: a measurement is not there before the chip can have made it, and what a power-on resets is reset by
// [Bus.PowerCycle].
//
//	bus := chips.NewBus()
//	climate := chips.NewBME280()
//	climate.Set(21.5, 48, 1013.2)
//	bus.Put(0x76, climate)
//	handle, err := bus.Open() // is an i2c.BusCloser of periph.io/x/conn
//
// Buses and chips are safe for concurrent use and start no goroutine.
package chips
