package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	webTimeout = 10 * time.Second // of a request that becomes a WebSocket
	webHeaders = 8 << 10          // bytes
)

// A webListener makes connections of WebSockets, one for each that speaks the subprotocol mqtt.
type webListener struct {
	net.Listener
	server *http.Server
	open   bool // without users
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
}

// newWebListener answers HTTP at a listener until it is closed; strangers are counted by the gate. Without users the door is
// open to whoever reaches it, which a page of any site in a browser on this machine does: then only pages from this machine
// are let in.
func newWebListener(l net.Listener, secure *tls.Config, open bool, g *gate, log *slog.Logger) *webListener {
	w := &webListener{Listener: l, open: open, conns: make(chan net.Conn), closed: make(chan struct{})}
	w.server = &http.Server{
		Handler: http.HandlerFunc(w.answer), ReadTimeout: webTimeout, WriteTimeout: webTimeout, IdleTimeout: webTimeout, MaxHeaderBytes: webHeaders,
		ErrorLog: slog.NewLogLogger(newQuiet(log.Handler()), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, gateKey{}, c.(*gatedConn).leave)
		},
		// HTTP/2 has another way to a WebSocket, which the library does not know.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	var from net.Listener = &gated{Listener: l, gate: g}
	if secure != nil {
		from = tls.NewListener(from, secure)
	}
	w.wg.Go(func() {
		// It ends with Close, and if the listener fails there is nothing to accept any more.
		_ = w.server.Serve(from)
		w.stop()
	})
	return w
}

func (w *webListener) stop() { w.once.Do(func() { close(w.closed) }) }

// Accept returns the next WebSocket.
func (w *webListener) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

// Close ends listening, and every request that has not become a WebSocket.
func (w *webListener) Close() error {
	w.stop()
	err := w.server.Close()
	w.wg.Wait()
	return err
}

// answer makes a WebSocket of a request, whatever its path: clients use /mqtt, /ws and /.
func (w *webListener) answer(rw http.ResponseWriter, r *http.Request) {
	if !slices.Contains(websocket.Subprotocols(r), "mqtt") && !slices.Contains(websocket.Subprotocols(r), "mqttv3.1") {
		http.Error(rw, "This is an MQTT broker's WebSocket: the subprotocol is mqtt.", http.StatusBadRequest)
		return
	}
	taken := &takeover{ResponseWriter: rw}
	upgrader := websocket.Upgrader{
		Subprotocols: []string{"mqtt", "mqttv3.1"}, ReadBufferSize: 4096, WriteBufferSize: 4096, HandshakeTimeout: webTimeout,
		CheckOrigin: func(r *http.Request) bool { return !w.open || fromHere(r) },
	}
	ws, err := upgrader.Upgrade(taken, r, nil)
	if err != nil {
		return
	}
	c := &webConn{Conn: taken.conn.Conn, ws: ws}
	r.Context().Value(gateKey{}).(func())() // whoever takes it counts it anew
	select {
	case w.conns <- c:
	case <-w.closed:
		_ = c.Close()
	}
}

// fromHere reports whether a request comes from no page, or from one of this machine's. What it calls this machine must not
// be a name: that leads where its owner wants, a moment later.
func fromHere(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	from, err := url.Parse(origin)
	if err != nil || !isLoopback(from.Hostname()) {
		return false
	}
	asked := &url.URL{Host: r.Host}
	return isLoopback(asked.Hostname())
}

// gated closes connections that are too many, and counts those that are not WebSockets yet.
type gated struct {
	net.Listener
	gate *gate
}

func (g *gated) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, ok := g.gate.enter(origin(c.RemoteAddr()))
		if ok {
			return &gatedConn{Conn: c, leave: leave}, nil
		}
		_ = c.Close()
	}
}

// gateKey is what a request's context holds the way out of the gate by.
type gateKey struct{}

// gatedConn leaves the gate when it is closed.
type gatedConn struct {
	net.Conn
	leave func()
}

func (c *gatedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// takeover gives the library a connection of ours for that of the HTTP server.
type takeover struct {
	http.ResponseWriter
	conn *timeless
}

func (t *takeover) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h, ok := t.ResponseWriter.(http.Hijacker)
	if !ok {
		return nil, nil, errors.ErrUnsupported
	}
	c, buffered, err := h.Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = c.SetDeadline(time.Now().Add(webTimeout)) // those of the HTTP server end here
	t.conn = &timeless{c}
	return t.conn, buffered, nil
}

// timeless keeps the library from setting times of its own with every write.
type timeless struct{ net.Conn }

func (timeless) SetDeadline(time.Time) error      { return nil }
func (timeless) SetReadDeadline(time.Time) error  { return nil }
func (timeless) SetWriteDeadline(time.Time) error { return nil }

// A webConn is a WebSocket as a stream of bytes: MQTT packets need not begin where messages do. One goroutine may read and
// one may write.
type webConn struct {
	net.Conn // beneath the WebSocket: addresses, times, the end
	ws       *websocket.Conn
	message  io.Reader // the one being read
}

func (c *webConn) Read(p []byte) (int, error) {
	for {
		if c.message == nil {
			kind, m, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a message that is not binary")
			}
			c.message = m
		}
		n, err := c.message.Read(p)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (c *webConn) Write(p []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}
