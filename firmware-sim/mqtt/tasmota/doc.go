// Package tasmota is devices that run Tasmota, as firmware for a board.Board. What they publish follows
// https://tasmota.github.io/docs/MQTT/, /docs/Commands/, /docs/Blinds-and-Shutters/ and, for discovery, xdrv_12_discovery.ino of
// the firmware:
//
//   - tele/TOPIC/LWT says Online, retained, with Offline as the last will;
//   - tasmota/discovery/MAC/config and …/sensors say what it is, retained;
//   - tele/TOPIC/STATE and …/SENSOR are said every Options.Every (TelePeriod);
//   - cmnd/TOPIC/COMMAND takes commands, also several on …/Backlog; stat/TOPIC/RESULT answers, stat/TOPIC/POWER follows a relay;
//     STATUS 0, 8, 10 and 11 are answered on stat/TOPIC/STATUS….
package tasmota
