package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// told is a supervisor that keeps the first line of what it is told.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (to *told) tell(state string) error {
	to.mu.Lock()
	defer to.mu.Unlock()
	first, _, _ := strings.Cut(state, "\n")
	to.lines = append(to.lines, first)
	return nil
}

// since returns what came since the last call.
func (to *told) since() []string {
	to.mu.Lock()
	defer to.mu.Unlock()
	lines := to.lines
	to.lines = nil
	return lines
}

func TestSupervisor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var heard told
		s := &supervisor{log: slog.New(slog.DiscardHandler), tell: heard.tell, feed: 10 * time.Second}
		ctx, end := context.WithCancel(t.Context())
		stopping, ready := make(chan struct{}), make(chan struct{})
		var alive atomic.Bool
		alive.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() { s.follow(ctx, stopping, ready, alive.Load) })
		after := func(d time.Duration, want ...string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := heard.since(); !slices.Equal(got, want) {
				t.Errorf("it is told %q, want %q", got, want)
			}
		}
		after(time.Minute) // nothing before it is ready
		close(ready)
		after(time.Second, "READY=1")
		after(20*time.Second, "WATCHDOG=1", "WATCHDOG=1")
		alive.Store(false)
		after(time.Minute)
		alive.Store(true)
		after(10*time.Second, "WATCHDOG=1")
		s.reloading()
		s.reloaded(errors.New("a mistake"))
		after(0, "RELOADING=1", "READY=1")
		close(stopping)
		after(0, "STOPPING=1")
		after(10*time.Second, "WATCHDOG=1") // stopping may take longer than the watchdog waits
		end()
		wg.Wait()
		after(time.Minute)
	})
}

// TestSupervisorQuickStop stops and ends in one moment.
func TestSupervisorQuickStop(t *testing.T) {
	t.Parallel()
	for range 20 {
		var heard told
		s := &supervisor{log: slog.New(slog.DiscardHandler), tell: heard.tell}
		ctx, end := context.WithCancel(t.Context())
		stopping, ready := make(chan struct{}), make(chan struct{})
		close(ready)
		var wg sync.WaitGroup
		wg.Go(func() { s.follow(ctx, stopping, ready, func() bool { return true }) })
		for len(heard.since()) == 0 {
			time.Sleep(time.Millisecond)
		}
		close(stopping)
		end()
		wg.Wait()
		if got := heard.since(); !slices.Equal(got, []string{"STOPPING=1"}) {
			t.Fatalf("it is told %q", got)
		}
	}
}

// TestSupervisorGone has systemd not listen any more: it is logged, and nothing else.
func TestSupervisorGone(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := &supervisor{log: slog.New(slog.NewTextHandler(&log, nil)), tell: func(string) error { return errors.New("connection refused") }}
	s.reloading()
	if !strings.Contains(log.String(), `msg="systemd not told" err="connection refused"`) {
		t.Errorf("it logs %q", log.String())
	}
}
