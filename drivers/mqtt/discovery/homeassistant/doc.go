// Package homeassistant is Home Assistant's MQTT discovery, which many programs and firmwares speak, as a
// [discovery.Convention]: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
//
// An announcement is a JSON object on <prefix>/<component>/[<node>/]<object>/config for one component, or on
// <prefix>/device/…/config for all of a device. Package component makes points of components; this one puts them together.
//
// # Devices and their keys
//
// Components are of one device when their announcements have one of their identifiers, or of their connections, in common.
// An announcement that names two devices does not make them one: it belongs to the device that the first of its identifiers
// leads to which others name, too. The key of a device is the first identifier that most of its announcements have,
// the first in the alphabet of several; it stays while the device is known. A device without identifiers has the first of its
// connections as "connection:mac:aa:bb:cc:dd:ee:ff". A component without a device is one of its own, "entity:sensor:unique_id"
// or, without that, "topic:sensor/node/object". An identifier that begins with one of these words gets "identifier:" before
// it. So no announcement can be taken for another device than the ones whose identifiers it gives, and none can change a key
// that was given out. Which announcements there are decides all of this, not the order in which they came.
//
// A unique_id is one component's. The first keeps it; another one with it is not understood, unless the first was said to be
// handed over (migrate_discovery) to another form of announcement, which then takes its place and its name.
//
// # Names of points
//
// A point is called what the topic calls the object, or what "components" has for a key, without what repeats the device: its
// node, an identifier, its name. The name stays when the device or the component is called something else. The parts of a
// light, a cover or a thermostat are "brightness", "position", "target" when it is all that its device is: when it has no name
// but the device's, or is the only such component. Else they have its name before: "ceiling_brightness". Of two that would
// have the same name, the one that comes first in component.Ranks has it, and the other one gets its component before it.
package homeassistant
