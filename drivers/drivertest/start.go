package drivertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"tidings/devices"
)

// StopWithin is how long a driver may take to return once its context is done: a second, and as much again for a
// machine that is busy with other tests.
const StopWithin = 2 * time.Second

// Start runs a driver until stop is called or the test ends, and waits for it. A Run that returns an error, returns
// before it was stopped, or takes longer than StopWithin to return fails the test. stop may be called more than once.
func Start(t testing.TB, d devices.Driver, out *Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	out.Open()
	go func() {
		defer close(done)
		err := d.Run(ctx, out)
		out.Close()
		if err != nil {
			t.Errorf("run: %v", err)
		}
		if ctx.Err() == nil {
			t.Error("run: returned before it was stopped")
		}
	}()
	stop = sync.OnceFunc(func() {
		asked := time.Now()
		cancel()
		select {
		case <-done:
			if took := time.Since(asked); took > StopWithin {
				t.Errorf("run: returned %v after its context was done, %v is allowed", took.Round(time.Millisecond), StopWithin)
			}
		case <-time.After(patience):
			t.Errorf("run: did not return within %v after its context was done", patience)
		}
	})
	t.Cleanup(stop)
	return stop
}
