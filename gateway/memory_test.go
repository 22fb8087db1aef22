package gateway

import (
	"strings"
	"testing"
	"time"

	"tidings/devices"
)

// What a meter's pulses were counted to is there after a restart, and so is what a person set it to.
func TestCountsOverRestart(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(strings.Replace(trialFile, "[alerts.open]", `[devices.meter]
driver = "a"
[devices.meter.points.energy]
source = "IN2"
count = "falling"
pull = "up"
scale = 0.001
unit = "kWh"
[alerts.open]`, 1))
	x.start()
	x.shows("meter", true, "0 kWh")
	pulse := func() { x.chips["a"].Meter("IN2").Pulse(time.Millisecond) }
	pulse()
	x.shows("meter", true, "0.001 kWh")
	set := devices.Request{By: devices.Control, Via: devices.ViaControl, Device: "meter", Point: "energy", Value: devices.Number(12345.6)}
	if out, err := x.executor.Execute(x.context(), set); err != nil || !out.Confirmed {
		t.Fatalf("%+v, %v", out, err)
	}
	pulse()
	x.shows("meter", true, "12345.601 kWh")
	pulse()
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}
	x.start()
	x.shows("meter", true, "12345.602 kWh")
}
