package local

import (
	"fmt"
	"strings"
	"testing"

	"tidings/xmppbridge/stream"
)

// carbon matches a copy of a message with this body, and checks the addresses of both.
func carbon(direction, body string) func(*stream.Element) bool {
	return func(e *stream.Element) bool {
		return e.Name == "message" && e.Child(nsCarbons, direction) != nil && original(e).Body() == body
	}
}

func anyCarbon(e *stream.Element) bool {
	return e.Child(nsCarbons, "received") != nil || e.Child(nsCarbons, "sent") != nil
}

func (c *raw) carbons(on string) {
	c.t.Helper()
	if e := c.request("<iq type='set'><" + on + " xmlns='urn:xmpp:carbons:2'/></iq>"); e.Attr("type") != "result" {
		c.t.Fatalf("carbons: %s", e)
	}
}

func TestCarbons(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	phone, desk, bot := f.online("alice", "phone"), f.online("alice", "desk"), f.login("alice", "bot")
	plain, bob := f.online("alice", "plain"), f.online("bob", "phone")
	bot.write("<presence><priority>-1</priority></presence>")
	for _, c := range []*raw{phone, desk, bot} {
		c.carbons("enable")
		c.carbons("enable") // twice is no error
	}

	phone.write("<message type='chat' id='1' to='bob@home.example'><body>hello</body></message>")
	e := desk.expect("copy", carbon("sent", "hello"))
	if inner := original(e); e.Attr("from") != "alice@home.example" || e.Attr("to") != desk.full || e.Attr("type") != "chat" ||
		inner.Attr("from") != phone.full || inner.Attr("to") != "bob@home.example" {
		t.Errorf("copy %s", e)
	}
	bot.expect("copy", carbon("sent", "hello"))
	bob.expect("message", message("hello"))
	plain.none("copy", anyCarbon)
	phone.none("copy of one's own", anyCarbon)
	bob.none("copy", anyCarbon)

	// To one client: the others get a copy. To all: those who took the message itself get none.
	bob.write("<message type='chat' to='" + phone.full + "'><body>to one</body></message>")
	phone.expect("message", message("to one"))
	if e := desk.expect("copy", carbon("received", "to one")); original(e).Attr("to") != phone.full || e.Attr("from") != "alice@home.example" {
		t.Errorf("copy %s", e)
	}
	bot.expect("copy", carbon("received", "to one"))
	bob.write("<message to='alice@home.example'><body>to all</body></message>")
	for _, c := range []*raw{phone, desk, plain} {
		c.expect("message", message("to all"))
	}
	bot.expect("copy", carbon("received", "to all"))
	for _, c := range []*raw{phone, desk, plain} {
		c.none("copy", anyCarbon)
	}

	// What is said to the house, and what it answers.
	phone.write("<message type='chat' to='lamp@home.example'><body>on</body></message>")
	phone.expect("answer", message("heard on"))
	desk.expect("copy", carbon("sent", "on"))
	desk.expect("copy", carbon("received", "heard on"))
	bot.expect("copy", carbon("received", "heard on"))

	// An error in answer to what was copied is copied; any other is not.
	bob.write("<message type='error' id='1' to='" + phone.full + "'><error type='cancel'/></message>")
	desk.expect("error", func(e *stream.Element) bool {
		return original(e).Attr("type") == "error" && e.Child(nsCarbons, "received") != nil
	})
	bob.write("<message type='error' id='2' to='" + phone.full + "'><error type='cancel'/></message>")

	for _, body := range []string{
		"<message type='chat' to='%s'><body>p</body><private xmlns='urn:xmpp:carbons:2'/></message>",
		"<message type='chat' to='%s'><body>p</body><no-copy xmlns='urn:xmpp:hints'/></message>",
		"<message type='headline' to='%s'><body>p</body></message>",
		"<message type='groupchat' to='%s'><body>p</body></message>",
		"<message to='%s'><thing xmlns='x'/></message>",
	} {
		phone.write(fmt.Sprintf(body, bob.full))
		if e := bob.expect("message", func(e *stream.Element) bool { return e.Attr("from") == phone.full && e.Attr("id") == "" }); strings.Contains(e.String(), "private") {
			t.Errorf("the recipient got %s", e)
		}
		bob.write(fmt.Sprintf(body, phone.full))
	}
	phone.sync()
	desk.none("copy", anyCarbon)
	bot.expect("copy", carbon("sent", "on"))
	bot.expect("error", func(e *stream.Element) bool { return original(e).Attr("type") == "error" })

	// A copy made by somebody else is a message like any other: it bears its sender's name.
	bob.write("<message to='" + desk.full + "'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' " +
		"from='alice@home.example/phone' to='lamp@home.example'><body>off</body></message></forwarded></sent></message>")
	if e := desk.expect("forgery", anyCarbon); e.Attr("from") != bob.full {
		t.Errorf("forgery %s", e)
	}

	// To oneself: one of each.
	phone.write("<message type='chat' to='alice@home.example'><body>note</body></message>")
	desk.expect("note", message("note"))
	bot.expect("copy", carbon("received", "note"))
	desk.none("copy", anyCarbon)
	bot.none("copy", anyCarbon)

	desk.carbons("disable")
	phone.write("<message type='chat' to='bob@home.example'><body>again</body></message>")
	bot.expect("copy", carbon("sent", "again"))
	desk.none("copy", anyCarbon)
	if got := condition(bob.request("<iq type='set' to='alice@home.example'><enable xmlns='urn:xmpp:carbons:2'/></iq>")); got != "cancel service-unavailable" {
		t.Errorf("copies of somebody else's: %q", got)
	}
}
