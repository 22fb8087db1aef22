package local

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"tidings/xmppbridge/stream"
)

// wire is a client's connection as the decoder and the stream see it: the layers of TLS change beneath it, and once the client is
// logged in it reads no faster than the client may send. Slowing down the reading is what makes a flood the
// sender's own problem: TCP stops it, and nothing of it is held here.
type wire struct {
	net.Conn
	meter *meter // nil until the client is logged in
	left  int    // bytes that may still come before that

	closed   atomic.Bool
	deadline atomic.Int64 // for reading, in Unix nanoseconds; 0 is none
}

// slice is how often a reader that is being slowed down looks whether its connection was closed.
const slice = 100 * time.Millisecond

func (w *wire) Read(p []byte) (int, error) {
	if w.meter == nil {
		if w.left <= 0 {
			return 0, &stream.Error{Condition: stream.PolicyViolation, Text: "too much before login"}
		}
		n, err := w.Conn.Read(p[:min(len(p), w.left)])
		w.left -= n
		return n, err
	}
	for {
		wait := w.meter.debt(time.Now())
		if d := w.deadline.Load(); wait <= 0 || w.closed.Load() || d != 0 && time.Now().UnixNano() >= d {
			break // the connection itself knows what to answer
		}
		time.Sleep(min(wait, slice))
	}
	n, err := w.Conn.Read(p)
	w.meter.read(n)
	return n, err
}

func (w *wire) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}

// CloseWrite ends our half, so that a client still reads the reason why it was cut off.
func (w *wire) CloseWrite() error { return closeWrite(w.Conn) }

// closeWrite ends our half of a connection where it has halves.
func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (w *wire) SetDeadline(t time.Time) error {
	w.note(t)
	return w.Conn.SetDeadline(t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.note(t)
	return w.Conn.SetReadDeadline(t)
}

func (w *wire) note(t time.Time) {
	if t.IsZero() {
		w.deadline.Store(0)
	} else {
		w.deadline.Store(t.UnixNano())
	}
}

// burst is how many seconds' worth a client may send at once.
const burst = 4

// meter is a token bucket for bytes and one for stanzas. It belongs to the goroutine that reads.
type meter struct {
	bytesPerSecond, stanzasPerSecond float64
	bytes, stanzas                   float64 // left; below zero is debt
	at                               time.Time
}

func newMeter(l Limits, now time.Time) *meter {
	return &meter{
		bytesPerSecond: float64(l.BytesPerSecond), stanzasPerSecond: float64(l.StanzasPerSec),
		bytes: burst * float64(l.BytesPerSecond), stanzas: burst * float64(l.StanzasPerSec),
		at: now,
	}
}

func (m *meter) read(n int) { m.bytes -= float64(n) }
func (m *meter) stanza()    { m.stanzas-- }

// debt returns how long nothing may be read.
func (m *meter) debt(now time.Time) time.Duration {
	passed := now.Sub(m.at).Seconds()
	m.at = now
	m.bytes = min(m.bytes+passed*m.bytesPerSecond, burst*m.bytesPerSecond)
	m.stanzas = min(m.stanzas+passed*m.stanzasPerSecond, burst*m.stanzasPerSecond)
	seconds := max(-m.bytes/m.bytesPerSecond, -m.stanzas/m.stanzasPerSecond)
	return time.Duration(seconds * float64(time.Second))
}
