package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge"
	"tidings/xmppbridge/link"
	"tidings/xmppbridge/local"
	"tidings/xmppbridge/stream"
)

// A network is one way onto XMPP, running.
type network interface {
	xmppbridge.Network
	Run(ctx context.Context) error
	add(slug string)    // a device
	remove(slug string) // it is gone
	rosters()           // what the house gives people has changed
}

// A presenceOn is the bridge and its network together: they are replaced together when [xmpp] changes.
type presenceOn struct {
	config  config.XMPP
	bridge  *xmppbridge.Bridge
	network network
	run     *unit
	carry   *unit                    // the network: it ends after the bridge has said goodbye
	upload  *xmppbridge.ServerUpload // nil: the server inside has a place of its own
	up      atomic.Bool
}

// sameNetwork reports whether a new [xmpp] can go on with the streams of the old one.
func sameNetwork(a, b config.XMPP) bool {
	a.PresenceInterval, b.PresenceInterval = 0, 0 // the rules'
	return reflect.DeepEqual(a, b)
}

// openXMPP makes the bridge and the network of a configuration and starts both.
func (g *Gateway) openXMPP(ctx context.Context, cfg *config.Config) (*presenceOn, error) {
	x := cfg.XMPP
	on := &presenceOn{config: x}
	audience := map[string]xmppbridge.Audience{config.Component: xmppbridge.Subscribers,
		config.Client: xmppbridge.Broadcast, config.Local: xmppbridge.Rosters}[x.Mode]
	var err error
	on.bridge, err = xmppbridge.New(ctx, xmppbridge.Options{
		Name: cfg.Gateway.Name, Version: g.o.Version, Audience: audience, Addresses: g.addresses.Load(), Access: g.access.Load(),
		House: g.router, Desk: g.router, Admin: admin{g}, Executor: g.executor, Network: late{on}, Store: g.store, Log: g.log,
		History: g.bridgeHistory(cfg), Zone: cfg.Gateway.Location, Uploader: g.newUploader(on), Plot: g.plot,
		Rooms:    rooms(cfg),
		Accounts: g.accounts.addresses, Knows: on.knows, Server: on.inside, Inviter: g.inviter(cfg),
		Publish: xmppbridge.Publish{Enabled: cfg.Publish.Enabled, Service: cfg.Publish.Service, Every: x.PresenceInterval},
	})
	if err != nil {
		return nil, err
	}
	if on.network, err = g.newNetwork(cfg, on); err != nil {
		return nil, err
	}
	return on, nil
}

// rooms are those of a configuration, as the bridge has them.
func rooms(cfg *config.Config) []xmppbridge.Room {
	var out []xmppbridge.Room
	for _, r := range cfg.Rooms {
		out = append(out, xmppbridge.Room(r))
	}
	return out
}

// begin starts the two; devices known by now get their addresses.
func (on *presenceOn) begin(g *Gateway) {
	// Between two steps of the router: what it shows meanwhile must not be followed by what it showed before. Without a router
	// nothing is shown.
	_ = g.router.do(context.Background(), func() {
		for _, d := range g.router.Devices() {
			on.network.add(g.addresses.Load().Slug(d.ID))
			if shown, known := g.router.shown[d.ID]; known {
				on.bridge.Present(shown)
			}
		}
	})
	on.carry = start(on.network.Run)
	on.run = start(on.bridge.Run)
}

// end says goodbye and closes the streams.
func (on *presenceOn) end() error {
	return errors.Join(on.run.stop(), on.carry.stop())
}

// knows asks the server inside whether somebody has kept a contact that the house gave them.
func (on *presenceOn) knows(ctx context.Context, person, bare string) bool {
	inside, ok := on.network.(*localNetwork)
	if !ok {
		return true
	}
	name, _, _ := strings.Cut(person, "@")
	shows, err := inside.server.Shows(ctx, name, bare)
	return err != nil || shows
}

// inside is what the server inside does by its configuration.
func (on *presenceOn) inside() []*stream.Element {
	if inside, ok := on.network.(*localNetwork); ok {
		return inside.server.Info()
	}
	return nil
}

// late is the network of a bridge that is made before its network is.
type late struct{ on *presenceOn }

func (l late) Send(st *stream.Element) error                { return l.on.network.Send(st) }
func (l late) Barrier(ctx context.Context, to string) error { return l.on.network.Barrier(ctx, to) }
func (l late) Request(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	return l.on.network.Request(ctx, iq)
}

func (g *Gateway) newNetwork(cfg *config.Config, on *presenceOn) (network, error) {
	x, b := cfg.XMPP, on.bridge
	options := link.Options{
		Log:     g.log,
		Handle:  func(st *stream.Element, m link.Meta) { b.Deliver(st, m.Fresh) },
		Backoff: g.o.Backoff,
		Single:  func(error) { b.Single() },
	}
	trust := link.TLS{CAFile: x.CAFile, Pins: x.Pins}
	switch x.Mode {
	case config.Component:
		options.Up = func(string) { on.up.Store(true); on.searchAnew(); b.Up("") }
		options.Down = func(string, error) { on.up.Store(false) }
		mode := map[string]link.ComponentTLS{config.TLSDirect: link.ComponentTLSDirect, config.TLSPinned: link.ComponentTLSDirect,
			config.TLSOff: link.ComponentTLSOff}[x.TLS]
		return componentNetwork{link.NewComponent(link.ComponentConfig{Domain: x.Address, Server: x.Server, Secret: x.Secret,
			Mode: mode, TLS: trust}, options)}, nil
	case config.Client:
		hub := x.Address + "/" + x.Hub
		options.Up = func(full string) {
			if full == hub {
				on.up.Store(true)
				on.searchAnew()
			}
			b.Up(full)
		}
		options.Handle = func(st *stream.Element, m link.Meta) {
			b.Deliver(addressed(st, m.Stream), m.Fresh)
		}
		options.Down = func(full string, _ error) {
			if full == hub {
				on.up.Store(false)
			}
		}
		options.Cut = func(full string, cut bool) {
			if full == hub {
				on.up.Store(!cut)
			}
		}
		return clientNetwork{link.NewClient(link.ClientConfig{JID: x.Address, Resource: x.Hub, Password: x.Secret, Server: x.Server,
			TLS: trust, Streams: streams[x.Streams]}, options)}, nil
	}
	return g.newLocal(cfg, on)
}

type componentNetwork struct{ *link.Component }

func (componentNetwork) add(string)    {}
func (componentNetwork) remove(string) {}
func (componentNetwork) rosters()      {}

type clientNetwork struct{ *link.Client }

var streams = map[string]link.Streams{config.StreamsAuto: link.StreamsAuto, config.StreamsPerDevice: link.StreamsPerDevice,
	config.StreamsSingle: link.StreamsSingle}

// add opens a stream for a device, unless the hub speaks for all of them.
func (n clientNetwork) add(slug string)    { n.Add(slug) }
func (n clientNetwork) remove(slug string) { n.Remove(slug) }
func (n clientNetwork) rosters()           {}

// addressed says whom a stanza is to where the server left that out: to whoever's stream brought it (RFC 6120 §8.1.1.1).
func addressed(st *stream.Element, full string) *stream.Element {
	if st.Attr("to") == "" {
		st.SetAttr("to", full)
	}
	return st
}

// newLocal makes the server inside.
func (g *Gateway) newLocal(cfg *config.Config, on *presenceOn) (network, error) {
	x := cfg.XMPP
	cert, fingerprint, err := g.certificate(cfg)
	if err != nil {
		return nil, err
	}
	server, err := local.New(local.Options{
		Domain: x.Address, Listen: x.Local.Listen, WebSocket: x.Local.WebSocket, Upload: g.upload(cfg), Certificate: cert,
		Store: g.store, Log: g.log, Backend: on.bridge.LocalHouse(g.accounts.is), Archive: x.Local.Archive, Invites: doorkeeper{g},
	})
	if err != nil {
		return nil, err
	}
	return &localNetwork{server: server, up: &on.up, log: g.log, fingerprint: fingerprint, listening: g.o.Listening,
		name: cfg.Gateway.Name, domain: x.Address, doors: httpDoors(x.Local)}, nil
}

type localNetwork struct {
	server      *local.Server
	up          *atomic.Bool // it serves
	log         *slog.Logger
	fingerprint string
	listening   func(addrs []net.Addr, fingerprint string)
	name        string // the gateway's
	domain      string
	doors       []httpDoor
}

// An httpDoor is an address on which the server inside answers HTTP, and what for.
type httpDoor struct{ what, address string }

func httpDoors(l config.LocalServer) (doors []httpDoor) {
	if l.WebSocket != "" {
		doors = append(doors, httpDoor{"web clients", l.WebSocket})
	}
	if l.Upload.Listen != "" {
		doors = append(doors, httpDoor{"files", l.Upload.Listen})
	}
	return doors
}

// Run serves until ctx is done. What it listens on may be taken for the moment: it tries again.
func (n *localNetwork) Run(ctx context.Context) error {
	told := start(func(ctx context.Context) error {
		if addrs := n.server.Addrs(ctx); addrs != nil {
			n.up.Store(true)
			n.log.Info("xmpp server listening", "addresses", fmt.Sprint(addrs), "fingerprint", n.fingerprint)
			for _, door := range n.doors {
				n.log.Info("xmpp server answers HTTP", "for", door.what, "address", n.server.WebAddr(ctx, door.address))
			}
			if n.listening != nil {
				n.listening(addrs, n.fingerprint)
			}
			if service, ok := announcement(n.name, n.domain, mark(n.fingerprint), addrs); ok {
				announce(ctx, n.log, service)
			}
		}
		return nil
	})
	defer told.stop()
	defer n.up.Store(false)
	for wait := firstRestart; ; wait = min(2*wait, longestRestart) {
		err := n.server.Run(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		n.log.Error("xmpp server does not serve", "err", err, "again", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Send gives a stanza to the clients it is for. Presence nobody is there for is nothing lost; a message is kept by whoever
// sends it.
func (n *localNetwork) Send(st *stream.Element) error {
	err := n.server.Send(st)
	switch {
	case errors.Is(err, local.ErrOffline) && st.Name == "presence":
		return nil
	case errors.Is(err, local.ErrOffline) && st.Name == "message":
		return fmt.Errorf("%w: %w", xmppbridge.ErrAway, err)
	case errors.Is(err, local.ErrBlocked) && st.Name == "message":
		return fmt.Errorf("%w: %w", xmppbridge.ErrUnwanted, err)
	}
	return err
}

// Barrier waits for a sign of life of a client of the person's, which comes behind what it was sent: a phone that left the
// house has a connection that looks alive for a while. The server ends those that are silent for too long.
func (n *localNetwork) Barrier(ctx context.Context, to string) error {
	account, _, _ := strings.Cut(to, "@")
	return n.server.Confirm(ctx, account)
}

// Request has nobody to ask: what a server does for others, this one does for us without being asked.
func (n *localNetwork) Request(context.Context, *stream.Element) (*stream.Element, error) {
	return nil, xmppbridge.ErrNoServer
}

func (n *localNetwork) add(string)    {}
func (n *localNetwork) remove(string) {}
func (n *localNetwork) rosters()      { n.server.RosterChanged() }

// An outlet is what the router's intents and readings go to: the bridge of the moment, the store for alerts, and the history.
type outlet struct{ g *Gateway }

func (o outlet) present(p mapping.Presence) {
	if on := o.g.xmpp.Load(); on != nil {
		on.bridge.Present(p)
	}
}

func (o outlet) alert(a mapping.Alert, state remembered) { o.g.post.put(a, state) }
func (o outlet) remember(state remembered)               { o.g.post.remember(state) }

func (o outlet) meet(d *mapping.Device) { o.g.addresses.Load().Introduce(d.ID, d.Name) }

func (o outlet) appeared(d *mapping.Device) {
	if h := o.g.history.Load(); h != nil { // of points that it has no more, nothing is known from now on
		h.Lost(d.ID, time.Now(), recorded(d)...)
	}
	slug := o.g.addresses.Load().Slug(d.ID)
	if on := o.g.xmpp.Load(); on != nil {
		on.network.add(slug)
	}
	o.g.rosterChanged()
}

func (o outlet) turned(id devices.ID, online bool) {
	switch h := o.g.history.Load(); {
	case h == nil:
	case online:
		o.g.recordDevice(h, id, time.Now())
	default:
		h.Lost(id, time.Now())
	}
}

func (o outlet) read(readings []devices.Reading) {
	if h := o.g.history.Load(); h != nil {
		o.g.record(h, readings)
	}
	if on := o.g.xmpp.Load(); on != nil {
		on.bridge.Readings(readings)
	}
}

func (o outlet) gone(id devices.ID) {
	o.turned(id, false)
	addresses := o.g.addresses.Load()
	on := o.g.xmpp.Load()
	if on == nil {
		addresses.Leave(id)
		return
	}
	slug := addresses.Slug(id)
	on.bridge.Withdraw(id)
	on.network.remove(slug)
	addresses.Leave(id) // before contact lists are looked at
	o.g.rosterChanged()
}

// certificateDir is where the server inside keeps the certificate it made.
func certificateDir(cfg *config.Config) string { return filepath.Clean(cfg.Gateway.DataDir) }
