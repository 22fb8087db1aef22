// Package devices is the contract between the two sides of the gateway: the drivers, which know lines, pins and
// topics, and everything that gives their data a meaning and an address. It holds the words both sides use and
// [Registry], the one place that knows the present state of every device.
//
// A [Driver] owns one connection (a port, a chip, a broker) and any number of devices on it. It announces them,
// publishes their readings as the device says them (raw: before scale and offset) and reports whether each can be
// reached, all through a [Sink] that never makes it wait for anything but memory. A driver that can act is also an
// [Actuator]. Whoever wants a device to do something, from whichever side, makes a [Request] and hands it to the one
// [Executor].
//
// A driver is described by a [Type]: the configuration keys it declares and a function that builds it without
// touching hardware. drivers/drivertest holds the suite that every driver passes.
//
//	type echo struct{ out chan devices.Command }
//
//	func (e *echo) Run(ctx context.Context, out devices.Sink) error {
//		out.Announce(devices.Info{ID: "echo", Points: []devices.Point{{Name: "said", Kind: devices.Text, Writable: true}}})
//		out.Link("echo", true, nil)
//		for {
//			select {
//			case <-ctx.Done():
//				return nil
//			case cmd := <-e.out:
//				out.Publish(devices.Reading{Device: "echo", Point: "said", Value: cmd.Value, At: time.Now()})
//			}
//		}
//	}
//
// Nothing in this package starts a goroutine. Values are small and comparable and are passed by value.
package devices
