package handover

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"tidings/devices"
)

var errDown = errors.New("down")

func TestDesk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New[int]()
		if _, err := d.Ask(t.Context(), 1, errDown); err != errDown {
			t.Errorf("nobody there: %v", err)
		}
		shut := d.Open()
		took := make(chan int)
		go func() {
			for {
				select {
				case j := <-d.Jobs():
					j.Answer(devices.Result{}, errors.New("answered"))
					took <- j.What
				case <-took:
					return
				}
			}
		}()
		if _, err := d.Ask(t.Context(), 7, errDown); err == nil || err.Error() != "answered" {
			t.Errorf("answered: %v", err)
		}
		if got := <-took; got != 7 {
			t.Errorf("%d was asked", got)
		}
		took <- 0 // it takes no more

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		ask := func() { _, err := d.Ask(ctx, 1, errDown); ended <- err }
		go ask()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || errors.As(err, new(*devices.AskedError)) {
			t.Errorf("given up before it was taken: %v", err)
		}
		if _, err := d.Ask(ctx, 1, errDown); !errors.Is(err, context.Canceled) {
			t.Errorf("given up before it was asked: %v", err)
		}

		ctx, cancel = context.WithCancel(t.Context())
		go ask()
		<-d.Jobs()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.As(err, new(*devices.AskedError)) || !errors.Is(err, context.Canceled) {
			t.Errorf("given up after it was taken: %v", err)
		}

		ctx = t.Context()
		go ask()
		synctest.Wait()
		shut()
		if err := <-ended; err != errDown {
			t.Errorf("the other ended: %v", err)
		}
		d.Open()()
		if _, err := d.Ask(ctx, 1, errDown); err != errDown {
			t.Errorf("opened and shut again: %v", err)
		}
	})
}
