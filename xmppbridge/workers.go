package xmppbridge

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"

	"tidings/devices"
)

// The bounds of what waits to be worked on: a person does not have nine commands for one device under way, and a
// thousand at once is a flood.
const (
	maxQueuedPerKey    = 8
	maxQueuedPerSender = 64
	maxQueued          = 1000
)

// A jobKey says whose job it is and what it is about: jobs with the same key run in order.
type jobKey struct {
	sender string // full JID
	device devices.ID
}

// A job is one thing to do, and what to say when that panics.
type job struct {
	do     func(context.Context)
	failed func()
}

// workers run jobs, those with the same key in order and those with different keys side by side. A full queue refuses.
type workers struct {
	ctx    context.Context
	cancel context.CancelFunc
	log    *slog.Logger

	mu      sync.Mutex
	queues  map[jobKey][]job
	senders map[string]int
	total   int
	closed  bool
	wg      sync.WaitGroup
}

func newWorkers(log *slog.Logger) *workers {
	ctx, cancel := context.WithCancel(context.Background())
	return &workers{ctx: ctx, cancel: cancel, log: log, queues: map[jobKey][]job{}, senders: map[string]int{}}
}

// do queues a job and reports whether there was room.
func (w *workers) do(key jobKey, j job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue, running := w.queues[key]
	if w.closed || w.total >= maxQueued || w.senders[key.sender] >= maxQueuedPerSender || len(queue) >= maxQueuedPerKey {
		return false
	}
	w.total++
	w.senders[key.sender]++
	w.queues[key] = append(queue, j)
	if !running {
		w.wg.Go(func() { w.drain(key) })
	}
	return true
}

func (w *workers) drain(key jobKey) {
	for {
		w.mu.Lock()
		queue := w.queues[key]
		if len(queue) == 0 {
			delete(w.queues, key)
			w.mu.Unlock()
			return
		}
		j := queue[0]
		w.mu.Unlock()
		w.run(j)
		w.mu.Lock()
		w.queues[key] = w.queues[key][1:]
		w.total--
		if w.senders[key.sender]--; w.senders[key.sender] == 0 {
			delete(w.senders, key.sender)
		}
		w.mu.Unlock()
	}
}

// run keeps a job's panic from taking the gateway along.
func (w *workers) run(j job) {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("command handler failed", "err", p, "stack", string(debug.Stack()))
			j.failed()
		}
	}()
	j.do(w.ctx)
}

// stop refuses new jobs, cancels the running ones and waits for them.
func (w *workers) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.wg.Wait()
}
