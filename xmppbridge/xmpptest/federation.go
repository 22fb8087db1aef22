//go:build servers

package xmpptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serverPort is where servers look for each other when DNS has no SRV record, and a hosts file has none.
const serverPort = 5269

// Federate starts Prosodys that find each other and talk, each on an address of its own in 127.0.0.0/8, and stops them with the
// test. Streams between them are encrypted, and each has to show a certificate for its domain: nobody is believed for where DNS leads.
// Needs the Debian package lua-unbound too, which lets Prosody have a hosts file of its own. Each of the options names a domain.
func Federate(t testing.TB, servers ...Options) []*Prosody {
	t.Helper()
	var hosts strings.Builder
	for i := range servers {
		o := servers[i].withDefaults("")
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		o.address = address
		for _, domain := range o.domains() {
			fmt.Fprintf(&hosts, "%s %s\n", address, domain)
		}
		servers[i] = o
	}
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(hosts.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var started []*Prosody
	for _, o := range servers {
		o.hosts = file
		started = append(started, StartProsody(t, o))
	}
	return started
}

// freeAddress returns a loopback address on which no server listens for others.
func freeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, serverPort))
		if err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no address in 127.0.0.0/8 where port %d is free", serverPort)
}
