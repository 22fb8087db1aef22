// Package pwm drives the PWM outputs that the machine has in hardware, through the kernel's files below /sys/class/pwm: dimmed
// light, fans, servos. An output is a number from 0 to 100 %.
//
// One Run is one goroutine that owns the chip; commands are handed to it and happen one after the other. An output is set up
// with its period and its initial value before it is switched on, read back after every write, and looked at every few seconds:
// a chip that is gone is noticed, and so is somebody else who writes. When Run ends, outputs go to their safe value where one is
// configured. The kernel keeps them exported and running: what it does with an output that is let go of differs from chip to
// chip.
//
//	typ := pwm.Type(func(root string) pwm.Files { return chips }) // nil: the files of the machine
//	driver := typ.Build(connection)
//	err := driver.Run(ctx, sink)
package pwm
