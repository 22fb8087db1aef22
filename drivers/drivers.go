package drivers

import (
	"tidings/devices"
	"tidings/drivers/chips"
	"tidings/drivers/gpio"
	"tidings/drivers/mqtt"
	"tidings/drivers/onewire"
	"tidings/drivers/pwm"
	"tidings/drivers/serial"
	"tidings/drivers/serial/port"
)

// Backends are the drivers' ways to the outside. The zero value is the real ones.
type Backends struct {
	Serial  port.Opener     // nil: the ports of the machine
	GPIO    gpio.Opener     // nil: the kernel's character devices
	I2C     chips.I2COpener // nil: the kernel's buses
	SPI     chips.SPIOpener // nil: the kernel's buses
	OneWire onewire.Opener  // nil: the kernel's files
	PWM     pwm.Opener      // nil: the kernel's files
	MQTT    mqtt.Options    // with the way to the broker inside, where there is one
}

// Types are the drivers there are, by name.
func Types(b Backends) []devices.Type {
	return []devices.Type{
		gpio.Type(b.GPIO),
		chips.I2C(b.I2C),
		mqtt.Type(b.MQTT),
		onewire.Type(b.OneWire),
		pwm.Type(b.PWM),
		serial.Type(b.Serial),
		chips.SPI(b.SPI),
	}
}
