package store

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidings/devices"
	"tidings/xmppbridge"
	"tidings/xmppbridge/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a store on path; the function it returns stops it and waits.
func open(t *testing.T, path string) (*Store, func()) {
	t.Helper()
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return s, stop
}

func TestAlertsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?#.db")
	s, stop := open(t, path)
	at := time.UnixMilli(1_700_000_000_123)
	messages := []xmppbridge.Outgoing{
		{ID: "1", To: "alice@example.org", Device: "lamp", Body: "first", At: at},
		{ID: "2", To: "bob@example.org", Device: "lamp", Body: "second\n\x00'; DROP TABLE outbox", At: at},
	}
	if err := s.AddAlert(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAlert(t.Context(), messages[:1]); err != nil {
		t.Fatal(err)
	}
	stop()

	s, _ = open(t, path)
	got, err := s.Pending(t.Context(), 0, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("pending: %v, %v; want both messages once", got, err)
	}
	for i := range got {
		messages[i].Seq = got[i].Seq
		if !got[i].At.Equal(at) {
			t.Errorf("at: %v, want %v", got[i].At, at)
		}
		got[i].At = at
	}
	if !reflect.DeepEqual(got, messages) {
		t.Errorf("pending: %+v, want %+v", got, messages)
	}
	if err := s.Sent(t.Context(), got[0].Seq); err != nil {
		t.Fatal(err)
	}
	if got, _ = s.Pending(t.Context(), 0, 10); len(got) != 1 || got[0].ID != "2" {
		t.Errorf("after the first was sent: %+v", got)
	}
	if got, _ = s.Pending(t.Context(), got[0].Seq, 10); len(got) != 0 {
		t.Errorf("after the last: %+v", got)
	}
}

func TestQueuedChangesAreWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, stop := open(t, path)
	for _, name := range []string{"a", "b", "c"} {
		s.SaveSubscription(xmppbridge.Subscription{Target: "lamp@x", Watcher: name + "@x", From: true, Asked: true})
	}
	s.ForgetSubscription("lamp@x", "b@x")
	s.SaveExecuted(xmppbridge.Executed{From: "a@x/r", ID: "1", Sum: "s", At: time.Now()})
	s.SaveExecuted(xmppbridge.Executed{From: "b@x/r", ID: "1", Sum: "s", At: time.Now().Add(-time.Hour)})
	stop()
	if err := s.SaveState(t.Context(), "k", 1); !errors.Is(err, errClosed) {
		t.Errorf("a change after the end: %v, want %v", err, errClosed)
	}

	s, _ = open(t, path)
	subs, err := s.Subscriptions(t.Context())
	if err != nil || len(subs) != 2 || subs[0].Watcher != "a@x" || !subs[0].From || subs[0].To || !subs[0].Asked {
		t.Errorf("subscriptions: %+v, %v", subs, err)
	}
	if done, err := s.Executed(t.Context()); err != nil || len(done) != 1 || done[0].From != "a@x/r" {
		t.Errorf("executed: %+v, %v; want the fresh one", done, err)
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	credentials, err := local.NewCredentials("secret")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := s.AddAccount(ctx, Account{Name: "alice", Role: "viewer", Credentials: credentials}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAccount(ctx, Account{Name: "alice", Role: "admin"}); !errors.Is(err, ErrExists) {
		t.Errorf("a second alice: %v", err)
	}
	if got, err := s.Credentials(ctx, "alice"); err != nil || !reflect.DeepEqual(got, credentials) {
		t.Errorf("credentials: %v", err)
	}
	if _, err := s.Credentials(ctx, "bob"); !errors.Is(err, local.ErrNoAccount) {
		t.Errorf("credentials of nobody: %v", err)
	}
	if err := s.SetRole(ctx, "alice", "admin"); err != nil {
		t.Error(err)
	}
	if err := s.SetRole(ctx, "bob", "admin"); !errors.Is(err, local.ErrNoAccount) {
		t.Errorf("role of nobody: %v", err)
	}
	item := local.Item{JID: "lamp@x", Name: "Light", Renamed: true, Groups: []string{"a"}}
	if err := s.PutItem(ctx, "alice", item); err != nil {
		t.Error(err)
	}
	if items, err := s.Items(ctx, "alice"); err != nil || len(items) != 1 || !reflect.DeepEqual(items[0], item) {
		t.Errorf("items: %+v, %v", items, err)
	}
	if list, err := s.Accounts(ctx); err != nil || len(list) != 1 || list[0].Role != "admin" {
		t.Errorf("accounts: %v", err)
	}
	if err := s.RemoveAccount(ctx, "alice"); err != nil {
		t.Error(err)
	}
	if items, _ := s.Items(ctx, "alice"); len(items) != 0 {
		t.Errorf("the roster of a removed account: %+v", items)
	}
}

func TestStateAndSlugs(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	want := map[devices.ID]string{"lamp": "lamp", "homeassistant:0x1": "lamp-2"}
	for range 2 {
		if err := s.SaveSlugs(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Slugs(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("slugs: %v, %v", got, err)
	}
	state := []int{7}
	if err := s.State(t.Context(), "none", &state); err != nil || state[0] != 7 {
		t.Errorf("a state never saved: %v, %v", state, err)
	}
	if err := s.SaveState(t.Context(), "k", []int{1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.State(t.Context(), "k", &state); err != nil || !reflect.DeepEqual(state, []int{1, 2}) {
		t.Errorf("state: %v, %v", state, err)
	}
}

// One change that cannot be written takes no other with it.
func TestAFailedChangeStandsAlone(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := s.do(t.Context(), exec("INSERT INTO nowhere VALUES (1)")); err == nil {
				t.Error("a change to a table that is not there: no error")
			}
		})
		wg.Go(func() {
			if err := s.SaveState(t.Context(), "k", 1); err != nil {
				t.Errorf("a good change: %v", err)
			}
		})
	}
	wg.Wait()
}
