package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/xmppbridge/local"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, stop := open(t, path)
	begin := time.Now().Truncate(time.Millisecond)
	for i := range 10 {
		with := []string{"lamp@x", "bob@x"}[i%2]
		s.Archive(local.Archived{Account: "alice", ID: fmt.Sprint("a", i), At: begin.Add(time.Duration(i) * time.Second), With: with,
			Resource: "r", Stanza: fmt.Appendf(nil, "%0100d", i)})
		s.Archive(local.Archived{Account: "bob", ID: fmt.Sprint("b", i), At: begin, With: "alice@x", Stanza: []byte{'x'}})
	}
	s.Archive(local.Archived{Account: "alice", ID: "a3", At: begin, With: "again@x", Stanza: []byte{'y'}}) // known
	for _, c := range []struct {
		q        local.ArchiveQuery
		want     string
		complete bool
		count    int
	}{
		{local.ArchiveQuery{Limit: 20}, "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9", true, 10},
		{local.ArchiveQuery{Limit: 3}, "a0 a1 a2", false, 10},
		{local.ArchiveQuery{Limit: 10}, "a0 a1 a2 a3 a4 a5 a6 a7 a8 a9", true, 10},
		{local.ArchiveQuery{Limit: 3, Last: true}, "a7 a8 a9", false, 10},
		{local.ArchiveQuery{Limit: 3, Last: true, Before: []string{"a2"}}, "a0 a1", true, 10},
		{local.ArchiveQuery{Limit: 3, After: []string{"a2", "a4"}}, "a5 a6 a7", false, 10},
		{local.ArchiveQuery{Limit: 20, Bytes: 250}, "a0 a1", false, 10},
		{local.ArchiveQuery{Limit: 20, Bytes: 1}, "a0", false, 10},
		{local.ArchiveQuery{Limit: 20, With: "lamp@x"}, "a0 a2 a4 a6 a8", true, 5},
		{local.ArchiveQuery{Limit: 20, With: "lamp@x/r", Start: begin.Add(2 * time.Second), End: begin.Add(6 * time.Second)}, "a2 a4 a6", true, 3},
		{local.ArchiveQuery{Limit: 20, With: "lamp@x/other"}, "", true, 0},
		{local.ArchiveQuery{Limit: 20, IDs: []string{"a7", "a1"}}, "a1 a7", true, 2},
		{local.ArchiveQuery{}, "", false, 10},
	} {
		page, err := s.Archived(t.Context(), "alice", c.q)
		var ids []string
		for _, m := range page.Messages {
			ids = append(ids, m.ID)
		}
		if err != nil || strings.Join(ids, " ") != c.want || page.Complete != c.complete || page.Count != c.count {
			t.Errorf("%+v: %v %v of %d, %v", c.q, ids, page.Complete, page.Count, err)
		}
	}
	for _, q := range []local.ArchiveQuery{{After: []string{"b1"}}, {Before: []string{""}}, {IDs: []string{"a1", "?"}}} {
		if _, err := s.Archived(t.Context(), "alice", q); !errors.Is(err, local.ErrNotArchived) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	all := local.ArchiveQuery{Limit: 20}
	page, _ := s.Archived(t.Context(), "alice", all)
	if m := page.Messages[3]; !m.At.Equal(begin.Add(3*time.Second)) || m.With != "bob@x" || m.Resource != "r" || len(m.Stanza) != 100 {
		t.Errorf("kept %+v", m)
	}
	count := func(account string) int {
		page, err := s.Archived(t.Context(), account, all)
		if err != nil {
			t.Fatal(err)
		}
		return page.Count
	}
	for _, c := range []struct {
		before          time.Time
		messages, bytes int
		alice, bob      int
	}{{begin, 9, 1000, 9, 9}, {begin, 9, 450, 4, 9}, {begin.Add(8 * time.Second), 9, 450, 2, 0}} {
		if err := s.PruneArchive(t.Context(), c.before, c.messages, c.bytes); err != nil {
			t.Fatal(err)
		}
		if a, b := count("alice"), count("bob"); a != c.alice || b != c.bob {
			t.Errorf("%+v: %d and %d are left", c, a, b)
		}
	}
	s.Archive(local.Archived{Account: "alice", ID: "last", At: begin.Add(time.Minute), With: "lamp@x", Stanza: []byte{'z'}})
	stop()
	s, _ = open(t, path)
	if n := count("alice"); n != 3 {
		t.Errorf("after a restart %d", n)
	}
}

func TestOfflineMessages(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, stop := open(t, path)
	put := func(body string) error { return s.PutOffline(t.Context(), "alice", []byte(body), 3, 10) }
	for _, body := range []string{"one", "two"} {
		if err := put(body); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("too long"); !errors.Is(err, local.ErrFull) {
		t.Errorf("more bytes than may wait: %v", err)
	}
	if err := put("3"); err != nil {
		t.Fatal(err)
	}
	if err := put("4"); !errors.Is(err, local.ErrFull) {
		t.Errorf("more messages than may wait: %v", err)
	}
	if err := s.PutOffline(t.Context(), "bob", []byte("x"), 3, 10); err != nil {
		t.Error(err)
	}
	stop()
	s, _ = open(t, path)
	got, err := s.TakeOffline(t.Context(), "alice")
	if want := [][]byte{[]byte("one"), []byte("two"), []byte("3")}; err != nil || !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("taken %q, %v", got, err)
	}
	if got, err := s.TakeOffline(t.Context(), "alice"); err != nil || len(got) > 0 {
		t.Errorf("taken twice: %q, %v", got, err)
	}
	if got, err := s.TakeOffline(t.Context(), "bob"); err != nil || len(got) != 1 {
		t.Errorf("bob's: %q, %v", got, err)
	}
}

// An account that goes takes along what is kept for it.
func TestBlockedAndForgotten(t *testing.T) {
	t.Parallel()
	s, _ := open(t, filepath.Join(t.TempDir(), "t.db"))
	if err := s.AddAccount(t.Context(), Account{Name: "alice", Role: "viewer"}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetBlocked(t.Context(), "alice", []string{"b@x", "a@x", "b@x"}, []string{"c@x"}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetBlocked(t.Context(), "alice", nil, []string{"b@x"}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blocked(t.Context(), "alice"); err != nil || !slices.Equal(got, []string{"a@x"}) {
		t.Errorf("blocked %v, %v", got, err)
	}
	s.Archive(local.Archived{Account: "alice", ID: "1", At: time.Now(), Stanza: []byte{'x'}})
	if err := s.PutOffline(t.Context(), "alice", []byte("x"), 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Archived(t.Context(), "alice", local.ArchiveQuery{}); err != nil { // it is written
		t.Fatal(err)
	}
	if err := s.RemoveAccount(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	page, err := s.Archived(t.Context(), "alice", local.ArchiveQuery{Limit: 1})
	waiting, errWaiting := s.TakeOffline(t.Context(), "alice")
	blocked, errBlocked := s.Blocked(t.Context(), "alice")
	if errors.Join(err, errWaiting, errBlocked) != nil || page.Count+len(waiting)+len(blocked) > 0 {
		t.Errorf("left: %d archived, %q, %v; %v", page.Count, waiting, blocked, errors.Join(err, errWaiting, errBlocked))
	}
}

// Who reads an archive while it is written to sees what is being written: it would pass over that for good, once it knows something
// later.
func TestArchiveIsReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.db")
	s, _ := open(t, path)
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	slow, err := other.Begin() // the disk takes its time
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Rollback()
	s.Archive(local.Archived{Account: "alice", ID: "a", At: time.Now(), With: "lamp@x", Stanza: []byte{'x'}})
	for taken := false; !taken; time.Sleep(time.Millisecond) { // the writer has it
		s.later.mu.Lock()
		taken = len(s.later.archiving.messages) == 0
		s.later.mu.Unlock()
	}
	read := make(chan int, 1)
	go func() {
		page, err := s.Archived(context.Background(), "alice", local.ArchiveQuery{Limit: 10})
		if err != nil {
			t.Error(err)
		}
		read <- len(page.Messages)
	}()
	select {
	case n := <-read:
		t.Fatalf("%d messages read before the one was written", n)
	case <-time.After(50 * time.Millisecond):
	}
	if err := slow.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n := <-read; n != 1 {
		t.Errorf("%d messages read, want 1", n)
	}
}

// What was noted is written before what is asked to be written after it, and Settled waits for it.
func TestSettled(t *testing.T) {
	t.Parallel()
	s, stop := open(t, filepath.Join(t.TempDir(), "t.db"))
	for i := range 20 {
		s.SaveReceipting(fmt.Sprint(i))
		if err := s.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Receipting(t.Context()); err != nil || len(all) != i+1 {
			t.Fatalf("%v, %v after %d", all, err, i+1)
		}
	}
	stop()
	if err := s.Settled(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("closed: %v", err)
	}
}
