// Package control talks to a running gateway through its control socket: HTTP with JSON on a unix socket. What may be
// asked and what comes back are the types of package gateway. File permissions decide who may open the socket.
//
//	c := control.New("/run/tidings/tidings.sock")
//	list, err := c.Devices(ctx)
//
// A Client is safe for concurrent use and starts no goroutine that outlives a call.
package control
