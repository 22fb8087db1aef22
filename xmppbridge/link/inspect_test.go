//go:build servers

package link

import (
	"errors"
	"strings"
	"testing"

	"tidings/xmppbridge/xmpptest"
)

// TestInspect looks at accounts of Prosody and ejabberd: a fresh one with the gateway running is the gateway's own, one that a
// person uses, or has a vCard, is not.
func TestInspect(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct {
		addr, ca, domain string
		login            func(string) xmpptest.Login
	}{
		"prosody":  {prosody.C2S, prosody.CAFile, prosody.Domain, prosody.Login},
		"ejabberd": {ejabberd.C2S, ejabberd.CAFile, ejabberd.Domain, ejabberd.Login},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := func(account string) ClientConfig {
				return ClientConfig{JID: account + "@" + s.domain, Password: Secret(xmpptest.Password(account)), Server: s.addr, TLS: TLS{CAFile: s.ca}}
			}
			own := func(resource string) bool { return resource == "home" }
			cfg := config("gateway4")
			running := cfg
			running.Resource = "home"
			conn, err := DialClient(testContext(t), running)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ask(t, conn, "<iq type='set' id='v0'><vCard xmlns='vcard-temp'/></iq>", "v0") // none, on a second run
			ask(t, conn, "<presence/><iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>", "p1")
			if err := Inspect(testContext(t), cfg, own); err != nil {
				t.Errorf("the gateway's own: %v", err)
			}
			person := xmpptest.StartClient(t)
			person.Login(s.login("gateway4"))
			if err := Inspect(testContext(t), cfg, own); !errors.Is(err, ErrPerson) || !Permanent(err) || !strings.Contains(err.Error(), "somebody else is logged in") {
				t.Errorf("with somebody else: %v", err)
			}
			person.Logout()
			ask(t, conn, "<iq type='set' id='v1'><vCard xmlns='vcard-temp'><FN>Ada Example</FN></vCard></iq>", "v1")
			if err := Inspect(testContext(t), cfg, own); !errors.Is(err, ErrPerson) || !strings.Contains(err.Error(), "it has a vCard (FN Ada Example), so it is a person's") {
				t.Errorf("with a vCard: %v", err)
			}
			cfg.Password = "guess"
			if err := Inspect(testContext(t), cfg, own); !errors.Is(err, ErrCredentials) {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}
