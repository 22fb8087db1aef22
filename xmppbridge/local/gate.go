package local

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxFailureDelay bounds how long an address waits after failed logins: well under the time a login may take, so that the
	// right password still gets in.
	maxFailureDelay = 16 * time.Second
	// failureMemory is how long a failed login counts.
	failureMemory = 10 * time.Minute
	// maxAddresses bounds how many addresses with failed logins are remembered. Beyond, the one that is free to log in
	// soonest is forgotten.
	maxAddresses = 4096
)

// gate bounds connections that are not logged in, and slows down those who guess passwords. Safe for concurrent use.
type gate struct {
	limits Limits

	mu       sync.Mutex
	pending  int
	byAddr   map[netip.Addr]int
	failures map[netip.Addr]*failures
}

// failures are the failed logins from one address.
type failures struct {
	count int
	last  time.Time
	next  time.Time // when the next login may be tried
}

func newGate(l Limits) *gate {
	return &gate{limits: l, byAddr: make(map[netip.Addr]int), failures: make(map[netip.Addr]*failures)}
}

// origin is what counts as one address: an IPv4 address, or a /64, which is what one IPv6 customer has. Sockets without IP
// addresses (in tests, say) all count as one.
func origin(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// enter admits a connection that has yet to log in; leave must follow. It reports false when there are too many.
func (g *gate) enter(a netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pending >= g.limits.Unauthenticated || g.byAddr[a] >= g.limits.PerAddress {
		return false
	}
	g.pending++
	g.byAddr[a]++
	return true
}

// leave says that a connection admitted is logged in or gone.
func (g *gate) leave(a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	if g.byAddr[a]--; g.byAddr[a] <= 0 {
		delete(g.byAddr, a)
	}
}

// delay returns how long a login from an address has to wait, and reserves that moment: logins tried at the same time over
// many connections wait one after the other. It reports false, and reserves nothing, when the wait would use up half the time a
// login may take.
func (g *gate) delay(a netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failures[a]
	if f == nil {
		return 0, true
	}
	if now.Sub(f.last) > failureMemory {
		delete(g.failures, a)
		return 0, true
	}
	wait = max(0, f.next.Sub(now))
	if wait > g.limits.LoginTime/2 {
		return 0, false
	}
	f.next = now.Add(wait + g.after(f.count))
	return wait, true
}

// failed notes a failed login.
func (g *gate) failed(a netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failures[a]
	if f == nil {
		if len(g.failures) >= maxAddresses {
			g.forget()
		}
		f = new(failures)
		g.failures[a] = f
	}
	f.count++
	f.last = now
	if next := now.Add(g.after(f.count)); next.After(f.next) {
		f.next = next
	}
}

// forget drops the address that is free to log in soonest.
func (g *gate) forget() {
	var soonest netip.Addr
	var at time.Time
	for a, f := range g.failures {
		if at.IsZero() || f.next.Before(at) {
			soonest, at = a, f.next
		}
	}
	delete(g.failures, soonest)
}

// after is the wait that n failures earn.
func (g *gate) after(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return min(g.limits.FailureDelay<<min(n-1, 16), max(maxFailureDelay, g.limits.FailureDelay))
}
