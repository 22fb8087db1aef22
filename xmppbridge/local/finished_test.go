package local

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// The keys of RFC 8448 §3 (a TLS 1.3 handshake with TLS_AES_128_GCM_SHA256) and its client's Finished.
func TestClientFinished(t *testing.T) {
	t.Parallel()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	secret := unhex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21")
	want := unhex("a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61")
	record := unhex("1703030035" +
		"75ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab6867d726c40546")
	hello := append([]byte{22, 3, 1, 0, 3}, "abc"...)
	if got := clientFinished(tls.TLS_AES_128_GCM_SHA256, secret, append(hello, record...)); !bytes.Equal(got, want) {
		t.Errorf("Finished %x, want %x", got, want)
	}
	for n := range record {
		if got := clientFinished(tls.TLS_AES_128_GCM_SHA256, secret, record[:n]); got != nil {
			t.Errorf("Finished in the first %d bytes: %x", n, got)
		}
	}
	record[20] ^= 1
	if got := clientFinished(tls.TLS_AES_128_GCM_SHA256, secret, record); got != nil {
		t.Errorf("Finished of a changed record: %x", got)
	}
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		newHash, aead, iv, err := recordKeys(suite, secret)
		if err != nil {
			t.Fatal(err)
		}
		size := newHash().Size()
		want := bytes.Repeat([]byte{7}, size)
		seal := func(plain []byte) []byte {
			head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(plain)+aead.Overhead()))
			return append(head, aead.Seal(nil, iv, plain, head)...)
		}
		message := append([]byte{20, 0, 0, byte(size)}, want...)
		if got := clientFinished(suite, secret, seal(append(message, 22, 0, 0))); !bytes.Equal(got, want) {
			t.Errorf("%s: Finished %x", tls.CipherSuiteName(suite), got)
		}
		if got := clientFinished(suite, secret, seal(append(message, 23))); got != nil {
			t.Errorf("%s: application data taken for a Finished", tls.CipherSuiteName(suite))
		}
	}
}
