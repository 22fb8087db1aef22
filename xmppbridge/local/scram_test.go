package local

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
)

// proof computes the client's proof for the server's first message.
func proof(t testing.TB, first, authMessage string) string {
	t.Helper()
	var salt []byte
	n := 0
	for _, a := range strings.Split(first, ",") {
		switch {
		case strings.HasPrefix(a, "s="):
			salt, _ = base64.StdEncoding.DecodeString(a[2:])
		case strings.HasPrefix(a, "i="):
			n, _ = strconv.Atoi(a[2:])
		}
	}
	salted, err := pbkdf2.Key(sha256Hash.new, password, salt, n, sha256Hash.size)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256Hash.mac(salted, "Client Key")
	out := make([]byte, len(key))
	subtle.XORBytes(out, key, sha256Hash.mac(sha256Hash.sum(key), authMessage))
	return string(out)
}

func TestNewCredentials(t *testing.T) {
	t.Parallel()
	if _, err := NewCredentials(""); err == nil {
		t.Error("an empty password is accepted")
	}
	if _, err := NewCredentials("bell\a"); err == nil {
		t.Error("a control character is accepted")
	}
	a, err := NewCredentials("p\u00e4ss")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewCredentials("p\u00e4ss")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.SHA256.Salt, b.SHA256.Salt) || bytes.Equal(a.SHA1.Salt, a.SHA256.Salt) {
		t.Error("salts repeat")
	}
	// SASLprep: the same password typed on another keyboard (decomposed, or with a soft hyphen) is the same.
	salted, err := pbkdf2.Key(sha256Hash.new, "p\u00e4ss", a.SHA256.Salt, a.SHA256.Iterations, sha256Hash.size)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sha256Hash.sum(sha256Hash.mac(salted, "Client Key")), a.SHA256.StoredKey) {
		t.Error("not the stored key of RFC 5802")
	}
}

// The example of RFC 7677 §3.
func TestExampleOfRFC7677(t *testing.T) {
	t.Parallel()
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	salted, err := pbkdf2.Key(sha256Hash.new, "pencil", salt, 4096, sha256Hash.size)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256Hash.mac(salted, "Client Key")
	s := &exchange{
		hash: sha256Hash, gs2: "n,,", account: "user",
		clientFirst: "n=user,r=rOprNGfwEbeRWgbNEkqO",
		nonce:       "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		verifier: Verifier{Salt: salt, Iterations: 4096, StoredKey: sha256Hash.sum(key),
			ServerKey: sha256Hash.mac(salted, "Server Key")},
	}
	got, err := s.step2("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	if err != nil || got != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("step2 = %q, %v", got, err)
	}
}
