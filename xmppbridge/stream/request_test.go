package stream

import (
	"context"
	"errors"
	"testing"
)

// ask makes a request in a goroutine of its own and returns what the peer heard
// of it.
func (r *rig) ask(ctx context.Context, iq *Element) (heard *Element, answer <-chan result) {
	c := make(chan result, 1)
	go func() {
		e, err := r.Request(ctx, iq)
		c <- result{e, err}
	}()
	return r.hear(), c
}

type result struct {
	e   *Element
	err error
}

func TestRequestGetsItsAnswer(t *testing.T) {
	t.Parallel()
	r := run(t, Options{JID: "Me@Example.org/Home"})
	q := New("urn:q", "q")
	for _, c := range []struct{ to, from string }{
		{"a@b/c", "a@b/c"},
		{"A@B/C", "a@b/C"},
		{"", ""},
		{"", "me@example.org"},
		{"", "me@example.org/Home"},
		{"", "example.org"},
		{"me@example.org", ""},
		{"example.org", ""},
		{"example.org", "example.org"},
	} {
		heard, answer := r.ask(t.Context(), New(NS, "iq", "type", "get", "to", c.to).Add(q))
		if heard.Attr("id") == "" {
			t.Fatalf("no id: %v", heard)
		}
		r.say(New(NS, "iq", "type", "result", "from", c.from, "id", heard.Attr("id")).Add(q).String())
		if got := <-answer; got.err != nil || got.e.Child("urn:q", "q") == nil {
			t.Errorf("to %q, from %q: %v, %v", c.to, c.from, got.e, got.err)
		}
	}
}

func TestRequestIgnoresAnswersOfOthers(t *testing.T) {
	t.Parallel()
	handled := make(chan *Element, 1)
	r := run(t, Options{JID: "me@example.org/home", Handle: func(e *Element) { handled <- e }})
	for _, c := range []struct{ to, from string }{
		{"a@b/c", "mallory@b/c"},
		{"a@b/c", "a@b/C"},
		{"a@b/c", "a@b"},
		{"a@b/c", ""},
		{"", "me@example.org/Home"},
		{"", "mallory@example.org"},
		{"example.org", "sub.example.org"},
	} {
		heard, answer := r.ask(t.Context(), New(NS, "iq", "type", "set", "to", c.to, "id", "id-1"))
		forged := New(NS, "iq", "type", "result", "from", c.from, "id", "id-1")
		r.say(forged.String())
		if e := <-handled; e.String() != forged.String() {
			t.Errorf("handled %v", e)
		}
		// A request with the right id is no answer either.
		r.say(New(NS, "iq", "type", "get", "from", c.to, "id", "id-1").String())
		<-handled
		r.say(New(NS, "iq", "type", "result", "from", c.to, "id", heard.Attr("id")).String())
		if got := <-answer; got.err != nil {
			t.Errorf("to %q: %v", c.to, got.err)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	heard, answer := r.ask(t.Context(), New(NS, "iq", "type", "get", "to", "a@b"))
	r.say(ErrorReply(heard.SetAttr("from", "x@y"), NewStanzaError(ItemNotFound, "no such node")).String())
	got := <-answer
	var e *StanzaError
	if !errors.As(got.err, &e) || e.Condition != ItemNotFound || e.Text != "no such node" || e.Type != TypeCancel {
		t.Errorf("%v, %v", got.e, got.err)
	}
}

func TestRequestsFailWithTheStream(t *testing.T) {
	t.Parallel()
	r := run(t, Options{})
	var answers []<-chan result
	for range 5 {
		_, a := r.ask(t.Context(), New(NS, "iq", "type", "get", "to", "a@b"))
		answers = append(answers, a)
	}
	r.peer.Close()
	for _, a := range answers {
		if got := <-a; !errors.Is(got.err, ErrClosed) {
			t.Errorf("%v, %v", got.e, got.err)
		}
	}
	<-r.end
	if _, err := r.Request(t.Context(), New(NS, "iq", "type", "get")); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestRequestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	handled := make(chan *Element, 1)
	r := run(t, Options{Handle: func(e *Element) { handled <- e }})
	ctx, cancel := context.WithCancel(t.Context())
	_, answer := r.ask(ctx, New(NS, "iq", "type", "get", "to", "a@b", "id", "1"))
	cancel()
	if got := <-answer; !errors.Is(got.err, context.Canceled) {
		t.Errorf("%v, %v", got.e, got.err)
	}
	r.say("<iq type='result' from='a@b' id='1'/>") // too late
	<-handled
}

func TestRequestBounds(t *testing.T) {
	t.Parallel()
	r := run(t, Options{Requests: 2})
	ctx, cancel := context.WithCancel(t.Context())
	_, a := r.ask(ctx, New(NS, "iq", "type", "get", "to", "a@b", "id", "1"))
	var e *StanzaError
	if _, err := r.Request(ctx, New(NS, "iq", "type", "get", "to", "c@d", "id", "1")); !errors.As(err, &e) || e.Condition != Conflict {
		t.Errorf("id in use: %v", err)
	}
	_, b := r.ask(ctx, New(NS, "iq", "type", "get", "to", "a@b", "id", "2"))
	if _, err := r.Request(ctx, New(NS, "iq", "type", "get", "to", "a@b")); !errors.Is(err, ErrFull) {
		t.Errorf("a third request: %v", err)
	}
	for _, st := range []*Element{New(NS, "message"), New(NS, "iq", "type", "result"), nil} {
		if _, err := r.Request(ctx, st); !errors.As(err, &e) || e.Condition != BadRequest {
			t.Errorf("%v: %v", st, err)
		}
	}
	cancel()
	<-a
	<-b
	if n := len(r.requests.pending); n != 0 {
		t.Errorf("%d requests remembered", n)
	}
}
