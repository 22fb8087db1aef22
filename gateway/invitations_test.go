package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/local"
)

// token is that of an invitation's link.
func token(t *testing.T, i InvitationStatus) string {
	t.Helper()
	_, token, ok := strings.Cut(i.URI, "?register;preauth=")
	if !ok || len(token) < 20 {
		t.Fatalf("link %q", i.URI)
	}
	return token
}

// An invitation makes one account, with its role, also after a restart; it runs out, and can be taken back.
func TestInvitations(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	ctx := t.Context()
	open, err := x.InviteAccount(ctx, InvitationRequest{Role: "operator"})
	if err != nil || !strings.HasPrefix(open.URI, "xmpp:home.arpa?register;preauth=") || time.Until(open.Expires) < 71*time.Hour {
		t.Fatalf("%+v, %v", open, err)
	}
	named, err := x.InviteAccount(ctx, InvitationRequest{Role: "viewer", Name: "Carol", Expires: time.Hour})
	if err != nil || !strings.HasPrefix(named.URI, "xmpp:carol@home.arpa?register;preauth=") {
		t.Fatalf("%+v, %v", named, err)
	}
	for _, r := range []InvitationRequest{{}, {Role: "king"}, {Role: "viewer", Name: "door"}, {Role: "viewer", Name: "home"}, {Role: "viewer", Name: "a@b"},
		{Role: "viewer", Expires: time.Second}, {Role: "viewer", Expires: 1000 * time.Hour * 24}, {Role: "viewer", Expires: -1}} {
		if i, err := x.InviteAccount(ctx, r); err == nil {
			t.Errorf("%+v is made: %+v", r, i)
		}
	}
	withdrawn, err := x.InviteAccount(ctx, InvitationRequest{Role: "viewer"})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.WithdrawInvitation(ctx, withdrawn.ID); err != nil {
		t.Error(err)
	}
	if err := x.WithdrawInvitation(ctx, withdrawn.ID); err == nil {
		t.Error("withdrawn twice")
	}
	if err := x.stop(); err != nil {
		t.Fatal(err)
	}

	x.start()
	d := doorkeeper{x.Gateway}
	list := x.Invitations()
	if len(list) != 2 || list[0].ID != named.ID || list[1].Role != "operator" || list[0].URI != "" {
		t.Errorf("after a restart: %+v", list)
	}
	if name, ok := d.Invitation(token(t, named)); !ok || name != "carol" {
		t.Errorf("for %q, %v", name, ok)
	}
	if _, ok := d.Invitation(token(t, withdrawn)); ok {
		t.Error("one that was withdrawn is good")
	}
	use := token(t, open)
	for _, c := range []struct {
		token, name, password string
		want                  error
	}{
		{"WRONG", "bob", "secret", local.ErrNoInvitation},
		{token(t, withdrawn), "bob", "secret", local.ErrNoInvitation},
		{use, "door", "secret", local.ErrTaken},
		{use, "home", "secret", local.ErrTaken},
		{use, "bob", "\u0007", local.ErrUnfit},
		{use, "bob", "secret", nil},
		{use, "eve", "secret", local.ErrNoInvitation},
		{token(t, named), "bob", "secret", local.ErrTaken},
	} {
		if err := d.Accept(ctx, c.token, c.name, c.password); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if all := x.Accounts(); len(all) != 1 || all[0] != (AccountStatus{Name: "bob", JID: "bob@home.arpa", Role: "operator"}) {
		t.Errorf("accounts %+v", all)
	}
	if _, err := x.InviteAccount(ctx, InvitationRequest{Role: "viewer", Name: "bob"}); err == nil {
		t.Error("an invitation for an account that is there")
	}
	// A connection that ends does not wait for a reload, which waits for it.
	x.reload.Lock()
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := d.Accept(gone, token(t, named), "carol", "secret"); !errors.Is(err, context.Canceled) {
		t.Errorf("while a reload waits: %v", err)
	}
	x.reload.Unlock()
	x.eventually("the account is made all the same", func() bool { return x.accounts.is("carol") })
	if d.Open() {
		t.Errorf("left: %+v", x.Invitations())
	}
}

// An invitation that ran out is none, and only so many are open.
func TestInvitationsRunOut(t *testing.T) {
	t.Parallel()
	x := newTrial(t)
	x.write(trialFile)
	x.start()
	one, err := x.InviteAccount(x.context(), InvitationRequest{Role: "viewer", Expires: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	hash, later := tokenHash(token(t, one)), time.Now().Add(2*time.Minute)
	if _, ok := x.invitations.get(hash, later); ok {
		t.Error("it is good after its time")
	}
	if open, over := x.invitations.all(later); len(open) != 0 || len(over) != 1 {
		t.Errorf("%v open, %v over", open, over)
	}
	for range maxInvitations {
		if _, err := x.InviteAccount(x.context(), InvitationRequest{Role: "viewer"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.InviteAccount(x.context(), InvitationRequest{Role: "viewer"}); err == nil {
		t.Error("too many are made")
	}
}
