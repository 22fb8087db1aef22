package serial

import (
	"context"
	"errors"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial/port"
)

// broken is a port on which reading panics.
type broken struct{ port.Port }

func (broken) Read([]byte) (int, error) { panic("test") }

// What a board says does not end the gateway: the port is taken for gone, and opened again.
func TestPanicWhileReading(t *testing.T) {
	t.Parallel()
	b := newBench()
	d := drivertest.Build(t, Type(func(ctx context.Context, name string, mode port.Mode) (port.Port, error) {
		p, err := b.open(ctx, name, mode)
		if len(b.opened()) == 1 {
			return broken{p}, err
		}
		return p, err
	}), nodeConfig).(*driver)
	sink := &drivertest.Sink{}
	defer drivertest.Start(t, d, sink)()
	sink.WaitHealth(t, func(err error) bool { return errors.Is(err, errReader) })
	<-b.boards
	board := <-b.boards
	defer drain(board)
	say(t, board, "{\"t\":21.5}\n")
	sink.WaitValue(t, "node", "t", devices.Number(21.5))
}
