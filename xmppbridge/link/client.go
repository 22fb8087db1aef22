package link

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

// ClientConfig is how to log in to an account, as one of its resources.
type ClientConfig struct {
	JID       string // the account's bare JID
	Resource  string // asked for, and the only one accepted; empty leaves the choice to the server
	Password  Secret
	Server    string        // "host:port"; empty: what DNS says of the JID's domain (SRV, then the domain itself)
	DirectTLS bool          // with Server: TLS from the first byte instead of STARTTLS, as on ports 5223 and 443 always
	TLS       TLS           // the certificate must be for the JID's domain, wherever Server is, unless pinned
	Dial      Dialer        // net.Dialer when nil
	Resolver  *net.Resolver // what asks DNS; the system's when nil
	Streams   Streams       // of a Client
}

func (c ClientConfig) who() string {
	if c.Resource == "" {
		return "account " + c.JID
	}
	return "account " + c.JID + "/" + c.Resource
}

func (c ClientConfig) server() string {
	if c.Server == "" {
		return "its server in DNS"
	}
	return c.Server
}

// DialClient connects, encrypts, logs in and binds the resource. Errors are *[Error]: wrong password (ErrCredentials),
// certificate not believed (ErrCertificate), no encryption offered (ErrNoTLS), another resource bound (ErrLimit with
// Bound set), and so on. Nothing but the stream's header ever goes out in the clear.
func DialClient(ctx context.Context, c ClientConfig) (*Conn, error) {
	user := ""
	if account, err := jid.Parse(c.JID); err == nil {
		user = account.Localpart()
	}
	return dialClient(ctx, c, newLogin(user, c.Password), nil)
}

func dialClient(ctx context.Context, c ClientConfig, l *login, was *resumption) (*Conn, error) {
	conn, a, err := tryClient(ctx, c, l, was, l.plusAvoided())
	if a.plus && a.bindings == nil && errors.Is(err, ErrCredentials) {
		// Servers before XEP-0440 do not say which channel bindings they know, and refuse one they do not like a wrong
		// password (ejabberd 23.01 over TLS 1.3). The certificate was verified all the same.
		if second, _, retryErr := tryClient(ctx, c, l, was, true); retryErr == nil {
			l.avoidPlusFromNow()
			return second, nil
		}
	}
	return conn, err
}

func tryClient(ctx context.Context, c ClientConfig, l *login, was *resumption, withoutPlus bool) (*Conn, attempt, error) {
	var a attempt
	conn, err := negotiateClient(ctx, c, l, was, &a, withoutPlus)
	if err == nil {
		return conn, a, nil
	}
	if failure, ok := errors.AsType[*saslFailure](err); ok {
		return nil, a, explainSASL(c.who(), c.server(), failure)
	}
	return nil, a, explain(c.who(), c.server(), err)
}

func negotiateClient(ctx context.Context, c ClientConfig, l *login, was *resumption, a *attempt, withoutPlus bool) (*Conn, error) {
	account, err := jid.Parse(c.JID)
	if err != nil || account.Localpart() == "" || account.Resourcepart() != "" {
		return nil, failf(ErrConfig, err, "%s: [xmpp] address is not an account (name@domain)", c.who())
	}
	if c.Resource != "" {
		if _, err := account.WithResource(c.Resource); err != nil {
			return nil, failf(ErrConfig, err, "%s: not a resource: %v", c.who(), err)
		}
	}
	cfg, err := c.TLS.config(ascii(account.Domainpart()), "xmpp-client")
	if err != nil {
		return nil, err
	}
	conn, server, err := c.connect(ctx, account, cfg)
	if err != nil {
		return nil, err
	}
	secure, state := conn, xmpp.SessionState(0) // secure is conn with what was laid over it
	if _, ok := conn.(*tls.Conn); ok {
		state = xmpp.Secure
	}
	result := &Conn{Namespace: NSClient, Server: server}
	outer := newTap(conn)
	err = guard(ctx, conn, func(ctx context.Context) error {
		features := []xmpp.StreamFeature{
			startTLS(cfg, outer, &secure),
			bindingTypes(a),
			l.feature(a, withoutPlus),
			management(result),
			bind(account, c.Resource, was, result),
		}
		session, err := xmpp.NewSession(ctx, account.Domain(), account, outer, state,
			xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
				return xmpp.StreamConfig{Features: features}
			}))
		if err != nil {
			return err
		}
		// mellium calls a stream ready whose server lists no features at all.
		const need = xmpp.Secure | xmpp.Authn | xmpp.Ready
		if session.State()&need != need || result.JID == "" {
			return failf(ErrProtocol, nil, "%s: %s offers neither login nor address: is it an XMPP server for clients?", c.who(), c.server())
		}
		result.StreamID = session.In().ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, result.Encrypted = secure.(*tls.Conn)
	result.Conn, result.Mechanism, result.EstablishedAt = secure, a.mechanism, time.Now()
	return result, nil
}

// connect reaches the server that is named, or that DNS names, and returns which it is.
func (c ClientConfig) connect(ctx context.Context, account jid.JID, cfg *tls.Config) (net.Conn, string, error) {
	if c.Server == "" {
		return c.reach(ctx, ascii(account.Domainpart()), cfg)
	}
	_, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, "", failf(ErrConfig, err, "%s: [xmpp] server is not HOST:PORT: %q", c.who(), c.Server)
	}
	conn, err := c.open(ctx, c.Server, c.DirectTLS || port == "5223" || port == "443", cfg)
	return conn, c.Server, err
}
