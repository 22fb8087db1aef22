package broker

import (
	"cmp"
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
	loginTimeout = 10 * time.Second // from accepting a connection to its whole CONNECT packet, a TLS handshake included
	acceptPause  = 50 * time.Millisecond
)

// A listener is a mochi listener that knows its connections. mochi's own closes only those that have logged in, so
// that a stranger who connects and says nothing would hold up the end of the broker, and sets no deadline for them.
type listener struct {
	id  string
	net net.Listener
	log *slog.Logger

	login time.Duration // loginTimeout

	lost    func(*session) // does what mochi left undone when it panicked
	gate    *gate          // nil: for everyone who can get here
	queue   int            // bytes that may wait for one client
	waiting *budget        // and for all of them

	wg     sync.WaitGroup // the goroutines of each connection
	mu     sync.Mutex
	closed bool
	told   time.Time // when a panic was logged with its stack
	conns  map[*conn]struct{}
	done   chan struct{} // closed by Close
}

func newListener(id string, l net.Listener, log *slog.Logger, queue int, waiting *budget) *listener {
	return &listener{id: id, net: l, log: log, login: loginTimeout, queue: queue, waiting: waiting, conns: map[*conn]struct{}{}, done: make(chan struct{})}
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
	c := newConn(nc, l.queue, l.waiting)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = nc.Close()
		return
	}
	if l.gate != nil {
		leave, ok := l.gate.enter(c.origin())
		if !ok {
			_ = nc.Close()
			return
		}
		c.gate = leave
	}
	_ = nc.SetDeadline(time.Now().Add(l.login)) // mochi moves it on with every packet after CONNECT
	l.conns[c] = struct{}{}
	l.wg.Go(c.drain)
	l.wg.Go(func() {
		defer func() {
			// What a client sends must not end the gateway, whatever it is: mochi does not look where some packets end.
			if p := recover(); p != nil {
				l.panicked(c, p, debug.Stack())
			}
			_ = c.Close()
			c.gate()
			close(c.ended)
			l.mu.Lock()
			delete(l.conns, c)
			l.mu.Unlock()
		}()
		err := c.readConnect()
		if err == nil {
			err = establish(l.id, c)
		}
		l.log.Debug("mqtt client gone", "listener", l.id, "remote", c.RemoteAddr(), "err", cmp.Or(c.why(), err))
	})
}

// panicked tells of a panic, with the stack once a minute, and has the client forgotten.
func (l *listener) panicked(c *conn, p any, stack []byte) {
	l.mu.Lock()
	often := time.Since(l.told) < time.Minute
	if !often {
		l.told = time.Now()
	}
	l.mu.Unlock()
	if often {
		l.log.Debug("panic once more", "listener", l.id, "remote", c.RemoteAddr(), "err", fmt.Sprint(p))
	} else {
		l.log.Error("panic", "listener", l.id, "remote", c.RemoteAddr(), "err", fmt.Sprint(p), "stack", string(stack))
	}
	_ = c.Close()
	if s := c.session.Load(); s != nil && l.lost != nil {
		l.lost(s)
	}
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
