// Package xmppbridge puts the devices of the house on XMPP: each with an address and a resource of its own, presence
// that says whether it is there and what it reads, commands any client can run, and messages for alerts.
//
// A [Bridge] stands between the house (what the gateway knows and can do, the [House] interface) and a [Network], one
// of the three ways onto XMPP: a component or client streams (package link) or the server inside (package local). All
// three look alike from here: stanzas go out with Send, come in through the bridge's Deliver, and only the question of
// who watches a device differs ([Audience]). An account with one stream only has the hub speak for all devices (single.go).
//
// What the bridge answers is a list of features, one file a XEP: ping.go, version.go, disco.go and so on. A feature
// holds the disco features it stands for and the IQ payloads it answers; service discovery and entity capabilities
// derive from the list, so nothing is announced that is not answered.
//
// Who watches is known from the store for a component, where the gateway is what a server is to its accounts, from the
// accounts for the server inside, and from the roster that the server keeps for an account (roster.go). Access decides
// anew each time something is sent; whoever lost it is told when a reload, or the next connection, finds out.
//
// Goroutines. Deliver is called by the network's readers and must not block: it answers what needs only memory and hands
// commands and chat to workers, one queue a sender and device, each bounded; a full queue refuses with
// resource-constraint. One goroutine sends presence, latest wins, paced so that ten thousand devices do not burst; one
// sends alerts from the outbox; one looks at the readings that programs subscribed to, by IQs (iotwatch.go) or as nodes
// (items.go), and tells them; one keeps nodes elsewhere (publisher.go), one fills contact lists (contacts.go), where there
// is that to do; each room has one that joins it (room.go). Run starts these and waits for them.
//
//	b, err := xmppbridge.New(ctx, xmppbridge.Options{House: house, Executor: router, Network: component, …})
//	err = b.Run(ctx)
package xmppbridge
