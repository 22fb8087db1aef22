// Package broker is the MQTT broker inside the gateway, for homes that have none: MQTT 3.1, 3.1.1 and 5 over TCP,
// on mochi-mqtt, with bounds on everything a stranger can send.
//
// [Parse] reads the [broker] table into [Options] and touches nothing; [Broker.Run] listens, serves and returns when
// its context is done and every connection is closed. It may be run again, and starts empty: retained messages and
// sessions live in memory only. Run owns every goroutine of the broker and waits for those that hold a connection.
//
// The gateway's own driver (`broker = "local"`) does not come over the network: [Broker.Dial] hands out one end of a
// socket pair, which needs no user and works with no listener at all.
//
//	b := broker.New(broker.Options{Listen: []string{"127.0.0.1:0"}, Log: log})
//	go func() { done <- b.Run(ctx) }()
//	if err := b.WaitReady(ctx); err != nil {
//		return err
//	}
//	fmt.Println(b.Addrs()) // [127.0.0.1:40321]
//
// Without a file of users only loopback addresses are served: whoever reaches the broker may then read and move
// everything on it.
package broker
