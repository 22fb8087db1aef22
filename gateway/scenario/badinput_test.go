//go:build servers

package scenario

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"tidings/xmppbridge/xmpptest"
)

// Whatever is wrong with a request gets its own error through a server, too, and changes nothing; a thousand commands at once are each
// answered, and the house goes on.
func TestBadInput(t *testing.T) {
	t.Parallel()
	p := xmpptest.StartProsody(t, xmpptest.Options{})
	g := component("bad input", p.Domain, p.Component, p.Components[0], p)
	h := begin(t, g)
	alice := h.client("alice")
	h.meet(alice, "lamp", "greenhouse")
	alice.ExpectPresence(xmpptest.Expect{From: g.full("lamp"), Type: "available", Status: "off"})
	alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Status: "30 °C · 48 %"})
	bad := xmpptest.BadHouse{Lamp: g.full("lamp"), Warm: g.full("greenhouse"), Hub: g.full("home"), Danger: "pump"}
	target := h.node.State().Target
	const set = "greenhouse/target/set"
	for _, row := range xmpptest.BadInputs(bad) {
		payload, session := row.Payload, ""
		if strings.Contains(payload, "SESSION") {
			session = alice.Command(bad.Warm, set, xmpptest.Stage{}).Session
			payload = strings.ReplaceAll(payload, "SESSION", session)
		}
		_, err := alice.TryIQ(row.Address(bad), row.Type, payload)
		if xmpptest.Condition(err) != row.Error || row.App != "" && !slices.Contains(xmpptest.Application(err), row.App) {
			t.Errorf("%s: %v, want %s %s", row.Name, err, row.Error, row.App)
		}
		if session != "" {
			alice.Command(bad.Warm, set, xmpptest.Stage{Action: "cancel", Session: session})
		}
	}
	if h.lamp.Power() || h.node.State().Relay || h.node.State().Target != target || strings.Contains(h.log.String(), "command done") {
		t.Error("something was done")
	}

	var answered sync.Map
	var all sync.WaitGroup
	for range 1000 {
		all.Go(func() {
			_, err := alice.TryCommand(bad.Lamp, "lamp/power/on", xmpptest.Stage{})
			condition := xmpptest.Condition(err)
			if err != nil && condition == "" {
				condition = err.Error()
			}
			answered.Store(condition, true)
		})
	}
	all.Wait()
	for condition := range answered.Range {
		if condition != "" && condition != "resource-constraint" {
			t.Errorf("a command of a thousand is answered by %v", condition)
		}
	}
	done(h, alice.Command(bad.Lamp, "lamp/power/off", xmpptest.Stage{}), "info", "Power is off (confirmed by the device)")
}
