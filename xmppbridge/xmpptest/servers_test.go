//go:build servers

package xmpptest

import (
	"strings"
	"testing"
)

func TestProsodyStartsAgainOnItsPorts(t *testing.T) {
	t.Parallel()
	p := StartProsody(t, Options{})
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
}

func TestEjabberdStartsAgainOnItsPorts(t *testing.T) {
	t.Parallel()
	e := StartEjabberd(t, EjabberdOptions{})
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
}

func TestClientsTalk(t *testing.T) {
	t.Parallel()
	ejabberd := StartEjabberd(t, EjabberdOptions{})
	prosody := StartProsody(t, Options{})
	for name, s := range map[string]*server{"prosody": &prosody.server, "ejabberd": &ejabberd.server} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alice, bob := StartClient(t), StartClient(t)
			alice.Login(s.Login("alice"))
			login := s.Login("bob")
			login.JID += "/balcony"
			_, login.Port = splitAddr(s.DirectTLS)
			login.DirectTLS = true
			bob.Login(login)
			if want := "bob@" + s.Domain + "/balcony"; bob.JID != want {
				t.Errorf("bound %s, want %s", bob.JID, want)
			}
			alice.Subscribe("bob@" + s.Domain)
			bob.ExpectPresence(Expect{From: "alice@" + s.Domain, Type: "subscribe"})
			alice.ExpectPresence(Expect{From: bob.JID, Type: "available"})
			if got := alice.Roster()["bob@"+s.Domain].Subscription; got != "to" {
				t.Errorf("subscription %q", got)
			}
			alice.Say(bob.JID, "hello <there>")
			got := bob.ExpectMessage(Expect{From: alice.JID, Contains: "there"})
			if got.Body != "hello <there>" || got.Type != "chat" {
				t.Errorf("got %+v", got)
			}
			alice.Ping("")
			alice.Ping(bob.JID)
			if info, err := alice.TryInfo(bob.JID, ""); err != nil || len(info.Features) == 0 {
				t.Errorf("info: %+v, %v", info, err)
			}
			_, err := alice.TryIQ(bob.JID, "get", "<query xmlns='urn:example:none'/>")
			if Condition(err) == "" {
				t.Errorf("unknown IQ: %v", err)
			}
			bob.Logout()
			alice.ExpectPresence(Expect{From: "bob@" + s.Domain, Type: "unavailable"})
		})
	}
}

func TestClientRefused(t *testing.T) {
	t.Parallel()
	s := StartProsody(t, Options{})
	wrong := s.Login("alice")
	wrong.Password = "guess"
	if err := StartClient(t).TryLogin(wrong); err == nil || !strings.Contains(err.Error(), "not-authorized") {
		t.Errorf("wrong password: %v", err)
	}
	foreign := must(NewCA("somebody else"))
	foreignFile := must(foreign.writeFiles(t.TempDir(), "x"))
	other := s.Login("alice")
	other.CAFile = foreignFile
	if err := StartClient(t).TryLogin(other); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another authority: %v", err)
	}
}
