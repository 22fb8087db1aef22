// Package chips reads and sets chips on an I²C bus or behind an SPI chip select: sensors for climate, light, air and current,
// converters, port expanders and PWM outputs. It has two drivers, [I2C] and [SPI], which differ in how a chip is reached.
//
// Where a chip's package in periph.io/x/devices does its work, it does it here: bmxx80, aht20, bh1750, ina219, ads1x15. The
// others are written on periph's connections, each with its datasheet named, because the packages of v3.7.4 cannot be used in
// a program that has other things to do: sgp30 sleeps for 20 seconds and then keeps a goroutine that writes to the standard
// log, scd4x sleeps for up to 6 seconds in a reading and nothing ends that, mcp23xxx makes a pin an output before it has its
// level, which moves an active-low relay, and hides that a pin could not be read, and pca9685 switches every output off when
// it is opened and divides by zero in Halt.
//
// One Run is one goroutine that opens the bus, and one a chip. Transactions take turns on the bus; what a chip needs time for
// (80 ms for a measurement, say) holds up nobody else. A chip may spend [opLimit] on a measurement, and the kernel ends a
// transaction after [txTimeout], so that one that hangs costs the others no more than that. A command is handed to its chip's
// goroutine and waits there for its turn.
//
// A chip that does not answer is down and tried again; a bus that is gone takes all of its chips down. What a chip says that
// cannot be (a wrong checksum, a value nothing measures) is a fault of its points, never a reading. A chip that lost its
// settings, because it lost its power for a moment, is found by them and set up anew.
//
//	typ := chips.I2C(func(path string) (chips.I2CBus, error) { return bus.Open() }) // nil: the kernel's buses
//	driver := typ.Build(connection)
//	err := driver.Run(ctx, sink)
package chips
