package xmppbridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// A House is what the bridge needs to know of the gateway. It is safe for concurrent use and answers from memory.
type House interface {
	// Device returns the model and the present state of one device.
	Device(id devices.ID) (*mapping.Device, devices.State, bool)
	// Devices are all models, sorted by id.
	Devices() []*mapping.Device
	// Online says whether a device counts as online and, when not, why ("silent for 2 min").
	Online(id devices.ID) (online bool, why string)
	// Alerts are the active alerts, oldest first.
	Alerts() []mapping.Alert
}

// An Admin is what administrators may do to the gateway itself.
type Admin interface {
	Reload(ctx context.Context) error
	Drivers() []DriverStatus
	RestartDriver(ctx context.Context, name string) error
	Log(lines int) []string // the last lines of the log, oldest first
}

// A DriverStatus is one connection in a few words.
type DriverStatus struct {
	Name, Type string
	Health     error // nil: working
}

// A Network carries stanzas, in one of the three modes. It is safe for concurrent use.
type Network interface {
	// Send queues a stanza; its from says which of our addresses it is from. It never waits for the network and does
	// not keep the stanza: an error says that it went nowhere.
	Send(st *stream.Element) error
	// Barrier returns nil once every message sent to someone since the last Barrier for them has been taken over, by their
	// server or, where that is us, by them. It waits for that as long as a stream that took them is there: an error says that
	// none is, so that some may be lost, or that ctx is done. stream.ErrFull says that it could not be asked, and is to be
	// asked again. There is one at a time for each recipient.
	Barrier(ctx context.Context, to string) error
	// Request sends an IQ of type get or set, whose from is one of our addresses, and waits for its answer, which Deliver does not
	// see. An error as answer is a *stream.StanzaError; ErrNoServer says that there is no server to ask: we are it. It must not
	// be called by who calls Deliver, and ctx must end at some time.
	Request(ctx context.Context, iq *stream.Element) (*stream.Element, error)
}

// ErrNoServer is what Network.Request answers where the server is the one inside the gateway.
var ErrNoServer = errors.New("there is no server but the one inside")

// Audience says how presence reaches those who watch a device.
type Audience uint8

// The audiences of the three modes.
const (
	Subscribers Audience = iota // the bridge keeps the subscriptions: component
	Rosters                     // every account that sees the device: local
	Broadcast                   // the server sends it to whoever the account lets: client
)

// Options are what a Bridge is made of. All but Admin, History, Uploader, Plot, Zone and Log must be set.
type Options struct {
	Name      string // the gateway's, for people
	Version   string
	Audience  Audience
	Addresses *mapping.Addresses
	Access    *mapping.Access
	House     House
	Desk      Desk
	Admin     Admin
	Executor  devices.Executor
	Network   Network
	Store     Store
	Rooms     []Room // that are joined
	Log       *slog.Logger
	// History is where charts and what programs read of the past come from; nil: nothing is kept.
	History History
	// Uploader is where pictures go; nil: nowhere, and what they show is told in words.
	Uploader Uploader
	// Plot says what there is to draw of an alert; nil: what is there of its device.
	Plot func(alert string) (mapping.Plot, bool)
	// Zone is that of the house, for the times people see; nil: the system's.
	Zone *time.Location
	// Accounts lists the bare JIDs of the server inside, for the audience Rosters.
	Accounts func() []string
	// Knows reports whether somebody has one of our bare JIDs among their contacts, for the audience Rosters; nil: they
	// all have all they may see. It may wait for a disk.
	Knows func(ctx context.Context, person, bare string) bool
	// Inviter makes accounts of the server inside, for admins; nil: there is none.
	Inviter Inviter
	// Server is what the server inside adds to the disco#info of the domain: identities, features and forms. nil: nothing.
	Server func() []*stream.Element
	// Publish says whether and where readings are published as pubsub items.
	Publish Publish
	// Pace is how many presences a second go out at most; 0 is 1,000.
	Pace int
}

// A Bridge answers for every device and for the hub. Make one with New.
type Bridge struct {
	o        Options
	log      *slog.Logger
	features []feature
	routes   map[routeKey]handler
	caps     caps

	roster *subscriptions
	// rosterKnown: the account's server has told who watches us.
	rosterKnown atomic.Bool
	hubUp       atomic.Pointer[time.Time] // of an account: since when its stream has been up, or was

	presence *presences
	sessions *sessions
	replay   *replay
	chats    *chats
	work     *workers
	alerts   *alerts
	told     *told
	events   *events
	readouts *readouts
	sharers  *sharers // of the account of client mode
	lists    *contactLists
	rooms    *rooms
	pictures *pictures
	charts   *alertCharts
	items    *items
	// publisher keeps nodes elsewhere.
	publisher *publisher

	settings sync.RWMutex // guards o.Access, o.Name, o.Zone and o.Publish.Every over a reload
}

// New makes a bridge; Run starts it. It reads the stored subscriptions and commands.
func New(ctx context.Context, o Options) (*Bridge, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pace == 0 {
		o.Pace = 1000
	}
	b := &Bridge{o: o, log: o.Log, chats: newChats(), sessions: newSessions(), work: newWorkers(o.Log), pictures: newPictures()}
	b.presence = newPresences(b)
	b.alerts, b.charts = newAlerts(b), newAlertCharts(b)
	b.sharers = newSharers(b)
	b.readouts = &readouts{live: map[programKey]*readout{}}
	b.rooms = newRooms(b, o.Rooms)
	if err := b.Load(ctx); err != nil {
		return nil, err
	}
	b.features = features(&b.o)
	b.routes = map[routeKey]handler{}
	for _, f := range b.features {
		for k, h := range f.routes {
			b.routes[k] = h
		}
	}
	b.caps = newCaps(b.features)
	return b, nil
}

// Load reads what is stored: again, for a bridge that was made while the one before it still ran, once that has ended and before
// Run. An error leaves what was read before.
func (b *Bridge) Load(ctx context.Context) error {
	was := b.events
	b.events = newEvents(b) // what is read gives reasons to look at readings
	roster, err1 := loadSubscriptions(ctx, b.o.Store, b.o.Audience)
	replay, err2 := loadReplay(ctx, b.o.Store)
	lists, err3 := loadContactLists(ctx, b)
	told, err4 := loadTold(ctx, b.o.Store)
	items, err5 := loadItems(ctx, b)
	publisher, err6 := loadPublisher(ctx, b)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		b.events = was
		return err
	}
	b.roster, b.replay, b.lists, b.told, b.items, b.publisher = roster, replay, lists, told, items, publisher
	return nil
}

// Run sends presence and alerts and works through commands until ctx is done; then everyone goes unavailable. The
// network must outlive it.
func (b *Bridge) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { b.keep(ctx, "presence", b.presence.run) })
	wg.Go(func() { b.keep(ctx, "alerts", b.alerts.run) })
	wg.Go(func() { b.keep(ctx, "pictures", b.charts.run) })
	wg.Go(func() { b.keep(ctx, "events", b.events.run) })
	wg.Go(func() { b.keep(ctx, "rooms", b.rooms.run) })
	wg.Go(func() { b.keep(ctx, "expiry", b.expire) })
	if b.o.Audience == Broadcast {
		wg.Go(func() { b.keep(ctx, "account", b.sharers.run) })
	}
	if b.publisher.needed() {
		wg.Go(func() { b.keep(ctx, "publisher", b.publisher.run) })
	}
	if b.o.Audience == Subscribers {
		wg.Go(func() { b.keep(ctx, "contact lists", b.lists.run) })
	}
	<-ctx.Done()
	b.work.stop()
	wg.Wait()
	b.presence.goodbye(context.WithoutCancel(ctx))
	return nil
}

// keep runs one part until ctx is done, again when it panics: that must not end the process, which would leave outputs as they
// are.
func (b *Bridge) keep(ctx context.Context, part string, run func(context.Context)) {
	for {
		func() {
			defer func() {
				if p := recover(); p != nil {
					b.log.Error("a part of the bridge failed", "part", part, "err", p, "stack", string(debug.Stack()))
				}
			}()
			run(ctx)
		}()
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// expire forgets what nobody came back for.
func (b *Bridge) expire(ctx context.Context) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.sessions.expire(now)
			b.chats.expire(now)
			b.replay.expire(now)
			b.missReceipts(now)
		}
	}
}

// Configure puts a new configuration's name and access in force. Whoever lost access sees what they no longer may
// see go, and what they had under way ends; whoever gained some sees it come. Nobody else notices.
func (b *Bridge) Configure(name string, access *mapping.Access) {
	b.settings.Lock()
	oldName, old := b.o.Name, b.o.Access
	b.o.Name, b.o.Access = name, access
	b.settings.Unlock()
	b.sessions.endIf(func(s *session) bool {
		who := s.call.bare
		id := s.cmd.device
		return access.Role(who) != old.Role(who) ||
			id != "" && (access.CanControl(who, id) != old.CanControl(who, id) || access.CanSee(who, id) != old.CanSee(who, id))
	})
	b.chats.endIf(func(full string) bool { return access.Role(bareJID(full)) != old.Role(bareJID(full)) })
	b.events.endIf(func(w *watch) bool { return !access.CanSee(w.asker.bare, w.device) })
	b.presence.compare(old, access)
	b.revokeLost()
	b.lists.wake()
	b.items.lost()
	b.publisher.again()
	if name != oldName {
		b.presence.mark(hubKey)
	}
}

func (b *Bridge) access() *mapping.Access {
	b.settings.RLock()
	defer b.settings.RUnlock()
	return b.o.Access
}

// SetZone puts another zone in force for the times people see.
func (b *Bridge) SetZone(zone *time.Location) {
	b.settings.Lock()
	defer b.settings.Unlock()
	b.o.Zone = zone
}

func (b *Bridge) zone() *time.Location {
	b.settings.RLock()
	defer b.settings.RUnlock()
	return cmp.Or(b.o.Zone, time.Local)
}

func (b *Bridge) addresses() *mapping.Addresses { return b.o.Addresses }

func (b *Bridge) name() string {
	b.settings.RLock()
	defer b.settings.RUnlock()
	return b.o.Name
}

// Up says that stanzas flow (again) for an address, or for all of them when full is empty: presence goes out anew and
// waiting alerts are sent.
func (b *Bridge) Up(full string) {
	if full == "" {
		b.revokeLost() // what was lost while nobody could be told
		b.presence.all()
		b.askAgain()
		b.rooms.up()
		b.publisher.again()
	} else if t, ok := b.addresses().Resolve(full); ok {
		b.presence.mark(presenceKey(t))
		if t.Kind == mapping.ToHub && b.o.Audience == Broadcast {
			now := time.Now()
			b.hubUp.Store(&now)
			b.askRoster(full)
			poke(b.sharers.kick)
			b.rooms.up()
			b.publisher.again()
		}
	}
	b.alerts.wake()
}

// Deliver takes a stanza that came in. fresh is false while it may have been waiting on the way: commands in it are
// refused. It does not block and keeps st.
func (b *Bridge) Deliver(st *stream.Element, fresh bool) {
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("stanza handler failed", "err", p, "from", st.Attr("from"), "stack", string(debug.Stack()))
			if stream.IsRequest(st) {
				b.send(stream.ErrorReply(st, stream.NewStanzaError(stream.InternalServerError, "")))
			}
		}
	}()
	if mapping.Reserved(st.Attr("from")) {
		return // no address: nobody is to pass for what only we call people in rooms
	}
	if m := b.rooms.of(st.Attr("from")); m != nil {
		m.deliver(st, fresh)
		return
	}
	switch {
	case !stream.IsStanza(st), st.Name == "iq" && b.deliverRoster(st):
		return
	case st.Attr("from") == "":
		b.answerServer(st)
	case st.Name == "iq":
		b.deliverIQ(st, fresh)
	case st.Name == "presence":
		b.deliverPresence(st)
	case st.Name == "message":
		b.deliverMessage(st, fresh)
	}
}

// send hands a stanza to the network; nil is nothing to send. Most callers need not look at the error, which is
// logged: a reply to someone whose stream is gone has nowhere to go.
func (b *Bridge) send(st *stream.Element) error {
	if st == nil {
		return nil
	}
	err := b.maySay(st)
	if err == nil {
		err = b.o.Network.Send(st)
	}
	if err != nil {
		b.log.Debug("stanza not sent", "jid", st.Attr("to"), "err", err)
		return err
	}
	b.told.said(st)
	return nil
}

// asker is who sent a stanza.
type asker struct {
	full, bare string
	role       mapping.Role
}

func (b *Bridge) asker(st *stream.Element) asker {
	full := st.Attr("from")
	bare := bareJID(full)
	return asker{full: full, bare: bare, role: b.access().Role(bare)}
}

// sees reports whether the asker may know of a device.
func (b *Bridge) sees(a asker, id devices.ID) bool { return b.access().CanSee(a.bare, id) }

// visible are the devices the asker may know of.
func (b *Bridge) visible(a asker) []*mapping.Device {
	access, all := b.access(), b.o.House.Devices()
	out := all[:0:0]
	for _, d := range all {
		if access.CanSee(a.bare, d.ID) {
			out = append(out, d)
		}
	}
	return out
}

// bareJID cuts the resource off. What is compared is normalised by mapping.Access; this is only a cut.
func bareJID(full string) string {
	for i := range len(full) {
		if full[i] == '/' {
			return full[:i]
		}
	}
	return full
}

// errStranger stands for someone without any role: to them, no address exists.
var errStranger = stream.NewStanzaError(stream.ServiceUnavailable, "")

// stanzaError is the one table that turns what can go wrong before a device was asked into a condition.
func stanzaError(err error) *stream.StanzaError {
	if e := (*stream.StanzaError)(nil); errors.As(err, &e) {
		return e
	}
	for _, row := range conditions {
		if errors.Is(err, row.err) {
			return &stream.StanzaError{Type: row.kind, Condition: row.condition, Text: err.Error()}
		}
	}
	return stream.NewStanzaError(stream.InternalServerError, err.Error())
}

var conditions = []struct {
	err             error
	kind, condition string
}{
	{devices.ErrUnknownDevice, stream.TypeCancel, stream.ItemNotFound},
	{devices.ErrUnknownPoint, stream.TypeCancel, stream.ItemNotFound},
	{devices.ErrForbidden, stream.TypeAuth, stream.Forbidden},
	{devices.ErrNotWritable, stream.TypeCancel, stream.NotAllowed},
	{devices.ErrUnconfirmed, stream.TypeAuth, stream.Forbidden},
	{devices.ErrDown, stream.TypeWait, stream.RecipientUnavailable},
	{devices.ErrRange, stream.TypeModify, stream.NotAcceptable},
	{devices.ErrValue, stream.TypeModify, stream.BadRequest},
	{devices.ErrBusy, stream.TypeWait, stream.ResourceConstraint},
	{devices.ErrStopping, stream.TypeWait, stream.ServiceUnavailable},
	{devices.ErrTimeout, stream.TypeWait, stream.RemoteServerTimeout}, // its turn did not come
	{context.DeadlineExceeded, stream.TypeWait, stream.RemoteServerTimeout},
}
