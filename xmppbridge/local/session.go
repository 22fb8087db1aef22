package local

import (
	"context"
	"errors"
	"sync"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// session is one client: logged in and bound, on one connection after another where it resumes its stream (XEP-0198).
type session struct {
	server   *Server
	account  *account
	jid      jid.JID // full
	full     string
	resource string
	life     context.Context         // the session's, not a call's: that is why it is kept here
	kill     context.CancelCauseFunc // ends it; its cause is told to the client

	// handling is held while a stanza of this client is handled, so that none is once it left. It is taken before any
	// other lock.
	handling sync.Mutex
	gone     bool // guarded by handling
	// From a resumption, also one that was refused, until the client has answered a ping sent then, what it sends may be as old as
	// the moment the connection was lost. Guarded by handling.
	stale  time.Time
	proof  string // the ping's id
	lapsed bool   // it was refused: some clients then send again what was not acknowledged, when they are bound or managed anew

	moving sync.Mutex // held while another connection takes over; taken before Server.mu

	// out is held while something is put into the stream's queue. Nothing is locked under it but the stream.
	out      sync.Mutex
	line     *line // the connection, or the last one
	lost     bool  // there is none: what is sent is kept for the next
	inactive bool  // nobody looks at it (XEP-0352)
	held     held
	acks     *stream.Acks // nil: the stream is not managed
	waits    int          // bytes kept since the connection was lost

	// Guarded by Server.mu.
	blocklisted bool // asked whom the person blocks: gets pushes
	copies      bool // wants what the person's other clients send and get (XEP-0280)
	available   bool
	priority    int
	presence    *stream.Element    // the last one broadcast, from = full
	interested  bool               // asked for the roster: gets pushes
	versioned   bool               // asked for it with a version
	interest    interest           // what it is notified of
	directed    map[string]jid.JID // addresses sent directed presence, which have to be told when it goes
	previd      string             // what the client resumes by; empty: it cannot
	window      time.Duration      // how long it may take
	since       time.Time          // when the connection was lost; zero: it is there
}

// join makes the session of a login that asks for a resource, and answers the request. A session with the same resource
// ends first (RFC 6120 §7.7.2.2 leaves the choice: a client that lost its connection must be able to come back at once).
func (s *Server) join(ctx context.Context, l *login, resource string, ask *stream.Element) (*line, error) {
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

	c := &session{server: s, account: a, jid: full, full: full.String(), resource: full.Resourcepart(), lapsed: l.lapsed}
	// Not the context of Run: on its end the stream is first told why.
	c.life, c.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	n := c.newLine(l)
	c.line = n
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
				if old = a.longestLost(); old != nil {
					break
				}
				err = stream.NewStanzaError(stream.ResourceConstraint, "too many clients of this account")
			case old == nil:
				a.sessions[c.resource] = c
				c.send(answer)
				if c.lapsed {
					c.stale = time.Now()
					c.send(c.prove())
				}
			}
		})
		if old == nil || err != nil {
			break
		}
		s.log.Info("a client replaces another", "jid", c.full, "other", old.full)
		old.end(&stream.Error{Condition: stream.Conflict, Text: "replaced by a new connection"})
		old.leave()
	}
	if err != nil {
		c.kill(err)
		return nil, err
	}
	if !s.backend.Account(a.name) { // removed while it logged in, and dropped before it was in the table
		c.end(&stream.Error{Condition: stream.NotAuthorized, Text: "this account has changed"})
	}
	s.log.Info("client logged in", "jid", c.full, "address", l.wire.RemoteAddr().String())
	return n, nil
}

// send queues a stanza. It never blocks; a client whose queue is full does not read and is cut off, for with a stanza lost
// its picture of the house would be wrong. While nobody looks at the client, or its connection is lost, what can wait does, up to
// the next that cannot.
func (c *session) send(e *stream.Element) {
	if e != nil {
		c.sendBytes(e, nil)
	}
}

// sendBytes is send of a stanza that is serialised already, which is not kept; nil: it is not.
func (c *session) sendBytes(e *stream.Element, b []byte) {
	c.out.Lock()
	defer c.out.Unlock()
	if (c.inactive || c.lost) && c.hold(e, b) {
		return
	}
	if !c.lost {
		c.release()
	}
	c.put(e, b)
}

// put gives a stanza to the stream, or keeps it for the next. Either e or b may be nil. c.out is held.
func (c *session) put(e *stream.Element, b []byte) {
	err := stream.ErrClosed
	switch {
	case c.lost:
	case b == nil:
		err = c.line.stream.Send(e)
	default:
		err = c.line.stream.SendBytes(b)
	}
	if errors.Is(err, stream.ErrClosed) && c.acks != nil {
		err = c.keep(e, b)
	}
	if errors.Is(err, stream.ErrFull) && c.life.Err() == nil {
		c.server.log.Warn("client does not read: cut off", "jid", c.full)
		c.end(&stream.Error{Condition: stream.ResourceConstraint, Text: "too much waits for this client"})
	}
}

// end makes the session end, saying why. It does not wait for it.
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
	c.kill(nil)
	c.withdraw(stream.New(stream.NS, "presence", "type", "unavailable", "from", c.full))
	s := c.server
	s.locked(func() {
		delete(c.account.got, c)
		if c.account.sessions[c.resource] == c {
			delete(c.account.sessions, c.resource)
		}
		delete(s.resumable, c.previd)
		c.found()
	})
	if c.acks != nil {
		c.handOn(context.WithoutCancel(c.life))
	}
}

// handle takes what the client sends, on the connection's goroutine.
func (c *session) handle(ctx context.Context, l *line, st *stream.Element) {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.gone {
		return
	}
	l.wire.meter.stanza()
	if !stream.IsStanza(st) {
		if c.clientState(st) || c.manage(l, st) {
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
	if !c.stale.IsZero() {
		if stream.IsReply(st) && st.Attr("id") == c.proof {
			c.stale = time.Time{}
			return
		}
		c.mark(st)
	}

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
