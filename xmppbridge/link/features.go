package link

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"strings"

	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
)

const (
	nsStartTLS = "urn:ietf:params:xml:ns:xmpp-tls"
	nsBind     = "urn:ietf:params:xml:ns:xmpp-bind"
	nsStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

// startTLS is mellium's feature with the handshake done at once, so that a refused certificate is an error of its own,
// and with the TLS connection tapped again. It leaves that connection in secure.
func startTLS(cfg *tls.Config, outer *tap, secure *net.Conn) xmpp.StreamFeature {
	feature := xmpp.StartTLS(cfg)
	parse, negotiate := feature.Parse, feature.Negotiate
	feature.Parse = func(ctx context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
		// Required whatever the server thinks: mellium forgets the error of a feature that is optional, and takes a stream
		// whose list holds nothing but optional ones for ready.
		_, data, err := parse(ctx, d, start)
		return true, data, err
	}
	feature.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		// mellium tries even where it is not offered; the server's answer to that would explain nothing.
		if _, offered := s.Feature(nsStartTLS); !offered {
			return 0, nil, failf(ErrNoTLS, nil,
				"the server offers no encryption (STARTTLS) here, and nothing is sent in the clear: enable it there, or name its port for direct TLS")
		}
		mask, rw, err := negotiate(ctx, s, data)
		if err != nil {
			return 0, nil, err
		}
		conn, ok := rw.(*tls.Conn)
		if !ok {
			return 0, nil, fmt.Errorf("STARTTLS gave a %T", rw)
		}
		outer.whole = true
		if err := conn.HandshakeContext(ctx); err != nil {
			return 0, nil, err
		}
		*secure = conn
		return mask, newTap(conn), nil
	}
	return feature
}

// bind goes on with a session that was cut, if there is one and the server still has it (XEP-0198 §5); otherwise it binds the
// resource asked for (RFC 6120 §7) and no other: mellium's own never names it, and Bind 2 lets the server choose. The full JID
// goes to result.
func bind(account jid.JID, resource string, was *resumption, result *Conn) xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name:       xml.Name{Space: nsBind, Local: "bind"},
		Necessary:  xmpp.Secure | xmpp.Authn,
		Prohibited: xmpp.Ready,
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			return true, nil, d.DecodeElement(&struct{}{}, start)
		},
		Negotiate: func(_ context.Context, s *xmpp.Session, _ any) (xmpp.SessionState, io.ReadWriter, error) {
			reader := s.TokenReader()
			defer reader.Close()
			if was != nil && result.manages {
				if resumed, err := was.tryResume(s.Conn(), reader, result); err != nil || resumed {
					return xmpp.Ready, nil, err
				}
			}
			if err := requestBind(s.Conn(), resource); err != nil {
				return 0, nil, err
			}
			var answer bindAnswer
			if err := xml.NewTokenDecoder(reader).Decode(&answer); err != nil {
				return 0, nil, err
			}
			full, err := answer.check(account, resource)
			if err != nil {
				return 0, nil, err
			}
			result.JID = full
			return xmpp.Ready, nil, nil
		},
	}
}

func requestBind(w io.Writer, resource string) error {
	var b strings.Builder
	b.WriteString(`<iq type="set" id="bind"><bind xmlns="` + nsBind + `">`)
	if resource != "" {
		b.WriteString(`<resource>`)
		if err := xml.EscapeText(&b, []byte(resource)); err != nil {
			return err
		}
		b.WriteString(`</resource>`)
	}
	b.WriteString(`</bind></iq>`)
	_, err := io.WriteString(w, b.String())
	return err
}

type bindAnswer struct {
	XMLName xml.Name `xml:"jabber:client iq"`
	ID      string   `xml:"id,attr"`
	Type    string   `xml:"type,attr"`
	JID     string   `xml:"urn:ietf:params:xml:ns:xmpp-bind bind>jid"`
	Error   struct {
		Any []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"error"`
}

// check returns the full JID bound, which must be the one asked for.
func (b *bindAnswer) check(account jid.JID, resource string) (string, error) {
	switch {
	case b.ID != "bind" || b.Type != "result" && b.Type != "error":
		return "", failf(ErrProtocol, nil, "the server answered the request for an address with something else")
	case b.Type == "error":
		return "", b.refusal(resource)
	}
	bound, err := jid.Parse(strings.TrimSpace(b.JID))
	if err != nil || !bound.Bare().Equal(account) {
		return "", failf(ErrProtocol, err, "the server bound %q, which is not an address of %s", clip(b.JID), account)
	}
	if resource == "" {
		return bound.String(), nil
	}
	if want, err := account.WithResource(resource); err != nil || !bound.Equal(want) {
		e := failf(ErrLimit, err, "the server bound %s instead of the resource asked for, %q: it does not give an account a resource of its choice", bound, resource)
		e.Bound = bound.String()
		return "", e
	}
	return bound.String(), nil
}

func (b *bindAnswer) refusal(resource string) error {
	condition, text := "undefined-condition", ""
	for _, child := range b.Error.Any {
		switch {
		case child.XMLName.Space == nsStanzas && child.XMLName.Local == "text":
			text = child.Text
		case child.XMLName.Space == nsStanzas:
			condition = child.XMLName.Local
		}
	}
	var e *Error
	switch condition {
	case "conflict":
		e = failf(ErrConflict, nil, "the server says that the resource %q is in use (conflict)", resource)
	case "resource-constraint", "not-allowed":
		e = failf(ErrLimit, nil, "the server allows no further stream for %q (%s)", resource, condition)
	default:
		e = failf(ErrProtocol, nil, "the server refused the resource %q (%s)", resource, condition)
	}
	e.Condition = condition
	if text != "" {
		e.text += fmt.Sprintf(": it says %q", clip(text))
	}
	return e
}
