package mqtt

import (
	"slices"
	"sync"
	"time"
)

// A message is one PUBLISH as it came.
type message struct {
	topic    string
	payload  []byte
	retained bool
	at       time.Time
}

// Bounds of an inbox. Both grow with the number of topics, so that one message of each always fits.
const (
	inboxMessages = 512
	inboxBytes    = 4 << 20
)

// An inbox holds messages until the driver takes them. push never waits: when the inbox is full, only the latest
// message of each topic stays, in the order they came. It is safe for concurrent use.
type inbox struct {
	more chan struct{} // holds a token while there are messages

	mu        sync.Mutex
	queue     []message
	bytes     int
	messages  int // the bound of len(queue): at least twice the number of topics, so that thinning out pays
	limit     int // the bound of bytes
	coalesced int // messages replaced by a later one since the last take
}

// newInbox makes an inbox for messages of at most so many topics.
func newInbox(topics int) *inbox {
	return &inbox{more: make(chan struct{}, 1), messages: max(inboxMessages, 2*topics), limit: inboxBytes}
}

func (in *inbox) push(m message) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) >= in.messages || in.bytes+len(m.payload) > in.limit {
		in.thin()
	}
	in.queue = append(in.queue, m)
	in.bytes += len(m.payload)
	select {
	case in.more <- struct{}{}:
	default:
	}
}

// thin keeps the latest message of each topic.
func (in *inbox) thin() {
	seen := make(map[string]bool, len(in.queue))
	kept := make([]message, 0, len(in.queue))
	in.bytes = 0
	for _, m := range slices.Backward(in.queue) {
		if !seen[m.topic] {
			seen[m.topic] = true
			kept = append(kept, m)
			in.bytes += len(m.payload)
		}
	}
	slices.Reverse(kept)
	in.coalesced += len(in.queue) - len(kept)
	in.queue = kept
	in.limit = max(inboxBytes, 2*in.bytes)
}

// take empties the inbox. It also tells how many messages were lost to later ones since the last time.
func (in *inbox) take() (messages []message, coalesced int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	messages, coalesced = in.queue, in.coalesced
	in.queue, in.bytes, in.coalesced, in.limit = nil, 0, 0, inboxBytes
	return messages, coalesced
}
