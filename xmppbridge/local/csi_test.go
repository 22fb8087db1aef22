package local

import (
	"fmt"
	"testing"

	"tidings/xmppbridge/stream"
)

func show(f *fixture, contact, status string) {
	f.Broadcast(stream.New(stream.NS, "presence", "from", contact+"@home.example/"+contact).
		Add(stream.New(stream.NS, "status").AddText(status)))
}

// statuses are those of the presences that came and were not expected yet.
func (c *raw) statuses() (all []string) {
	for _, e := range c.backlog {
		if e.Name == "presence" {
			all = append(all, e.ChildText("", "status"))
		}
	}
	c.backlog = nil
	return all
}

func TestClientState(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{})
	c, bob := f.online("alice", "phone"), f.online("bob", "phone")
	c.sync()
	c.backlog = nil
	c.write("<inactive xmlns='urn:xmpp:csi:0'/>")
	c.sync()
	for i := range 50 {
		show(f, "lamp", fmt.Sprint(i))
	}
	show(f, "door", "open")
	bob.write("<message type='chat' to='alice@home.example'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	bob.sync()
	// A message wakes the radio anyway, and finds everything as it is.
	bob.write("<message type='chat' to='alice@home.example'><body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
	c.expect("message", message("hi"))
	if got := fmt.Sprint(c.statuses()); got != "[49 open]" {
		t.Errorf("before the message came %s", got)
	}
	show(f, "lamp", "red")
	show(f, "lamp", "blue")
	show(f, "door", "shut")
	show(f, "lamp", "green")
	c.write("<active xmlns='urn:xmpp:csi:0'/>")
	c.sync()
	if got := fmt.Sprint(c.statuses()); got != "[shut green]" {
		t.Errorf("after <active/> came %s", got)
	}
	show(f, "lamp", "white")
	c.sync()
	if got := fmt.Sprint(c.statuses()); got != "[white]" {
		t.Errorf("while active came %s", got)
	}
	c.write("<what xmlns='urn:xmpp:csi:0'/>")
	if got := c.ended(); got != stream.UnsupportedStanzaType {
		t.Errorf("an element that is none: %s", got)
	}
}

// What is held back is bounded: beyond, the client is told.
func TestClientStateBounded(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{Held: 10 << 10})
	c := f.online("alice", "phone")
	c.write("<inactive xmlns='urn:xmpp:csi:0'/>")
	c.sync()
	for i := range 300 {
		if err := f.Send(stream.New(stream.NS, "presence", "from", fmt.Sprintf("d%d@home.example/x", i), "to", c.full)); err != nil {
			t.Fatal(err)
		}
	}
	c.expect("presence", presence("", "d0@home.example/x"))

	var h held
	for i := range 1000 {
		h.put("x", make([]byte, i))
	}
	if len(h.order) > 64 || h.bytes != 999 {
		t.Errorf("%d entries, %d bytes for one address", len(h.order), h.bytes)
	}
}
