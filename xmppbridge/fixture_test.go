package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// houseFile is the house of the tests. Alice does everything, otto controls, vera sees, and wim sees only the lamp;
// mallory is a stranger.
const houseFile = `
[access]
"alice@example.org" = "admin"
"otto@example.org" = "operator"
"vera@example.org" = "viewer"
"wim@example.org" = { role = "viewer", devices = ["lamp"] }

[drivers.line]
type = "test"

[devices.lamp]
driver = "line"
name = "Lamp"
location = "Hall"
class = "light"
settle = "0s"
[devices.lamp.points.power]
kind = "switch"

[devices.oven]
driver = "line"
name = "Oven"
location = "Kitchen"
settle = "0s"
[devices.oven.points.heat]
kind = "switch"
danger = true
[devices.oven.points.target]
unit = "°C"
range = [50, 250]
[devices.oven.points.mode]
kind = "choice"
options = ["Grill", "Bake"]
`

const (
	alice   = "alice@example.org/phone"
	otto    = "otto@example.org/desk"
	vera    = "vera@example.org/pad"
	wim     = "wim@example.org/tv"
	mallory = "mallory@example.org/dark"

	lampBare, lamp = "lamp@things.example.org", "lamp@things.example.org/lamp"
	ovenBare, oven = "oven@things.example.org", "oven@things.example.org/oven"
	hubBare, hub   = "home@things.example.org", "home@things.example.org/home"
	domain         = "things.example.org"
)

// A fixture is a bridge that runs, in a bubble of synctest, between a house of two devices and a network that writes
// down what is sent.
type fixture struct {
	*Bridge
	t       *testing.T
	house   *testHouse
	network *testNetwork
	store   *testStore
	stop    func()

	execute func(context.Context, devices.Request) (devices.Outcome, error) // nil: done and confirmed
	mu      sync.Mutex
	asked   []devices.Request
	asks    int   // IQs of programs
	posted  int   // alerts
	seq     int64 // of the outbox
	runs    int   // commands
}

type setup struct {
	file     string // houseFile when empty
	audience Audience
	mode     string // of addresses; component when empty
	layout   string
	store    *testStore
	accounts []string
	silent   bool // the devices have not been heard yet
	admin    Admin
	inviter  Inviter
	pace     int
	more     func(*Options) // what else there is
	publish  Publish
}

// bubble runs a test of a bridge in a bubble.
func bubble(t *testing.T, s setup, test func(*fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, s)
		test(f)
		f.stop()
	})
}

func begin(t *testing.T, s setup) *fixture {
	t.Helper()
	if s.file == "" {
		s.file = houseFile
	}
	if s.mode == "" {
		s.mode = mapping.Component
	}
	if s.store == nil {
		s.store = &testStore{}
	}
	domain := domain
	if s.mode == mapping.Client {
		domain = "gw@example.org"
	}
	f := &fixture{t: t, network: &testNetwork{}, store: s.store}
	f.house = newTestHouse(t, s.file)
	addresses := mapping.NewAddresses(s.mode, s.layout, domain, "home", nil)
	addresses.Configure("lamp", "oven")
	var err error
	o := Options{
		Name: "House", Version: "1.2.3", Audience: s.audience, Addresses: addresses, Access: f.house.config.Access, House: f.house,
		Desk: f.house, Admin: s.admin, Inviter: s.inviter, Executor: f, Network: f.network, Store: f.store, Pace: s.pace, Publish: s.publish,
		Accounts: func() []string { return s.accounts },
	}
	if s.more != nil {
		s.more(&o)
	}
	f.Bridge, err = New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f.house.bridge = f.Bridge
	f.house.announce()
	if !s.silent {
		f.house.hear()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(f.stop)
	synctest.Wait()
	f.sent() // what it said to nobody
	return f
}

// Execute implements devices.Executor.
func (f *fixture) Execute(ctx context.Context, r devices.Request) (devices.Outcome, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	if f.execute != nil {
		return f.execute(ctx, r)
	}
	return devices.Outcome{Confirmed: true, Value: r.Value}, nil
}

// Check implements devices.Executor: of what the gateway refuses, the part that no one else looks at.
func (f *fixture) Check(r devices.Request) error {
	d, _, _ := f.house.Device(r.Device)
	if online, why := f.house.Online(r.Device); !online {
		return fmt.Errorf("%s is %w: %s", d.Name, devices.ErrDown, why)
	}
	if p := d.Point(r.Point); r.Via == devices.ViaIoT && !p.Programs {
		return fmt.Errorf("%s: %w to programs", p.Label, devices.ErrForbidden)
	}
	return nil
}

// requests are what was executed since the last call.
func (f *fixture) requests() []devices.Request {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.asked
	f.asked = nil
	return out
}

// deliver hands the bridge a stanza as it is on the wire.
func (f *fixture) deliver(xml string) { f.t.Helper(); f.Deliver(f.parse(xml), true) }

func (f *fixture) parse(xml string) *stream.Element {
	f.t.Helper()
	xml = strings.Replace(xml, " ", " xmlns='jabber:client' ", 1)
	st, err := stream.Parse([]byte(xml))
	if err != nil {
		f.t.Fatalf("%s: %v", xml, err)
	}
	return st
}

// sent is what went out since the last call, once the bridge has nothing more to do.
func (f *fixture) sent() []*stream.Element {
	synctest.Wait()
	return f.network.take()
}

// answer is the one stanza that goes out for one that comes in.
func (f *fixture) answer(xml string) *stream.Element {
	f.t.Helper()
	f.sent()
	f.deliver(xml)
	out := f.sent()
	if len(out) != 1 {
		f.t.Fatalf("%s\nis answered by %d stanzas: %v", xml, len(out), out)
	}
	return out[0]
}

// silence fails the test when a stanza is answered.
func (f *fixture) silence(xml string) {
	f.t.Helper()
	f.sent()
	f.deliver(xml)
	if out := f.sent(); len(out) != 0 {
		f.t.Errorf("%s\nis answered by %v", xml, out)
	}
}

// shown are presences as "type to: status", sorted.
func shown(sent []*stream.Element) []string {
	var out []string
	for _, st := range sent {
		if st.Name == "presence" {
			text := st.Attr("type") + " " + st.Attr("from") + " > " + st.Attr("to")
			if status := st.ChildText(stream.NS, "status"); status != "" {
				text += ": " + status
			}
			out = append(out, strings.TrimSpace(text))
		}
	}
	slices.Sort(out)
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// A testHouse is a house of real rules, stepped by hand.
type testHouse struct {
	t        *testing.T
	bridge   *Bridge
	config   *mapping.Config
	registry *devices.Registry
	rules    *mapping.Rules

	stepping sync.Mutex // around the rules

	mu     sync.Mutex
	models map[devices.ID]*mapping.Device
	shown  map[devices.ID]mapping.Presence
	said   []mapping.Alert
	lost   []mapping.Undelivered
}

func readHouse(t testing.TB, file string) *mapping.Config {
	t.Helper()
	root, err := schema.Parse("gateway.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	cfg := mapping.Read(root, mapping.ReadOptions{Mode: mapping.Component, Domain: domain, Hub: "home"})
	if err := root.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newTestHouse(t *testing.T, file string) *testHouse {
	t.Helper()
	h := &testHouse{t: t, config: readHouse(t, file), registry: devices.NewRegistry(),
		models: map[devices.ID]*mapping.Device{}, shown: map[devices.ID]mapping.Presence{}}
	h.rules = mapping.NewRules(h.config, h.registry, mapping.RulesOptions{PresenceInterval: time.Second})
	return h
}

func (h *testHouse) announce() {
	h.step(mapping.Change{Announce: &devices.Info{ID: "lamp", Driver: "line", Points: []devices.Point{
		{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true}}}})
	h.step(mapping.Change{Announce: &devices.Info{ID: "oven", Driver: "line", Model: "Hot 3", Notes: []string{"clock: not understood"},
		Points: []devices.Point{
			{Name: "heat", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
			{Name: "target", Kind: devices.KindNumber, Readable: true, Writable: true, Confirms: true},
			{Name: "mode", Kind: devices.KindChoice, Readable: true, Writable: true}}}})
}

// hear has both devices say something.
func (h *testHouse) hear() {
	h.link("lamp", nil)
	h.link("oven", nil)
	h.read("lamp", "power", devices.Bool(false))
	h.read("oven", "heat", devices.Bool(false))
	h.read("oven", "target", devices.Number(180))
	h.read("oven", "mode", devices.Text("Bake"))
	time.Sleep(2 * time.Second)
	h.step(mapping.Change{})
}

func (h *testHouse) link(id devices.ID, cause error) {
	h.step(mapping.Change{Link: &mapping.Link{ID: id, Up: cause == nil, Cause: cause}})
}

func (h *testHouse) read(id devices.ID, point string, v devices.Value) {
	h.step(mapping.Change{Readings: []devices.Reading{{Device: id, Point: point, Value: v, At: time.Now()}}})
}

// step does what the router does.
func (h *testHouse) step(c mapping.Change) {
	h.stepping.Lock()
	intents := slices.Clone(h.rules.Step(time.Now(), c))
	h.stepping.Unlock()
	h.carryOut(intents)
	if h.bridge != nil {
		h.bridge.Readings(c.Readings)
	}
}

// reload puts another configuration in force, and is not noticed by the bridge.
func (h *testHouse) reload(file string) {
	h.config = readHouse(h.t, file)
	h.carryOut(h.rules.Reload(h.config, mapping.RulesOptions{PresenceInterval: time.Second}, time.Now()))
}

func (h *testHouse) carryOut(intents []mapping.Intent) {
	for _, intent := range intents {
		h.mu.Lock()
		switch i := intent.(type) {
		case mapping.Appeared:
			h.models[i.Device.ID] = i.Device
		case mapping.Gone:
			delete(h.models, i.ID)
			h.mu.Unlock()
			h.bridge.Withdraw(i.ID)
			h.mu.Lock()
		case mapping.Presence:
			h.shown[i.Device] = i
			if h.bridge != nil {
				h.bridge.Present(i)
			}
		case mapping.Alert:
			h.said = append(h.said, i)
		}
		h.mu.Unlock()
	}
}

func (h *testHouse) Device(id devices.ID) (*mapping.Device, devices.State, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.models[id]
	if d == nil {
		return nil, devices.State{}, false
	}
	state, ok := h.registry.State(id)
	return d, state, ok
}

func (h *testHouse) Devices() []*mapping.Device {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*mapping.Device
	for _, id := range slices.Sorted(maps.Keys(h.models)) {
		out = append(out, h.models[id])
	}
	return out
}

func (h *testHouse) Online(id devices.ID) (bool, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, known := h.shown[id]
	if !known {
		return false, "not heard yet"
	}
	return p.Online, p.Status
}

func (h *testHouse) Alerts() []mapping.Alert {
	h.stepping.Lock()
	defer h.stepping.Unlock()
	return h.rules.Active()
}

// Acknowledge implements Desk.
func (h *testHouse) Acknowledge(_ context.Context, a mapping.Acknowledge) ([]mapping.Alert, error) {
	h.stepping.Lock()
	intents := slices.Clone(h.rules.Step(time.Now(), mapping.Change{Acknowledge: &a}))
	h.stepping.Unlock()
	h.carryOut(intents)
	var done []mapping.Alert
	for _, i := range intents {
		if said, ok := i.(mapping.Alert); ok && said.Occasion == mapping.Acknowledged {
			done = append(done, said)
		}
	}
	return done, nil
}

// Silence implements Desk.
func (h *testHouse) Silence(_ context.Context, s mapping.Silence) error {
	h.step(mapping.Change{Silence: &s})
	return nil
}

// Silences implements Desk.
func (h *testHouse) Silences() []mapping.SilenceState {
	h.stepping.Lock()
	defer h.stepping.Unlock()
	return h.rules.Silences()
}

// Undelivered implements Desk.
func (h *testHouse) Undelivered(_ context.Context, u mapping.Undelivered) error {
	h.mu.Lock()
	h.lost = append(h.lost, u)
	h.mu.Unlock()
	h.step(mapping.Change{Undelivered: &u})
	return nil
}

// A testNetwork writes down what is sent. It can be down, and refuse single stanzas.
type testNetwork struct {
	mu        sync.Mutex
	stanzas   []*stream.Element
	down      bool
	refuse    func(*stream.Element) error
	barrier   func(context.Context) error
	barrierTo func(ctx context.Context, to string) error
	barriers  int
	answer    func(context.Context, *stream.Element) (*stream.Element, error) // plays the server to Request
}

var errNetworkDown = errors.New("network down")

func (n *testNetwork) Send(st *stream.Element) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return errNetworkDown
	}
	if n.refuse != nil {
		if err := n.refuse(st); err != nil {
			return err
		}
	}
	n.stanzas = append(n.stanzas, st.Clone())
	return nil
}

func (n *testNetwork) Barrier(ctx context.Context, to string) error {
	n.mu.Lock()
	n.barriers++
	barrier, barrierTo := n.barrier, n.barrierTo
	n.mu.Unlock()
	if barrierTo != nil {
		return barrierTo(ctx, to)
	}
	if barrier != nil {
		return barrier(ctx)
	}
	return nil
}

// Request asks what plays the server, which nothing does unless a test says so.
func (n *testNetwork) Request(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	n.mu.Lock()
	answer := n.answer
	n.mu.Unlock()
	if answer == nil {
		return nil, ErrNoServer
	}
	return answer(ctx, iq.Clone())
}

func (n *testNetwork) set(change func(*testNetwork)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

func (n *testNetwork) take() []*stream.Element {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.stanzas
	n.stanzas = nil
	return out
}

// A testStore keeps everything in memory, over several lives of a bridge.
type testStore struct {
	mu            sync.Mutex
	subscriptions []Subscription
	executed      []Executed
	outbox        []Outgoing
	given         []Given
	told          []Told
	receipting    []string
	nodes         []NodeSubscription
	published     []PublishedNode
}

func (s *testStore) NodeSubscriptions(context.Context) ([]NodeSubscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.nodes), nil
}

func (s *testStore) SaveNodeSubscription(n NodeSubscription) {
	s.ForgetNodeSubscription(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, n)
}

func (s *testStore) ForgetNodeSubscription(n NodeSubscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = slices.DeleteFunc(s.nodes, func(x NodeSubscription) bool { return x == n })
}

func (s *testStore) Published(context.Context) ([]PublishedNode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.published), nil
}

func (s *testStore) SavePublished(ctx context.Context, n PublishedNode) error {
	_ = s.ForgetPublished(ctx, n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = append(s.published, n)
	return nil
}

func (s *testStore) ForgetPublished(_ context.Context, n PublishedNode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = slices.DeleteFunc(s.published, func(x PublishedNode) bool { return x == n })
	return nil
}

func (s *testStore) Given(context.Context) ([]Given, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.given), nil
}

func (s *testStore) SaveGiven(ctx context.Context, g Given) error {
	_ = s.ForgetGiven(ctx, g.Watcher, g.Target)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, g)
	return nil
}

func (s *testStore) ForgetGiven(_ context.Context, watcher, target string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = slices.DeleteFunc(s.given, func(g Given) bool { return g.Watcher == watcher && g.Target == target })
	return nil
}

func (s *testStore) Told(context.Context) ([]Told, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told), nil
}

func (s *testStore) SaveTold(t Told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(slices.DeleteFunc(s.told, func(x Told) bool { return x.ID == t.ID && x.To == t.To }), t)
}

func (s *testStore) Receipting(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.receipting), nil
}

func (s *testStore) SaveReceipting(person string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receipting = append(s.receipting, person)
}

func (s *testStore) Subscriptions(context.Context) ([]Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subscriptions), nil
}

func (s *testStore) SaveSubscription(sub Subscription) {
	s.ForgetSubscription(sub.Target, sub.Watcher)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = append(s.subscriptions, sub)
}

func (s *testStore) ForgetSubscription(target, watcher string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(x Subscription) bool { return x.Target == target && x.Watcher == watcher })
}

func (s *testStore) Executed(context.Context) ([]Executed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.executed), nil
}

func (s *testStore) SaveExecuted(e Executed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executed = append(s.executed, e)
}

func (s *testStore) ForgetExecuted(from string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.executed = slices.DeleteFunc(s.executed, func(e Executed) bool { return e.From == from })
}

func (s *testStore) Recipients(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.outbox {
		if !slices.Contains(out, m.To) {
			out = append(out, m.To)
		}
	}
	return out, nil
}

func (s *testStore) Pending(_ context.Context, to string, limit int) ([]Outgoing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Outgoing
	for _, m := range s.outbox {
		if m.To == to && len(out) < limit {
			out = append(out, m)
		}
	}
	return out, nil
}

func (s *testStore) Sent(_ context.Context, seq ...int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outbox = slices.DeleteFunc(s.outbox, func(m Outgoing) bool { return slices.Contains(seq, m.Seq) })
	return nil
}

// post puts an alert of the lamp into the outbox and tells the bridge.
func (f *fixture) post(seq int64, to, body string) {
	f.store.mu.Lock()
	f.store.outbox = append(f.store.outbox, Outgoing{Seq: seq, ID: "alert-" + body, To: to, Device: "lamp", Body: body, At: time.Now()})
	f.store.mu.Unlock()
	f.Alert()
}

// announceSwitch is a device with one switch.
func announceSwitch(id devices.ID) mapping.Change {
	return mapping.Change{Announce: &devices.Info{ID: id, Driver: "line", Points: []devices.Point{
		{Name: "p", Kind: devices.KindSwitch, Readable: true, Writable: true}}}}
}
