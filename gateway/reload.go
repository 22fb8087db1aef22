package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge"
)

// Reload reads the configuration again. With a mistake in it the old one stays in force and the error lists what is
// wrong. Otherwise what changed is replaced: drivers whose tables changed, the streams when [xmpp] did; the rules go
// on with what the new one says. What did not change goes on without a blink.
func (g *Gateway) Reload(ctx context.Context) error {
	g.reload.Lock()
	defer g.reload.Unlock()
	if g.over() {
		return devices.ErrStopping
	}
	err := g.replace(ctx)
	if err != nil {
		g.log.Error("configuration not reloaded, the old one stays in force", "err", err)
		return err
	}
	g.log.Info("configuration reloaded")
	return nil
}

// replace is Reload with its lock held. ctx bounds what comes before anything is replaced; what follows is carried through, for
// half of a configuration is none.
func (g *Gateway) replace(ctx context.Context) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	old := g.config.Load()
	if old.Gateway.DataDir != cfg.Gateway.DataDir || old.Control.Socket != cfg.Control.Socket {
		return errors.New("data_dir and [control] socket cannot change while the gateway runs: restart it")
	}
	access := g.accounts.configure(cfg.XMPP, cfg.Mapping.Access)
	// Made before anything is stopped: what fails here leaves the old configuration in force.
	var replaced *presenceOn
	oldAddresses, oldAccess := g.addresses.Load(), g.access.Load()
	g.access.Store(access)
	back := func(err error) error {
		g.access.Store(oldAccess)
		g.accounts.configure(old.XMPP, old.Mapping.Access)
		if old.History == nil {
			err = errors.Join(err, g.endHistory())
		}
		return err
	}
	if err := g.beginHistory(cfg); err != nil {
		return back(err)
	}
	// What the bridge offers depends on whether there is a history, and on what is published.
	if same := sameNetwork(old.XMPP, cfg.XMPP) && old.Publish == cfg.Publish && (old.History == nil) == (cfg.History == nil); !same {
		addresses := g.newAddresses(cfg, oldAddresses.Kept())
		for _, d := range g.router.Devices() { // those that are there stay
			addresses.Introduce(d.ID, d.Name)
		}
		g.addresses.Store(addresses)
		if replaced, err = g.openXMPP(ctx, cfg); err != nil {
			g.addresses.Store(oldAddresses)
			return back(err)
		}
	} else {
		if err := g.renewCertificate(cfg); err != nil {
			return back(err)
		}
		for id := range cfg.Mapping.Devices {
			oldAddresses.Configure(id)
		}
	}
	g.config.Store(cfg)
	g.setLevel(cfg)
	if replaced != nil {
		if err := g.xmpp.Load().end(); err != nil {
			g.log.Warn("old streams did not end cleanly", "err", err)
		}
		if err := g.takeOver(ctx, replaced.bridge); err != nil {
			g.log.Error("what changed on the old streams lately is not known on the new ones", "err", err)
		}
		g.xmpp.Store(replaced)
	}
	if err := g.configureHistory(cfg); err != nil {
		g.log.Warn("history did not end cleanly", "err", err)
	}
	g.setBroker(cfg)
	g.replaceDrivers(cfg)
	if err := g.router.do(context.WithoutCancel(ctx), func() {
		g.router.reload(cfg.Mapping, g.rulesOptions(cfg))
		if old.History == nil {
			g.recordAll()
		}
	}); err != nil {
		return err
	}
	g.announceOwn(cfg)
	g.startDrivers(cfg)
	if replaced != nil {
		replaced.begin(g)
	} else {
		g.xmpp.Load().bridge.SetZone(cfg.Gateway.Location)
		g.xmpp.Load().bridge.SetPublishEvery(cfg.XMPP.PresenceInterval)
		g.xmpp.Load().bridge.Configure(cfg.Gateway.Name, access)
		g.xmpp.Load().bridge.SetRooms(rooms(cfg))
	}
	g.rosterChanged()
	g.warnRecipients(cfg)
	return nil
}

// takeOver has a bridge know what the one before it has noted since it was made: who subscribed, which commands were carried out,
// what people were told.
func (g *Gateway) takeOver(ctx context.Context, b *xmppbridge.Bridge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
	defer cancel()
	if err := g.store.Settled(ctx); err != nil {
		return err
	}
	return b.Load(ctx)
}

// replaceDrivers stops the drivers that are gone or changed. Their devices that the new configuration still has stay,
// the others are gone.
func (g *Gateway) replaceDrivers(cfg *config.Config) {
	g.stopConnections(func(c *connection) bool {
		now, ok := cfg.Driver(c.driver.Name)
		return !ok || now.Canonical != c.driver.Canonical
	}, func(driver string, id devices.ID) bool {
		return stays(cfg, driver, id)
	})
	// A driver that was stopped before it announced a device cannot withdraw it.
	for _, d := range g.router.Devices() {
		if !stays(cfg, d.Driver, d.ID) {
			g.router.inbox.withdraw(d.ID, devices.Gone)
		}
	}
}

// configured reports whether a configuration has a device, be it disabled.
func configured(cfg *config.Config, id devices.ID) bool { return cfg.Mapping.Devices[id] != nil }

// stays reports whether a configuration has a device of a driver, or that driver may discover it again.
func stays(cfg *config.Config, driver string, id devices.ID) bool {
	if configured(cfg, id) {
		return true
	}
	d, ok := cfg.Driver(driver)
	if !ok || !d.Discovers || !mapping.Discovered(id) {
		return false
	}
	for _, c := range cfg.Mapping.Devices {
		if c.Driver == driver && c.Match == string(id) { // its table's name is its own from now on
			return false
		}
	}
	return true
}

// announceOwn takes in the devices that no driver announces: those that are disabled, which people have as contacts, and those that
// have none because all of their points are computed.
func (g *Gateway) announceOwn(cfg *config.Config) {
	for id, d := range cfg.Mapping.Devices {
		switch {
		case d.Disabled:
			g.router.inbox.announce(devices.Info{ID: id, Driver: d.Driver, Disabled: true})
		case d.Driver == "":
			g.router.inbox.announce(devices.Info{ID: id})
			g.router.inbox.link(id, true, nil)
		}
	}
}

// startDrivers starts those that do not run; none once the gateway is ending.
func (g *Gateway) startDrivers(cfg *config.Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over() {
		return
	}
	for _, d := range cfg.Drivers {
		if g.connections[d.Name] == nil {
			g.connections[d.Name] = connect(d, g.router, g.log)
		}
	}
}

// admin is what administrators may do to the gateway over XMPP.
type admin struct{ g *Gateway }

// reloadLimit bounds a reload asked for over XMPP or the socket.
const reloadLimit = 30 * time.Second

// Reload is done by a goroutine of the gateway's own: the bridge that asks may be the one that is replaced.
func (a admin) Reload(ctx context.Context) error { return a.g.detached(ctx, a.g.Reload) }

func (a admin) Drivers() []xmppbridge.DriverStatus {
	a.g.mu.Lock()
	defer a.g.mu.Unlock()
	var out []xmppbridge.DriverStatus
	for _, d := range a.g.config.Load().Drivers {
		if c := a.g.connections[d.Name]; c != nil {
			out = append(out, xmppbridge.DriverStatus{Name: d.Name, Type: d.Type, Health: c.status()})
		}
	}
	return out
}

func (a admin) RestartDriver(ctx context.Context, name string) error {
	return a.g.detached(ctx, func(context.Context) error {
		a.g.reload.Lock()
		defer a.g.reload.Unlock()
		if a.g.over() {
			return devices.ErrStopping
		}
		cfg := a.g.config.Load()
		if _, ok := cfg.Driver(name); !ok {
			return fmt.Errorf("driver %s: there is none of that name", name)
		}
		a.g.stopConnections(func(c *connection) bool { return c.driver.Name == name },
			func(driver string, id devices.ID) bool { return stays(cfg, driver, id) })
		a.g.startDrivers(cfg)
		return nil
	})
}

func (a admin) Log(lines int) []string {
	if a.g.o.Tail == nil {
		return nil
	}
	return a.g.o.Tail(lines)
}

// detached runs f in a goroutine of its own and waits for it, or until ctx is done: f goes on then, and the gateway's end
// waits for it.
func (g *Gateway) detached(ctx context.Context, f func(context.Context) error) error {
	g.mu.Lock()
	if g.over() {
		g.mu.Unlock()
		return devices.ErrStopping
	}
	g.detaching.Add(1)
	g.mu.Unlock()
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), reloadLimit)
	u := start(func(context.Context) error {
		defer g.detaching.Done()
		defer cancel()
		return f(own)
	})
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
