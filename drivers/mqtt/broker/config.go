package broker

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"

	"tidings/devices/schema"
)

const (
	defaultListen      = "127.0.0.1:1883"
	defaultMaxPacket   = 256_000
	defaultMaxClients  = 500
	defaultMaxQueue    = 1_000_000
	defaultMaxRetained = 16_000_000

	smallestPacket = 1_000      // below this no discovery message and hardly a last will fits
	largestPacket  = 10_000_000 // a packet is held in memory whole, and once more for each slow reader
)

// Keys are the keys of the [broker] table.
var Keys = []schema.Key{
	{Name: "listen", Kind: schema.Strings, Default: `["127.0.0.1:1883"]`,
		Help: "addresses to listen on; without users only loopback ones; an empty list leaves the gateway's own driver"},
	{Name: "users_file", Kind: schema.String,
		Help: "the file of users that `tidings broker adduser NAME --file FILE` writes: lines NAME:HASH, bcrypt as of htpasswd -B, and below each what the user may read and write; mode 0600"},
	{Name: "tls_listen", Kind: schema.Strings, Help: "addresses to listen on with TLS, such as `[\"[::]:8883\"]`; default: none"},
	{Name: "cert_file", Kind: schema.String, Help: "the certificate for TLS, in PEM; read again when it changes; default: one made once and kept in data_dir as " + CertificateFile},
	{Name: "key_file", Kind: schema.String, Help: "its key; mode 0600"},
	{Name: "websocket", Kind: schema.String, Help: "an address to listen on for MQTT over WebSocket, such as \"127.0.0.1:9001\"; default: none"},
	{Name: "tls_websocket", Kind: schema.String, Help: "the same with TLS; default: none"},
	{Name: "max_packet", Kind: schema.Size, Default: "256KB", Help: "the largest packet taken from a client"},
	{Name: "max_clients", Kind: schema.Int, Default: "500", Help: "clients connected, or with a session that waits for them; the session that waits longest makes room"},
	{Name: "max_queue", Kind: schema.Size, Default: "1MB", Help: "what may wait for one client that reads slowly or is away; further messages are left out"},
	{Name: "max_retained", Kind: schema.Size, Default: "16MB", Help: "retained messages, each counted with 200 bytes more; further ones are delivered and not kept"},
}

// CertificateFile is the name of the file in Options.Dir with the certificate that is made where none is named.
const CertificateFile = "broker.pem"

// Options say how a broker is to be. The zero value serves [Broker.Dial] only.
type Options struct {
	Listen    []string // host:port; port 0 picks a free one
	UsersFile string   // empty: no users, and only loopback addresses to listen on
	// Dir is where retained messages are kept; empty: in memory only.
	Dir string

	TLSListen         []string
	CertFile, KeyFile string // for TLS; needed where it is listened with, and may be one file
	WebSocket         string // host:port, or empty
	TLSWebSocket      string

	MaxPacket   int64 // bytes; 256,000 when 0
	MaxClients  int   // 500 when 0
	MaxQueue    int64 // bytes; 1,000,000 when 0
	MaxRetained int64 // bytes; 16,000,000 when 0

	Log *slog.Logger
}

// Equal reports whether two brokers would be the same but for their logs.
func (o Options) Equal(other Options) bool {
	o.Log, other.Log = nil, nil
	return reflect.DeepEqual(o, other)
}

// NeedsCertificate reports whether TLS is listened with and no certificate named.
func (o Options) NeedsCertificate() bool {
	return o.CertFile == "" && (len(o.TLSListen) > 0 || o.TLSWebSocket != "")
}

// Parse reads the [broker] table and records its mistakes there: an address that is none or is there twice, one that
// others can reach without users, a file of users that is not there, is wrong or that others can read, a certificate that is none. A
// nil table gives the defaults.
func Parse(t *schema.Table, log *slog.Logger) Options {
	o := Options{
		Listen: []string{defaultListen}, TLSListen: t.Strings("tls_listen"), WebSocket: t.String("websocket"), TLSWebSocket: t.String("tls_websocket"),
		UsersFile: path(t, "users_file"), CertFile: path(t, "cert_file"), KeyFile: path(t, "key_file"), Log: log,
	}
	if t.Has("listen") {
		o.Listen = t.Strings("listen")
	}
	if o.UsersFile != "" {
		if _, err := readUsers(o.UsersFile); err != nil {
			t.Errorf("users_file", "users_file: %s", strings.TrimPrefix(err.Error(), "users: "))
		}
	}
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		t.Errorf("", "cert_file and key_file belong together: give both, or none for a certificate made here")
	case o.CertFile != "":
		if _, err := readPair(o.CertFile, o.KeyFile); err != nil {
			t.Errorf("cert_file", "cert_file: %s", strings.TrimPrefix(err.Error(), "certificate: "))
		}
	}
	o.MaxPacket = size(t, "max_packet", defaultMaxPacket, smallestPacket, largestPacket, "between 1KB and 10MB")
	o.MaxQueue = size(t, "max_queue", defaultMaxQueue, 100_000, 50_000_000, "between 100KB and 50MB")
	o.MaxRetained = size(t, "max_retained", defaultMaxRetained, 100_000, 200_000_000, "between 100KB and 200MB")
	if o.MaxClients = t.Int("max_clients", defaultMaxClients); o.MaxClients < 1 || o.MaxClients > 5000 {
		t.Errorf("max_clients", "max_clients: between 1 and 5000")
		o.MaxClients = defaultMaxClients
	}
	taken := map[string]bool{}
	for _, at := range []struct {
		key   string
		addrs []string
	}{{"listen", o.Listen}, {"tls_listen", o.TLSListen}, {"websocket", []string{o.WebSocket}}, {"tls_websocket", []string{o.TLSWebSocket}}} {
		for _, addr := range at.addrs {
			if addr == "" && strings.HasSuffix(at.key, "websocket") {
				continue
			}
			if err := o.check(addr); err != nil {
				t.Errorf(at.key, "%s: %v", at.key, err)
			} else if taken[addr] && !strings.HasSuffix(addr, ":0") {
				t.Errorf(at.key, "%s: %s is taken: give it a port of its own", at.key, addr)
			}
			taken[addr] = true
		}
	}
	return o
}

// path reads the path of a file, which is relative to the file that names it.
func path(t *schema.Table, key string) string {
	file := t.String(key)
	if v, ok := t.Get(key); ok && file != "" && !filepath.IsAbs(file) {
		return filepath.Join(filepath.Dir(v.File), file)
	}
	return file
}

// size reads a number of bytes within bounds.
func size(t *schema.Table, key string, otherwise, least, most int64, bounds string) int64 {
	n := t.Size(key, otherwise)
	if n < least || n > most {
		t.Errorf(key, "%s: %d bytes: %s can be used", key, n, bounds)
		return otherwise
	}
	return n
}

// check says what is wrong with an address to listen on.
func (o Options) check(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address: write it as in \"127.0.0.1:1883\" or \"[::]:1883\"", addr)
	}
	if o.UsersFile == "" && !isLoopback(host) {
		return fmt.Errorf("%s can be reached from other machines, and there are no users: set users_file, or listen on 127.0.0.1", addr)
	}
	return nil
}

// isLoopback looks nothing up: a name other than localhost may be anything.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
