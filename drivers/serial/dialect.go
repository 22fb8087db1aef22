package serial

import (
	"context"

	"tidings/devices"
	"tidings/drivers/serial/port"
)

// A dialect is what is spoken on one port, with the devices that speak it. The driver opens the port, says why when it
// is not there, and tries again; all else is the dialect's. Most only listen: see [listener].
type dialect interface {
	// infos are the devices as they are announced before anything was heard. They do not change; a command may set
	// what is writable in them.
	infos() []devices.Info
	// begin makes the conversation for a port that was just opened. There is one at a time.
	begin(p port.Port, out devices.Sink) conversation
}

// A conversation is one session of a dialect with an open port.
type conversation interface {
	// run goes on until the port fails, which is the error, or ctx is done; then it leaves every output in its safe
	// state, promptly, while the port is still open. It says by Link which devices are up. Once it has returned the
	// driver closes the port and, where that failed, says that no device is up.
	run(ctx context.Context) error
	// do is that of devices.Actuator, for a point that is writable. It is called while run runs, and may be after.
	do(ctx context.Context, cmd devices.Command) (devices.Result, error)
}

// dialects are the builders of what is spoken, by their word in the configuration. A builder records mistakes in the
// tables of the connection, and reports whether there were none.
var dialects = map[string]func(c devices.Connection) (dialect, bool){
	"csv":        listening(newCSV),
	"json":       listening(only(jsonLines{})),
	"keyvalue":   listening(only(keyValue{})),
	"modbus":     polling(false),
	"modbus-tcp": polling(true),
	"p1":         listening(only(telegrams{})),
	"regexp":     listening(newPattern),
	"sds011":     listening(only(sds011)),
}
