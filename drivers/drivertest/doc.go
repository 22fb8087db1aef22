// Package drivertest is the suite every driver passes, and the small tools its other tests need.
//
// [Run] holds a driver against the contract of package devices: nothing is touched while it is built, it may be run
// again, stops promptly, announces before it links and links before it reads, refuses what it cannot do, leaves its
// outputs safe and no goroutine behind. The test of a driver supplies a [Fixture]: how simulated hardware is made and
// how it comes and goes.
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
//			node := newNode(t)
//			return drivertest.Stage{
//				Type:   serial.Type(nil),
//				Config: "[drivers.attic]\nport = \"" + node.Path() + "\"\n[devices.pump]\n…",
//				Plug:   node.Plug,
//				Unplug: node.Unplug,
//				Reads:  drivertest.Point{Device: "pump", Point: "flow"},
//			}
//		}})
//	}
//
// [Sink] records what a driver says and waits for events, never for time to pass. [Connection], [Build] and
// [Problems] read configuration as the gateway does. [Start] runs a driver for the length of a test: it owns that
// goroutine and waits for it.
package drivertest
