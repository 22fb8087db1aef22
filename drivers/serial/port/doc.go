// Package port opens serial ports by the name they have in a configuration.
package port
