package local

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidings/xmppbridge/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testDomain = "home.example"
	password   = "correct horse"
	patience   = 15 * time.Second // on a loaded machine; nothing waits that long when it works
)

var testCredentials = sync.OnceValue(func() Credentials {
	c, err := NewCredentials(password)
	if err != nil {
		panic(err)
	}
	return c
})

var testCertificate = sync.OnceValue(func() tls.Certificate {
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	c, _, err := Certificate(dir, testDomain)
	if err != nil {
		panic(err)
	}
	return c
})

// memory is a Store without a disk.
type memory struct {
	mu       sync.Mutex
	accounts map[string]Credentials
	items    map[string]map[string]Item
	broken   error

	keep    time.Duration // of the archive
	archive []Archived
	offline map[string][][]byte
	blocked map[string]map[string]bool
	nodes   map[string]map[string][]byte
}

func (m *memory) Credentials(_ context.Context, account string) (Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.accounts[account]
	if !ok {
		return Credentials{}, ErrNoAccount
	}
	return c, m.broken
}

func (m *memory) Items(_ context.Context, account string) ([]Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Item
	for _, i := range m.items[account] {
		out = append(out, i)
	}
	return out, nil
}

func (m *memory) PutItem(_ context.Context, account string, item Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items[account] == nil {
		m.items[account] = make(map[string]Item)
	}
	m.items[account][item.JID] = item
	return m.broken
}

func (m *memory) DeleteItem(_ context.Context, account, jid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items[account], jid)
	return m.broken
}

func (m *memory) Nodes(_ context.Context, account string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.nodes[account]), m.broken
}

func (m *memory) PutNode(_ context.Context, account, node string, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.nodes[account] == nil {
		m.nodes[account] = make(map[string][]byte)
	}
	m.nodes[account][node] = content
	return m.broken
}

func (m *memory) DeleteNode(_ context.Context, account, node string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes[account], node)
	return m.broken
}

// house is a Backend with two devices, a lamp and a door, which answer probes and messages.
type house struct {
	store *memory
	t     testing.TB

	mu        sync.Mutex
	server    *Server
	contacts  map[string][]Contact
	delivered []*stream.Element
	events    []string // "available FULL", "changed FULL", "unavailable FULL"
	changed   chan struct{}
}

func (h *house) Account(name string) bool {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	_, ok := h.store.accounts[name]
	return ok
}

func (h *house) Contacts(account string) []Contact {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.contacts[account])
}

func (h *house) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *house) Deliver(st *stream.Element) {
	st = st.Clone()
	h.note(func() { h.delivered = append(h.delivered, st) })
	from, to := st.Attr("from"), st.Attr("to")
	switch {
	case st.Name == "presence" && st.Attr("type") == "probe":
		h.show(from, to)
	case st.Name == "message" && st.Body() != "":
		h.send(stream.New(stream.NS, "message", "type", "chat", "from", to, "to", from).
			Add(stream.New(stream.NS, "body").AddText("heard " + st.Body())))
	case to == testDomain && stream.IsRequest(st) && st.Child(nsDiscoInfo, "query") != nil:
		info := stream.New(nsDiscoInfo, "query").Add(stream.New(nsDiscoInfo, "identity", "category", "server", "type", "im"))
		for _, v := range Features() {
			info.Add(stream.New(nsDiscoInfo, "feature", "var", v))
		}
		h.send(stream.Result(st, info.Add(h.server.Info()...)))
	case stream.IsRequest(st):
		h.send(stream.Result(st))
	case st.Body() == "panic":
		panic("asked to")
	}
}

func (h *house) Resources(contact string) []string {
	name, _, _ := strings.Cut(contact, "@")
	return []string{contact + "/" + name}
}

func (h *house) Available(full string, _ *stream.Element, initial bool) {
	if !initial {
		h.note(func() { h.events = append(h.events, "changed "+full) })
		return
	}
	h.note(func() { h.events = append(h.events, "available "+full) })
	account, _, _ := strings.Cut(full, "@")
	for _, c := range h.Contacts(account) {
		h.show(full, c.JID)
	}
}

func (h *house) Unavailable(full string) {
	h.note(func() { h.events = append(h.events, "unavailable "+full) })
}

// show sends the presence of a device to a client.
func (h *house) show(to, contact string) {
	name, _, _ := strings.Cut(contact, "@")
	h.send(stream.New(stream.NS, "presence", "from", contact+"/"+name, "to", to).
		Add(stream.New(stream.NS, "status").AddText(name + " is on")))
}

func (h *house) send(st *stream.Element) {
	if err := h.server.Send(st); err != nil && !errors.Is(err, ErrOffline) {
		h.t.Errorf("send: %v", err)
	}
}

// await waits until the house has seen what ok looks for.
func (h *house) await(what string, ok func() bool) {
	h.t.Helper()
	timeout := time.After(patience)
	for {
		h.mu.Lock()
		done, changed := ok(), h.changed
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			h.mu.Lock()
			defer h.mu.Unlock()
			h.t.Fatalf("the house never saw %s; events %v, stanzas %v", what, h.events, h.delivered)
		}
	}
}

func (h *house) awaitEvent(event string) {
	h.t.Helper()
	h.await(event, func() bool { return slices.Contains(h.events, event) })
}

// arrival waits for what a client sent to the house.
func (h *house) arrival(id string) (found *stream.Element) {
	h.t.Helper()
	h.await(id, func() bool {
		for _, st := range h.delivered {
			if st.Attr("id") == id {
				found = st
			}
		}
		return found != nil
	})
	return found
}

// fixture is a server that runs until the test ends.
type fixture struct {
	*Server
	t     testing.TB
	addr  string
	house *house
	store *memory
	cert  tls.Certificate
	stop  func() error
}

func devices() []Contact {
	return []Contact{
		{JID: "lamp@" + testDomain, Name: "Lamp", Groups: []string{"Hall"}},
		{JID: "door@" + testDomain, Name: "Door", Groups: []string{"Garden"}},
	}
}

// start runs a server with the accounts alice and bob on a free port.
func start(t testing.TB, limits Limits) *fixture {
	t.Helper()
	return startWith(t, limits, people())
}

// people is a store with the accounts alice and bob.
func people() *memory {
	return &memory{accounts: map[string]Credentials{"alice": testCredentials(), "bob": testCredentials()},
		items: make(map[string]map[string]Item), nodes: make(map[string]map[string][]byte)}
}

// startWith is start with a store; tune changes a server that is made before it runs.
func startWith(t testing.TB, limits Limits, store *memory, tune ...func(*Server)) *fixture {
	t.Helper()
	h := &house{t: t, store: store, changed: make(chan struct{}), contacts: map[string][]Contact{
		"alice": devices(), "bob": devices()[:1],
	}}
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := New(Options{
		Domain: testDomain, Listen: []string{"127.0.0.1:0"}, Certificate: testCertificate(),
		Backend: h, Store: store, Log: log, Limits: limits, Archive: store.keep,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tune {
		f(s)
	}
	h.server = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	f := &fixture{Server: s, t: t, house: h, store: store, cert: testCertificate()}
	f.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	f.addr = s.Addrs(ctx)[0].String()
	return f
}
