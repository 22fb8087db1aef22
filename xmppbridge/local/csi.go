package local

import (
	"slices"

	"tidings/xmppbridge/stream"
)

const (
	nsCSI        = "urn:xmpp:csi:0"
	nsChatStates = "http://jabber.org/protocol/chatstates"
)

// held is what waits for a client that says nobody looks at it (XEP-0352): the latest presence of each address. A phone's radio
// is not woken for what the next one overtakes. There is one entry an address that the client sees, and Limits.Held bytes.
type held struct {
	latest map[string]int // by from: where in order
	order  []heldPresence // one that was overtaken has no bytes
	bytes  int
}

type heldPresence struct {
	from  string
	bytes []byte
}

// put keeps a presence in place of the last of the same address.
func (h *held) put(from string, b []byte) {
	if h.latest == nil {
		h.latest = make(map[string]int)
	}
	if i, ok := h.latest[from]; ok {
		h.bytes -= len(h.order[i].bytes)
		h.order[i].bytes = nil
	}
	h.latest[from] = len(h.order)
	h.order = append(h.order, heldPresence{from, b})
	h.bytes += len(b)
	if len(h.order) > 2*len(h.latest)+32 {
		h.compact()
	}
}

// compact forgets what was overtaken.
func (h *held) compact() {
	kept := make([]heldPresence, 0, len(h.latest))
	for _, p := range h.order {
		if p.bytes != nil {
			h.latest[p.from] = len(kept)
			kept = append(kept, p)
		}
	}
	h.order = kept
}

// hold keeps or drops what can wait while nobody looks, and reports whether it did. c.out is held.
func (c *session) hold(st *stream.Element, b []byte) bool {
	switch {
	case st.Name == "presence":
		switch st.Attr("type") {
		case "", "unavailable":
			if b == nil {
				b = st.AppendXML(nil)
			} else {
				b = slices.Clone(b)
			}
			was := c.held.bytes
			c.held.put(st.Attr("from"), b)
			c.wait(c.held.bytes - was)
			if c.held.bytes > c.server.limits.Held {
				c.release()
			}
			return true
		}
	case st.Name == "message":
		return passing(original(st))
	}
	return false
}

// release sends what was held. c.out is held.
func (c *session) release() {
	h := c.held
	c.held = held{}
	c.wait(-h.bytes)
	for _, p := range h.order {
		if p.bytes != nil {
			c.put(nil, p.bytes)
		}
	}
}

// passing reports whether a message only says what its sender is doing just now (XEP-0085): later nobody wants to know.
func passing(st *stream.Element) bool {
	found := false
	for e := range st.Children() {
		switch {
		case e.Space == nsChatStates:
			found = true
		case e.Space == nsHints, e.Space == nsStanzaID, e.Is(stream.NS, "thread"):
		default:
			return false
		}
	}
	return found
}

// original is the message in a carbon copy, or the message itself.
func original(st *stream.Element) *stream.Element {
	for _, name := range []string{"received", "sent"} {
		if copied := st.Child(nsCarbons, name); copied != nil {
			return copied.Child(nsForward, "forwarded").Child(stream.NS, "message")
		}
	}
	return st
}

// clientState takes <active/> and <inactive/>, and reports whether the element was one of them.
func (c *session) clientState(e *stream.Element) bool {
	switch {
	case e.Is(nsCSI, "inactive"):
		c.out.Lock()
		defer c.out.Unlock()
		c.inactive = true
	case e.Is(nsCSI, "active"):
		c.out.Lock()
		defer c.out.Unlock()
		c.inactive = false
		c.release()
	default:
		return false
	}
	return true
}
