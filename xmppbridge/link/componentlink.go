package link

import (
	"context"

	"tidings/xmppbridge/stream"
)

// Component is a link as external component: one stream for every address under its domain. Its methods may be called
// from any goroutine.
type Component struct {
	keeper keeper
}

// NewComponent returns a link that Run keeps open.
func NewComponent(c ComponentConfig, o Options) *Component {
	return &Component{keeper{
		jid: c.Domain, server: c.server(), self: c.Domain, from: c.Domain,
		opt: o.withDefaults(),
		// A redirection is reported and not followed: the certificate would be another host's, or there is none.
		open:  func(ctx context.Context, _ string, _ *resumption) (*Conn, error) { return DialComponent(ctx, c) },
		ended: func(err error) error { return err },
		quiet: func(bool) bool { return false },
	}}
}

// Run keeps the stream open until ctx is done; then it writes what was sent, closes, and returns nil.
func (c *Component) Run(ctx context.Context) error {
	c.keeper.run(ctx)
	return nil
}

// Send queues a stanza, which must bear its own from. It never waits for the network: ErrDown says that there is no stream
// now, stream.ErrFull that the server does not keep up; neither queues anything.
func (c *Component) Send(e *stream.Element) error { return c.keeper.send(e) }

// Request sends an IQ, which must bear its own from, and waits for its answer; see [stream.Stream.Request].
func (c *Component) Request(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	return c.keeper.request(ctx, iq)
}

// Barrier returns nil once the server has taken every message sent to a bare JID before: a ping to the component's own domain
// came back behind them. Component streams have no acknowledgements of their own. An error says that some may be lost. There may be
// one at a time for each recipient.
func (c *Component) Barrier(ctx context.Context, to string) error { return c.keeper.barrier(ctx, to) }
