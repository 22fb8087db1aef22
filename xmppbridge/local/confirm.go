package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidings/xmppbridge/stream"
)

// Confirm returns nil once a client of the account has shown that it read every message that the house sent to the account since
// Confirm was last asked: by acknowledging them (XEP-0198), or by the answer to a ping, whatever it says, which comes behind
// them. When nothing was sent, any client that takes messages will do. It waits, until ctx is done, as long as a client that got
// them is connected, also one that is dead and does not know it yet, or may resume. Another error says that there is none any
// more; ErrOffline, that there was none to begin with. Ask one at a time for each account.
func (s *Server) Confirm(ctx context.Context, account string) error {
	var clients []*session
	s.locked(func() {
		if a := s.accounts[account]; a != nil {
			for _, c := range a.sessions {
				if a.sent == 0 && c.takes() || a.sent > 0 && a.got[c] == a.sent {
					clients = append(clients, c)
				}
			}
			a.sent = 0
			clear(a.got)
		}
	})
	if len(clients) == 0 {
		return fmt.Errorf("xmpp server: confirm %s: %w", account, ErrOffline)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // one answer is enough
	answers := make(chan error, len(clients))
	for _, c := range clients {
		go func() { answers <- c.confirm(ctx) }()
	}
	var failed error
	confirmed := false
	for range clients { // all are waited for: a cancelled ping returns at once
		if err := <-answers; err != nil {
			failed = err
			continue
		}
		confirmed = true
		cancel()
	}
	if !confirmed {
		return fmt.Errorf("xmpp server: confirm %s: %w", account, failed)
	}
	return nil
}

// confirm waits until the client has shown that it read what was sent to it: by an acknowledgement where its stream is managed,
// also after it was resumed, else by the answer to a ping. What was sent before the stream was managed is only covered by what came
// behind it.
func (c *session) confirm(ctx context.Context) error {
	c.out.Lock()
	acks := c.acks
	c.out.Unlock()
	if acks == nil || acks.Sent() == 0 {
		return c.ping(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	err := acks.Acked(ctx, acks.Sent())
	if err != nil && c.life.Err() != nil {
		return stream.ErrClosed
	}
	return err
}

// ping asks the client for a sign of life (XEP-0199); that it does not know pings is one, too. There is no to: a client's answer
// bears no from before the server has stamped it.
func (c *session) ping(ctx context.Context) error {
	for {
		_, err := c.on().stream.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "from", c.server.domain).
			Add(stream.New(nsPing, "ping")))
		if refused := (*stream.StanzaError)(nil); errors.As(err, &refused) {
			return nil
		}
		if !errors.Is(err, stream.ErrFull) {
			return err
		}
		select { // it takes what was sent slowly: the ping did not go out
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
