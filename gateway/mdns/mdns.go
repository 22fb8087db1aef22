package mdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	port = 5353
	// again is the time between the two announcements, look the time after which the machine's networks are looked at anew.
	again = time.Second
	look  = 30 * time.Second
	// A network gets one answer for all in this time (RFC 6762 §6), and so many for single askers in a second.
	pause      = time.Second
	maxUnicast = 20
	// maxQuery bounds what is read at once.
	maxQuery = 9000
)

// group is where everyone listens.
var group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 251}), port)

// A network is one that the machine is in.
type network struct {
	index int // of the interface
	own   []netip.Prefix
}

// holds reports whether an address is one of the network's.
func (n network) holds(a netip.Addr) bool {
	return slices.ContainsFunc(n.own, func(p netip.Prefix) bool { return p.Contains(a) })
}

// A wire is how messages come and go.
type wire interface {
	join(index int) error
	read(b []byte) (n, index int, from netip.AddrPort, err error)
	write(b []byte, index int, to netip.AddrPort) error
	Close() error
}

// A teller answers and announces for one service.
type teller struct {
	service  Service
	wire     wire
	networks func() ([]network, error)
	log      *slog.Logger

	mu     sync.Mutex
	joined map[int]*place // by interface
}

// A place is a network that is joined.
type place struct {
	network
	records []record
	told    int       // how often it was announced
	last    time.Time // when all were answered
	second  time.Time // single askers are counted from here on
	single  int
}

// Run tells of a service until ctx is done, and says goodbye then. An error says that it cannot; nobody but browsers of services
// misses it.
func Run(ctx context.Context, s Service, log *slog.Logger) error {
	if _, err := s.records(nil); err != nil {
		return err
	}
	w, err := open(ctx)
	if err != nil {
		return fmt.Errorf("mdns: %w", err)
	}
	t := &teller{service: s, wire: w, networks: networks, log: log, joined: map[int]*place{}}
	return t.run(ctx)
}

func (t *teller) run(ctx context.Context) error {
	var reading sync.WaitGroup
	reading.Go(t.read)
	defer reading.Wait()
	defer t.wire.Close()
	timer := time.NewTimer(t.look())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			t.goodbye()
			return nil
		case <-timer.C:
			t.again()
			timer.Reset(t.look())
		}
	}
}

// look joins the networks there are, tells those that are new, and returns when to look again.
func (t *teller) look() time.Duration {
	found, err := t.networks()
	if err != nil {
		t.log.Debug("networks not known", "err", err)
		return look
	}
	next := look
	t.mu.Lock()
	defer t.mu.Unlock()
	still := map[int]bool{}
	for _, n := range found {
		var addrs []netip.Addr
		for _, p := range n.own {
			if len(t.service.Only) == 0 || slices.Contains(t.service.Only, p.Addr()) {
				addrs = append(addrs, p.Addr())
			}
		}
		if len(addrs) == 0 {
			continue
		}
		still[n.index] = true
		if p := t.joined[n.index]; p != nil && slices.Equal(p.own, n.own) {
			continue
		}
		records, err := t.service.records(addrs)
		if err == nil && t.joined[n.index] == nil {
			err = t.wire.join(n.index)
		}
		if err != nil {
			t.log.Debug("network not joined", "interface", n.index, "err", err)
			continue
		}
		t.joined[n.index] = &place{network: n, records: records}
		t.tell(t.joined[n.index], false)
		next = again
	}
	for index := range t.joined {
		if !still[index] {
			delete(t.joined, index)
		}
	}
	return next
}

// again tells those a second time that were told once: the first may be lost (RFC 6762 §8.3).
func (t *teller) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.joined {
		if p.told < 2 {
			t.tell(p, false)
		}
	}
}

func (t *teller) goodbye() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.joined {
		t.tell(p, true)
	}
}

func (t *teller) tell(p *place, over bool) {
	p.told++
	message, err := announcement(p.records, over)
	if err == nil {
		err = t.wire.write(message, p.index, group)
	}
	if err != nil {
		t.log.Debug("not announced", "interface", p.index, "err", err)
	}
}

// read answers until the wire is closed.
func (t *teller) read() {
	b := make([]byte, maxQuery)
	for {
		n, index, from, err := t.wire.read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.log.Debug("not read", "err", err)
			time.Sleep(pause) // the system is in trouble: not for ever, and not in a loop
			continue
		}
		t.take(b[:n], index, from, time.Now())
	}
}

// take answers one query. What does not come from the network itself is not answered: it would carry answers out of the house
// (RFC 6762 §11).
func (t *teller) take(query []byte, index int, from netip.AddrPort, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.joined[index]
	if p == nil || !p.holds(from.Addr().Unmap()) {
		return
	}
	r, ok := answer(p.records, query, from.Port() != port)
	if !ok {
		return
	}
	to := from
	if r.unicast {
		if now.Sub(p.second) >= time.Second {
			p.second, p.single = now, 0
		}
		if p.single++; p.single > maxUnicast {
			return
		}
	} else {
		if now.Sub(p.last) < pause {
			return // whoever asks again is answered then
		}
		p.last, to = now, group
	}
	if err := t.wire.write(r.message, index, to); err != nil {
		t.log.Debug("not answered", "to", to, "err", err)
	}
}
