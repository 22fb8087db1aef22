package mqtt_test

import (
	"log/slog"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testLog(t testing.TB) *slog.Logger {
	if _, ok := t.(*testing.B); ok { // the log of a benchmark is shown even when it passes
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// own is an address of this machine for this process alone: who connects to some server does so from 127.0.0.1, and the ports of that
// are taken and given back all the time.
var own = net.IPv4(127, byte(os.Getpid()>>8), byte(os.Getpid()), 1)

// freeAddr is an address where nothing listens.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(own.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
