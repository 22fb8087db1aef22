// Package modbus is simulated firmware on a Modbus line: several slaves with their registers and coils, on a
// pseudo-terminal or behind a TCP port, with the faults of real ones to switch on while they run.
//
//	bus, err := modbus.New(modbus.Options{Link: "/tmp/meters"})
//	if err != nil {
//		return err
//	}
//	meter := bus.Slave(1)
//	meter.Set(modbus.Input, 12, 0x43F0, 0) // 480 W as a float
//	go bus.Run(ctx)                        // whoever starts it waits for it
//	open(bus.Path())
//	meter.SetFault(modbus.Late, true)
//
// A slave answers functions 1 to 6, 15 and 16 as the MODBUS Application Protocol Specification V1.1b3 has it: what was never
// set does not exist, and asking for it is an illegal data address. [Meter], [Relays], [Commanded] and [Climate] fill slaves as
// devices that are sold. Frames are those of MODBUS over Serial Line V1.02; over TCP they are, as Options say, the same
// bytes as a serial server passes them on, or those of Modbus TCP.
//
// Nothing of the gateway is imported here, so that a mistake in a frame of its cannot be made twice: the checksum is worked
// out bit by bit.
package modbus
