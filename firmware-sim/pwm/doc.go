// Package pwm simulates a PWM chip as the kernel shows it below /sys/class/pwm: files that are read and written, with what the
// kernel refuses (Documentation/driver-api/pwm.rst, drivers/pwm/sysfs.c).
//
//	chip := pwm.NewChip("pwmchip0", 2)
//	err := chip.Write("pwmchip0/export", "0")
//	err = chip.Write("pwmchip0/pwm0/period", "1000000")
//	percent := chip.Duty(0)
//
// A Chip is safe for concurrent use and starts no goroutine.
package pwm
