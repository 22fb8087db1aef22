// Package gateway composes the parts into a running gateway: it starts what the configuration names, carries readings
// from the drivers to the rules and what the rules intend to XMPP, carries requests the other way, and replaces parts
// when the configuration changes.
//
// The router is the one goroutine that runs the rules and writes the registry. Drivers hand it what they have to say
// through an inbox that never makes them wait: readings coalesce per point. What the rules intend leaves the router
// without waiting either: presence goes to the bridge, which keeps the latest of each device, and alerts go to a
// goroutine that stores them and then tells the bridge.
//
// Requests come to Execute, from whichever side. It checks access, danger, range and state in one place, lets one
// request at a time through to each device, and waits for the reading that confirms it.
//
//	g, err := gateway.New(ctx, gateway.Options{Config: "gateway.toml", Log: log})
//	err = g.Run(ctx) // until ctx is done
//
// Run starts the store, the broker inside, the drivers (each supervised: a driver that fails is started again, later
// each time), the network with its bridge, and the control socket, and waits for all of them. Drivers stop first, so
// that outputs are safe before anything else can fail; the store stops last.
package gateway
