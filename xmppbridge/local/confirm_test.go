package local

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	if err := f.Confirm(t.Context(), "alice"); !errors.Is(err, ErrOffline) {
		t.Errorf("with nobody there: %v", err)
	}
	dead, bot := f.online("alice", "dead"), f.login("alice", "bot")
	bot.write("<presence><priority>-1</priority></presence>")
	f.house.awaitEvent("available " + bot.full)

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Confirm(short, "alice"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a client that does not answer, and one that takes no messages: %v", err)
	}
	isPing := func(e *stream.Element) bool { return e.Child(nsPing, "ping") != nil }
	dead.expect("ping", isPing)

	phone := f.online("alice", "phone")
	done := make(chan error, 1)
	go func() { done <- f.Confirm(t.Context(), "alice") }()
	ping := phone.expect("ping", isPing)
	phone.write("<iq type='error' id='" + ping.Attr("id") + "' to='" + testDomain + "'><error type='cancel'>" +
		"<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	if err := <-done; err != nil {
		t.Errorf("with one client that is alive: %v", err)
	}
}
