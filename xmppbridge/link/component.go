package link

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"mellium.im/xmpp/component"
	"mellium.im/xmpp/jid"
)

// Secret is a component's secret or an account's password. It prints as "[secret]" whatever prints it.
type Secret string

// String returns "[secret]".
func (Secret) String() string { return "[secret]" }

// GoString returns "[secret]".
func (Secret) GoString() string { return "[secret]" }

// MarshalText returns "[secret]".
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Dialer opens a network connection as [net.Dialer.DialContext] does.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// ComponentTLS says whether a component's stream is encrypted.
type ComponentTLS int

// How a component's stream is encrypted. There is no STARTTLS in XEP-0114.
const (
	ComponentTLSAuto   ComponentTLS = iota // direct TLS, but off to this machine (loopback and unix sockets)
	ComponentTLSDirect                     // direct TLS even to this machine
	ComponentTLSOff                        // plain text: refused unless the server is on this machine
)

// ComponentConfig is how to join a server as an external component (XEP-0114).
type ComponentConfig struct {
	Domain string // the component's own domain
	Server string // "host:port" or "unix:/path"; "127.0.0.1:5347" when empty
	Secret Secret
	Mode   ComponentTLS
	TLS    TLS    // the certificate must be for the host of Server, unless pinned
	Dial   Dialer // net.Dialer when nil
}

func (c ComponentConfig) who() string { return "component " + c.Domain }

func (c ComponentConfig) server() string {
	if c.Server == "" {
		return "127.0.0.1:5347"
	}
	return c.Server
}

// DialComponent connects to the server and completes the handshake. Errors are *[Error]: wrong secret
// (ErrCredentials), domain the server does not serve (ErrHost), a component already there (ErrConflict), plain
// text to another machine (ErrNoTLS), and so on.
func DialComponent(ctx context.Context, c ComponentConfig) (*Conn, error) {
	conn, err := dialComponent(ctx, c)
	if err != nil {
		return nil, explain(c.who(), c.server(), err)
	}
	return conn, nil
}

func dialComponent(ctx context.Context, c ComponentConfig) (*Conn, error) {
	domain, err := jid.Parse(c.Domain)
	if err != nil || domain.Localpart() != "" || domain.Resourcepart() != "" {
		return nil, failf(ErrConfig, err, "%s: [xmpp] address is not a domain", c.who())
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	_, encrypted := conn.(*tls.Conn)
	result := &Conn{Conn: conn, JID: domain.String(), Namespace: NSComponent, Server: c.server(), Encrypted: encrypted}
	err = guard(ctx, conn, func(ctx context.Context) error {
		session, err := component.NewSession(ctx, domain, []byte(c.Secret), newTap(conn))
		if err != nil {
			return err
		}
		result.StreamID = session.In().ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	result.EstablishedAt = time.Now()
	return result, nil
}

// connect opens the connection a component negotiates on, encrypted where it leaves this machine.
func (c ComponentConfig) connect(ctx context.Context) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if path, ok := strings.CutPrefix(c.server(), "unix:"); ok {
		if c.Mode == ComponentTLSDirect {
			return nil, failf(ErrConfig, nil, "%s: TLS over a unix socket is not supported: leave tls out", c.who())
		}
		return dial(ctx, "unix", path)
	}
	host, _, err := net.SplitHostPort(c.server())
	if err != nil {
		return nil, failf(ErrConfig, err, "%s: [xmpp] server is not HOST:PORT or unix:/PATH: %q", c.who(), c.server())
	}
	here := isLoopback(host)
	if c.Mode == ComponentTLSOff && !here {
		return nil, failf(ErrNoTLS, nil,
			"%s: plain text to another machine (%s) is refused: the secret and every command could be read on the way: use direct TLS, or a tunnel that ends on this machine", c.who(), c.server())
	}
	conn, err := dial(ctx, "tcp", c.server())
	if err != nil || c.Mode != ComponentTLSDirect && here {
		return conn, err
	}
	cfg, err := c.TLS.config(host, "")
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	secure := tls.Client(conn, cfg)
	if err := guard(ctx, conn, func(context.Context) error { return secure.HandshakeContext(ctx) }); err != nil {
		return nil, err
	}
	return secure, nil
}

// isLoopback reports whether host can only be this machine. A name other than localhost never counts: DNS
// decides where it leads.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
