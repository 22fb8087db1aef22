package gateway

import (
	"sync"
	"sync/atomic"

	"tidings/devices"
	"tidings/mapping"
)

// maxDevices bounds what drivers can announce: a broker full of strangers must not fill the memory of a Pi.
const maxDevices = 20000

// An inbox takes what drivers say until the router comes for it. It never makes a driver wait and never grows beyond
// what there are devices and points: readings of one point coalesce to the latest, links of one device likewise.
type inbox struct {
	ready chan struct{} // holds one token while something is there

	mu       sync.Mutex
	changes  []mapping.Change // announcements, withdrawals and links, in order
	links    map[devices.ID]int
	readings []devices.Reading
	latest   map[pointKey]int // where a point's reading is in readings
	known    map[devices.ID]struct{}

	coalesced, refused atomic.Uint64
}

type pointKey struct {
	device devices.ID
	point  string
}

func newInbox() *inbox {
	return &inbox{ready: make(chan struct{}, 1), links: map[devices.ID]int{}, latest: map[pointKey]int{},
		known: map[devices.ID]struct{}{}}
}

func (b *inbox) wake() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// add appends a change about a device; it may not be coalesced over.
func (b *inbox) add(id devices.ID, c mapping.Change) {
	delete(b.links, id)
	b.changes = append(b.changes, c)
}

func (b *inbox) announce(info devices.Info) bool {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.known[info.ID]; !known {
		if len(b.known) >= maxDevices {
			b.refused.Add(1)
			return false
		}
		b.known[info.ID] = struct{}{}
	}
	b.add(info.ID, mapping.Change{Announce: &info})
	return true
}

func (b *inbox) withdraw(id devices.ID, why devices.Why) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, id)
	b.add(id, mapping.Change{Withdraw: &mapping.Withdrawal{ID: id, Why: why}})
}

func (b *inbox) link(id devices.ID, up bool, cause error) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	link := &mapping.Link{ID: id, Up: up, Cause: cause}
	if i, ok := b.links[id]; ok {
		b.changes[i].Link = link
		return
	}
	b.changes = append(b.changes, mapping.Change{Link: link})
	b.links[id] = len(b.changes) - 1
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
	changes, b.changes = b.changes, changes[:0]
	readings, b.readings = b.readings, readings[:0]
	clear(b.links)
	clear(b.latest)
	return changes, readings
}
