package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"tidings/xmppbridge/stream"
)

// tlsSetup is what depends on the certificate.
type tlsSetup struct {
	startTLS *tls.Config
	direct   *tls.Config // with ALPN, as XEP-0368 wants it
	web      *tls.Config // for HTTP
	endPoint []byte      // tls-server-end-point
}

// SetCertificate replaces the certificate for connections to come, as when a file was renewed.
func (s *Server) SetCertificate(cert tls.Certificate) error {
	if len(cert.Certificate) == 0 || cert.PrivateKey == nil {
		return errors.New("xmpp server: no certificate")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return fmt.Errorf("xmpp server: certificate: %w", err)
	}
	cert.Leaf = leaf
	config := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		// A resumed session spares little here, and makes what clients bind to (tls-unique) ambiguous.
		SessionTicketsDisabled: true,
	}
	direct := config.Clone()
	direct.NextProtos = []string{"xmpp-client"}
	web := config.Clone()
	web.NextProtos = []string{"http/1.1"}
	s.tls.Store(&tlsSetup{startTLS: config, direct: direct, web: web, endPoint: serverEndPoint(leaf)})
	return nil
}

// decoyKey derives the key of the salts of accounts that do not exist from the certificate's private key: secret, and the same
// after a restart, for a salt that changes with the process would give a name away.
func decoyKey(cert tls.Certificate) []byte {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil { // a key in hardware: as good as it gets
		key = []byte(rand.Text())
	}
	sum := sha256.Sum256(append([]byte("tidings local server decoy salts\x00"), key...))
	return sum[:]
}

// Run listens and serves until ctx is done, then tells every client that the server is going (system-shutdown), closes its
// stream and waits for it. An address that cannot be listened on is an error at once, after which Run may be called again; otherwise
// it may be called once.
func (s *Server) Run(ctx context.Context) error {
	if s.uploads != nil {
		if err := s.uploads.files.load(); err != nil {
			return fmt.Errorf("xmpp server: %w", err)
		}
	}
	listeners, err := s.open(ctx)
	if err != nil {
		return err
	}
	var listening, serving sync.WaitGroup
	if err := s.openDoors(ctx, &serving); err != nil {
		for _, l := range listeners[len(s.listeners):] {
			l.Close()
		}
		return err
	}
	if s.uploads != nil {
		listening.Go(func() { s.uploads.run(ctx) })
	}
	for _, l := range listeners {
		s.addrs = append(s.addrs, l.Addr())
	}
	close(s.ready)

	for _, d := range s.doors {
		s.log.Debug("answering HTTP", "address", d.listener.Addr().String())
		listening.Go(func() { s.serveHTTP(ctx, d) })
	}
	for _, l := range listeners {
		s.log.Debug("listening for XMPP clients", "address", l.Addr().String())
		listening.Go(func() { s.accept(ctx, l, &serving) })
	}
	listening.Go(func() { s.pruneArchive(ctx) })
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	listening.Wait()
	s.shutdown()
	serving.Wait()
	return nil
}

// open listens on all addresses or on none.
func (s *Server) open(ctx context.Context) ([]net.Listener, error) {
	listeners := slices.Clone(s.listeners)
	for _, address := range s.listen {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			listeners = append(listeners, l)
			continue
		}
		for _, opened := range listeners[len(s.listeners):] {
			opened.Close()
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("xmpp server: %w: stop what listens there, or listen on another port", err)
		}
		return nil, fmt.Errorf("xmpp server: %w", err)
	}
	return listeners, nil
}

// accept takes connections until the listener is closed. When the system has no room for one (too many open files), it
// tries again after a moment instead of giving up the door.
func (s *Server) accept(ctx context.Context, l net.Listener, serving *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			serving.Go(func() { s.serve(ctx, conn, (*login).run) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Warn("cannot accept an XMPP client", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}
}

// serve has one connection from its first byte to its last; how says how it logs in. A panic ends this connection only.
func (s *Server) serve(ctx context.Context, conn net.Conn, how func(*login, context.Context) (*line, error)) {
	defer conn.Close()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in a client's connection", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	from := origin(conn.RemoteAddr())
	if !s.gate.enter(from) {
		s.log.Debug("too many clients that are not logged in", "address", conn.RemoteAddr().String())
		return
	}
	in := &login{server: s, from: from, wire: &wire{Conn: conn}}
	client, err := func() (*line, error) {
		defer s.gate.leave(from)
		// Until it is logged in, a connection has nothing to be told when the server stops.
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		return how(in, ctx)
	}()
	if err != nil {
		s.log.Debug("client did not log in", "address", conn.RemoteAddr().String(), "err", err)
		in.refuse(err)
		return
	}
	client.run()
}

// shutdown ends every session, saying why.
func (s *Server) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for _, a := range s.accounts {
		for _, c := range a.sessions {
			c.end(&stream.Error{Condition: stream.SystemShutdown})
		}
	}
}

// Drop ends the streams of an account that was removed or whose password changed, and forgets what is in memory of it.
func (s *Server) Drop(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[account]
	if a == nil {
		return
	}
	delete(s.accounts, account)
	for _, c := range a.sessions {
		c.end(&stream.Error{Condition: stream.NotAuthorized, Text: "this account has changed"})
	}
}
