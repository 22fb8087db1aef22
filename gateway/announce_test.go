package gateway

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
)

// What only this machine reaches is told to nobody, and a service at some addresses at those.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listen []string
		port   uint16
		only   []netip.Addr
		ok     bool
	}{
		{[]string{"127.0.0.1:5222", "[::1]:5222"}, 0, nil, false},
		{[]string{"[::]:5222"}, 5222, nil, true},
		{[]string{"127.0.0.1:5222", "192.0.2.1:5223", "[2001:db8::1]:5223", "198.51.100.1:1"}, 5223,
			[]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, true},
		{[]string{"192.0.2.1:5222", "0.0.0.0:5222"}, 5222, nil, true},
	} {
		var addrs []net.Addr
		for _, l := range c.listen {
			addrs = append(addrs, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(l)))
		}
		s, ok := announcement("Home", "home.arpa", "3f2a", addrs)
		if ok != c.ok || s.Port != c.port || !reflect.DeepEqual(s.Only, c.only) {
			t.Errorf("%v: %+v, %v", c.listen, s, ok)
		}
		if s.Instance != "Home 3f2a" || s.Host != "tidings-3f2a" || s.Domain != "" {
			t.Errorf("%+v", s)
		}
	}
	if s, _ := announcement("Home", "home.local", "3f2a", nil); s.Domain != "home.local" {
		t.Errorf("%+v", s)
	}
	if got := mark("3F:2A:00:FF"); got != "3f2a00" {
		t.Error(got)
	}
}
