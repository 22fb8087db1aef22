// Package zigbee2mqtt is a Zigbee2MQTT bridge with its devices, as firmware for a board.Board. What it publishes follows
// https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html, the pages of the devices there, and for discovery the
// extension homeassistant of its source:
//
//   - zigbee2mqtt/bridge/state says {"state":"online"}, retained, and {"state":"offline"} as the last will; bridge/info and
//     bridge/devices say what there is;
//   - homeassistant/COMPONENT/IEEE/OBJECT/config announces a component, retained; available is what both the bridge and
//     zigbee2mqtt/NAME/availability say is;
//   - zigbee2mqtt/NAME has the state of a device as one JSON object, not retained, at a change and at its reports;
//   - zigbee2mqtt/NAME/set takes JSON or a plain state, NAME/set/ATTRIBUTE the value of one attribute, NAME/get asks;
//   - bridge/request/device/rename and …/remove are answered on bridge/response/device/….
//
// When homeassistant/status says online, it says all states again (Zigbee2MQTT after 30 s; here after Options.Settle).
package zigbee2mqtt
