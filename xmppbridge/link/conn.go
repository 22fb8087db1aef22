package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

const (
	// dialTimeout bounds one attempt to reach a host; there may be several in DNS.
	dialTimeout = 10 * time.Second
	// negotiationTimeout bounds everything from the TCP connection to the stream being ready: a server that accepts
	// and then says nothing must not hold us for ever.
	negotiationTimeout = 30 * time.Second
	// negotiationBytes bounds what a server may say before the stream is ready. Real ones say about 3 kB.
	negotiationBytes = 64 << 10
)

// Conn is a negotiated stream: authenticated, with its address, and not one byte read past the negotiation. Who
// holds it owns the connection.
type Conn struct {
	net.Conn                // a *tls.Conn, or plain TCP or unix to a server on this machine
	JID           string    // the address bound: full for a client, the domain for a component
	Namespace     string    // of its stanzas: jabber:client or jabber:component:accept
	StreamID      string    // the server's, for logs
	Server        string    // where it leads to, for logs
	Mechanism     string    // the SASL mechanism used; empty for a component
	Encrypted     bool      // by TLS
	EstablishedAt time.Time // with Go's monotonic clock

	manages bool   // the server offers acknowledgements and resumption
	resumed bool   // it goes on with the session that was cut
	counted bool   // it said how many stanzas of that session it had handled, even where it does not go on with it
	handled uint32 // that many
}

// Namespaces of the stanzas of the two kinds of stream.
const (
	NSClient    = "jabber:client"
	NSComponent = "jabber:component:accept"
)

// tap is the connection the negotiator sees. It hands out one byte a read, because mellium's decoder buffers whatever
// it is given and what follows the negotiation would be lost in that buffer; it bounds what is read; and it keeps a
// failed write for the next read to report, because a server that refuses us writes why and closes, and the reason is worth
// more than our EPIPE.
type tap struct {
	net.Conn
	whole    bool // TLS runs over this one now: hand out what there is
	left     int
	writeErr error
}

func newTap(conn net.Conn) *tap { return &tap{Conn: conn, left: negotiationBytes} }

var errTooMuch = fmt.Errorf("the server said more than %d bytes before the stream was ready", negotiationBytes)

func (t *tap) Read(p []byte) (int, error) {
	if t.whole || len(p) == 0 {
		return t.Conn.Read(p)
	}
	if t.left == 0 {
		return 0, errTooMuch
	}
	n, err := t.Conn.Read(p[:1])
	t.left -= n
	if err != nil && t.writeErr != nil {
		err = t.writeErr
	}
	return n, err
}

func (t *tap) Write(p []byte) (int, error) {
	if t.whole {
		return t.Conn.Write(p)
	}
	if t.writeErr == nil {
		_, t.writeErr = t.Conn.Write(p)
	}
	return len(p), nil
}

// ConnectionState lets mellium see that the stream is secure; the zero value says that it is not.
func (t *tap) ConnectionState() tls.ConnectionState {
	if secure, ok := t.Conn.(*tls.Conn); ok {
		return secure.ConnectionState()
	}
	return tls.ConnectionState{}
}

// guard runs negotiate with a deadline, ends it when ctx does, and makes a panic on what a server sent an error. conn is
// closed unless negotiate succeeds. The context negotiate gets is never cancelled: mellium answers a cancelled one by
// setting and clearing a deadline from a goroutine of its own, which a blocked read may never notice; closing
// the connection always works.
func guard(ctx context.Context, conn net.Conn, negotiate func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, negotiationTimeout, errSlow)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if p := recover(); p != nil {
			err = failf(ErrProtocol, nil, "the server's negotiation cannot be followed: %v", p)
		}
		if !stop() && err == nil {
			err = context.Cause(ctx) // closed under us after the last byte
		}
		if err != nil {
			_ = conn.Close()
			if cause := context.Cause(ctx); cause != nil {
				err = cause // the rest is what closing did
			}
		}
	}()
	return negotiate(context.WithoutCancel(ctx))
}

var errSlow = fmt.Errorf("the server did not finish negotiating in %v", negotiationTimeout)
