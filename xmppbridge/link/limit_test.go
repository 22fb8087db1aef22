package link

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

// Two streams that one too many ended are counted once: those that are closed because of the first count are not
// taken for ones that the server ended.
func TestLimitIsCountedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewClient(ClientConfig{JID: "me@example.org", Resource: "home"}, Options{})
		for i, name := range []string{"one", "two", "three", "four"} {
			c.Add(name, 4-i)
		}
		c.mu.Lock()
		for _, s := range c.slots {
			s.up = true
		}
		c.active, c.lastOpen = len(c.slots), time.Now()
		home, one := c.slots["home"], c.slots["one"]
		c.mu.Unlock()
		conflict := &Error{Kind: ErrConflict, Condition: stream.Conflict}
		var ending sync.WaitGroup
		ending.Go(func() { _ = c.ended(t.Context(), home, conflict) })
		ending.Go(func() { _ = c.ended(t.Context(), one, conflict) })
		time.Sleep(limitSettle + limitSettle/2)
		c.mu.Lock()
		if c.budget != 3 {
			t.Errorf("the server allows %d, not 3", c.budget)
		}
		for s := range c.slots { // what reconcile does
			if slot := c.slots[s]; slot.up && !c.allowed()[slot] {
				slot.up = false
				c.active--
			}
		}
		c.mu.Unlock()
		ending.Wait()
		if c.budget != 3 || c.checking != 0 {
			t.Errorf("in the end the server allows %d, and %d are being looked into", c.budget, c.checking)
		}
	})
}
