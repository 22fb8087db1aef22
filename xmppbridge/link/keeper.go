package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidings/xmppbridge/stream"
)

// ErrDown is what sending answers while the stream it would take is down.
var ErrDown = errors.New("link: not connected")

const nsPing = "urn:xmpp:ping"

// beacon begins the ids of our own pings, and no others: answers to those that bear it are nobody else's.
const beacon = "tidings-ping-"

// maxSaid bounds how many different failures in a row are said once each; further ones are said every time.
const maxSaid = 16

// Meta says how a stanza came.
type Meta struct {
	// Stream is the address whose stream brought it: the component's domain, or a full JID of the account.
	Stream string
	// Fresh is false for what may have waited somewhere while the stream was down: it came before the answer to a ping sent as
	// the stream's first stanza. A command that is not fresh must not be carried out.
	Fresh bool
}

// Options are what both kinds of link take. Callbacks of one stream come one after another, Up before everything and
// Down after everything; those of different streams come at the same time. They must be quick: while one runs its
// stream reads nothing.
type Options struct {
	Log     *slog.Logger // nil is silence
	Backoff Backoff
	// Handle gets every stanza that answers no Request and is not the link's own.
	Handle func(e *stream.Element, m Meta)
	// Up: the address can send and receive. What is sent from within is the first thing the server hears.
	Up func(jid string)
	// Down: it cannot any more, and why (nil when it was closed on purpose).
	Down func(jid string, err error)
	// Cut: the connection of an address is cut and the stream may yet be resumed, or, with cut false, it was. For who looks after the
	// machine: on XMPP nobody sees it. Of a Client only.
	Cut func(jid string, cut bool)
	// Single: the server limits streams, and so the hub's is the only one from now on; err says so for people, as the log does
	// already. Only of a Client with StreamsAuto, once.
	Single func(err error)
	// Pace is the time from one login to the next of the streams of a Client; 100 ms when 0.
	Pace time.Duration
	// Idle and Dead are the stream's: how much silence is probed, and how much ends it. Zero: one minute and two.
	Idle, Dead time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Handle == nil {
		o.Handle = func(*stream.Element, Meta) {}
	}
	if o.Up == nil {
		o.Up = func(string) {}
	}
	if o.Down == nil {
		o.Down = func(string, error) {}
	}
	if o.Cut == nil {
		o.Cut = func(string, bool) {}
	}
	if o.Single == nil {
		o.Single = func(error) {}
	}
	if o.Pace == 0 {
		o.Pace = 100 * time.Millisecond
	}
	o.Backoff = o.Backoff.withDefaults()
	return o
}

// keeper keeps one stream open: it dials, pumps, and dials again. It has no goroutine of its own; Run is for whoever
// started it.
type keeper struct {
	jid    string // as asked for, for logs and errors
	server string // likewise
	self   string // whom it pings: the component itself, or the account's server
	from   string // from whom it must say that its stanzas are; empty where the server knows
	opt    Options
	// follows says that a redirection may be followed: open takes it.
	follows bool

	// open dials, waiting its turn first if need be. redirect is where the server sent us, or empty.
	// was is a session that was cut, or nil: open resumes it if it can.
	open func(ctx context.Context, redirect string, was *resumption) (*Conn, error)
	// ended is told that a stream that open returned has ended, and may find a better explanation than err.
	ended func(err error) error
	// quiet reports that this stream's troubles need not be logged: another's, the same, are. resumable says that it may go on.
	quiet func(resumable bool) bool

	mu      sync.Mutex
	session *session // nil while down
	// What a barrier answers for. Only messages to bare JIDs count: presence is sent anew after every Up, an IQ has its answer,
	// and what a client is told in reply is not sent again: that it got lost would be no news of what is.
	// Kept by recipient, a bare JID, so that who waits for one learns nothing of another's and takes no news away from them.
	unconfirmed map[string]int // messages given to the present session since the recipient's last barrier passed
	lost        map[string]int // of sessions that ended: messages unconfirmed of which no barrier of the recipient's has said so yet
}

// session is one stream that is up. Where the server manages it (XEP-0198), it outlives a cut connection: the next one goes on
// with it, and nobody outside notices.
type session struct {
	jid   string
	acks  *stream.Acks // nil where the server does not offer management
	fresh atomic.Bool
	life  context.Context // done when it has ended for good
	end   context.CancelFunc

	// Guarded by keeper.mu.
	stream  *stream.Stream // nil while the connection is cut
	managed bool           // the server has said <enabled/>
	resume  string         // the id to resume it by, empty where it cannot be
	keeps   time.Duration  // how long the server keeps it once cut
	until   time.Time      // then it is given up; zero unless cut

	mu      sync.Mutex
	beacons map[string]func() // by IQ id: what to do when it comes back
}

// run keeps the stream open until ctx is done.
func (k *keeper) run(ctx context.Context) {
	var (
		failures int
		said     = map[string]bool{} // failures logged since the stream was last healthy
		redirect string
		hops     int
	)
	defer k.finish(nil) // one that is cut just now
	for ctx.Err() == nil {
		conn, err := k.open(ctx, redirect, k.resumption())
		redirect = ""
		var lasted time.Duration
		if err == nil {
			k.log(slog.LevelInfo, "stream is up", "server", conn.Server, "mechanism", conn.Mechanism, "encrypted", conn.Encrypted, "resumed", conn.resumed)
			err = k.pump(ctx, conn)
			lasted = time.Since(conn.EstablishedAt)
		}
		if ctx.Err() != nil {
			return
		}
		if lasted >= k.opt.Backoff.Healthy {
			failures = 0
			clear(said)
		}
		failures++
		wait := k.opt.Backoff.wait(failures, err)
		if known, ok := errors.AsType[*Error](err); ok && known.Kind == ErrRedirect && k.follows && hops < 3 {
			redirect, hops, wait = known.Host, hops+1, k.opt.Backoff.Min
		} else {
			hops = 0
		}
		level := slog.LevelWarn
		if why := fmt.Sprint(err); said[why] {
			level = slog.LevelDebug
		} else if len(said) < maxSaid {
			said[why] = true
		}
		k.log(level, "stream is down", "err", err, "retry", wait.Round(time.Millisecond), "resumable", k.resumption() != nil)
		k.rest(ctx, wait, err)
	}
}

// rest waits before the next attempt, and meanwhile gives up a session that the server no longer keeps.
func (k *keeper) rest(ctx context.Context, wait time.Duration, cause error) {
	k.mu.Lock()
	s := k.session
	var left time.Duration
	if s != nil {
		left = time.Until(s.until)
	}
	k.mu.Unlock()
	if s != nil && left <= wait {
		sleep(ctx, left)
		if ctx.Err() == nil {
			k.finish(cause)
		}
		wait -= max(left, 0)
	}
	sleep(ctx, wait)
}

func (k *keeper) log(level slog.Level, message string, args ...any) {
	if k.quiet(k.resumption() != nil) {
		level = slog.LevelDebug
	}
	k.opt.Log.Log(context.Background(), level, message, append([]any{"jid", k.jid}, args...)...)
}

// pump runs a negotiated stream until it ends, and returns why.
func (k *keeper) pump(ctx context.Context, conn *Conn) error {
	s, up, err := k.begin(conn)
	if err != nil {
		_ = conn.Close()
		err = k.ended(k.explainEnd(err))
		k.finish(err)
		return err
	}
	if up {
		k.opt.Up(conn.JID)
	} else {
		k.opt.Cut(conn.JID, false)
	}
	end := s.stream.Run(ctx)
	err = k.ended(k.explainEnd(end))
	if ctx.Err() != nil || !k.cut(s, end) {
		k.finish(err)
	} else {
		k.opt.Cut(s.jid, true)
	}
	return err
}

// begin makes the stream of a connection: that of the session that was cut, or of a new one, which up says.
func (k *keeper) begin(conn *Conn) (s *session, up bool, err error) {
	decoder := stream.NewDecoder(conn, stream.Limits{})
	decoder.Assume(stream.Header{From: k.self, ID: conn.StreamID, Version: "1.0", NS: conn.Namespace})
	st := stream.NewStream(conn, decoder, stream.Options{
		Handle:   func(e *stream.Element) { k.handle(s, e) },
		Log:      k.opt.Log,
		JID:      conn.JID,
		PingTo:   k.self,
		PingFrom: k.from,
		Idle:     k.opt.Idle,
		Dead:     k.opt.Dead,
	})
	k.mu.Lock()
	s = k.session
	k.mu.Unlock()
	if s != nil {
		// What the server had handled is not lost, resumed or not.
		if conn.counted {
			err = s.acks.Ack(conn.handled)
		}
		if err != nil {
			return nil, false, err
		}
		if !conn.resumed {
			k.finish(failf(nil, nil, "%s: %s no longer had the stream that was cut", k.jid, k.server))
		}
	}
	if !conn.resumed {
		s = &session{jid: conn.JID, beacons: make(map[string]func())}
		s.life, s.end = context.WithCancel(context.Background())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case conn.resumed:
		s.fresh.Store(false)
		err = st.Manage(s.acks, nil)
	case conn.manages:
		s.acks = stream.NewAcks(acksBytes)
		err = st.Manage(s.acks, stream.New(stream.NSManagement, "enable", "resume", "true"))
	}
	// First of all, so that whatever comes before its answer was sent before we were here: what a resumption brings again, too.
	if err == nil {
		s.stream = st
		err = k.ping(s, func() { s.fresh.Store(true) })
	}
	if err != nil {
		s.end()
		return nil, false, err
	}
	k.session = s
	return s, !conn.resumed, nil
}

// finish ends the session for good, if there is one: what it had on its way is lost.
func (k *keeper) finish(why error) {
	k.mu.Lock()
	s := k.session
	k.session = nil
	if s == nil {
		k.mu.Unlock()
		return
	}
	for to, n := range k.unconfirmed {
		if k.lost == nil {
			k.lost = map[string]int{}
		}
		k.lost[to] += n
	}
	clear(k.unconfirmed)
	k.mu.Unlock()
	s.end()
	k.opt.Down(s.jid, why)
}

// ping sends a ping that calls back when it returns, on the goroutine that reads, before the next stanza is handled. A
// component pings itself, and what returns is the request: no one else need be asked, and none of the server's modules.
// The lock is held.
func (k *keeper) ping(s *session, back func()) error {
	id := beacon + rand.Text()[:12]
	s.mu.Lock()
	s.beacons[id] = back
	s.mu.Unlock()
	err := s.stream.Send(stream.New(stream.NS, "iq", "type", "get", "id", id, "from", k.from, "to", k.self).Add(stream.New(nsPing, "ping")))
	if err != nil {
		s.take(id)
	}
	return err
}

// take removes a beacon and returns it, or nil.
func (s *session) take(id string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := s.beacons[id]
	delete(s.beacons, id)
	return back
}

func (k *keeper) handle(s *session, e *stream.Element) {
	if e.Space == stream.NSManagement {
		k.manage(s, e)
		return
	}
	if e.Is(stream.NS, "iq") && k.ours(s, e) {
		if back := s.take(e.Attr("id")); back != nil {
			back()
			return
		}
		if stream.IsReply(e) && strings.HasPrefix(e.Attr("id"), beacon) {
			return // to one that went out again after a cut, and that nobody waits for any more
		}
		if k.from != "" && stream.IsRequest(e) && e.First().Is(nsPing, "ping") {
			return // our own probe of a silent server: that it came back is all it was for
		}
	}
	k.opt.Handle(e, Meta{Stream: s.jid, Fresh: s.fresh.Load()})
}

// ours reports whether an IQ can be a ping of ours that comes back, as itself or as an answer (an error is one too).
func (k *keeper) ours(s *session, e *stream.Element) bool {
	from := e.Attr("from")
	if k.from != "" {
		return strings.EqualFold(from, k.self)
	}
	bare, _, _ := strings.Cut(s.jid, "/")
	return stream.IsReply(e) && (from == "" || strings.EqualFold(from, k.self) || strings.EqualFold(from, bare) || from == s.jid)
}

// send hands the stream a stanza, or keeps it for the one that goes on with a cut session, and counts it before anyone can ask
// for a barrier.
func (k *keeper) send(e *stream.Element) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.session
	if s == nil {
		return fmt.Errorf("%w: %s", ErrDown, k.jid)
	}
	err := stream.ErrClosed
	if s.stream != nil {
		err = s.stream.Send(e)
	}
	if errors.Is(err, stream.ErrClosed) && s.resume != "" {
		err = s.acks.Keep(e.AppendXML(nil))
	}
	if err != nil {
		return err
	}
	if to := e.Attr("to"); e.Is(stream.NS, "message") && !strings.Contains(to, "/") {
		if k.unconfirmed == nil {
			k.unconfirmed = map[string]int{}
		}
		k.unconfirmed[strings.Clone(to)]++
	}
	return nil
}

func (k *keeper) request(ctx context.Context, iq *stream.Element) (*stream.Element, error) {
	k.mu.Lock()
	var st *stream.Stream
	if k.session != nil {
		st = k.session.stream
	}
	k.mu.Unlock()
	if st == nil {
		return nil, fmt.Errorf("%w: %s", ErrDown, k.jid)
	}
	return st.Request(ctx, iq)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
