//go:build servers

package serial_test

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial"
	wire "tidings/firmware-sim/serial"
)

// cable joins two pseudo-terminals, as two adapters on one line, and returns their paths.
func cable(t *testing.T) (a, b string) {
	t.Helper()
	dir := t.TempDir()
	links := [2]string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	var ends [2]*wire.Terminal
	for i, link := range links {
		end, err := wire.OpenTerminal(link)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = end
	}
	var pumps sync.WaitGroup
	for i := range ends {
		pumps.Go(func() {
			buf := make([]byte, 512)
			for {
				n, err := ends[i].Read(buf)
				if err != nil {
					return
				}
				if _, err := ends[1-i].Write(buf[:n]); err != nil {
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		for i, end := range ends {
			end.Close(links[i])
		}
		pumps.Wait()
	})
	return links[0], links[1]
}

// TestPymodbus runs the driver on a line with slaves that no one here wrote.
func TestPymodbus(t *testing.T) {
	t.Parallel()
	ours, theirs := cable(t)
	python := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/slaves.py", "serial", theirs)
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
	if !bufio.NewScanner(said).Scan() {
		t.Fatal("pymodbus says nothing: are python3-pymodbus and python3-serial-asyncio installed?")
	}
	d := drivertest.Build(t, serial.Type(nil), fmt.Sprintf(`
[drivers.line]
port     = %q
baud     = 9600
protocol = "modbus"
poll     = "200ms"
timeout  = "2s"
[devices.one]
slave = 1
[devices.one.points.first]
source = "holding:0"
[devices.one.points.second]
source = "holding:1"
[devices.one.points.wide]
source = "input:10"
type   = "uint32"
[devices.one.points.odd]
source = "discrete:3"
[devices.one.points.relay]
source = "coil:4"
write  = "coil:4"
[devices.one.points.missing]
source = "holding:200"
[devices.two]
slave = 2
[devices.two.points.target]
source = "holding:8"
write  = "holding:8"
type   = "float32"
[devices.two.points.flag]
source = "holding:20"
write  = "holding:20"
type   = "bit:2"
[devices.gone]
slave = 3
[devices.gone.points.x]
source = "holding:0"
`, ours))
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	defer stop()
	sink.WaitValue(t, "one", "first", devices.Number(1000))
	sink.WaitValue(t, "one", "second", devices.Number(1001))
	sink.WaitValue(t, "one", "wide", devices.Number(1010<<16+1011))
	sink.WaitValue(t, "one", "odd", devices.Bool(true))
	sink.WaitReading(t, "one", "missing", func(r devices.Reading) bool { return r.Quality == devices.Faulty })
	sink.WaitReading(t, "two", "target", nil)
	for _, c := range []devices.Command{
		{Device: "one", Point: "relay", Value: devices.Bool(true)},
		{Device: "one", Point: "relay", Value: devices.Bool(false)},
		{Device: "two", Point: "target", Value: devices.Number(21.5)},
		{Device: "two", Point: "flag", Value: devices.Bool(false)},
		{Device: "two", Point: "flag", Value: devices.Bool(true)},
	} {
		mark := sink.Mark()
		res, err := d.(devices.Actuator).Do(t.Context(), c)
		if err != nil {
			t.Fatalf("%s %s: %v", c.Device, c.Point, err)
		}
		r := sink.WaitReadingAfter(t, mark, c.Device, c.Point, func(r devices.Reading) bool { return !r.At.Before(res.Written) })
		if r.Value != c.Value {
			t.Errorf("%s %s = %q reads back as %q", c.Device, c.Point, c.Value, r.Value)
		}
	}
	sink.WaitLink(t, "gone", false)
	stop()
	if broken := sink.Violations(); len(broken) > 0 {
		t.Error(broken)
	}
}
