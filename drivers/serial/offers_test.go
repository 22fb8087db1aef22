package serial

import (
	"os"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

// TestOffers: a device without points has what its messages offer, announced before it is read, and again in every session.
func TestOffers(t *testing.T) {
	t.Parallel()
	d, b, sink, stop := played(t, codecConfigs["p1"])
	telegram, err := os.ReadFile("p1/testdata/belgium.telegram")
	if err != nil {
		t.Fatal(err)
	}
	board := <-b.boards
	sink.WaitLink(t, "node", true)
	if info, _ := sink.Announced("node"); len(info.Points) > 0 || info.Model != "" {
		t.Errorf("announced before anything was heard: %+v", info)
	}
	say(t, board, string(telegram))
	sink.WaitValue(t, "node", "gas", devices.Number(112.384))
	sink.WaitValue(t, "node", "water_time", devices.Time(time.Date(2020, 5, 12, 11, 45, 58, 0, time.UTC)))
	info, _ := sink.Announced("node")
	if info.Model != `FLU5\253769484_A` || len(info.Points) != 25 {
		t.Errorf("announced %q with %d points", info.Model, len(info.Points))
	}
	for _, want := range []devices.Point{
		{Name: "power_import", Label: "Power import", Class: "power", Unit: "kW"},
		{Name: "energy_export_t2", Label: "Energy export tariff 2", Class: "energy", Unit: "kWh"},
		{Name: "voltage_l3", Label: "Voltage L3", Class: "voltage", Unit: "V"},
		{Name: "gas", Label: "Gas", Class: "gas", Unit: "m³"},
		{Name: "water", Label: "Water", Class: "water", Unit: "m³"},
	} {
		if p := pointOf(info, want.Name); p.Label != want.Label || p.Class != want.Class || p.Unit != want.Unit || !p.Readable || p.Writable {
			t.Errorf("%s is announced as %+v", want.Name, p)
		}
	}
	if info.Points[0].Name != "power_import" {
		t.Errorf("the first point is %s", info.Points[0].Name)
	}
	_ = drain(board)
	stop()
	if broken := sink.Violations(); len(broken) > 0 {
		t.Error(broken)
	}

	again := &drivertest.Sink{}
	stop = drivertest.Start(t, d, again)
	board = <-b.boards
	say(t, board, string(telegram))
	again.WaitValue(t, "node", "gas", devices.Number(112.384))
	if info, _ := again.Announced("node"); len(info.Points) != 25 {
		t.Errorf("in the second run %d points are announced", len(info.Points))
	}
	_ = drain(board)
	stop()
}

func pointOf(info devices.Info, name string) devices.Point {
	for _, p := range info.Points {
		if p.Name == name {
			return p
		}
	}
	return devices.Point{}
}

// TestUnits: the unit of a point is the one that its code stands for, and then the one that the meter writes.
func TestUnits(t *testing.T) {
	t.Parallel()
	d, b, sink, stop := played(t, `
[drivers.meter]
port     = "/dev/ttyTEST0"
protocol = "p1"
[devices.meter.points.power]
source = "1-0:1.7.0"
[devices.meter.points.gas]
source = "0-1:24.2.1"
`)
	defer stop()
	board := <-b.boards
	sink.WaitLink(t, "meter", true)
	unit := func(point, want string) {
		t.Helper()
		info, _ := sink.Announced("meter")
		if p := pointOf(info, point); p.Unit != want || p.Label != "" {
			t.Errorf("%s is announced as %+v, want the unit %q", point, p, want)
		}
	}
	unit("power", "kW")
	unit("gas", "")
	text, err := os.ReadFile("p1/testdata/dsmr42.telegram")
	if err != nil {
		t.Fatal(err)
	}
	say(t, board, string(text))
	sink.WaitValue(t, "meter", "gas", devices.Number(981.443))
	unit("power", "kW")
	unit("gas", "m³")
	if text, err = os.ReadFile("p1/testdata/austria.telegram"); err != nil {
		t.Fatal(err)
	}
	say(t, board, string(text))
	sink.WaitValue(t, "meter", "power", devices.Number(286))
	unit("power", "W")
	if d.mode.Baud != 115200 {
		t.Errorf("the port is opened with %d baud", d.mode.Baud)
	}
	_ = drain(board)
}

func TestDust(t *testing.T) {
	t.Parallel()
	_, b, sink, stop := played(t, codecConfigs["sds011"])
	defer stop()
	board := <-b.boards
	// The example of the sensor's specification.
	say(t, board, "\xAA\xC0\xD4\x04\x3A\x0A\xA1\x60\x1D\xAB")
	sink.WaitValue(t, "node", "pm25", devices.Number(123.6))
	sink.WaitValue(t, "node", "pm10", devices.Number(261.8))
	info, _ := sink.Announced("node")
	if p := pointOf(info, "pm25"); p.Unit != "µg/m³" || p.Class != "pm25" || p.Label != "PM2.5" || len(info.Points) != 2 {
		t.Errorf("announced %+v", info.Points)
	}
	_ = drain(board)
}

// TestNotUnderstood: the note names the keys of the protocol.
func TestNotUnderstood(t *testing.T) {
	t.Parallel()
	for protocol, want := range map[string]string{
		"regexp": `the last 20 lines on /dev/ttyUSB0 were not understood: are baud, protocol and pattern right? The last one: "\x01"`,
		"csv":    `the last 20 lines on /dev/ttyUSB0 were not understood: are baud, protocol, separator and header right? The last one: "\x01"`,
		"p1":     `the last 20 telegrams on /dev/ttyUSB0 were not understood: are baud, mode and protocol right?`,
		"sds011": `the last 20 frames on /dev/ttyUSB0 were not understood: are baud and protocol right? The last one: "\x01"`,
	} {
		r := fed(t, built(t, codecConfigs[protocol]), nil, 1)
		for range 25 * 1024 {
			r.decoder.feed([]byte("\x01\n"), time.Now())
		}
		if info, _ := r.out.(*drivertest.Sink).Announced("node"); len(info.Notes) != 1 || info.Notes[0] != want {
			t.Errorf("%s: %q, want %q", protocol, info.Notes, want)
		}
	}
}

// TestModelOfTheConfiguration: what the table says of the device goes before what its messages do.
func TestModelOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ protocol, want string }{{"p1", "Landis+Gyr E360"}, {"json", "Landis+Gyr E360"}} {
		d := built(t, "[drivers.d]\nport = \"/dev/ttyUSB0\"\nprotocol = \""+c.protocol+"\"\n[devices.node]\nmodel = \"Landis+Gyr E360\"\n[devices.node.points.p]\nsource = \"1-0:1.7.0\"\n")
		if info := d.infos()[0]; info.Model != c.want {
			t.Errorf("%s: announced as a %q", c.protocol, info.Model)
		}
		if c.protocol != "p1" {
			continue
		}
		telegram, err := os.ReadFile("p1/testdata/belgium.telegram")
		if err != nil {
			t.Fatal(err)
		}
		if got := transcript(d, string(telegram)); !strings.Contains(got, "node p good") {
			t.Errorf("nothing was heard: %s", got)
		}
		if info := d.info(d.devices[0]); info.Model != c.want {
			t.Errorf("%s: after a telegram it is a %q", c.protocol, info.Model)
		}
	}
}

// TestUnitsKnownBefore: a table of a meter need not say the units that its telegrams have, and what is computed knows them.
func TestUnitsKnownBefore(t *testing.T) {
	t.Parallel()
	c := drivertest.Connection(t, Type(nil), `[drivers.p1]
port = "/dev/ttyUSB0"
protocol = "p1"
[devices.meter]
[devices.meter.points.power]
source = "1-0:1.7.0"
[devices.meter.points.energy]
source = "1-0:1.8.1*255"
[devices.meter.points.at]
source = "1-0:1.6.0.time"
kind = "time"
[devices.meter.points.reactive]
source = "1-0:3.7.0"
[devices.meter.points.gas]
source = "0-1:24.2.1"
`)
	want := map[string]string{"power": "kW", "energy": "kWh", "at": "", "reactive": "", "gas": ""}
	for _, p := range c.Devices[0].Points {
		if got := p.Table.String("unit"); got != want[p.Name] {
			t.Errorf("%s has the unit %q, want %q", p.Name, got, want[p.Name])
		}
	}
}
