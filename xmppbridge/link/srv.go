package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxTargets bounds how many of the servers that DNS names are tried at one attempt.
const maxTargets = 8

// target is one way to a server.
type target struct {
	addr   string // host:port
	direct bool   // TLS from the first byte
	srv    net.SRV
}

// targets returns the ways to the server of a domain in the order to try them: those of the services xmpp-client and xmpps-client
// alike, by priority and weight (RFC 6120 §3.2.1, XEP-0368 §2), or else the domain itself.
func (c ClientConfig) targets(ctx context.Context, domain string) ([]target, error) {
	usual := []target{{addr: net.JoinHostPort(domain, "5222")}, {addr: net.JoinHostPort(domain, "5223"), direct: true}}
	if net.ParseIP(domain) != nil {
		return usual, nil
	}
	resolver := cmp.Or(c.Resolver, net.DefaultResolver)
	var (
		list   []target
		failed error
		none   bool // DNS says that there is no such service
	)
	for _, service := range []string{"xmpps-client", "xmpp-client"} {
		_, records, err := resolver.LookupSRV(ctx, service, "tcp", domain)
		if dns, ok := errors.AsType[*net.DNSError](err); err != nil && len(records) == 0 && !(ok && dns.IsNotFound) {
			failed = err
		}
		for _, srv := range records {
			host := strings.TrimSuffix(srv.Target, ".")
			if host == "" {
				none = true
				continue
			}
			list = append(list, target{net.JoinHostPort(host, strconv.Itoa(int(srv.Port))), service == "xmpps-client", *srv})
		}
	}
	switch {
	case len(list) > 0:
		return arrange(list)[:min(len(list), maxTargets)], nil
	case failed != nil:
		return nil, failed
	case none:
		return nil, failf(ErrHost, nil, "%s: %s says in DNS that it has no server for clients: correct [xmpp] address, or name the server with [xmpp] server", c.who(), domain)
	}
	return usual, nil
}

// arrange sorts by priority, and those of the same one at random by weight, as RFC 2782 has it.
func arrange(list []target) []target {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.srv.Priority, b.srv.Priority), cmp.Compare(min(a.srv.Weight, 1), min(b.srv.Weight, 1)))
	})
	for i := range list {
		sum, end := 0, i
		for ; end < len(list) && list[end].srv.Priority == list[i].srv.Priority; end++ {
			sum += int(list[end].srv.Weight)
		}
		pick, chosen := rand.IntN(sum+1), i
		for pick -= int(list[chosen].srv.Weight); pick > 0; pick -= int(list[chosen].srv.Weight) {
			chosen++
		}
		next := list[chosen]
		copy(list[i+1:chosen+1], list[i:chosen])
		list[i] = next
	}
	return list
}

// reach connects to the first server of a domain that takes the connection, and returns which that is.
func (c ClientConfig) reach(ctx context.Context, domain string, cfg *tls.Config) (net.Conn, string, error) {
	list, err := c.targets(ctx, domain)
	if err != nil {
		return nil, "", err
	}
	var failed []error
	for _, to := range list {
		conn, err := c.open(ctx, to.addr, to.direct, cfg)
		if err == nil {
			return conn, to.addr, nil
		}
		failed = append(failed, explain(c.who(), to.addr, err))
		if ctx.Err() != nil {
			break
		}
	}
	// The one that somebody has to do something about.
	return nil, "", failed[max(slices.IndexFunc(failed, Permanent), 0)]
}

// open connects to one server.
func (c ClientConfig) open(ctx context.Context, addr string, direct bool, cfg *tls.Config) (net.Conn, error) {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout, Resolver: c.Resolver}).DialContext
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil || !direct {
		return conn, err
	}
	secure := tls.Client(conn, cfg)
	if err := guard(ctx, conn, func(context.Context) error { return secure.HandshakeContext(ctx) }); err != nil {
		return nil, err
	}
	return secure, nil
}

// ascii is a domain as DNS and certificates have it.
func ascii(domain string) string {
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		return a
	}
	return domain
}
