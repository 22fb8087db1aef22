// Package link joins the gateway to the network: as an external component of a server ([Component], XEP-0114, one stream
// for all addresses), or as clients of an account ([Client], one stream a device, each with exactly the resource
// asked for).
//
// [DialComponent] and [DialClient] negotiate one stream and hand out its connection: TLS verified or pinned, SCRAM bound to
// the channel where server and TLS can, nothing ever in the clear to another machine. mellium.im/xmpp negotiates, behind a
// connection that gives it one byte a read, so that not a byte of what follows is lost. What goes wrong is an
// [*Error], a sentence with the way out and a kind for errors.Is.
//
// A link's Run keeps its streams open: it dials, calls Up, pumps stanzas, calls Down, waits, and dials again. A
// Component uses Run's goroutine and the stream's own; a Client has one for each stream besides, which Run waits
// for. Sending never waits for the network and keeps nothing for later: while a stream is down it answers
// [ErrDown], and what must not get lost is kept by the sender until a Barrier has passed.
//
// Where the server of an account manages streams (XEP-0198), one whose connection is cut is resumed: neither Down nor Up is
// called, what was sent and not acknowledged goes out again, what is sent meanwhile is kept for it, and a Barrier waits. Only
// when the server no longer has it, or for longer than it keeps it nothing answers, is it down, and a Barrier says what may
// be lost.
//
//	c := link.NewComponent(link.ComponentConfig{Domain: "things.example.org", Secret: secret}, link.Options{
//		Log:    log,
//		Up:     func(jid string) { bridge.Up("") },
//		Handle: func(e *stream.Element, m link.Meta) { bridge.Deliver(e, m.Fresh) },
//	})
//	err := c.Run(ctx)
//
// Both satisfy what the bridge asks of a network: Send by the stanza's from, and Barrier.
package link
