package local

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"

	"github.com/xdg-go/stringprep"
)

// iterations is how often PBKDF2 runs over a password. It is the work of the client at each login (a phone, a script in
// Python), never the server's, and the same for every account, so that the number tells nothing about one.
const iterations = 10000

// saltSize is the length of a salt in bytes.
const saltSize = 16

// A Verifier is what is kept of a password for one hash, after RFC 5802 §3: enough to check a proof, not enough to make one.
type Verifier struct {
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// Credentials are what a Store keeps of an account's password: a Verifier for each SCRAM hash. The password itself is not in
// them. The zero value matches no password.
type Credentials struct {
	SHA1   Verifier
	SHA256 Verifier
}

// NewCredentials derives the credentials of a password. The password is prepared with SASLprep (RFC 4013), as clients prepare
// what is typed; one that is empty or has characters nobody could type again is an error.
func NewCredentials(password string) (Credentials, error) {
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		return Credentials{}, fmt.Errorf("password: %w: use printable characters", err)
	}
	if prepared == "" {
		return Credentials{}, errors.New("password: it is empty")
	}
	var c Credentials
	if c.SHA1, err = newVerifier(sha1Hash, prepared); err != nil {
		return Credentials{}, err
	}
	if c.SHA256, err = newVerifier(sha256Hash, prepared); err != nil {
		return Credentials{}, err
	}
	return c, nil
}

func newVerifier(h scramHash, password string) (Verifier, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	salted, err := pbkdf2.Key(h.new, password, salt, iterations, h.size)
	if err != nil {
		return Verifier{}, fmt.Errorf("password: %w", err)
	}
	clientKey := h.mac(salted, "Client Key")
	return Verifier{
		Salt: salt, Iterations: iterations,
		StoredKey: h.sum(clientKey),
		ServerKey: h.mac(salted, "Server Key"),
	}, nil
}

// scramHash is one hash function of the SCRAM family.
type scramHash struct {
	name   string // in mechanism names
	new    func() hash.Hash
	size   int
	verify func(Credentials) Verifier
}

var (
	sha1Hash   = scramHash{"SCRAM-SHA-1", sha1.New, sha1.Size, func(c Credentials) Verifier { return c.SHA1 }}
	sha256Hash = scramHash{"SCRAM-SHA-256", sha256.New, sha256.Size, func(c Credentials) Verifier { return c.SHA256 }}
)

func (h scramHash) mac(key []byte, message string) []byte {
	m := hmac.New(h.new, key)
	m.Write([]byte(message))
	return m.Sum(nil)
}

func (h scramHash) sum(b []byte) []byte {
	s := h.new()
	s.Write(b)
	return s.Sum(nil)
}

// decoy makes the verifier shown for an account that does not exist: always the same salt for the same name, as a real account
// has, and keys nothing matches. Without it, asking for a challenge would tell which names are accounts.
func (h scramHash) decoy(secret []byte, account string) Verifier {
	m := hmac.New(sha512.New, secret)
	m.Write([]byte(h.name))
	m.Write([]byte{0})
	m.Write([]byte(account))
	sum := m.Sum(nil)
	return Verifier{
		Salt: sum[:saltSize], Iterations: iterations,
		StoredKey: make([]byte, h.size),
		ServerKey: make([]byte, h.size),
	}
}
