package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// What a Stream answers when it cannot do what is asked.
var (
	// ErrFull says that the queue holds as much as it may: the peer takes
	// stanzas more slowly than they are sent, or nothing writes yet.
	ErrFull = errors.New("stream: queue is full")
	// ErrClosed says that the stream has ended, or is about to.
	ErrClosed = errors.New("stream: closed")
	// ErrPeerClosed is what Run returns when the peer closed the stream in good order.
	ErrPeerClosed = errors.New("stream: closed by the peer")
	// ErrDead is what Run returns when the peer was silent for Options.Dead.
	ErrDead = errors.New("stream: the peer no longer answers")
)

// Options say how a Stream behaves. The zero value of every field is sensible.
type Options struct {
	// Handle gets every element that is not the answer to a Request, in order, on the goroutine that
	// reads: nothing else is read until it returns, so it must be quick, and it
	// must not wait for a Request of the same stream. A panic in it is logged,
	// answered with internal-server-error where the element was an IQ, and ends nothing.
	Handle func(*Element)
	// Limits replace those of the Decoder, unless they are all zero.
	Limits Limits
	// Log gets what nobody is returned; nil is silence.
	Log *slog.Logger
	// JID is the address of this end, full or bare. The answer to a request without "to"
	// may come from its bare JID or its domain (RFC 6120 §8.1.2.1).
	JID string
	// PingTo and PingFrom address the pings (XEP-0199) that probe a silent peer.
	// Without PingTo a space is sent instead, which needs no answer, and
	// silence is not held against the peer.
	PingTo, PingFrom string
	// Idle is how long the peer may be silent before it is probed, 60 s; negative is for
	// ever. Any byte from it counts as life, white space included.
	Idle time.Duration
	// Dead is how much silence ends the stream, two minutes; it needs PingTo.
	Dead time.Duration
	// WriteTimeout is how long the peer may take to accept 64 KiB, 30 s.
	WriteTimeout time.Duration
	// Grace bounds an orderly end: writing what is queued, and waiting for the
	// peer's close; two seconds.
	Grace time.Duration
	// Queue bounds the bytes accepted by Send and not yet written, 1 MiB. When it is
	// full, Send answers ErrFull and queues nothing.
	Queue int
	// Requests bounds the Requests under way, 1024. Beyond it they answer ErrFull.
	Requests int
}

func (o Options) withDefaults() Options {
	set := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	set(&o.Idle, time.Minute)
	set(&o.Dead, 2*time.Minute)
	set(&o.WriteTimeout, 30*time.Second)
	set(&o.Grace, 2*time.Second)
	if o.Queue <= 0 {
		o.Queue = 1 << 20
	}
	if o.Requests <= 0 {
		o.Requests = 1024
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Handle == nil {
		o.Handle = func(*Element) {}
	}
	return o
}

// Stream pumps one negotiated connection. Its methods may be called from any goroutine.
// Stanzas may be queued and requests made before Run; what is queued is
// written in order. A Stream runs once; a second Run answers ErrClosed.
type Stream struct {
	conn  net.Conn
	dec   *Decoder
	opt   Options
	start time.Time
	alive atomic.Int64 // when the peer last sent a byte, since start
	ran   atomic.Bool
	deaf  atomic.Bool          // an error was sent: nothing more is handled
	acks  atomic.Pointer[Acks] // nil while the stream is not managed

	wake chan struct{} // one token: something is queued
	last chan []byte   // the reader's last word to the writer
	done chan struct{} // closed when nothing will be read or written any more

	mu       sync.Mutex
	queue    []byte        // accepted, in order
	spare    []byte        // the other half of the double buffer
	flying   int           // bytes being written
	accepted uint64        // bytes ever queued
	written  uint64        // bytes ever written
	progress chan struct{} // closed at the next write, nil while nobody waits
	sealed   bool          // nothing more is accepted
	deadline time.Time     // of an orderly end, zero before
	cause    error         // why the writer gave up

	requests table
}

// NewStream returns a Stream over a connection whose negotiation is complete; dec reads from it.
// The connection belongs to the stream from now on: Run closes it.
func NewStream(conn net.Conn, dec *Decoder, o Options) *Stream {
	o = o.withDefaults()
	s := &Stream{
		conn: conn, dec: dec, opt: o,
		start: time.Now(),
		wake:  make(chan struct{}, 1),
		last:  make(chan []byte, 1),
		done:  make(chan struct{}),
	}
	if o.Limits != (Limits{}) {
		dec.SetLimits(o.Limits)
	}
	s.requests.init(o.JID, o.Requests)
	dec.onRead = func() { s.alive.Store(int64(time.Since(s.start))) }
	return s
}

// Run reads and writes until the stream ends, closes the connection and returns
// why: nil when ctx was done, ErrPeerClosed, ErrDead, a *Error sent or received,
// or the connection's error. When ctx is done, what is queued and the closing tag
// are written, preceded by the stream error that is the cause of ctx (a *Error, see
// context.WithCancelCause) if there is one, and the peer has Options.Grace to close
// as well; until then its stanzas are still handled, unless it was sent an error.
func (s *Stream) Run(ctx context.Context) error {
	if s.ran.Swap(true) {
		return ErrClosed
	}
	s.alive.Store(int64(time.Since(s.start)))
	// Negotiation may have left a deadline; where there are none it cannot have.
	_ = s.conn.SetDeadline(time.Time{})
	hurried := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(hurried)
		s.hurry()
	})
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		s.write(ctx)
	}()

	err := s.read()

	var end *Error
	switch {
	case errors.Is(err, ErrPeerClosed):
		s.hurry()
		s.last <- []byte(closeTag)
	case errors.As(err, &end) && !end.Remote:
		s.hurry()
		s.last <- append(end.AppendXML(nil), closeTag...)
	case errors.As(err, &end):
		s.hurry()
		s.last <- []byte(closeTag)
	default: // nothing can be said any more; a write under way must not last
		s.conn.Close()
		s.last <- nil
	}
	<-wrote
	if !stop() {
		<-hurried
	}
	if end != nil && !end.Remote {
		drain(s.conn)
	}
	s.conn.Close()
	s.mu.Lock()
	s.sealed = true
	s.queue, s.spare = nil, nil
	cause := s.cause
	s.mu.Unlock()
	close(s.done)
	s.requests.fail()

	switch {
	case ctx.Err() != nil:
		return nil
	case end != nil:
		return end
	case cause != nil:
		return cause
	}
	return err
}

// read handles elements until the stream cannot go on.
func (s *Stream) read() error {
	for {
		e, err := s.dec.Next()
		if errors.Is(err, io.EOF) {
			return ErrPeerClosed
		}
		var bad *Error
		if errors.As(err, &bad) {
			return bad
		}
		if err != nil {
			return fmt.Errorf("stream: read: %w", err)
		}
		if bad = ParseStreamError(e); bad != nil {
			return bad
		}
		if s.deaf.Load() {
			continue
		}
		if e.Space == NSManagement {
			if done, err := s.manage(e); err != nil {
				return err
			} else if done {
				continue
			}
		}
		if !IsReply(e) || !s.requests.answer(e) {
			s.handle(e)
		}
		if a := s.acks.Load(); a != nil && IsStanza(e) {
			a.Handle()
		}
	}
}

// handle calls Handle behind a barrier: the gateway's other devices must not
// suffer for one stanza.
func (s *Stream) handle(e *Element) {
	defer func() {
		if p := recover(); p != nil {
			s.opt.Log.Error("handler panicked", "jid", e.Attr("from"),
				"err", fmt.Sprint(p), "stack", string(debug.Stack()))
			if IsRequest(e) {
				// A full queue leaves the peer without an answer, as any peer must expect.
				_ = s.Send(ErrorReply(e, NewStanzaError(InternalServerError, "")))
			}
		}
	}()
	s.opt.Handle(e)
}

// Send queues an element and returns at once: nil, ErrFull or ErrClosed. The element is
// serialised before it returns and may change afterwards. A nil element is
// nothing to send, so that Send(ErrorReply(…)) needs no condition.
func (s *Stream) Send(e *Element) error {
	if e == nil {
		return nil
	}
	return s.enqueue(IsStanza(e), func(b []byte) []byte { return e.AppendXML(b) })
}

// SendBytes queues a stanza that is serialised already, as AppendXML does it; the
// bytes are copied. Errors are those of Send.
func (s *Stream) SendBytes(b []byte) error {
	return s.enqueue(true, func(q []byte) []byte { return append(q, b...) })
}

// enqueue queues what add appends: a stanza, or something else, which is not acknowledged.
func (s *Stream) enqueue(stanza bool, add func([]byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return ErrClosed
	}
	was := len(s.queue)
	s.queue = add(s.queue)
	if len(s.queue)+s.flying > s.opt.Queue {
		s.queue = s.queue[:was]
		return ErrFull
	}
	if a := s.acks.Load(); a != nil && stanza {
		if err := a.Keep(s.queue[was:]); err != nil {
			s.queue = s.queue[:was]
			return err
		}
	}
	s.accepted += uint64(len(s.queue) - was)
	s.rouse()
	return nil
}

// rouse leaves the writer a token; one is enough however much is queued.
func (s *Stream) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Flushed waits until all that was queued before the call was handed to the
// network. It returns ErrClosed when the stream ends first, or the error of ctx.
func (s *Stream) Flushed(ctx context.Context) error {
	s.mu.Lock()
	until := s.accepted
	s.mu.Unlock()
	for {
		s.mu.Lock()
		if s.written >= until {
			s.mu.Unlock()
			return nil
		}
		if s.progress == nil {
			s.progress = make(chan struct{})
		}
		progress := s.progress
		s.mu.Unlock()
		select {
		case <-progress:
		case <-s.done:
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.written >= until {
				return nil
			}
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Done is closed when the stream has ended and Run is about to return.
func (s *Stream) Done() <-chan struct{} { return s.done }
