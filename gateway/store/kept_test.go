package store

import (
	"path/filepath"
	"testing"
	"time"

	"tidings/devices"
)

func TestNumbersAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tidings.db")
	s, stop := open(t, path)
	recall := func(id devices.ID, want float64, there bool) {
		t.Helper()
		if f, ok, err := s.Recall(t.Context(), id, "energy"); err != nil || ok != there || f != want {
			t.Errorf("%s: %v %t %v, want %v %t", id, f, ok, err, want, there)
		}
	}
	recall("meter", 0, false)
	s.Keep("meter", "energy", 12345600.25)
	s.Keep("meter", "energy", 12345601.25)
	s.Keep("water", "energy", 1<<53)
	recall("meter", 12345601.25, true) // before it is written
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	recall("meter", 12345601.25, true) // written with what somebody waited for
	s.Keep("meter", "energy", -1)
	recall("meter", -1, true)
	stop()
	s.Keep("meter", "energy", 5) // too late: it is said in the log
	s, stop = open(t, path)
	recall("meter", -1, true)
	recall("water", 1<<53, true)
	recall("other", 0, false)
	stop()
}

// TestNumbersAreWrittenInTime looks into the file without the store that has it, as after a crash.
func TestNumbersAreWrittenInTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tidings.db")
	s, _ := open(t, path)
	s.Keep("meter", "energy", 7)
	s.later.mu.Lock()
	s.later.keeping.Reset(time.Millisecond) // in place of devices.MemoryDelay
	s.later.mu.Unlock()
	after, _ := open(t, path)
	for range 1000 {
		f, ok, err := after.Recall(t.Context(), "meter", "energy")
		if err != nil {
			t.Fatal(err)
		}
		if ok && f == 7 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("never written")
}

// TestNumbersThatCannotBeWritten: a file that takes nothing has no driver begin with less than it had.
func TestNumbersThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	s, stop := open(t, filepath.Join(t.TempDir(), "tidings.db"))
	defer stop()
	s.Keep("meter", "energy", 900)
	if err := s.Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.do(t.Context(), exec("CREATE TRIGGER full BEFORE INSERT ON kept BEGIN SELECT RAISE(FAIL, 'full'); END")); err != nil {
		t.Fatal(err)
	}
	s.Keep("meter", "energy", 1000)
	for range 2 {
		if err := s.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if f, ok, err := s.Recall(t.Context(), "meter", "energy"); err != nil || !ok || f != 1000 {
		t.Errorf("%v %t %v", f, ok, err)
	}
}
