package broker

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"tidings/devices/schema"
)

const (
	defaultListen    = "127.0.0.1:1883"
	defaultMaxPacket = 256_000
	smallestPacket   = 1_000      // below this no discovery message and hardly a last will fits
	largestPacket    = 10_000_000 // a packet is held in memory whole, and once more for each slow reader
)

// Keys are the keys of the [broker] table.
var Keys = []schema.Key{
	{Name: "listen", Kind: schema.Strings, Default: `["127.0.0.1:1883"]`,
		Help: "addresses to listen on; without users only loopback ones; an empty list leaves the gateway's own driver"},
	{Name: "users_file", Kind: schema.String,
		Help: "the file of users that `tidings broker adduser NAME` writes: lines NAME:HASH, bcrypt as of htpasswd -B; mode 0600"},
	{Name: "max_packet", Kind: schema.Size, Default: "256KB", Help: "the largest packet taken from a client"},
	{Name: "tls_listen", Kind: schema.Strings, Later: true, Help: "addresses to listen on with TLS"},
	{Name: "websocket", Kind: schema.String, Later: true, Help: "an address to listen on for MQTT over WebSocket"},
}

// Options say how a broker is to be. The zero value serves [Broker.Dial] only.
type Options struct {
	Listen    []string // host:port; port 0 picks a free one
	UsersFile string   // empty: no users, and only loopback addresses in Listen
	MaxPacket int64    // bytes; 256,000 when 0
	Log       *slog.Logger
}

// Parse reads the [broker] table and records its mistakes there: an address that is none, an address others can
// reach without users, a file of users that others can read. A nil table gives the defaults.
func Parse(t *schema.Table, log *slog.Logger) Options {
	o := Options{Listen: []string{defaultListen}, MaxPacket: t.Size("max_packet", defaultMaxPacket), Log: log}
	if t.Has("listen") {
		o.Listen = t.Strings("listen")
	}
	if v, ok := t.Get("users_file"); ok {
		if file := t.String("users_file"); file != "" {
			if !filepath.IsAbs(file) {
				file = filepath.Join(filepath.Dir(v.File), file)
			}
			o.UsersFile = file
			if err := checkMode(file); err != nil {
				t.Errorf("users_file", "users_file: %v", err)
			}
		}
	}
	if o.MaxPacket < smallestPacket || o.MaxPacket > largestPacket {
		t.Errorf("max_packet", "max_packet: %d bytes: between 1KB and 10MB can be used", o.MaxPacket)
		o.MaxPacket = defaultMaxPacket
	}
	for _, addr := range o.Listen {
		if err := o.check(addr); err != nil {
			t.Errorf("listen", "listen: %v", err)
		}
	}
	return o
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
