package stream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestResult(t *testing.T) {
	t.Parallel()
	iq := New(NS, "iq", "type", "get", "from", "a@b/c", "to", "d@e", "id", "1")
	if got := Result(iq, New("urn:x", "x"), nil).String(); got != "<iq type='result' to='a@b/c' from='d@e' id='1'><x xmlns='urn:x'/></iq>" {
		t.Error(got)
	}
	for _, st := range []*Element{
		New(NS, "iq", "type", "result", "id", "1"), New(NS, "iq", "type", "error", "id", "1"),
		New(NS, "iq", "id", "1"), New(NS, "message", "type", "get"), New("urn:x", "iq", "type", "get"), nil,
	} {
		if got := Result(st); got != nil {
			t.Errorf("%v answered with %v", st, got)
		}
	}
}

func TestErrorReply(t *testing.T) {
	t.Parallel()
	m := New(NS, "message", "from", "a@b/c", "to", "d@e", "id", "1", "type", "chat")
	e := NewStanzaError(ResourceConstraint, "busy", New("urn:app", "why"))
	want := "<message type='error' to='a@b/c' from='d@e' id='1'><error type='wait'>" +
		"<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>" +
		"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>busy</text><why xmlns='urn:app'/></error></message>"
	if got := ErrorReply(m, e).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, st := range []*Element{
		New(NS, "iq", "type", "result"), New(NS, "iq", "type", "error"), New(NS, "message", "type", "error"),
		New(NS, "presence", "type", "error"), New("urn:x", "r"), nil,
	} {
		if got := ErrorReply(st, e); got != nil {
			t.Errorf("%v answered with %v", st, got)
		}
	}
	if got := ParseError(ErrorReply(m, nil)); got.Condition != UndefinedCondition {
		t.Error(got)
	}
}

func TestStanzaErrorRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []*StanzaError{
		NewStanzaError(ItemNotFound, ""),
		NewStanzaError(BadRequest, "a < b", New("urn:app", "bad-payload")),
		{Type: TypeModify, Condition: Gone, URI: "xmpp:new@example.org", By: "example.org"},
	} {
		st, err := Parse(New(NS, "iq", "type", "error").Add(want.Element()).AppendXML(nil))
		if err != nil {
			t.Fatal(err)
		}
		got := ParseError(st)
		if got.Type != want.Type || got.Condition != want.Condition || got.Text != want.Text || got.By != want.By || got.URI != want.URI ||
			!slices.EqualFunc(got.App, want.App, func(a, b *Element) bool { return a.String() == b.String() }) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		var as *StanzaError
		if !errors.As(fmt.Errorf("wrapped: %w", got), &as) || as != got {
			t.Error("errors.As does not find it")
		}
	}
	for xml, want := range map[string]string{
		"<iq type='error'/>":             "undefined-condition cancel",
		"<iq type='error'><error/></iq>": "undefined-condition cancel",
		"<iq type='error'><error type='wait'><x xmlns='y'/></error></iq>":                  "undefined-condition wait",
		"<iq type='error'><error><forbidden xmlns='" + nsStanzaErrors + "'/></error></iq>": "forbidden auth",
	} {
		st, err := Parse([]byte(xml))
		if err != nil {
			t.Fatal(err)
		}
		if e := ParseError(st); e.Condition+" "+e.Type != want {
			t.Errorf("%s: %+v", xml, e)
		}
	}
	if e := ParseError(New(NS, "iq", "type", "result")); e != nil {
		t.Error(e)
	}
}

func TestStreamErrorRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []Error{
		{Condition: SystemShutdown},
		{Condition: PolicyViolation, Text: "too <big>"},
		{Condition: SeeOtherHost, Host: "other.example.org:5223", Text: "moved"},
	} {
		el, err := Parse(want.AppendXML(nil))
		if err != nil {
			t.Fatal(err)
		}
		got := ParseStreamError(el)
		want.Remote = true
		if got == nil || *got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if e := ParseStreamError(New(NS, "error")); e != nil {
		t.Error(e)
	}
}

func TestErrorsAreSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{&Error{Condition: NotWellFormed, Text: "name expected"}, "stream: not-well-formed: name expected"},
		{&Error{Condition: SeeOtherHost, Host: "b.example.org", Remote: true}, "stream: peer sent see-other-host b.example.org"},
		{NewStanzaError(Forbidden, ""), "forbidden"},
		{&StanzaError{Condition: NotAllowed, Text: "not here", By: "example.org"}, "example.org: not-allowed: not here"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
