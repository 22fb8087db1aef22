// Package homie is devices of the Homie convention, versions 5 and 4, as firmware for a board.Board. What they publish follows
// https://homieiot.github.io/specification/:
//
//   - version 5 has homie/5/ID/$state and …/$description, one JSON document with nodes and properties; version 4 a topic for each
//     attribute below homie/ID;
//   - $state goes from init to ready, and to disconnected in the end; the last will says lost;
//   - a property has its value on ID/NODE/PROPERTY, retained unless it is said otherwise; …/set sets one that is settable. A property
//     that takes its time says on $target (version 5) where it goes.
//
// All is published with QoS 2, one after the other, what is not retained with QoS 0, as the convention recommends.
package homie
