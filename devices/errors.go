package devices

import "errors"

// What can be wrong with a command or a device, for errors.Is. Each is wrapped with the thing it is about.
var (
	ErrUnknownDevice = errors.New("no such device")
	ErrUnknownPoint  = errors.New("no such point")
	ErrNotWritable   = errors.New("read only")
	ErrForbidden     = errors.New("not allowed")
	ErrDown          = errors.New("offline")
	ErrRange         = errors.New("out of range")
	ErrValue         = errors.New("not a value for it")
	ErrUnconfirmed   = errors.New("needs to be confirmed: it is marked as dangerous")
	ErrBusy          = errors.New("too many commands at once: try again in a moment")
	ErrTimeout       = errors.New("no answer in time")
	ErrNoConfirm     = errors.New("the device did not confirm")
	ErrStopping      = errors.New("the gateway is stopping")
)

// A PermanentError ends a driver for good: no retry can mend it.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }
