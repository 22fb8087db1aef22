package link

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before a stream is opened again. The zero value is what a gateway wants.
type Backoff struct {
	Min     time.Duration // after the first failure; 1 s
	Max     time.Duration // at most, and at once after a permanent failure or a limit of the server's; 2 min
	Healthy time.Duration // a stream that lasted this long starts over at Min; 1 min
}

func (b Backoff) withDefaults() Backoff {
	if b.Min <= 0 {
		b.Min = time.Second
	}
	if b.Max <= 0 {
		b.Max = 2 * time.Minute
	}
	b.Max = max(b.Max, b.Min)
	if b.Healthy <= 0 {
		b.Healthy = time.Minute
	}
	return b
}

// wait returns the time to wait after so many failures in a row, of which the last was err: doubling, within
// a half either way so that gateways that lost the same server do not come back together.
func (b Backoff) wait(failures int, err error) time.Duration {
	d := b.Max
	if !Permanent(err) && !errors.Is(err, ErrLimit) {
		d = b.Min
		for range failures - 1 {
			if d *= 2; d >= b.Max {
				d = b.Max
				break
			}
		}
	}
	return min(max(d/2+rand.N(d), b.Min), b.Max)
}
