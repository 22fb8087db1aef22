package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// A unit is a part that was started and can be stopped.
type unit struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of run, once done is closed
}

// start runs a part in a goroutine of its own. A panic in it becomes its error.
func start(run func(context.Context) error) *unit {
	ctx, cancel := context.WithCancel(context.Background())
	u := &unit{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		u.err = guard(func() error { return run(ctx) })
	}()
	return u
}

// stop ends the part and waits for it. A nil unit was never started.
func (u *unit) stop() error {
	if u == nil {
		return nil
	}
	u.cancel()
	<-u.done
	return u.err
}

// A panicError is what a part panicked with. It reads as a line; the stack is for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("internal error: %v", e.value) }

// guard turns a panic into an error: one part must not take the others along.
func guard(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	return run()
}

// logPanic logs where a part panicked, if err says that it did.
func logPanic(log *slog.Logger, err error) {
	if p, ok := errors.AsType[*panicError](err); ok {
		log.Error("panic", "err", p, "stack", string(p.stack))
	}
}
