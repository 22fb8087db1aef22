package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
)

// ErrNotRunning is what [Broker.Dial] says while the broker does not run.
var ErrNotRunning = errors.New("the broker inside is not running")

// Bounds on what clients can make the broker hold, apart from those of Options.
const (
	maxPending    = 256       // messages between mochi and the queue of a client, which takes them at once
	maxInflight   = 1024      // unacknowledged messages of one client; more are left out
	maxWaiting    = 32 << 20  // bytes that wait for all clients, and as many that they have not acknowledged
	sessionExpiry = 24 * 3600 // seconds a session waits for its client
	sysInterval   = 60        // seconds between $SYS topics: mochi stops the world to count memory for them
	roomInside    = 16        // connections from inside, whatever the others have
	queueInside   = 16 << 20  // bytes that may wait for one of those: a house that announces itself all at once
)

// limits are the bounds of one broker.
type limits struct {
	clients  int
	packet   int64
	queue    int // bytes, of one client
	waiting  int64
	retained int
}

// A Broker is an MQTT broker in this process. Its methods are safe for concurrent use; Run is called once at a time.
type Broker struct {
	options Options
	log     *slog.Logger

	flushEvery time.Duration // RetainedFlush
	guessDelay time.Duration // firstDelay
	loginTime  time.Duration // loginTimeout
	again      chan struct{} // the file of users is to be looked at now

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
	o.MaxClients = cmp.Or(o.MaxClients, defaultMaxClients)
	o.MaxQueue = cmp.Or(o.MaxQueue, defaultMaxQueue)
	o.MaxRetained = cmp.Or(o.MaxRetained, defaultMaxRetained)
	return &Broker{options: o, log: o.Log, flushEvery: RetainedFlush, guessDelay: firstDelay, loginTime: loginTimeout, again: make(chan struct{}, 1), ready: make(chan struct{})}
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

func (b *Broker) run(ctx context.Context) (err error) {
	known, err := b.users()
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	kept, err := openKeeper(b.options.Dir, int(b.options.MaxRetained), b.log)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer kept.close()
	gate := newGate(b.guessDelay)
	local := newPairListener()
	doors, err := b.open(ctx, gate)
	if err != nil {
		return err
	}
	waiting := &budget{max: maxWaiting}
	all := []*listener{newListener(localID, local, b.log, max(int(b.options.MaxQueue), queueInside), waiting)}
	var addrs []net.Addr
	for i, d := range doors {
		addrs = append(addrs, d.Addr())
		l := newListener("net"+strconv.Itoa(i), d, b.log, int(b.options.MaxQueue), waiting)
		l.gate, l.login = gate, b.loginTime
		all = append(all, l)
	}
	closeAll := func() {
		for _, l := range all {
			l.Close(nil)
		}
	}
	log := newQuiet(b.log.Handler())
	defer log.hush()
	server := mochi.New(&mochi.Options{
		Capabilities:           b.capabilities(),
		Logger:                 slog.New(log),
		SysTopicResendInterval: sysInterval,
	})
	h := &hook{
		server: server, users: known, gate: gate, retained: kept.retained, log: b.log, wills: map[string]time.Time{},
		max: limits{clients: b.options.MaxClients, packet: b.options.MaxPacket, queue: int(b.options.MaxQueue), waiting: maxWaiting, retained: int(b.options.MaxRetained)},
	}
	if err := server.AddHook(h, nil); err != nil {
		closeAll()
		return fmt.Errorf("broker: %w", err)
	}
	for _, l := range all {
		l.lost = h.lost
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
	b.log.Info("broker listens", "addrs", addrs, "retained", kept.retained.len())

	b.keep(ctx, kept, h)
	b.serving(nil, nil)
	closeAll() // before mochi does: it would wait for those that have not logged in, and races with those just coming
	for _, l := range all {
		l.wg.Wait()
	}
	h.feeding.Wait()
	return server.Close()
}

// users reads the file of users; nil without one.
func (b *Broker) users() (*users, error) {
	if b.options.UsersFile == "" {
		return nil, nil
	}
	return newUsers(b.options.UsersFile, b.log)
}

// open listens on all addresses, or on none.
func (b *Broker) open(ctx context.Context, g *gate) (doors []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, d := range doors {
				_ = d.Close()
			}
			doors = nil
		}
	}()
	o := b.options
	var cert *certificate
	if len(o.TLSListen) > 0 || o.TLSWebSocket != "" {
		if cert, err = newCertificate(o.CertFile, o.KeyFile, b.log); err != nil {
			return nil, fmt.Errorf("broker: %w", err)
		}
	}
	listen := func(addr string, wrap func(net.Listener) net.Listener) {
		if err != nil || addr == "" {
			return
		}
		if err = o.check(addr); err != nil {
			err = fmt.Errorf("broker: %w", err)
			return
		}
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err != nil {
			err = listenError(addr, err)
			return
		}
		doors = append(doors, wrap(l))
	}
	for _, addr := range o.Listen {
		listen(addr, func(l net.Listener) net.Listener { return l })
	}
	for _, addr := range o.TLSListen {
		listen(addr, func(l net.Listener) net.Listener { return tls.NewListener(l, cert.tlsConfig()) })
	}
	open := o.UsersFile == ""
	listen(o.WebSocket, func(l net.Listener) net.Listener { return newWebListener(l, nil, open, g, b.log) })
	listen(o.TLSWebSocket, func(l net.Listener) net.Listener {
		return newWebListener(l, cert.tlsConfig("http/1.1"), open, g, b.log)
	})
	return doors, err
}

// Reload has the file of users looked at now; the broker does so by itself every two seconds, and with each login. The
// certificate's files are looked at with each connection.
func (b *Broker) Reload() { signal(b.again) }

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
	c.MaximumClients = int64(b.options.MaxClients) + roomInside
	c.MaximumClientWritesPending = maxPending
	c.MaximumInflight = maxInflight
	c.ReceiveMaximum = maxInflight
	c.MaximumSessionExpiryInterval = sessionExpiry
	c.MaximumMessageExpiryInterval = 0 // the default forgets a state after a day
	c.RetainAvailable = 0              // retained messages are the hook's
	// The properties of a message are no business of its acknowledgement, which has to say how it went before them.
	c.Compatibilities.NoInheritedPropertiesOnAck = true
	c.TopicAliasMaximum = 0 // an alias is a way around the rules, and room for 65,535 topics a client
	return c
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("broker: %s is taken: another broker is listening there: use that one as `broker` of the driver, or choose another port: %w", addr, err)
	}
	return fmt.Errorf("broker: listen: %w", err)
}
