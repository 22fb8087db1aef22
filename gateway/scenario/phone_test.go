//go:build servers

package scenario

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/xmpptest"
)

// phone logs somebody in with what phones use.
func (h *house) phone(name, resource string) *xmpptest.Client {
	h.t.Helper()
	l := h.login(name)
	l.JID += "/" + resource
	l.Plugins = []string{"xep_0198", "xep_0280", "xep_0313", "xep_0191", "xep_0352"}
	c := xmpptest.StartClient(h.t)
	c.Login(l)
	return c
}

// A phone that loses its connection hears an alert when it is back, once; a command that it sends again is not carried out late.
// The alert is in the archive, once. One of a device that its recipient blocks does not wait: it goes to somebody else.
func TestPhone(t *testing.T) {
	t.Parallel()
	g := inside()
	g.xmpp += "archive = \"1d\"\n"
	h := begin(t, g)
	h.configure(strings.Replace(base, "[alerts.wet]\n", "[alerts.wet]\nescalate = { after = \"1h\", to = [\""+g.person("bob")+"\"] }\n", 1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := h.gateway.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	greenhouse := g.full("greenhouse")
	alice, bob := h.phone("alice", "phone"), h.phone("bob", "phone")
	for _, c := range []*xmpptest.Client{alice, bob} {
		c.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "available"})
	}

	alice.Cut()
	h.waitLog("lost its connection")
	pump(h, "on")
	h.waitLog("msg=alert ")
	if !alice.Reconnect() {
		t.Fatal("not resumed")
	}
	alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: watered})
	pump(h, "off")
	alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Over: "})
	alice.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "fine again"})
	alice.ExpectNoMessage(xmpptest.Expect{Contains: watered}, 500*time.Millisecond)

	var archive struct{ Messages []struct{ ID, Body string } }
	alice.Do("archive", map[string]any{"with_jid": g.bare("greenhouse")}, &archive)
	told := 0
	for _, m := range archive.Messages {
		if strings.Contains(m.Body, watered) && !strings.HasPrefix(m.Body, "Over") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("archive %+v", archive.Messages)
	}

	alice.Do("block", map[string]any{"jid": g.bare("greenhouse")}, nil)
	alice.ExpectPresence(xmpptest.Expect{From: greenhouse, Type: "unavailable"})
	pump(h, "on")
	bob.ExpectMessage(xmpptest.Expect{From: greenhouse, Contains: "Greenhouse is being watered (it reached nobody else)"})
	alice.ExpectNoMessage(xmpptest.Expect{From: g.bare("greenhouse")}, 500*time.Millisecond)
	pump(h, "off")
}
