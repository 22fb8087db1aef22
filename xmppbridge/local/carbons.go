package local

import (
	"context"
	"slices"
	"strings"

	"tidings/xmppbridge/stream"
)

const (
	nsCarbons   = "urn:xmpp:carbons:2"
	nsForward   = "urn:xmpp:forward:0"
	nsHints     = "urn:xmpp:hints"
	nsStanzaID  = "urn:xmpp:sid:0"
	nsReceipts  = "urn:xmpp:receipts"
	nsMarkers   = "urn:xmpp:chat-markers:0"
	nsReactions = "urn:xmpp:reactions:0"
	nsRetract   = "urn:xmpp:message-retract:1"
)

// maxExpected is how many of the messages an account sent last are remembered so that an error in answer to one is copied as the
// message was (XEP-0280 §6.1).
const maxExpected = 64

// carbons switches copies of what the person's other clients say and hear on or off (XEP-0280 §4 and §5). Asking twice is no
// error.
func (c *session) carbons(_ context.Context, iq, ask *stream.Element) {
	c.server.locked(func() { c.copies = ask.Name == "enable" })
	c.result(iq)
}

// copied reports whether a message is one that a person's other clients get a copy of (XEP-0280 §6.1): of a conversation, and not
// kept to one client by who wrote it.
func copied(st *stream.Element) bool {
	if st.Child(nsCarbons, "private") != nil || st.Child(nsHints, "no-copy") != nil {
		return false
	}
	switch st.Attr("type") {
	case "chat":
		return true
	case "", "normal":
		return says(st)
	}
	return false
}

// says reports whether a message has something to read, or says something about one that has.
func says(st *stream.Element) bool {
	return st.Body() != "" || slices.ContainsFunc(st.Nodes, func(e *stream.Element) bool {
		return e.Space == nsReceipts && e.Name == "received" || e.Space == nsMarkers && e.Name != "markable" ||
			e.Space == nsReactions || e.Space == nsRetract
	})
}

// copyTo sends a message that one of the account's clients sent, or got, to the others that asked for copies, and returns how many
// those are. It needs Server.mu.
func (a *account) copyTo(direction string, st *stream.Element, except func(*session) bool) (n int) {
	var forwarded *stream.Element
	for _, c := range a.sessions {
		if !c.copies || except(c) {
			continue
		}
		if forwarded == nil {
			forwarded = stream.New(nsForward, "forwarded").Add(st)
		}
		c.send(stream.New(stream.NS, "message", "type", st.Attr("type"), "from", a.bare, "to", c.full).
			Add(stream.New(nsCarbons, direction).Add(forwarded)))
		n++
	}
	return n
}

// expect remembers that an error in answer to a message would be copied. It needs Server.mu.
func (a *account) expect(st *stream.Element) {
	if st.Attr("id") == "" {
		return
	}
	if len(a.expected) >= maxExpected {
		a.expected = slices.Delete(a.expected, 0, 1)
	}
	a.expected = append(a.expected, expected{id: strings.Clone(st.Attr("id")), to: bare(st.Attr("to"))})
}

// expected is a message that was sent and copied.
type expected struct{ id, to string } // to is bare: whichever client of somebody's got it may answer

// answers reports whether an error answers a message that was copied. It needs Server.mu.
func (a *account) answers(st *stream.Element) bool {
	return slices.Contains(a.expected, expected{id: st.Attr("id"), to: bare(st.Attr("from"))})
}

// withoutPrivate is a message as its recipient gets it (XEP-0280 §9).
func withoutPrivate(st *stream.Element) *stream.Element {
	if st.Child(nsCarbons, "private") == nil {
		return st
	}
	out := *st
	out.Nodes = slices.DeleteFunc(slices.Clone(st.Nodes), func(e *stream.Element) bool { return e.Is(nsCarbons, "private") })
	return &out
}
