// Package serial is the driver of devices that talk in lines of text over a serial port: a microcontroller that
// prints a JSON object or name=value pairs a second, and takes a line back.
//
//	[drivers.attic]
//	type     = "serial"
//	port     = "/dev/serial/by-id/usb-Arduino_Nano-if00"
//	baud     = 115200
//	protocol = "json"
//
//	[devices.greenhouse]
//	driver = "attic"
//	[devices.greenhouse.points.temperature]
//	source = "t"
//	[devices.greenhouse.points.pump]
//	source = "pump"
//	kind   = "switch"
//	write  = '{"pump":{{.Value}}}'
//
// [Type] makes the driver. It opens the port, by package port, which knows those of serial servers too, and opens it again; what is spoken there is a dialect's. The
// listener is the dialect of whatever speaks unasked: its protocols, a file each, make messages of the bytes and name the
// fields in them, and it writes lines from templates. The slaves of a Modbus line have to be asked, which is a dialect of its own
// (polled): package modbus has the frames, and package profile the tables of devices that are sold.
//
// Lines end with CR, LF or both and have up to [MaxLine] bytes. What is not a message of the protocol is counted and
// skipped, never fatal.
//
// What a listener hears is up while the port is open. Nothing on the line tells a board that is silent from one that is
// gone, so silence is not this driver's to judge: it announces Info.Silence and leaves the rest to who keeps the time. A
// port that is not there, or goes, takes all of its devices down with the reason and is tried again, at first after a
// quarter of a second and then less and less often, at least every ten seconds.
//
// A slave of a Modbus line is up while it answers. One that does not is asked less and less often, so that it does not hold up
// the others. Commands go before polls, and are read back.
//
// Run owns one goroutine, which reads; commands are written by the goroutine that calls Do, one at a time. On a Modbus line the
// goroutine of Run does both, and Do waits for it.
package serial
