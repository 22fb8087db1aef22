package modbus

import (
	"errors"
	"fmt"
)

// What a line can do to a request.
var (
	// ErrNoAnswer: nothing came that was meant for us.
	ErrNoAnswer = errors.New("no answer")
	// ErrDamaged: something came, but no whole answer with a good checksum.
	ErrDamaged = errors.New("a damaged answer")
	// ErrBusyLine: the line is never quiet, so that nothing can be asked.
	ErrBusyLine = errors.New("the line is never quiet: is there another master on it, or is baud wrong?")
)

// An Exception is a slave's answer that it cannot or will not.
type Exception byte

// The exceptions of the specification, section 7.
const (
	IllegalFunction Exception = 1
	IllegalAddress  Exception = 2
	IllegalValue    Exception = 3
	DeviceFailure   Exception = 4
	Acknowledge     Exception = 5
	DeviceBusy      Exception = 6
	ParityError     Exception = 8
	NoGatewayPath   Exception = 10
	NoGatewayAnswer Exception = 11
)

var exceptions = map[Exception]string{
	IllegalFunction: "illegal function: it does not know this kind of request",
	IllegalAddress:  "illegal data address: it has no such register or coil",
	IllegalValue:    "illegal data value: it does not take this value, or not so many registers at once",
	DeviceFailure:   "device failure: it could not do what was asked",
	Acknowledge:     "acknowledge: it has begun and takes longer",
	DeviceBusy:      "device busy: it is doing something else",
	ParityError:     "memory parity error: it cannot read its own memory",
	NoGatewayPath:   "gateway path unavailable: the Modbus gateway does not know where the slave is",
	NoGatewayAnswer: "no answer behind the gateway: the Modbus gateway cannot reach the slave",
}

func (e Exception) Error() string {
	if text := exceptions[e]; text != "" {
		return text
	}
	return fmt.Sprintf("exception %d, which no specification names", byte(e))
}

// Refuses reports whether the slave says that it does not have what was asked for, or not so much of it.
func (e Exception) Refuses() bool {
	return e == IllegalAddress || e == IllegalValue || e == IllegalFunction
}

// Unreachable reports whether it is from a gateway on the way, which had no answer from the slave.
func (e Exception) Unreachable() bool { return e == NoGatewayPath || e == NoGatewayAnswer }
