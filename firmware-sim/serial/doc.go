// Package serial is simulated firmware on a pseudo-terminal, or behind a serial server on TCP: boards that print a line a
// second and take lines back, meters and sensors, with the faults of real ones to switch on while they run.
//
//	node, err := serial.New(serial.Options{Link: "/tmp/greenhouse"})
//	if err != nil {
//		return err
//	}
//	go node.Run(ctx)          // whoever starts it waits for it
//	open(node.Path())         // like a port under /dev/serial/by-id
//	node.SetFault(serial.Unplug, true)
//
// A [Greenhouse] prints {"t":214,"h":48,"pump":false,"set":21.0}, the temperature in tenths of a degree along a curve
// that crosses 35 °C once in Options.Period, and obeys {"pump":true} and {"set":22.5}. A [Bed] prints
// t=21.4 h=48 valve=off and obeys valve=on. A [Logger] prints 17,21.4,48, and every ten rows the names of its columns.
// A [Station] prints "Temp: 21.4 C, hum 48%" and "Pump OFF", and obeys "pump on". A [Meter] sends telegrams as the P1
// Companion Standard 5.0.2 of the Dutch grid operators has them, an [OldMeter] those of DSMR 2.2, [Dust] the frames of an
// SDS011.
//
// Nothing of the gateway is imported here, so that a mistake in a codec of its cannot be made twice.
package serial
