package local

import (
	"context"
	"errors"
	"time"

	"tidings/xmppbridge/stream"
)

// nsOffline is the feature of XEP-0160.
const nsOffline = "msgoffline"

// What the house says is not kept here for somebody who is away: its outbox keeps alerts until a client has confirmed them, and
// hands them over anew. So there is one owner of an alert at any time.

// takes reports whether the client gets what is sent to the account as a whole (RFC 6121 §8.5.2.1). It needs Server.mu.
func (c *session) takes() bool { return c.available && c.priority >= 0 && c.life.Err() == nil }

// putOffline keeps a message until somebody is there to take it, with the time it came (XEP-0203). By is the client it comes
// from.
func (s *Server) putOffline(ctx context.Context, a *account, st *stream.Element, by *session) error {
	out, kept := s.incoming(a, st, by)
	err := s.store.PutOffline(ctx, a.name, s.delayed(out, time.Now()).AppendXML(nil), s.limits.Offline, s.limits.OfflineBytes)
	if err != nil {
		return err
	}
	there := false
	s.locked(func() {
		s.keep(kept)
		if by.account != a {
			by.spoke(st)
		}
		for _, c := range a.sessions {
			there = there || c.takes()
		}
	})
	if there { // they came while the disk was written to
		s.handOut(ctx, a)
	}
	return nil
}

// delayed is a message that says when the server got it, unless it says so already.
func (s *Server) delayed(st *stream.Element, at time.Time) *stream.Element {
	for e := range st.Children() {
		if e.Is(nsDelay, "delay") && e.Attr("from") == s.domain {
			return st
		}
	}
	out := *st
	out.Nodes = append(out.Nodes[:len(out.Nodes):len(out.Nodes)],
		stream.New(nsDelay, "delay", "from", s.domain, "stamp", at.UTC().Format(stampTime)))
	return &out
}

// handOut gives what waits for an account to its clients.
func (s *Server) handOut(ctx context.Context, a *account) {
	waiting, err := s.store.TakeOffline(ctx, a.name)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("messages that waited stay where they are", "account", a.name, "err", err)
		}
		return
	}
	var back [][]byte
	for _, b := range waiting {
		st, err := stream.Parse(b)
		if err != nil {
			s.log.Error("cannot read a message that waited", "account", a.name, "err", err)
			continue
		}
		given := false
		s.locked(func() { given = a.give(st, b) > 0 })
		if !given {
			back = append(back, b)
		}
	}
	for _, b := range back { // they went while the disk was read
		if err := s.store.PutOffline(ctx, a.name, b, 0, 0); err != nil {
			s.log.Error("a message that waited is lost", "account", a.name, "err", err)
		}
	}
}

// give sends a message to every client that takes what is for the account as a whole, and returns how many those are. It needs
// Server.mu.
func (a *account) give(st *stream.Element, b []byte) (n int) {
	for _, c := range a.sessions {
		if c.takes() {
			c.sendBytes(st, b)
			n++
		}
	}
	return n
}

// undelivered takes a message that nobody was there for.
func (c *session) undelivered(ctx context.Context, b *account, st *stream.Element) {
	switch st.Attr("type") {
	case "headline", "error":
		return
	}
	if passing(st) {
		return
	}
	if !lasting(st) {
		c.refuse(st, stream.ServiceUnavailable)
		return
	}
	switch err := c.server.putOffline(ctx, b, st, c); {
	case errors.Is(err, ErrFull):
		c.refuse(st, stream.ServiceUnavailable)
	case err != nil:
		c.server.log.Error("cannot keep a message", "account", b.name, "err", err)
		c.refuse(st, stream.InternalServerError)
	}
}
