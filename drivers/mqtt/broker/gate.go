package broker

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	maxStrangers        = 200 // connections that are not logged in
	strangersPerAddress = 16  // the same of one address that is not this machine's
	firstDelay          = 250 * time.Millisecond
	longestDelay        = 5 * time.Second // well under the time a login may take
	failureMemory       = 10 * time.Minute
	maxFailing          = 4096 // addresses
)

// gate bounds connections that are not logged in, and slows down those who guess passwords. Safe for concurrent use.
type gate struct {
	first time.Duration // the wait that one wrong password earns

	mu       sync.Mutex
	pending  int
	byAddr   map[netip.Addr]int
	failures map[netip.Addr]failures
}

// failures are the failed logins from one address.
type failures struct {
	count int
	last  time.Time
	next  time.Time // when a password is looked at again
}

func newGate(first time.Duration) *gate {
	return &gate{first: first, byAddr: map[netip.Addr]int{}, failures: map[netip.Addr]failures{}}
}

// origin is an address without its port; sockets that have none count as this machine.
func origin(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.IPv6Loopback()
	}
	ip := ap.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}

// enter admits a connection that has yet to log in; leave must follow. It reports false when there are too many.
func (g *gate) enter(a netip.Addr) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pending >= maxStrangers || g.byAddr[a] >= strangersPerAddress && !a.IsLoopback() {
		return nil, false
	}
	g.pending++
	g.byAddr[a]++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.pending--
		if g.byAddr[a]--; g.byAddr[a] <= 0 {
			delete(g.byAddr, a)
		}
	}), true
}

// delay returns how long a password from an address has to wait, and reserves that moment: those that come at the same time
// over many connections wait one after the other. It reports false, and reserves nothing, when that would take too long.
func (g *gate) delay(a netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, failing := g.failures[a]
	if !failing {
		return 0, true
	}
	if now.Sub(f.last) > failureMemory {
		delete(g.failures, a)
		return 0, true
	}
	if wait = max(0, f.next.Sub(now)); wait > longestDelay {
		return 0, false
	}
	f.next = now.Add(wait + g.after(f))
	g.failures[a] = f
	return wait, true
}

// failed notes a wrong password.
func (g *gate) failed(a netip.Addr, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, failing := g.failures[a]
	if !failing && len(g.failures) >= maxFailing {
		for other := range g.failures { // any one: who fills the table has many more
			delete(g.failures, other)
			break
		}
	}
	f.count++
	f.last = now
	if next := now.Add(g.after(f)); next.After(f.next) {
		f.next = next
	}
	g.failures[a] = f
}

// after is the wait that so many failures earn.
func (g *gate) after(f failures) time.Duration {
	return min(g.first<<min(max(f.count-1, 0), 10), longestDelay)
}
