package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is a DNS server on loopback: SRV records by name, and every host at 127.0.0.1.
type zone struct {
	conn net.PacketConn
	srv  map[string][]dnsmessage.SRVResource
	code dnsmessage.RCode // the answer to what is not there; NXDOMAIN when 0

	mu    sync.Mutex
	asked []string
}

func startZone(t *testing.T, z *zone) *net.Resolver {
	t.Helper()
	var err error
	if z.conn, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1500)
		for {
			n, from, err := z.conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := z.answer(buffer[:n]); answer != nil {
				_, _ = z.conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = z.conn.Close()
		<-done
	})
	addr := z.conn.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", addr)
	}}
}

func (z *zone) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	z.mu.Lock()
	z.asked = append(z.asked, q.Type.String()[4:]+" "+name)
	z.mu.Unlock()
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	switch records := z.srv[name]; {
	case q.Type == dnsmessage.TypeSRV && len(records) > 0:
		for _, r := range records {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &r})
		}
	case q.Type == dnsmessage.TypeA:
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	case q.Type == dnsmessage.TypeSRV:
		m.RCode = dnsmessage.RCodeNameError
		if z.code != 0 {
			m.RCode = z.code
		}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

func record(priority, weight uint16, host string, port int) dnsmessage.SRVResource {
	return dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: uint16(port), Target: dnsmessage.MustNewName(host)}
}

// listener is a server for clients on loopback that counts who comes.
func listener(t *testing.T, cert tls.Certificate, direct bool) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	if direct {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"xmpp-client"}})
	}
	a := &account{cert: cert, password: "p", then: func(f *fakeServer) error { f.next(); return nil }}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if err := a.serve(conn); err != nil {
					t.Log(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return port
}

// closedPort is one on which nothing listens.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestClientFindsItsServerInDNS(t *testing.T) {
	t.Parallel()
	cert, pin := selfSigned(t)
	plain, direct, none := listener(t, cert, false), listener(t, cert, true), closedPort(t)
	const xmpp, xmpps = "_xmpp-client._tcp.client.test", "_xmpps-client._tcp.client.test"
	for name, c := range map[string]struct {
		srv   map[string][]dnsmessage.SRVResource
		code  dnsmessage.RCode
		dials []string // host:port, in order; the last one is it
		kind  error    // of the failure
		say   string   // in it
	}{
		"STARTTLS": {
			srv:   map[string][]dnsmessage.SRVResource{xmpp: {record(0, 0, "a.test.", plain)}},
			dials: []string{fmt.Sprint("a.test:", plain)},
		},
		"direct TLS": {
			srv:   map[string][]dnsmessage.SRVResource{xmpps: {record(0, 0, "a.test.", direct)}},
			dials: []string{fmt.Sprint("a.test:", direct)},
		},
		"priorities mixed": {
			srv: map[string][]dnsmessage.SRVResource{
				xmpps: {record(20, 0, "c.test.", direct), record(5, 0, "b.test.", none)},
				xmpp:  {record(1, 0, "a.test.", none), record(30, 0, "d.test.", plain)},
			},
			dials: []string{fmt.Sprint("a.test:", none), fmt.Sprint("b.test:", none), fmt.Sprint("c.test:", direct)},
		},
		"STARTTLS before direct TLS": {
			srv: map[string][]dnsmessage.SRVResource{
				xmpps: {record(20, 0, "c.test.", direct)},
				xmpp:  {record(1, 0, "a.test.", plain)},
			},
			dials: []string{fmt.Sprint("a.test:", plain)},
		},
		"a server that does not speak TLS there": {
			srv: map[string][]dnsmessage.SRVResource{
				xmpps: {record(1, 0, "b.test.", plain)},
				xmpp:  {record(2, 0, "a.test.", plain)},
			},
			dials: []string{fmt.Sprint("b.test:", plain), fmt.Sprint("a.test:", plain)},
		},
		"no direct TLS": {
			srv: map[string][]dnsmessage.SRVResource{
				xmpps: {record(0, 0, ".", 0)},
				xmpp:  {record(1, 0, "a.test.", plain)},
			},
			dials: []string{fmt.Sprint("a.test:", plain)},
		},
		"no service": {
			srv:  map[string][]dnsmessage.SRVResource{xmpps: {record(0, 0, ".", 0)}, xmpp: {record(0, 0, ".", 0)}},
			kind: ErrHost, say: "says in DNS that it has no server for clients",
		},
		"nobody there": {
			srv:   map[string][]dnsmessage.SRVResource{xmpp: {record(0, 0, "a.test.", none)}},
			dials: []string{fmt.Sprint("a.test:", none)},
			say:   fmt.Sprint("nothing listens on a.test:", none),
		},
		"no records": {
			dials: []string{"client.test:5222", "client.test:5223"}, say: "nothing listens on client.test:5222",
		},
		"DNS that fails": {code: dnsmessage.RCodeServerFailure, say: "check the name, or the network's DNS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := &zone{srv: c.srv, code: c.code}
			resolver := startZone(t, z)
			var dials []string
			cfg := ClientConfig{JID: "me@client.test", Resource: "home", Password: "p", TLS: TLS{Pins: []Pin{pin}}, Resolver: resolver}
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials = append(dials, addr)
				if c.srv == nil {
					addr = fmt.Sprint("127.0.0.1:", none) // whatever listens on the ports of XMPP here
				}
				return (&net.Dialer{Resolver: resolver}).DialContext(ctx, network, addr)
			}
			conn, err := DialClient(t.Context(), cfg)
			if !slices.Equal(dials, c.dials) {
				t.Errorf("dialled %q, want %q", dials, c.dials)
			}
			if c.say != "" {
				checkError(t, err, c.kind)
				if err == nil || !strings.Contains(err.Error(), c.say) {
					t.Errorf("got %v, want %q", err, c.say)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if conn.Server != dials[len(dials)-1] || !conn.Encrypted || conn.JID != "me@client.test/home" {
				t.Errorf("got %+v", conn)
			}
		})
	}
}

// A domain is asked for, and its certificate checked, by the name that DNS has.
func TestClientFindsAServerOfAnyAlphabet(t *testing.T) {
	t.Parallel()
	z := &zone{srv: map[string][]dnsmessage.SRVResource{}}
	resolver := startZone(t, z)
	_, err := DialClient(t.Context(), ClientConfig{JID: "me@bücher.test", Resolver: resolver,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("enough") }})
	z.mu.Lock()
	defer z.mu.Unlock()
	if err == nil || !slices.Contains(z.asked, "SRV _xmpp-client._tcp.xn--bcher-kva.test") {
		t.Errorf("asked %q: %v", z.asked, err)
	}
}

func TestWeightsOfServers(t *testing.T) {
	t.Parallel()
	first := map[string]int{}
	for range 2000 {
		list := arrange([]target{
			{addr: "late", srv: net.SRV{Priority: 2, Weight: 100}},
			{addr: "none", srv: net.SRV{Priority: 1}},
			{addr: "one", srv: net.SRV{Priority: 1, Weight: 10}},
			{addr: "nine", srv: net.SRV{Priority: 1, Weight: 90}},
		})
		if len(list) != 4 || list[3].addr != "late" {
			t.Fatalf("got %v", list)
		}
		first[list[0].addr]++
	}
	if first["nine"] < 1600 || first["one"] < 100 || first["none"] > 100 {
		t.Errorf("first: %v", first)
	}
	equal := map[string]int{}
	for range 1000 {
		equal[arrange([]target{{addr: "a"}, {addr: "b"}})[0].addr]++
	}
	if equal["a"] < 300 || equal["b"] < 300 {
		t.Errorf("without weights: %v", equal)
	}
}
