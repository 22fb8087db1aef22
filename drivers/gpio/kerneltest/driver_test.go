//go:build kernel

package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/gpio"
)

const pins = `
[drivers.pins]
type = "gpio"
chip = %q
[devices.hall]
[devices.hall.points.open]
source = "DOOR"
kind = "switch"
debounce = "10ms"
[devices.hall.points.away]
source = "AWAY"
kind = "switch"
active_low = true
[devices.hall.points.relay]
source = "RELAY"
kind = "switch"
direction = "out"
initial = true
safe = false
[devices.hall.points.bell]
source = "BELL"
kind = "action"
direction = "out"
pulse = "300ms"
[devices.hall.points.energy]
source = "METER"
count = "rising"
`

// running is the driver on a chip of the kernel's.
func running(t *testing.T, label string) (*chip, devices.Driver, *drivertest.Sink, func()) {
	t.Helper()
	c := newChip(t, label, "DOOR", "AWAY", "RELAY", "BELL", "METER")
	d := drivertest.Build(t, gpio.Type(nil), fmt.Sprintf(pins, label))
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	sink.WaitLink(t, "hall", true)
	return c, d, sink, stop
}

func is(on bool) func(devices.Reading) bool {
	return func(r devices.Reading) bool { return r.Value == devices.Bool(on) }
}

func TestInputs(t *testing.T) {
	c, _, sink, _ := running(t, "inputs")
	for _, high := range []bool{true, false, true} {
		mark := sink.Mark()
		c.set(0, high)
		c.set(1, high)
		sink.WaitReadingAfter(t, mark, "hall", "open", is(high))
		sink.WaitReadingAfter(t, mark, "hall", "away", is(!high))
	}
}

// What bounces for less than the debounce time is no change: the kernel's own debouncing keeps it away.
func TestDebounce(t *testing.T) {
	c, _, sink, _ := running(t, "bounces")
	sink.WaitReading(t, "hall", "open", is(false))
	mark := sink.Mark()
	for range 5 {
		c.set(0, true)
		c.set(0, false)
	}
	c.set(0, true)
	sink.WaitReadingAfter(t, mark, "hall", "open", is(true))
	for _, e := range sink.Events()[mark:] {
		if e.Reading.Point == "open" && e.Reading.Value == devices.Bool(false) {
			t.Errorf("a bounce was read: %v", e)
		}
	}
}

func TestOutputs(t *testing.T) {
	c, d, sink, stop := running(t, "outputs")
	if !c.high(2) {
		t.Error("the relay is not as initial says")
	}
	do := func(point string, v devices.Value) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := d.(devices.Actuator).Do(ctx, devices.Command{Device: "hall", Point: point, Value: v}); err != nil {
			t.Fatal(err)
		}
	}
	do("relay", devices.Bool(false))
	sink.WaitReading(t, "hall", "relay", is(false))
	if c.high(2) {
		t.Error("the relay is on after it was turned off")
	}
	do("relay", devices.Bool(true))
	sink.WaitReading(t, "hall", "relay", is(true))
	do("bell", devices.Bool(true))
	if !c.high(3) {
		t.Error("the bell does not ring")
	}
	until(t, "the bell stops", func() bool { return !c.high(3) })
	if !c.high(2) {
		t.Error("the relay went off by itself")
	}
	stop()
	if c.high(2) {
		t.Error("the relay is not safe after the stop")
	}
}

// Each pulse counts once. gpio-sim marks a line as pending and merges what comes before its interrupt has run, which no pin does:
// so there is a pause between edges, shorter than any meter's.
func TestPulses(t *testing.T) {
	c, _, sink, _ := running(t, "pulses")
	first := sink.WaitReading(t, "hall", "energy", func(devices.Reading) bool { return true })
	begin, _ := first.Value.Number()
	const pulses = 300
	for range pulses {
		for _, high := range []bool{true, false} {
			c.set(4, high)
			time.Sleep(2 * time.Millisecond)
		}
	}
	sink.WaitReading(t, "hall", "energy", func(r devices.Reading) bool { return r.Value == devices.Number(begin+pulses) })
}

// A chip that is pulled out takes its device along, with the reason, and brings it back.
func TestUnplugged(t *testing.T) {
	c, d, sink, _ := running(t, "unplugged")
	c.unplug()
	if cause := sink.WaitLink(t, "hall", false); cause == nil {
		t.Error("no reason")
	}
	_, err := d.(devices.Actuator).Do(context.Background(), devices.Command{Device: "hall", Point: "relay", Value: devices.Bool(true)})
	if !errors.Is(err, devices.ErrDown) {
		t.Errorf("a command to a chip that is gone: %v", err)
	}
	c.plug()
	sink.WaitLink(t, "hall", true)
	if !c.high(2) {
		t.Error("the relay is not as initial says")
	}
	mark := sink.Mark()
	c.set(0, true)
	sink.WaitReadingAfter(t, mark, "hall", "open", is(true))
}

// A line that somebody else holds is said to be so, and by whom.
func TestBusyLine(t *testing.T) {
	running(t, "busy")
	second := drivertest.Build(t, gpio.Type(nil), fmt.Sprintf(pins, "busy"))
	sink := &drivertest.Sink{}
	drivertest.Start(t, second, sink)
	if cause := sink.WaitLink(t, "hall", false); !strings.Contains(fmt.Sprint(cause), `line DOOR is in use by "tidings"`) {
		t.Errorf("it says %v", cause)
	}
}

// until waits for what no event tells.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
