package gateway

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tidings/gateway/config"
	"tidings/xmppbridge/local"
)

// uploadDir is where files are kept, within data_dir.
const uploadDir = "upload"

// upload is the place for files of a configuration, nil when it has none.
func (g *Gateway) upload(cfg *config.Config) *local.Upload {
	u, domain := cfg.XMPP.Local.Upload, cfg.XMPP.Address
	if u.Listen == "" {
		return nil
	}
	return &local.Upload{Listen: u.Listen, MaxSize: u.MaxSize, Keep: u.Keep, URL: u.URL, Dir: filepath.Join(cfg.Gateway.DataDir, uploadDir),
		Resolves: func(ctx context.Context) bool { return leadsHere(ctx, domain) }}
}

// leadsHere reports whether a name leads to this machine and to no other.
func leadsHere(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(ctx, name)
	if err != nil || len(found) == 0 {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, ip := range found {
		here := slices.ContainsFunc(own, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.Equal(ip.IP)
		})
		if !here || ip.IP.IsLoopback() { // what leads to itself on this machine may lead elsewhere for others
			return false
		}
	}
	return true
}

// machineNames are the names and addresses, besides the domain, that others on the home network may reach this machine by: a certificate
// that is made covers them. None when nothing listens for others.
func machineNames(l config.LocalServer) []string {
	if !slices.ContainsFunc(append(slices.Clone(l.Listen), l.WebSocket, l.Upload.Listen), beyondThisMachine) {
		return nil
	}
	var names []string
	if name, err := os.Hostname(); err == nil && name != "localhost" {
		names = append(names, name)
		if !strings.Contains(name, ".") {
			names = append(names, name+".local") // mDNS
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			names = append(names, n.IP.String())
		}
	}
	return names
}

// beyondThisMachine reports whether others can reach an address to listen on.
func beyondThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback())
}
