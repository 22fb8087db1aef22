// Package gpio simulates a GPIO chip and what is wired to it: a [Contact] that opens and closes, with bounce when
// asked for, and a [Relay] whose coil can be looked at. Its lines are periph's gpio.PinIO, as a real chip's are, and
// behave as the kernel's character device does where a program can tell: a line is held by whoever configured it
// first, edges are kept until they are waited for, a released output keeps its level, and a chip that is unplugged
// answers ENODEV until it is opened again.
//
// The package imports periph's interfaces and nothing of the gateway, so that a mistake in the driver cannot hide
// behind the same mistake here. [Chip.SetFault] breaks things at run time: a relay that sticks, a line somebody else
// holds, a chip without interrupts, one that may not be opened, one that is pulled out.
//
//	chip := gpio.NewChip("house", "GPIO17", "GPIO27")
//	door := chip.Contact("GPIO17")
//	go door.Run(ctx, 20*time.Second, 5*time.Second) // closed for 20 s, then open for 5 s, again and again
//	handle, err := chip.Open()                      // what a driver does
//	pin, err := handle.Pin("GPIO27")
//	err = pin.Out(gpio.High)
//	fmt.Println(chip.Relay("GPIO27").On()) // true
//
// The package starts no goroutine; Contact.Run runs in the caller's. Everything is safe for concurrent use.
package gpio
