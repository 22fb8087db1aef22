package local

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strconv"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// Stream management (XEP-0198): acknowledgements are the stream's matter; here is how a client begins with it and comes back, and
// what becomes of what it did not acknowledge.

const (
	// maxResumeID bounds what a client resumes by; ours are shorter.
	maxResumeID = 128
	// parting is how long a connection that another takes the place of may take to hear why.
	parting = 250 * time.Millisecond
	// maxShared is how many of the messages that an account's clients got together are remembered.
	maxShared = 256
)

// manage takes the elements of stream management that are not acknowledgements, and reports whether it was one. c.handling is
// held.
func (c *session) manage(n *line, e *stream.Element) bool {
	if e.Space != stream.NSManagement {
		return false
	}
	s := c.server
	switch {
	case e.Name == "resume": // bound already
		c.sendBytes(unmanaged(stream.UnexpectedRequest), nil)
		return true
	case e.Name != "enable":
		return false
	case c.acks != nil:
		c.end(&stream.Error{Condition: stream.PolicyViolation, Text: "stream management is on already",
			App: stream.New("urn:ietf:params:xml:ns:xmpp-stanzas", stream.UnexpectedRequest)})
		return true
	}
	enabled := stream.New(stream.NSManagement, "enabled")
	previd := ""
	if v := e.Attr("resume"); v == "true" || v == "1" {
		previd = newID()
		c.window = s.limits.Resume
		if n, err := strconv.ParseUint(e.Attr("max"), 10, 31); err == nil && n > 0 {
			c.window = min(c.window, time.Duration(n)*time.Second)
		}
		enabled.SetAttr("id", previd).SetAttr("resume", "true").SetAttr("max", strconv.Itoa(int(c.window/time.Second)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.out.Lock()
	defer c.out.Unlock()
	acks := stream.NewAcks(s.limits.Queue)
	if n.stream.Manage(acks, enabled) != nil {
		return true // it is full, or about to end: the client hears of that
	}
	c.acks = acks
	if previd != "" {
		c.previd = previd
		s.resumable[previd] = c
	}
	if c.lapsed {
		c.stale = time.Now()
		c.put(c.prove(), nil)
	}
	return true
}

// unmanaged is the answer that stream management is not to be had, not now or not so.
func unmanaged(condition string) *stream.Element {
	return stream.New(stream.NSManagement, "failed").Add(stream.New("urn:ietf:params:xml:ns:xmpp-stanzas", condition))
}

// resume takes an element of stream management before there is a resource. It returns the connection of the session that is
// resumed, or nothing where the client is told to go on without.
func (s *Server) resume(l *login, e *stream.Element) (*line, error) {
	switch {
	case e.Name == "enable": // there is nothing bound
		return nil, l.send(unmanaged(stream.UnexpectedRequest))
	case e.Name != "resume":
		return nil, notYet(e)
	}
	h, err := strconv.ParseUint(e.Attr("h"), 10, 32)
	previd := e.Attr("previd")
	if err != nil || previd == "" || len(previd) > maxResumeID {
		return nil, l.send(unmanaged(stream.BadRequest))
	}
	s.mu.Lock()
	c := s.resumable[previd]
	known := c != nil && c.account.name == l.account // another's is none of one's business
	s.mu.Unlock()
	if !known {
		l.lapsed = true
		return nil, l.send(unmanaged(stream.ItemNotFound))
	}
	n, err := c.takeOver(l, uint32(h))
	if n == nil && err == nil {
		l.lapsed = true
		return nil, l.send(unmanaged(stream.ItemNotFound))
	}
	return n, err
}

// takeOver gives the session another connection. It returns nothing where the session ended meanwhile.
func (c *session) takeOver(l *login, h uint32) (*line, error) {
	s := c.server
	c.moving.Lock() // one at a time
	defer c.moving.Unlock()
	c.out.Lock()
	old, acks := c.line, c.acks
	c.out.Unlock()

	// What the old one has read is handled before it is said how much that was.
	old.kill(&stream.Error{Condition: stream.Conflict, Text: "resumed on another connection"})
	select {
	case <-old.over:
	case <-time.After(parting):
		_ = old.wire.Close()
		<-old.over
	}

	n := c.newLine(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || c.life.Err() != nil || c.since.IsZero() || c.account.sessions[c.resource] != c {
		n.kill(nil)
		return nil, nil
	}
	if err := acks.Ack(h); err != nil {
		n.kill(nil)
		return nil, err // the session waits on, for somebody who can count
	}
	lost := c.since
	c.found()
	c.out.Lock()
	defer c.out.Unlock()
	resumed := stream.New(stream.NSManagement, "resumed", "previd", c.previd, "h", strconv.FormatUint(uint64(acks.Handled()), 10))
	if err := n.stream.Manage(acks, resumed); err != nil {
		n.kill(nil)
		c.kill(err)
		return nil, err
	}
	c.line, c.inactive = n, false
	close(old.next)
	c.release()
	c.stale = lost
	c.put(c.prove(), nil)
	s.log.Info("client resumed", "jid", c.full, "after", time.Since(lost).Round(time.Millisecond))
	return n, nil
}

// prove returns the ping whose answer shows that what the client sends again of an earlier connection, as it does without a word of
// how old that is, has come. c.handling is held, or no line of the session runs.
func (c *session) prove() *stream.Element {
	c.proof = newID()
	return stream.New(stream.NS, "iq", "type", "get", "id", c.proof, "from", c.server.domain, "to", c.full).Add(stream.New(nsPing, "ping"))
}

// mark says of what a client sends to the house after a resumption how old it may be (XEP-0203), so that what was asked then is
// not done now. c.handling is held.
func (c *session) mark(st *stream.Element) {
	if to, err := jid.Parse(st.Attr("to")); err != nil || st.Name == "presence" || !c.server.isHouse(to) || stream.IsReply(st) {
		return
	}
	if st.Child(nsDelay, "delay") == nil {
		st.Add(stream.New(nsDelay, "delay", "from", c.server.domain, "stamp", c.stale.UTC().Format(stampTime)))
	}
}

// handOn finds other takers for what a client that is gone did not acknowledge (XEP-0198 §5): messages go to the person's other
// clients or wait, requests are refused in its name. What the house sent to the account as a whole is its outbox's, which knows
// that nobody confirmed it.
func (c *session) handOn(ctx context.Context) {
	s, a := c.server, c.account
	if !s.backend.Account(a.name) {
		return
	}
	for _, b := range c.acks.Unacked() {
		st, err := stream.Parse(b)
		if err != nil {
			continue // presence without a namespace, say: nothing anybody misses
		}
		from, err := jid.Parse(st.Attr("from"))
		if err != nil || from.Localpart() == "" || from.Bare().String() == a.bare && st.Name == "iq" {
			continue // the server's own
		}
		to := st.Attr("to")
		switch {
		case st.Name == "message" && s.isHouse(from) && to == a.bare:
		case st.Child(nsCarbons, "received") != nil && from.Bare().String() == a.bare: // what another client got, which may be gone, too
			if got := original(st); lasting(got) {
				if last, shared := s.unshare(a, got); last && shared {
					s.redeliver(ctx, a, got)
				}
			}
		case st.Name == "message" && lasting(st):
			if last, _ := s.unshare(a, st); last {
				s.redeliver(ctx, a, st)
			}
		case stream.IsRequest(st):
			s.returned(st, from, stream.NewStanzaError(stream.RecipientUnavailable, ""))
		}
	}
}

// redeliver gives a message to whoever is there, else keeps it.
func (s *Server) redeliver(ctx context.Context, a *account, st *stream.Element) {
	st = s.delayed(st, time.Now())
	b := st.AppendXML(nil)
	given := false
	s.locked(func() { given = a.give(st, b) > 0 })
	if given {
		return
	}
	err := s.store.PutOffline(ctx, a.name, b, s.limits.Offline, s.limits.OfflineBytes)
	if err == nil {
		return
	}
	if !errors.Is(err, ErrFull) {
		s.log.Error("cannot keep a message", "account", a.name, "err", err)
	}
	if from, err := jid.Parse(st.Attr("from")); err == nil {
		s.returned(st, from, stream.NewStanzaError(stream.RecipientUnavailable, ""))
	}
}

// returned tells the sender of a stanza that it came back.
func (s *Server) returned(st *stream.Element, from jid.JID, why *stream.StanzaError) {
	reply := stream.ErrorReply(st, why)
	if reply == nil {
		return
	}
	if s.isHouse(from) {
		s.backend.Deliver(reply)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.online(from); a != nil && a.sessions[from.Resourcepart()] != nil {
		a.sessions[from.Resourcepart()].send(reply)
	}
}

// shared counts, for the messages that an account's clients got together lately, be it as copies, the clients that have not given
// them back. So the last of them hands a message on, and only where none of the others has it.
type shared struct {
	left  map[uint64]int
	order []uint64
}

var parcelSeed = maphash.MakeSeed()

// parcel tells one message from another.
func parcel(st *stream.Element) uint64 {
	var h maphash.Hash
	h.SetSeed(parcelSeed)
	for _, part := range []string{st.Attr("from"), st.Attr("id"), st.Body()} {
		h.WriteString(part)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// share notes that n clients got a message. It needs Server.mu.
func (a *account) share(st *stream.Element, n int) {
	if a.shared.left == nil {
		a.shared.left = make(map[uint64]int)
	}
	key := parcel(st)
	if len(a.shared.order) >= maxShared {
		delete(a.shared.left, a.shared.order[0])
		a.shared.order = slices.Delete(a.shared.order, 0, 1)
	}
	a.shared.left[key] += n
	a.shared.order = append(a.shared.order, key)
}

// unshare notes that a client gave a message back, and reports whether no other has it, and whether others had it that are known.
func (s *Server) unshare(a *account, st *stream.Element) (last, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := parcel(st)
	n, known := a.shared.left[key]
	if known {
		a.shared.left[key] = n - 1
	}
	return n <= 1, known
}
