package link

import (
	"context"
	"fmt"
	"strings"
)

// barrier returns nil once the server has taken every message sent to a bare JID since the last barrier for it, and an error
// when some may be lost: send them again. There is one at a time for each recipient.
func (k *keeper) barrier(ctx context.Context, to string) error {
	to, _, _ = strings.Cut(to, "/")
	k.mu.Lock()
	s, lost, n := k.session, k.lost[to], k.unconfirmed[to]
	delete(k.lost, to)
	if lost > 0 || n == 0 {
		k.mu.Unlock()
		if lost > 0 {
			return k.away()
		}
		return nil
	}
	wait, err := k.watch(s)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	err = wait(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.session != s:
		k.said(to, n) // they were taken over, and the stream then ended; or that is what is said now
	case err == nil:
		if k.unconfirmed[to] -= n; k.unconfirmed[to] == 0 {
			delete(k.unconfirmed, to)
		}
	}
	return err
}

func (k *keeper) away() error {
	return fmt.Errorf("%w: %s: the stream ended with messages on their way", ErrDown, k.jid)
}

// watch returns what waits until the server has all that was sent: it acknowledged it, or, where it does not, a ping came back
// behind it. The lock is held.
func (k *keeper) watch(s *session) (func(ctx context.Context) error, error) {
	back := make(chan struct{})
	if s.managed {
		sent := s.acks.Sent()
		return func(ctx context.Context) error {
			either, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.life, cancel)()
			if err := s.acks.Acked(either, sent); err == nil || ctx.Err() != nil {
				return err
			}
			return k.away()
		}, nil
	}
	if err := k.ping(s, func() { close(back) }); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		select {
		case <-back:
			return nil
		case <-s.life.Done():
			return k.away()
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

// said takes n messages off those lost; what was sent later is the next barrier's to say. The lock is held.
func (k *keeper) said(to string, n int) {
	if k.lost[to] -= n; k.lost[to] <= 0 {
		delete(k.lost, to)
	}
}
