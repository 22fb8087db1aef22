package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a running Stream and the peer at the other end of its connection.
type rig struct {
	*Stream
	t    *testing.T
	peer net.Conn
	dec  *Decoder // reads what the stream wrote
	stop context.CancelCauseFunc
	end  chan error
}

// run starts a stream on an in-memory connection.
func run(t *testing.T, o Options) *rig {
	t.Helper()
	near, far := net.Pipe()
	return runOn(t, near, far, o)
}

func runOn(t *testing.T, near, far net.Conn, o Options) *rig {
	t.Helper()
	ctx, stop := context.WithCancelCause(context.Background())
	r := &rig{
		Stream: NewStream(near, NewDecoder(near, Limits{}), o),
		t:      t, peer: far, dec: NewDecoder(far, Limits{}),
		stop: stop, end: make(chan error, 1),
	}
	go func() { r.end <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop(nil)
		far.Close()
		<-r.Done()
	})
	return r
}

func (r *rig) say(xml string) {
	r.t.Helper()
	if _, err := io.WriteString(r.peer, xml); err != nil {
		r.t.Errorf("peer: write: %v", err)
	}
}

func (r *rig) hear() *Element {
	r.t.Helper()
	e, err := r.dec.Next()
	if err != nil {
		r.t.Fatalf("peer: read: %v", err)
	}
	return e
}

func (r *rig) hearEnd() {
	r.t.Helper()
	if e, err := r.dec.Next(); err != io.EOF {
		r.t.Fatalf("peer: read %v, %v; want the end of the stream", e, err)
	}
}

func TestStreamSendsAndHandlesInOrder(t *testing.T) {
	t.Parallel()
	got := make(chan string, 3)
	r := run(t, Options{Handle: func(e *Element) { got <- e.Body() }})
	for _, body := range []string{"1", "2", "3"} {
		if err := r.Send(New(NS, "message").Add(New(NS, "body").AddText(body))); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.SendBytes([]byte("<message><body>4</body></message>")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2", "3", "4"} {
		if b := r.hear().Body(); b != want {
			t.Errorf("peer heard %q, want %q", b, want)
		}
	}
	if err := r.Flushed(t.Context()); err != nil {
		t.Error(err)
	}
	r.say(" <message><body>a</body></message>\n<message><body>b</body></message><message><body>c</body></message>")
	for _, want := range []string{"a", "b", "c"} {
		if b := <-got; b != want {
			t.Errorf("handled %q, want %q", b, want)
		}
	}
}

func TestStreamStopsInGoodOrder(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	if err := r.Send(New(NS, "presence", "type", "unavailable")); err != nil {
		t.Fatal(err)
	}
	r.stop(nil)
	if e := r.hear(); e.Attr("type") != "unavailable" {
		t.Errorf("heard %v", e)
	}
	r.hearEnd()
	r.say(closeTag)
	if err := <-r.end; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := r.Send(New(NS, "presence")); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after the end: %v", err)
	}
	if err := r.Flushed(t.Context()); err != nil {
		t.Errorf("Flushed after the end: %v", err)
	}
	if err := r.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Run after the end: %v", err)
	}
}

func TestStreamStopSaysWhy(t *testing.T) {
	t.Parallel()
	handled := make(chan *Element, 1)
	r := run(t, Options{Handle: func(e *Element) { handled <- e }})
	r.stop(&Error{Condition: Conflict, Text: "another one came"})
	if e := ParseStreamError(r.hear()); e == nil || e.Condition != Conflict || e.Text != "another one came" {
		t.Errorf("heard %v", e)
	}
	r.hearEnd()
	r.say("<message/>" + closeTag)
	if err := <-r.end; err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(handled) > 0 {
		t.Error("a stanza was handled after the stream error")
	}
}

func TestStreamDoesNotWaitLongForThePeersClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{Grace: 3 * time.Second})
		start := time.Now()
		r.stop(nil)
		r.hearEnd()
		if err := <-r.end; err != nil {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestStreamStopsThoughThePeerReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{})
		if err := r.Send(New(NS, "presence")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the write is under way
		start := time.Now()
		r.stop(nil)
		if err := <-r.end; err != nil {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestStreamAnswersThePeersClose(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	go r.say(closeTag)
	r.hearEnd()
	if err := <-r.end; !errors.Is(err, ErrPeerClosed) {
		t.Errorf("Run: %v", err)
	}
}

func TestStreamReturnsThePeersError(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	go r.say("<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>[2001:db8::1]:5222</see-other-host></stream:error>" + closeTag)
	r.hearEnd()
	var e *Error
	if err := <-r.end; !errors.As(err, &e) || !e.Remote || e.Condition != SeeOtherHost || e.Host != "[2001:db8::1]:5222" {
		t.Errorf("Run: %v", err)
	}
}

func TestStreamEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	r.peer.Close()
	if err := <-r.end; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Run: %v", err)
	}
}

// lockedBuffer is a log that tests may read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestStreamSurvivesAPanic(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	r := run(t, Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Handle: func(e *Element) {
			if e.Name == "iq" {
				panic("a bug")
			}
		},
	})
	for range 2 {
		r.say("<presence/><iq type='get' id='7' from='a@b' to='c'><q xmlns='urn:q'/></iq>")
		e := r.hear()
		if err := ParseError(e); err == nil || err.Condition != InternalServerError || e.Attr("id") != "7" || e.Attr("to") != "a@b" {
			t.Errorf("answer %v", e)
		}
	}
	if s := log.String(); !strings.Contains(s, "a bug") || !strings.Contains(s, "stream_test.go") {
		t.Errorf("log without cause or stack: %s", s)
	}
}

func TestStreamProbesASilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{PingTo: "example.org", PingFrom: "a@example.org/b", Handle: func(e *Element) { t.Errorf("handled %v", e) }})
		start := time.Now()
		for i := range 3 { // the answer, then white space, count as life
			ping := r.hear()
			if ping.Attr("to") != "example.org" || ping.Attr("from") != "a@example.org/b" || ping.Child("urn:xmpp:ping", "ping") == nil {
				t.Fatalf("heard %v", ping)
			}
			if d := time.Since(start); d != time.Duration(i+1)*time.Minute {
				t.Errorf("ping %d after %v", i, d)
			}
			if i == 1 {
				r.say(" ")
				continue
			}
			r.say("<iq type='result' from='example.org' id='" + ping.Attr("id") + "'/>")
		}
		r.hear()
		if err := <-r.end; !errors.Is(err, ErrDead) {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(start); d != 5*time.Minute {
			t.Errorf("dead after %v", d)
		}
		if n := len(r.requests.pending); n != 0 {
			t.Errorf("%d pings remembered", n)
		}
	})
}

func TestStreamWithoutPingAddressSendsSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{Idle: time.Minute})
		b := make([]byte, 16)
		for range 4 {
			if n, err := r.peer.Read(b); err != nil || string(b[:n]) != " " {
				t.Fatalf("read %q, %v", b[:n], err)
			}
		}
		r.stop(nil)
		r.hearEnd()
		<-r.end
	})
}

func TestStreamIdleNegativeSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{Idle: -1, PingTo: "example.org"})
		if err := r.peer.SetReadDeadline(time.Now().Add(24 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if n, err := r.peer.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read %d, %v", n, err)
		}
	})
}

func TestStreamQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{Queue: 1000, WriteTimeout: time.Minute, Idle: -1})
		stanza := []byte("<message>" + strings.Repeat("x", 82) + "</message>") // 101 bytes
		sent := 0
		for ; sent < 100; sent++ {
			if err := r.SendBytes(stanza); errors.Is(err, ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if sent != 9 {
			t.Errorf("%d stanzas of 101 bytes fit a queue of 1000", sent)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Flushed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flushed: %v", err)
		}
		for range sent { // the slow peer wakes up
			r.hear()
		}
		if err := r.Flushed(t.Context()); err != nil {
			t.Errorf("Flushed: %v", err)
		}
		if err := r.SendBytes(stanza); err != nil {
			t.Errorf("Send after the jam: %v", err)
		}
		r.hear()
	})
}

func TestStreamGivesUpAPeerThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{Idle: -1})
		start := time.Now()
		if err := r.Send(New(NS, "presence")); err != nil {
			t.Fatal(err)
		}
		if err := r.Flushed(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Flushed: %v", err)
		}
		err := <-r.end
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestStreamBatchesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, Options{})
		for range 10 {
			if err := r.Send(New(NS, "presence")); err != nil {
				t.Fatal(err)
			}
			if r.flyingNow() == 0 {
				synctest.Wait() // the first write blocks on the pipe
			}
		}
		b := make([]byte, 1024)
		reads := 0
		for n := 0; n < 10*len("<presence/>"); reads++ {
			m, err := r.peer.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
		if reads != 2 {
			t.Errorf("10 stanzas took %d writes, want 2", reads)
		}
	})
}

func (s *Stream) flyingNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flying
}

func TestStreamQueuesBeforeRun(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	s := NewStream(near, NewDecoder(near, Limits{}), Options{})
	if err := s.Send(New(NS, "presence")); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(nil); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- s.Run(ctx) }()
	d := NewDecoder(far, Limits{})
	if e, err := d.Next(); err != nil || e.Name != "presence" {
		t.Errorf("heard %v, %v", e, err)
	}
	cancel()
	far.Close()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestStreamWithoutTimeSaysGoodbye(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	s := NewStream(near, NewDecoder(near, Limits{}), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	end := make(chan error, 1)
	go func() { end <- s.Run(ctx) }()
	if e, err := NewDecoder(far, Limits{}).Next(); err != io.EOF {
		t.Errorf("heard %v, %v", e, err)
	}
	far.Close()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// TestStreamForgetsTheDeadlineOfNegotiation runs on a connection whose read
// deadline has nearly come.
func TestStreamForgetsTheDeadlineOfNegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		if err := near.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		got := make(chan *Element, 1)
		r := runOn(t, near, far, Options{Handle: func(e *Element) { got <- e }})
		time.Sleep(10 * time.Second)
		r.say("<presence/>")
		<-got
	})
}
