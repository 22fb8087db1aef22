//go:build servers

package scenario

import (
	"strings"

	"tidings/xmppbridge/faces"
	"tidings/xmppbridge/xmpptest"
)

// seesFaces looks at who the devices are: each has its name and the picture that its presence announces, where its bare JID is
// its own.
func seesFaces(h *house, c *xmpptest.Client) {
	h.t.Helper()
	g, t := h.ground, h.t
	if g.account != "" {
		return // the account's vCard is its server's
	}
	c.ExpectPresence(xmpptest.Expect{From: g.full("home"), Type: "available"})
	for slug, want := range map[string]struct{ name, face string }{
		"lamp": {"Lamp", "light"}, "greenhouse": {"Greenhouse", "temperature"}, "home": {"House", "hub"},
	} {
		card, face := c.VCard(g.bare(slug)), faces.Get(want.face)
		if want := (xmpptest.VCard{Name: want.name, Type: faces.Type, Hash: face.Hash, Bytes: face.Bytes}); card != want {
			t.Errorf("%s: %+v, want %+v", slug, card, want)
		}
		if st := c.Latest()[g.full(slug)]; !strings.Contains(st.XML, card.Hash) {
			t.Errorf("%s: presence without the picture's hash: %s", slug, st.XML)
		}
	}
}
