package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	periph "periph.io/x/conn/v3/gpio"

	"tidings/firmware-sim/gpio"
)

// The switches of what is wired to the chip: what it does, and what is wrong with it.
const (
	openDoor   = "open"   // the contact is open
	bounceDoor = "bounce" // it bounces when it moves
	powerRelay = "power"  // the line is driven
	stuckRelay = "stuck"  // the coil stays as it is
)

// gpioCommands run what is wired to a simulated chip and print its level: no other process can open a chip that the
// kernel does not know, so these are for looking at what the packages do.
func gpioCommands(in io.Reader) *cobra.Command {
	chip := group("gpio", "What is wired to a GPIO chip (within this process)")
	chip.AddCommand(
		gpioCommand(in, "door", "A door contact against ground: high when open", []string{openDoor, bounceDoor}, newDoor),
		gpioCommand(in, "relay", "A relay: its coil is drawn while the line is high", []string{powerRelay, stuckRelay}, newRelay),
	)
	return chip
}

// wired is one thing on line GPIO17 of a chip of its own.
type wired struct {
	chip *gpio.Chip
	set  func(name string, on bool) error
	free func() error
}

const wiredLine = "GPIO17"

func newDoor() (*wired, error) {
	chip := gpio.NewChip("firmware-sim", wiredLine)
	contact := chip.Contact(wiredLine)
	contact.Close()
	return &wired{chip: chip, free: func() error { return nil }, set: func(name string, on bool) error {
		switch {
		case name == bounceDoor && on:
			contact.SetBounce(3, 5*time.Millisecond)
		case name == bounceDoor:
			contact.SetBounce(0, 0)
		case on:
			contact.Open()
		default:
			contact.Close()
		}
		return nil
	}}, nil
}

func newRelay() (*wired, error) {
	chip := gpio.NewChip("firmware-sim", wiredLine)
	handle, err := chip.Open()
	if err != nil {
		return nil, err
	}
	pin, err := handle.Pin(wiredLine)
	if err == nil {
		err = pin.Out(periph.Low)
	}
	if err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	return &wired{chip: chip, free: handle.Close, set: func(name string, on bool) error {
		if name == stuckRelay {
			chip.SetFault(wiredLine, gpio.Stuck, on)
			return nil
		}
		return pin.Out(periph.Level(on))
	}}, nil
}

func gpioCommand(in io.Reader, name, short string, switches []string, build func() (*wired, error)) *cobra.Command {
	var faults []string
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := build()
			if err != nil {
				return err
			}
			out := &lockedWriter{out: cmd.OutOrStdout()}
			cmd.SetOut(out)
			return run(cmd, in, w.chip.Label()+" "+wiredLine, func(ctx context.Context) error {
				return errors.Join(printLevels(ctx, out, w.chip), w.free())
			}, switchboard(switches, w.set), faults)
		},
	}
	faultFlag(cmd, &faults, switches)
	return cmd
}

// printLevels prints the line's level whenever it changes.
func printLevels(ctx context.Context, out io.Writer, chip *gpio.Chip) error {
	line := chip.Relay(wiredLine) // whatever is wired there: it waits for levels
	for level := line.On(); ; level = !level {
		fmt.Fprintln(out, "level "+periph.Level(level).String())
		if line.Wait(ctx, !level) != nil {
			return nil // ctx is done
		}
	}
}

// A lockedWriter is shared by who answers and by who prints levels.
type lockedWriter struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}
