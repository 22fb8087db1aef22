package port_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tidings/drivers/serial/port"
	sim "tidings/firmware-sim/serial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]port.Mode{
		"8N1": {DataBits: 8, Parity: 'N', StopBits: 1}, "7E1": {DataBits: 7, Parity: 'E', StopBits: 1}, "5O2": {DataBits: 5, Parity: 'O', StopBits: 2},
	} {
		if got, err := port.ParseMode(text); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8N", "9N1", "8N3", "8n1", "8N11"} {
		if got, err := port.ParseMode(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	mode := port.Mode{Baud: 115200, DataBits: 8, Parity: 'N', StopBits: 1}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, "/dev/null"} {
		if _, err := port.Open(t.Context(), path, mode); err == nil || !strings.HasPrefix(err.Error(), "not a serial port") {
			t.Errorf("%s: %v", path, err)
		}
	}
	b, err := sim.New(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.SetFault(sim.Unplug, true) })
	for _, dtr := range []bool{true, false} { // a pseudo-terminal has no DTR
		mode.DTR = &dtr
		for _, m := range []port.Mode{mode, {Baud: 31250, DataBits: 7, Parity: 'E', StopBits: 2, DTR: &dtr}} {
			p, err := port.Open(t.Context(), b.Path(), m)
			if err != nil {
				t.Errorf("%+v: %v", m, err)
				continue
			}
			read := make(chan error, 1)
			go func() {
				var err error
				for err == nil {
					_, err = p.Read(make([]byte, 100))
				}
				read <- err
			}()
			if err := p.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if err := <-read; !errors.Is(err, os.ErrClosed) {
				t.Errorf("read after close: %v", err)
			}
		}
	}
}
