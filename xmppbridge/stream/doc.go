// Package stream is the wire of XMPP: a small stanza tree, a decoder whose
// memory a peer cannot outgrow, an appending writer, and the pump that runs one
// negotiated connection. It knows RFC 6120 and nothing of devices, forms or
// features; no other package of the module is imported here.
//
// An [Element] is built with [New] and written with [Element.AppendXML]; a
// [Decoder] turns bytes back into elements. The content namespace of every kind of stream
// (jabber:client, jabber:server, jabber:component:accept) reads as [NS], and
// elements in NS at the top of a stanza are written without xmlns, so the same
// code serves clients, components and servers.
//
// A [Stream] owns its connection from [NewStream] on and uses two goroutines
// while [Stream.Run] lasts: Run's own, which reads and calls Options.Handle, and
// a writer, which Run starts and waits for. Any goroutine may call
// [Stream.Send], which queues and never waits for the network, and
// [Stream.Request], which sends an IQ and waits for its answer.
//
// Acknowledgements and resumption (XEP-0198) are bookkeeping of either role in an [Acks], which no connection owns: it counts
// what was handled, keeps what was sent and not acknowledged, bounded in bytes, and is given to one Stream after another with
// [Stream.Manage]. The stream counts, answers <r/>, asks behind what it writes, and says what it handled when it closes; who
// negotiates does the rest.
//
//	client, on a feature of the server's:  s.Manage(a, <enable/>), and a.Begin() when <enabled/> is handled
//	server, in the Handle of <enable/>:    s.Manage(a, <enabled/>)
//	once the stream was cut and Run returned, until it is resumed: a.Keep(stanza) instead of Send
//	client, resuming with h = a.Handled(): on <resumed h=''/>, a.Ack(h), then s.Manage(a, nil) before Run
//	server, asked <resume h=''/>:          a.Ack(h), then s.Manage(a, <resumed/>) with h = a.Handled()
//	not resumed:                           a.Unacked() are lost, or their owner's again
//
//	s := stream.NewStream(conn, dec, stream.Options{
//		JID:    "home@example.org/home",
//		PingTo: "example.org",
//		Handle: func(e *stream.Element) { work <- e },
//	})
//	go func() { done <- s.Run(ctx) }()
//	s.Send(stream.New(stream.NS, "presence"))
package stream
