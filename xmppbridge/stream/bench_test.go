package stream

import (
	"context"
	"io"
	"net"
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

// BenchmarkBuild makes a presence from scratch and writes it.
func BenchmarkBuild(b *testing.B) {
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		e := New(NS, "presence", "from", "lamp@things.example.org/lamp", "to", "someone@example.org").
			Add(New(NS, "status").AddText("21.4 °C · 48 %"))
		buf = e.AppendXML(buf[:0])
	}
}

// BenchmarkSend takes a stanza from the tree through the queue and the writer to
// a connection that swallows everything.
func BenchmarkSend(b *testing.B) {
	e, err := Parse([]byte(sample))
	if err != nil {
		b.Fatal(err)
	}
	near, far := net.Pipe()
	s := NewStream(sink{near}, NewDecoder(near, Limits{}), Options{})
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- s.Run(ctx) }()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := s.Send(e); err != nil {
			b.Fatal(err)
		}
		if n%100 == 0 {
			if err := s.Flushed(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	stop()
	far.Close()
	<-end
}

// sink is a connection that is never slow.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkPing takes a request and its answer through two streams on loopback TCP.
func BenchmarkPing(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	end := make(chan error, 2)
	var server *Stream
	server = NewStream(near, NewDecoder(near, Limits{}), Options{Handle: func(e *Element) { _ = server.Send(Result(e)) }})
	client := NewStream(far, NewDecoder(far, Limits{}), Options{})
	go func() { end <- server.Run(ctx) }()
	go func() { end <- client.Run(ctx) }()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Request(ctx, New(NS, "iq", "type", "get", "to", "example.org").Add(New("urn:xmpp:ping", "ping"))); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	<-end
	<-end
}
