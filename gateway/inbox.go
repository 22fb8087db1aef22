package gateway

import (
	"sync"
	"sync/atomic"

	"tidings/devices"
	"tidings/mapping"
)

// maxDevices bounds what drivers can announce: a broker full of strangers must not fill the memory of a Pi.
const maxDevices = 20000

// keptInbox is how many entries an inbox, and the router that takes from it, keep room for while nothing is there.
const keptInbox = 1024

// An inbox takes what drivers say until the router comes for it. It never makes a driver wait, and it does not grow with
// how often something is said: readings of one point coalesce to the latest, and what is said of one device to its last
// withdrawal, the last announcement after it, and the last link.
type inbox struct {
	ready chan struct{} // holds one token while something is there

	mu       sync.Mutex
	order    []devices.ID // of news, in the order they began
	news     map[devices.ID]*news
	readings []devices.Reading
	latest   map[pointKey]int // where a point's reading is in readings
	known    map[devices.ID]struct{}

	coalesced, refused atomic.Uint64
}

// news is what was said of one device, in the order of the fields.
type news struct {
	withdraw *mapping.Withdrawal
	announce *devices.Info
	link     *mapping.Link
}

type pointKey struct {
	device devices.ID
	point  string
}

func newInbox() *inbox {
	return &inbox{ready: make(chan struct{}, 1), news: map[devices.ID]*news{}, latest: map[pointKey]int{},
		known: map[devices.ID]struct{}{}}
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// of returns what is kept of a device, to be added to.
func (b *inbox) of(id devices.ID) *news {
	n := b.news[id]
	if n == nil {
		n = &news{}
		b.news[id] = n
		b.order = append(b.order, id)
	}
	return n
}

// announce takes a device in. It reports false when there are too many.
func (b *inbox) announce(info devices.Info) bool {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.known[info.ID]; !known {
		// Those withdrawn and not yet told to the router count, too.
		if len(b.known) >= maxDevices || len(b.news) >= 2*maxDevices {
			b.refused.Add(1)
			return false
		}
		b.known[info.ID] = struct{}{}
	}
	b.of(info.ID).announce = &info
	return true
}

func (b *inbox) withdraw(id devices.ID, why devices.Why) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.known[id]; !known {
		return
	}
	if why == devices.Gone {
		delete(b.known, id)
	}
	n := b.of(id)
	n.announce, n.link = nil, nil
	if n.withdraw == nil || why == devices.Gone {
		n.withdraw = &mapping.Withdrawal{ID: id, Why: why}
	}
}

func (b *inbox) link(id devices.ID, up bool, cause error) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.known[id]; !known {
		b.refused.Add(1)
		return
	}
	b.of(id).link = &mapping.Link{ID: id, Up: up, Cause: cause}
}

func (b *inbox) publish(readings []devices.Reading) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range readings {
		if _, known := b.known[r.Device]; !known {
			b.refused.Add(1)
			continue
		}
		key := pointKey{r.Device, r.Point}
		if i, waits := b.latest[key]; waits {
			b.readings[i] = r
			b.coalesced.Add(1)
			continue
		}
		b.latest[key] = len(b.readings)
		b.readings = append(b.readings, r)
	}
}

// take hands over what is there. The slices given back from the last time are used again.
func (b *inbox) take(changes []mapping.Change, readings []devices.Reading) ([]mapping.Change, []devices.Reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(changes)
	clear(readings)
	changes = changes[:0]
	for _, id := range b.order {
		n := b.news[id]
		if n.withdraw != nil {
			changes = append(changes, mapping.Change{Withdraw: n.withdraw})
		}
		if n.announce != nil {
			changes = append(changes, mapping.Change{Announce: n.announce})
		}
		if n.link != nil {
			changes = append(changes, mapping.Change{Link: n.link})
		}
	}
	if len(b.order) > keptInbox { // a house that starts: the memory of that is not kept
		b.news, b.order = map[devices.ID]*news{}, nil
	}
	clear(b.news)
	clear(b.order)
	b.order = b.order[:0]
	if len(b.latest) > keptInbox {
		b.latest = map[pointKey]int{}
	}
	clear(b.latest)
	readings, b.readings = b.readings, readings[:0]
	return changes, readings
}
