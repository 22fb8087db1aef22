package local

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

func addr(s string) netip.Addr { return origin(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s))) }

func TestOrigin(t *testing.T) {
	t.Parallel()
	same := [][2]string{
		{"192.0.2.1:1", "192.0.2.1:2"},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:2"},
		{"[2001:db8::1]:1", "[2001:db8::ffff:2]:1"},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1"},
	}
	for _, p := range same {
		if addr(p[0]) != addr(p[1]) {
			t.Errorf("%s and %s count apart", p[0], p[1])
		}
	}
	if addr("192.0.2.1:1") == addr("192.0.2.2:1") || addr("[2001:db8::1]:1") == addr("[2001:db8:0:1::1]:1") {
		t.Error("different addresses count as one")
	}
	if origin(&net.UnixAddr{Name: "@"}) != (netip.Addr{}) {
		t.Error("a socket without address has one")
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(Limits{Unauthenticated: 3, PerAddress: 2}.withDefaults())
	a, b := addr("192.0.2.1:1"), addr("192.0.2.2:1")
	for i, step := range []struct {
		from netip.Addr
		want bool
	}{{a, true}, {a, true}, {a, false}, {b, true}, {b, false}} {
		if got := g.enter(step.from); got != step.want {
			t.Errorf("connection %d: %v", i, got)
		}
	}
	g.leave(a)
	if !g.enter(b) {
		t.Error("a place that is free is not given")
	}
}

func TestDelays(t *testing.T) {
	t.Parallel()
	g := newGate(Limits{FailureDelay: time.Second, LoginTime: 30 * time.Second}.withDefaults())
	a, now := addr("192.0.2.1:1"), time.Unix(1e9, 0)
	check := func(want time.Duration, wantOK bool) {
		t.Helper()
		if got, ok := g.delay(a, now); got != want || ok != wantOK {
			t.Errorf("delay %v %v, want %v %v", got, ok, want, wantOK)
		}
	}
	check(0, true)
	g.failed(a, now)
	check(time.Second, true)
	check(2*time.Second, true) // at the same time: one after the other
	now = now.Add(10 * time.Second)
	check(0, true)
	for range 10 {
		g.failed(a, now)
	}
	check(0, false) // 16 s: no login can wait for that
	now = now.Add(10 * time.Second)
	check(6*time.Second, true)
	now = now.Add(time.Hour)
	check(0, true)
	if len(g.failures) != 0 {
		t.Error("what is over is remembered")
	}
	for i := range maxAddresses + 10 {
		g.failed(addr(fmt.Sprintf("10.%d.%d.1:1", i/256, i%256)), now)
	}
	if len(g.failures) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(g.failures))
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := newMeter(Limits{BytesPerSecond: 1000, StanzasPerSec: 10}, now)
	m.read(4000)
	if d := m.debt(now); d > 0 {
		t.Errorf("a burst waits %v", d)
	}
	m.read(500)
	if d := m.debt(now).Round(time.Millisecond); d != 500*time.Millisecond {
		t.Errorf("500 bytes too many wait %v", d)
	}
	now = now.Add(time.Second)
	if d := m.debt(now); d > 0 {
		t.Errorf("a second later: %v", d)
	}
	for range 60 {
		m.stanza()
	}
	if d := m.debt(now).Round(time.Millisecond); d != 2*time.Second {
		t.Errorf("20 stanzas too many wait %v", d)
	}
	now = now.Add(time.Hour)
	m.debt(now)
	if m.stanzas != 40 || m.bytes != 4000 {
		t.Errorf("saved up %v stanzas and %v bytes", m.stanzas, m.bytes)
	}
}
