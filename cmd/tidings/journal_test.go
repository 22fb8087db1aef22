package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// TestJournal keeps the last lines, oldest first, whoever writes meanwhile.
func TestJournal(t *testing.T) {
	t.Parallel()
	j := newJournal(io.Discard)
	if got := j.tail(5); len(got) != 0 {
		t.Errorf("an empty one has %q", got)
	}
	for i := range keptLines + 50 {
		j.log.Info("line", "n", i)
	}
	all := j.tail(10 * keptLines)
	if len(all) != keptLines {
		t.Fatalf("it keeps %d lines, want %d", len(all), keptLines)
	}
	for i, line := range all {
		if !strings.HasSuffix(line, fmt.Sprintf("msg=line n=%d", i+50)) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if got := j.tail(2); len(got) != 2 || got[1] != all[keptLines-1] {
		t.Errorf("the last two are %q", got)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range keptLines {
				j.log.Warn("more")
				j.tail(1)
			}
		})
	}
	wg.Wait()
	if got := j.tail(keptLines); len(got) != keptLines || !strings.HasSuffix(got[0], "msg=more") {
		t.Errorf("it keeps %d lines from %q", len(got), got[0])
	}
}
