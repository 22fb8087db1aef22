package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
)

// A journal is the log: text on a stream, the last lines kept for the hub's command "Log".
type journal struct {
	log   *slog.Logger
	level slog.LevelVar

	mu    sync.Mutex
	out   io.Writer
	lines []string // a ring
	next  int
}

// keptLines is how much of the log can be asked for.
const keptLines = 200

func newJournal(out io.Writer) *journal {
	j := &journal{out: out}
	_, stamped := os.LookupEnv("JOURNAL_STREAM") // the system's journal puts its own time on every line
	j.log = slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{
		Level: &j.level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 || a.Key != slog.TimeKey {
				return a
			}
			if stamped {
				return slog.Attr{}
			}
			return slog.String(slog.TimeKey, a.Value.Time().Format("2006-01-02T15:04:05.000Z07:00"))
		},
	}))
	return j
}

// Write takes one line from the handler.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	text := string(bytes.TrimRight(line, "\n"))
	if len(j.lines) < keptLines {
		j.lines = append(j.lines, text)
	} else {
		j.lines[j.next] = text
		j.next = (j.next + 1) % keptLines
	}
	return j.out.Write(line)
}

// tail returns the last n lines, oldest first.
func (j *journal) tail(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := slices.Concat(j.lines[j.next:], j.lines[:j.next])
	all = all[max(0, len(all)-n):]
	for i := range all {
		all[i] = strings.Clone(all[i])
	}
	return all
}
