// Package board is what firmware on MQTT runs on: the connection, its last will, the clock, and the faults that are not those of
// a dialect. The firmware of each dialect is in a package beside it.
//
//	bridge := zigbee2mqtt.New(zigbee2mqtt.Options{}, devices...)
//	b := board.New(board.Options{Broker: "mqtt://127.0.0.1:1883"}, bridge)
//	go b.Run(ctx)
//	err := b.SetFault(board.Offline, true)
//
// A [Firmware] is a machine without a clock and without goroutines: it is told what time it is and what came, and returns what
// is to be published. So the same steps say the same, and a test or a load generator can do without a broker.
//
// Run owns its goroutines and returns when they have ended.
package board
