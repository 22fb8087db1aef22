package devices

import "context"

// Via says which way a request came.
type Via string

// The ways in.
const (
	ViaCommand Via = "command" // ad-hoc command
	ViaChat    Via = "chat"
	ViaIoT     Via = "iot"     // an IoT IQ, which a program sends
	ViaControl Via = "control" // the control socket
)

// A Principal is who asks: a normalised bare JID, or "control" for the local control socket, which file permissions
// guard.
type Principal string

// Control is the principal of the control socket: it may do everything.
const Control Principal = "control"

// A Request asks for one point to be set, in the terms people use: the value is mapped, with its unit and scale.
type Request struct {
	By     Principal
	Via    Via
	Device ID
	Point  string
	Value  Value // ignored for an action
	// Confirmed: the person has answered "Really?" with yes. Programs are not asked: what they may not do is forbidden.
	Confirmed bool
}

// An Outcome says what a device did.
type Outcome struct {
	// Confirmed: a reading taken after the write equals what was asked. Otherwise the write went out and the device
	// cannot confirm.
	Confirmed bool
	Value     Value // the value asked for, as it was sent after rounding to the point's step
	// Reading is what the device answered where it confirmed: of what takes its time another state than Value, that it is on its
	// way there.
	Reading Value
}

// An Executor carries out requests: the one place where access, danger, range and rate are checked, whichever way a
// request comes.
type Executor interface {
	// Execute returns when the device has confirmed, or has been written to and cannot confirm, or with the reason
	// why not: ErrUnknownDevice (also for what the role hides), ErrUnknownPoint, ErrForbidden, ErrNotWritable,
	// ErrValue, ErrRange, ErrUnconfirmed, ErrDown and ErrBusy before the device was asked; ErrNoConfirm, ErrTimeout
	// or the driver's own error after, in an [AskedError].
	Execute(ctx context.Context, r Request) (Outcome, error)
	// Check returns the error that Execute would refuse a request with at this moment, before the device was asked; nil
	// when it would be carried out. It does not wait.
	Check(r Request) error
}

// An AskedError wraps what went wrong after the device was asked, or may have been: it may have done what was asked, or do it
// yet. Drivers return it from Do, and an Executor from Execute.
type AskedError struct{ Err error }

func (e *AskedError) Error() string { return e.Err.Error() }
func (e *AskedError) Unwrap() error { return e.Err }
