package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsTLS      = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL     = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBinding  = "urn:xmpp:sasl-cb:0"
	nsBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession  = "urn:ietf:params:xml:ns:xmpp-session"
	nsRosterV  = "urn:xmpp:features:rosterver"
	tlsRecord  = 0x16 // the first byte of a TLS handshake, never that of a stream
	loginSteps = 40   // elements a client may send before it is bound; an honest one needs five
	// A client that is refused has this long to take the reason, and may have this much on its way to us.
	refuseTime  = 2 * time.Second
	refuseBytes = 1 << 20
	// loginTotal is how many times LoginBytes a connection may send in all before it is bound.
	loginTotal = 8
)

// login is the conversation of one connection up to resource binding: TLS, SASL, bind, in this order and in no other. It runs
// on the connection's own goroutine, takes turns with the client, and allocates nothing that grows with what it sends.
type login struct {
	server *Server
	from   netip.Addr
	wire   *wire
	dec    *stream.Decoder

	ready     bool // there is somebody who would hear
	headed    bool // our stream header went out
	shaking   bool // in the TLS handshake: nothing can be said
	setup     *tlsSetup
	bindings  map[string][]byte // what clients may bind by
	announced []string          // the types of these that are defined
	account   string
	steps     int
	failed    int           // attempts to get in
	invited   *registration // by an invitation that was shown
	lapsed    bool          // it would have resumed a session that is over
}

// run returns the connection of a session, or the reason why there is none: a *stream.Error to tell the client, or an error of the
// connection.
func (l *login) run(ctx context.Context) (*line, error) {
	l.begin()
	first := make([]byte, 1)
	if _, err := io.ReadFull(l.wire, first); err != nil {
		return nil, err
	}
	l.wire.Conn = &prefixed{Conn: l.wire.Conn, prefix: first}
	l.ready = true

	if first[0] == tlsRecord {
		if err := l.handshake(ctx, l.setup.direct); err != nil {
			return nil, err
		}
	} else if err := l.startTLS(ctx); err != nil {
		return nil, err
	}
	return l.letIn(ctx)
}

// begin puts a connection under the bounds of strangers.
func (l *login) begin() {
	s := l.server
	l.wire.SetDeadline(time.Now().Add(s.limits.LoginTime))
	l.wire.left = loginTotal * s.limits.LoginBytes
	l.setup = s.tls.Load()
	l.dec = stream.NewDecoder(l.wire, stream.Limits{Bytes: s.limits.LoginBytes, Depth: 8, Attrs: 32, Nodes: 128})
}

// letIn is what follows once nobody can listen.
func (l *login) letIn(ctx context.Context) (*line, error) {
	l.ready = true
	if err := l.authenticate(ctx); err != nil {
		return nil, err
	}
	return l.bind(ctx)
}

// refuse says goodbye to a connection that is not let in.
func (l *login) refuse(err error) {
	if !l.ready || l.shaking { // not a byte came, or none would be understood
		return
	}
	var fault *stream.Error
	switch {
	case errors.As(err, &fault):
		if fault.Remote { // the client has said why, and that it goes
			fault = nil
		}
	case errors.Is(err, io.EOF):
	case isTimeout(err):
		fault = &stream.Error{Condition: stream.ConnectionTimeout, Text: "log in within " + l.server.limits.LoginTime.String()}
	default:
		return // the connection is of no use
	}
	l.wire.left = refuseBytes // for what is on its way while the client is told
	l.wire.SetDeadline(time.Now().Add(refuseTime))
	if !l.headed {
		if err := l.write(stream.Header{From: l.server.domain, ID: newID(), Version: "1.0"}.AppendXML(nil)); err != nil {
			return
		}
	}
	if fault != nil {
		stream.Abort(l.wire, fault)
		return
	}
	// Nobody waits for the outcome: the connection ends either way.
	_ = l.write([]byte("</stream:stream>"))
	_ = l.wire.Close()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// open reads a stream header, answers with ours and the features.
func (l *login) open(features ...*stream.Element) error {
	h, err := l.dec.Open()
	if err != nil {
		return err
	}
	reply := stream.Header{From: l.server.domain, To: h.From, ID: newID(), Version: "1.0", Lang: "en"}
	if err := l.write(reply.AppendXML(nil)); err != nil {
		return err
	}
	l.headed = true
	switch to, err := jid.Parse(h.To); {
	case err != nil || to.String() != l.server.domain:
		return &stream.Error{Condition: stream.HostUnknown, Text: "this server is " + l.server.domain}
	case h.NS != "" && h.NS != stream.NS:
		return &stream.Error{Condition: stream.InvalidNamespace, Text: "clients only"}
	case !strings.HasPrefix(h.Version, "1."):
		return &stream.Error{Condition: stream.UnsupportedVersion}
	}
	return l.send(stream.New(stream.NSStream, "features").Add(features...))
}

func (l *login) write(b []byte) error {
	_, err := l.wire.Write(b)
	return err
}

func (l *login) send(e *stream.Element) error { return l.write(e.AppendXML(nil)) }

// next reads what the client sends, within the number of steps that a login may have.
func (l *login) next() (*stream.Element, error) {
	if l.steps++; l.steps > loginSteps {
		return nil, &stream.Error{Condition: stream.PolicyViolation, Text: "too much before login"}
	}
	e, err := l.dec.Next()
	if err != nil {
		return nil, err
	}
	if fault := stream.ParseStreamError(e); fault != nil {
		return nil, fault
	}
	return e, nil
}

// startTLS is the part in the clear: nothing but the way to TLS.
func (l *login) startTLS(ctx context.Context) error {
	if err := l.open(stream.New(nsTLS, "starttls").Add(stream.New(nsTLS, "required"))); err != nil {
		return err
	}
	for {
		e, err := l.next()
		switch {
		case err != nil:
			return err
		case e.Is(nsTLS, "starttls"):
			if l.dec.Buffered() > 0 {
				// Someone on the way put bytes in front of the handshake, hoping that they count as encrypted.
				return &stream.Error{Condition: stream.PolicyViolation, Text: "data before the TLS handshake"}
			}
			if err := l.send(stream.New(nsTLS, "proceed")); err != nil {
				return err
			}
			return l.handshake(ctx, l.setup.startTLS)
		case e.Is(nsSASL, "auth"):
			if err := l.send(saslFailure("encryption-required")); err != nil {
				return err
			}
		default:
			return notYet(e)
		}
	}
}

// notYet is the error for what a client may only send later.
func notYet(e *stream.Element) *stream.Error {
	if stream.IsStanza(e) {
		return &stream.Error{Condition: stream.NotAuthorized, Text: "not logged in"}
	}
	return &stream.Error{Condition: stream.UnsupportedStanzaType, Text: "not now"}
}

func (l *login) handshake(ctx context.Context, config *tls.Config) error {
	beneath, secrets := &tap{Conn: l.wire.Conn}, new(keyLog)
	config = config.Clone()
	config.KeyLogWriter = secrets // stays here; see clientFinished
	conn := tls.Server(beneath, config)
	l.headed, l.shaking = false, true
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	l.shaking = false
	l.wire.Conn = conn
	l.dec.Reset(l.wire)
	state := conn.ConnectionState()
	l.bindings = bindings(state, l.setup.endPoint)
	l.announced = slices.Sorted(maps.Keys(l.bindings))
	if state.Version == tls.VersionTLS13 {
		if finished := clientFinished(state.CipherSuite, secrets.secret, beneath.seen); finished != nil {
			l.bindings["tls-unique"] = finished
		}
	}
	beneath.stop()
	secrets.secret = nil
	return nil
}

// bind is resource binding, RFC 6120 §7: the resource asked for, or one made here; or what comes in its place, the resumption of
// a stream (XEP-0198 §5).
func (l *login) bind(ctx context.Context) (*line, error) {
	err := l.open(
		stream.New(nsBind, "bind"),
		stream.New(nsSession, "session").Add(stream.New(nsSession, "optional")),
		stream.New(nsRosterV, "ver"),
		stream.New(nsCSI, "csi"),
		stream.New(stream.NSManagement, "sm"),
	)
	if err != nil {
		return nil, err
	}
	for {
		e, err := l.next()
		if err != nil {
			return nil, err
		}
		if e.Space == stream.NSManagement {
			back, err := l.server.resume(l, e)
			if back != nil || err != nil {
				return back, err
			}
			continue
		}
		ask := e.Child(nsBind, "bind")
		if !stream.IsRequest(e) || e.Attr("type") != "set" || ask == nil {
			return nil, notYet(e)
		}
		resource := ask.ChildText(nsBind, "resource")
		if resource == "" {
			resource = newID()
		}
		var refused *stream.StanzaError
		client, err := l.server.join(ctx, l, resource, e)
		switch {
		case errors.As(err, &refused):
			if err := l.send(stream.ErrorReply(e, refused)); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			return client, nil
		}
	}
}

// prefixed gives back bytes that were read to see what they are.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// CloseWrite is that of the connection beneath.
func (p *prefixed) CloseWrite() error { return closeWrite(p.Conn) }
