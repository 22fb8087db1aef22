package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// certificate is a pair of files, read again when they change: whoever connects from then on sees the new one. Safe for
// concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	read [2]stamp // of the files that were read, be they right or not
	cert *tls.Certificate
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load reads the files if they are not those that were read.
func (c *certificate) load() error {
	now, err := c.stamps()
	if err == nil && now == c.read {
		return nil
	}
	c.read = now
	if err != nil {
		return err
	}
	cert, err := readPair(c.certFile, c.keyFile)
	if err == nil {
		c.cert = cert
	}
	return err
}

func (c *certificate) stamps() (out [2]stamp, err error) {
	for i, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return out, err
		}
		out[i] = stamp{info.ModTime(), info.Size()}
	}
	return out, nil
}

// get is for [tls.Config]. With a mistake in the files it goes on with the certificate from before, and the log says so once.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.read
	if err := c.load(); err != nil && c.read != before {
		c.log.Error("broker certificate not read again, the one from before stays", "err", err)
	}
	return c.cert, nil
}

// readPair reads a certificate and its key, which may be in one file and which nobody else can read.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	if err := checkMode(keyFile); err != nil {
		return nil, fmt.Errorf("certificate: key: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, errors.New("certificate: " + strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

// tlsConfig is that of a listener.
func (c *certificate) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: protocols}
}
