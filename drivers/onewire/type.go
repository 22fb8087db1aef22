package onewire

import (
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// An Opener returns the files of a bus, as they are below /sys/bus/w1/devices.
type Opener func(root string) fs.FS

// Bounds of the configuration.
const (
	minPoll     = 10 * time.Millisecond
	maxPoll     = 24 * time.Hour
	defaultPoll = 30 * time.Second
	defaultRoot = "/sys/bus/w1/devices"
)

// families are the thermometers that the kernel's w1_therm knows, by the first byte of the ROM id.
var families = map[string]string{"10": "DS18S20", "22": "DS1822", "28": "DS18B20", "3b": "DS1825", "42": "DS28EA00"}

// romID is how the kernel writes one.
var romID = regexp.MustCompile(`^([0-9a-f]{2})-[0-9a-f]{12}$`)

// thermometer reports whether a name is the ROM id of one.
func thermometer(name string) bool {
	m := romID.FindStringSubmatch(name)
	return m != nil && families[m[1]] != ""
}

// scheme begins the ID of a sensor without a table.
const scheme = "onewire:"

var temperature = devices.Point{Name: "temperature", Kind: devices.KindNumber, Class: "temperature", Unit: "°C", Digits: 2, Readable: true}

// Type describes the driver. open is what opens a bus; nil is the kernel's files.
func Type(open Opener) devices.Type {
	if open == nil {
		open = os.DirFS
	}
	return devices.Type{
		Name: "onewire",
		Help: "Thermometers on a 1-Wire bus (DS18B20, DS18S20, DS1822, DS1825, DS28EA00), through the kernel. They come by themselves; a " +
			"table with the address of one, or with match, gives it a name. On a Raspberry Pi: dtoverlay=w1-gpio in /boot/firmware/config.txt.",
		Connection: []schema.Key{
			{Name: "root", Kind: schema.String, Default: defaultRoot, Help: "where the kernel's files are"},
			{Name: "poll", Kind: schema.Duration, Default: "30s", Help: "how often the sensors are read"},
			{Name: "discover", Kind: schema.Bool, Default: "true", Help: "whether sensors without a table are devices, too"},
		},
		Device: []schema.Key{
			{Name: "address", Kind: schema.String, Help: "the sensor's ROM id, as in \"28-0316a2794aff\"; `ls /sys/bus/w1/devices` lists them"},
		},
		Point: []schema.Key{
			{Name: "source", Kind: schema.String, Default: "temperature", Choices: []string{"temperature"}, Help: "what it measures"},
		},
		Points:    points,
		Discovers: func(t *schema.Table) bool { return t.Bool("discover", true) },
		Build:     func(c devices.Connection) devices.Driver { return build(c, open) },
	}
}

// points are the points of a device by its table: the one there is, under its name.
func points(_, device *schema.Table) []devices.Point {
	p := temperature
	for _, t := range device.Table("points").Tables() {
		if !t.Has("value") {
			p.Name = t.Name()
			break
		}
	}
	return []devices.Point{p}
}

// build makes the driver of a table. What contradicts itself is recorded, and then there is no driver.
func build(c devices.Connection, open Opener) devices.Driver {
	d := &driver{name: c.Name, root: c.Table.StringOr("root", defaultRoot), poll: c.Table.Duration("poll", defaultPoll),
		discover: c.Table.Bool("discover", true), log: c.Log, open: open, ignored: map[string]bool{}}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	mistakes := false
	mistake := func(t *schema.Table, key, format string, args ...any) {
		t.Errorf(key, format, args...)
		mistakes = true
	}
	if d.root == "" {
		mistake(c.Table, "root", "root is empty: leave it out for %s", defaultRoot)
	}
	if d.poll < minPoll || d.poll > maxPoll {
		mistake(c.Table, "poll", "poll is %v: from %v to %v", d.poll, minPoll, maxPoll)
	}
	owner := map[string]devices.ID{}
	for _, dc := range c.Devices {
		match := dc.Table.String("match")
		key, rom := "address", strings.ToLower(strings.TrimSpace(dc.Table.String("address")))
		switch {
		case match != "" && rom != "":
			mistake(dc.Table, "address", "address and match both name the sensor: leave one out")
		case match != "":
			key, rom = "match", strings.ToLower(strings.TrimPrefix(match, scheme))
		}
		switch other, taken := owner[rom]; {
		case !thermometer(rom):
			mistake(dc.Table, key, "%s is %q: a thermometer's is as in %q", key, dc.Table.String(key), map[bool]string{true: scheme}[key == "match"]+"28-0316a2794aff")
		case taken:
			mistake(dc.Table, key, "%s is already that of %s", rom, other)
		}
		owner[rom] = dc.ID
		if dc.Disabled {
			d.ignored[rom] = true
			continue
		}
		s := &sensor{rom: rom, id: dc.ID, point: points(c.Table, dc.Table)[0].Name}
		if match != "" {
			s.match = scheme + rom
		}
		for _, p := range dc.Points {
			if p.Kind != devices.KindNumber {
				mistake(p.Table, "kind", "kind is %s: a temperature is a number", p.Kind)
			}
			if p.Name != s.point {
				mistake(p.Table, "source", "a thermometer has one point, which is %s already", s.point)
			}
		}
		d.sensors = append(d.sensors, s)
	}
	if mistakes {
		return nil
	}
	return d
}
