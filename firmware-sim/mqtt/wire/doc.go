// Package wire is the connection of simulated firmware to an MQTT broker: opened within a bound, subscribed, and gone for good when
// it is lost, with or without a goodbye. Whoever simulates opens the next.
package wire
