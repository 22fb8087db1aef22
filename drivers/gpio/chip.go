package gpio

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// A Chip is a GPIO chip that has been opened. Its methods and those of its pins are called from one goroutine at a
// time, except WaitForEdge and LastEdge and EdgeNumber, which have one of their own a pin.
type Chip interface {
	// Pin returns a line by its name or by its number on the chip. In and Out take hold of it; Halt lets go and ends
	// a WaitForEdge that is under way. A pin may also be a [Debouncer], an [EdgeReader], an [EdgeCounter] or a
	// [LevelReader].
	Pin(line string) (gpio.PinIO, error)
	// Check reports why the chip cannot be used any more, or nil.
	Check() error
	// Close lets go of all lines and of the chip.
	Close() error
}

// An Opener opens a chip by what the configuration calls it: a name, a label or a path. Errors that wrap
// fs.ErrNotExist, fs.ErrPermission or syscall.EBUSY are told with what can be done about them.
type Opener func(chip string) (Chip, error)

// A Debouncer is a pin that can keep changes shorter than a time to itself. Debounce is called before In; 0 switches
// it off again. With an error the driver debounces.
type Debouncer interface {
	Debounce(d time.Duration) error
}

// An EdgeReader is a pin that knows more of the edge WaitForEdge last returned for: the level the line then took and
// when. Of other pins the level is read, and the time is that of reading it.
type EdgeReader interface {
	LastEdge() (gpio.Level, time.Time)
}

// An EdgeCounter is a pin that numbers the edges it was asked for, from 1 when In is called, so that those are counted, too,
// that came faster than they were waited for. Of other pins, what WaitForEdge does not tell of is not counted.
type EdgeCounter interface {
	EdgeNumber() uint32 // of the edge WaitForEdge last returned for; 0: not known
}

// A LevelReader is a pin that can say that it could not be read.
type LevelReader interface {
	Level() (gpio.Level, error)
}

// readLevel reads a pin the best way it has.
func readLevel(p gpio.PinIO) (gpio.Level, error) {
	if r, ok := p.(LevelReader); ok {
		return r.Level()
	}
	return p.Read(), nil
}

// wayOut is what a person can do about an error of a chip, beginning with ": ", or "".
func wayOut(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return ": add the user to group gpio"
	case errors.Is(err, syscall.EBUSY):
		return ": stop the program that holds it, or take another line"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENODEV):
		return ": plug it in, or correct chip"
	}
	return ""
}
