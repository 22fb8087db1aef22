package xmppbridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestInviteAccount(t *testing.T) {
	var asked []string
	inviter := func(_ context.Context, role, name string, lasts time.Duration) (string, error) {
		asked = append(asked, role+" "+name+" "+lasts.String())
		if name == "lamp" {
			return "", errors.New("that is the address of a device")
		}
		return "xmpp:things.example.org?register;preauth=TOKEN", nil
	}
	bubble(t, setup{admin: testAdmin{}, inviter: inviter}, func(f *fixture) {
		for _, c := range []struct{ name, form, want string }{
			{"all", submit("role", "viewer", "name", "bob", "days", "7"), "info: Send this link to whom you invite: xmpp:things.example.org?register;preauth=TOKEN"},
			{"no name", submit("role", "admin"), "info: Send this link to whom you invite: xmpp:things.example.org?register;preauth=TOKEN"},
			{"refused", submit("role", "viewer", "name", "lamp", "days", "1"), "error: that is the address of a device"},
		} {
			id := f.open(alice, hub, "invite")
			if got := note(f.answer(set(alice, hub, c.name, "node='invite' sessionid='"+id+"'", c.form))); got != c.want {
				t.Errorf("%s: %s", c.name, got)
			}
		}
		equal(t, "asked", asked, []string{"viewer bob 168h0m0s", "admin  72h0m0s", "viewer lamp 24h0m0s"})
		for name, form := range map[string]string{
			"no role": submit("name", "bob"), "another role": submit("role", "king"), "another time": submit("role", "viewer", "days", "4000"),
			"no number": submit("role", "viewer", "days", "x"),
		} {
			id := f.open(alice, hub, "invite")
			if got := failure(f.answer(set(alice, hub, name, "node='invite' sessionid='"+id+"'", form))); !strings.HasPrefix(got, "bad-request") {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := failure(f.answer(set(otto, hub, "x", "node='invite'", ""))); got != "forbidden" {
			t.Errorf("an operator: %s", got)
		}
		if len(asked) != 3 {
			t.Errorf("asked %v", asked)
		}
	})
}
