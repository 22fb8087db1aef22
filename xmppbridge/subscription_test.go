package xmppbridge

import (
	"fmt"
	"testing"
	"time"
)

// A large house that goes does not hold the router up: what one device costs does not grow with the others.
func TestSubscriptionsOfOne(t *testing.T) {
	t.Parallel()
	const n = 10000
	s := &subscriptions{by: map[string][]Subscription{}}
	for i := range n {
		s.put(Subscription{Target: fmt.Sprint("d", i), Watcher: "alice@example.org", From: true})
	}
	began := time.Now()
	for i := range n {
		for _, sub := range s.of(fmt.Sprint("d", i)) {
			sub.From = false
			s.put(sub)
		}
	}
	if took := time.Since(began); took > time.Second || len(s.all()) != 0 {
		t.Errorf("%v, %d left", took, len(s.all()))
	}
}
