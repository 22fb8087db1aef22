package xmppbridge

import (
	"fmt"
	"testing"
)

// oneWatcher are the subscriptions of one person to each of n devices.
func oneWatcher(n int) *subscriptions {
	s := &subscriptions{by: map[string][]Subscription{}}
	for i := range n {
		s.put(Subscription{Target: fmt.Sprint("d", i), Watcher: "alice@example.org", From: true})
	}
	return s
}

// end takes those of one device out.
func (s *subscriptions) end(device string) {
	for _, sub := range s.of(device) {
		sub.From = false
		s.put(sub)
	}
}

// A large house that goes leaves no subscription behind.
func TestSubscriptionsOfOne(t *testing.T) {
	t.Parallel()
	const n = 10000
	s := oneWatcher(n)
	for i := range n {
		s.end(fmt.Sprint("d", i))
	}
	if left := len(s.all()); left != 0 {
		t.Errorf("%d left", left)
	}
}

// BenchmarkSubscriptionsOfOne is what one device that goes costs in a small house and in a large one: it holds the router up.
func BenchmarkSubscriptionsOfOne(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint("devices=", n), func(b *testing.B) {
			s := oneWatcher(n)
			for b.Loop() {
				s.end("d7")
				s.put(Subscription{Target: "d7", Watcher: "alice@example.org", From: true})
			}
		})
	}
}
