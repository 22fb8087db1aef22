package serial

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

const codecConfig = `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "PROTOCOL"
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
`

// FuzzLines: whatever a port delivers and in whatever pieces, nothing breaks, memory is bounded, every line is
// accounted for once, and the pieces make no difference.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"{\"id\":\"a\",\"t\":214,\"x\":\"y\",\"pump\":\"on\",\"s\":[{\"t\":1}]}\r\n", "id=a t=21.5 pump=off x=\"a b\"\n", "\xff\x00\n{\n}\r\r\n",
		"{\"id\":\"a\",\"t\":nu", "id=a t=\nid=a t==1\n\"\n", strings.Repeat("{\"id\":", 700) + "\n", strings.Repeat("[", 5000) + "\n",
		"{\"id\":\"a\",\"s\":{\"0\":{\"t\":null}}}\n{\"id\":\"a\",\"s\":null}\n",
	} {
		f.Add([]byte(seed), uint16(3))
	}
	f.Fuzz(func(t *testing.T, input []byte, size uint16) {
		for _, protocol := range []string{"json", "keyvalue"} {
			config := strings.Replace(codecConfig, "PROTOCOL", protocol, 1)
			whole, pieces := fed(t, config, input, len(input)+1), fed(t, config, input, int(size%64)+1)
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

func fed(t *testing.T, config string, input []byte, size int) *reader {
	d, sink := built(t, config), &drivertest.Sink{}
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
			protocol
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
	for name, line := range map[string]string{"json": `{"t":214,"h":48,"pump":false,"set":21.0}`, "keyvalue": `t=21.4 h=48 pump=off set=21.0`} {
		b.Run(name, func(b *testing.B) {
			d := built(b, `
[drivers.attic]
port     = "/dev/ttyUSB0"
protocol = "`+name+`"
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
			sink := &nowhere{}
			r := newReader(d, sink)
			piece := []byte(line + "\r\n")
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				r.decoder.feed(piece, time.Time{})
				n++
			}
			if sink.readings != 4*n {
				b.Fatalf("%d readings of %d lines", sink.readings, n)
			}
		})
	}
}

func BenchmarkCommand(b *testing.B) {
	d := built(b, nodeConfig)
	p := d.devices[0].point("pump")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.command(d.protocol, devices.Bool(true)); err != nil {
			b.Fatal(err)
		}
	}
}
