// Package tasmota reads what Tasmota says of itself in its own discovery (SetOption19 0, which is the default): a retained
// tasmota/discovery/MAC/config with names, relays and topics, and …/sensors with what its sensors have said last. See
// https://tasmota.github.io/docs/MQTT/ and the code of the firmware, xdrv_12_discovery.ino.
//
//	tasmota/discovery/DC4F22A1B2C3/config    {"dn":"Kitchen","t":"kitchen","ft":"%prefix%/%topic%/","rl":[1,0],…}
//	tele/kitchen/LWT                         Online
//	tele/kitchen/STATE                       {"POWER":"ON",…}
//	cmnd/kitchen/POWER                       OFF
//
// A device's key is its MAC address. Relays are switches ("power"), lights have brightness, colour and colour temperature by their
// type, two relays are a shutter; switches and buttons that are detached from their relays are points of their own. A device
// that has come is asked for its state, which it would say only every five minutes.
package tasmota
