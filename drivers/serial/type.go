package serial

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/serial/port"
)

// Type is the driver's entry in the table of drivers. open is how ports are opened; nil for the machine's own.
func Type(open port.Opener) devices.Type {
	if open == nil {
		open = port.Open
	}
	return devices.Type{
		Name: "serial",
		Help: "Devices that talk in lines of text over a serial port: a JSON object or name=value pairs a line. " +
			"Several devices may share a port; `where` says whose a line is.",
		Kind: devices.KindNumber,
		Connection: []schema.Key{
			{Name: "port", Kind: schema.String, Required: true, Help: "the device file; one under /dev/serial/by-id stays the same whatever else is plugged in"},
			{Name: "baud", Kind: schema.Int, Default: "9600", Help: "bits a second, as the board has it"},
			{Name: "mode", Kind: schema.String, Default: "8N1", Help: "data bits, parity (N, E, O) and stop bits"},
			{Name: "dtr", Kind: schema.Bool, Help: "what the line DTR is set to after opening; left alone without, as many boards reset when it moves"},
			{Name: "protocol", Kind: schema.String, Required: true, Help: "what a line is: json or keyvalue"},
			{Name: "poll", Kind: schema.Duration, Later: true, Help: "how often registers are read"},
		},
		Device: []schema.Key{
			{Name: "where", Kind: schema.SubTable, Help: "fields and the values they have in this device's lines, where several devices share the port"},
			{Name: "slave", Kind: schema.Int, Later: true, Help: "the address on a Modbus line"},
		},
		Point: []schema.Key{
			{Name: "source", Kind: schema.String, Help: "the field it is read from; with json also a path, as in \"sensors.0.t\""},
			{Name: "write", Kind: schema.String, Help: "the line that sets it, with {{.Value}} for the value; a point without is read only"},
			{Name: "on", Kind: schema.Scalar, Help: "what the device says when a switch is on"},
			{Name: "off", Kind: schema.Scalar, Help: "what the device says when a switch is off"},
			{Name: "type", Kind: schema.String, Later: true, Help: "how a Modbus register is read"},
			{Name: "order", Kind: schema.String, Later: true, Help: "the order of a Modbus value's bytes"},
			{Name: "poll", Kind: schema.Duration, Later: true, Help: "how often a Modbus register is read"},
		},
		Writes: func(p *schema.Table) bool { return p.String("write") != "" },
		Build: func(c devices.Connection) devices.Driver {
			if d, ok := build(c, open); ok {
				return d
			}
			return nil
		},
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
	switch {
	case strings.HasPrefix(d.port, "tcp://"):
		mistake("port", "not in this version: port = %q", d.port)
	case d.port == "":
		ok = false
		if t.Has("port") {
			t.Errorf("port", "port is empty: it is the device file, such as /dev/ttyUSB0")
		}
	}
	var err error
	if d.mode, err = port.ParseMode(t.StringOr("mode", "8N1")); err != nil {
		mistake("mode", "mode: %v", err)
	}
	if d.mode.Baud = t.Int("baud", 9600); d.mode.Baud < 50 || d.mode.Baud > 4_000_000 {
		mistake("baud", "baud: %d is no speed of a serial port: 9600 and 115200 are usual", d.mode.Baud)
	}
	if t.Has("dtr") {
		dtr := t.Bool("dtr", false)
		d.mode.DTR = &dtr
	}
	word := t.String("protocol")
	speak := dialects[word]
	switch {
	case speak != nil:
		var good bool
		d.dialect, good = speak(c)
		d.infos = d.dialect.infos()
		return d, ok && good
	case slices.Contains(later, word):
		mistake("protocol", "not in this version: protocol = %q", word)
	case word == "" && !t.Has("protocol"): // already said: it is required
	default:
		mistake("protocol", "protocol: %s", noneOf(word, slices.Sorted(maps.Keys(dialects))))
	}
	return nil, false // without it no point can be judged
}

func noneOf(word string, words []string) string {
	text := fmt.Sprintf("%q is none of %s", word, strings.Join(words, ", "))
	if near := schema.Nearest(word, words); near != "" {
		text += fmt.Sprintf(": did you mean %q?", near)
	}
	return text
}

func buildDevice(dc devices.DeviceConfig, proto protocol) (*device, bool) {
	d, ok := &device{id: dc.ID}, true
	where := dc.Table.Table("where")
	for _, key := range where.Keys() {
		v, _ := where.Get(key)
		switch v.V.(type) {
		case string, int64, float64, bool:
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
