// Package homie reads the Homie convention, versions 5 and 4 (and 3, which says the same in what is read here): devices that
// describe themselves in retained topics, see https://homieiot.github.io.
//
// A device of version 5 has one $description, a JSON document; one of version 4 a topic for each attribute. Its key is the id it
// has in its topics. Each property is a point: what may be set and is kept by the broker confirms, for its own topic then says
// what the device has. What is not kept is an event, or where it may be set an action.
//
//	homie/5/meter/$state            ready
//	homie/5/meter/$description      {"homie":"5.0","version":1,"nodes":{"grid":{"properties":{"power":{"datatype":"float","unit":"W"}}}}}
//	homie/5/meter/grid/power        230.5
//
// A device is there while it is ready or sleeping, and its root too, where it has one: a root that is lost takes its children
// along. Each $alert of a device is a point alert_ID, which has the alert's text while it lasts and is empty afterwards, so that one
// rule (when = "alert_battery != ”") tells people.
package homie
