package gpio

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	sim "tidings/firmware-sim/gpio"
)

// errNoDevice is what a chip answers that was unplugged.
const errNoDevice = syscall.ENODEV

func TestManyCommandsWhileTheChipComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(`source = "A"; direction = "out"; safe = false`))
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				for i := range 200 {
					_, err := b.do("p", devices.Bool((i+n)%2 == 0))
					if err != nil && !errors.Is(err, devices.ErrDown) && !errors.Is(err, errNoDevice) {
						t.Errorf("do: %v", err)
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			chip.SetFault("", sim.Gone, true)
			time.Sleep(300 * time.Millisecond)
			chip.SetFault("", sim.Gone, false)
		}
		b.stop()
		if chip.Relay("A").On() {
			t.Error("stopped, and the line is not safe")
		}
		wg.Wait() // commands to a driver that has stopped are refused, not held
	})
}

func TestCommandDoesNotOutliveItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		b := runOn(t, nil, func(string) (Chip, error) {
			<-held
			return nil, errNoDevice
		}, point(`source = "A"; direction = "out"`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.driver.Do(ctx, devices.Command{Device: "it", Point: "p", Value: devices.Bool(true)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("do while the chip hangs: %v", err)
		}
		close(held)
	})
}
