package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"

	mochi "github.com/mochi-mqtt/server/v2"
)

// ErrNotRunning is what [Broker.Dial] says while the broker does not run.
var ErrNotRunning = errors.New("the broker inside is not running")

// Bounds on what clients can make the broker hold, apart from Options.MaxPacket.
const (
	maxClients    = 1000
	maxPending    = 1024      // messages waiting for one client; more are dropped
	maxInflight   = 1024      // unacknowledged messages of one client, the same
	maxRetained   = 10_000    // topics; the message of one more is delivered, but not kept
	sessionExpiry = 24 * 3600 // seconds a session waits for its client
	sysInterval   = 600       // seconds between $SYS topics: mochi stops the world to count memory for them
)

// A Broker is an MQTT broker in this process. Its methods are safe for concurrent use; Run is called once at a time.
type Broker struct {
	options Options
	log     *slog.Logger

	mu      sync.Mutex
	ready   chan struct{} // closed while it serves
	local   *pairListener // nil while it does not
	addrs   []net.Addr
	lastErr error // why the last Run failed
}

// New makes a broker that does nothing until it is run.
func New(o Options) *Broker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.MaxPacket = cmp.Or(o.MaxPacket, defaultMaxPacket)
	return &Broker{options: o, log: o.Log, ready: make(chan struct{})}
}

// Addrs are the addresses it listens on, with the ports it got; nil while it does not run.
func (b *Broker) Addrs() []net.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs
}

// WaitReady waits until Run is listening, or for ctx's end.
func (b *Broker) WaitReady(ctx context.Context) error {
	b.mu.Lock()
	ready := b.ready
	b.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dial connects from inside the process. Such a connection needs no user and no password. While the broker does not
// run the error is [ErrNotRunning], with the reason when there is one.
func (b *Broker) Dial(ctx context.Context) (net.Conn, error) {
	b.mu.Lock()
	local, lastErr := b.local, b.lastErr
	b.mu.Unlock()
	if local == nil && lastErr != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, lastErr)
	}
	if local == nil {
		return nil, ErrNotRunning
	}
	return local.dial(ctx)
}

// Run listens and serves until ctx is done, and returns nil then, with every connection closed. It returns an error
// at once when it cannot listen or read its users: running it again later may mend that.
func (b *Broker) Run(ctx context.Context) error {
	err := b.run(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastErr = err
	return err
}

func (b *Broker) run(ctx context.Context) error {
	var known *users
	if b.options.UsersFile != "" {
		var err error
		if known, err = newUsers(b.options.UsersFile); err != nil {
			return fmt.Errorf("broker: %w", err)
		}
	}
	local := newPairListener()
	all := []*listener{newListener(localID, local, b.log)}
	closeAll := func() {
		for _, l := range all {
			l.Close(nil)
		}
	}
	var addrs []net.Addr
	for i, addr := range b.options.Listen {
		if err := b.options.check(addr); err != nil {
			closeAll()
			return fmt.Errorf("broker: %w", err)
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			closeAll()
			return listenError(addr, err)
		}
		addrs = append(addrs, l.Addr())
		all = append(all, newListener("tcp"+strconv.Itoa(i), l, b.log))
	}

	log := newQuiet(b.log.Handler())
	defer log.hush()
	server := mochi.New(&mochi.Options{
		Capabilities:           b.capabilities(),
		Logger:                 slog.New(log),
		SysTopicResendInterval: sysInterval,
	})
	if err := server.AddHook(&hook{server: server, users: known, log: b.log}, nil); err != nil {
		closeAll()
		return fmt.Errorf("broker: %w", err)
	}
	for _, l := range all {
		if err := server.AddListener(l); err != nil {
			closeAll()
			return fmt.Errorf("broker: %w", err)
		}
	}
	if err := server.Serve(); err != nil {
		closeAll()
		return fmt.Errorf("broker: %w", err)
	}
	b.serving(local, addrs)
	b.log.Info("broker listens", "addrs", addrs)

	<-ctx.Done()
	b.serving(nil, nil)
	closeAll() // before mochi does: it would wait for those that have not logged in, and races with those just coming
	for _, l := range all {
		l.wg.Wait()
	}
	return server.Close()
}

// serving makes the state of Run visible to the other methods.
func (b *Broker) serving(local *pairListener, addrs []net.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.local, b.addrs = local, addrs
	if local != nil {
		close(b.ready)
	} else {
		b.ready = make(chan struct{})
	}
}

func (b *Broker) capabilities() *mochi.Capabilities {
	c := mochi.NewDefaultServerCapabilities()
	c.MaximumPacketSize = uint32(b.options.MaxPacket)
	c.MaximumClients = maxClients
	c.MaximumClientWritesPending = maxPending
	c.MaximumInflight = maxInflight
	c.ReceiveMaximum = maxInflight
	c.MaximumSessionExpiryInterval = sessionExpiry
	c.MaximumMessageExpiryInterval = 0 // the default forgets a retained state after a day
	return c
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("broker: %s is taken: another broker is listening there: use that one as `broker` of the driver, or choose another port: %w", addr, err)
	}
	return fmt.Errorf("broker: listen: %w", err)
}
