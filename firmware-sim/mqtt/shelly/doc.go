// Package shelly is Shelly devices of the second generation and later, as firmware for a board.Board. What they publish follows
// https://shelly-api-docs.shelly.cloud/gen2/ (RPC protocol, MQTT, and the pages of the components):
//
//   - PREFIX/online says true, retained, with false as the last will;
//   - PREFIX/events/rpc has NotifyStatus with what has changed of a component, NotifyFullStatus at the start, and NotifyEvent;
//   - PREFIX/status/COMPONENT has all of a component's status, where Status is set (status_ntf, which is off by default);
//   - PREFIX/rpc takes JSON-RPC with src, and answers on SRC/rpc: Shelly.GetDeviceInfo, GetConfig, GetStatus, ListMethods,
//     Switch.Set and Toggle, Light.Set and Toggle, Cover.Open, Close, Stop and GoToPosition, and each component's GetStatus;
//   - PREFIX/command/COMPONENT takes on, off, toggle, open, close, stop and pos,N (enable_control).
package shelly
