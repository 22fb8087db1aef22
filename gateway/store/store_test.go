package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
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
	if err := s.AddAlerts(t.Context(), messages, "k", 1); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAlerts(t.Context(), messages[:1], "k", 1); err != nil {
		t.Fatal(err)
	}
	stop()

	s, _ = open(t, path)
	to, err := s.Recipients(t.Context())
	if slices.Sort(to); err != nil || !slices.Equal(to, []string{"alice@example.org", "bob@example.org"}) {
		t.Fatalf("recipients: %v, %v", to, err)
	}
	for _, want := range messages {
		got, err := s.Pending(t.Context(), want.To, 10)
		if err != nil || len(got) != 1 {
			t.Fatalf("pending: %v, %v; want the message once", got, err)
		}
		if !got[0].At.Equal(at) {
			t.Errorf("at: %v, want %v", got[0].At, at)
		}
		want.Seq, want.At = got[0].Seq, got[0].At
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("pending: %+v, want %+v", got[0], want)
		}
	}
	bobs, _ := s.Pending(t.Context(), "bob@example.org", 10)
	if err := s.Sent(t.Context(), bobs[0].Seq); err != nil {
		t.Fatal(err)
	}
	if to, _ := s.Recipients(t.Context()); !slices.Equal(to, []string{"alice@example.org"}) {
		t.Errorf("after bob's was sent: %v", to)
	}
}

// What waits for one person is bounded: the oldest go, and nobody else's.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	messages := []xmppbridge.Outgoing{{ID: "kept", To: "bob@x"}}
	for i := range maxOutbox + 3 {
		messages = append(messages, xmppbridge.Outgoing{ID: strconv.Itoa(i), To: "alice@x"})
	}
	if err := s.AddAlerts(t.Context(), messages, "k", 1); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pending(t.Context(), "alice@x", 2*maxOutbox)
	if err != nil || len(got) != maxOutbox || got[0].ID != "3" {
		t.Errorf("%d wait for alice, from %q on, %v; want the newest %d", len(got), got[0].ID, err, maxOutbox)
	}
	if got, err := s.Pending(t.Context(), "bob@x", 10); err != nil || len(got) != 1 {
		t.Errorf("bob's: %v, %v", got, err)
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

// Alerts and the state that says they were sent are stored together or not at all.
func TestAlertsAndStateAreOne(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	messages := []xmppbridge.Outgoing{{ID: "1", To: "alice@x"}}
	if err := s.do(t.Context(), exec("CREATE TRIGGER broken BEFORE INSERT ON state WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'test'); END")); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAlerts(t.Context(), messages, "bad", 1); err == nil {
		t.Error("a state that cannot be stored: no error")
	}
	if got, err := s.Pending(t.Context(), "alice@x", 10); err != nil || len(got) != 0 {
		t.Errorf("without its state the alert is there: %v, %v", got, err)
	}
	if err := s.AddAlerts(t.Context(), messages, "good", 2); err != nil {
		t.Error(err)
	}
	var state int
	if err := s.State(t.Context(), "good", &state); err != nil || state != 2 {
		t.Errorf("state %d, %v", state, err)
	}
	if got, err := s.Pending(t.Context(), "alice@x", 10); err != nil || len(got) != 1 {
		t.Errorf("pending: %v, %v", got, err)
	}
}

// Nobody who saves something waits for a writer that does not come; what was said last is what it finds.
func TestSavingDoesNotWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 3 * queueLength {
		watcher := strconv.Itoa(i%7) + "@x"
		s.SaveSubscription(xmppbridge.Subscription{Target: "lamp@x", Watcher: watcher, From: true, To: i%2 == 0})
		s.ForgetSubscription("door@x", watcher)
		s.SaveSubscription(xmppbridge.Subscription{Target: "door@x", Watcher: watcher, From: true})
		s.ForgetSubscription("lamp@x", "3@x")
		s.SaveExecuted(xmppbridge.Executed{From: watcher + "/r", ID: strconv.Itoa(i), Sum: "s", At: now})
		s.ForgetExecuted("2@x/r")
	}
	s.SaveExecuted(xmppbridge.Executed{From: "2@x/r", ID: "again", Sum: "s", At: now})
	if n := len(s.later.subscriptions); n != 14 {
		t.Errorf("%d subscriptions wait, want 14", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s.SaveSubscription(xmppbridge.Subscription{Target: "late@x", Watcher: "1@x", From: true}) // refused

	s, _ = open(t, path)
	subs, err := s.Subscriptions(t.Context())
	if err != nil || len(subs) != 13 {
		t.Errorf("%d subscriptions, %v: %+v", len(subs), err, subs)
	}
	done, err := s.Executed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]int{}
	for _, e := range done {
		of[e.From]++
	}
	if of["2@x/r"] != 1 || of["1@x/r"] < 400 {
		t.Errorf("executed: %v", of)
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

// The file holds what accounts log in with: nobody else may read it, nor those that SQLite puts beside it.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "t.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, path)
	if err := s.SaveState(t.Context(), "k", 1); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

// What is handed over when its context is done is stored all the same where there is room.
func TestStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tidings.db")
	s, stop := open(t, file)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	const n = 16 // which of two things that are ready comes first is left to chance
	for i := range n {
		// The answer is not waited for.
		_ = s.AddAlerts(done, []xmppbridge.Outgoing{{ID: string(rune('a' + i)), To: "alice@example.org", At: time.Now()}}, "k", 1)
	}
	stop()
	s, stop = open(t, file)
	defer stop()
	if list, err := s.Pending(t.Context(), "alice@example.org", 2*n); err != nil || len(list) != n {
		t.Errorf("%d of %d stored, %v", len(list), n, err)
	}
}

func TestGiven(t *testing.T) {
	t.Parallel()
	s, stop := open(t, filepath.Join(t.TempDir(), "tidings.db"))
	defer stop()
	ctx := t.Context()
	lamp := xmppbridge.Given{Watcher: "a@example.org", Target: "lamp@things", Name: "Lamp", Group: "Hall"}
	oven := xmppbridge.Given{Watcher: "a@example.org", Target: "oven@things"}
	for _, g := range []xmppbridge.Given{lamp, oven, {Watcher: "b@example.org", Target: "lamp@things"}} {
		if err := s.SaveGiven(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	lamp.Name = "Light"
	if err := errors.Join(s.SaveGiven(ctx, lamp), s.ForgetGiven(ctx, "b@example.org", "lamp@things"), s.ForgetGiven(ctx, "nobody", "x")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Given(ctx); err != nil || !slices.Equal(got, []xmppbridge.Given{lamp, oven}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tidings.db")
	s, stop := open(t, path)
	ctx := t.Context()
	one, two := xmppbridge.NodeSubscription{Device: "lamp", Point: "power", JID: "a@example.org"}, xmppbridge.NodeSubscription{Device: "lamp", Point: "power", JID: "b@example.org/x"}
	for _, n := range []xmppbridge.NodeSubscription{one, two, one} {
		s.SaveNodeSubscription(n)
	}
	node := xmppbridge.PublishedNode{Service: "pubsub.example.org", Node: "tidings/lamp/power"}
	if err := errors.Join(s.SavePublished(ctx, node), s.SavePublished(ctx, node), s.SavePublished(ctx, xmppbridge.PublishedNode{Service: "x", Node: "y"}),
		s.ForgetPublished(ctx, xmppbridge.PublishedNode{Service: "x", Node: "y"})); err != nil {
		t.Fatal(err)
	}
	stop()
	s, stop = open(t, path)
	s.ForgetNodeSubscription(two)
	stop()
	s, stop = open(t, path)
	defer stop()
	if got, err := s.NodeSubscriptions(ctx); err != nil || !slices.Equal(got, []xmppbridge.NodeSubscription{one}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Published(ctx); err != nil || !slices.Equal(got, []xmppbridge.PublishedNode{node}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What people publish and the invitations they get are kept, and an account's goes with the account.
func TestNodesAndInvitations(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	ctx := t.Context()
	if err := s.AddInvitation(ctx, Invitation{Hash: "h", Role: "viewer", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := s.AcceptInvitation(ctx, "x", Account{Name: "bob", Role: "viewer"}); !errors.Is(err, ErrNoInvitation) {
		t.Errorf("no such invitation: %v", err)
	}
	if err := s.AcceptInvitation(ctx, "h", Account{Name: "bob", Role: "viewer"}); err != nil {
		t.Error(err)
	}
	if err := s.AcceptInvitation(ctx, "h", Account{Name: "eve", Role: "viewer"}); !errors.Is(err, ErrNoInvitation) {
		t.Errorf("used twice: %v", err)
	}
	for _, name := range []string{"a", "b"} {
		if err := s.PutNode(ctx, "bob", name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteNode(ctx, "bob", "b"); err != nil {
		t.Error(err)
	}
	if nodes, err := s.Nodes(ctx, "bob"); err != nil || len(nodes) != 1 || string(nodes["a"]) != "a" {
		t.Errorf("nodes %q, %v", nodes, err)
	}
	if err := s.RemoveAccount(ctx, "bob"); err != nil {
		t.Error(err)
	}
	if nodes, err := s.Nodes(ctx, "bob"); err != nil || len(nodes) != 0 {
		t.Errorf("after the account: %q, %v", nodes, err)
	}
}
