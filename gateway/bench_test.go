package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/xmppbridge"
	"tidings/xmppbridge/stream"
)

// These measure the whole way of a reading and of a command, and what devices cost in memory, over the gateway's own
// parts; only the network is a counter of bytes, and the drivers are called by hand.

// A counter is a network that serialises every stanza as a stream does, and keeps nothing.
type counter struct {
	buf     []byte
	bytes   atomic.Int64
	stanzas atomic.Int64
	last    chan *stream.Element // what is sent, where the benchmark asks for it
}

func (c *counter) Send(st *stream.Element) error {
	c.buf = st.AppendXML(c.buf[:0])
	c.bytes.Add(int64(len(c.buf)))
	c.stanzas.Add(1)
	if c.last != nil {
		c.last <- st
	}
	return nil
}
func (c *counter) Barrier(context.Context, string) error { return nil }
func (c *counter) Request(context.Context, *stream.Element) (*stream.Element, error) {
	return nil, xmppbridge.ErrNoServer
}
func (c *counter) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (c *counter) add(string)                    {}
func (c *counter) remove(string)                 {}
func (c *counter) rosters()                      {}

// benchGateway is a gateway in component mode with n devices of three points, one person watching each, whose parts
// run and whose network is a counter.
func benchGateway(b *testing.B, n int) (*Gateway, *counter, *connection) {
	b.Helper()
	var text strings.Builder
	text.WriteString(`[gateway]
data_dir = "data"
[xmpp]
mode = "component"
address = "things.example.org"
secret_file = "secret"
[control]
socket = "t.sock"
[access]
"alice@example.org" = "operator"
[drivers.house]
type = "mqtt"
broker = "mqtt://127.0.0.1:1"
[alerts.hot]
device = "*"
when = "temperature > 35"
until = "temperature < 33"
to = ["alice@example.org"]
`)
	for i := range n {
		fmt.Fprintf(&text, `[devices.d%[1]d]
driver = "house"
name = "Device %[1]d"
location = "Room %[2]d"
[devices.d%[1]d.points]
temperature = { source = "d%[1]d/t", unit = "°C", precision = 1 }
humidity = { source = "d%[1]d/h", unit = "%%" }
power = { source = "d%[1]d/p", on = "ON", off = "OFF", command = "d%[1]d/set" }
`, i, i%20)
	}
	targets := make([]string, n)
	for i := range targets {
		targets[i] = fmt.Sprintf("d%d@things.example.org", i)
	}
	g, net := benchParts(b, text.String(), targets)
	// The driver is not run: the benchmark is the driver.
	c := &connection{driver: g.config.Load().Drivers[0], inbox: g.router.inbox, log: g.log, announced: map[devices.ID]struct{}{}, unit: start(func(ctx context.Context) error { <-ctx.Done(); return nil })}
	g.mu.Lock()
	g.connections["house"] = c
	g.mu.Unlock()
	b.Cleanup(func() { c.unit.stop() })
	points := []devices.Point{
		{Name: "temperature", Readable: true}, {Name: "humidity", Readable: true},
		{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true},
	}
	for i := range n {
		id := devices.ID(fmt.Sprintf("d%d", i))
		c.Announce(devices.Info{ID: id, Points: points, Silence: time.Hour})
		c.Link(id, true, nil)
		c.Publish(
			devices.Reading{Device: id, Point: "temperature", Value: devices.Number(20), At: time.Now()},
			devices.Reading{Device: id, Point: "humidity", Value: devices.Number(48), At: time.Now()},
			devices.Reading{Device: id, Point: "power", Value: devices.Bool(false), At: time.Now()})
	}
	waitFor(b, func() bool { return net.stanzas.Load() >= int64(n) })
	return g, net, c
}

// benchParts are the parts of a gateway with a configuration, running, with one person watching each target. Its drivers are not
// run, and its network is a counter.
func benchParts(b *testing.B, text string, targets []string) (*Gateway, *counter) {
	b.Helper()
	dir := b.TempDir()
	file := filepath.Join(dir, "gateway.toml")
	for name, content := range map[string]string{"gateway.toml": text, "secret": "s"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	g, err := New(b.Context(), Options{Config: file, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	cfg := g.config.Load()
	cfg.XMPP.PresenceInterval = 1 // every change shows, so that every reading goes the whole way
	g.router.rules = g.newRules(cfg)
	storing, posting, routing := start(g.store.Run), start(g.post.run), start(g.router.run)
	for _, target := range targets {
		g.store.SaveSubscription(xmppbridge.Subscription{Target: target, Watcher: "alice@example.org", From: true, To: true})
	}
	waitFor(b, func() bool { // for the writer, which takes what is saved when it comes round
		subs, err := g.store.Subscriptions(b.Context())
		return err == nil && len(subs) == len(targets)
	})
	net := &counter{}
	on := &presenceOn{config: cfg.XMPP, network: net}
	on.bridge, err = xmppbridge.New(b.Context(), xmppbridge.Options{Name: "Bench", Audience: xmppbridge.Subscribers,
		Addresses: g.addresses.Load(), Access: g.access.Load(), House: g.router, Executor: g.executor, Network: net, Store: g.store,
		Log: log, Pace: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	g.xmpp.Store(on)
	on.begin(g)
	b.Cleanup(func() {
		on.end()
		routing.stop()
		posting.stop()
		storing.stop()
	})
	return g, net
}

func waitFor(b *testing.B, done func() bool) {
	b.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(deadline) {
			b.Fatal("what was waited for did not happen within a minute")
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// BenchmarkReadingToStream is the time from a driver's Publish to the presence being serialised, one at a time: router,
// rules, bridge and their goroutines' hand-overs.
func BenchmarkReadingToStream(b *testing.B) {
	_, net, c := benchGateway(b, 10)
	net.last = make(chan *stream.Element, 16)
	at := time.Now()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		// Every reading changes what its device shows.
		id := devices.ID(fmt.Sprintf("d%d", i%10))
		c.Publish(devices.Reading{Device: id, Point: "temperature", Value: devices.Number(20 + float64((i/10+1)%2)), At: at})
		<-net.last
	}
}

// BenchmarkReadingThroughRouter is the CPU time of one reading through inbox, router, rules and presence, of many devices
// that change at once.
func BenchmarkReadingThroughRouter(b *testing.B) {
	_, _, c := benchGateway(b, 1000)
	readMany(b, c)
}

// BenchmarkReadingWithHistory is the same where each reading is kept, too.
func BenchmarkReadingWithHistory(b *testing.B) {
	g, _, c := benchGateway(b, 1000)
	cfg := *g.config.Load()
	cfg.History = &config.History{Keep: time.Hour, MaxSize: 200_000_000, Flush: time.Second}
	if err := g.beginHistory(&cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := g.endHistory(); err != nil {
			b.Error(err)
		}
	})
	readMany(b, c)
}

// readMany has a thousand devices change at once, again and again.
func readMany(b *testing.B, c *connection) {
	ids := make([]devices.ID, 1000)
	for i := range ids {
		ids[i] = devices.ID(fmt.Sprintf("d%d", i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		c.Publish(devices.Reading{Device: ids[i%1000], Point: "temperature", Value: devices.Number(float64(20 + i/1000%10)), At: time.Now()})
		if i%1000 == 999 {
			waitFor(b, func() bool { c.inbox.mu.Lock(); defer c.inbox.mu.Unlock(); return len(c.inbox.readings) == 0 })
		}
	}
}

// BenchmarkReadingWithSubscriptions is the CPU time of a changed reading, the whole way, where programs have 10,000 event
// subscriptions on 1,000 devices and none of their conditions is met.
func BenchmarkReadingWithSubscriptions(b *testing.B) {
	const n, each = 1000, 10
	g, _, c := benchGateway(b, n)
	ids := make([]devices.ID, n)
	for i := range ids {
		ids[i] = devices.ID(fmt.Sprintf("d%d", i))
		for p := range each {
			iq, err := stream.Parse(fmt.Appendf(nil, "<iq xmlns='jabber:client' type='set' id='1' from='alice@example.org/%d' to='%[2]s@things.example.org/%[2]s'>"+
				"<subscribe xmlns='urn:nf:iot:events:1.0' id='%[2]s' minInt='PT1S' maxInt='PT1H'><f n='humidity' by='%[3]d'/></subscribe></iq>", p, ids[i], 10+p))
			if err != nil {
				b.Fatal(err)
			}
			g.bridge().Deliver(iq, true)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime(b)
	for i := range b.N {
		c.Publish(devices.Reading{Device: ids[i%n], Point: "humidity", Value: devices.Number(48 + float64(i/n%10)/10), At: time.Now()})
		if i%n == n-1 {
			waitFor(b, func() bool { c.inbox.mu.Lock(); defer c.inbox.mu.Unlock(); return len(c.inbox.readings) == 0 })
		}
	}
	b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/reading")
}

// cpuTime is what the process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// echo is a driver that answers at once.
type echo struct {
	devices.Driver
	c *connection
}

func (e echo) Do(_ context.Context, cmd devices.Command) (devices.Result, error) {
	now := time.Now()
	e.c.Publish(devices.Reading{Device: cmd.Device, Point: cmd.Point, Value: cmd.Value, At: now})
	return devices.Result{Written: now}, nil
}

// BenchmarkCommand is an IQ command in and its answer out, confirmed by the device.
func BenchmarkCommand(b *testing.B) {
	g, net, c := benchGateway(b, 10)
	c.driver.Driver = echo{c.driver.Driver, c}
	answers := make(chan *stream.Element, 1024)
	net.last = answers
	bridge := g.bridge()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		onOff := [2]string{"on", "off"}[i%2]
		iq, err := stream.Parse([]byte(fmt.Sprintf(`<iq xmlns='jabber:client' type='set' id='c%d' from='alice@example.org/x' to='d1@things.example.org/d1'>`+
			`<command xmlns='http://jabber.org/protocol/commands' node='d1/power/%s' action='execute'/></iq>`, i, onOff)))
		if err != nil {
			b.Fatal(err)
		}
		bridge.Deliver(iq, true)
		for {
			st := <-answers
			if st.Name == "iq" {
				if st.Attr("type") != "result" {
					b.Fatal(st)
				}
				break
			}
		}
	}
}

// BenchmarkMemory is the live heap a device costs, with a watcher each, after a collection.
func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) {
			for range b.N {
				before := liveHeap()
				g, _, _ := benchGateway(b, n)
				b.ReportMetric(float64(liveHeap()-before)/float64(n), "heapB/device")
				runtime.KeepAlive(g)
			}
		})
	}
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
