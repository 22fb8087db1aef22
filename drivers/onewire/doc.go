// Package onewire reads thermometers on a 1-Wire bus (DS18B20 and its kin) through the kernel's w1 files: the bus master and
// the search for sensors are the kernel's, as on a Raspberry Pi with dtoverlay=w1-gpio.
//
// One Run is one goroutine, which looks for sensors and reads one after the other: a measurement takes up to 750 ms, in which
// the kernel does not let a read be interrupted, so that Run may take that long to return. Of a sensor the scratchpad is read
// and looked at here, because the kernel's own temperature hides what is wrong with it: a checksum, the 85 °C of a sensor that
// lost its power before it measured, and the zeros of a line that is shorted, whose checksum is right.
//
// Sensors without a table are announced under their ROM id once they were read well. It never changes, whatever happens to the
// bus.
//
//	typ := onewire.Type(func(root string) fs.FS { return bus }) // nil: the files of the machine
//	driver := typ.Build(connection)
//	err := driver.Run(ctx, sink)
package onewire
