package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"tidings/gateway/mdns"
)

// announcement is what the home network is told of a server inside that listens at these addresses; ok is false where only this
// machine reaches it. mark sets it apart from other gateways.
func announcement(name, domain, mark string, addrs []net.Addr) (s mdns.Service, ok bool) {
	s = mdns.Service{
		Instance: name + " " + mark, Host: "tidings-" + mark, Text: []string{"domain=" + domain},
		// STARTTLS and direct TLS are on the same port.
		Types: []string{"_xmpp-client._tcp", "_xmpps-client._tcp"},
	}
	if strings.HasSuffix(domain, ".local") {
		s.Domain = domain
	}
	for _, a := range addrs {
		at, err := netip.ParseAddrPort(a.String())
		if err != nil || at.Addr().IsLoopback() || ok && at.Port() != s.Port {
			continue
		}
		s.Port, ok = at.Port(), true
		if at.Addr().IsUnspecified() {
			s.Only = nil
			return s, true
		}
		s.Only = append(s.Only, at.Addr().Unmap())
	}
	return s, ok
}

// mark is a part of a certificate's fingerprint, short enough for a name.
func mark(fingerprint string) string {
	m := strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))
	return m[:min(len(m), 6)]
}

// announce tells the home network of the server inside until ctx is done.
func announce(ctx context.Context, log *slog.Logger, s mdns.Service) {
	if err := mdns.Run(ctx, s, log); err != nil {
		log.Warn("not announced on the home network: clients there need this machine's address", "err", err)
	}
}
