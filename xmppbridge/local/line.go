package local

import (
	"context"
	"errors"
	"net"
	"time"

	"tidings/xmppbridge/stream"
)

// line is one connection of a session, from login to its end.
type line struct {
	session *session
	wire    *wire
	stream  *stream.Stream
	life    context.Context
	kill    context.CancelCauseFunc // ends the connection; the session may outlive it
	over    chan struct{}           // closed when its stream has ended, and the session knows
	next    chan struct{}           // closed when another line took its place
}

// newLine makes the connection that a login ends in.
func (c *session) newLine(l *login) *line {
	s := c.server
	n := &line{session: c, wire: l.wire, over: make(chan struct{}), next: make(chan struct{})}
	n.life, n.kill = context.WithCancelCause(c.life)
	l.wire.SetDeadline(time.Time{})
	l.wire.meter = newMeter(s.limits, time.Now())
	n.stream = stream.NewStream(l.wire, l.dec, stream.Options{
		Limits: s.limits.Stanza,
		Queue:  s.limits.Queue,
		JID:    s.domain,
		PingTo: c.full, PingFrom: s.domain,
		Idle:   s.limits.Idle,
		Dead:   2 * s.limits.Idle,
		Log:    s.log.With("jid", c.full),
		Handle: func(e *stream.Element) { c.handle(n.life, n, e) },
	})
	return n
}

// on is the connection that the session has, or had last.
func (c *session) on() *line {
	c.out.Lock()
	defer c.out.Unlock()
	return c.line
}

func (c *session) localAddr() net.Addr { return c.on().wire.LocalAddr() }

// run pumps the connection until it ends. Where it was lost and the client may resume, it keeps the session until another
// connection took over or it is too late: as long as somebody has to wait anyway, nobody else has to.
func (n *line) run() {
	c := n.session
	s := c.server
	defer n.kill(nil)
	defer func() {
		if !n.replaced() {
			c.leave()
		}
	}()
	err := n.stream.Run(n.life)
	if c.lose(n, err) {
		s.log.Info("client lost its connection, and may resume", "jid", c.full, "err", err)
		c.await(n)
		return
	}
	var fault *stream.Error
	switch {
	case err == nil, n.life.Err() != nil, errors.Is(err, stream.ErrPeerClosed):
		s.log.Info("client logged out", "jid", c.full)
	case errors.As(err, &fault) && !fault.Remote:
		s.log.Warn("client cut off", "jid", c.full, "err", err)
	default:
		s.log.Info("client gone", "jid", c.full, "err", err)
	}
}

// replaced reports whether another connection took over.
func (n *line) replaced() bool {
	select {
	case <-n.next:
		return true
	default:
		return false
	}
}

// lose notes that a connection ended, and reports whether the session goes on: its client may resume, the end was not one of
// good order, and neither end has complained.
func (c *session) lose(n *line, err error) bool {
	defer close(n.over)
	s := c.server
	var fault *stream.Error
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.previd == "" || s.stopping || c.life.Err() != nil || errors.Is(err, stream.ErrPeerClosed) || errors.As(err, &fault) {
		return false
	}
	if s.lost >= s.limits.Lost {
		if first := s.longestLost(); first != nil {
			first.end(&stream.Error{Condition: stream.ResourceConstraint})
		}
	}
	s.lost++
	c.since = time.Now()
	c.out.Lock()
	defer c.out.Unlock()
	c.lost = true
	c.wait(c.acks.Bytes() + c.held.bytes)
	return true
}

// found ends what lose began. It needs Server.mu.
func (c *session) found() {
	s := c.server
	if c.since.IsZero() {
		return
	}
	c.since = time.Time{}
	s.lost--
	c.out.Lock()
	defer c.out.Unlock()
	s.waiting.Add(int64(-c.waits))
	c.lost, c.waits = false, 0
}

// longestLost returns the session whose client has been away for longest and may resume, nil if there is none. It needs
// Server.mu.
func (s *Server) longestLost() (first *session) {
	for _, a := range s.accounts {
		if c := a.longestLost(); c != nil && (first == nil || c.since.Before(first.since)) {
			first = c
		}
	}
	return first
}

func (a *account) longestLost() (first *session) {
	for _, c := range a.sessions {
		if !c.since.IsZero() && c.life.Err() == nil && (first == nil || c.since.Before(first.since)) {
			first = c
		}
	}
	return first
}

// await returns when another connection took over, or the session ended, for want of one if nothing else.
func (c *session) await(n *line) {
	timer := time.NewTimer(c.window)
	defer timer.Stop()
	select {
	case <-n.next:
	case <-c.life.Done():
	case <-timer.C:
		c.server.log.Info("client did not resume", "jid", c.full)
	}
}

// keep puts a stanza with those that are sent when the client resumes. A message says when it came. c.out is held.
func (c *session) keep(e *stream.Element, b []byte) error {
	switch {
	case e != nil && e.Name == "message":
		b = c.server.delayed(e, time.Now()).AppendXML(nil)
	case b == nil:
		b = e.AppendXML(nil)
	}
	if err := c.acks.Keep(b); err != nil {
		return err
	}
	c.wait(len(b))
	return nil
}

// wait counts bytes kept while the connection is lost, and ends the session where they are too many in all. c.out is held.
func (c *session) wait(bytes int) {
	if !c.lost {
		return
	}
	c.waits += bytes
	if c.server.waiting.Add(int64(bytes)) > int64(c.server.limits.Waiting) && c.life.Err() == nil {
		c.server.log.Warn("too much waits for clients that lost their connection: one is given up", "jid", c.full)
		c.end(&stream.Error{Condition: stream.ResourceConstraint, Text: "too much waits for this client"})
	}
}
