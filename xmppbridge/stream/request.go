package stream

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
)

// newID returns an id that a stranger cannot guess (RFC 6120 §8.1.3).
func newID() string { return rand.Text()[:16] }

// Request sends an IQ of type get or set and waits for its answer, which never
// passes through Handle. It gives iq an id when it has none. The answer counts
// only when it comes from where the request went. An error as answer is a
// *StanzaError; other errors are those of Send, ErrClosed when the stream ends
// first, and the error of ctx, which must end at some time: peers need not answer.
// The goroutine of Handle must not call it.
func (s *Stream) Request(ctx context.Context, iq *Element) (*Element, error) {
	if !IsRequest(iq) {
		return nil, fmt.Errorf("stream: request: %w", NewStanzaError(BadRequest, "not an IQ get or set"))
	}
	if iq.Attr("id") == "" {
		iq.SetAttr("id", newID())
	}
	id, got := iq.Attr("id"), make(chan *Element, 1)
	if err := s.requests.add(id, iq.Attr("to"), got); err != nil {
		return nil, err
	}
	defer s.requests.drop(id, got)
	if err := s.Send(iq); err != nil {
		return nil, err
	}
	select {
	case e, ok := <-got:
		if !ok {
			return nil, ErrClosed
		}
		if e := ParseError(e); e != nil {
			return nil, e
		}
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// table holds the requests under way. A full table refuses new ones.
type table struct {
	bare, domain, full string // this end's own addresses, normalised
	max                int

	mu      sync.Mutex
	closed  bool
	pending map[string]pending // by id
}

type pending struct {
	to  string        // normalised
	got chan *Element // nil for a ping: its answer is life enough
}

func (t *table) init(jid string, max int) {
	t.full = normalise(jid)
	t.bare, _, _ = strings.Cut(t.full, "/")
	t.domain = t.bare[strings.IndexByte(t.bare, '@')+1:]
	t.max = max
	t.pending = make(map[string]pending)
}

func (t *table) add(id, to string, got chan *Element) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	if _, taken := t.pending[id]; taken {
		return fmt.Errorf("stream: request: id %q is in use: %w", id, NewStanzaError(Conflict, ""))
	}
	if len(t.pending) >= t.max {
		return ErrFull
	}
	t.pending[id] = pending{to: normalise(to), got: got}
	return nil
}

// forget gives a ping up.
func (t *table) forget(id string) { t.drop(id, nil) }

// drop removes a request, unless its id serves another one by now.
func (t *table) drop(id string, got chan *Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.pending[id]; ok && p.got == got {
		delete(t.pending, id)
	}
}

// answer hands a reply to whoever waits for it and reports whether anybody did.
func (t *table) answer(e *Element) bool {
	id := e.Attr("id")
	t.mu.Lock()
	p, ok := t.pending[id]
	if ok = ok && t.matches(p.to, normalise(e.Attr("from"))); ok {
		delete(t.pending, id)
	}
	t.mu.Unlock()
	if ok && p.got != nil {
		p.got <- e // has room for one, and gets one
	}
	return ok
}

// matches reports whether the answer to a request to one address may come
// from another: RFC 6120 §8.1.2.1, and servers that name themselves or the
// account where they need not.
func (t *table) matches(to, from string) bool {
	if to == from {
		return true
	}
	own := func(jid string) bool { return jid == "" || jid == t.bare }
	return own(to) && (own(from) || from == t.full || from == t.domain) ||
		from == "" && to == t.domain
}

// fail ends every request under way, and refuses later ones.
func (t *table) fail() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for id, p := range t.pending {
		delete(t.pending, id)
		if p.got != nil {
			close(p.got)
		}
	}
}

// normalise makes JIDs comparable that differ only in the case of what has none.
// Whether they are valid does not matter here.
func normalise(jid string) string {
	bare, resource, ok := strings.Cut(jid, "/")
	bare = strings.ToLower(bare)
	if ok {
		return bare + "/" + resource
	}
	return bare
}
