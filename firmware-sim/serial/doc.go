// Package serial is simulated firmware on a pseudo-terminal: boards that print a line a second and take lines back,
// with the faults of real ones to switch on while they run.
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
// t=21.4 h=48 valve=off and obeys valve=on.
//
// Nothing of the gateway is imported here, so that a mistake in a codec of its cannot be made twice.
package serial
