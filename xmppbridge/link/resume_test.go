package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

// keeping is a server for clients that manages streams (XEP-0198) and keeps one session over a cut.
type keeping struct {
	account
	refuse string // the answer to <enable/>; <enabled/> when empty
	forget bool   // it does not know the session when asked to resume it
	deaf   bool   // what comes after <enable/> is read and not handled
	mute   bool   // it is handled, and nothing is acknowledged

	mu      sync.Mutex
	acks    *stream.Acks // the server's
	binds   int
	resumes int
	got     []string // bodies handled
	conn    net.Conn // the present one
	down    bool     // nothing answers
}

func newKeeping(t *testing.T) (*keeping, ClientConfig, func() []error) {
	t.Helper()
	cert, pin := selfSigned(t)
	k := &keeping{account: account{cert: cert, password: "p"}}
	serve, wait := scripted(k.serve)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.down {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
		}
		return serve(ctx, network, addr)
	}
	return k, ClientConfig{JID: "me@client.test", Resource: "home", Password: "p", Server: "x:5222", Dial: dial, TLS: TLS{Pins: []Pin{pin}}}, wait
}

// cut ends the connection without a word.
func (k *keeping) cut(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
	_ = k.conn.Close()
}

func (k *keeping) back() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = false
}

func (k *keeping) say(body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := "<message from='a@b'><body>" + body + "</body></message>"
	_ = k.acks.Keep([]byte(text))
	_, _ = k.conn.Write([]byte(text)) // to a connection that is cut: kept
}

func (k *keeping) counts() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("%d binds, %d resumptions", k.binds, k.resumes)
}

func (k *keeping) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.got)
}

func (k *keeping) serve(conn net.Conn) error {
	f, secure, err := k.secure(conn)
	if err != nil || f.open(k.offer()) != nil {
		return nil
	}
	if ok, err := k.login(f, secure); err != nil || !ok {
		return err
	}
	if f.open(`<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>`) != nil {
		return nil
	}
	counting := false
	for e := f.next(); e != nil; e = f.next() {
		k.mu.Lock()
		answer, err := k.answer(f, e, &counting)
		k.mu.Unlock()
		if err != nil {
			return err
		}
		if f.write(answer) != nil {
			return nil
		}
	}
	return nil
}

// answer is what the server makes of an element. The lock is held.
func (k *keeping) answer(f *fakeServer, e *stream.Element, counting *bool) (string, error) {
	if *counting && stream.IsStanza(e) && !k.deaf {
		k.acks.Handle()
	}
	switch {
	case e.Name == "resume":
		k.resumes++
		h, _ := strconv.ParseUint(e.Attr("h"), 10, 32)
		handled := fmt.Sprint(k.acks.Handled())
		if k.forget || e.Attr("previd") != "s1" {
			return "<failed xmlns='urn:xmpp:sm:3' h='" + handled + "'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", nil
		}
		if err := k.acks.Ack(uint32(h)); err != nil {
			return "", err
		}
		k.conn, *counting = f.conn, true
		answer := "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='" + handled + "'/>"
		for _, b := range k.acks.Unacked() {
			answer += string(b)
		}
		return answer, nil
	case e.Name == "iq" && e.First().Is(nsBind, "bind"):
		k.binds++
		k.conn = f.conn
		return "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@client.test/home</jid></bind></iq>", nil
	case e.Name == "enable":
		k.acks = stream.NewAcks(0)
		*counting = k.refuse == ""
		if k.refuse != "" {
			return k.refuse, nil
		}
		return "<message from='a@b'><body>not counted</body></message><enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' max='300'/>", nil
	case e.Name == "r" && k.mute:
	case e.Name == "r":
		return "<a xmlns='urn:xmpp:sm:3' h='" + fmt.Sprint(k.acks.Handled()) + "'/>", nil
	case e.Name == "a":
		h, _ := strconv.ParseUint(e.Attr("h"), 10, 32)
		return "", k.acks.Ack(uint32(h))
	case e.Name == "iq" && !k.deaf:
		pong := "<iq type='result' from='client.test' id='" + e.Attr("id") + "'/>"
		if *counting {
			_ = k.acks.Keep([]byte(pong))
		}
		return pong, nil
	case e.Name == "message" && !k.deaf:
		k.got = append(k.got, e.Body())
	}
	return "", nil
}

func chat(body string) *stream.Element {
	return stream.New(stream.NS, "message", "to", "a@b").Add(stream.New(stream.NS, "body").AddText(body))
}

// TestCutStreamIsResumed: nobody above notices, what was sent and what came meanwhile arrives once, and what came again is not
// fresh.
func TestCutStreamIsResumed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, cfg, wait := newKeeping(t)
		var v events
		link := NewClient(cfg, v.options())
		stop := start(t, link.Run)
		time.Sleep(time.Second)
		if got := v.take(); !slices.Equal(got, []string{"up me@client.test/home", "me@client.test/home not counted fresh=false"}) {
			t.Errorf("at first: %q", got)
		}
		if err := errors.Join(link.Send(chat("1")), link.Barrier(t.Context(), "a@b")); err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			k.cut(true)
			synctest.Wait()
			k.say("meanwhile")
			if err := link.Send(chat("2")); err != nil {
				t.Fatal(err)
			}
			if _, err := link.Request(t.Context(), stream.New(stream.NS, "iq", "type", "get")); !errors.Is(err, ErrDown) {
				t.Errorf("a request while it is cut: %v", err)
			}
			passed := make(chan error, 1)
			go func() { passed <- link.Barrier(t.Context(), "a@b") }()
			time.Sleep(2 * time.Minute)
			select {
			case err := <-passed:
				t.Fatalf("the barrier passed with the connection cut: %v", err)
			default:
			}
			k.back()
			if err := <-passed; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			k.say("after")
			synctest.Wait()
			if got := v.take(); !slices.Equal(got, []string{"me@client.test/home meanwhile fresh=false", "me@client.test/home after fresh=true"}) {
				t.Errorf("round %d: %q", round, got)
			}
		}
		if got := k.taken(); !slices.Equal(got, []string{"1", "2", "2", "2"}) {
			t.Errorf("the server got %q", got)
		}
		if got := k.counts(); got != "1 binds, 3 resumptions" {
			t.Error(got)
		}
		stop()
		if errs := wait(); len(errs) > 0 {
			t.Error(errs)
		}
		if got := v.take(); !slices.Equal(got, []string{"down me@client.test/home"}) {
			t.Errorf("at the end: %q", got)
		}
	})
}

// TestServerThatForgotTheStream: the stream is a new one, and of what was on its way only what the server did not handle is
// lost, which a barrier says.
func TestServerThatForgotTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, cfg, wait := newKeeping(t)
		k.forget = true
		var v events
		link := NewClient(cfg, v.options())
		stop := start(t, link.Run)
		time.Sleep(time.Second)
		v.take()
		for _, handled := range []bool{true, false} {
			k.mu.Lock()
			k.deaf, k.mute = !handled, handled
			k.mu.Unlock()
			if err := link.Send(chat("x")); err != nil {
				t.Fatal(err)
			}
			passed := make(chan error, 1)
			go func() { passed <- link.Barrier(t.Context(), "a@b") }()
			synctest.Wait()
			k.cut(false)
			time.Sleep(time.Minute)
			if err := <-passed; handled && err != nil || !handled && !errors.Is(err, ErrDown) {
				t.Errorf("handled %v: the barrier says %v", handled, err)
			}
			if got := v.take(); !slices.Equal(got, []string{"down me@client.test/home: <nil>", "up me@client.test/home", "me@client.test/home not counted fresh=false"}) {
				t.Errorf("got %q", got)
			}
		}
		stop()
		wait()
	})
}

// TestCutStreamIsGivenUp when the server no longer keeps it, though nothing answers yet.
func TestCutStreamIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, cfg, wait := newKeeping(t)
		var v events
		link := NewClient(cfg, v.options())
		stop := start(t, link.Run)
		time.Sleep(time.Second)
		v.take()
		k.cut(true)
		if time.Sleep(299 * time.Second); len(v.take()) > 0 {
			t.Error("given up early")
		}
		if err := link.Send(chat("x")); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if got := v.take(); !slices.Equal(got, []string{"down me@client.test/home: <nil>"}) {
			t.Errorf("got %q", got)
		}
		if err := link.Send(chat("x")); !errors.Is(err, ErrDown) {
			t.Errorf("then: %v", err)
		}
		if err := link.Barrier(t.Context(), "a@b"); !errors.Is(err, ErrDown) {
			t.Errorf("what was sent meanwhile: %v", err)
		}
		k.back()
		time.Sleep(10 * time.Minute)
		if got := k.counts(); got != "2 binds, 0 resumptions" {
			t.Error(got)
		}
		stop()
		wait()
	})
}

// TestStreamThatIsEndedIsNotResumed: a side that says that it ends the stream means it.
func TestStreamThatIsEndedIsNotResumed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{
		"in good order": "</stream:stream>",
		"with an error": "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
		"our error":     "<a xmlns='urn:xmpp:sm:3' h='99'/>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, cfg, wait := newKeeping(t)
				var v events
				link := NewClient(cfg, v.options())
				stop := start(t, link.Run)
				time.Sleep(time.Second)
				k.mu.Lock()
				_, _ = k.conn.Write([]byte(end))
				k.mu.Unlock()
				time.Sleep(10 * time.Second)
				if got := v.take(); len(got) != 5 || !strings.HasPrefix(got[2], "down") || got[3] != "up me@client.test/home" {
					t.Errorf("got %q", got)
				}
				if got := k.counts(); got != "2 binds, 0 resumptions" {
					t.Error(got)
				}
				stop()
				wait()
			})
		})
	}
}

// TestServerThatRefusesManagement goes without: barriers are pings, and a cut is a loss.
func TestServerThatRefusesManagement(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"refused":     "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
		"no resuming": "<enabled xmlns='urn:xmpp:sm:3'/>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, cfg, wait := newKeeping(t)
				k.refuse = answer
				var v events
				link := NewClient(cfg, v.options())
				stop := start(t, link.Run)
				time.Sleep(time.Second)
				v.take()
				if name == "refused" {
					if err := errors.Join(link.Send(chat("x")), link.Barrier(t.Context(), "a@b")); err != nil {
						t.Error(err)
					}
				}
				k.cut(false)
				time.Sleep(10 * time.Second)
				if got := v.take(); !slices.Equal(got, []string{"down me@client.test/home: <nil>", "up me@client.test/home"}) || k.counts() != "2 binds, 0 resumptions" {
					t.Errorf("got %q, %s", got, k.counts())
				}
				stop()
				wait()
			})
		})
	}
}
