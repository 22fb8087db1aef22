package local

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// saslError is a condition of RFC 6120 §6.5: why an exchange ended. Reasons are not told apart where that would help someone
// who guesses.
type saslError string

func (e saslError) Error() string { return string(e) }

const (
	errAborted       = saslError("aborted")
	errAuthzid       = saslError("invalid-authzid")
	errEncoding      = saslError("incorrect-encoding")
	errMalformed     = saslError("malformed-request")
	errMechanism     = saslError("invalid-mechanism")
	errNotAuthorized = saslError("not-authorized")
	errTemporary     = saslError("temporary-auth-failure")
)

// exchange is the server side of one SCRAM exchange (RFC 5802, RFC 7677), two messages from the client. It is used by one
// goroutine.
type exchange struct {
	hash     scramHash
	plus     bool              // the client chose the -PLUS mechanism
	bindings map[string][]byte // what the connection can be bound by; empty when -PLUS was not offered
	// lookup finds the verifier of a name as the client spelled it, and the account it stands for; one that does not exist
	// gets a decoy and an empty account.
	lookup func(user string) (account string, v Verifier, err error)
	// authzid reports whether a user, as spelt, may act as authzid.
	authzid func(user, authzid string) bool

	account     string
	gs2         string // header of the client's first message, which its second has to repeat
	binding     []byte
	clientFirst string // bare
	serverFirst string
	nonce       string
	verifier    Verifier
}

// step1 takes the client's first message and returns the server's.
func (s *exchange) step1(message string) (string, error) {
	if !utf8.ValidString(message) {
		return "", errMalformed
	}
	flag, rest, ok := strings.Cut(message, ",")
	if !ok {
		return "", errMalformed
	}
	authz, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return "", errMalformed
	}
	s.gs2 = message[:len(message)-len(bare)]
	s.clientFirst = bare

	attrs := strings.Split(bare, ",")
	// A mandatory extension (m=) would come first; we know none, and one that is not understood ends the exchange.
	if len(attrs) < 2 {
		return "", errMalformed
	}
	user, ok := saslname(attrs[0], "n=")
	if !ok || user == "" {
		return "", errMalformed
	}
	clientNonce, ok := strings.CutPrefix(attrs[1], "r=")
	if !ok || clientNonce == "" || !printable(clientNonce) {
		return "", errMalformed
	}

	account, v, err := s.lookup(user)
	if err != nil {
		return "", err
	}
	s.account, s.verifier = account, v

	if authz != "" {
		id, ok := saslname(authz, "a=")
		if !ok {
			return "", errMalformed
		}
		if !s.authzid(user, id) {
			return "", errAuthzid
		}
	}

	kind, bound := strings.CutPrefix(flag, "p=")
	switch {
	case bound != s.plus:
		return "", errMalformed
	case bound:
		if s.binding = s.bindings[kind]; s.binding == nil {
			return "", errNotAuthorized
		}
	case flag == "n":
	case flag == "y":
		// The client can bind and believes that we cannot. We said that we can, so someone took it out of the list on
		// the way (RFC 5802 §6).
		if len(s.bindings) > 0 {
			return "", errNotAuthorized
		}
	default:
		return "", errMalformed
	}

	s.nonce = clientNonce + rand.Text()
	s.serverFirst = "r=" + s.nonce +
		",s=" + base64.StdEncoding.EncodeToString(s.verifier.Salt) +
		",i=" + strconv.Itoa(s.verifier.Iterations)
	return s.serverFirst, nil
}

// step2 takes the client's second message and returns the server's signature, which proves to the client that the server knows
// the password too.
func (s *exchange) step2(message string) (string, error) {
	at := strings.LastIndex(message, ",p=")
	if at < 0 || !utf8.ValidString(message) {
		return "", errMalformed
	}
	withoutProof := message[:at]
	proof, err := base64.StdEncoding.DecodeString(message[at+len(",p="):])
	if err != nil || len(proof) != s.hash.size {
		return "", errMalformed
	}
	attrs := strings.Split(withoutProof, ",")
	if len(attrs) < 2 {
		return "", errMalformed
	}
	c, ok := strings.CutPrefix(attrs[0], "c=")
	if !ok {
		return "", errMalformed
	}
	bound, err := base64.StdEncoding.DecodeString(c)
	if err != nil {
		return "", errMalformed
	}
	nonce, ok := strings.CutPrefix(attrs[1], "r=")
	if !ok {
		return "", errMalformed
	}

	good := hmac.Equal([]byte(nonce), []byte(s.nonce))
	good = hmac.Equal(bound, append([]byte(s.gs2), s.binding...)) && good
	authMessage := s.clientFirst + "," + s.serverFirst + "," + withoutProof
	clientKey := s.hash.mac(s.verifier.StoredKey, authMessage)
	subtle.XORBytes(clientKey, clientKey, proof)
	good = hmac.Equal(s.hash.sum(clientKey), s.verifier.StoredKey) && good
	if !good || s.account == "" {
		return "", errNotAuthorized
	}
	return "v=" + base64.StdEncoding.EncodeToString(s.hash.mac(s.verifier.ServerKey, authMessage)), nil
}

// saslname takes the value of an attribute and undoes the escapes of RFC 5802 §5.1.
func saslname(attr, prefix string) (string, bool) {
	v, ok := strings.CutPrefix(attr, prefix)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(v, "=")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		v = after[2:]
	}
}

// printable reports whether a nonce holds only what RFC 5802 §7 allows: printable ASCII but the comma.
func printable(nonce string) bool {
	for i := range len(nonce) {
		if c := nonce[i]; c < 0x21 || c > 0x7e || c == ',' {
			return false
		}
	}
	return true
}
