package local

import (
	"fmt"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

// delayed is when a message says it came.
func delayed(t *testing.T, e *stream.Element) time.Time {
	t.Helper()
	d := e.Child(nsDelay, "delay")
	at, err := time.Parse(time.RFC3339, d.Attr("stamp"))
	if err != nil || d.Attr("from") != testDomain {
		t.Fatalf("no delay in %s: %v", e, err)
	}
	return at
}

func TestOffline(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Offline: 3})
	a := f.online("alice", "phone")
	bot := f.login("bob", "bot")
	bot.write("<presence><priority>-1</priority></presence>") // takes no messages
	f.house.awaitEvent("available " + bot.full)
	say := func(st string) string {
		id := newID()
		a.write(fmt.Sprintf(st, id))
		a.sync()
		for i, e := range a.backlog {
			if e.Attr("id") == id {
				a.backlog = append(a.backlog[:i], a.backlog[i+1:]...)
				return condition(e)
			}
		}
		return ""
	}
	for _, m := range []struct{ st, want string }{
		{"<message id='%s' type='chat' to='bob@home.example/gone'><body>one</body></message>", ""},
		{"<message id='%s' to='bob@home.example'><body>two</body></message>", ""},
		{"<message id='%s' type='chat' to='bob@home.example'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", ""},
		{"<message id='%s' type='headline' to='bob@home.example'><body>news</body></message>", ""},
		{"<message id='%s' type='chat' to='bob@home.example'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>", "cancel service-unavailable"},
		{"<message id='%s' to='bob@home.example'><thing xmlns='x'/></message>", "cancel service-unavailable"},
		{"<message id='%s' type='chat' to='bob@home.example'><received xmlns='urn:xmpp:receipts' id='1'/></message>", ""},
		{"<message id='%s' type='chat' to='bob@home.example'><body>full</body></message>", "cancel service-unavailable"},
	} {
		if got := say(m.st); got != m.want {
			t.Errorf("%s: %q, want %q", m.st, got, m.want)
		}
	}
	bot.none("message", func(e *stream.Element) bool { return e.Name == "message" })
	b := f.online("bob", "phone")
	if e := b.expect("one", message("one")); time.Since(delayed(t, e)) > time.Minute || e.Attr("from") != a.full {
		t.Errorf("kept: %s", e)
	}
	b.expect("two", message("two"))
	b.expect("receipt", func(e *stream.Element) bool { return e.Child(nsReceipts, "received") != nil })
	desk := f.online("bob", "desk")
	desk.none("message twice", func(e *stream.Element) bool { return e.Name == "message" })

	// Who raises the priority takes what waits.
	for _, c := range []*raw{b, desk} {
		c.write("<presence><priority>-5</priority></presence>")
		c.sync()
	}
	say("<message id='%s' type='chat' to='bob@home.example'><body>again</body></message>")
	desk.write("<presence><priority>0</priority></presence>")
	desk.expect("message", message("again"))
}

// Messages wait for a restart, too, and a store that fails keeps none and says so.
func TestOfflineKept(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	a := f.online("alice", "phone")
	a.write("<message type='chat' to='bob@home.example'><body>later</body></message>")
	a.sync()
	f.store.mu.Lock()
	f.store.broken = fmt.Errorf("the disk is full")
	f.store.mu.Unlock()
	a.write("<message type='chat' id='lost' to='bob@home.example'><body>lost</body></message>")
	if got := condition(a.expect("refusal", func(e *stream.Element) bool { return e.Attr("id") == "lost" })); got != "cancel internal-server-error" {
		t.Errorf("with a store that fails: %q", got)
	}
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	f.store.broken = nil
	g := startWith(t, Limits{}, f.store)
	b := g.online("bob", "phone")
	b.expect("message", message("later"))
}
