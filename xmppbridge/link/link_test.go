package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tidings/xmppbridge/stream"
)

// events writes down what a link calls back with.
type events struct {
	mu   sync.Mutex
	list []string
	log  strings.Builder
}

func (v *events) add(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, fmt.Sprintf(format, args...))
}

// take returns what happened since the last take.
func (v *events) take() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := v.list
	v.list = nil
	return list
}

func (v *events) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.Write(p)
}

// logged counts the lines of the log, at Info and above, that hold text.
func (v *events) logged(text string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Count(v.log.String(), text)
}

func (v *events) options() Options {
	return Options{
		Log: slog.New(slog.NewTextHandler(v, nil)),
		Up:  func(jid string) { v.add("up %s", jid) },
		Down: func(jid string, err error) {
			if known, ok := errors.AsType[*Error](err); ok {
				v.add("down %s: %v", jid, known.Kind)
			} else {
				v.add("down %s", jid)
			}
		},
		Handle: func(e *stream.Element, m Meta) { v.add("%s %s fresh=%v", m.Stream, e.Body(), m.Fresh) },
		Single: func(err error) { v.add("single %v", err) },
	}
}

// start runs a link until the returned function is called, which returns when Run has.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestStanzasBeforeThePingsAnswerAreNotFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial, wait := scripted(func(conn net.Conn) error {
			f, err := acceptComponent(conn)
			if err != nil {
				return err
			}
			if err := f.write("<handshake/><message from='a@b'><body>queued</body></message>"); err != nil {
				return err
			}
			ping := f.next()
			if ping.Attr("to") != "gw.test" || ping.Attr("from") != "gw.test" {
				return fmt.Errorf("the first stanza is %v", ping)
			}
			// Somebody else's answer to it is no answer.
			if err := f.write("<iq type='result' from='evil.test' to='gw.test' id='" + ping.Attr("id") + "'/><message from='a@b'><body>late</body></message>"); err != nil {
				return err
			}
			if err := f.echo(ping); err != nil {
				return err
			}
			if err := f.write("<message from='a@b'><body>new</body></message>"); err != nil {
				return err
			}
			for f.next() != nil {
			}
			return nil
		})
		var v events
		stop := start(t, NewComponent(ComponentConfig{Domain: "gw.test", Dial: dial}, v.options()).Run)
		synctest.Wait()
		stop()
		want := []string{"up gw.test", "gw.test queued fresh=false", "gw.test  fresh=false", "gw.test late fresh=false", "gw.test new fresh=true", "down gw.test"}
		if got := v.take(); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if errs := wait(); len(errs) > 0 {
			t.Error(errs)
		}
	})
}

// What the bridge asks the server by itself, such as the roster, is answered to the bridge, whatever its id.
func TestAnswersOfTheServerAreHandedOn(t *testing.T) {
	var got []string
	k := &keeper{self: "example.org", opt: Options{Handle: func(e *stream.Element, _ Meta) { got = append(got, e.Attr("id")) }}}
	s := &session{jid: "gw@example.org/home", beacons: map[string]func(){}}
	for _, id := range []string{"tidings-roster", beacon + "lost", "7"} {
		k.handle(s, stream.New(stream.NS, "iq", "type", "result", "id", id, "to", s.jid))
	}
	if want := []string{"tidings-roster", "7"}; !slices.Equal(got, want) {
		t.Errorf("handed on: %q, want %q", got, want)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server script
		least  int // dials in an hour
		most   int
		lines  int // of the log
	}{
		// 1 s, 2 s, … 2 min: at the most some 35 to 45 in an hour, half and double for the jitter.
		"nobody there": {says(""), 25, 80, 1},
		"wrong secret": {says(componentHeader + "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"), 25, 61, 1},
		"conflict":     {says(componentHeader + "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"), 25, 80, 1},
		// A stream that lives for two minutes is healthy: a second later it is tried again.
		"dies after two minutes": {func(conn net.Conn) error {
			f, err := acceptComponent(conn)
			if err != nil {
				return err
			}
			if err := f.write("<handshake/>"); err != nil {
				return err
			}
			f.next()
			time.Sleep(2 * time.Minute)
			return nil
		}, 28, 31, 60},
		// One that dies at once is not.
		"dies at once": {says(componentHeader + "<handshake/>"), 25, 80, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var dials []time.Time
				serve, wait := scripted(c.server)
				dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
					dials = append(dials, time.Now())
					return serve(ctx, network, addr)
				}
				var v events
				o := v.options()
				o.Idle = -1
				stop := start(t, NewComponent(ComponentConfig{Domain: "gw.test", Dial: dial}, o).Run)
				time.Sleep(time.Hour)
				stop()
				wait()
				if n := len(dials); n < c.least || n > c.most {
					t.Errorf("%d dials in an hour: %v", n, dials)
				}
				for i := range len(dials) - 1 {
					if gap := dials[i+1].Sub(dials[i]); gap < time.Second {
						t.Errorf("tried again after %v", gap)
					}
				}
				if n := v.logged("level=WARN"); c.lines > 0 && n > c.lines {
					t.Errorf("%d lines in the log", n)
				}
				if name == "wrong secret" && dials[1].Sub(dials[0]) < time.Minute {
					t.Errorf("a wrong secret is tried again after %v", dials[1].Sub(dials[0]))
				}
			})
		})
	}
}

func TestDeadServerIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		dial, wait := scripted(func(conn net.Conn) error {
			n.Add(1)
			f, err := acceptComponent(conn)
			if err != nil {
				return err
			}
			if err := f.write("<handshake/>"); err != nil {
				return err
			}
			for e := f.next(); e != nil; e = f.next() {
				if n.Load() > 1 { // the first one answers nothing, ever
					if err := f.echo(e); err != nil {
						return nil
					}
				}
			}
			return nil
		})
		var v events
		stop := start(t, NewComponent(ComponentConfig{Domain: "gw.test", Dial: dial}, v.options()).Run)
		time.Sleep(time.Hour)
		if got := v.take(); !slices.Equal(got, []string{"up gw.test", "down gw.test: <nil>", "up gw.test"}) {
			t.Errorf("got %q", got) // and no ping of ours was handed up
		}
		if v.logged("no longer answers") != 1 {
			t.Error(v.log.String())
		}
		stop()
		wait()
	})
}

func TestBarrier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var got []string
		dial, wait := scripted(func(conn net.Conn) error {
			f, err := acceptComponent(conn)
			if err != nil {
				return err
			}
			if err := f.write("<handshake/>"); err != nil {
				return err
			}
			for e := f.next(); e != nil; e = f.next() {
				got = append(got, e.Name)
				switch {
				case e.Body() == "die":
					return nil
				case e.Body() == "hold":
					<-hold
				case e.Name == "iq":
					if err := f.echo(e); err != nil {
						return nil
					}
				}
			}
			return nil
		})
		var v events
		link := NewComponent(ComponentConfig{Domain: "gw.test", Dial: dial}, v.options())
		sayTo := func(to, body string) error {
			return link.Send(stream.New(stream.NS, "message", "from", "gw.test", "to", to).Add(stream.New(stream.NS, "body").AddText(body)))
		}
		say := func(body string) error { return sayTo("a@b", body) }
		if err := say("x"); !errors.Is(err, ErrDown) {
			t.Errorf("sending without a stream: %v", err)
		}
		if err := link.Barrier(t.Context(), "a@b"); err != nil {
			t.Errorf("barrier after nothing: %v", err)
		}
		stop := start(t, link.Run)
		synctest.Wait()
		if err := say("a"); err != nil {
			t.Fatal(err)
		}
		if err := link.Barrier(t.Context(), "a@b"); err != nil {
			t.Errorf("barrier: %v", err)
		}
		if want := []string{"iq", "message", "iq"}; !slices.Equal(got, want) {
			t.Errorf("the server got %q", got)
		}
		// One that the server does not come to.
		if err := say("hold"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := link.Barrier(ctx, "a@b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("barrier: %v", err)
		}
		hold <- struct{}{}
		if err := link.Barrier(t.Context(), "a@b"); err != nil {
			t.Errorf("barrier: %v", err)
		}
		// The stream dies behind a message: whether the server took it nobody knows, even once the next stream is up.
		if err := say("die"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := v.take(); !slices.Equal(got, []string{"up gw.test", "down gw.test: <nil>", "up gw.test"}) {
			t.Errorf("got %q", got)
		}
		if err := link.Barrier(t.Context(), "a@b"); !errors.Is(err, ErrDown) {
			t.Errorf("barrier after a lost stream: %v", err)
		}
		if err := link.Barrier(t.Context(), "a@b"); err != nil {
			t.Errorf("barrier after that: %v", err)
		}
		// What was sent behind a barrier is lost with the stream as well, and that is the next barrier's to say.
		if err := errors.Join(say("hold"), say("die")); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() { first <- link.Barrier(t.Context(), "a@b") }()
		synctest.Wait()
		if err := say("later"); err != nil {
			t.Fatal(err)
		}
		hold <- struct{}{}
		time.Sleep(10 * time.Second)
		for i, want := range []error{ErrDown, ErrDown, nil} {
			err := error(nil)
			if i == 0 {
				err = <-first
			} else {
				err = link.Barrier(t.Context(), "a@b")
			}
			if !errors.Is(err, want) {
				t.Errorf("barrier %d: %v, want %v", i, err, want)
			}
		}
		// A reply to a client is not asked after, and what became of it says nothing of the next message to its person.
		if err := sayTo("a@b/phone", "die"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := errors.Join(say("x"), link.Barrier(t.Context(), "a@b")); err != nil {
			t.Errorf("barrier after a lost reply: %v", err)
		}
		// Each recipient is told of their own messages, and two that wait at once do not count each other's.
		both := func() (errs [2]error) {
			var waiting sync.WaitGroup
			for i, to := range []string{"a@b", "c@d"} {
				waiting.Go(func() { errs[i] = link.Barrier(t.Context(), to) })
			}
			waiting.Wait()
			return errs
		}
		for range 2 {
			if err := errors.Join(sayTo("a@b", "a"), sayTo("c@d", "c")); err != nil {
				t.Fatal(err)
			}
			if errs := both(); errs[0] != nil || errs[1] != nil {
				t.Errorf("barriers: %v", errs)
			}
		}
		if err := errors.Join(sayTo("a@b", "a"), sayTo("c@d", "die")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if errs := both(); !errors.Is(errs[0], ErrDown) || !errors.Is(errs[1], ErrDown) {
			t.Errorf("barriers after a lost stream: %v", errs)
		}
		if errs := both(); errs[0] != nil || errs[1] != nil {
			t.Errorf("barriers after that: %v", errs)
		}
		stop()
		wait()
	})
}

// farm is a server for clients that allows so many streams: one more ends the oldest with conflict, as ejabberd does.
type farm struct {
	account
	limit int

	mu      sync.Mutex
	streams []*fakeServer
	logins  []time.Time
	names   []string // of streams, at the time
}

func (w *farm) serve(conn net.Conn) error {
	w.mu.Lock()
	w.logins = append(w.logins, time.Now())
	w.mu.Unlock()
	a := w.account
	var resource string
	a.answer = func(r string) string {
		resource = r
		return `<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@client.test/` + r + `</jid></bind></iq>`
	}
	a.then = func(f *fakeServer) error {
		w.mu.Lock()
		w.streams = append(w.streams, f)
		w.names = append(w.names, resource)
		var oldest *fakeServer
		if w.limit > 0 && len(w.streams) > w.limit {
			oldest = w.streams[0]
		}
		w.mu.Unlock()
		if oldest != nil {
			w.forget(oldest)
			_ = oldest.write(`<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`)
			_ = oldest.conn.Close()
		}
		defer w.forget(f)
		for e := f.next(); e != nil; e = f.next() {
			if e.Name == "iq" {
				if err := f.write("<iq type='result' from='client.test' id='" + e.Attr("id") + "'/>"); err != nil {
					return nil
				}
			}
		}
		_ = f.write("</stream:stream>")
		return nil
	}
	return a.serve(conn)
}

func (w *farm) forget(f *fakeServer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.streams, f); i >= 0 {
		w.streams = slices.Delete(w.streams, i, i+1)
		w.names = slices.Delete(w.names, i, i+1)
	}
}

func (w *farm) present() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := slices.Clone(w.names)
	slices.Sort(names)
	return names
}

func newFarm(t *testing.T, limit int) (*farm, ClientConfig, func() []error) {
	t.Helper()
	cert, pin := selfSigned(t)
	w := &farm{account: account{cert: cert, password: "p"}, limit: limit}
	dial, wait := scripted(w.serve)
	return w, ClientConfig{JID: "me@client.test", Resource: "home", Password: "p", Server: "x:5222", Dial: dial, TLS: TLS{Pins: []Pin{pin}}}, wait
}

func TestClientOpensAStreamADevice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 0)
		var v events
		link := NewClient(cfg, v.options())
		link.Add("lamp")
		link.Add("pump")
		stop := start(t, link.Run)
		time.Sleep(10 * time.Second)
		if got := w.present(); !slices.Equal(got, []string{"home", "lamp", "pump"}) {
			t.Errorf("streams: %q", got)
		}
		for i := range len(w.logins) - 1 {
			if gap := w.logins[i+1].Sub(w.logins[i]); gap < 100*time.Millisecond {
				t.Errorf("%v between two logins", gap)
			}
		}
		if got := v.take(); got[0] != "up me@client.test/home" {
			t.Errorf("the hub is not first: %q", got)
		}
		for from, want := range map[string]error{
			"me@client.test/lamp": nil, "me@client.test/home": nil, "me@client.test": nil, "": nil, "me@client.test/none": ErrDown,
		} {
			if err := link.Send(stream.New(stream.NS, "message", "from", from, "to", "a@b")); !errors.Is(err, want) {
				t.Errorf("send from %q: %v", from, err)
			}
		}
		if err := link.Barrier(t.Context(), "a@b"); err != nil {
			t.Errorf("barrier: %v", err)
		}
		answer, err := link.Request(t.Context(), stream.New(stream.NS, "iq", "type", "get", "from", "me@client.test/pump", "to", "client.test").Add(stream.New(nsPing, "ping")))
		if err != nil || !stream.IsResult(answer) {
			t.Errorf("request: %v, %v", answer, err)
		}
		link.Remove("lamp")
		link.Remove("home") // stays
		link.Add("door")
		time.Sleep(10 * time.Second)
		if got := w.present(); !slices.Equal(got, []string{"door", "home", "pump"}) {
			t.Errorf("streams: %q", got)
		}
		// Removed and added in one breath: opened again.
		link.Remove("pump")
		link.Add("pump")
		time.Sleep(10 * time.Second)
		if got := w.present(); !slices.Equal(got, []string{"door", "home", "pump"}) {
			t.Errorf("streams: %q", got)
		}
		stop()
		if got := w.present(); len(got) > 0 {
			t.Errorf("left behind: %q", got)
		}
		if errs := wait(); len(errs) > 0 {
			t.Error(errs)
		}
	})
}

func TestOnlyTheHubTriesAWrongPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 0)
		cfg.Password = "guess"
		var v events
		link := NewClient(cfg, v.options())
		for i := range 20 {
			link.Add(fmt.Sprint("device", i))
		}
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		stop()
		wait()
		if n := len(w.logins); n > 61 {
			t.Errorf("%d logins in an hour", n)
		}
		if n := v.logged("level=WARN"); n != 1 {
			t.Errorf("%d lines in the log:\n%s", n, v.log.String())
		}
	})
}

func TestServerThatLimitsStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 4)
		var v events
		link := NewClient(cfg, v.options())
		for i := range 8 {
			link.Add(fmt.Sprint("device", i))
		}
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		if got := w.present(); !slices.Equal(got, []string{"home"}) {
			t.Errorf("streams: %q", got)
		}
		list := v.take()
		isSingle := func(event string) bool { return strings.HasPrefix(event, "single") }
		if n := slices.IndexFunc(list, isSingle); n < 0 || slices.ContainsFunc(list[n+1:], isSingle) ||
			!strings.Contains(list[n], "does not let it have 9 streams, one a device: from now on me@client.test/home speaks for all devices") {
			t.Errorf("the limit is not said once: %q", list)
		}
		if n := v.logged("limits streams"); n != 1 {
			t.Errorf("the limit is logged %d times", n)
		}
		if list[len(list)-2] != "up me@client.test/home" {
			t.Errorf("in the end: %q", list)
		}
		if n := len(w.logins); n != 6 { // one too many, and the hub's once more
			t.Errorf("%d logins in an hour: %q", n, list)
		}
		link.Add("door")
		time.Sleep(5 * time.Minute)
		if got := w.present(); !slices.Equal(got, []string{"home"}) {
			t.Errorf("streams: %q", got)
		}
		stop()
		if errs := wait(); len(errs) > 0 {
			t.Error(errs)
		}
	})
}

// A stream a device, whatever the server does: what it ends comes back rarely, and the way out is said once.
func TestServerThatLimitsStreamsAgainstTheWill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 4)
		cfg.Streams = StreamsPerDevice
		var v events
		link := NewClient(cfg, v.options())
		for i := range 4 {
			link.Add(fmt.Sprint("device", i))
		}
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		stop()
		wait()
		if n := len(w.logins); n < 20 || n > 300 {
			t.Errorf("%d logins in an hour", n)
		}
		if n := v.logged("so that devices go off and on by turns"); n != 1 {
			t.Errorf("the limit is logged %d times", n)
		}
	})
}

func TestOneStreamForAllDevices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, cfg, wait := newFarm(t, 4)
		cfg.Streams = StreamsSingle
		var v events
		link := NewClient(cfg, v.options())
		for i := range 8 {
			link.Add(fmt.Sprint("device", i))
		}
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		if got := w.present(); !slices.Equal(got, []string{"home"}) || len(w.logins) != 1 {
			t.Errorf("streams: %q, %d logins", got, len(w.logins))
		}
		if err := link.Send(stream.New(stream.NS, "message", "from", "me@client.test/device1", "to", "a@b")); !errors.Is(err, ErrDown) {
			t.Errorf("send: %v", err)
		}
		link.Remove("device1")
		stop()
		wait()
		if list := v.take(); len(list) != 3 || list[0] != "up me@client.test/home" || list[2] != "down me@client.test/home" {
			t.Errorf("got %q", list)
		}
	})
}

func TestServerThatChoosesTheResource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cert, pin := selfSigned(t)
		a := account{cert: cert, password: "p", answer: func(string) string {
			return `<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>me@client.test/mine</jid></bind></iq>`
		}}
		dial, wait := scripted(a.serve)
		var v events
		link := NewClient(ClientConfig{JID: "me@client.test", Resource: "home", Password: "p", Server: "x:5222", Dial: dial, TLS: TLS{Pins: []Pin{pin}}}, v.options())
		link.Add("lamp")
		stop := start(t, link.Run)
		time.Sleep(time.Hour)
		stop()
		wait()
		if list := v.take(); len(list) != 0 {
			t.Errorf("got %q", list)
		}
		if n := v.logged("bound me@client.test/mine instead of the resource asked for"); n != 2 { // as a limit, and as why the stream is down
			t.Errorf("logged %d times:\n%s", n, v.log.String())
		}
	})
}
