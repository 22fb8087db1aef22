//go:build servers

package modbus

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

// TestPymodbus holds the master against slaves that no one here wrote: the frames of a line over a TCP connection, and those of
// Modbus TCP.
func TestPymodbus(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"rtu-over-tcp", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			python := exec.CommandContext(t.Context(), "/usr/bin/python3", "../testdata/slaves.py", kind)
			said, err := python.StdoutPipe()
			if err == nil {
				err = python.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = python.Process.Kill()
				_ = python.Wait()
			})
			lines := bufio.NewScanner(said)
			if !lines.Scan() {
				t.Fatal("pymodbus says nothing: is python3-pymodbus installed?")
			}
			conn, err := net.Dial("tcp", lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			m := NewMaster(conn, Line{Baud: 115200, Timeout: 10 * time.Second, TCP: kind == "tcp"})
			asks(t, m)
			impatient := NewMaster(conn, Line{Timeout: 100 * time.Millisecond, TCP: kind == "tcp"})
			if _, err := impatient.Exchange(t.Context(), Read(9, Holding, 0, 1)); !errors.Is(err, ErrNoAnswer) {
				t.Errorf("a slave that is not there: %v", err)
			}
		})
	}
}

// asks goes through every function.
func asks(t *testing.T, m *Master) {
	t.Helper()
	for _, c := range []struct {
		ask  Request
		want string
	}{
		{Read(1, Holding, 5, 1), "03ed"},
		{Read(2, Input, 7, 2), "07d707d8"},
		{Read(1, Input, 0, 125), ""},
		{Read(1, Discrete, 0, 10), "aa02"},
		{SetCoil(1, 3, true, false), ""},
		{SetCoil(1, 9, true, true), ""},
		{Request{Slave: 1, Function: WriteCoils, Address: 16, Count: 10, Data: []byte{0xCD, 0x01}}, ""},
		{Read(1, Coil, 0, 28), "0802cd01"},
		{SetCoil(1, 3, false, false), ""},
		{Read(1, Coil, 3, 1), "00"},
		{SetRegisters(2, 40, []byte{0x12, 0x34}, false), ""},
		{SetRegisters(2, 41, []byte{0x56, 0x78}, true), ""},
		{SetRegisters(2, 42, []byte{0x9A, 0xBC, 0xDE, 0xF0}, false), ""},
		{Read(2, Holding, 40, 4), "123456789abcdef0"},
		{Read(1, Holding, 40, 1), "0410"},
	} {
		answer, err := m.Exchange(t.Context(), c.ask)
		if err != nil {
			t.Fatalf("%s: %v", c.ask, err)
		}
		if got := fmt.Sprintf("%x", answer.Data); c.want != "" && got != c.want {
			t.Errorf("%s: %s, want %s", c.ask, got, c.want)
		}
		if len(answer.Data) != c.ask.dataLength() {
			t.Errorf("%s: %d bytes", c.ask, len(answer.Data))
		}
	}
	if _, err := m.Exchange(t.Context(), Read(1, Holding, 199, 2)); !errors.Is(err, IllegalAddress) {
		t.Errorf("beyond the last register: %v", err)
	}
}
