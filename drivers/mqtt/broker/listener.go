package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

const (
	maxConnections = 1024             // of one listener; one more is closed at once
	loginTimeout   = 10 * time.Second // from accepting a connection to its CONNECT packet
	writeTimeout   = 10 * time.Second // of one packet to a client that does not read
	acceptPause    = 50 * time.Millisecond
)

// A listener is a mochi listener that knows its connections. mochi's own closes only those that have logged in, so
// that a stranger who connects and says nothing would hold up the end of the broker, and sets no deadline for them.
type listener struct {
	id  string
	net net.Listener
	log *slog.Logger

	wg     sync.WaitGroup // the goroutine of each connection
	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{}
	done   chan struct{} // closed by Close
}

func newListener(id string, l net.Listener, log *slog.Logger) *listener {
	return &listener{id: id, net: l, log: log, conns: map[*conn]struct{}{}, done: make(chan struct{})}
}

var _ listeners.Listener = (*listener)(nil)

func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return l.id }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return l.net.Addr().Network() }

// Serve accepts until Close. The broker's own goroutine runs it.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		c, err := l.net.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors, or a connection that went before it was taken
			l.log.Warn("broker cannot accept", "listener", l.id, "err", err)
			select {
			case <-l.done:
				return
			case <-time.After(acceptPause):
			}
		default:
			l.start(c, establish)
		}
	}
}

func (l *listener) start(nc net.Conn, establish listeners.EstablishFn) {
	c := &conn{Conn: nc}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.conns) >= maxConnections {
		_ = nc.Close()
		return
	}
	_ = c.SetDeadline(time.Now().Add(loginTimeout)) // mochi moves it on with every packet after CONNECT
	l.conns[c] = struct{}{}
	l.wg.Go(func() {
		defer func() {
			// What a client sends must not end the gateway, whatever it is.
			if p := recover(); p != nil {
				l.log.Error("panic", "listener", l.id, "remote", c.RemoteAddr(), "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
			_ = c.Close()
			l.mu.Lock()
			delete(l.conns, c)
			l.mu.Unlock()
		}()
		err := establish(l.id, c)
		l.log.Debug("mqtt client gone", "listener", l.id, "remote", c.RemoteAddr(), "err", err)
	})
}

// Close stops listening and closes every connection, logged in or not.
func (l *listener) Close(listeners.CloseFn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	_ = l.net.Close()
	for c := range l.conns {
		_ = c.Close()
	}
}

// conn bounds each write: mochi sets a deadline only for clients that ask for a keepalive, and holds a lock while it
// writes that the next connection of the same client needs.
type conn struct{ net.Conn }

func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// RemoteAddr is never nil, which it is at the end of a socket pair.
func (c *conn) RemoteAddr() net.Addr {
	if a := c.Conn.RemoteAddr(); a != nil && a.String() != "" {
		return a
	}
	return localAddr{}
}

// localAddr is the address of the gateway itself.
type localAddr struct{}

func (localAddr) Network() string { return "unix" }
func (localAddr) String() string  { return "local" }
