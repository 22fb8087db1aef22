package stream

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// NSManagement is the namespace of stream management (XEP-0198).
const NSManagement = "urn:xmpp:sm:3"

// Acks is one end's account of a stream that both ends may acknowledge and resume (XEP-0198): how many stanzas it handled,
// and those it sent that the other has not acknowledged. It outlives the connection: give it to a [Stream] with
// [Stream.Manage], to the next one after a cut, and keep with [Acks.Keep] what is sent in between. It serves one Stream at
// a time: the Run of the last must have returned. Otherwise its methods may be called from any goroutine. Make one with
// NewAcks.
type Acks struct {
	max int

	mu      sync.Mutex
	handled uint32
	acked   uint64   // stanzas sent and acknowledged
	unacked [][]byte // those sent after them, in order
	bytes   int      // in unacked
	asked   uint64   // stanzas sent when the peer was last asked
	waiting bool     // it has not answered yet
	since   time.Time
	news    chan struct{} // closed at the next acknowledgement, nil while nobody waits
}

// NewAcks returns an empty account that keeps at most so many bytes of unacknowledged stanzas; 1 MiB when max is 0.
func NewAcks(max int) *Acks {
	if max <= 0 {
		max = 1 << 20
	}
	return &Acks{max: max}
}

// Keep counts a stanza as sent, serialised as AppendXML does it, and keeps a copy until it is acknowledged. ErrFull says that too
// much waits already; then the stanza is not sent and must not be.
func (a *Acks) Keep(stanza []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes+len(stanza) > a.max {
		return ErrFull
	}
	a.unacked = append(a.unacked, append([]byte(nil), stanza...))
	a.bytes += len(stanza)
	return nil
}

// Ack takes the peer's word that it handled h stanzas in all, modulo 2^32. An h beyond what was sent is the stream error of
// XEP-0198 §4; one that was overtaken by another says nothing.
func (a *Acks) Ack(h uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := int32(h - uint32(a.acked))
	if int(n) > len(a.unacked) {
		sent := uint32(a.acked) + uint32(len(a.unacked))
		return &Error{Condition: UndefinedCondition,
			Text: fmt.Sprintf("%d stanzas acknowledged, and only %d sent", h, sent),
			App: New(NSManagement, "handled-count-too-high", "h", strconv.FormatUint(uint64(h), 10),
				"send-count", strconv.FormatUint(uint64(sent), 10))}
	}
	if n > 0 {
		for i, b := range a.unacked[:n] {
			a.bytes -= len(b)
			a.unacked[i] = nil
		}
		if a.unacked = a.unacked[n:]; len(a.unacked) == 0 {
			a.unacked = nil
		}
		a.acked += uint64(n)
	}
	if a.news != nil {
		close(a.news)
		a.news = nil
	}
	return nil
}

// Unacked returns the stanzas sent and not acknowledged, oldest first: what is sent again when the stream is resumed, and
// what may be lost when it cannot be. They must not be changed.
func (a *Acks) Unacked() [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([][]byte(nil), a.unacked...)
}

// Bytes is how much those are.
func (a *Acks) Bytes() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes
}

// Handled is how many stanzas of the peer's were handled, modulo 2^32: the h of <a/>, <resume/> and <resumed/>.
func (a *Acks) Handled() uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handled
}

// Begin has the peer's stanzas counted from nought: a client does so when <enabled/> comes, for what comes before does not count.
func (a *Acks) Begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handled = 0
}

// Handle counts a stanza of the peer's as handled. A Stream does it itself.
func (a *Acks) Handle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handled++
}

// Sent is how many stanzas were ever sent.
func (a *Acks) Sent() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acked + uint64(len(a.unacked))
}

// Acked waits until so many of the stanzas ever sent are acknowledged; the error is that of ctx. A peer is asked as often
// as it answers, so that the end of the account is the only other thing to wait for.
func (a *Acks) Acked(ctx context.Context, sent uint64) error {
	for {
		a.mu.Lock()
		if a.acked >= sent {
			a.mu.Unlock()
			return nil
		}
		if a.news == nil {
			a.news = make(chan struct{})
		}
		news := a.news
		a.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// answer returns the <a/> for what was handled.
func (a *Acks) answer() *Element {
	return New(NSManagement, "a", "h", strconv.FormatUint(uint64(a.Handled()), 10))
}

// ask reports whether the peer is to be asked now, which counts as done: something is unacknowledged, no question is out, and,
// unless again, something was sent since the last.
func (a *Acks) ask(again bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	sent := a.acked + uint64(len(a.unacked))
	if a.waiting || len(a.unacked) == 0 || sent == a.asked && !again {
		return false
	}
	a.waiting, a.asked, a.since = true, sent, time.Now()
	return true
}

// overdue reports that the peer has owed an answer for so long.
func (a *Acks) overdue(limit time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting && time.Since(a.since) >= limit
}

// reconnect forgets a question that was out on another connection.
func (a *Acks) reconnect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting, a.asked = false, a.acked
}

// answered takes an <a/> of the peer's.
func (a *Acks) answered(e *Element) error {
	h, err := strconv.ParseUint(e.Attr("h"), 10, 32)
	if err != nil {
		return fault(BadFormat, "an acknowledgement without a number")
	}
	a.mu.Lock()
	a.waiting = false
	a.mu.Unlock()
	return a.Ack(uint32(h))
}
