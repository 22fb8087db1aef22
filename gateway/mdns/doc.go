// Package mdns tells the home network by multicast DNS (RFC 6762) where a service is, as DNS-SD has it (RFC 6763): browsers of
// services find it by its type, and clients that look up a domain that ends in .local find the domain.
//
// It answers over IPv4, for the addresses of the network a question comes from, announces the service when it begins and when the
// machine comes into another network, and says goodbye. The names it answers for hold a mark of the gateway's own, so that nobody
// else has them; that spares the probing of RFC 6762 §8.
//
//	mdns.Run(ctx, mdns.Service{
//		Instance: "Home 3f2a", Types: []string{"_xmpp-client._tcp"}, Host: "tidings-3f2a", Port: 5222,
//	}, log)
//
// Goroutines: Run has one that reads, and waits for it. It imports nothing of the project.
package mdns
