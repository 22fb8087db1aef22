package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

var quietLog = slog.New(slog.DiscardHandler)

func openKept(t *testing.T, dir string, max int) *keeper {
	t.Helper()
	k, err := openKeeper(dir, max, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// contents are the messages of a keeper, to compare.
func contents(k *keeper) string {
	var b strings.Builder
	for _, m := range k.retained.all() {
		fmt.Fprintf(&b, "%s=%s %d %d %+v\n", m.topic, m.payload, m.qos, m.expires, m.mqtt().User)
	}
	return b.String()
}

func TestRetainedComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := openKept(t, dir, 1<<20)
	k.retained.set(&message{topic: "a", payload: []byte("1"), qos: 1})
	k.retained.set(&message{topic: "gone", payload: []byte("1")})
	k.flush()
	k.retained.set(&message{topic: "gone"})
	k.retained.set(&message{topic: "a", payload: []byte("2"), qos: 2})
	k.retained.set(&message{topic: "b/c", payload: []byte{0, 1}, expires: time.Now().Unix() + 1000,
		properties: &properties{User: []packets.UserProperty{{Key: "k", Val: "v"}}, Correlation: []byte{0xff}, Text: true}})
	k.retained.set(&message{topic: "late", payload: []byte("1"), expires: time.Now().Unix() - 1})
	k.flush()
	want := contents(k)
	// Not closed, as after kill -9.
	again := openKept(t, dir, 1<<20)
	if got := contents(again); got != want || !strings.Contains(got, "a=2 2 ") || strings.Contains(got, "gone") || strings.Contains(got, "late") {
		t.Errorf("after a crash:\n%s\nwant\n%s", got, want)
	}
	if p := again.retained.get("b/c").mqtt(); string(p.CorrelationData) != "\xff" || p.PayloadFormat != 1 || !p.PayloadFormatFlag {
		t.Errorf("properties: %+v", p)
	}
	before := again.journal.size
	again.retained.set(&message{topic: "a", payload: []byte("2"), qos: 2})
	again.close()
	if info, err := os.Stat(filepath.Join(dir, RetainedFile)); err != nil || info.Size() != before || info.Mode().Perm() != 0o600 {
		t.Errorf("what is published again unchanged was written: %v, %v", info.Size(), err)
	}
	k.close()
}

// A file cut off anywhere gives what was whole, and can be written to.
func TestRetainedCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, RetainedFile)
	k := openKept(t, dir, 1<<20)
	for i := range 3 {
		k.retained.set(&message{topic: fmt.Sprint("topic/", i), payload: []byte("value")})
		k.flush()
	}
	k.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	record := (len(whole) - len(journalHead)) / 3
	for n := len(journalHead); n <= len(whole); n++ {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00", "garbage that is no record at all"} {
			if err := os.WriteFile(path, append(bytes.Clone(whole[:n]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			k := openKept(t, dir, 1<<20)
			if got, want := k.retained.len(), (n-len(journalHead))/record; got != want {
				t.Errorf("cut at %d with %q: %d messages, want %d", n, tail, got, want)
			}
			k.retained.set(&message{topic: "new", payload: []byte("1")})
			k.close()
			if k = openKept(t, dir, 1<<20); k.retained.get("new") == nil {
				t.Errorf("cut at %d with %q: what was written after it is not there", n, tail)
			}
			k.close()
		}
	}
}

func TestForeignFileIsPutAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, RetainedFile)
	for _, text := range []string{"no", "a file of another program, or of a later version\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := openKept(t, dir, 1<<20)
		k.retained.set(&message{topic: "a", payload: []byte("1")})
		k.close()
		if k = openKept(t, dir, 1<<20); k.retained.get("a") == nil {
			t.Error("nothing is kept after it")
		}
		k.close()
		if aside, err := os.ReadFile(path + ".bad"); err != nil || string(aside) != text {
			t.Errorf("put aside: %q, %v", aside, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeeper(dir, 1<<20, quietLog); err == nil {
		t.Error("a directory was opened")
	}
}

// The file is bounded by what it holds, however often it changes.
func TestJournalIsWrittenAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := openKept(t, dir, 1<<20)
	payload := bytes.Repeat([]byte("x"), 10_000)
	for i := range 200 {
		payload = append([]byte(fmt.Sprint(i)), payload[3:]...)
		k.retained.set(&message{topic: fmt.Sprint(i % 5), payload: payload})
		k.flush()
		if limit := int64(2*k.retained.used() + journalSlack + 20_000); k.journal.size > limit {
			t.Fatalf("the file has %d bytes, the limit is %d", k.journal.size, limit)
		}
	}
	want := contents(k)
	k.close()
	k = openKept(t, dir, 1<<20)
	if contents(k) != want {
		t.Error("what is read is not what was written")
	}
	k.close()
	if rest, _ := filepath.Glob(filepath.Join(dir, ".*")); len(rest) > 0 {
		t.Errorf("left over: %v", rest)
	}
}

// A disk that is full for a while loses nothing.
func TestWriteThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := openKept(t, dir, 1<<20)
	k.retained.set(&message{topic: "a", payload: []byte("1")})
	k.flush()
	good := k.journal.file
	broken, err := os.Open(good.Name()) // cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	k.journal.file = broken
	k.retained.set(&message{topic: "b", payload: []byte("2")})
	k.flush()
	if !k.failed {
		t.Fatal("the write did not fail")
	}
	broken.Close()
	k.journal.file = good
	k.close()
	k = openKept(t, dir, 1<<20)
	defer k.close()
	if k.retained.get("a") == nil || k.retained.get("b") == nil {
		t.Errorf("got %s", contents(k))
	}
}

func TestRetainedAreBounded(t *testing.T) {
	t.Parallel()
	r := newRetained(10_000)
	kept := 0
	for i := range 1000 {
		if r.set(&message{topic: fmt.Sprint(i), payload: []byte("x")}) {
			kept++
		}
	}
	if used := r.used(); used > 10_000 || kept != r.len() || kept < 40 {
		t.Errorf("%d messages of %d bytes, %d kept", r.len(), used, kept)
	}
	if r.set(&message{topic: "0", payload: make([]byte, 9000)}) || r.get("0") != nil {
		t.Error("a message without room is kept, or the one before it")
	}
	for i := range 1000 {
		r.set(&message{topic: fmt.Sprint(i)})
	}
	if r.used() != 0 || r.len() != 0 {
		t.Errorf("%d bytes are counted when all is removed", r.used())
	}
}

func FuzzJournal(f *testing.F) {
	one := appendRecord(nil, "a/b", &message{topic: "a/b", payload: []byte("1"), qos: 1, properties: &properties{Text: true}})
	f.Add(one)
	f.Add(appendRecord(bytes.Clone(one), "a/b", nil))
	f.Add([]byte("\xff\xff\xff\x00garbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, append([]byte(journalHead), data...), 0o600); err != nil {
			t.Fatal(err)
		}
		read := func() (out []byte) {
			j, err := openJournal(path, quietLog, func(topic string, m *message) { out = appendRecord(out, topic, m) })
			if err != nil {
				t.Fatal(err)
			}
			defer j.close()
			return out
		}
		first := read()
		if second := read(); !bytes.Equal(first, second) {
			t.Fatal("what is read a second time is not the same")
		}
	})
}
