package mqtt

import (
	"slices"
	"sync"
	"time"
)

// An incoming message is one PUBLISH as it came.
type incoming struct {
	topic    string
	payload  []byte
	retained bool
	at       time.Time
}

// Bounds of an inbox.
const (
	inboxMessages = 512     // from here on it is thinned out
	inboxBytes    = 4 << 20 // likewise
	fullMessages  = 8192    // from here on whoever brings more waits
	fullBytes     = 16 << 20
	crowd         = 8         // messages of one topic that are left alone,
	crowdBytes    = 512 << 10 // while they are no more than this together
	maxEvents     = 256       // of one topic that none may be left out of
)

// An inbox holds messages until the driver takes them. When it gets full, topics that have many in it keep their latest
// only, in the order they came. What is left then is many topics, as of a broker that sends what it retained; whoever
// brings more waits until the driver has taken them. It is safe for concurrent use.
type inbox struct {
	more  chan struct{}           // holds a token while there are messages
	whole func(topic string) bool // reports whether a topic has messages of which none stands for an earlier one

	mu      sync.Mutex
	room    sync.Cond
	queue   []incoming
	bytes   int
	thinAt  int  // messages at which it is thinned out again
	thinned int  // bytes likewise
	waits   bool // somebody waits for room
	closed  bool

	coalesced int // messages replaced by a later one since the last take
	dropped   int // messages that nothing replaces
}

func newInbox(whole func(topic string) bool) *inbox {
	in := &inbox{more: make(chan struct{}, 1), whole: whole, thinAt: inboxMessages, thinned: inboxBytes}
	in.room.L = &in.mu
	return in
}

// push adds a message. It waits while the inbox is full, and returns at once when it is closed.
func (in *inbox) push(m incoming) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) >= in.thinAt || in.bytes+len(m.payload) > in.thinned {
		in.thin()
	}
	for len(in.queue) > 0 && (len(in.queue) >= fullMessages || in.bytes+len(m.payload) > fullBytes) && !in.closed {
		in.waits = true
		in.room.Wait()
	}
	in.waits = false
	if in.closed {
		return
	}
	in.queue = append(in.queue, m)
	in.bytes += len(m.payload)
	select {
	case in.more <- struct{}{}:
	default:
	}
}

// thin keeps the latest message of each topic that has many.
func (in *inbox) thin() {
	waiting, size := make(map[string]int, len(in.queue)), map[string]int{}
	for _, m := range in.queue {
		waiting[m.topic]++
		size[m.topic] += len(m.payload)
	}
	kept := make([]incoming, 0, len(in.queue))
	seen := make(map[string]int, len(waiting))
	whole := map[string]bool{} // of topics that have many
	in.bytes = 0
	for _, m := range slices.Backward(in.queue) {
		seen[m.topic]++
		if n := seen[m.topic]; n > 1 && (waiting[m.topic] > crowd || size[m.topic] > crowdBytes) {
			if _, asked := whole[m.topic]; !asked {
				whole[m.topic] = in.whole(m.topic)
			}
			if !whole[m.topic] {
				in.coalesced++
				continue
			}
			if n > maxEvents {
				in.dropped++
				continue
			}
		}
		kept = append(kept, m)
		in.bytes += len(m.payload)
	}
	slices.Reverse(kept)
	in.queue = kept
	in.thinAt, in.thinned = max(inboxMessages, 2*len(kept)), max(inboxBytes, 2*in.bytes)
}

// take empties the inbox. It also tells how many messages later ones have replaced since the last time, and how many were lost.
func (in *inbox) take() (messages []incoming, coalesced, dropped int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	messages, coalesced, dropped = in.queue, in.coalesced, in.dropped
	in.queue, in.bytes, in.coalesced, in.dropped = nil, 0, 0, 0
	in.thinAt, in.thinned = inboxMessages, inboxBytes
	in.room.Broadcast()
	return messages, coalesced, dropped
}

// full reports whether somebody waits for room in it.
func (in *inbox) full() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.waits
}

func (in *inbox) empty() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.queue) == 0
}

// close lets go of whoever waits; nothing more is taken.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.room.Broadcast()
}
