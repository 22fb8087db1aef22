package mdns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A cable is a wire with a test at its other end.
type cable struct {
	closed chan struct{}
	in     chan packet
	mu     sync.Mutex
	out    []packet
	joined []int
}

type packet struct {
	message []byte
	index   int
	peer    netip.AddrPort
}

func newCable() *cable { return &cable{closed: make(chan struct{}), in: make(chan packet)} }

func (c *cable) join(index int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = append(c.joined, index)
	return nil
}

func (c *cable) read(b []byte) (int, int, netip.AddrPort, error) {
	select {
	case p := <-c.in:
		return copy(b, p.message), p.index, p.peer, nil
	case <-c.closed:
		return 0, 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (c *cable) write(b []byte, index int, to netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, packet{slices.Clone(b), index, to})
	return nil
}

func (c *cable) Close() error { close(c.closed); return nil }

// said is what was written since it was asked last, read by another implementation of DNS.
func (c *cable) said(t *testing.T) (messages []*dns.Msg, to []netip.AddrPort) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.out {
		m := new(dns.Msg)
		if err := m.Unpack(p.message); err != nil {
			t.Fatalf("%x: %v", p.message, err)
		}
		messages, to = append(messages, m), append(to, p.peer)
	}
	c.out = nil
	return messages, to
}

var (
	service = Service{Instance: "Home 3f2a", Types: []string{"_xmpp-client._tcp", "_xmpps-client._tcp"}, Host: "tidings-3f2a", Port: 5222,
		Text: []string{"domain=home.local"}, Domain: "home.local"}
	phone = netip.MustParseAddrPort("192.0.2.77:5353")
	lan   = network{index: 2, own: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}}
)

// tell runs a service between networks and a cable, in a bubble.
func tell(t *testing.T, s Service, test func(c *cable, plug func(network), stop func())) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, nets := newCable(), []network{lan}
		var mu sync.Mutex
		teller := &teller{service: s, wire: c, log: slog.New(slog.DiscardHandler), joined: map[int]*place{},
			networks: func() ([]network, error) { mu.Lock(); defer mu.Unlock(); return slices.Clone(nets), nil }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- teller.run(ctx) }()
		stop := sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		test(c, func(n network) { mu.Lock(); defer mu.Unlock(); nets = append(nets, n) }, stop)
		stop()
	})
}

// query asks as others do.
func query(name string, kind uint16, change func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.Question = []dns.Question{{Name: name, Qtype: kind, Qclass: dns.ClassINET}}
	if change != nil {
		change(m)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func lines(rr []dns.RR) []string {
	var out []string
	for _, r := range rr {
		out = append(out, strings.ReplaceAll(r.String(), "\t", " "))
	}
	slices.Sort(out)
	return out
}

func TestAnnounce(t *testing.T) {
	tell(t, service, func(c *cable, plug func(network), stop func()) {
		messages, to := c.said(t)
		if len(messages) != 1 || to[0] != group || !messages[0].Response || !messages[0].Authoritative {
			t.Fatalf("%v to %v", messages, to)
		}
		want := []string{
			`Home\ 3f2a._xmpp-client._tcp.local. 120 CLASS32769 SRV 0 0 5222 tidings-3f2a.local.`,
			`_xmpp-client._tcp.local. 4500 IN PTR Home\ 3f2a._xmpp-client._tcp.local.`,
			`home.local. 120 CLASS32769 A 192.0.2.1`,
			`home.local. 120 CLASS32769 AAAA 2001:db8::1`,
			`tidings-3f2a.local. 120 CLASS32769 A 192.0.2.1`,
			`_xmpp-client._tcp.home.local. 120 CLASS32769 SRV 0 0 5222 tidings-3f2a.local.`,
			`Home\ 3f2a._xmpps-client._tcp.local. 4500 CLASS32769 TXT "domain=home.local"`,
			`_services._dns-sd._udp.local. 4500 IN PTR _xmpps-client._tcp.local.`,
		}
		got := lines(messages[0].Answer)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("not said: %s in\n%s", w, strings.Join(got, "\n"))
			}
		}
		time.Sleep(again)
		if messages, _ := c.said(t); len(messages) != 1 {
			t.Errorf("said %d times after a second", len(messages))
		}
		time.Sleep(10 * look)
		if messages, _ := c.said(t); len(messages) != 0 {
			t.Errorf("said %d times after that", len(messages))
		}
		// Another network is told, too.
		plug(network{index: 3, own: []netip.Prefix{netip.MustParsePrefix("198.51.100.9/24")}})
		time.Sleep(look + again)
		messages, _ = c.said(t)
		if len(messages) != 2 || !slices.Contains(lines(messages[0].Answer), `home.local. 120 CLASS32769 A 198.51.100.9`) ||
			strings.Contains(messages[0].String(), "192.0.2.1") {
			t.Errorf("the other network: %v", messages)
		}
		stop()
		messages, _ = c.said(t)
		if len(messages) != 2 {
			t.Fatalf("%d goodbyes", len(messages))
		}
		for _, r := range messages[0].Answer {
			if r.Header().Ttl != 0 {
				t.Errorf("goodbye: %s", r)
			}
		}
	})
}

func TestAnswer(t *testing.T) {
	tell(t, service, func(c *cable, _ func(network), _ func()) {
		time.Sleep(2 * time.Second)
		c.said(t)
		ask := func(q []byte, from netip.AddrPort) (*dns.Msg, netip.AddrPort) {
			t.Helper()
			time.Sleep(2 * time.Second)
			c.in <- packet{q, lan.index, from}
			messages, to := c.said(t)
			if len(messages) == 0 {
				return nil, netip.AddrPort{}
			}
			return messages[0], to[0]
		}
		m, to := ask(query("_XMPP-Client._tcp.local.", dns.TypePTR, nil), phone)
		if m == nil || to != group || !slices.Equal(lines(m.Answer), []string{`_xmpp-client._tcp.local. 4500 IN PTR Home\ 3f2a._xmpp-client._tcp.local.`}) {
			t.Fatalf("browsing: %v to %v", m, to)
		}
		if extra := lines(m.Extra); len(extra) != 4 || !slices.Contains(extra, `tidings-3f2a.local. 120 CLASS32769 A 192.0.2.1`) {
			t.Errorf("beside it: %q", extra)
		}
		// For the asker alone, where they ask so.
		m, to = ask(query("home.local.", dns.TypeA, func(m *dns.Msg) { m.Question[0].Qclass |= 1 << 15 }), phone)
		if m == nil || to != phone || len(m.Answer) != 1 {
			t.Errorf("QU: %v to %v", m, to)
		}
		// A plain resolver.
		plain := netip.MustParseAddrPort("192.0.2.77:40000")
		m, to = ask(query("_xmpp-client._tcp.home.local.", dns.TypeSRV, func(m *dns.Msg) { m.Id = 77 }), plain)
		if m == nil || to != plain || m.Id != 77 || len(m.Question) != 1 || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 10 || m.Answer[0].Header().Class != dns.ClassINET {
			t.Errorf("plain: %v to %v", m, to)
		}
		m, _ = ask(query(`Home\ 3f2a._xmpp-client._tcp.local.`, dns.TypeANY, nil), phone)
		if m == nil || len(m.Answer) != 2 {
			t.Errorf("any: %v", m)
		}
		known := func(ttl uint32) []byte {
			return query("_xmpp-client._tcp.local.", dns.TypePTR, func(m *dns.Msg) {
				m.Answer = []dns.RR{&dns.PTR{Hdr: dns.RR_Header{Name: "_xmpp-client._tcp.local.", Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: ttl},
					Ptr: `Home\ 3f2a._xmpp-client._tcp.local.`}}
			})
		}
		if m, _ := ask(known(4000), phone); m != nil {
			t.Errorf("what is known is said: %v", m)
		}
		if m, _ := ask(known(1000), phone); m == nil {
			t.Error("what is known by half is not said")
		}
		for name, q := range map[string][]byte{
			"something else":  query("_http._tcp.local.", dns.TypePTR, nil),
			"another type":    query("home.local.", dns.TypeMX, nil),
			"another class":   query("home.local.", dns.TypeA, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
			"a response":      query("home.local.", dns.TypeA, func(m *dns.Msg) { m.Response = true }),
			"another opcode":  query("home.local.", dns.TypeA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }),
			"nothing":         {},
			"garbage":         []byte("\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\xff\xff\xff"),
			"half a question": query("home.local.", dns.TypeA, nil)[:20],
		} {
			if m, _ := ask(q, phone); m != nil {
				t.Errorf("%s: %v", name, m)
			}
		}
		if m, _ := ask(query("home.local.", dns.TypeA, nil), netip.MustParseAddrPort("203.0.113.1:5353")); m != nil {
			t.Errorf("somebody elsewhere is answered: %v", m)
		}
	})
}

// A flood of questions gets few answers.
func TestFlood(t *testing.T) {
	tell(t, service, func(c *cable, _ func(network), _ func()) {
		time.Sleep(3 * time.Second)
		c.said(t)
		for range 500 {
			c.in <- packet{query("home.local.", dns.TypeA, nil), lan.index, phone}
			c.in <- packet{query("home.local.", dns.TypeA, nil), lan.index, netip.MustParseAddrPort("192.0.2.77:40000")}
		}
		if messages, _ := c.said(t); len(messages) != 1+maxUnicast {
			t.Errorf("%d answers", len(messages))
		}
	})
}

// A service at one address is not told where that is not.
func TestOnly(t *testing.T) {
	s := service
	s.Only = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	tell(t, s, func(c *cable, _ func(network), _ func()) {
		messages, _ := c.said(t)
		if len(messages) != 1 || strings.Contains(messages[0].String(), "AAAA") {
			t.Errorf("%v", messages)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	if got := label("a.b" + strings.Repeat("ü", 40)); got != "a b"+strings.Repeat("ü", 30) {
		t.Errorf("%q", got)
	}
	long := Service{Instance: "x", Types: []string{strings.Repeat("a", 300)}, Host: "h"}
	if err := Run(t.Context(), long, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a name that is too long is taken")
	}
}

// Whatever comes is answered or not; nothing else.
func FuzzAnswer(f *testing.F) {
	f.Add(query("home.local.", dns.TypeA, nil))
	f.Add(query("_xmpp-client._tcp.local.", dns.TypePTR, nil))
	all, err := service.records([]netip.Addr{netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := answer(all, b, len(b)%2 == 0); ok && new(dns.Msg).Unpack(r.message) != nil {
			t.Errorf("%x: %x", b, r.message)
		}
	})
}
