package mqtt

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstRetry   = 250 * time.Millisecond
	lastRetry    = 30 * time.Second
	firstRefused = time.Minute // a password does not become right by itself, and brokers bar those who insist
	lastRefused  = 10 * time.Minute
	stable       = 30 * time.Second // longer than connecting can take: what lasted so long was a good connection
)

// A backoff is a growing time to wait.
type backoff struct{ first, last, now time.Duration }

func (b *backoff) reset() { b.now = 0 }

// next is the time to wait now: each time twice as long, give or take a tenth, so that a hundred gateways do not come
// back to a broker in step.
func (b *backoff) next() time.Duration {
	b.now = min(max(b.first, 2*b.now), b.last)
	return b.now - b.now/10 + rand.N(b.now/5)
}

// sleep reports whether the time passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
