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
//	s := stream.NewStream(conn, dec, stream.Options{
//		JID:    "home@example.org/home",
//		PingTo: "example.org",
//		Handle: func(e *stream.Element) { work <- e },
//	})
//	go func() { done <- s.Run(ctx) }()
//	s.Send(stream.New(stream.NS, "presence"))
package stream
