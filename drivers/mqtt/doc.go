// Package mqtt is the driver for devices behind an MQTT broker: topics are read as readings and commands are
// published. Which topic is which point is written by hand in the configuration.
//
//	[drivers.house]
//	type   = "mqtt"
//	broker = "mqtt://127.0.0.1:1883"
//	[devices.lamp]
//	driver       = "house"
//	availability = "tele/lamp/LWT"
//	[devices.lamp.points.power]
//	source  = "stat/lamp/POWER"
//	command = "cmnd/lamp/POWER"
//	on      = "ON"
//	off     = "OFF"
//
// Each connection to the broker is a new paho client that lives until the connection is lost; the driver's own loop
// makes the next one, so that waiting between attempts ends with the context, a refusal is told from an absence, and
// no message of an old connection is ever taken for one of the new. The goroutine in Run handles every message; paho's
// only put them into an inbox, which is bounded: while Run is busy, the latest message of a topic replaces earlier
// ones. (No kind of point is an event yet; the topic of one must not coalesce.) Session and inbox are gone, with every
// goroutine, when Run returns.
//
// A retained message counts as a reading of the moment it arrives, although it may be old: MQTT does not say when it
// was published. A device that must not be believed without a fresh word needs an availability topic.
package mqtt
