package local

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net"

	"golang.org/x/crypto/chacha20poly1305"
)

// RFC 9266 gives TLS 1.3 the binding tls-exporter, and defines no tls-unique there. Clients on OpenSSL (slixmpp, and what is
// built on it) bind by tls-unique all the same, with what the library answers: the client's Finished, the hash under the
// handshake's key over all of the handshake. That binds as well as any, since someone in the middle shares
// neither handshake with both ends, but crypto/tls does not give it out. So it is read off the wire: a tap keeps the
// client's bytes while the handshake lasts, and its Finished, the first encrypted record, is opened with the secret that
// crypto/tls logs. Such a client then logs in bound; otherwise it could not at all, for what it says when it comes
// back without binding is what a downgrade looks like.

// tapSize bounds what is kept of a client's handshake. Client hellos have one or two kilobytes.
const tapSize = 16 << 10

// tap keeps what is read from a connection until it is stopped.
type tap struct {
	net.Conn
	seen    []byte
	stopped bool
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if !t.stopped {
		t.seen = append(t.seen, p[:min(n, max(0, tapSize-len(t.seen)))]...)
	}
	return n, err
}

// stop forgets what was kept.
func (t *tap) stop() { t.seen, t.stopped = nil, true }

// CloseWrite is that of the connection beneath.
func (t *tap) CloseWrite() error { return closeWrite(t.Conn) }

// keyLog takes the client's handshake secret out of what crypto/tls logs (the format of SSLKEYLOGFILE).
type keyLog struct{ secret []byte }

func (k *keyLog) Write(line []byte) (int, error) {
	if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "CLIENT_HANDSHAKE_TRAFFIC_SECRET" {
		k.secret = make([]byte, hex.DecodedLen(len(f[2])))
		if _, err := hex.Decode(k.secret, f[2]); err != nil {
			return 0, err
		}
	}
	return len(line), nil
}

// clientFinished returns the verify_data of the Finished message in what a client sent during a TLS 1.3 handshake, or nil if
// it is not there.
func clientFinished(suite uint16, secret, sent []byte) []byte {
	record := firstEncrypted(sent)
	if record == nil || len(secret) == 0 {
		return nil
	}
	newHash, aead, iv, err := recordKeys(suite, secret)
	if err != nil {
		return nil
	}
	// RFC 8446 §5.2 and §5.3: the first record has sequence number zero, so the nonce is the IV; the header is
	// authenticated.
	plain, err := aead.Open(nil, iv, record[recordHeader:], record[:recordHeader])
	if err != nil {
		return nil
	}
	plain = bytes.TrimRight(plain, "\x00") // padding
	size := newHash().Size()
	const finished, handshake = 20, 22
	if len(plain) != 4+size+1 || plain[len(plain)-1] != handshake ||
		!bytes.Equal(plain[:4], []byte{finished, 0, 0, byte(size)}) {
		return nil
	}
	return plain[4 : 4+size]
}

const recordHeader = 5

// firstEncrypted finds the first record of type application_data, which is what all encrypted ones of TLS 1.3 look like.
func firstEncrypted(sent []byte) []byte {
	const applicationData = 23
	for len(sent) >= recordHeader {
		n := recordHeader + int(binary.BigEndian.Uint16(sent[3:]))
		if len(sent) < n {
			return nil
		}
		if sent[0] == applicationData {
			return sent[:n]
		}
		sent = sent[n:]
	}
	return nil
}

// recordKeys derives the keys of records from a traffic secret (RFC 8446 §7.3).
func recordKeys(suite uint16, secret []byte) (newHash func() hash.Hash, aead cipher.AEAD, iv []byte, err error) {
	newHash, size := sha256.New, 16
	switch suite {
	case tls.TLS_AES_256_GCM_SHA384:
		newHash, size = sha512.New384, 32
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		size = chacha20poly1305.KeySize
	}
	key, err := expandLabel(newHash, secret, "key", size)
	if err != nil {
		return nil, nil, nil, err
	}
	if suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		aead, err = chacha20poly1305.New(key)
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	iv, err = expandLabel(newHash, secret, "iv", aead.NonceSize())
	return newHash, aead, iv, err
}

// expandLabel is HKDF-Expand-Label of RFC 8446 §7.1 with an empty context.
func expandLabel(newHash func() hash.Hash, secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := []byte{byte(size >> 8), byte(size), byte(len(label))}
	info = append(append(info, label...), 0)
	return hkdf.Expand(newHash, secret, string(info), size)
}
