package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tidings/xmppbridge/stream"
)

// alertBatch is how many alerts may be on their way to one recipient without having been confirmed; the others wait in
// the outbox.
const alertBatch = 200

// A lane is one recipient being told. What was sent is not sent again while the stream that took it is there, however long a
// confirmation takes: of a connection that hangs nobody knows whether its end got it, and whoever got it was told once.
type lane struct {
	to   string
	more chan struct{} // one token: look again

	// Of the goroutine that drives the lane.
	flying map[int64]string // sent and not confirmed, by sequence: the stanza's id
	fresh  []int64          // of these, what the barrier under way does not cover
	taken  []int64          // confirmed, and still in the outbox

	receipts []string // ids that the recipient says to have got; guarded by alerts.mu, as many as fit alertBatch
}

// open makes a recipient's lane, or has the one there is look again.
func (a *alerts) open(to string) *lane {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.lanes[to]; l != nil {
		poke(l.more)
		return nil
	}
	l := &lane{to: to, more: make(chan struct{}, 1), flying: map[int64]string{}}
	a.lanes[to] = l
	return l
}

// received notes a receipt (XEP-0184): as good a confirmation as any. One that nobody waits for is nothing.
func (a *alerts) received(from, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.lanes[from]; l != nil && id != "" && len(l.receipts) < alertBatch {
		l.receipts = append(l.receipts, id)
		poke(l.more)
	}
}

// A barrier is the wait for what was sent up to some moment.
type barrier struct {
	covers []int64
	cancel context.CancelFunc
	end    chan error // has room for the one it gets
}

// drive sends until nothing is left, or the recipient is away, and all that was sent is confirmed. What fails is tried again
// in a moment, or as soon as there is reason to.
func (a *alerts) drive(ctx context.Context, l *lane) {
	var under *barrier
	for {
		err := guarded(func() error { return a.flush(ctx, l) })
		if under != nil && !slices.ContainsFunc(under.covers, l.flies) {
			under.cancel() // receipts have confirmed all of it
			<-under.end
			under = nil
		}
		if under == nil && len(l.fresh) > 0 {
			under, l.fresh = a.wait(ctx, l.to, l.fresh), nil
		}
		var ended chan error
		if under != nil {
			ended = under.end
		} else if ctx.Err() != nil || err == nil || errors.Is(err, ErrAway) {
			if a.leave(l, ctx.Err() != nil) {
				return
			}
			continue
		}
		stopping := ctx.Done()
		var again <-chan time.Time
		switch {
		case ctx.Err() != nil:
			stopping = nil // the barrier ends soon
		case err != nil && !errors.Is(err, ErrAway):
			a.b.log.Debug("alerts wait", "jid", l.to, "err", err)
			again = time.After(alertRetry)
		}
		select {
		case <-stopping:
		case <-l.more:
		case <-again:
		case err := <-ended:
			under.cancel()
			a.landed(ctx, l, under.covers, err)
			under = nil
		}
	}
}

func (l *lane) flies(seq int64) bool {
	_, flies := l.flying[seq]
	return flies
}

// landed takes the end of a barrier: what it covers was taken over, or goes again in a moment, or as soon as there is
// reason to.
func (a *alerts) landed(ctx context.Context, l *lane, covers []int64, err error) {
	if err == nil {
		l.taken = append(l.taken, covers...)
		return
	}
	for _, seq := range covers {
		delete(l.flying, seq)
	}
	a.b.log.Debug("alerts not confirmed", "jid", l.to, "err", err)
	select {
	case <-ctx.Done():
	case <-l.more:
	case <-time.After(alertRetry):
	}
}

// leave closes a lane, unless there is something new in it.
func (a *alerts) leave(l *lane, always bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(l.more) > 0 && !always {
		<-l.more
		return false
	}
	delete(a.lanes, l.to)
	return true
}

// guarded keeps a panic in one lane from taking the gateway along.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f()
}

// flush forgets what was confirmed and sends what is pending and not on its way.
func (a *alerts) flush(ctx context.Context, l *lane) error {
	if err := a.settle(ctx, l); err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	pending, err := a.b.o.Store.Pending(ctx, l.to, alertBatch)
	if err != nil {
		return err
	}
	for _, m := range pending {
		if l.flies(m.Seq) {
			continue
		}
		if !a.b.access().CanSee(m.To, m.Device) {
			a.b.log.Info("alert not told: the recipient has no access any more", "jid", m.To, "device", m.Device)
			l.flying[m.Seq], l.taken = m.ID, append(l.taken, m.Seq)
			continue
		}
		err := a.send(ctx, m)
		if errors.Is(err, ErrUnwanted) && a.unwanted(m) {
			l.flying[m.Seq], l.taken = m.ID, append(l.taken, m.Seq)
			continue
		}
		if err != nil {
			return err
		}
		l.flying[m.Seq] = m.ID
		l.fresh = append(l.fresh, m.Seq)
	}
	return a.settle(ctx, l)
}

// unwanted is done with an alert that its recipient does not want to hear: it counts as not delivered, so that it escalates where it
// reaches nobody else. It reports false when nobody can be asked just now.
func (a *alerts) unwanted(m Outgoing) bool {
	const what = "alert not told: the recipient blocks its sender"
	if m.Alert == "" || !m.Occasion.Active() {
		a.b.log.Info(what, "jid", m.To, "device", m.Device)
		return true
	}
	return a.b.undelivered(Told{To: m.To, AlertRef: m.Ref()}, what, ErrUnwanted)
}

// settle takes what was confirmed out of the outbox, also when the bridge stops: it would be said again by the next life of
// the gateway. What cannot be taken out still counts as on its way.
func (a *alerts) settle(ctx context.Context, l *lane) error {
	a.mu.Lock()
	receipts := l.receipts
	l.receipts = nil
	a.mu.Unlock()
	for seq, id := range l.flying {
		if slices.Contains(receipts, id) {
			l.taken = append(l.taken, seq)
		}
	}
	if len(l.taken) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), alertRetry)
	defer cancel()
	if err := a.b.o.Store.Sent(limited, l.taken...); err != nil {
		return err
	}
	maps.DeleteFunc(l.flying, func(seq int64, _ string) bool { return slices.Contains(l.taken, seq) })
	l.fresh = slices.DeleteFunc(l.fresh, func(seq int64) bool { return !l.flies(seq) })
	l.taken = nil
	return nil
}

// wait begins to wait until what was sent has been taken over. When the bridge stops meanwhile it still waits for a moment.
// It has no other limit: the network says when a stream that took it is gone.
func (a *alerts) wait(ctx context.Context, to string, covers []int64) *barrier {
	limited, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &barrier{covers: covers, cancel: cancel, end: make(chan error, 1)}
	go func() { // drive waits for its end
		defer context.AfterFunc(ctx, func() {
			sleep(limited, barrierGrace)
			cancel()
		})()
		b.end <- guarded(func() error {
			for {
				err := a.b.barrier(limited, to)
				if !errors.Is(err, stream.ErrFull) || !sleep(limited, time.Second) {
					return err // full: the question did not go out, and nothing is lost
				}
			}
		})
	}()
	return b
}
