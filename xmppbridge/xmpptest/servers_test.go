//go:build servers

package xmpptest

import "testing"

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
