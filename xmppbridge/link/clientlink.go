package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// Client is a link as client of an account: a stream for the hub, and one for each device, each with exactly the
// resource asked for. Its methods may be called from any goroutine.
//
// The hub's stream is opened first, the others one after another once it is up, so that a wrong password or an absent
// server is tried by one stream only. Where the server is found to allow fewer streams, Streams decides: with StreamsAuto the
// hub's is the only one from then on, until Run starts anew.
type Client struct {
	config ClientConfig
	bare   string
	opt    Options
	login  *login

	// turn is held by the one stream that is logging in.
	turn chan struct{}

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when anything below changes
	slots    map[string]*slot
	active   int       // streams open or being opened
	single   bool      // the hub's is the only one wanted
	limited  bool      // that the server limits streams is known
	fallen   bool      // that it is the only one because of that was told
	told     bool      // that the hub itself is refused for a limit
	lastOpen time.Time // when a stream of ours was last opened
	last     *slot     // whose
}

// slot is one resource.
type slot struct {
	resource string
	hub      bool
	keeper   *keeper
	up       bool
	running  bool
	removed  bool
	cancel   context.CancelFunc // while running
}

// NewClient returns a link that Run keeps open; c.Resource is the hub's resource and must not be empty.
func NewClient(c ClientConfig, o Options) *Client {
	link := &Client{
		config: c, bare: c.JID, opt: o.withDefaults(),
		turn: make(chan struct{}, 1), changed: make(chan struct{}), slots: make(map[string]*slot),
	}
	user := ""
	if account, err := jid.Parse(c.JID); err == nil {
		link.bare, user = account.String(), account.Localpart()
	}
	link.login = newLogin(user, c.Password)
	hub := link.newSlot(c.Resource)
	hub.hub = true
	return link
}

// newSlot makes a slot; the lock is held, or the link not shared yet.
func (c *Client) newSlot(resource string) *slot {
	s := &slot{resource: resource}
	_, domain, _ := strings.Cut(c.bare, "@")
	s.keeper = &keeper{
		jid: c.bare + "/" + resource, server: c.config.server(), self: domain, opt: c.opt, follows: true,
		open: func(ctx context.Context, redirect string, was *resumption) (*Conn, error) {
			return c.open(ctx, s, redirect, was)
		},
		ended: func(err error) error { return c.ended(s, err) },
		quiet: func(resumable bool) bool { return c.quiet(s, resumable) },
	}
	c.slots[resource] = s
	return s
}

// Add asks for a stream of this resource, now or when Run starts, unless the hub's is to be the only one.
func (c *Client) Add(resource string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[resource]
	if s == nil {
		s = c.newSlot(resource)
	}
	s.removed = false
	c.broadcast()
}

// Remove closes the stream of a resource, after what was sent on it was written. The hub's cannot be removed.
func (c *Client) Remove(resource string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.slots[resource]; s != nil && !s.hub {
		s.removed = true
		c.broadcast()
	}
}

// broadcast wakes whoever waits for a change; the lock is held.
func (c *Client) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Run keeps the streams open until ctx is done; then each writes what was sent, closes, and Run returns nil.
func (c *Client) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	c.mu.Lock()
	c.single, c.limited, c.fallen = c.config.Streams == StreamsSingle, false, false
	c.mu.Unlock()
	for {
		c.mu.Lock()
		c.reconcile(ctx, &running)
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// reconcile starts what should run and stops what should not; the lock is held.
func (c *Client) reconcile(ctx context.Context, running *sync.WaitGroup) {
	for resource, s := range c.slots {
		switch wanted := s.hub || !s.removed && !c.single; {
		case s.running && !wanted:
			s.cancel()
		case !s.running && wanted:
			own, cancel := context.WithCancel(ctx)
			s.running, s.cancel = true, cancel
			running.Go(func() {
				defer cancel()
				s.keeper.run(own)
				c.mu.Lock()
				defer c.mu.Unlock()
				s.running = false
				c.broadcast()
			})
		case !s.running && s.removed:
			delete(c.slots, resource)
		}
	}
}

// open waits for its turn and opens the stream of a slot.
func (c *Client) open(ctx context.Context, s *slot, redirect string, was *resumption) (*Conn, error) {
	if err := c.admit(ctx, s); err != nil {
		return nil, err
	}
	config := c.config
	config.Resource = s.resource
	if redirect != "" {
		config.Server = redirect
		if _, _, err := net.SplitHostPort(redirect); err != nil {
			config.Server = net.JoinHostPort(strings.Trim(redirect, "[]"), "5222")
		}
	}
	conn, err := dialClient(ctx, config, c.login, was)
	var news error
	c.mu.Lock()
	switch {
	case err == nil:
		s.up = true
		c.told = c.told && !s.hub
		c.lastOpen, c.last = time.Now(), s
	default:
		c.active--
		if errors.Is(err, ErrLimit) {
			news = c.refused(s, err)
		}
	}
	c.broadcast()
	c.mu.Unlock()
	c.report(news)
	sleep(ctx, c.opt.Pace)
	<-c.turn
	return conn, err
}

// admit waits until s may log in: the hub is up or s is the hub, which waits for the others to be gone where it is to be the only
// one, and nobody else is logging in. It takes the turn.
func (c *Client) admit(ctx context.Context, s *slot) error {
	for {
		if !c.take(ctx) {
			return ctx.Err()
		}
		c.mu.Lock()
		if s.hub && (!c.single || c.active == 0) || !s.hub && !c.single && c.hubUp() {
			c.active++
			c.mu.Unlock()
			return nil
		}
		changed := c.changed
		c.mu.Unlock()
		<-c.turn
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Client) hubUp() bool { return c.slots[c.config.Resource].up }

// take waits for the turn to log in, and reports whether it came before ctx was done.
func (c *Client) take(ctx context.Context) bool {
	select {
	case c.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet reports that a device's stream shares the hub's fate, or may have been cut together with it.
func (c *Client) quiet(s *slot, resumable bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !s.hub && (resumable || !c.hubUp() || s.up)
}

// pick returns the keeper whose stream speaks for an address: a full JID's own, the hub's for the account.
func (c *Client) pick(from string) (*keeper, error) {
	_, resource, full := strings.Cut(from, "/")
	if !full {
		resource = c.config.Resource
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.slots[resource]
	if s == nil || s.removed {
		return nil, fmt.Errorf("%w: %s has no stream", ErrDown, from)
	}
	return s.keeper, nil
}

// Send queues a stanza on the stream of its from, a full JID of the account; the bare JID, or none, is the hub's. It never
// waits for the network: ErrDown says that the stream is down, stream.ErrFull that the server does not keep up; neither
// queues anything.
func (c *Client) Send(e *stream.Element) error {
	k, err := c.pick(e.Attr("from"))
	if err != nil {
		return err
	}
	return k.send(e)
}

// Request sends an IQ on the stream of its from and waits for its answer; see [stream.Stream.Request].
func (c *Client) Request(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	k, err := c.pick(iq.Attr("from"))
	if err != nil {
		return nil, err
	}
	return k.request(ctx, iq)
}

// Barrier returns nil once the server has taken every message sent to a bare JID before, on whichever stream. An error says that
// some may be lost. There may be one at a time for each recipient.
func (c *Client) Barrier(ctx context.Context, to string) error {
	c.mu.Lock()
	keepers := make([]*keeper, 0, len(c.slots))
	for _, s := range c.slots {
		keepers = append(keepers, s.keeper)
	}
	c.mu.Unlock()
	var errs []error
	for _, k := range keepers { // those that sent them no message answer at once
		errs = append(errs, k.barrier(ctx, to))
	}
	return errors.Join(errs...)
}
