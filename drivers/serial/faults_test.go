package serial_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial"
	sim "tidings/firmware-sim/serial"
)

// house starts a greenhouse with its driver, up and heard.
func house(t *testing.T) (board, devices.Actuator, *drivertest.Sink) {
	t.Helper()
	b := newBoard(t, sim.Options{})
	d, sink := drivertest.Build(t, serial.Type(nil), greenhouseConfig(b.Path())), &drivertest.Sink{}
	drivertest.Start(t, d, sink)
	sink.WaitReading(t, "greenhouse", "temperature", nil)
	return b, d.(devices.Actuator), sink
}

var pumpOn = devices.Command{Device: "greenhouse", Point: "pump", Value: devices.Bool(true)}

func TestGreenhouse(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	at := sink.Mark()
	if _, err := d.Do(t.Context(), devices.Command{Device: "greenhouse", Point: "target", Value: devices.Number(22.5)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	sink.WaitReadingAfter(t, at, "greenhouse", "target", is(devices.Number(22.5)))
	sink.WaitReadingAfter(t, at, "greenhouse", "pump", is(devices.Bool(true)))
	if s := b.State(); !s.Relay || s.Target != 22.5 {
		t.Errorf("the board has %+v", s)
	}
	r := sink.WaitReading(t, "greenhouse", "temperature", nil)
	if f, ok := r.Value.Number(); !ok || f < 200 || f > 400 || f != float64(int(f)) {
		t.Errorf("temperature %v: it is in tenths, as the board says it", r.Value)
	}
}

func is(v devices.Value) func(devices.Reading) bool {
	return func(r devices.Reading) bool { return r.Quality == devices.Good && r.Value == v }
}

// TestGarbage: whatever comes between, good lines are read and commands are obeyed.
func TestGarbage(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	b.set(sim.Garbage, true)
	for range 10 {
		at := sink.Mark()
		sink.WaitReadingAfter(t, at, "greenhouse", "humidity", nil)
	}
	if _, err := d.Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	sink.WaitValue(t, "greenhouse", "pump", devices.Bool(true))
	for _, e := range sink.Events() {
		if e.Kind == drivertest.Linked && !e.Up || e.Kind == drivertest.Read && e.Reading.Quality != devices.Good {
			t.Errorf("garbage made %s", e)
		}
	}
}

// TestSilence: a silent board stays up, is still told, and is heard again.
func TestSilence(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	b.set(sim.Silence, true)
	if _, err := d.Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	if err := b.holds(t.Context(), devices.Bool(true)); err != nil {
		t.Fatal(err)
	}
	if up, cause := sink.Linked("greenhouse"); !up {
		t.Errorf("down: %v", cause)
	}
	b.set(sim.Silence, false)
	sink.WaitValue(t, "greenhouse", "pump", devices.Bool(true))
}

// TestReboot: the boot message is skipped and what the board then has is read.
func TestReboot(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	if _, err := d.Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	sink.WaitValue(t, "greenhouse", "pump", devices.Bool(true))
	b.set(sim.Reboot, true)
	sink.WaitValue(t, "greenhouse", "pump", devices.Bool(false))
	if up, cause := sink.Linked("greenhouse"); !up {
		t.Errorf("down: %v", cause)
	}
}

// TestStuck: a relay that takes commands and does not move is read as it is.
func TestStuck(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	b.set(sim.Stuck, true)
	at := sink.Mark()
	res, err := d.Do(t.Context(), pumpOn)
	if err != nil {
		t.Fatal(err)
	}
	r := sink.WaitReadingAfter(t, at, "greenhouse", "pump", func(r devices.Reading) bool { return r.At.After(res.Written) })
	if r.Value != devices.Bool(false) {
		t.Errorf("pump reads %q", r.Value)
	}
}

func TestUnplug(t *testing.T) {
	t.Parallel()
	b, d, sink := house(t)
	if _, err := d.Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	if err := b.holds(t.Context(), devices.Bool(true)); err != nil {
		t.Fatal(err)
	}
	b.set(sim.Unplug, true)
	cause := sink.WaitLink(t, "greenhouse", false)
	if want := "serial attic: " + b.Path() + ": gone: was it unplugged?"; !strings.HasPrefix(cause.Error(), want) {
		t.Errorf("cause %q, want %q…", cause, want)
	}
	err := sink.WaitHealth(t, func(err error) bool { return err != nil && strings.Contains(err.Error(), "plugged in") })
	if want := "serial attic: " + b.Path() + ": no such file or directory: is it plugged in?"; err.Error() != want {
		t.Errorf("health %q, want %q", err, want)
	}
	if _, err := d.Do(t.Context(), pumpOn); !errors.Is(err, devices.ErrDown) {
		t.Errorf("do: %v, want %v", err, devices.ErrDown)
	}
	at := sink.Mark()
	b.set(sim.Unplug, false)
	sink.WaitLink(t, "greenhouse", true)
	sink.WaitReadingAfter(t, at, "greenhouse", "pump", is(devices.Bool(false))) // it had no power
}

// TestOneOwner: a port is opened once, whoever asks, and is free again after.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	b, _, first := house(t)
	d, second := drivertest.Build(t, serial.Type(nil), greenhouseConfig(b.Path())), &drivertest.Sink{}
	drivertest.Start(t, d, second)
	err := second.WaitHealth(t, func(err error) bool { return err != nil })
	if want := "serial attic: " + b.Path() + ": in use: another program or another [drivers] table has it open"; err.Error() != want {
		t.Errorf("health %q, want %q", err, want)
	}
	at := first.Mark()
	first.WaitReadingAfter(t, at, "greenhouse", "temperature", nil)
	if up, cause := first.Linked("greenhouse"); !up {
		t.Errorf("the first is down: %v", cause)
	}
}

// TestMeterFaults: whatever comes between the telegrams of a meter, or is missing in them, what is read is right.
func TestMeterFaults(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]sim.Kind{"meter": sim.Meter, "old": sim.OldMeter} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBoard(t, sim.Options{Kind: kind})
			for _, f := range []sim.Fault{sim.Garbage, sim.Cut, sim.Corrupt} {
				b.set(f, true)
			}
			config := fmt.Sprintf("[drivers.meter]\nport = %q\nprotocol = \"p1\"\n[devices.meter]\n", b.Path())
			d, sink := drivertest.Build(t, serial.Type(nil), config), &drivertest.Sink{}
			drivertest.Start(t, d, sink)
			for range 30 {
				sink.WaitReadingAfter(t, sink.Mark(), "meter", "power_import", nil)
			}
			for _, e := range sink.Events() {
				if e.Kind != drivertest.Read {
					continue
				}
				f, _ := e.Reading.Value.Number()
				low, high := 0.0, 0.0
				switch p := e.Reading.Point; {
				case p == "power_import", p == "power_import_l1":
					low, high = 0.19, 1.81
				case p == "energy_import_t1":
					low, high = 1581.123, 1582
				case p == "energy_import_t2" && kind == sim.Meter:
					low, high = 1435.706, 1435.706
				case p == "energy_import_t2", p == "energy_export_t1" && kind == sim.OldMeter, p == "energy_export_t2" && kind == sim.OldMeter:
					low, high = 1.001, 1.001
				case p == "gas":
					low, high = 981.443, 982
				case p == "voltage_l1":
					low, high = 230.1, 230.1
				case p == "current_l1":
					low, high = 0, 8
				case p == "tariff":
					low, high = 1, 1
				case p == "gas_time":
					continue
				}
				if e.Reading.Quality != devices.Good || f < low || f > high {
					t.Errorf("%s", e)
				}
			}
		})
	}
}

// TestDustFaults is the same for a sensor of frames.
func TestDustFaults(t *testing.T) {
	t.Parallel()
	b := newBoard(t, sim.Options{Kind: sim.Dust, Every: time.Millisecond})
	for _, f := range []sim.Fault{sim.Garbage, sim.Cut, sim.Corrupt} {
		b.set(f, true)
	}
	config := fmt.Sprintf("[drivers.dust]\nport = %q\nprotocol = \"sds011\"\n[devices.dust]\n", b.Path())
	d, sink := drivertest.Build(t, serial.Type(nil), config), &drivertest.Sink{}
	drivertest.Start(t, d, sink)
	for range 100 {
		sink.WaitReadingAfter(t, sink.Mark(), "dust", "pm10", nil)
	}
	for _, e := range sink.Events() {
		if e.Kind != drivertest.Read {
			continue
		}
		// Half the humidity and all of it: 42 to 54 %.
		if f, ok := e.Reading.Value.Number(); !ok || e.Reading.Point == "pm25" && (f < 21 || f > 27) || e.Reading.Point == "pm10" && (f < 42 || f > 54) {
			t.Errorf("%s", e)
		}
	}
}

// TestServerGone: a serial server that goes takes its devices down with the reason, and they come back with it.
func TestServerGone(t *testing.T) {
	t.Parallel()
	b := newBoard(t, sim.Options{Listen: "127.0.0.1:0"})
	d, sink := drivertest.Build(t, serial.Type(nil), greenhouseConfig(b.Path())), &drivertest.Sink{}
	drivertest.Start(t, d, sink)
	sink.WaitReading(t, "greenhouse", "temperature", nil)
	if _, err := d.(devices.Actuator).Do(t.Context(), pumpOn); err != nil {
		t.Fatal(err)
	}
	sink.WaitValue(t, "greenhouse", "pump", devices.Bool(true))
	b.set(sim.Unplug, true)
	cause := sink.WaitLink(t, "greenhouse", false)
	if want := "serial attic: " + b.Path() + ": gone: the serial server closed the connection"; !strings.HasPrefix(cause.Error(), want) {
		t.Errorf("cause %q, want %q…", cause, want)
	}
	err := sink.WaitHealth(t, func(err error) bool { return err != nil && strings.Contains(err.Error(), "refused") })
	if want := "serial attic: " + b.Path() + ": connection refused: does the serial server run, on this port?"; err.Error() != want {
		t.Errorf("health %q, want %q", err, want)
	}
	at := sink.Mark()
	b.set(sim.Unplug, false)
	sink.WaitReadingAfter(t, at, "greenhouse", "pump", is(devices.Bool(false)))
}

// TestFullPort: a board that takes nothing fills the port; the command ends with its context and the stop is prompt.
func TestFullPort(t *testing.T) {
	t.Parallel()
	node, err := sim.New(sim.Options{Link: filepath.Join(t.TempDir(), "node")}) // and nobody runs it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.SetFault(sim.Unplug, true) })
	d, sink := drivertest.Build(t, serial.Type(nil), strings.Replace(greenhouseConfig(node.Path()), `{"set"`, strings.Repeat(" ", 4000)+`{"set"`, 1)), &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	sink.WaitLink(t, "greenhouse", true)
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err = d.(devices.Actuator).Do(ctx, devices.Command{Device: "greenhouse", Point: "target", Value: devices.Number(1)})
		cancel()
		if err != nil {
			break
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("do: %v, want %v", err, context.DeadlineExceeded)
	}
	stop()
}
