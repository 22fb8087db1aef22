// Package drivers is the table of the drivers there are. Each is a package of its own below this one, built on
// package devices alone; drivers/drivertest holds the suite that all of them pass.
//
// A driver joins by one folder here, one of simulated firmware in firmware-sim, and one line in [Types]. Nothing
// registers itself: what is not in the table is not in the gateway.
//
//	types := drivers.Types(drivers.Backends{}) // real ports, chips and brokers
//	for _, t := range types {
//		fmt.Println(t.Name, t.Help)
//	}
//
// The package starts no goroutine and touches no hardware.
package drivers
