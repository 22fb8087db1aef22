package serial

import (
	"slices"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"ports over the network": {`[drivers.attic]
port     = "tcp://10.0.0.7"
protocol = "json"
`, []string{`gateway.toml:2: drivers.attic: port: "10.0.0.7" is no host and port, such as tcp://192.168.1.20:4001`}},
		"schemes": {`[drivers.attic]
port     = "telnet://10.0.0.7:23"
protocol = "json"
`, []string{`gateway.toml:2: drivers.attic: port: telnet:// is none of tcp:// and rfc2217://`}},
		"everything about the port": {`[drivers.attic]
baud     = 0
mode     = "8X1"
dtr      = "no"
protocol = "jsn"
prot     = 1
`, []string{
			`gateway.toml:1: drivers.attic: port is missing: the device file; one under /dev/serial/by-id stays the same whatever else is plugged in; or tcp://host:port of a serial server`,
			`gateway.toml:2: drivers.attic: baud: 0 is no speed of a serial port: 9600 and 115200 are usual`,
			`gateway.toml:3: drivers.attic: mode: "8X1" is none: it is data bits (5 to 8), parity (N, E or O) and stop bits (1 or 2), as in "8N1"`,
			`gateway.toml:4: drivers.attic: dtr is the string "no", but takes true or false`,
			`gateway.toml:5: drivers.attic: protocol: "jsn" is none of csv, json, keyvalue, modbus, modbus-tcp, p1, regexp, sds011: did you mean "json"?`,
			`gateway.toml:6: drivers.attic: unknown key "prot": did you mean "port"?`,
		}},
		"empty": {"[drivers.attic]\nport = \"\"\nprotocol = \"\"\n", []string{
			`gateway.toml:2: drivers.attic: port: it is empty: the device file belongs here, such as /dev/ttyUSB0, or tcp://host:port`,
			`gateway.toml:3: drivers.attic: protocol: "" is none of csv, json, keyvalue, modbus, modbus-tcp, p1, regexp, sds011`,
		}},
		"no port and no protocol": {"[drivers.attic]\n", []string{
			`gateway.toml:1: drivers.attic: port is missing: the device file; one under /dev/serial/by-id stays the same whatever else is plugged in; or tcp://host:port of a serial server`,
			`gateway.toml:1: drivers.attic: protocol is missing: what is spoken: json, keyvalue, csv, regexp, modbus, modbus-tcp, p1 or sds011`,
		}},
		"points": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "json"
[devices.node]
slave = 1
where = { id = "a", list = [1], table = { a = 1 } }
[devices.node.points.nothing]
unit   = "W"
[devices.node.points.half]
source = "h"
on     = "ON"
[devices.node.points.number]
source = "n"
kind   = "number"
on     = 1
off    = 0
[devices.node.points.same]
source = "s"
on     = "X"
off    = "X"
[devices.node.points.unsafe]
source = "u"
kind   = "switch"
safe   = false
[devices.node.points.register]
source = "r"
type   = "float32"
`, []string{
			`gateway.toml:5: devices.node: slave is for protocol = "modbus"`,
			`gateway.toml:6: devices.node.where: list takes a string, a number or true or false: what the field says in this device's lines`,
			`gateway.toml:6: devices.node.where: table takes a string, a number or true or false: what the field says in this device's lines`,
			`gateway.toml:7: devices.node.points.nothing: source is missing: the field this point is read from`,
			`gateway.toml:11: devices.node.points.half: on and off go together: what the device says for each`,
			`gateway.toml:15: devices.node.points.number: on and off are for kind = "switch", and this is a number`,
			`gateway.toml:19: devices.node.points.same: on and off are both "X"`,
			`gateway.toml:24: devices.node.points.unsafe: safe needs write: how the value is set`,
			`gateway.toml:27: devices.node.points.register: type is for protocol = "modbus"`,
		}},
		"templates": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "json"
[devices.node.points.open]
write = '{"set":{{.Value}'
[devices.node.points.name]
write = '{"set":{{.Valu}}}'
[devices.node.points.func]
write = '{"set":{{json .Value}}}'
[devices.node.points.two]
write = "a{{.Value}}\nb"
[devices.node.points.off]
kind  = "switch"
write = '{{if .Value}}on{{end}}'
[devices.node.points.kind]
write = '{{if eq .Value "x"}}on{{end}}'
[devices.node.points.end]
write = '{{if .Value}}on'
`, []string{
			`gateway.toml:5: devices.node.points.open: write: bad character U+007D '}'`,
			`gateway.toml:7: devices.node.points.name: write: <.Valu>: can't evaluate field Valu: there is only .Value, as in '{"pump":{{.Value}}}'`,
			`gateway.toml:9: devices.node.points.func: write: function "json" not defined`,
			`gateway.toml:11: devices.node.points.two: write: makes more than one line`,
			`gateway.toml:14: devices.node.points.off: write: makes an empty line`,
			`gateway.toml:16: devices.node.points.kind: write: <eq .Value "x">: error calling eq: incompatible types for comparison`,
			`gateway.toml:18: devices.node.points.end: write: unexpected EOF`,
		}},
		"keys of another protocol": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "json"
header   = true
pattern  = "x"
`, []string{
			`gateway.toml:4: drivers.attic: header is for protocol = "csv"`,
			`gateway.toml:5: drivers.attic: pattern is for protocol = "regexp"`,
		}},
		"csv": {`[drivers.attic]
port      = "/dev/ttyUSB0"
protocol  = "csv"
separator = ", "
header    = true
columns   = ["t", "t", ""]
`, []string{
			`gateway.toml:4: drivers.attic: separator: ", " is none: it is one character, such as ",", ";" or "\t"`,
			`gateway.toml:5: drivers.attic: header and columns both name the columns: columns is for boards that do not, or only when they start`,
			`gateway.toml:6: drivers.attic: columns: "t" is no name of its own`,
			`gateway.toml:6: drivers.attic: columns: "" is no name of its own`,
		}},
		"columns by number": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "csv"
[devices.node]
where = { id = "a" }
[devices.node.points.name]
source = "t"
[devices.node.points.zero]
source = "0"
[devices.node.points.three]
source = "3"
`, []string{
			`gateway.toml:5: devices.node.where: id: "id" is a name: name the columns by columns = [...], or with header = true as the board does, or give the column's number`,
			`gateway.toml:7: devices.node.points.name: source: "t" is a name: name the columns by columns = [...], or with header = true as the board does, or give the column's number`,
			`gateway.toml:9: devices.node.points.zero: source: columns are counted from 1`,
		}},
		"columns by name": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "csv"
columns  = ["temperature", "h"]
[devices.node.points.near]
source = "temperatur"
[devices.node.points.three]
source = "3"
[devices.node.points.two]
source = "2"
`, []string{
			`gateway.toml:6: devices.node.points.near: source: "temperatur" is none of temperature, h: did you mean "temperature"?`,
			`gateway.toml:8: devices.node.points.three: source: there are 2 columns`,
		}},
		"no pattern": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "regexp"
`, []string{`gateway.toml:1: drivers.attic: pattern is missing: what a line looks like, as 'T=(?P<t>[\d.]+) H=(?P<h>\d+)'`}},
		"no expression": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "regexp"
pattern  = 'T=(?P<t>[0-9.'
`, []string{"gateway.toml:4: drivers.attic: pattern: error parsing regexp: missing closing ]: `[0-9.`"}},
		"no names": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "regexp"
pattern  = 'T=([0-9.]+)'
`, []string{`gateway.toml:4: drivers.attic: pattern: no group has a name: it is written (?P<name>...)`}},
		"groups": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "regexp"
pattern  = 'T=(?P<temp>[0-9.]+)( H=(?P<hum>[0-9]+))?'
[devices.node.points.t]
source = "tem"
`, []string{`gateway.toml:6: devices.node.points.t: source: "tem" is none of temp, hum: did you mean "temp"?`}},
		"p1": {`[drivers.meter]
port     = "/dev/ttyUSB0"
protocol = "p1"
[devices.meter.points.power]
source = "power"
[devices.meter.points.time]
source = "0-0:1.0.0"
[devices.meter.points.read_at]
source = "0-1:24.2.1.time"
[devices.meter.points.message]
source = "0-0:96.13.0"
[devices.meter.points.breaker]
source = "0-0:96.3.10"
write  = "x"
`, []string{
			`gateway.toml:5: devices.meter.points.power: source: it is a code of the meter's, such as "1-0:1.8.1"`,
			`gateway.toml:7: devices.meter.points.time: source: "0-0:1.0.0" is a time: its kind is "time"`,
			`gateway.toml:9: devices.meter.points.read_at: source: "0-1:24.2.1.time" is a time: its kind is "time"`,
			`gateway.toml:11: devices.meter.points.message: source: "0-0:96.13.0" is a text: its kind is "text"`,
			`gateway.toml:14: devices.meter.points.breaker: write: this protocol only listens: what speaks it takes no commands`,
		}},
		"sds011": {`[drivers.dust]
port     = "/dev/ttyUSB0"
protocol = "sds011"
[devices.dust.points.pm1]
source = "pm1"
`, []string{`gateway.toml:5: devices.dust.points.pm1: source: "pm1" is none of pm25, pm10, id: did you mean "pm10"?`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := drivertest.Problems(t, Type(nil), c.config)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	d, sink := built(t, nodeConfig), &drivertest.Sink{}
	sink.Announce(d.info(d.devices[0]))
	info, _ := sink.Announced("node")
	want := []devices.Point{
		{Name: "t", Kind: devices.KindNumber, Readable: true},
		{Name: "pump", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
		{Name: "ring", Kind: devices.KindAction, Writable: true},
	}
	if info.Driver != "attic" || info.Address != "/dev/ttyTEST0" || info.Silence != silence {
		t.Errorf("announced %+v", info)
	}
	for i, p := range want {
		if got := info.Points[i]; got.Name != p.Name || got.Kind != p.Kind || got.Readable != p.Readable || got.Writable != p.Writable || got.Confirms != p.Confirms {
			t.Errorf("point %+v, want %+v", got, p)
		}
	}
}
