package local

import (
	"context"
	"errors"
	"sync"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// session is one client: a stream that is logged in and bound.
type session struct {
	server   *Server
	account  *account
	jid      jid.JID // full
	full     string
	resource string
	wire     *wire
	stream   *stream.Stream
	life     context.Context         // the stream's, not a call's: that is why it is kept here
	kill     context.CancelCauseFunc // ends it; its cause is told to the client

	// handling is held while a stanza of this client is handled, so that none is once it left. It is taken before any
	// other lock.
	handling sync.Mutex
	gone     bool // guarded by handling

	// out is held while something is put into the stream's queue. Nothing is locked under it but the stream.
	out      sync.Mutex
	inactive bool // nobody looks at it (XEP-0352)
	held     held

	// Guarded by Server.mu.
	blocklisted bool // asked whom the person blocks: gets pushes
	copies      bool // wants what the person's other clients send and get (XEP-0280)
	available   bool
	priority    int
	presence    *stream.Element    // the last one broadcast, from = full
	interested  bool               // asked for the roster: gets pushes
	versioned   bool               // asked for it with a version
	directed    map[string]jid.JID // addresses sent directed presence, which have to be told when it goes
}

// join makes the session of a login that asks for a resource, and answers the request. A session with the same resource
// ends first (RFC 6120 §7.7.2.2 leaves the choice: a client that lost its connection must be able to come back at once).
func (s *Server) join(ctx context.Context, l *login, resource string, ask *stream.Element) (*session, error) {
	full, err := jid.New(l.account, s.domain, resource)
	if err != nil {
		return nil, stream.NewStanzaError(stream.BadRequest, "not a resource")
	}
	a, err := s.load(ctx, l.account)
	if err != nil {
		if errors.Is(err, ErrNoAccount) {
			return nil, &stream.Error{Condition: stream.NotAuthorized, Text: "this account has changed"}
		}
		s.log.Error("cannot read a roster", "account", l.account, "err", err)
		return nil, stream.NewStanzaError(stream.InternalServerError, "")
	}

	c := &session{
		server: s, account: a, jid: full, full: full.String(), resource: full.Resourcepart(),
		wire: l.wire,
	}
	// Not the context of Run: on its end the stream is first told why.
	c.life, c.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	c.stream = stream.NewStream(l.wire, l.dec, stream.Options{
		Limits: s.limits.Stanza,
		Queue:  s.limits.Queue,
		JID:    s.domain,
		PingTo: c.full, PingFrom: s.domain,
		Idle:   s.limits.Idle,
		Dead:   2 * s.limits.Idle,
		Log:    s.log.With("jid", c.full),
		Handle: func(e *stream.Element) { c.handle(c.life, e) },
	})
	answer := stream.Result(ask, stream.New(nsBind, "bind").Add(stream.New(nsBind, "jid").AddText(c.full))).SetAttr("to", "")

	for {
		var old *session
		s.locked(func() {
			old = a.sessions[c.resource]
			switch {
			case s.stopping:
				err = &stream.Error{Condition: stream.SystemShutdown}
			case s.accounts[a.name] != a:
				err = &stream.Error{Condition: stream.NotAuthorized, Text: "this account has changed"}
			case old == nil && len(a.sessions) >= s.limits.Streams:
				err = stream.NewStanzaError(stream.ResourceConstraint, "too many clients of this account")
			case old == nil:
				a.sessions[c.resource] = c
				c.send(answer)
			}
		})
		if old == nil || err != nil {
			break
		}
		s.log.Info("a client replaces another with the same resource", "jid", c.full)
		old.end(&stream.Error{Condition: stream.Conflict, Text: "replaced by a new connection"})
		old.leave()
	}
	if err != nil {
		c.kill(err)
		return nil, err
	}
	l.wire.SetDeadline(time.Time{})
	l.wire.meter = newMeter(s.limits, time.Now())
	if !s.backend.Account(a.name) { // removed while it logged in, and dropped before it was in the table
		c.end(&stream.Error{Condition: stream.NotAuthorized, Text: "this account has changed"})
	}
	return c, nil
}

// run pumps the stream until it ends.
func (c *session) run() {
	s := c.server
	s.log.Info("client logged in", "jid", c.full, "address", c.wire.RemoteAddr().String())
	defer c.kill(nil)
	defer c.leave()
	err := c.stream.Run(c.life)
	var fault *stream.Error
	switch {
	case err == nil, c.life.Err() != nil, errors.Is(err, stream.ErrPeerClosed):
		s.log.Info("client logged out", "jid", c.full)
	case errors.As(err, &fault) && !fault.Remote:
		s.log.Warn("client cut off", "jid", c.full, "err", err)
	default:
		s.log.Info("client gone", "jid", c.full, "err", err)
	}
}

// send queues a stanza. It never blocks; a client whose queue is full does not read and is cut off, for with a stanza lost
// its picture of the house would be wrong. While nobody looks at the client, what can wait does, up to the next that cannot.
func (c *session) send(e *stream.Element) {
	c.out.Lock()
	defer c.out.Unlock()
	if e == nil || c.inactive && c.hold(e, nil) {
		return
	}
	c.release()
	c.queued(c.stream.Send(e))
}

// sendBytes is send of a stanza that is serialised already, which is not kept.
func (c *session) sendBytes(e *stream.Element, b []byte) {
	c.out.Lock()
	defer c.out.Unlock()
	if c.inactive && c.hold(e, b) {
		return
	}
	c.release()
	c.putBytes(b)
}

func (c *session) putBytes(b []byte) { c.queued(c.stream.SendBytes(b)) }

func (c *session) queued(err error) {
	if errors.Is(err, stream.ErrFull) && c.life.Err() == nil {
		c.server.log.Warn("client does not read: cut off", "jid", c.full)
		c.end(&stream.Error{Condition: stream.ResourceConstraint, Text: "too much waits for this client"})
	}
}

// end makes the stream close, saying why. It does not wait for it.
func (c *session) end(why *stream.Error) { c.kill(why) }

// leave takes the client out: everyone who saw it available sees it unavailable. It returns when that is done, whoever
// does it, and when no stanza of the client is being handled any more.
func (c *session) leave() {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	c.withdraw(stream.New(stream.NS, "presence", "type", "unavailable", "from", c.full))
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(c.account.got, c)
	if c.account.sessions[c.resource] == c {
		delete(c.account.sessions, c.resource)
	}
}

// handle takes what the client sends, on the stream's goroutine.
func (c *session) handle(ctx context.Context, st *stream.Element) {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.gone {
		return
	}
	c.wire.meter.stanza()
	if !stream.IsStanza(st) {
		if c.clientState(st) {
			return
		}
		c.end(&stream.Error{Condition: stream.UnsupportedStanzaType})
		return
	}
	// Whatever the client claims, this is who it is (RFC 6120 §8.1.2.1). A bare JID of its own is allowed there and
	// means the same.
	if from := st.Attr("from"); from != "" && from != c.full && from != c.account.bare {
		if j, err := jid.Parse(from); err != nil || !j.Equal(c.jid) && !j.Equal(c.jid.Bare()) {
			c.end(&stream.Error{Condition: stream.InvalidFrom})
			return
		}
	}
	st.SetAttr("from", c.full)

	to := c.jid.Bare()
	if v := st.Attr("to"); v != "" {
		var err error
		if to, err = jid.Parse(v); err != nil {
			c.refuse(st, stream.JIDMalformed)
			return
		}
		st.SetAttr("to", to.String())
	}
	switch st.Name {
	case "iq":
		c.iq(ctx, st, to)
	case "message":
		c.message(ctx, st, to)
	case "presence":
		c.presenceStanza(ctx, st, to)
	}
}

// refuse answers a stanza with an error, unless it is one that must not be answered.
func (c *session) refuse(st *stream.Element, condition string) {
	if reply := stream.ErrorReply(st, stream.NewStanzaError(condition, "")); reply != nil {
		c.send(reply)
	}
}

// result answers an IQ.
func (c *session) result(iq *stream.Element, payload ...*stream.Element) {
	c.send(stream.Result(iq, payload...))
}
