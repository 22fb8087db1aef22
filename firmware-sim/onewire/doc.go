// Package onewire simulates thermometers on a 1-Wire bus as the kernel shows them: an [io/fs.FS] as /sys/bus/w1/devices is one,
// with a directory a sensor and the file w1_slave in it.
//
//	bus := onewire.NewBus()
//	bus.Set("28-0316a2794aff", 21.4)
//	text, err := fs.ReadFile(bus, "28-0316a2794aff/w1_slave")
//
// A Bus is safe for concurrent use and starts no goroutine.
package onewire
