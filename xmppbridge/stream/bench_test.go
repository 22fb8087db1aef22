package stream

import (
	"bytes"
	"io"
	"testing"
)

// sample is a presence of a device as the gateway sends it, 270 bytes.
const sample = "<presence from='lamp@things.example.org/lamp' to='someone@example.org'>" +
	"<status>21.4 °C · 48 %</status><show>away</show><c xmlns='http://jabber.org/protocol/caps' " +
	"hash='sha-1' node='https://example.org/tidings' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>" +
	"<priority>-1</priority></presence>"

func BenchmarkAppendXML(b *testing.B) {
	e, err := Parse([]byte(sample))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(sample)))
	buf := make([]byte, 0, 4096)
	for b.Loop() {
		buf = e.AppendXML(buf[:0])
	}
}

// repeat reads the same bytes for ever.
type repeat struct {
	b   []byte
	pos int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.b[r.pos:])
		n += c
		r.pos = (r.pos + c) % len(r.b)
	}
	return n, nil
}

var _ io.Reader = (*repeat)(nil)

func BenchmarkDecoder(b *testing.B) {
	for name, stanza := range map[string]string{
		"presence": sample,
		"command": "<iq type='set' id='c-17' from='someone@example.org/phone' to='lamp@things.example.org/lamp'>" +
			"<command xmlns='http://jabber.org/protocol/commands' node='lamp/power/set' action='execute'>" +
			"<x xmlns='jabber:x:data' type='submit'><field var='power'><value>on</value></field></x></command></iq>",
	} {
		b.Run(name, func(b *testing.B) {
			d := NewDecoder(&repeat{b: []byte(stanza)}, Limits{})
			b.ReportAllocs()
			b.SetBytes(int64(len(stanza)))
			for b.Loop() {
				if _, err := d.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	in := []byte(sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSend measures a stanza from the tree through the queue and the writer.
func BenchmarkTree(b *testing.B) {
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		e := New(NS, "presence", "from", "lamp@things.example.org/lamp", "to", "someone@example.org").
			Add(New(NS, "status").AddText("21.4 °C · 48 %"))
		buf.Write(e.AppendXML(buf.AvailableBuffer()))
	}
}
