//go:build servers

package scenario

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// One lamp that was discovered says two thousand times a second what it is. Another obeys as if nothing were, and people see the
// first one at most once in a presence interval, and in the end as it is.
func TestFloodOfOneDevice(t *testing.T) {
	t.Parallel()
	h, r := find(t, inside())
	g := h.ground
	for i, name := range []string{"Calm", "Mad"} {
		r.announce(zigbee+"bulb.txt", "0x0017880104e45517", fmt.Sprintf("0x001788010400000%d", i), "Stehlampe", name, "stehlampe", name)
		r.is(name, `{"state":"ON","brightness":127}`)
	}
	found(h, "calm", "mad")
	alice := h.client("alice")
	h.meet(alice, "calm", "mad")
	for _, slug := range []string{"calm", "mad"} {
		alice.ExpectPresence(xmpptest.Expect{From: g.full(slug), Type: "available", Contains: "on · 50 %"})
	}
	alice.Forget()

	var said atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			for range 20 {
				r.client.Publish("zigbee2mqtt/Mad", 0, false, fmt.Sprintf(`{"state":"ON","brightness":%d}`, 1+said.Add(1)%250))
			}
		}
	}()
	for i := range 6 {
		order, answer := "off", "Light is off (confirmed by the device)"
		if i%2 == 1 {
			order, answer = "on", "Light is on (confirmed by the device)"
		}
		alice.Say(g.full("calm"), order)
		alice.ExpectMessage(xmpptest.Expect{From: g.full("calm"), Contains: answer})
		for said.Load() < int64(i+1)*1000 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	close(stop)
	<-stopped
	r.is("Mad", `{"state":"ON","brightness":254}`)
	alice.ExpectPresence(xmpptest.Expect{From: g.full("mad"), Type: "available", Contains: "on · 100 %"})
	most := int(time.Since(began)/time.Second) + 2
	n := len(alice.Seen("presence", g.full("mad")))
	t.Logf("%d messages, %d presences in %v", said.Load(), n, time.Since(began))
	if n > most {
		t.Errorf("%d presences of the lamp that says so much, want %d at most", n, most)
	}
}
