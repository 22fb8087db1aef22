package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// maxWeb and maxWebPerAddress bound the HTTP connections of one listener, whatever they are used for. Those from this
	// machine may all be a proxy's, and are bounded by maxWeb alone.
	maxWeb           = 512
	maxWebPerAddress = 32
	// webHeaders is how long a request may take to say what it wants, and webIdle how long a connection may wait for the next.
	webHeaders = 10 * time.Second
	webIdle    = 30 * time.Second
	// webHeaderBytes bounds the head of a request.
	webHeaderBytes = 16 << 10
)

// A door is one address that the server answers HTTP on.
type door struct {
	address string
	// plain: without TLS, which only what stays on this machine may be: a browser here, or a proxy that has the TLS.
	plain    bool
	answer   func(ctx context.Context, serving *sync.WaitGroup) http.Handler // serving counts what outlives its request
	handler  http.Handler
	listener net.Listener
}

// isLoopback reports whether only this machine reaches an address to listen on.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// openDoors listens on all addresses for HTTP or on none.
func (s *Server) openDoors(ctx context.Context, serving *sync.WaitGroup) error {
	for i, d := range s.doors {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.address)
		if err == nil {
			d.listener, d.handler = newBounded(l), d.answer(ctx, serving)
			continue
		}
		for _, opened := range s.doors[:i] {
			opened.listener.Close()
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("xmpp server: %w: stop what listens there, or listen on another port", err)
		}
		return fmt.Errorf("xmpp server: %w", err)
	}
	return nil
}

// serveHTTP answers at one door until ctx is done, and returns when all requests have ended but those that became WebSockets.
func (s *Server) serveHTTP(ctx context.Context, d *door) {
	server := &http.Server{
		Handler: d.handler, ReadHeaderTimeout: webHeaders, IdleTimeout: webIdle, MaxHeaderBytes: webHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// HTTP/2 has another way to a WebSocket, which the library does not know.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	l := d.listener
	if !d.plain {
		l = tls.NewListener(l, &tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.Load().web, nil },
		})
	}
	var closing sync.WaitGroup
	closing.Go(func() {
		<-ctx.Done()
		// A request under way may end; what is left after that has had its time.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close()
		}
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("no longer answers HTTP", "address", l.Addr().String(), "err", err)
	}
	closing.Wait()
}

// caller is whom a request comes from, for the bounds on strangers: behind a proxy on this machine, the address the proxy
// says it has it from. The last one named is the proxy's own word, what stands before it the client's.
func caller(r *http.Request) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return r.RemoteAddr
	}
	named := r.Header.Values("X-Forwarded-For")
	if len(named) == 0 {
		return r.RemoteAddr
	}
	last := named[len(named)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if ip, err := netip.ParseAddr(last); err == nil {
		return netip.AddrPortFrom(ip, 0).String()
	}
	return r.RemoteAddr
}

// secure reports whether the client got here with TLS: ours or that of a proxy on this machine.
func secure(r *http.Request) bool {
	return r.TLS != nil || isLoopback(r.RemoteAddr) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// anyOrigin lets web pages of other origins read what is answered: nothing here depends on a cookie.
func anyOrigin(h http.Header) { h.Set("Access-Control-Allow-Origin", "*") }

// bounded is a listener that has so many connections at a time and no more: the next are closed at once.
type bounded struct {
	net.Listener
	mu     sync.Mutex
	all    int
	byAddr map[netip.Addr]int
}

func newBounded(l net.Listener) *bounded {
	return &bounded{Listener: l, byAddr: make(map[netip.Addr]int)}
}

// Accept returns the next connection within the bounds.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := origin(conn.RemoteAddr())
		if b.enter(from) {
			return &boundedConn{Conn: conn, leave: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		conn.Close()
	}
}

func (b *bounded) enter(from netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxWeb || b.byAddr[from] >= maxWebPerAddress && !from.IsLoopback() {
		return false
	}
	b.all++
	b.byAddr[from]++
	return true
}

func (b *bounded) leave(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.byAddr[from]--; b.byAddr[from] <= 0 {
		delete(b.byAddr, from)
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

func (c *boundedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite is that of the connection beneath.
func (c *boundedConn) CloseWrite() error { return closeWrite(c.Conn) }
