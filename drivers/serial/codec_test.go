package serial

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

// codecConfigs are a device on a line of each protocol.
var codecConfigs = map[string]string{
	"json": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "json"
[devices.node]
where = { id = "a" }
[devices.node.points.t]
source = "t"
[devices.node.points.deep]
source = "s.0.t"
[devices.node.points.text]
source = "x"
kind   = "text"
[devices.node.points.pump]
source = "pump"
on     = "on"
off    = "off"
`,
	"keyvalue": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "keyvalue"
[devices.node]
where = { id = "a" }
[devices.node.points.t]
source = "t"
[devices.node.points.text]
source = "x"
kind   = "text"
`,
	"csv": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "csv"
header   = true
[devices.node.points.t]
source = "t"
[devices.node.points.text]
source = "3"
kind   = "text"
`,
	"regexp": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "regexp"
pattern  = '(?P<id>\w+) T=(?P<t>[-\d.]+)( (?P<x>.*))?'
[devices.node]
where = { id = "a" }
[devices.node.points.t]
source = "t"
[devices.node.points.text]
source = "x"
kind   = "text"
`,
	"p1": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "p1"
[devices.node]
`,
	"sds011": `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "sds011"
[devices.node]
`,
}

// FuzzLines: whatever a port delivers and in whatever pieces, nothing breaks, memory is bounded, every line is
// accounted for once, and the pieces make no difference.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"{\"id\":\"a\",\"t\":214,\"x\":\"y\",\"pump\":\"on\",\"s\":[{\"t\":1}]}\r\n", "id=a t=21.5 pump=off x=\"a b\"\n", "\xff\x00\n{\n}\r\r\n",
		"{\"id\":\"a\",\"t\":nu", "id=a t=\nid=a t==1\n\"\n", strings.Repeat("{\"id\":", 700) + "\n", strings.Repeat("[", 5000) + "\n",
		"x,t\n1,2,3\n\"a\"\"b\",2\nt,x,y\n1,2,3\n", "a T=21.5 x y\nb T=.\na T=1\r", "1,\"2\n\",\"\",,\n",
		"{\"id\":\"a\",\"s\":{\"0\":{\"t\":null}}}\n{\"id\":\"a\",\"s\":null}\n",
	} {
		f.Add([]byte(seed), uint16(3))
	}
	listeners := map[string]*listener{}
	for _, protocol := range []string{"json", "keyvalue", "csv", "regexp"} {
		listeners[protocol] = built(f, codecConfigs[protocol])
	}
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		for protocol, l := range listeners {
			whole, pieces := fed(t, l, input, len(input)+1), fed(t, l, input, int(size%64)+1)
			if whole.tally != pieces.tally {
				t.Fatalf("%s: whole %+v, in pieces of %d %+v", protocol, whole.tally, int(size%64)+1, pieces.tally)
			}
			n := whole.tally
			count := 0
			for _, line := range bytes.FieldsFunc(input, func(r rune) bool { return r == '\r' || r == '\n' }) {
				if len(line) > 0 {
					count++
				}
			}
			if len(input) > 0 && input[len(input)-1] != '\n' && input[len(input)-1] != '\r' && len(whole.decoder.(*lines).part) > 0 {
				count-- // its end has not come
			}
			if got := n.Understood + n.Malformed + n.Encoding + n.TooLong; got != count {
				t.Fatalf("%s: %d lines, counted %+v", protocol, count, n)
			}
			if cap(whole.decoder.(*lines).part) > 4*MaxLine || cap(pieces.decoder.(*lines).part) > 4*MaxLine {
				t.Fatalf("%s: %d bytes are kept", protocol, cap(whole.decoder.(*lines).part))
			}
		}
	})
}

// FuzzFrames: the same for what does not come in lines. Every frame that is read is one, byte for byte.
func FuzzFrames(f *testing.F) {
	good := []byte{0xAA, 0xC0, 0xD4, 0x04, 0x3A, 0x0A, 0xA1, 0x60, 0x1D, 0xAB}
	f.Add(slices.Concat(good, good[:5], good, []byte{0xAA, 0xAA, 0xC0}, good), uint16(3))
	f.Add([]byte("/X5\r\n1-0:1.7.0(0.1*kW)\r\n!\r\n/X5\r\n1-0:1.7.0(0.2*kW)\r\n!\r\n"), uint16(1))
	listeners := map[string]*listener{"p1": built(f, codecConfigs["p1"]), "sds011": built(f, codecConfigs["sds011"])}
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		for protocol, l := range listeners {
			whole, pieces := fed(t, l, input, len(input)+1), fed(t, l, input, int(size%64)+1)
			if whole.tally != pieces.tally {
				t.Fatalf("%s: whole %+v, in pieces of %d %+v", protocol, whole.tally, int(size%64)+1, pieces.tally)
			}
			if d, ok := whole.decoder.(*frames); ok && cap(d.part) != d.format.size {
				t.Fatalf("%d bytes are kept", cap(d.part))
			}
			if protocol == "sds011" {
				found := 0
				for i := 0; i+10 <= len(input); i++ {
					if f := input[i : i+10]; f[0] == 0xAA && f[1] == 0xC0 && f[9] == 0xAB && sds011.check(f) {
						found, i = found+1, i+9
					}
				}
				if whole.tally.Understood != found {
					t.Fatalf("%d frames understood, and there are %d", whole.tally.Understood, found)
				}
			}
		}
	})
}

func fed(t *testing.T, d *listener, input []byte, size int) *reader {
	sink := &drivertest.Sink{}
	sink.Announce(d.info(d.devices[0]))
	sink.Link("node", true, nil)
	r := newReader(d, sink)
	for len(input) > 0 {
		n := min(size, len(input))
		r.decoder.feed(input[:n], time.Now())
		input = input[n:]
	}
	if broken := sink.Violations(); len(broken) > 0 {
		t.Fatal(broken)
	}
	return r
}

// TestTextReadsBack: a text put into a command reads back as the same, and is never more than its field.
func TestTextReadsBack(t *testing.T) {
	t.Parallel()
	p := &point{Point: devices.Point{Kind: devices.KindText}}
	for name, c := range map[string]struct {
		protocol interface {
			commander
			grammar
		}
		before, after string
	}{"json": {jsonLines{}, `{"x":`, `,"y":1}`}, "keyvalue": {keyValue{}, "x=", " y=1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				text := rapid.String().Draw(t, "text")
				written, err := c.protocol.text(text)
				if err != nil {
					return // it says that it cannot
				}
				line := c.before + written + c.after
				if !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
					t.Fatalf("%q is no line", line)
				}
				said, err := c.protocol.parse([]byte(line))
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				x, okX := said.find("x")
				y, okY := said.find("y")
				if v, _, err := x.value(p); !okX || !okY || err != nil || v != devices.Text(strings.ToValidUTF8(text, "\ufffd")) || y.text != "1" {
					t.Fatalf("%q reads back as %q %v", line, v, err)
				}
			})
		})
	}
}

// FuzzJSON: what is cut out of an object is what encoding/json makes of it.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"t":214,"h":48,"pump":false,"set":21.0}`, ` { "a" : [ 1 , { "b" : "c,}]" } , [ ] ] , "\u0061" : null , "" : { } } `,
		`{"a\"b":"\\","c":"\ud800","d":-1e5,"d":{"x":[[],[{}]]}}`, `[1]`, `"x"`, `{}`, `{"a":{"b":"}"},"c":tru}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if !utf8.Valid(line) {
			return
		}
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(line, &want)
		said, err := jsonLines{}.parse(line)
		if (err == nil) != (wantErr == nil && len(want) > 0) {
			t.Fatalf("%q: %v, encoding/json: %v", line, err, wantErr)
		}
		if err != nil {
			return
		}
		got := said.(jsonObject)
		for name, raw := range want {
			if cut, ok := got.member(name); !ok || cut != string(raw) {
				t.Fatalf("%q: field %q is %q, encoding/json: %q", line, name, cut, raw)
			}
			same(t, raw)
		}
		for _, m := range got {
			if _, ok := want[m.name]; !ok {
				t.Fatalf("%q: there is no field %q", line, m.name)
			}
		}
	})
}

// same compares the elements of a list, and of the lists in it, with what encoding/json makes of them.
func same(t *testing.T, raw json.RawMessage) {
	if raw[0] != '[' {
		return
	}
	var want []json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	got := cutList(string(raw))
	if len(got) != len(want) {
		t.Fatalf("%q is cut into %q", raw, got)
	}
	for i := range want {
		if got[i] != string(want[i]) {
			t.Fatalf("%q: element %d is %q", raw, i, got[i])
		}
		same(t, want[i])
	}
}

// nowhere is a sink that takes everything and keeps nothing.
type nowhere struct{ readings int }

func (*nowhere) Announce(devices.Info)                 {}
func (*nowhere) Withdraw(devices.ID, devices.Why)      {}
func (n *nowhere) Publish(readings ...devices.Reading) { n.readings += len(readings) }
func (*nowhere) Link(devices.ID, bool, error)          {}
func (*nowhere) Health(error)                          {}

func BenchmarkLine(b *testing.B) {
	for name, c := range map[string]struct{ keys, line string }{
		"json":     {"", `{"t":214,"h":48,"pump":false,"set":21.0}`},
		"keyvalue": {"", `t=21.4 h=48 pump=off set=21.0`},
		"csv":      {`columns = ["t", "h", "pump", "set"]`, `21.4,48,off,21.0`},
		"regexp":   {`pattern = 'T=(?P<t>[\d.]+) H=(?P<h>\d+) (?P<pump>on|off) (?P<set>[\d.]+)'`, `T=21.4 H=48 off 21.0`},
	} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, []byte(c.line+"\r\n"), 4, `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "`+name+`"
`+c.keys+`
[devices.greenhouse.points.temperature]
source = "t"
[devices.greenhouse.points.humidity]
source = "h"
[devices.greenhouse.points.target]
source = "set"
[devices.greenhouse.points.pump]
source = "pump"
kind   = "switch"
`)
		})
	}
}

// BenchmarkTelegram reads all that a meter with three phases and a gas meter says.
func BenchmarkTelegram(b *testing.B) {
	text, err := os.ReadFile("p1/testdata/dsmr50.telegram")
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, text, 21, codecConfigs["p1"])
}

func BenchmarkFrame(b *testing.B) {
	benchmark(b, []byte{0xAA, 0xC0, 0xD4, 0x04, 0x3A, 0x0A, 0xA1, 0x60, 0x1D, 0xAB}, 2, codecConfigs["sds011"])
}

// benchmark makes readings of the same message again and again.
func benchmark(b *testing.B, message []byte, readings int, config string) {
	sink := &nowhere{}
	r := newReader(built(b, config), sink)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r.decoder.feed(message, time.Time{})
		n++
	}
	if sink.readings != readings*n {
		b.Fatalf("%d readings of %d messages", sink.readings, n)
	}
}

func BenchmarkCommand(b *testing.B) {
	d := built(b, nodeConfig)
	p := d.devices[0].point("pump")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.command(devices.Bool(true)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTimeOfAFrame: a frame is as old as its first byte, and not as what was cut off before it.
func TestTimeOfAFrame(t *testing.T) {
	t.Parallel()
	good := []byte{0xAA, 0xC0, 0xD4, 0x04, 0x3A, 0x0A, 0xA1, 0x60, 0x1D, 0xAB}
	begun := time.Now()
	for _, cut := range []int{0, 1, 5, 9} {
		sink := &drivertest.Sink{}
		d := built(t, codecConfigs["sds011"])
		sink.Announce(d.info(d.devices[0]))
		sink.Link("node", true, nil)
		r := newReader(d, sink)
		r.decoder.feed(good[:cut], begun)
		r.decoder.feed(good[:3], begun.Add(time.Hour)) // it was unplugged
		r.decoder.feed(good[3:], begun.Add(time.Hour+time.Second))
		n := 0
		for _, e := range sink.Events() {
			if e.Kind != drivertest.Read {
				continue
			}
			if n++; !e.Reading.At.Equal(begun.Add(time.Hour)) {
				t.Errorf("after %d bytes of another: %s is %v old", cut, e.Reading.Point, begun.Add(time.Hour).Sub(e.Reading.At))
			}
		}
		if n == 0 {
			t.Errorf("after %d bytes of another nothing was read", cut)
		}
	}
}
