// Package port opens serial ports by the name they have in a configuration: device files of this machine, and ports of serial
// servers on TCP ("tcp://host:port"), by telnet and RFC 2217 where the server speaks them.
package port
