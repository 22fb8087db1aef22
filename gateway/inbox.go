package gateway

import (
	"errors"
	"slices"
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
	events   []int            // which of readings are events
	latest   map[pointKey]int // where a point's reading is in readings
	known    map[devices.ID]owned

	coalesced, refused, dropped atomic.Uint64
}

// maxEvents is how many events may wait.
const maxEvents = 2000

// owned is what an inbox knows of a device.
type owned struct {
	driver string   // whose device it is; empty when it was let go of for now
	events []string // its points that are events
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
		known: map[devices.ID]owned{}}
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

// Why an inbox does not take a device in.
var (
	errTooMany = errors.New("there are too many devices")
	errOwned   = errors.New("another driver has a device of this name")
)

// announce takes a device in.
func (b *inbox) announce(info devices.Info) error {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	before, known := b.known[info.ID]
	if known && before.driver != "" && before.driver != info.Driver {
		b.refused.Add(1)
		return errOwned
	}
	// Those withdrawn and not yet told to the router count, too.
	if !known && (len(b.known) >= maxDevices || len(b.news) >= 2*maxDevices) {
		b.refused.Add(1)
		return errTooMany
	}
	o := owned{driver: info.Driver}
	for i := range info.Points {
		if info.Points[i].Kind == devices.KindEvent {
			o.events = append(o.events, info.Points[i].Name)
		}
	}
	b.known[info.ID] = o
	b.of(info.ID).announce = &info
	return nil
}

func (b *inbox) withdraw(id devices.ID, why devices.Why) {
	defer b.wake()
	b.mu.Lock()
	defer b.mu.Unlock()
	o, known := b.known[id]
	if !known {
		return
	}
	if o.driver = ""; why == devices.Gone {
		delete(b.known, id)
	} else {
		b.known[id] = o
	}
	n := b.of(id)
	n.announce, n.link = nil, nil
	if n.withdraw == nil || why == devices.Gone {
		n.withdraw = &mapping.Withdrawal{ID: id, Why: why}
	}
}

// forget withdraws for good a device that its driver let go of for now, unless it has been announced again. It reports whether it did.
func (b *inbox) forget(id devices.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, known := b.known[id]; !known || o.driver != "" {
		return false
	}
	delete(b.known, id)
	n := b.of(id)
	n.announce, n.link = nil, nil
	n.withdraw = &mapping.Withdrawal{ID: id, Why: devices.Gone}
	b.wake()
	return true
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
		o, known := b.known[r.Device]
		if !known {
			b.refused.Add(1)
			continue
		}
		if o.events != nil && slices.Contains(o.events, r.Point) {
			if len(b.events) >= maxEvents {
				b.dropped.Add(1)
				continue
			}
			b.events = append(b.events, len(b.readings))
			b.readings = append(b.readings, r)
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

// take hands over what is there, and which of the readings are events. The slices given back from the last time are used again.
func (b *inbox) take(changes []mapping.Change, readings []devices.Reading) (_ []mapping.Change, _ []devices.Reading, events []int) {
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
	events, b.events = b.events, nil
	return changes, readings, events
}
