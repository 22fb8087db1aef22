package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
	"tidings/xmppbridge"
)

var kept = HistoryOptions{Keep: 90 * 24 * time.Hour, MaxSize: 200e6, Flush: time.Hour}

// runHistory opens a history that runs; the function it returns stops it and waits.
func runHistory(t testing.TB, path string, o HistoryOptions) (*History, func()) {
	t.Helper()
	h, err := OpenHistory(path, o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return h, stop
}

// It is written at each flush and in the end; what an earlier life has left is pruned at the start.
func TestHistoryRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	start := time.Now().Add(-time.Minute)
	h, stop := runHistory(t, path, HistoryOptions{Keep: 90 * 24 * time.Hour, MaxSize: 200e6, Flush: 10 * time.Millisecond})
	h.Note("lamp", "p", devices.Number(1), start)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		unsaved := h.unsaved
		h.mu.Unlock()
		if unsaved == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not written within ten seconds")
		}
	}
	o := kept
	h.Configure(o)
	h.Note("lamp", "p", devices.Number(2), start.Add(time.Second))
	stop()
	h.Note("lamp", "p", devices.Number(3), start.Add(2*time.Second)) // too late

	h, stop = runHistory(t, path, kept)
	same(t, "after the end", values(t, h, "p", time.Time{}, start.Add(time.Minute/2), 10), "1", "2")
	stop()
	o.Keep = time.Second
	h, _ = runHistory(t, path, o)
	for deadline := time.Now().Add(10 * time.Second); len(values(t, h, "p", time.Time{}, start.Add(time.Minute/2), 10)) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the old are still there after ten seconds")
		}
	}
}

// still opens a history that nobody runs: what it is to do is done by the test.
func still(t testing.TB, path string, o HistoryOptions) *History {
	t.Helper()
	h, err := OpenHistory(path, o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	return h
}

// values are the records of a time, as text.
func values(t testing.TB, h *History, point string, from, to time.Time, limit int) (out []string) {
	t.Helper()
	list, err := h.Records(t.Context(), "lamp", point, from, to, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		out = append(out, r.Value.String())
	}
	return out
}

func same(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// Every reading is there at once, whether it is in memory, written, or in a block; after a restart, too. Values of every kind
// come out as they went in.
func TestHistory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := still(t, path, kept)
	start := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	end := at(3600)
	h.Note("lamp", "p", devices.Number(1.5), at(0))
	h.Note("lamp", "q", devices.Text("a"), at(0))
	same(t, "in memory", values(t, h, "p", time.Time{}, end, 10), "1.5")
	h.save(false)
	h.Note("lamp", "p", devices.Number(2.25), at(1))
	same(t, "half written", values(t, h, "p", time.Time{}, end, 10), "1.5", "2.25")
	if err := h.makeBlocks(kept); err != nil {
		t.Fatal(err)
	}
	same(t, "a block", values(t, h, "p", time.Time{}, end, 10), "1.5", "2.25")
	h.Note("lamp", "p", devices.Bool(true), at(2))
	h.Note("lamp", "p", devices.Bool(false), at(3))
	h.save(false)
	h.Note("lamp", "p", devices.Text("x\x00"), at(4))
	all := []string{"1.5", "2.25", "true", "false", "x\x00"}
	same(t, "everywhere", values(t, h, "p", time.Time{}, end, 10), all...)
	same(t, "from and to", values(t, h, "p", at(1), at(3), 10), "2.25", "true")
	same(t, "the first two", values(t, h, "p", at(1), end, 2), "2.25", "true")
	same(t, "another point", values(t, h, "q", time.Time{}, end, 10), "a")
	same(t, "no such point", values(t, h, "r", time.Time{}, end, 10))
	h.save(true)
	h.db.Close()

	// What was known when it stopped is not known from then on.
	h = still(t, path, kept)
	same(t, "after a restart", values(t, h, "p", time.Time{}, time.Now(), 10), append(all, "")...)
	same(t, "before its end", values(t, h, "p", time.Time{}, end.Add(-time.Minute), 10), all...)
	h.Note("lamp", "p", devices.Number(3), time.Now())
	if err := h.makeBlocks(kept); err != nil {
		t.Fatal(err)
	}
	same(t, "and on", values(t, h, "p", time.Time{}, time.Now().Add(time.Second), 10), append(all, "", "3")...)
	h.db.Close()
	h = still(t, path, kept)
	same(t, "in blocks", values(t, h, "p", time.Time{}, time.Now().Add(time.Second), 10), append(all, "", "3", "")...)
}

// A value that does not change is kept again every five minutes; what is lost ends, once.
func TestHistoryKeepsWhatChanges(t *testing.T) {
	t.Parallel()
	h := still(t, filepath.Join(t.TempDir(), "history.db"), kept)
	start := time.Now().Add(-time.Hour)
	for i := range 601 {
		h.Note("lamp", "p", devices.Bool(true), start.Add(time.Duration(i)*time.Second))
	}
	h.Note("lamp", "p", devices.Bool(true), start.Add(599*time.Second)) // said twice
	same(t, "ten minutes of the same", values(t, h, "p", time.Time{}, time.Now(), 10), "true", "true", "true")
	h.Lost("lamp", start.Add(700*time.Second))
	h.Lost("lamp", start.Add(701*time.Second))
	h.Note("lamp", "p", devices.Value{}, start.Add(702*time.Second))
	h.Note("lamp", "new", devices.Value{}, start.Add(702*time.Second))
	h.Lost("door", start)
	h.Note("lamp", "p", devices.Bool(true), start.Add(703*time.Second))
	h.Note("lamp", "p", devices.Bool(false), start.Add(702*time.Second)) // read before, said later
	same(t, "with a gap", values(t, h, "p", start.Add(650*time.Second), time.Now(), 10), "", "true", "false")
	same(t, "never read", values(t, h, "new", time.Time{}, time.Now(), 10))
}

// Where the clock was set back readings come out in the order of their times all the same, each once, on whatever page.
func TestHistoryOfAClockSetBack(t *testing.T) {
	t.Parallel()
	h := still(t, filepath.Join(t.TempDir(), "history.db"), kept)
	start := time.Now().Add(-5 * time.Hour)
	n := 0
	for _, offset := range []time.Duration{0, -30 * time.Minute, -29 * time.Minute, 3 * time.Hour} {
		for i := range 300 {
			n++
			h.Note("lamp", "p", devices.Number(float64(n)), start.Add(offset+time.Duration(i)*7*time.Second+time.Duration(n)*time.Millisecond))
		}
		if offset < 0 {
			if err := h.makeBlocks(kept); err != nil {
				t.Fatal(err)
			}
		}
	}
	var from, last time.Time
	got := map[float64]bool{}
	for {
		page, err := h.Records(t.Context(), "lamp", "p", from, time.Now(), 77)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if !r.At.After(last) {
				t.Fatalf("%v after %v", r.At, last)
			}
			last = r.At
			f, _ := r.Value.Number()
			got[f] = true
		}
		if len(page) < 77 {
			break
		}
		from = last.Add(time.Millisecond)
	}
	if len(got) != n {
		t.Errorf("%d readings, want %d", len(got), n)
	}
}

func TestHistorySpans(t *testing.T) {
	t.Parallel()
	h := still(t, filepath.Join(t.TempDir(), "history.db"), kept)
	start := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	for _, r := range []struct {
		at int
		v  devices.Value
	}{{-100, devices.Number(10)}, {5, devices.Number(20)}, {8, devices.Number(0)}, {30, devices.Value{}}, {45, devices.Number(7)}, {200, devices.Text("x")}} {
		h.Note("lamp", "p", r.v, at(r.at))
	}
	want := []xmppbridge.Span{
		{Count: 3, Min: 0, Max: 20, Mean: 11, Last: 0, Known: 10 * time.Second},
		{Count: 1, Known: 10 * time.Second}, // it holds
		{Count: 1, Known: 10 * time.Second},
		{},
		{Count: 1, Min: 7, Max: 7, Mean: 7, Last: 7, Known: 5 * time.Second},
		{Count: 1, Min: 7, Max: 7, Mean: 7, Last: 7, Known: 10 * time.Second},
	}
	check := func(what string) {
		t.Helper()
		got, err := h.Spans(t.Context(), "lamp", "p", start, at(60), len(want))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %v, %v", what, got, err)
		}
		for i := range want {
			want[i].Start = time.UnixMilli(at(10 * i).UnixMilli())
			if got[i] != want[i] {
				t.Errorf("%s: span %d: %+v, want %+v", what, i, got[i], want[i])
			}
		}
	}
	check("in memory")
	if err := h.makeBlocks(kept); err != nil {
		t.Fatal(err)
	}
	check("in a block")

	// Nothing is known of what is to come.
	h.Note("lamp", "s", devices.Bool(true), time.Now().Add(-time.Minute))
	got, err := h.Spans(t.Context(), "lamp", "s", time.Now().Add(-3*time.Minute), time.Now().Add(3*time.Minute), 6)
	if err != nil || got[0].Count != 0 || got[2].Count == 0 || got[2].Mean != 1 || got[4].Count != 0 {
		t.Errorf("a switch: %+v, %v", got, err)
	}
	if got, err := h.Spans(t.Context(), "lamp", "none", start, at(60), 2); err != nil || len(got) != 2 || got[0].Count != 0 {
		t.Errorf("nothing: %+v, %v", got, err)
	}
}

// The old goes by age; the file stays as small as it was said to be, whatever comes, and what is newest is there.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	o := HistoryOptions{Keep: 30 * 24 * time.Hour, MaxSize: 8 << 20, Flush: time.Hour}
	h := still(t, path, o)
	start := time.Now().Add(-48 * time.Hour)
	h.Note("lamp", "old", devices.Number(1), time.Now().Add(-31*24*time.Hour))
	h.Note("lamp", "old", devices.Number(2), time.Now().Add(-29*24*time.Hour))
	at := start
	for round := range 40 {
		for i := range 60000 {
			at = start.Add(time.Duration(round*60000+i) * 70 * time.Millisecond)
			h.Note("lamp", "p", devices.Number(float64(i*7919%100000)/100), at)
		}
		h.save(false)
		if err := h.makeBlocks(o); err != nil {
			t.Fatal(err)
		}
		if size, _, err := h.fileSize(); err != nil || size > o.MaxSize {
			t.Fatalf("round %d: %d bytes, %v", round, size, err)
		}
		if round == 1 {
			if err := h.prune(o); err != nil {
				t.Fatal(err)
			}
			same(t, "by age", values(t, h, "old", time.Time{}, time.Now(), 10), "2")
		}
	}
	if got := values(t, h, "p", at.Add(-time.Second), at.Add(time.Second), 100); len(got) < 14 {
		t.Errorf("of the last second there are %d readings", len(got))
	}
	if got := values(t, h, "p", time.Time{}, start.Add(time.Minute), 1); len(got) != 0 {
		t.Errorf("the oldest are still there")
	}
	h.db.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > o.MaxSize {
		t.Errorf("file of %d bytes, %v", info.Size(), err)
	}

	// Less is allowed: the file shrinks.
	o.MaxSize = 6 << 20
	h = still(t, path, o)
	if err := h.prune(o); err != nil {
		t.Fatal(err)
	}
	h.db.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > o.MaxSize {
		t.Errorf("file of %d bytes, %v", info.Size(), err)
	}
}

// While the disk takes nothing, memory is bounded; when it does again, what was kept is written.
func TestHistoryWithoutADisk(t *testing.T) {
	t.Parallel()
	h := still(t, filepath.Join(t.TempDir(), "history.db"), kept)
	if _, err := h.db.Exec("ALTER TABLE recent RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-24 * time.Hour)
	note := func(from, n int) {
		for i := range n {
			h.Note("lamp", "p", devices.Number(float64(i*7919%1000)+float64(i%97)/100), start.Add(time.Duration(from+i)*10*time.Millisecond))
		}
	}
	note(0, 1000)
	h.save(false)
	if err := h.makeBlocks(kept); err == nil {
		t.Error("blocks without a table: no error")
	}
	note(1000, 2_000_000)
	if h.size > maxInMemory+100 || h.dropped == 0 {
		t.Errorf("%d bytes in memory, %d dropped", h.size, h.dropped)
	}
	if got := values(t, h, "p", time.Time{}, time.Now(), 2000); len(got) != 2000 {
		t.Errorf("%d readings in memory", len(got))
	}
	if _, err := h.db.Exec("ALTER TABLE away RENAME TO recent"); err != nil {
		t.Fatal(err)
	}
	h.save(false)
	if err := h.makeBlocks(kept); err != nil {
		t.Fatal(err)
	}
	if h.size != 0 || h.unsaved != 0 || h.dropped != 0 || len(h.closed) != 0 {
		t.Errorf("%d bytes left, %d unsaved, %d dropped, %d segments", h.size, h.unsaved, h.dropped, len(h.closed))
	}
	if got := values(t, h, "p", time.Time{}, time.Now(), 2000); len(got) != 2000 {
		t.Errorf("%d readings on disk", len(got))
	}
}

// Many note while others read and blocks are made; the race detector looks on. No reading is seen twice, none is missing.
func TestHistoryConcurrently(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	h := still(t, path, kept)
	start := time.Now().Add(-time.Hour)
	const n = 5000
	var wg sync.WaitGroup
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() { // what Run does, all the time
		defer close(stopped)
		for {
			select {
			case <-over:
				return
			default:
			}
			h.save(false)
			if err := h.makeBlocks(kept); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for p := range 3 {
		wg.Go(func() {
			for i := range n {
				h.Note("lamp", fmt.Sprint("p", p), devices.Number(float64(i)), start.Add(time.Duration(i)*100*time.Millisecond))
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			from := start.Add(20 * time.Second)
			list, err := h.Records(t.Context(), "lamp", "p0", from, time.Now(), 500)
			if err != nil {
				t.Error(err)
				return
			}
			for i, r := range list {
				if f, _ := r.Value.Number(); int(f) != 200+i {
					t.Errorf("reading %d is %v", 200+i, f)
					return
				}
			}
		}
	})
	wg.Wait()
	close(over)
	<-stopped
	for p := range 3 {
		if got := values(t, h, fmt.Sprint("p", p), time.Time{}, start.Add(n*100*time.Millisecond), 2*n); len(got) != n {
			t.Errorf("p%d: %d readings, want %d", p, len(got), n)
		}
	}
}

// A damaged file is put aside.
func TestDamagedHistory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "history.db")
	junk := strings.Repeat("this was a history once\n", 500)
	if err := os.WriteFile(path, []byte(junk), 0o600); err != nil {
		t.Fatal(err)
	}
	h := still(t, path, kept)
	h.Note("lamp", "p", devices.Number(1), time.Now().Add(-time.Minute))
	same(t, "a new one", values(t, h, "p", time.Time{}, time.Now(), 10), "1")
	if text, err := os.ReadFile(path + ".damaged"); err != nil || string(text) != junk {
		t.Errorf("put aside: %d bytes, %v", len(text), err)
	}
}
