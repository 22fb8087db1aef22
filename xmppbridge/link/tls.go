package link

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// TLS says whose certificates are believed. The zero value believes the system's authorities. It never turns
// verification off.
type TLS struct {
	// CAFile is a PEM file of authorities believed instead of the system's. Read at each connection, so that a renewed
	// file counts at once.
	CAFile string
	// Pins, when not empty, replace authorities altogether: the server's public key must be one of them.
	Pins []Pin
}

// Pin is the SHA-256 of a server's public key (its DER SubjectPublicKeyInfo), as in HPKP (RFC 7469 §2.4). It stays the
// same when a certificate is renewed with the same key.
type Pin [sha256.Size]byte

// ParsePin reads a pin in hexadecimal, with or without colons, or in base64, with or without the prefix "sha256/" or "sha256:".
func ParsePin(s string) (Pin, error) {
	var pin Pin
	trimmed := strings.TrimSpace(s)
	for _, prefix := range []string{"sha256/", "sha256:", "SHA256:"} {
		trimmed = strings.TrimPrefix(trimmed, prefix)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(trimmed, ":", ""))
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(trimmed, "="))
	}
	if err != nil || len(raw) != len(pin) {
		return pin, fmt.Errorf("pin: %q is not a SHA-256 in hexadecimal or base64", s)
	}
	copy(pin[:], raw)
	return pin, nil
}

// PinOf returns the pin of a certificate's key.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// String returns the pin in hexadecimal, as ParsePin reads it.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

var errPin = errors.New("the server's public key is not the pinned one")

// Roots are the authorities of CAFile, or nil: the system's.
func (t TLS) Roots() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, failf(ErrConfig, err, "tls_ca_file: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, failf(ErrConfig, nil, "tls_ca_file: %s holds no certificate in PEM", t.CAFile)
	}
	return roots, nil
}

// config returns a client configuration for a server that must be name.
func (t TLS) config(name, protocol string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	if protocol != "" {
		cfg.NextProtos = []string{protocol}
	}
	var err error
	if cfg.RootCAs, err = t.Roots(); err != nil {
		return nil, err
	}
	if len(t.Pins) > 0 {
		// The key is the identity here: neither name nor authority nor dates of the certificate matter.
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errPin
			}
			have := PinOf(state.PeerCertificates[0])
			for _, pin := range t.Pins {
				if have == pin {
					return nil
				}
			}
			return failf(ErrCertificate, errPin,
				"%s: the server's public key is not the pinned one: it is %s; if the server's key was replaced on purpose, put that into tls_pin", name, have)
		}
	}
	return cfg, nil
}
