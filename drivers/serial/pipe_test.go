package serial

import (
	"bufio"
	"context"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial/port"
)

// bench is the place of a port that a test plays the board for. The port is there while err is nil.
type bench struct {
	mu     sync.Mutex
	err    error
	opens  []time.Time
	boards chan net.Conn // the board's end of every port opened
}

func newBench() *bench { return &bench{boards: make(chan net.Conn, 64)} }

func (b *bench) open(context.Context, string, port.Mode) (port.Port, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens = append(b.opens, time.Now())
	if b.err != nil {
		return nil, b.err
	}
	gateway, board := net.Pipe()
	b.boards <- board
	return gateway, nil
}

// fail makes opening fail with err from now on; nil makes it work.
func (b *bench) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// opened is when opening was tried.
func (b *bench) opened() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.opens)
}

func missing(port string) error {
	return &fs.PathError{Op: "open", Path: port, Err: fs.ErrNotExist}
}

func say(t *testing.T, board net.Conn, text string) {
	t.Helper()
	if _, err := board.Write([]byte(text)); err != nil {
		t.Fatalf("the board cannot write: %v", err)
	}
}

func hear(t *testing.T, board *bufio.Reader) string {
	t.Helper()
	line, err := board.ReadString('\n')
	if err != nil {
		t.Fatalf("the board cannot read: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func built(t testing.TB, toml string) *listener {
	t.Helper()
	return drivertest.Build(t, Type(nil), toml).(*driver).dialect.(*listener)
}

func value(v devices.Value) func(devices.Reading) bool {
	return func(r devices.Reading) bool { return r.Quality == devices.Good && r.Value == v }
}
