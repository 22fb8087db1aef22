package serial

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial/modbus"
)

func TestModbusMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"the line": {`[drivers.meters]
port     = "/dev/ttyUSB0"
protocol = "modbus"
poll     = "1ms"
timeout  = "1m"
retries  = 99
pause    = "2s"
`, []string{
			`gateway.toml:4: drivers.meters: poll: 1ms is more often than a line can: at least 50ms`,
			`gateway.toml:5: drivers.meters: timeout: 10ms to 10s can be waited for an answer`,
			`gateway.toml:6: drivers.meters: retries: 0 to 10 repetitions make sense`,
			`gateway.toml:7: drivers.meters: pause: at most 1s can lie before each request`,
		}},
		"tcp on a serial port": {"[drivers.meters]\nport = \"/dev/ttyUSB0\"\nprotocol = \"modbus-tcp\"\n", []string{
			`gateway.toml:2: drivers.meters: port: protocol = "modbus-tcp" is for tcp://HOST:PORT; on a serial port it is "modbus"`,
		}},
		"devices": {`[drivers.meters]
port     = "/dev/ttyUSB0"
protocol = "modbus"
[devices.a]
where = { id = 1 }
[devices.b]
slave = 0
gap   = -1
block = 200
[devices.c]
slave   = 1
profile = "sdm121"
`, []string{
			`gateway.toml:4: devices.a: slave is missing: the device's address on the Modbus line, 1 to 247`,
			`gateway.toml:5: devices.a: where is for devices that speak unasked: on a Modbus line slave says which it is`,
			`gateway.toml:7: devices.b: slave: 0 is no address of a device: they are 1 to 247`,
			`gateway.toml:8: devices.b: gap: 0 to 2000 registers or coils can be read over`,
			`gateway.toml:9: devices.b: block: one request takes 1 to 125 registers`,
			`gateway.toml:12: devices.c: profile: there is no profile "sdm121": did you mean "sdm120"?`,
		}},
		"written without write": {`[drivers.meters]
port     = "/dev/ttyUSB0"
protocol = "modbus"
[devices.d]
slave = 1
[devices.d.points.relay]
source   = "coil:1"
multiple = true
`, []string{`gateway.toml:8: devices.d.points.relay: multiple says how the point is written, and it is not: add write, or take it out`}},
		"points": {`[drivers.meters]
port     = "/dev/ttyUSB0"
protocol = "modbus"
[devices.d]
slave = 1
[devices.d.points.a]
unit = "W"
[devices.d.points.b]
source = "inputs:1"
[devices.d.points.c]
source = "input:65536"
[devices.d.points.d]
source = "input:65535"
type   = "float32"
[devices.d.points.e]
source = "input:1"
write  = "input:1"
[devices.d.points.f]
source = "input:1"
type   = "float"
order  = "abcd"
[devices.d.points.g]
source = "coil:1"
kind   = "number"
[devices.d.points.h]
source = "coil:1"
type   = "int16"
[devices.d.points.i]
source = "holding:1"
kind   = "text"
[devices.d.points.j]
source = "holding:1"
on     = "ON"
off    = "OFF"
[devices.d.points.k]
source = "holding:1"
on     = 1
[devices.d.points.l]
source   = "holding:1"
write    = "holding:1"
write_on = 70000
kind     = "switch"
[devices.d.points.m]
source = "holding:1"
safe   = 1
[devices.d.points.n]
source   = "coil:1"
write    = "coil:1"
write_on = 256
[devices.d.points.o]
source   = "holding:1"
write    = "holding:1"
write_on = 256
[devices.d.points.p]
source = "holding:1"
poll   = "1ms"
`, []string{
			`gateway.toml:6: devices.d.points.a: source is missing: what is read, as in "input:12": coil, discrete, holding or input, and the address from 0`,
			`gateway.toml:9: devices.d.points.b: source: "inputs:1" is no place in a slave: it is coil, discrete, holding or input and the address from 0, as in "input:12"`,
			`gateway.toml:11: devices.d.points.c: source: "input:65536": the address is 0 to 65535, or 0x0000 to 0xFFFF; a manual's 30013 is input:12, its 40013 holding:12`,
			`gateway.toml:13: devices.d.points.d: source: input:65535 ends behind the last register, 65535`,
			`gateway.toml:17: devices.d.points.e: write: input:1 can only be read: coil and holding can be written`,
			`gateway.toml:20: devices.d.points.f: type: "float" is none of uint16, int16, uint32, int32, uint64, int64, float32, float64, bit:N`,
			`gateway.toml:21: devices.d.points.f: order: "abcd" is none of ABCD, CDAB, BADC, DCBA: did you mean "ABCD"?`,
			`gateway.toml:24: devices.d.points.g: kind: a coil or discrete input is on or off, and no number`,
			`gateway.toml:27: devices.d.points.h: type is for holding and input registers: a coil or discrete input is one bit`,
			`gateway.toml:30: devices.d.points.i: kind: a register is a number, a switch or an action, and no text`,
			`gateway.toml:33: devices.d.points.j: on: "ON" is no number that a register could read`,
			`gateway.toml:34: devices.d.points.j: off: "OFF" is no number that a register could read`,
			`gateway.toml:37: devices.d.points.k: on and off go together: what the register reads for each`,
			`gateway.toml:41: devices.d.points.l: write_on: out of range: 70000 does not fit into uint16, which holds 0 to 65535`,
			`gateway.toml:45: devices.d.points.m: safe needs write: what is set`,
			`gateway.toml:49: devices.d.points.n: write_on: out of range: a coil takes 0 and 1, and not 256`,
			`gateway.toml:53: devices.d.points.o: write_on and write_off are for kind = "switch", and this is a number`,
			`gateway.toml:56: devices.d.points.p: poll: 1ms is more often than a line can: at least 50ms`,
		}},
		"keys of a Modbus line elsewhere": {`[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "json"
timeout  = "1s"
[devices.node]
gap = 1
[devices.node.points.x]
source = "x"
order  = "ABCD"
`, []string{
			`gateway.toml:4: drivers.attic: timeout is for protocol = "modbus"`,
			`gateway.toml:6: devices.node: gap is for protocol = "modbus"`,
			`gateway.toml:9: devices.node.points.x: order is for protocol = "modbus"`,
		}},
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

// BenchmarkModbusAnswer is what follows an answer with forty floats: as many readings.
func BenchmarkModbusAnswer(b *testing.B) {
	a, s := answering(b, 40)
	block, data := s.tasks(time.Now())[0].block, make([]byte, 160)
	for i := range 40 {
		copy(data[4*i:], "\x43\x66\x33\x34")
	}
	b.ReportAllocs()
	for b.Loop() {
		a.publish(s, block, modbus.Answer{Data: data, Sent: time.Now()})
	}
	if a.out.(*nowhere).readings == 0 {
		b.Fatal("no readings")
	}
}

// answering is a session with a slave of so many floats, without a line.
func answering(t testing.TB, floats int) (*asking, *slave) {
	t.Helper()
	p := &polled{log: drivertest.Connection(t, Type(nil), meterLine).Log}
	d := &polledDevice{info: devices.Info{ID: "meter"}, slave: 1, most: 125}
	for i := range floats {
		d.registers = append(d.registers, &register{
			Point: devices.Point{Name: string(rune('a' + i)), Readable: true}, poll: time.Second,
			at: modbus.Item{Table: modbus.Input, Address: uint16(2 * i), Count: 2}, format: modbus.Format{Type: modbus.Float32},
		})
	}
	p.devices = []*polledDevice{d}
	a := newAsking(p, nil, &nowhere{})
	return a, a.slaves[0]
}

// FuzzModbusAnswer: whatever an answer holds, every point has a reading of it, and one that can be.
func FuzzModbusAnswer(f *testing.F) {
	f.Add([]byte("\x43\x66\x33\x34\x7F\xC0\x00\x00"), uint8(6), uint8(0))
	f.Add([]byte("\xFF\xFF"), uint8(8), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, typ, order uint8) {
		r := &register{format: modbus.Format{Type: modbus.Type(typ % 9), Bit: order % 16, Order: modbus.Order(order % 4)}}
		r.at = modbus.Item{Table: modbus.Holding, Count: r.format.Registers()}
		if len(data) < 2*r.at.Count {
			return
		}
		one, zero := 1.0, 0.0
		for _, r.Kind = range []devices.PointKind{devices.KindNumber, devices.KindSwitch} {
			for _, r.on = range []*float64{nil, &one} {
				r.off = map[bool]*float64{true: &zero}[r.on != nil]
				v, q, err := r.value(data)
				if (q == devices.Good) == v.IsZero() || (q == devices.Faulty) != (err != nil) {
					t.Fatalf("%s: % X is %q, %s, %v", r.format, data, v, q, err)
				}
			}
		}
	})
}
