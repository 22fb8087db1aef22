// Package mqtt simulates devices on MQTT whose topics are written down by hand, as Tasmota has them: a lamp with a relay, a plug
// that also meters power, and a camera. Devices that announce themselves are in the packages below it, one a dialect, and run on
// a board.Board.
//
// With the topic "lamp" a device
//
//   - says `Online` on tele/lamp/LWT, retained, with `Offline` as its last will,
//   - takes ON, OFF, TOGGLE, 1 and 0 on cmnd/lamp/POWER, and tells its state when the payload is empty,
//   - tells its state on stat/lamp/POWER (ON, OFF; retained, as with Tasmota's PowerRetain) and stat/lamp/RESULT,
//   - repeats {"POWER":"ON"} on tele/lamp/STATE, and a plug {"ENERGY":{"Total":1.234,"Power":12.3}} on
//     tele/lamp/SENSOR, every Options.Interval.
//
// A camera publishes what it sees, a JPEG, on tele/camera/PICTURE (retained), also at any payload on cmnd/camera/SNAPSHOT, and
// says on stat/camera/MOTION whether somebody is there, which Press decides.
//
// It shares no code with the gateway's driver, so that a mistake in one does not hide in the other. Faults are switched
// on while it runs.
//
//	lamp := mqtt.NewLamp(mqtt.Options{Broker: "mqtt://127.0.0.1:1883", Topic: "lamp"})
//	go lamp.Run(ctx)
//	err := lamp.SetFault(mqtt.Stuck, true)
//
// Run owns its goroutines and returns when they have ended.
package mqtt
