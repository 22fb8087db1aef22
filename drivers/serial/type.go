package serial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/serial/p1"
	"tidings/drivers/serial/port"
	"tidings/drivers/serial/profile"
)

// Type is the driver's entry in the table of drivers. open is how ports are opened; nil for the machine's own.
func Type(open port.Opener) devices.Type {
	if open == nil {
		open = port.Open
	}
	return devices.Type{
		Name: "serial",
		Help: "Devices on a serial port that say by themselves what they measure: in lines of text (a JSON object, name=value pairs, columns, " +
			"or whatever a pattern describes), as smart meters (p1), or as the dust sensor SDS011; and those that have to be asked, the slaves of a Modbus line. " +
			"Several devices may share a port; `where` says whose a line is, `slave` whose a Modbus address.",
		Kind: devices.KindNumber,
		Connection: slices.Concat([]schema.Key{
			{Name: "port", Kind: schema.String, Required: true, Help: "the device file; one under /dev/serial/by-id stays the same whatever else is plugged in; or tcp://host:port of a serial server"},
			{Name: "baud", Kind: schema.Int, Default: "9600", Help: "bits a second, as the board has it; with p1 115200 is the default"},
			{Name: "mode", Kind: schema.String, Default: "8N1", Help: "data bits, parity (N, E, O) and stop bits"},
			{Name: "dtr", Kind: schema.Bool, Help: "what the line DTR is set to after opening; left alone without, as many boards reset when it moves"},
			{Name: "protocol", Kind: schema.String, Required: true, Help: "what is spoken: json, keyvalue, csv, regexp, modbus, modbus-tcp, p1 or sds011"},
			{Name: "columns", Kind: schema.Strings, Help: "csv: the names of the columns; without them, a source is a column's number"},
			{Name: "header", Kind: schema.Bool, Default: "false", Help: "csv: the board prints the names of the columns"},
			{Name: "separator", Kind: schema.String, Default: ",", Help: "csv: the character between two columns"},
			{Name: "pattern", Kind: schema.String, Help: "regexp: what a line is as a whole, with a named group for each value, as in 'T=(?P<t>[0-9.]+) .*'"},
			{Name: "profiles", Kind: schema.String, Path: true, Help: "a folder of profiles of your own, beside those that are built in"},
		}, modbusConnectionKeys),
		Device: slices.Concat([]schema.Key{
			{Name: "where", Kind: schema.SubTable, Help: "fields and the values they have in this device's lines, where several devices share the port"},
			{Name: "profile", Kind: schema.String, Help: "the profile that gives it its points, such as \"sdm120\"; what stands in this table counts"},
			{Name: "profile_points", Kind: schema.Strings, Help: "which points of the profile it has; default: all"},
			{Name: "model", Kind: schema.String, Help: "what device it is; default: what its profile or the device says"},
		}, modbusDeviceKeys),
		Point: slices.Concat([]schema.Key{
			{Name: "source", Kind: schema.String, Help: "what it is read from: a field, with json also a path as \"sensors.0.t\", a column, a group of the pattern, a meter's code as \"1-0:1.8.1\"; with modbus coil, discrete, holding or input and an address, as \"input:12\""},
			{Name: "write", Kind: schema.String, Help: "the line that sets it, with {{.Value}} for the value; with modbus where it is written, as \"coil:0\"; a point without is read only"},
			{Name: "on", Kind: schema.Scalar, Help: "what the device says when a switch is on"},
			{Name: "off", Kind: schema.Scalar, Help: "what the device says when a switch is off"},
		}, modbusPointKeys),
		Points: points,
		Expand: expand,
		Writes: func(p *schema.Table) bool { return p.String("write") != "" },
		Build: func(c devices.Connection) devices.Driver {
			if d, ok := build(c, open); ok {
				return d
			}
			return nil
		},
	}
}

// offering are what devices of a protocol may announce by themselves where no table describes a point.
var offering = map[string]func() []devices.Point{"p1": p1.Offered, "sds011": sds011.offered}

// points are those that a device without tables of points may have by itself. Where nothing says the protocol, those of all are
// possible.
func points(connection, device *schema.Table) (out []devices.Point) {
	if slices.ContainsFunc(device.Table("points").Tables(), func(t *schema.Table) bool { return !t.Has("value") }) {
		return nil // it has those of its tables
	}
	said := connection.String("protocol")
	for _, protocol := range slices.Sorted(maps.Keys(offering)) {
		if said == protocol || said == "" {
			out = append(out, offering[protocol]()...)
		}
	}
	return out
}

// expand completes a device's table: its profile, that bits are switches, and the units that a protocol says itself.
func expand(driver, device *schema.Table) {
	protocol := driver.String("protocol")
	profile.Expand(device, protocol, folderOf(driver))
	switch protocol {
	case "modbus", "modbus-tcp":
		profile.Switches(device)
	case "p1":
		profile.Units(device, unitsOf(telegrams{}))
	case "sds011":
		profile.Units(device, unitsOf(sds011))
	}
}

// unitsOf are the units that messages have, by the sources they are read from: those for which there are other ways to say the same,
// so that a message in another one is converted. The rest is left to the message.
func unitsOf(proto protocol) func(source string) string {
	return func(source string) string {
		p, err := proto.source(source, devices.KindNumber)
		if err == nil && p.Kind == devices.KindNumber {
			switch p.Class {
			case "power", "energy", "voltage", "current", "pm25", "pm10":
				return p.Unit
			}
		}
		return ""
	}
}

func build(c devices.Connection, open port.Opener) (*driver, bool) {
	t, ok := c.Table, true
	mistake := func(key, format string, args ...any) {
		ok = false
		t.Errorf(key, format, args...)
	}
	// A key that is missing or of another kind has been reported by the check of the keys already.
	d := &driver{name: c.Name, port: t.String("port"), open: open, log: c.Log}
	if t.Has("port") {
		if err := port.Check(d.port); err != nil {
			mistake("port", "port: %v", err)
		}
	} else {
		ok = false
	}
	var err error
	if d.mode, err = port.ParseMode(t.StringOr("mode", "8N1")); err != nil {
		mistake("mode", "mode: %v", err)
	}
	if d.mode.Baud = t.Int("baud", defaultBaud(t.String("protocol"))); d.mode.Baud < 50 || d.mode.Baud > 4_000_000 {
		mistake("baud", "baud: %d is no speed of a serial port: 9600 and 115200 are usual", d.mode.Baud)
	}
	if t.Has("dtr") {
		dtr := t.Bool("dtr", false)
		d.mode.DTR = &dtr
	}
	word := t.String("protocol")
	for _, k := range keysOf {
		if t.Has(k.key) && word != k.protocol && word != "" {
			mistake(k.key, "%s is for protocol = %q", k.key, k.protocol)
		}
	}
	speak := dialects[word]
	switch {
	case speak != nil:
		var good bool
		if d.dialect, good = speak(c); d.dialect == nil {
			return nil, false
		}
		if _, isPolled := d.dialect.(*polled); !isPolled && !foreignKeys(c) {
			good = false
		}
		d.infos = d.dialect.infos()
		return d, ok && good
	case word == "" && !t.Has("protocol"): // already said: it is required
	default:
		mistake("protocol", "protocol: %s", noneOf(word, slices.Sorted(maps.Keys(dialects))))
	}
	return nil, false // without it no point can be judged
}

// keysOf are the keys of one protocol alone.
var keysOf = []struct{ key, protocol string }{{"columns", "csv"}, {"header", "csv"}, {"separator", "csv"}, {"pattern", "regexp"}}

// defaultBaud is what most devices of a protocol have.
func defaultBaud(protocol string) int {
	if protocol == "p1" {
		return 115200 // since DSMR 4
	}
	return 9600
}

func noneOf(word string, words []string) string {
	text := fmt.Sprintf("%q is none of %s", word, strings.Join(words, ", "))
	if near := schema.Nearest(word, words); near != "" {
		text += fmt.Sprintf(": did you mean %q?", near)
	}
	return text
}

func buildDevice(dc devices.DeviceConfig, proto protocol) (*device, bool) {
	d, ok := &device{id: dc.ID, open: len(dc.Points) == 0, model: dc.Table.String("model")}, true
	d.named = d.model != ""
	where := dc.Table.Table("where")
	for _, key := range where.Keys() {
		v, _ := where.Get(key)
		switch v.V.(type) {
		case string, int64, float64, bool:
			if _, err := proto.source(key, devices.KindText); err != nil {
				ok = false
				where.Errorf(key, "%s: %v", key, err)
			}
			d.where = append(d.where, condition{source: key, want: scalarText(v.V)})
		default:
			ok = false
			where.Errorf(key, "%s takes a string, a number or true or false: what the field says in this device's lines", key)
		}
	}
	for _, pc := range dc.Points {
		p, good := buildPoint(pc, proto)
		d.points = append(d.points, p)
		ok = ok && good
	}
	return d, ok
}
