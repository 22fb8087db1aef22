// Package local is the XMPP server inside the gateway, for a home that has none: people log in to it with any client and find
// the house in their contact list. It serves one domain and does not federate.
//
// People are the accounts a [Store] knows. Everything else at the domain (the hub, the devices, the domain itself) is
// the house, which a [Backend] plays: what people send there is given to its Deliver, and it answers with [Server.Send]. The
// server keeps to itself what is between people and the server: login (SCRAM over TLS only), resources, rosters, presence,
// subscriptions between people, routing.
//
// Each account's roster holds what the Backend says it may see, subscribed both ways. What people rename, regroup or remove
// there is kept in the Store as an edit laid over what the house gives; adding a removed address again brings it back.
//
//	server, err := local.New(local.Options{
//		Domain: "things.example.org", Listen: []string{"[::]:5222"},
//		Certificate: cert, Store: store, Backend: house, Log: log,
//	})
//	go func() { done <- server.Run(ctx) }()
//	server.Send(stream.New(stream.NS, "message", "type", "chat",
//		"from", "lamp@things.example.org/lamp", "to", "alice@things.example.org").
//		Add(stream.New(stream.NS, "body").AddText("hot")))
//
// A client on a phone may lose its connection and resume its stream on another (XEP-0198); until it is too late for that it
// is there for everyone, and what is sent to it waits. The Store keeps what is said: the archive of each account, where there
// is one ([Options].Archive), and messages of people for who is not there. What the house says to nobody is refused, and
// stays the house's: see [Server.Confirm].
//
// Web clients come over a WebSocket ([Options].WebSocket), which reads and is written as the stream of any other client.
//
// People's files and the house's pictures have a place over HTTPS ([Options].Upload, [Server.Put]).
//
// What people's clients publish (avatars, bookmarks, keys) is kept and told to whom it concerns ([Nodes]).
//
// Accounts are made elsewhere, or by whoever shows an invitation before login ([Invites]).
//
// Goroutines: Run starts one a listener, one for the archive and one a connection, which stays after the connection was lost for
// as long as the client may resume. A connection that is logged in has its stream's writer besides. Run returns when all have
// ended. A Backend is called on the connections' goroutines, in order for each client.
// Sending never blocks on the network: a client whose queue is full is cut off, and nobody else notices.
package local
