// Package esphome is nodes that run ESPHome with its MQTT client, as firmware for a board.Board. What it publishes follows
// https://esphome.io/components/mqtt and the sources of its MQTT components:
//
//   - NODE/status says online, retained, with offline as the last will;
//   - homeassistant/COMPONENT/NODE/OBJECT/config announces each entity in abbreviated keys, retained, with the node's area;
//   - NODE/COMPONENT/OBJECT/state has the entity's state, retained; a light's is JSON, a cover's is its position, a
//     thermostat and a fan have a topic for each part;
//   - NODE/COMPONENT/OBJECT/command and the topics of the parts take commands.
package esphome
