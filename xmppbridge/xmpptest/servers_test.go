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
			alice.Raw("<message to='" + bob.JID + "' type='headline'><x xmlns='urn:example:x'/></message>")
			bob.ExpectMessage(Expect{From: alice.JID, Type: "headline", XML: "urn:example:x"})
			for _, show := range []string{"dnd", "away", "xa", ""} {
				bob.Do("presence", map[string]any{"show": show, "status": "now " + show}, nil)
				alice.ExpectPresence(Expect{From: bob.JID, Type: "available", Show: &show, Status: "now " + show})
			}
			if got := alice.Latest()[bob.JID].Status; got != "now " {
				t.Errorf("latest status %q", got)
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

func TestClientRunsCommands(t *testing.T) {
	t.Parallel()
	s := StartProsody(t, Options{Extra: `
admins = { "alice@prosody.test" }
modules_enabled = { "adhoc", "admin_adhoc", "disco", "ping", "roster", "saslauth", "tls", "uptime" }`})
	alice := StartClient(t)
	alice.Login(s.Login("alice"))
	const endSession = "http://jabber.org/protocol/admin#end-user-session"
	nodes := map[string]string{}
	for _, item := range alice.Commands(s.Domain) {
		nodes[item.Node] = item.Name
	}
	if nodes["uptime"] == "" || nodes[endSession] == "" {
		t.Fatalf("commands: %v", nodes)
	}
	if got := alice.Command(s.Domain, "uptime", Stage{}); got.Status != "completed" || len(got.Notes) != 1 || got.Notes[0].Type != "info" || got.Notes[0].Text == "" {
		t.Errorf("uptime: %+v", got)
	}
	asked := alice.Command(s.Domain, endSession, Stage{})
	if asked.Status != "executing" || asked.Session == "" || asked.Form == nil || asked.Form.Type != "form" || asked.Form.Title == "" {
		t.Fatalf("asked: %+v", asked)
	}
	var field Field
	for _, f := range asked.Form.Fields {
		if f.Var == "accountjids" {
			field = f
		}
	}
	if field.Type != "jid-multi" || field.Label == "" || !field.Required {
		t.Errorf("field: %+v of %+v", field, asked.Form.Fields)
	}
	done := alice.Command(s.Domain, endSession, Stage{Action: "complete", Session: asked.Session, Fields: map[string]any{
		"FORM_TYPE": "http://jabber.org/protocol/admin", "accountjids": []string{"bob@" + s.Domain, "carol@" + s.Domain},
	}})
	if done.Status != "completed" || len(done.Notes) == 0 || !strings.Contains(done.Notes[0].Text, "carol") {
		t.Errorf("done: %+v", done)
	}
	asked = alice.Command(s.Domain, endSession, Stage{})
	if got := alice.Command(s.Domain, endSession, Stage{Action: "cancel", Session: asked.Session}); got.Status != "canceled" {
		t.Errorf("canceled: %+v", got)
	}
	if _, err := alice.TryCommand(s.Domain, "nothing", Stage{}); Condition(err) != "service-unavailable" {
		t.Errorf("unknown node: %v", err)
	}
	bob := StartClient(t)
	bob.Login(s.Login("bob"))
	if _, err := bob.TryCommand(s.Domain, endSession, Stage{}); Condition(err) != "forbidden" {
		t.Errorf("as bob: %v", err)
	}
}
