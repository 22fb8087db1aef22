package mqtt

import (
	"errors"
	"fmt"
	"runtime/debug"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// What conventions do with what strangers say runs under these, so that a mistake in one of them, or in a template that a
// device brought along, is a fault of a point and not the end of the driver.

// read makes a value of a message.
func read(point *point, s *discovery.Source, m *discovery.Message) (v devices.Value, err error) {
	defer failed(&err, "reading it")
	if v, err = s.Read(m); err == nil {
		v, err = valueOf(v)
	}
	if err == nil && !v.IsZero() && v.Kind() != valueKinds[point.Kind] {
		return devices.Value{}, fmt.Errorf("%q came, and the point is a %s", v.String(), point.Kind)
	}
	if err != nil {
		v = devices.Value{}
		if text := err.Error(); len(text) > maxReason && !errors.Is(err, discovery.ErrAbsent) {
			err = errors.New(clean(text)) // it quotes what a stranger said
		}
	}
	return v, err
}

// maxReason bounds what is said of a reading that is none, in bytes.
const maxReason = 400

// valueKinds are what points of a kind have as a value.
var valueKinds = map[devices.PointKind]devices.ValueKind{
	devices.KindNumber: devices.NumberKind, devices.KindSwitch: devices.BoolKind, devices.KindText: devices.TextKind,
	devices.KindChoice: devices.TextKind, devices.KindImage: devices.ImageKind, devices.KindColor: devices.ColorKind,
	devices.KindTime: devices.TimeKind, devices.KindEvent: devices.TextKind,
}

// write makes the messages of a command.
func (d *driver) write(p *point, v devices.Value) (messages []discovery.Message, err error) {
	defer failed(&err, "making the command")
	messages, err = p.write(v)
	if p.device.info.Match == "" {
		return messages, err // its topics are a table's
	}
	for i := 0; err == nil && i < len(messages); i++ {
		err = d.mayPublish(&messages[i])
	}
	return messages, err
}

func readAvailability(read func(*discovery.Message) (bool, error), m *discovery.Message) (up bool, err error) {
	defer failed(&err, "reading it")
	return read(m)
}

// failed makes an error of a panic.
func failed(err *error, doing string) {
	if r := recover(); r != nil {
		*err = &panicError{doing: doing, value: r, stack: debug.Stack()}
	}
}

// A panicError is a mistake in the gateway.
type panicError struct {
	doing string
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("%s failed, by a mistake in the gateway: %v", e.doing, e.value)
}
