package serial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/port"
)

const (
	// writeWithin is how long the port may take for one command before it is given up.
	writeWithin = 5 * time.Second
	// safeWithin is how long it may take for all safe values on stop.
	safeWithin = 500 * time.Millisecond
)

// session is the writing side of a port while it is open. One goroutine writes at a time: the one that has the turn.
type session struct {
	port  port.Port
	turn  chan struct{} // holds the turn while nobody has it
	ended chan struct{}
	torn  bool // a line was cut off; whoever has the turn may touch it

	mu   sync.Mutex // over every change of the deadline, so that end has the last word
	over bool
}

func newSession(p port.Port) *session {
	s := &session{port: p, turn: make(chan struct{}, 1), ended: make(chan struct{})}
	s.turn <- struct{}{}
	return s
}

// end refuses every later write and breaks off the one that is under way.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over = true
		close(s.ended)
		_ = s.port.SetWriteDeadline(time.Unix(1, 0))
	}
}

// write sends one line and returns when it began to leave. The error is ctx's when that was done first, ErrDown when
// the session ended or the port is gone, and ErrTimeout when the port did not take it within the bound; in an AskedError
// once a part of the line has left.
func (s *session) write(ctx context.Context, line string, within time.Duration) (time.Time, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-s.ended:
		return time.Time{}, devices.ErrDown
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	if !s.deadline(time.Now().Add(within)) {
		return time.Time{}, devices.ErrDown
	}
	broken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(broken)
		s.deadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-broken // or it would break off the next one's write
		}
	}()
	begun := time.Now() // before the write: the answer may be here before Write returns
	err := s.send(line)
	if err != nil && ctx.Err() != nil {
		err = like(err, ctx.Err())
	}
	return begun, err
}

// deadline sets when a write is broken off; false when the session has ended.
func (s *session) deadline(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && s.port.SetWriteDeadline(at) == nil
}

// finish sends one last line after end, up to the deadline.
func (s *session) finish(line string, deadline time.Time) error {
	<-s.turn // soon: end has broken off whoever had it
	defer func() { s.turn <- struct{}{} }()
	if err := s.port.SetWriteDeadline(deadline); err != nil {
		return err
	}
	return s.send(line)
}

// send writes a line with its end. After a line that was cut off it first ends that one, so that the device does not
// take the two for one.
func (s *session) send(line string) error {
	text := line + "\n"
	if s.torn {
		text = "\n" + text
	}
	n, err := s.port.Write([]byte(text))
	if n > 0 {
		s.torn = err != nil
	}
	if err == nil {
		return nil
	}
	if err = s.why(err); n > 0 {
		// Its end may be all that is missing, and come with the next line.
		return &devices.AskedError{Err: err}
	}
	return err
}

// why is what a write that failed is to others.
func (s *session) why(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", devices.ErrDown, err)
	}
	select {
	case <-s.ended:
		return devices.ErrDown
	default:
		return fmt.Errorf("%w: the port takes no data", devices.ErrTimeout)
	}
}
