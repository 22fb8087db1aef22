package local

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tidings/xmppbridge/stream"
)

// frail is a connection that breaks after so many bytes read or written; negative: it does not.
type frail struct {
	net.Conn
	mu         sync.Mutex
	reads, out int
}

var errBroken = errors.New("the connection broke")

func (f *frail) breaks(reads, out int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads, f.out = reads, out
}

func (f *frail) spend(left *int, n int) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *left < 0 {
		return n, false
	}
	n = min(n, *left)
	*left -= n
	return n, *left == 0
}

func (f *frail) Read(p []byte) (int, error) {
	n, last := f.spend(&f.reads, len(p))
	if n == 0 && last {
		f.Conn.Close()
		return 0, errBroken
	}
	n, err := f.Conn.Read(p[:n])
	return n, err
}

func (f *frail) Write(p []byte) (int, error) {
	n, last := f.spend(&f.out, len(p))
	n, err := f.Conn.Write(p[:n])
	if last {
		f.Conn.Close()
		return n, errBroken
	}
	return n, err
}

// resilient is a client that resumes however often its connection breaks, and counts for itself.
type resilient struct {
	t       *testing.T
	f       *fixture
	id      string
	full    string
	handled uint32
	acked   uint32
	unacked []string
	got     []string // bodies, in order
	said    int
}

// round has one connection until it breaks, or done says that it is enough.
func (r *resilient) round(reads, out int, say func(int) string, done func() bool) {
	r.t.Helper()
	c, wire := r.connect()
	defer wire.Close()
	wire.breaks(reads, out)
	c.try(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", r.id, r.handled))
	for {
		e, err := c.dec.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				r.t.Fatalf("the server ended the stream; %v", r)
			}
			return
		}
		switch {
		case e.Is(nsSM, "failed"):
			r.t.Fatalf("resume: %s", e)
		case e.Is(nsSM, "resumed"):
			r.ack(e)
			for _, st := range r.unacked {
				c.try(st)
			}
			for range 5 {
				if st := say(r.said); st != "" {
					r.said++
					r.unacked = append(r.unacked, st)
					c.try(st)
				}
			}
			c.try("<r xmlns='urn:xmpp:sm:3'/>")
		case e.Is(nsSM, "a"):
			r.ack(e)
		case e.Is(nsSM, "r"):
			c.try("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(int(r.handled)) + "'/>")
		case stream.IsStanza(e):
			r.handled++
			if e.Body() != "" {
				r.got = append(r.got, e.Body())
			}
		default:
			r.t.Fatalf("got %s", e)
		}
		if done() {
			return
		}
	}
}

func (r *resilient) ack(e *stream.Element) {
	h, err := strconv.ParseUint(e.Attr("h"), 10, 32)
	n := int(uint32(h) - r.acked)
	if err != nil || n < 0 || n > len(r.unacked) {
		r.t.Fatalf("%s with %d acknowledged and %d not", e, r.acked, len(r.unacked))
	}
	r.unacked = r.unacked[n:]
	r.acked = uint32(h)
}

// connect logs in up to the features.
func (r *resilient) connect() (*raw, *frail) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.f.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	wire := &frail{Conn: conn, reads: -1, out: -1}
	c := &raw{t: r.t, full: r.full}
	config := r.f.tls()
	config.NextProtos = []string{"xmpp-client"}
	c.use(tls.Client(wire, config))
	c.open()
	if failed := c.authenticate("SCRAM-SHA-256", conversation(r.t, "SCRAM-SHA-256", "alice", password, nil), nil); failed != "" {
		r.t.Fatal(failed)
	}
	c.open()
	return c, wire
}

// Cut wherever it may be, while the house and people go on talking: each message comes once and in order, each way.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	f := start(t, Limits{PerAddress: 100, StanzasPerSec: 1e6, BytesPerSecond: 1 << 30})
	b := f.online("bob", "phone")
	r := &resilient{t: t, f: f}
	c, wire := r.connect()
	c.bind("phone")
	c.write("<enable xmlns='urn:xmpp:sm:3' resume='1'/>")
	for r.id == "" {
		if e := c.next(); e.Is(nsSM, "enabled") {
			r.id, r.full = e.Attr("id"), c.full
		}
	}
	r.unacked = []string{"<presence/>"}
	c.write("<presence/>")
	wire.Close()

	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				show(f, "lamp", strconv.Itoa(i))
			}
		}
	})
	const rounds = 60
	var want []string
	say := func(i int) string {
		if i >= rounds {
			return ""
		}
		return fmt.Sprintf("<message type='chat' to='%s'><body>%d</body></message>", b.full, i)
	}
	for i := range rounds {
		b.write(fmt.Sprintf("<message type='chat' to='%s'><body>%d</body></message>", r.full, i))
		want = append(want, strconv.Itoa(i))
		reads, out := 40+i*37, -1
		if i%3 == 1 {
			reads, out = -1, 40+i*29
		}
		if i%3 == 2 {
			reads, out = 1+i*11, 1+i*13
		}
		began := time.Now()
		r.round(reads, out, say, func() bool { return time.Since(began) > time.Second })
	}
	b.sync()
	r.round(-1, -1, say, func() bool { return len(r.got) >= rounds && len(r.unacked) == 0 && r.said == rounds })
	if !slices.Equal(r.got, want) {
		t.Errorf("alice got %v", r.got)
	}
	b.sync()
	var heard []string
	for _, e := range b.backlog {
		if e.Body() != "" {
			heard = append(heard, e.Body())
		}
	}
	if !slices.Equal(heard, want) {
		t.Errorf("bob got %v", heard)
	}
	close(stop)
	others.Wait()
	if f.house.await("alice", func() bool { return len(f.house.events) > 0 }); slices.Contains(f.house.events, "unavailable "+r.full) {
		t.Errorf("somebody saw alice go: %v", f.house.events)
	}
}
