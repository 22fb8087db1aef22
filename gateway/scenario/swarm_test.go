//go:build servers

package scenario

import (
	"fmt"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// Forty lamps appear at once while somebody is there. Each is put into the contact list once, and shown by a presence or a few: as it
// appears, and with what it reads.
func TestSwarm(t *testing.T) {
	t.Parallel()
	const domain, lamps = "swarm.test", 40
	trusting := xmpptest.StartProsody(t, xmpptest.Options{Domain: domain, Privileged: []string{"gw." + domain}})
	filled := component("prosody component", domain, trusting.Component, trusting.Components[0], trusting)
	filled.filled = true
	for _, g := range []*ground{filled, account("prosody client", prosody, "gateway9"), inside()} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			h, r := find(t, g)
			alice := h.client("alice")
			h.meet(alice)
			alice.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available"})
			for i := range lamps {
				name := fmt.Sprintf("Lamp %d", i)
				r.announce(zigbee+"bulb.txt", "0x0017880104e45517", fmt.Sprintf("0x00178801040000%02d", i), "Stehlampe", name, "stehlampe", name)
				r.is(name, `{"state":"ON","brightness":127}`)
			}
			for i := range lamps {
				alice.ExpectPresence(xmpptest.Expect{From: g.full(fmt.Sprintf("lamp-%d", i)), Type: "available", Contains: "on · 50 %"})
			}
			for i := range lamps {
				if n := len(alice.Seen("presence", g.full(fmt.Sprintf("lamp-%d", i)))); n > 2 {
					t.Errorf("lamp %d: %d more presences than the one it was waited for", i, n)
				}
			}
			if g.account != "" {
				return // it is one contact
			}
			for deadline := time.Now().Add(patience); len(alice.Roster()) != lamps+1; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d contacts, want %d", len(alice.Roster()), lamps+1)
				}
			}
			alice.ExpectNoPresence(xmpptest.Expect{Type: "subscribe"}, quiet)
			pushes := alice.Pushes()
			for i := range lamps {
				slug := fmt.Sprintf("lamp-%d", i)
				if n := pushes[g.bare(slug)]; n != 1 {
					t.Errorf("%s was pushed %d times", slug, n)
				}
			}
		})
	}
}
