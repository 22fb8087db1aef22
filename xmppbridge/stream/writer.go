package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	writeSize  = 64 << 10 // bytes of one Write, each with a deadline of its own
	keepQueue  = 64 << 10 // buffer kept while nothing is queued
	lingerTime = time.Second
	lingerSize = 1 << 20
)

// write is the writer goroutine. It ends when the reader had its last word, or when
// the connection takes no more, in which case it closes it to tell the reader.
func (s *Stream) write(ctx context.Context) {
	timer := time.NewTimer(s.opt.Idle)
	defer timer.Stop()
	if s.opt.Idle < 0 {
		timer.Stop()
	}
	var out probe
	stop := ctx.Done()
	for {
		var err error
		select {
		case <-s.wake:
			err = s.flush()
		case <-stop:
			stop = nil
			err = s.finish(ctx)
		case last := <-s.last:
			if last != nil {
				s.seal(last)
				err = s.flush()
			}
			s.seal(nil)
			if err != nil {
				s.opt.Log.Debug("stream end not written", "err", err)
			}
			return
		case <-timer.C:
			var next time.Duration
			if next, err = s.watch(&out); err == nil {
				timer.Reset(next)
			}
		}
		if err != nil {
			s.seal(nil)
			s.mu.Lock()
			s.cause = err
			s.mu.Unlock()
			s.conn.Close() // the reader ends of it
			<-s.last
			return
		}
	}
}

// finish closes this side of the stream because ctx is done.
func (s *Stream) finish(ctx context.Context) error {
	var last []byte
	if a := s.acks.Load(); a != nil { // or what we handled would be sent to us again (XEP-0198 §4)
		last = a.answer().AppendXML(last)
	}
	var cause *Error
	if errors.As(context.Cause(ctx), &cause) {
		s.deaf.Store(true)
		last = cause.AppendXML(last)
	}
	s.seal(append(last, closeTag...))
	return s.flush()
}

// seal accepts nothing more, after the bytes given; only the first call has an effect.
func (s *Stream) seal(last []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sealed {
		s.sealed = true
		s.queue = append(s.queue, last...)
	}
}

// hurry gives what remains to be read and written a common deadline, which later
// writes keep to.
func (s *Stream) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deadline.IsZero() {
		s.deadline = time.Now().Add(s.opt.Grace)
		// Where a connection knows no deadlines, the peer's close or the
		// network's error remains.
		_ = s.conn.SetDeadline(s.deadline)
	}
}

// flush writes until the queue is empty.
func (s *Stream) flush() error {
	for {
		s.mu.Lock()
		s.request(false)
		batch := s.queue
		s.queue, s.spare = s.spare[:0], nil
		s.flying = len(batch)
		s.mu.Unlock()
		err := s.writeBatch(batch)
		s.mu.Lock()
		s.flying = 0
		s.spare = batch
		empty := len(s.queue) == 0
		if empty && cap(s.spare) > keepQueue {
			s.spare = nil
		}
		if empty && cap(s.queue) > keepQueue {
			s.queue = nil
		}
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("stream: write: %w", err)
		}
		if empty {
			return nil
		}
	}
}

func (s *Stream) writeBatch(b []byte) error {
	for len(b) > 0 {
		chunk := b[:min(len(b), writeSize)]
		s.mu.Lock()
		deadline := s.deadline
		if deadline.IsZero() {
			deadline = time.Now().Add(s.opt.WriteTimeout)
		}
		// Under the lock, so that hurry cannot be undone.
		err := s.conn.SetWriteDeadline(deadline)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if _, err := s.conn.Write(chunk); err != nil {
			return err
		}
		b = b[len(chunk):]
		s.mu.Lock()
		s.written += uint64(len(chunk))
		s.flying -= len(chunk)
		if s.progress != nil {
			close(s.progress)
			s.progress = nil
		}
		s.mu.Unlock()
	}
	return nil
}

// probe is the ping that is out.
type probe struct {
	id string        // "" for none
	at time.Duration // since the stream's start
}

// watch looks at how long the peer has been silent, probes it or gives it up, and
// returns when to look again.
func (s *Stream) watch(out *probe) (time.Duration, error) {
	if err := s.urge(); err != nil {
		return 0, err
	}
	now, alive := time.Since(s.start), time.Duration(s.alive.Load())
	silent := now - alive
	if out.id != "" && alive >= out.at { // any byte will do for an answer
		s.requests.forget(out.id)
		out.id = ""
	}
	switch {
	case silent < s.opt.Idle:
		return s.opt.Idle - silent, nil
	case s.opt.PingTo == "":
		if s.enqueue(false, func(q []byte) []byte { return append(q, ' ') }) != nil {
			// Full: the write under way has a deadline. Closed: the end is near.
			return s.opt.Idle, nil
		}
		return s.opt.Idle, s.flush()
	case silent >= s.opt.Dead:
		return 0, ErrDead
	case out.id == "":
		*out = probe{newID(), now}
		// Where there is no room for the ping, the peer must show life otherwise.
		if s.requests.add(out.id, s.opt.PingTo, nil) == nil {
			_ = s.Send(New(NS, "iq", "type", "get", "to", s.opt.PingTo, "from", s.opt.PingFrom, "id", out.id).
				Add(New("urn:xmpp:ping", "ping")))
		}
		return s.opt.Dead - silent, s.flush()
	}
	return s.opt.Dead - silent, nil
}

// Abort refuses a peer: it writes the stream error and the closing tag, waits a
// short while for the peer to have read them, and closes the connection. It is for streams that
// are not running, as during negotiation; the stream header must have been sent. At most two
// seconds pass.
func Abort(conn net.Conn, e *Error) {
	// Nobody is told when this fails: the connection ends either way.
	_ = conn.SetDeadline(time.Now().Add(lingerTime))
	if _, err := conn.Write(append(e.AppendXML(nil), closeTag...)); err == nil {
		drain(conn)
	}
	_ = conn.Close()
}

// drain ends our half of a connection and reads the rest of the peer's for a
// short while. Closing over unread bytes would reset the connection, and the
// peer would lose the error that explains why.
func drain(conn net.Conn) {
	if conn.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	// How the peer ends does not matter.
	_, _ = io.CopyN(io.Discard, conn, lingerSize)
}
