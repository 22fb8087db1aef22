package gpio_test

import (
	"fmt"

	"periph.io/x/conn/v3/gpio"

	sim "tidings/firmware-sim/gpio"
)

func Example() {
	chip := sim.NewChip("house", "GPIO17", "GPIO27")
	handle, err := chip.Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	pin, err := handle.Pin("GPIO27")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pin.Out(gpio.High), chip.Relay("GPIO27").On())
	chip.SetFault("GPIO27", sim.Stuck, true)
	fmt.Println(pin.Out(gpio.Low), chip.Relay("GPIO27").On())
	// Output:
	// <nil> true
	// <nil> true
}
