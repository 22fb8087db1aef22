// Package discovery is what the conventions by which MQTT devices announce themselves have in common: what a [Convention]
// is to the driver, and what it makes of announcements. Each convention is a folder beside this file.
//
// A convention is pure. It hears messages on its own topics and says whose device they change; the driver, which has the
// connection, the clock and the other topics, asks for a [Device] once announcements have calmed down, subscribes to the
// topics that its points name, and hands each message there to their Read. A command goes the other way: Write makes the
// messages that the driver publishes.
//
//	c := homeassistant.New(homeassistant.Options{})
//	changed, _ := c.Take(discovery.NewMessage("homeassistant/switch/lamp/power/config", payload))
//	for _, key := range changed {
//		device := c.Device(key) // nil: it is gone
//	}
//
// Nothing an announcement says is believed further than needed: sizes and counts are bounded, a component that is not
// understood becomes one of the device's Notes, and the others go on. A device is known by a key that its announcement
// gives and that never depends on what it is called.
//
// A Convention belongs to one goroutine. Devices never change after they were made; their functions may be called from any.
package discovery
