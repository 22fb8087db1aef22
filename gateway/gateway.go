package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/drivers"
	"tidings/gateway/config"
	"tidings/gateway/store"
	"tidings/mapping"
	"tidings/xmppbridge"
	"tidings/xmppbridge/link"
)

// Options are what a Gateway is given from outside. Config is required.
type Options struct {
	Config  string // the file
	Version string
	Log     *slog.Logger   // nil: slog.Default()
	Level   *slog.LevelVar // set from [gateway] log_level; nil: left alone
	Tail    func(lines int) []string
	// Backends replace what drivers reach the outside with; the zero value is the real thing.
	Backends drivers.Backends
	// Listening is told the addresses of the server inside and its certificate's fingerprint.
	Listening func(addrs []net.Addr, fingerprint string)
	// Backoff is how long the links to a server wait before trying again; the zero value is the usual.
	Backoff link.Backoff
}

// A Gateway is one gateway. Make one with New; Run runs it once.
type Gateway struct {
	o     Options
	log   *slog.Logger
	types []devices.Type
	ready chan struct{} // closed when everything is started

	store       *store.Store
	registry    *devices.Registry
	router      *router
	executor    *executor
	post        *postbox
	accounts    *accounts
	invitations *invitations
	roster      chan struct{} // one token: what the house gives people has changed

	config    atomic.Pointer[config.Config]
	access    atomic.Pointer[mapping.Access]
	addresses atomic.Pointer[mapping.Addresses]
	saved     struct { // saveNow's: the names that are stored
		addresses *mapping.Addresses
		changes   uint64
	}
	xmpp    atomic.Pointer[presenceOn]
	broker  atomic.Pointer[brokerOn]
	history atomic.Pointer[historyOn]

	reload      sync.Mutex // held while parts are replaced
	mu          sync.Mutex // guards what follows
	connections map[string]*connection
	ending      chan struct{}  // closed, with mu held, when nothing is begun any more
	detaching   sync.WaitGroup // what was begun and nobody waits for
}

// New reads the configuration and opens the store. The error lists every mistake of the file, a line each.
func New(ctx context.Context, o Options) (*Gateway, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	g := &Gateway{o: o, log: o.Log, ready: make(chan struct{}), registry: devices.NewRegistry(), roster: make(chan struct{}, 1),
		connections: map[string]*connection{}, ending: make(chan struct{})}
	o.Backends.MQTT.Local = g.dialBroker
	g.types = drivers.Types(o.Backends)
	cfg, err := g.load()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Gateway.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w: name one that can be written with data_dir in [gateway]", err)
	}
	if g.store, err = store.Open(filepath.Join(cfg.Gateway.DataDir, "tidings.db"), g.log); err != nil {
		return nil, err
	}
	if err := g.prepare(ctx, cfg); err != nil {
		return nil, errors.Join(err, g.closeStore())
	}
	return g, nil
}

// closeStore ends a store that never ran.
func (g *Gateway) closeStore() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return g.store.Run(ctx)
}

// Check reads a configuration as New does and touches nothing else.
func Check(file string) error {
	var backends drivers.Backends
	backends.MQTT.Local = new(Gateway).dialBroker // there is a way to the broker inside; nobody takes it
	_, err := config.Load(file, config.Options{Types: drivers.Types(backends)})
	return err
}

// CheckOnline is Check, and in client mode logs in to the account and looks whether it is the gateway's own. The gateway may be
// running. The other modes have nothing to log in to that would not disturb it.
func CheckOnline(ctx context.Context, file string) error {
	var backends drivers.Backends
	backends.MQTT.Local = new(Gateway).dialBroker
	cfg, err := config.Load(file, config.Options{Types: drivers.Types(backends)})
	if err != nil {
		return err
	}
	x := cfg.XMPP
	if x.Mode != config.Client {
		return fmt.Errorf("check: --online is for mode = %q, where the gateway has an account: with mode = %q there is nothing to ask", config.Client, x.Mode)
	}
	ours := map[string]bool{x.Hub: true}
	for id := range cfg.Mapping.Devices {
		ours[mapping.Slug(string(id))] = true
	}
	return link.Inspect(ctx, link.ClientConfig{JID: x.Address, Password: x.Secret, Server: x.Server, TLS: link.TLS{CAFile: x.CAFile, Pins: x.Pins}},
		func(resource string) bool { return ours[resource] })
}

func (g *Gateway) load() (*config.Config, error) {
	return config.Load(g.o.Config, config.Options{Types: g.types, Log: g.log, Memory: memory{g}})
}

// prepare makes what stays for the life of the gateway.
func (g *Gateway) prepare(ctx context.Context, cfg *config.Config) error {
	g.config.Store(cfg)
	slugs, err := g.store.Slugs(ctx)
	if err != nil {
		return err
	}
	if g.accounts, err = loadAccounts(ctx, g.store, cfg.XMPP); err != nil {
		return err
	}
	if g.invitations, err = loadInvitations(ctx, g.store); err != nil {
		return err
	}
	g.access.Store(g.accounts.over(cfg.Mapping.Access))
	g.addresses.Store(g.newAddresses(cfg, slugs))
	g.post = newPostbox(g.store, g.bridge, g.log)
	var state remembered
	if err := g.store.State(ctx, stateKey, &state); err != nil {
		g.log.Warn("state of the rules not read, beginning anew", "err", err)
	}
	g.router = newRouter(g.newRules(cfg), g.registry, outlet{g}, g.log)
	g.router.restore(state)
	g.executor = newExecutor(g.router, g.access.Load, g.actuator)
	g.setLevel(cfg)
	return nil
}

func (g *Gateway) newAddresses(cfg *config.Config, kept map[devices.ID]string) *mapping.Addresses {
	// What has no table, and cannot be discovered again, is gone for good, and so are its subscriptions.
	discovers := slices.ContainsFunc(cfg.Drivers, func(d config.Driver) bool { return d.Discovers })
	maps.DeleteFunc(kept, func(id devices.ID, _ string) bool {
		return !configured(cfg, id) && !(discovers && mapping.Discovered(id))
	})
	a := mapping.NewAddresses(cfg.XMPP.Mode, cfg.XMPP.Layout, cfg.XMPP.Address, cfg.XMPP.Hub, kept)
	if cfg.XMPP.Streams == config.StreamsSingle {
		a.MakeSingle()
	}
	a.Reserve(g.accounts.names()...)
	for id := range cfg.Mapping.Devices {
		a.Configure(id)
	}
	return a
}

func (g *Gateway) newRules(cfg *config.Config) *mapping.Rules {
	return mapping.NewRules(cfg.Mapping, g.registry, g.rulesOptions(cfg))
}

func (g *Gateway) rulesOptions(cfg *config.Config) mapping.RulesOptions {
	return mapping.RulesOptions{
		PresenceInterval: cfg.XMPP.PresenceInterval,
		CanSee:           func(bare string, id devices.ID) bool { return g.access.Load().CanSee(bare, id) },
		Location:         cfg.Gateway.Location,
	}
}

func (g *Gateway) setLevel(cfg *config.Config) {
	if g.o.Level != nil {
		g.o.Level.Set(cfg.Gateway.LogLevel)
	}
}

func (g *Gateway) bridge() *xmppbridge.Bridge {
	if on := g.xmpp.Load(); on != nil {
		return on.bridge
	}
	return nil
}

// Run runs the gateway until ctx is done, and then stops it: the rules first, for whom devices that their drivers let go of
// would be devices that are gone, then the drivers, the store last. It also stops, and returns why, when a part ends that
// nothing works without.
func (g *Gateway) Run(ctx context.Context) error {
	cfg := g.config.Load()
	// First of all: another gateway on it would have the same devices and the same addresses.
	listener, err := listenControl(cfg.Control.Socket)
	if err != nil {
		return errors.Join(err, g.closeStore())
	}
	storing := start(g.store.Run)
	posting := start(g.post.run)
	routing := start(g.router.run)
	stop := func(units ...*unit) (err error) {
		for _, u := range units {
			err = errors.Join(err, u.stop())
		}
		return err
	}
	g.setBroker(cfg)
	on, err := (*presenceOn)(nil), g.beginHistory(cfg)
	if err == nil {
		on, err = g.openXMPP(ctx, cfg)
	}
	if err != nil {
		g.stopBroker()
		return errors.Join(err, listener.Close(), stop(routing, posting), g.endHistory(), stop(storing))
	}
	g.xmpp.Store(on)
	on.begin(g)
	g.warnRecipients(cfg)
	g.announceOwn(cfg)
	g.startDrivers(cfg)
	rosters := start(g.tellRosters)
	saving := start(g.saveNow)
	socket := g.serveControl(listener)
	close(g.ready)
	g.log.Info("gateway running", "mode", cfg.XMPP.Mode, "address", cfg.XMPP.Address, "drivers", len(cfg.Drivers), "devices", len(cfg.Mapping.Devices))
	select {
	case <-ctx.Done():
		g.log.Info("gateway stopping")
	case <-routing.done:
		g.failed("router", routing.err)
	case <-posting.done:
		g.failed("postbox", posting.err)
	case <-storing.done:
		g.failed("store", storing.err)
	}
	// From here on nothing is begun. The outputs are made safe before anything is waited for that may take its time: a reload
	// in which a driver hangs ends soon, too, and starts nothing any more.
	g.mu.Lock()
	close(g.ending)
	g.mu.Unlock()
	err = stop(rosters, saving, routing)
	g.stopConnections(func(*connection) bool { return true }, func(string, devices.ID) bool { return true })
	err = errors.Join(err, socket.stop())
	g.detaching.Wait()
	g.reload.Lock() // one that is under way ends; one that comes later is refused
	defer g.reload.Unlock()
	err = errors.Join(err, g.xmpp.Load().end())
	g.stopBroker()
	// The postbox may still hold a state that is older than the last one.
	return errors.Join(err, stop(posting), g.save(context.WithoutCancel(ctx)), g.endHistory(), stop(storing))
}

// failed tells of a part that ended by itself.
func (g *Gateway) failed(part string, err error) {
	logPanic(g.log, err)
	g.log.Error("gateway stopping: a part of it failed", "part", part, "err", err)
}

// Ready is closed when everything has been started.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Alive reports whether the gateway does its work: the router goes round. It is what a watchdog may ask.
func (g *Gateway) Alive() bool { return g.router.alive(10 * heartbeat) }

// stopConnections ends those drivers that gone names, all at once: each may take a moment to bring its outputs into
// their safe state.
func (g *Gateway) stopConnections(gone func(*connection) bool, keep func(driver string, id devices.ID) bool) {
	g.mu.Lock()
	var stopping []*connection
	for name, c := range g.connections {
		if gone(c) {
			stopping = append(stopping, c)
			delete(g.connections, name)
		}
	}
	g.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range stopping {
		wg.Go(func() {
			if err := c.stop(keep, g.ending); err != nil {
				c.log.Error("driver did not stop cleanly", "err", err)
			}
		})
	}
	wg.Wait()
}

// over reports whether nothing is begun any more.
func (g *Gateway) over() bool {
	select {
	case <-g.ending:
		return true
	default:
		return false
	}
}

// actuator finds the driver that can act on a device.
func (g *Gateway) actuator(id devices.ID) (devices.Actuator, bool) {
	state, ok := g.registry.State(id)
	if !ok {
		return nil, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.connections[state.Info.Driver]
	if c == nil {
		return nil, false
	}
	a, ok := c.driver.Driver.(devices.Actuator)
	return a, ok
}

// rosterChanged has people's contact lists brought up to date, soon.
func (g *Gateway) rosterChanged() {
	select {
	case g.roster <- struct{}{}:
	default:
	}
}

// tellRosters brings contact lists up to date, several changes at once: a house that starts announces many devices.
func (g *Gateway) tellRosters(ctx context.Context) error {
	const gather = 100 * time.Millisecond
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.roster:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(gather):
		}
		if on := g.xmpp.Load(); on != nil {
			on.network.rosters()
			on.bridge.ContactsChanged()
		}
	}
}

// saveEvery is how much of running `for` times, and of what is counted, a crash may lose.
const saveEvery = time.Minute

func (g *Gateway) saveNow(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := g.saveState(ctx); err != nil && ctx.Err() == nil {
				g.log.Error("state not stored", "err", err)
			}
		}
	}
}

// saveState stores the names devices have, and has the state of the rules stored.
func (g *Gateway) saveState(ctx context.Context) error {
	if err := g.router.do(ctx, func() { g.post.remember(g.router.snapshot()) }); err != nil {
		return err
	}
	addresses := g.addresses.Load()
	changes := addresses.Changes()
	if g.saved.addresses == addresses && g.saved.changes == changes {
		return nil
	}
	if err := g.store.SaveSlugs(ctx, addresses.Kept()); err != nil {
		return err
	}
	g.saved.addresses, g.saved.changes = addresses, changes
	return nil
}

// save is saveState once the router has stopped.
func (g *Gateway) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeLimit)
	defer cancel()
	return errors.Join(g.store.SaveState(ctx, stateKey, g.router.farewell()), g.store.SaveSlugs(ctx, g.addresses.Load().Kept()))
}
