package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CertificateFile is the name of the file that holds the key and the certificate made by Certificate: one file, so that the two never come apart.
const CertificateFile = "xmpp.pem"

// certificateAge is how long a certificate made here is valid. Nobody renews one in a cupboard, and people compare its
// fingerprint once: it is meant to outlast the machine.
const certificateAge = 20 * 365 * 24 * time.Hour

// notBeforeThis is a time that has passed for certain: a clock that shows less is not set yet.
var notBeforeThis = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Certificate returns the certificate kept in dir, made there on the first call: ECDSA P-256, self-signed, valid for twenty
// years for the domain, localhost and the names given (host names or IP addresses). Names given later do not change a
// certificate that exists, nor does another domain, for people have compared its fingerprint; remove the file to have a new one. The fingerprint is
// the SHA-256 of the certificate in the usual colon form. The file is readable by its owner only and written whole or not at all.
func Certificate(dir, domain string, names ...string) (cert tls.Certificate, fingerprint string, err error) {
	return CertificateAt(filepath.Join(dir, CertificateFile), domain, names...)
}

// CertificateAt is Certificate for a file of another name.
func CertificateAt(path, domain string, names ...string) (cert tls.Certificate, fingerprint string, err error) {
	kept, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if kept, err = makeCertificate(domain, names); err == nil {
			err = writeWhole(path, kept)
		}
	}
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("certificate: %w", err)
	}
	cert, err = tls.X509KeyPair(kept, kept)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("certificate: %s: %w: remove the file to have a new one made", path, err)
	}
	return cert, Fingerprint(cert), nil
}

// Fingerprint is the SHA-256 of a certificate in the colon form that clients show, "" for a certificate without content.
func Fingerprint(cert tls.Certificate) string {
	if len(cert.Certificate) == 0 {
		return ""
	}
	sum := sha256.Sum256(cert.Certificate[0])
	var b strings.Builder
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

func makeCertificate(domain string, names []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	// A board without a battery-backed clock may think it is 1970 when it makes this; the certificate is good all the same.
	from := time.Now()
	until := from
	if until.Before(notBeforeThis) {
		until = notBeforeThis
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: domain},
		NotBefore:    from.Add(-24 * time.Hour),
		NotAfter:     until.Add(certificateAge),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// Clients and phones that are told to trust it import it as an authority.
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	seen := make(map[string]bool)
	for _, name := range append([]string{domain, "localhost", "127.0.0.1", "::1"}, names...) {
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// writeWhole writes a file so that a power cut leaves either nothing or all of it.
func writeWhole(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}
