package local

import (
	"context"
	"errors"
	"fmt"

	"tidings/xmppbridge/stream"
)

// Confirm returns nil once a client of the account has shown that it read what was sent to it before: the answer to a ping,
// whatever it says, comes behind that. A connection that is dead and does not know it yet gives ctx's error. ErrOffline says
// that there is no client that takes messages.
func (s *Server) Confirm(ctx context.Context, account string) error {
	var clients []*session
	s.locked(func() {
		if a := s.accounts[account]; a != nil {
			for _, c := range a.sessions {
				if c.available && c.priority >= 0 {
					clients = append(clients, c)
				}
			}
		}
	})
	if len(clients) == 0 {
		return fmt.Errorf("xmpp server: confirm %s: %w", account, ErrOffline)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // one answer is enough
	answers := make(chan error, len(clients))
	for _, c := range clients {
		go func() { answers <- c.ping(ctx) }()
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

// ping asks the client for a sign of life (XEP-0199); that it does not know pings is one, too. There is no to: a client's answer
// bears no from before the server has stamped it.
func (c *session) ping(ctx context.Context) error {
	_, err := c.stream.Request(ctx, stream.New(stream.NS, "iq", "type", "get", "from", c.server.domain).
		Add(stream.New(nsPing, "ping")))
	if refused := (*stream.StanzaError)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}
