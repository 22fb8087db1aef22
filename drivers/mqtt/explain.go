package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// where is the broker, for people.
func (d *driver) where() string {
	if d.config.broker == nil {
		return "local"
	}
	return d.config.broker.Host
}

// isRefusal: the broker is there and does not want us.
func isRefusal(err error) bool {
	return errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) || errors.Is(err, packets.ErrorRefusedNotAuthorised) ||
		errors.Is(err, packets.ErrorRefusedIDRejected) || errors.Is(err, packets.ErrorRefusedBadProtocolVersion)
}

// An explained error reads as a sentence for people and still is what it was for errors.Is.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// explain makes a sentence of what went wrong: which connection, what, and the way out.
func (d *driver) explain(err error) error {
	what := cause(err, d.config)
	if what == "" {
		what = err.Error()
	}
	return &explained{text: fmt.Sprintf("mqtt %s: %s: %s", d.name, d.where(), what), err: err}
}

// cause says what an error means here, or "" where its own words do.
func cause(err error, c config) string {
	var (
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		notTLS    tls.RecordHeaderError
		remote    *net.OpError
		dns       *net.DNSError
		timeout   net.Error
		file      *fs.PathError
	)
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		if c.username == "" {
			return "the broker wants a user name and a password: set username and password_file"
		}
		return fmt.Sprintf("the broker does not take the password of %q: check username and password_file", c.username)
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return fmt.Sprintf("the broker does not take the client_id %q: set another", c.clientID)
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return "the broker is not ready"
	case errors.As(err, &file):
		return "" // says which and what
	case errors.As(err, &unknownCA):
		return "the broker's certificate is signed by an authority that is not known here: put that authority's certificate into tls_ca_file"
	case errors.As(err, &hostname):
		return "the broker's certificate is for another name: use that one in broker"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the broker's certificate is not valid at this time: renew it, or check the clock"
	case errors.As(err, &notTLS):
		return "the broker does not speak TLS on this port: is it mqtt:// there?"
	case errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate"):
		// A TLS alert; its type is crypto/tls's own. All with this word are about the client's certificate.
		return "the broker does not take the client certificate: check tls_cert_file and tls_key_file"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: is the broker running, and the port right?"
	case errors.As(err, &dns):
		return "there is no such name: check broker, and the network"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return closed(err, c)
	case errors.Is(err, errSilent):
		return fmt.Sprintf("nothing has come from the broker for %v, not even an answer to a ping: does it hang, or is the network gone?", maxSilence)
	case errors.Is(err, errUnanswered):
		return "the broker is there, but answers no subscription: does it hang?"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errClosed),
		errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer in %v: is it the right address?", dialTimeout)
	}
	return ""
}

// closed: the broker ended the connection.
func closed(err error, c config) string {
	if strings.HasPrefix(err.Error(), "connection lost") {
		return fmt.Sprintf("the broker ended the connection: it stopped, or another client has the client_id %q", c.clientID)
	}
	switch {
	case c.broker == nil:
		return "the broker ended the connection without an answer"
	case c.broker.Scheme == "mqtts" || c.broker.Scheme == "wss":
		const text = "the broker ended the connection without an answer: does the port speak TLS, or is it mqtt:// there? "
		if c.certFile == "" {
			return text + "Does it want a client certificate (tls_cert_file)?"
		}
		return text + "Does it take the client certificate (tls_cert_file)?"
	}
	return "the broker ended the connection without an answer: does the port want TLS (mqtts://)?"
}
