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

// Only who got what the house sent can confirm it; when they are gone, it may be lost.
func TestConfirmSent(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	isPing := func(e *stream.Element) bool { return e.Child(nsPing, "ping") != nil }
	alert := func() {
		t.Helper()
		if err := f.Send(stream.New(stream.NS, "message", "from", "lamp@"+testDomain, "to", "alice@"+testDomain).
			Add(stream.New(stream.NS, "body").AddText("hot"))); err != nil {
			t.Fatal(err)
		}
	}
	confirm := func() chan error {
		done := make(chan error, 1)
		go func() { done <- f.Confirm(t.Context(), "alice") }()
		return done
	}
	dead := f.online("alice", "dead")
	alert()
	first := confirm()
	dead.expect("ping", isPing)

	phone := f.online("alice", "phone") // got nothing of that
	alert()
	second := confirm()
	ping := phone.expect("ping", isPing)
	phone.write("<iq type='result' id='" + ping.Attr("id") + "' to='" + testDomain + "'/>")
	if err := <-second; err != nil {
		t.Errorf("of two that got it one is alive: %v", err)
	}
	select {
	case err := <-first:
		t.Errorf("who did not get it confirmed it: %v", err)
	default:
	}
	dead.conn.Close()
	if err := <-first; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who got it is gone: %v", err)
	}

	phone.conn.Close()
	f.house.awaitEvent("unavailable " + phone.full)
	gone := f.online("alice", "gone")
	alert()
	gone.conn.Close()
	f.house.awaitEvent("unavailable " + gone.full)
	f.online("alice", "new")
	if err := <-confirm(); !errors.Is(err, ErrOffline) {
		t.Errorf("who got it was gone before: %v", err)
	}
}
