package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	melliumstream "mellium.im/xmpp/stream"

	"tidings/xmppbridge/stream"
)

// What an [Error] is about, for errors.Is. Each says whether trying again soon can help; see [Permanent].
var (
	// ErrCredentials: the server knows the name but not this secret or password. Permanent.
	ErrCredentials = errors.New("credentials refused")
	// ErrHost: the server does not serve this domain. Permanent.
	ErrHost = errors.New("domain unknown to the server")
	// ErrCertificate: the certificate is not for this server, not of a known authority, or not pinned. Permanent.
	ErrCertificate = errors.New("certificate refused")
	// ErrNoTLS: the server offers no encryption, or the configuration asks to do without where that is unsafe. Permanent.
	ErrNoTLS = errors.New("no encryption")
	// ErrMechanism: no way to log in that keeps the password to ourselves. Permanent.
	ErrMechanism = errors.New("no acceptable mechanism")
	// ErrConfig: the configuration cannot work: an address that is none, a CA file that cannot be read. Permanent.
	ErrConfig = errors.New("configuration")
	// ErrPerson: the account is a person's, or somebody uses it as one. Permanent.
	ErrPerson = errors.New("not the gateway's own account")
	// ErrConflict: the address is taken, by a second gateway or by our own half-open predecessor. Tried again.
	ErrConflict = errors.New("address taken")
	// ErrLimit: the server allows fewer streams than we have devices: it refused one, or bound another resource than the
	// one asked for. Tried again, rarely.
	ErrLimit = errors.New("the server limits streams")
	// ErrRedirect: the server names another host to go to; see [Error.Host]. Tried again there.
	ErrRedirect = errors.New("see other host")
	// ErrProtocol: what answered does not speak XMPP as it should. Tried again.
	ErrProtocol = errors.New("protocol violated")
)

// Error says in a sentence why a stream could not be opened or ended, and what to do about it.
type Error struct {
	Kind      error  // one of the sentinels above, or nil for what passes by itself (network, server restarting)
	Condition string // the server's own word for it ("not-authorized"), where it gave one
	Host      string // with ErrRedirect: "host:port" or "host" to go to
	Bound     string // with ErrLimit: the full JID that was bound instead of the one asked for, if that was it

	text string
	err  error
}

func (e *Error) Error() string { return e.text }

// Unwrap gives errors.Is and errors.As both the kind and what was underneath.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.err != nil {
		errs = append(errs, e.err)
	}
	return errs
}

// Permanent reports whether err will come again until someone changes something, here or on the server. A link
// waits its longest wait at once after such an error, so that a wrong password does not hammer the server.
func Permanent(err error) bool {
	for _, kind := range []error{ErrCredentials, ErrHost, ErrCertificate, ErrNoTLS, ErrMechanism, ErrConfig, ErrPerson} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func failf(kind error, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, err: cause, text: fmt.Sprintf(format, args...)}
}

// explain turns what went wrong between dialling who ("component gw.example.org", "account me@example.org") at server
// and a stream being ready into an Error.
func explain(who, server string, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*Error](err); ok {
		if !strings.HasPrefix(known.text, who) { // from within the negotiation, which does not know whose it is
			named := *known
			named.text = fmt.Sprintf("%s: %s: %s", who, server, known.text)
			return &named
		}
		return known
	}
	if streamErr, ok := errors.AsType[melliumstream.Error](err); ok {
		var text string
		if len(streamErr.Text) > 0 {
			text = streamErr.Text[0].Value
		}
		return streamError(who, server, streamErr.Err, text, streamErr.Content)
	}
	if certificate := certificateError(who, server, err); certificate != nil {
		return certificate
	}
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok && syntax.Msg != "unexpected EOF" {
		return failf(ErrProtocol, err, "%s: %s does not answer in XMPP (%s): is the port the right one?", who, server, clip(syntax.Msg))
	} else if ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return failf(nil, err, "%s: %s closed the connection before the stream was ready", who, server)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return failf(ErrNoTLS, err, "%s: %s does not answer with TLS: is it the port for direct TLS?", who, server)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return failf(nil, err, "%s: %s cannot be found: %s: check the name, or the network's DNS", who, dns.Name, dns.Err)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return failf(nil, err, "%s: nothing listens on %s: is the server running, and its port the right one?", who, server)
	case errors.Is(err, syscall.ENOENT):
		return failf(nil, err, "%s: there is no socket %s: is the server running?", who, server)
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, errSlow) || errors.Is(err, net.ErrClosed) {
		return failf(nil, err, "%s: %s: %v", who, server, err)
	}
	return failf(ErrProtocol, err, "%s: %s does not negotiate a stream as it should (%s): is the port the right one?", who, server, clip(err.Error()))
}

// streamError explains a stream error (RFC 6120 §4.9.3), whether it came while negotiating or later. host is the
// content of a see-other-host.
func streamError(who, server, condition, text, host string) *Error {
	e := &Error{Condition: condition, err: melliumstream.Error{Err: condition}}
	switch condition {
	case "not-authorized":
		e.Kind = ErrCredentials
		e.text = fmt.Sprintf("%s: %s refused us (not-authorized): does the server know this address, with this secret?", who, server)
	case "host-unknown", "host-gone":
		e.Kind = ErrHost
		e.text = fmt.Sprintf("%s: %s does not serve this domain (%s): add it to the server's configuration, or correct [xmpp] address", who, server, condition)
	case "conflict":
		e.Kind = ErrConflict
		e.text = fmt.Sprintf("%s: %s says the address is in use (conflict): a second gateway, or our last stream, which it has not given up yet", who, server)
	case "see-other-host":
		e.Kind, e.Host = ErrRedirect, strings.TrimSpace(host)
		e.text = fmt.Sprintf("%s: %s sends us on to %s (see-other-host)", who, server, e.Host)
	case "system-shutdown":
		e.text = fmt.Sprintf("%s: %s is shutting down (system-shutdown)", who, server)
	case "connection-timeout":
		e.text = fmt.Sprintf("%s: %s took the connection for dead (connection-timeout)", who, server)
	case "reset":
		e.text = fmt.Sprintf("%s: %s wants a new stream (reset), as for a renewed certificate", who, server)
	case "internal-server-error", "remote-connection-failed":
		e.text = fmt.Sprintf("%s: %s has a trouble of its own (%s): its log says what", who, server, condition)
	case "invalid-from", "improper-addressing":
		e.text = fmt.Sprintf("%s: %s does not take an address that we sent from (%s): does it serve [xmpp] address?", who, server, condition)
	case "bad-format", "bad-namespace-prefix", "invalid-namespace", "invalid-xml", "not-well-formed", "restricted-xml", "unsupported-version":
		e.Kind = ErrProtocol // mellium's own complaint of the server reads the same as the server's of us
		e.text = fmt.Sprintf("%s: the stream with %s is not in order (%s)", who, server, condition)
	case "policy-violation", "resource-constraint":
		e.text = fmt.Sprintf("%s: %s ended the stream (%s): it limits what a stream may send or hold", who, server, condition)
	default:
		e.text = fmt.Sprintf("%s: %s ended the stream (%s)", who, server, condition)
	}
	if text = strings.TrimSpace(text); text != "" {
		e.text += fmt.Sprintf(": it says %q", clip(text))
	}
	return e
}

// unrecognizedName is what crypto/tls makes of the alert of a server that has no certificate for the name asked for
// (RFC 6066 §3). The type of its alerts is not exported.
const unrecognizedName = "tls: unrecognized name"

func certificateError(who, server string, err error) *Error {
	hint := ""
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		hint = fmt.Sprintf("it is not for %s", wrong.Host)
	} else if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		hint = "no known authority signed it: name yours with tls_ca_file, or pin the key with tls = \"pinned\""
	} else if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		hint = invalid.Error()
		if invalid.Reason == x509.Expired {
			hint = "it has expired or is not valid yet: renew it, or set this machine's clock"
		}
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		hint = err.Error()
	} else if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" && alert.Err.Error() == unrecognizedName {
		hint = "it has none for this domain"
	} else {
		return nil
	}
	return failf(ErrCertificate, err, "%s: the certificate of %s is refused: %s", who, server, hint)
}

// clip makes text of the server's short enough for a sentence of ours, on one line.
func clip(s string) string {
	const limit = 200
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// explainEnd turns what ended a stream that was up into a sentence.
func (k *keeper) explainEnd(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*stream.Error](err); ok && e.Remote {
		return streamError(k.jid, k.server, e.Condition, e.Text, e.Host)
	} else if ok {
		return failf(ErrProtocol, err, "%s: %s sent what ends a stream (%s): %s", k.jid, k.server, e.Condition, clip(e.Text))
	}
	switch {
	case errors.Is(err, stream.ErrPeerClosed):
		return failf(nil, err, "%s: %s closed the stream", k.jid, k.server)
	case errors.Is(err, stream.ErrDead):
		return failf(nil, err, "%s: %s no longer answers", k.jid, k.server)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return failf(nil, err, "%s: %s dropped the connection", k.jid, k.server)
	}
	return failf(nil, err, "%s: the connection to %s is lost: %v", k.jid, k.server, err)
}
