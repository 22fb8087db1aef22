// Package mqtt is the driver for devices behind an MQTT broker: topics are read as readings and commands are
// published. Which topic is which point a device announces itself, by a convention of package discovery, or is written by
// hand in the configuration.
//
//	[drivers.house]
//	type      = "mqtt"
//	broker    = "mqtt://127.0.0.1:1883"
//	discovery = ["homeassistant"]
//	[devices.lamp]
//	driver       = "house"
//	availability = "tele/lamp/LWT"
//	[devices.lamp.points.power]
//	source  = "stat/lamp/POWER"
//	command = "cmnd/lamp/POWER"
//	on      = "ON"
//	off     = "OFF"
//
// Both make a [discovery.Device], and what runs here knows only those: a table by hand is one that never changes, and a
// table with match is put over the device that announces itself by that name, key by key. A device is made, or made anew,
// when its announcements have calmed down; it is gone when they are taken back, or did not come again after a reconnect while
// most others did.
//
// Each connection to the broker is a new paho client that lives until the connection is lost; the driver's own loop
// makes the next one, so that waiting between attempts ends with the context, a refusal is told from an absence, and
// no message of an old connection is ever taken for one of the new. The goroutine in Run handles every message and has the one
// timer; paho's only put messages into an inbox, which is bounded: topics that have many in it keep their latest, and of many topics
// the rest waits in what is read ahead from the connection. A broker that may have dropped announcements is asked for them again, a few
// times. What Run asks of the broker a goroutine of the session does, so that Run never waits for an
// answer, which would have to come through that inbox. Session and inbox are gone, with every goroutine, when Run returns.
//
// A retained message counts as a reading of the moment it arrives, although it may be old: MQTT does not say when it
// was published. A device that must not be believed without a fresh word needs an availability topic. What happened, the
// reading of an event, is never taken from a retained message.
package mqtt
