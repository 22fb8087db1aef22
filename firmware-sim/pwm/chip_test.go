package pwm

import (
	"errors"
	"syscall"
	"testing"
)

// What the kernel refuses, in the order a program would run into it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := NewChip("pwmchip0", 2)
	for _, step := range []struct {
		file, value string
		want        error
	}{
		{"pwmchip1/export", "0", syscall.ENOENT},
		{"pwmchip0/pwm0/period", "1000", syscall.ENOENT},
		{"pwmchip0/export", "2", syscall.ENODEV},
		{"pwmchip0/export", "0", nil},
		{"pwmchip0/export", "0", syscall.EBUSY},
		{"pwmchip0/pwm0/enable", "1", syscall.EINVAL}, // without a period
		{"pwmchip0/pwm0/duty_cycle", "1", syscall.EINVAL},
		{"pwmchip0/pwm0/period", "1000", nil},
		{"pwmchip0/pwm0/duty_cycle", "1001", syscall.EINVAL},
		{"pwmchip0/pwm0/duty_cycle", "250", nil},
		{"pwmchip0/pwm0/period", "200", syscall.EINVAL},
		{"pwmchip0/pwm0/enable", "1", nil},
		{"pwmchip0/pwm0/polarity", "inversed", syscall.EBUSY},
	} {
		if err := c.Write(step.file, step.value); !errors.Is(err, step.want) {
			t.Errorf("%s to %s: %v, want %v", step.value, step.file, err, step.want)
		}
	}
	if c.Duty(0) != 25 || c.Duty(1) != 0 {
		t.Errorf("%v and %v %%", c.Duty(0), c.Duty(1))
	}
}
