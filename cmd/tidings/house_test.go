package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	sim "tidings/firmware-sim/house"
	"tidings/firmware-sim/mqtt/board"
	"tidings/gateway"
	"tidings/gateway/control"
)

// A home is a demo's house that runs in a test, and the line to its gateway.
type home struct {
	*house
	t       *testing.T
	control *control.Client
}

func startHome(t *testing.T) *home {
	t.Helper()
	h, _ := newTour(t)
	h.demo.tour = false
	h.demo.out = new(bytes.Buffer)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-h.gateway.Ready():
	case <-time.After(patience):
		t.Fatal("the gateway does not get ready")
	}
	return &home{house: h, t: t, control: control.New(h.demo.file("tidings.sock"))}
}

// until asks how the devices are until they are as wanted; wrong says what is not.
func (h *home) until(wrong func(map[string]gateway.DeviceStatus) string) map[string]gateway.DeviceStatus {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		said := "the gateway is not there"
		list, err := h.control.Devices(ctx)
		if err == nil {
			byName := make(map[string]gateway.DeviceStatus, len(list))
			for _, d := range list {
				byName[d.Name] = d
			}
			if said = wrong(byName); said == "" {
				return byName
			}
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("%s (%v)", said, err)
		case <-tick.C:
		}
	}
}

// TestHouseIsFound has a whole house announce itself, with a dozen lines of configuration.
func TestHouseIsFound(t *testing.T) {
	t.Parallel()
	h := startHome(t)
	rooms := map[string]bool{}
	all := h.until(func(found map[string]gateway.DeviceStatus) string {
		for _, d := range h.sim.Devices() {
			f, ok := found[d.Name]
			switch {
			case !ok:
				return d.Name + " is not there"
			case f.Online == (d.Name == demoOffline):
				return d.Name + " is not as it should be: " + f.Status
			case f.Online && slices.ContainsFunc(f.Points, func(p gateway.PointStatus) bool { return p.At.IsZero() }) && f.Status == "no reading yet":
				return d.Name + " was not read"
			case f.Location == "":
				return d.Name + " is in no room"
			case d.Room != "" && f.Location != d.Room:
				return d.Name + " is in " + f.Location
			}
			rooms[f.Location] = true
		}
		return ""
	})
	if len(all) != len(h.sim.Devices()) {
		t.Errorf("%d devices, want %d", len(all), len(h.sim.Devices()))
	}
	if len(rooms) < 10 {
		t.Errorf("rooms: %v", rooms)
	}
	for name, d := range all {
		for _, note := range d.Notes {
			if !strings.Contains(note, "disabled by default") {
				t.Errorf("%s: %s", name, note)
			}
		}
	}

	// Units and words are those of people.
	for name, want := range map[string]string{
		"Weather station": "temperature=°C humidity=% pressure=hPa illuminance=lx wind_speed=km/h", "Living room climate": "temperature=°C humidity=%",
		"Television": "power=W energy=kWh voltage=V current=A", "Bedroom radiator": "target=°C", "Washing machine": "total=kWh power=",
		"Heat pump meter": "active_power=W energy=Wh a_voltage=V", "Cellar climate": "temperature=°C humidity=%", "Office climate": "temperature=°C",
		"Irrigation": "moisture=% flow=L/min", "Sauna": "target=°C", "Smart meter": "power_import=kW gas=m³", "Grid": "power=W", "Air quality": "µg/m³",
		"Water meter": "total=m³", "Attic climate": "temperature=°C", "Kitchen window": "contact=", "Door lock": "lock=locked", "Garage door": "cover=closed",
		"Hall motion": "occupancy=", "Awning": "cover=open position=%", "Bedroom shutter": "cover=open position=%",
	} {
		for _, one := range strings.Fields(want) {
			point, unit, named := strings.Cut(one, "=")
			if !named {
				point, unit = "", point
			}
			if !slices.ContainsFunc(all[name].Points, func(p gateway.PointStatus) bool {
				return (point == "" || p.Name == point) && strings.HasSuffix(p.Value, unit)
			}) {
				t.Errorf("%s has no %s: %+v", name, one, all[name].Points)
			}
		}
	}
}

// TestHouseObeys has one command of each kind carried out, by devices of each dialect.
func TestHouseObeys(t *testing.T) {
	t.Parallel()
	h := startHome(t)
	h.until(func(found map[string]gateway.DeviceStatus) string {
		for _, d := range h.sim.Devices() {
			if f, ok := found[d.Name]; !ok || !f.Online && d.Name != demoOffline || f.Status == "no reading yet" {
				return d.Name + " is not ready"
			}
		}
		return ""
	})
	var asking sync.WaitGroup
	for device, lines := range map[string][]string{
		"lamp":             {"on", "brightness 40", "color red", "color_temp 3000", "brightness 0"},
		"blind":            {"close > closing", "stop", "position 10 > is going to 10 %, now "},
		"television":       {"on", "off"},
		"bedroom-radiator": {"target 19.5", "mode off"},
		"thermostat":       {"target 22", "mode auto"},
		"garage-door":      {"open", "position 60 >"},
		"worktop-light":    {"on", "color #0000ff", "brightness 50"},
		"ventilation":      {"fan on", "set run_on 15"},
		"door-lock":        {"unlock", "lock", "chime Bell"},
		"washing":          {"on", "off"},
		"coffee":           {"on"},
		"desk":             {"brightness 30", "off"},
		"ball":             {"color blue", "color_temp 4000", "brightness 70"},
		"shutter":          {"close > closing", "stop > open", "position 10 > is going to 10 %, now "},
		"boiler":           {"on", "off"},
		"awning":           {"close > closing", "stop", "position 10 > is going to 10 %, now "},
		"dining":           {"on", "brightness 25"},
		"irrigation":       {"open", "program beds"},
		"sauna":            {"power on", "target 95"},
		"skylight":         {"opening 80 > is going to 80 %, now "},
		"lights":           {"relay3 on"},
		"bed":              {"valve on"},
	} {
		asking.Go(func() {
			for _, line := range lines {
				words, underway, accepted := strings.Cut(line, " >")
				out, err := h.control.Send(t.Context(), gateway.SendRequest{Device: devices.ID(device), Words: strings.Fields(words)})
				if want := map[bool]string{true: "accepted by the device", false: "confirmed by the device"}[accepted]; err != nil || !out.Confirmed ||
					!strings.Contains(out.Text, want) || !strings.Contains(out.Text, strings.TrimSpace(underway)) {
					t.Errorf("%s %s: %q %v", device, words, out.Text, err)
				}
			}
		})
	}
	asking.Wait()
}

// TestHouseChanges has devices go, come back, be called otherwise and be taken away.
func TestHouseChanges(t *testing.T) {
	t.Parallel()
	h := startHome(t)
	set := func(name string, f board.Fault, on bool) {
		t.Helper()
		if err := h.sim.SetFault(name, f, on); err != nil {
			t.Error(err)
		}
	}
	state := func(name string, online bool) func(map[string]gateway.DeviceStatus) string {
		return func(found map[string]gateway.DeviceStatus) string {
			if d, ok := found[name]; !ok || d.Online != online {
				return name + " is there, or not: " + d.Status
			}
			return ""
		}
	}
	// One of each dialect goes without a word, the bridge with all of its devices. They are shown offline once that has settled.
	lost := []string{"Garage door", "Coffee machine", "Boiler", "Irrigation", "Sauna", sim.Bridge}
	seen := append([]string{"Blind", "Lamp", "Kitchen window"}, lost[:len(lost)-1]...)
	for _, name := range seen {
		h.until(state(name, true))
	}
	h.until(state("Reading lamp", true))
	set("Reading lamp", board.Vanish, true)
	h.until(func(found map[string]gateway.DeviceStatus) string {
		if _, there := found["Reading lamp"]; there {
			return "what was removed is still listed"
		}
		return ""
	})
	for _, name := range lost {
		set(name, board.Offline, true)
	}
	before := h.until(state("Worktop light", true))["Worktop light"]
	set("Worktop light", board.Rename, true)
	if after := h.until(state("Worktop light 2", true))["Worktop light 2"]; after.ID != before.ID || after.JID != before.JID {
		t.Errorf("renamed, it is another: %+v", after)
	}
	for _, name := range seen {
		h.until(state(name, false))
	}
	for _, name := range lost {
		set(name, board.Offline, false)
	}
	for _, name := range seen {
		h.until(state(name, true))
	}
	// One that says what nobody understands, and one that floods: the others are as ever.
	set("Ventilation", board.Garbage, true)
	set("Weather station", board.Flood, true)
	h.until(func(map[string]gateway.DeviceStatus) string {
		if out, err := h.control.Send(t.Context(), gateway.SendRequest{Device: "lamp", Words: []string{"on"}}); err != nil || !out.Confirmed {
			return out.Text
		}
		return ""
	})
}
