package broker

import (
	"context"
	"log/slog"
	"sync"
)

// quiet passes mochi's own log on as Debug: it warns of every client that leaves without saying so. Once it is hushed it
// passes nothing on: mochi has goroutines that nobody can wait for, and they log their end after that of Run.
type quiet struct {
	slog.Handler
	state *quietState // shared by the handlers made of this one
}

type quietState struct {
	mu     sync.RWMutex
	hushed bool
}

func newQuiet(h slog.Handler) quiet { return quiet{h, &quietState{}} }

// hush returns when nothing is being logged any more.
func (q quiet) hush() {
	q.state.mu.Lock()
	defer q.state.mu.Unlock()
	q.state.hushed = true
}

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	q.state.mu.RLock()
	defer q.state.mu.RUnlock()
	return !q.state.hushed && q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	q.state.mu.RLock()
	defer q.state.mu.RUnlock()
	if q.state.hushed {
		return nil
	}
	out := slog.NewRecord(r.Time, slog.LevelDebug, "mochi: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "pk" && a.Key != "packet" { // whole packets, with whatever is in them
			out.AddAttrs(a)
		}
		return true
	})
	return q.Handler.Handle(ctx, out)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.state}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.state}
}
