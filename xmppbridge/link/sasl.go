package link

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/xdg-go/scram"
	"mellium.im/sasl"
	"mellium.im/xmpp"
)

// maxIterations bounds what a server may have us compute: a Pi Zero needs about four seconds for it.
const maxIterations = 1_000_000

// mechanisms in order of preference. PLAIN is not among them and never will be: it hands the server the password.
var mechanisms = []struct {
	name string
	hash scram.HashGeneratorFcn
	plus bool // bound to the TLS channel (RFC 5802 §6)
}{
	{"SCRAM-SHA-256-PLUS", scram.SHA256, true},
	{"SCRAM-SHA-1-PLUS", scram.SHA1, true},
	{"SCRAM-SHA-256", scram.SHA256, false},
	{"SCRAM-SHA-1", scram.SHA1, false},
}

// login is an account's way to prove its password. One is kept for all streams of an account, because the derived keys
// cost a tenth of a second each on a small machine. Safe for concurrent use.
type login struct {
	user     string
	password Secret

	mu        sync.Mutex
	provers   map[string]*scram.Client // by hash, with the derived keys it remembers
	avoidPlus bool                     // the server's channel binding was found not to be ours
}

func newLogin(user string, password Secret) *login {
	return &login{user: user, password: password, provers: make(map[string]*scram.Client)}
}

func (l *login) prover(name string, hash scram.HashGeneratorFcn) *scram.Client {
	name = strings.TrimSuffix(name, "-PLUS")
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.provers[name]; client != nil {
		return client
	}
	client, err := hash.NewClient(l.user, string(l.password), "")
	if err != nil { // not what SASLprep allows: servers that took it as it is still know it
		client, _ = hash.NewClientUnprepped(l.user, string(l.password), "")
	}
	l.provers[name] = client
	return client
}

func (l *login) plusAvoided() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.avoidPlus
}

func (l *login) avoidPlusFromNow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.avoidPlus = true
}

// attempt is what one try to log in found out.
type attempt struct {
	mechanism string   // tried
	plus      bool     // it was a -PLUS one
	bindings  []string // channel binding types the server lists (XEP-0440), nil when it lists none
}

// feature returns mellium's SASL feature with the mechanism chosen from what the server offers and the channel.
func (l *login) feature(a *attempt, withoutPlus bool) xmpp.StreamFeature {
	// The mechanism is known only when the server's list is: this one gives the feature its name and parser.
	feature := xmpp.SASL("", "", sasl.Mechanism{Name: mechanisms[0].name})
	feature.Negotiate = func(ctx context.Context, s *xmpp.Session, data any) (xmpp.SessionState, io.ReadWriter, error) {
		offered, _ := data.([]string)
		state := s.ConnectionState()
		mechanism, err := l.choose(a, offered, &state, withoutPlus)
		if err != nil {
			return 0, nil, err
		}
		mask, rw, err := xmpp.SASL("", "", mechanism).Negotiate(ctx, s, data)
		return mask, rw, saslError(err)
	}
	return feature
}

// choose picks the first mechanism both sides have.
func (l *login) choose(a *attempt, offered []string, state *tls.ConnectionState, withoutPlus bool) (sasl.Mechanism, error) {
	binding, bound := channelBinding(state, a.bindings)
	serverBinds := slices.ContainsFunc(offered, func(name string) bool { return strings.HasSuffix(name, "-PLUS") })
	for _, m := range mechanisms {
		if !slices.Contains(offered, m.name) || m.plus && (!bound || withoutPlus) {
			continue
		}
		a.mechanism, a.plus = m.name, m.plus
		client := l.prover(m.name, m.hash)
		switch {
		case m.plus:
			return converse(m.name, client.NewConversationWithChannelBinding(binding)), nil
		case bound && !serverBinds:
			// "We could": a server that could too then knows that someone in between hid its offer.
			return converse(m.name, client.NewConversationAdvertisingChannelBinding()), nil
		default:
			return converse(m.name, client.NewConversation()), nil
		}
	}
	return sasl.Mechanism{}, failf(ErrMechanism, nil,
		"the server offers no way to log in that keeps the password to us (it offers %s): enable SCRAM-SHA-256 or SCRAM-SHA-1 there, with hashed passwords",
		clip(strings.Join(offered, ", ")))
}

// channelBinding returns what identifies this TLS channel, in a type the server understands.
func channelBinding(state *tls.ConnectionState, types []string) (scram.ChannelBinding, bool) {
	if state.Version == 0 {
		return scram.ChannelBinding{}, false
	}
	usable := func(t string) bool { return types == nil || slices.Contains(types, t) }
	if usable("tls-exporter") && (state.Version >= tls.VersionTLS13 || types != nil) {
		if cb, err := scram.NewTLSExporterBinding(state); err == nil {
			return cb, true
		}
	}
	if types != nil && usable("tls-server-end-point") {
		if cb, err := scram.NewTLSServerEndpointBinding(state); err == nil {
			return cb, true
		}
	}
	if usable("tls-unique") && state.Version == tls.VersionTLS12 && len(state.TLSUnique) > 0 {
		return scram.NewTLSUniqueBinding(state.TLSUnique), true
	}
	return scram.ChannelBinding{}, false
}

// converse wraps a SCRAM conversation as one of mellium's mechanisms. mellium's own spins for ever on a short field and
// computes as many iterations as it is told.
func converse(name string, conversation *scram.ClientConversation) sasl.Mechanism {
	return sasl.Mechanism{
		Name: name,
		Start: func(*sasl.Negotiator) (bool, []byte, any, error) {
			first, err := conversation.Step("")
			return true, []byte(first), nil, err
		},
		Next: func(_ *sasl.Negotiator, challenge []byte, _ any) (bool, []byte, any, error) {
			if err := checkIterations(string(challenge)); err != nil {
				return false, nil, nil, err
			}
			response, err := conversation.Step(string(challenge))
			if err != nil {
				return false, nil, nil, failf(ErrProtocol, err, "the server's side of %s is wrong: %v", name, err)
			}
			if conversation.Done() && !conversation.Valid() {
				return false, nil, nil, failf(ErrProtocol, nil, "the server did not prove that it knows the account")
			}
			return !conversation.Done(), []byte(response), nil, nil
		},
	}
}

func checkIterations(challenge string) error {
	for field := range strings.SplitSeq(challenge, ",") {
		if count, ok := strings.CutPrefix(field, "i="); ok {
			if n, err := strconv.Atoi(count); err != nil || n > maxIterations {
				return failf(ErrProtocol, err, "the server asks for %s iterations of SCRAM; at most %d are computed", clip(count), maxIterations)
			}
		}
	}
	return nil
}

// saslFailure is a SASL failure of RFC 6120 §6.5.
type saslFailure struct{ condition, text string }

func (f *saslFailure) Error() string { return "SASL failure: " + f.condition }

// saslError reads the condition out of mellium's failure, whose type is internal, through its XML.
func saslError(err error) error {
	failure, ok := errors.AsType[interface {
		error
		TokenReader() xml.TokenReader
	}](err)
	if !ok {
		return err
	}
	parsed := struct {
		XMLName xml.Name                     `xml:"urn:ietf:params:xml:ns:xmpp-sasl failure"`
		Text    string                       `xml:"text"`
		Any     []struct{ XMLName xml.Name } `xml:",any"`
	}{}
	if xml.NewTokenDecoder(failure.TokenReader()).Decode(&parsed) != nil || len(parsed.Any) == 0 {
		return err
	}
	return &saslFailure{condition: parsed.Any[0].XMLName.Local, text: parsed.Text}
}

// explainSASL says what a failure means for who.
func explainSASL(who, server string, f *saslFailure) *Error {
	e := &Error{Kind: ErrCredentials, Condition: f.condition, err: f}
	switch f.condition {
	case "not-authorized", "none":
		e.text = fmt.Sprintf("%s: %s refused the password (%s): check secret_file, and that the account exists", who, server, f.condition)
	case "account-disabled", "credentials-expired":
		e.text = fmt.Sprintf("%s: %s lets this account in no longer (%s): ask whoever runs the server", who, server, f.condition)
	case "temporary-auth-failure", "aborted":
		e.Kind = nil
		e.text = fmt.Sprintf("%s: %s cannot check passwords just now (%s)", who, server, f.condition)
	case "encryption-required", "mechanism-too-weak", "invalid-mechanism":
		e.Kind = ErrMechanism
		e.text = fmt.Sprintf("%s: %s does not accept the way we log in (%s)", who, server, f.condition)
	default:
		e.text = fmt.Sprintf("%s: %s refused the login (%s)", who, server, f.condition)
	}
	if f.text != "" {
		e.text += fmt.Sprintf(": it says %q", clip(f.text))
	}
	return e
}

// bindingTypes is the informational feature of XEP-0440.
func bindingTypes(a *attempt) xmpp.StreamFeature {
	return xmpp.StreamFeature{
		Name: xml.Name{Space: "urn:xmpp:sasl-cb:0", Local: "sasl-channel-binding"},
		Parse: func(_ context.Context, d *xml.Decoder, start *xml.StartElement) (bool, any, error) {
			parsed := struct {
				Types []struct {
					Type string `xml:"type,attr"`
				} `xml:"channel-binding"`
			}{}
			if err := d.DecodeElement(&parsed, start); err != nil {
				return false, nil, err
			}
			a.bindings = []string{}
			for _, t := range parsed.Types {
				a.bindings = append(a.bindings, t.Type)
			}
			return false, nil, nil
		},
	}
}
