// Package homeassistant is many plain sensors behind one MQTT client, as firmware for a board.Board, for load: each has eight
// points and announces itself by Home Assistant's convention for devices
// (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload), in one message or in one a point:
//
//   - homeassistant/device/ID/config, or homeassistant/sensor/ID/POINT/config, retained;
//   - sensors/ID has the state as one JSON object, retained;
//   - sensors/ID/availability says online, retained; sensors/NAME/status is the client's, with offline as its last will, and
//     both have to say online.
//
// Start makes all messages at once: a thousand sensors are some milliseconds of work without a broker.
package homeassistant
