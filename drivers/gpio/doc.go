// Package gpio drives the lines of a GPIO chip: inputs with pull, active-low and debounce, counters of pulses, outputs with
// an initial and a safe state, and with pulses. The lines are periph's gpio.PinIO behind the small interface [Chip]; the kernel's
// character device stands behind it in a gateway, a simulated chip in the demo and in tests.
//
// One Run is one goroutine, the loop, that owns every line's state; each input that can interrupt has one more that
// only waits for its edges. Both end before Run returns. [Opener] is called in the loop. Do hands its command to the
// loop and waits for the answer, so that commands, edges and pulses of a chip happen one after the other and there is
// no queue: whoever finds the loop busy waits, as long as its context lets it.
//
// Pulses are counted by the edge the pin was asked for, by their numbers where it numbers them; where the gateway has to
// debounce or to look, by the levels that have settled. A total begins with what [devices.Memory] recalls and is kept with
// every reading, of which there is one a second at most.
//
// What an output does over time: it is set to `initial` whenever the chip is opened, which is also after it was
// unplugged; it is set to `safe`, where that is configured, when the gateway stops or lets go of the line for
// another reason. Without `safe` it is let go of as it is. Either way the kernel then holds nothing: most chips keep
// the level until somebody takes the line again, but none has to, and after a crash nobody has set anything. What must
// not stay on needs a pull resistor or a relay that says so in hardware.
//
//	typ := gpio.Type(func(string) (gpio.Chip, error) { return chip.Open() }) // nil: the kernel's chips
//	driver := typ.Build(connection)
//	err := driver.Run(ctx, sink)
package gpio
