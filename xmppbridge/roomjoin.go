package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/stream"
)

const (
	// roomAnswer is how long a room's service may take to answer.
	roomAnswer = 30 * time.Second
	// roomSilence is how long nothing may be heard of a room before it is asked whether we are still in it (XEP-0410).
	roomSilence = 2 * time.Minute
	// Where nothing but time is needed, such as for a service that is down, joining is tried again after a second, doubling to two
	// minutes; what only a person can set right, such as a wrong password, is tried again every ten minutes; after an invitation soon.
	roomFirst  = time.Second
	roomLast   = 2 * time.Minute
	roomPerson = 10 * time.Minute
	roomSoon   = 10 * time.Second
	// roomKicked is how long a room is left alone after somebody put us out of it.
	roomKicked = 5 * time.Minute
	// roomNicks is how many nicks are tried when the first is somebody else's, and roomOwn how often the first is asked for again.
	roomNicks = 9
	roomOwn   = 10 * time.Minute
)

// A roomStage is how far we are with a room.
type roomStage uint8

const (
	roomAway    roomStage = iota // there is no stream yet
	roomOut                      // not in it; until says when to try
	roomJoining                  // asked to be let in; until says when to give up
	roomIn
)

// Trust says whether a room's people are who they seem to be, and nobody else listens.
type trust uint8

const (
	unchecked trust = iota
	trusted         // it reports itself members-only and non-anonymous
	open            // it does not
)

// A room is one that is joined, or is tried to be. Its goroutine does what takes time: it asks the service and waits for its
// moment. What comes from the room is taken by whoever delivers it, under the lock.
type room struct {
	b    *Bridge
	jid  string // bare
	kick chan struct{}

	mu       sync.Mutex
	conf     Room
	stage    roomStage
	until    time.Time // see the stages
	why      string    // of being out
	told     string    // the last trouble that was logged as such
	failures int       // to join, in a row, that only took time
	begun    int       // counts joins, so that an answer to an earlier one is known

	nick  string // that was asked for, or that we have
	tries int    // of nicks
	own   time.Time
	heard time.Time
	lost  int // pings in a row without an answer
	trust trust
	check bool // ask what the room is
	voice bool
	muted time.Time // the room took no message of ours: not before then

	occupants map[string]occupant // by nick
	said      rate

	flight flight
	ids    []sentID // the latest of ours, MaxTold at most
}

func newRoom(b *Bridge, conf Room) *room {
	return &room{b: b, jid: conf.JID, conf: conf, kick: make(chan struct{}, 1), occupants: map[string]occupant{}, flight: flight{turned: make(chan struct{})}}
}

// configure takes another nick or password: the nick is asked for at once.
func (m *room) configure(conf Room) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conf == conf {
		return
	}
	m.conf, m.own = conf, time.Time{}
	if m.stage == roomOut {
		m.until = time.Time{}
	}
	poke(m.kick)
}

// up has the room joined, anew if need be.
func (m *room) up() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out("the connection was lost")
	m.until, m.failures = time.Time{}, 0
	poke(m.kick)
}

// out is being in the room no longer. The lock is held.
func (m *room) out(why string) {
	m.stage, m.why, m.trust, m.check, m.voice = roomOut, why, unchecked, false, false
	m.flight.turn()
	clear(m.occupants) // what they had under way stays: it is we who left
}

// hear notes that the room is there. The lock is held.
func (m *room) hear() {
	m.heard = time.Now()
	if m.lost > 0 {
		m.lost = 0
		m.b.alerts.wake()
	}
}

// fail is out, with the time to wait and a line in the log: a warning when it is news. The lock is held.
func (m *room) fail(why string, wait time.Duration) {
	m.out(why)
	m.until = time.Now().Add(wait)
	level := m.b.log.Debug
	if m.told != why {
		level = m.b.log.Warn
	}
	m.told = why
	level("room not joined", "room", m.jid, "err", why, "retry", wait.Round(time.Second))
	poke(m.kick)
}

// wait is how long to wait where only time is needed. The lock is held.
func (m *room) wait() time.Duration {
	wait := min(roomFirst<<min(m.failures, 10), roomLast)
	m.failures++
	return wait/2 + rand.N(wait/2)
}

// run joins the room and stays in it until ctx is done; then it leaves.
func (m *room) run(ctx context.Context) {
	for ctx.Err() == nil {
		var next time.Duration
		err := guarded(func() error {
			next = m.step(ctx)
			return nil
		})
		if err != nil {
			m.b.log.Error("a part of the bridge failed", "part", "room", "room", m.jid, "err", err)
			next = roomLast
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-m.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
	m.leave()
}

// step does what is due and returns how long nothing else is.
func (m *room) step(ctx context.Context) time.Duration {
	m.mu.Lock()
	now, begun := time.Now(), m.begun
	var due time.Time
	do := func(context.Context, int) {}
	switch m.stage {
	case roomAway:
		due = now.Add(time.Hour)
	case roomOut:
		if due = m.until; !due.After(now) {
			do = m.enter
		}
	case roomJoining:
		if due = m.until; !due.After(now) {
			m.fail("its service does not answer", m.wait())
		}
	case roomIn:
		due = m.heard.Add(roomSilence)
		own := m.own.Add(roomOwn)
		switch {
		case m.check:
			do = m.look
		case !due.After(now):
			do = m.ping
		case m.nick != m.conf.Nick && !own.After(now):
			m.own, own = now, now.Add(roomOwn)
			m.b.send(m.asking(m.conf.Nick))
		}
		if m.nick != m.conf.Nick && own.Before(due) {
			due = own
		}
		if m.muted.After(now) && m.muted.Before(due) {
			due = m.muted
		} else if !m.muted.IsZero() && !m.muted.After(now) {
			m.muted = time.Time{}
			m.b.alerts.wake()
		}
	}
	m.mu.Unlock()
	do(ctx, begun)
	return max(time.Until(due), 0)
}

// asking is the presence that asks to be in the room under a nick. History is not asked for: what is old would be refused
// anyway. The lock is held.
func (m *room) asking(nick string) *stream.Element {
	_, hub := m.b.addresses().Hub()
	x := stream.New(nsMUC, "x").Add(stream.New(nsMUC, "history", "maxstanzas", "0"))
	if m.conf.Password != "" {
		x.Add(stream.New(nsMUC, "password").AddText(string(m.conf.Password)))
	}
	return stream.New(stream.NS, "presence", "from", hub, "to", m.jid+"/"+nick).
		Add(x, m.b.caps.element(m.b.identify(hubTarget)))
}

// enter asks what the room is, and to be let in unless there is none: joining one that is not there would make it.
func (m *room) enter(ctx context.Context, begun int) {
	_, _, err := m.info(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || m.begun != begun || m.stage != roomOut {
		return
	}
	if e := (*stream.StanzaError)(nil); err != nil && (!errors.As(err, &e) || unreachable(e) || e.Condition == stream.ItemNotFound || e.Condition == stream.Gone) {
		m.refused(err)
		return
	}
	m.begun++
	m.tries, m.nick = 0, m.conf.Nick
	m.join()
}

// join asks for the nick. The lock is held.
func (m *room) join() {
	if err := m.b.send(m.asking(m.nick)); err != nil {
		m.fail("waiting for the connection", m.wait())
		return
	}
	m.stage, m.until = roomJoining, time.Now().Add(roomAnswer)
	poke(m.kick)
}

// joined takes our own presence in the room. Whether anything is said and done there is decided by what the room answers to a
// question sent right now: what arrives before that may be old. The lock is held.
func (m *room) joined(nick string, item *stream.Element) {
	fresh := m.stage != roomIn
	if fresh {
		m.stage, m.trust, m.check, m.failures, m.told = roomIn, unchecked, true, 0, ""
		m.muted, m.lost, m.own = time.Time{}, 0, time.Now()
		m.b.log.Info("room joined", "room", m.jid, "nick", nick)
	}
	if m.nick != nick && !fresh {
		m.b.log.Info("nick changed", "room", m.jid, "nick", nick)
	}
	m.nick = nick
	voice := item.Attr("role") != "visitor"
	if voice && !m.voice && m.trust == trusted {
		m.b.alerts.wake()
	}
	m.voice = voice
	poke(m.kick)
}

// info asks what the room is. members and named are whether it says that it is members-only, and that everyone in it sees who the
// others are.
func (m *room) info(ctx context.Context) (members, named bool, err error) {
	_, hub := m.b.addresses().Hub()
	limited, cancel := context.WithTimeout(ctx, roomAnswer)
	defer cancel()
	answer, err := m.b.o.Network.Request(limited, stream.New(stream.NS, "iq", "type", "get", "from", hub, "to", m.jid).
		Add(stream.New(nsDiscoInfo, "query")))
	if err != nil {
		return false, false, err
	}
	query := answer.Child(nsDiscoInfo, "query")
	if query == nil {
		return false, false, nil
	}
	for c := range query.Children() {
		switch {
		case !c.Is(nsDiscoInfo, "feature"):
		case c.Attr("var") == "muc_membersonly":
			members = true
		case c.Attr("var") == "muc_nonanonymous":
			named = true
		}
	}
	return members, named, nil
}

// look decides whether the room is one to speak in.
func (m *room) look(ctx context.Context, begun int) {
	m.mu.Lock()
	m.check = false // a change from here on is looked at again
	m.mu.Unlock()
	members, named, err := m.info(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || m.begun != begun || m.stage != roomIn || m.check {
		return
	}
	was, e := m.trust, (*stream.StanzaError)(nil)
	switch {
	case err != nil && (!errors.As(err, &e) || unreachable(e)):
		m.refused(err)
		return
	case err == nil && members && named:
		m.trust = trusted
		m.b.alerts.wake()
	default:
		m.trust = open
		m.flight.turn()
	}
	m.hear()
	if flaw := m.flaw(); flaw != "" && was != m.trust && m.told != flaw {
		m.told = flaw
		m.b.log.Warn("nothing is said in a room", "room", m.jid, "err", flaw)
	}
}

// flaw is why nothing is said in the room, or empty. The lock is held.
func (m *room) flaw() string {
	switch {
	case m.trust == open:
		return "nothing is said or done there: it is not members-only and non-anonymous, as its owner can make it"
	case !m.voice:
		return "it lets us say nothing: have a moderator give us a voice"
	case time.Now().Before(m.muted):
		return "it does not take what we say"
	case m.lost > 0:
		return "its service does not answer"
	}
	return ""
}

// ping asks ourselves, through the room, whether we are still in it (XEP-0410 §3.2).
func (m *room) ping(ctx context.Context, begun int) {
	err := m.pinged(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil || m.begun != begun || m.stage != roomIn {
		return
	}
	switch still, known := stillIn(err); {
	case !known:
		m.lost++
		m.heard = time.Now().Add(roomAnswer - roomSilence) // again soon
		m.b.log.Debug("room does not answer", "room", m.jid, "err", err)
	case still:
		m.hear()
	default:
		m.out("we were no longer in it")
		m.until = time.Time{}
		m.b.log.Info("no longer in a room, joining again", "room", m.jid)
		poke(m.kick)
	}
}

func (m *room) pinged(ctx context.Context) error {
	m.mu.Lock()
	to := m.jid + "/" + m.nick
	m.mu.Unlock()
	_, hub := m.b.addresses().Hub()
	limited, cancel := context.WithTimeout(ctx, roomAnswer)
	defer cancel()
	_, err := m.b.o.Network.Request(limited, stream.New(stream.NS, "iq", "type", "get", "from", hub, "to", to).Add(stream.New(nsPing, "ping")))
	return err
}

// stillIn reads the answer to a self-ping: an error of whoever was pinged came through the room, one that nothing could be
// reached says nothing, any other comes from the room itself, to someone who is not in it.
func stillIn(err error) (still, known bool) {
	e := (*stream.StanzaError)(nil)
	switch {
	case err == nil:
		return true, true
	case !errors.As(err, &e), unreachable(e):
		return false, false
	}
	switch e.Condition {
	case stream.ServiceUnavailable, stream.FeatureNotImplemented, stream.ItemNotFound:
		return true, true
	}
	return false, true
}

// unreachable reports whether an error is of the way to a service and not of the service.
func unreachable(e *stream.StanzaError) bool {
	switch e.Condition {
	case stream.RemoteServerNotFound, stream.RemoteServerTimeout:
		return true
	}
	return false
}

// refused takes why the room does not let us in, or has nothing to say of itself. The lock is held.
func (m *room) refused(err error) {
	_, hub := m.b.addresses().Hub()
	e := (*stream.StanzaError)(nil)
	if !errors.As(err, &e) {
		m.fail("its service does not answer", m.wait())
		return
	}
	switch e.Condition {
	case stream.NotAuthorized:
		if m.conf.Password == "" {
			m.fail(`it wants a password: give it with password_file in its table of [rooms]`, roomPerson)
		} else {
			m.fail(`the password is wrong: correct password_file in its table of [rooms]`, roomPerson)
		}
	case stream.RegistrationRequired:
		m.fail("it is for members only: have an owner make "+bareJID(hub)+" a member", roomPerson)
	case stream.Forbidden:
		m.fail(bareJID(hub)+" is banned from it: have an owner lift that", roomPerson)
	case stream.Conflict:
		m.conflict()
	case stream.ItemNotFound, stream.Gone, stream.NotAllowed:
		m.fail("there is no such room: make it, members-only and non-anonymous, and "+bareJID(hub)+" a member", roomPerson)
	case stream.NotAcceptable:
		m.fail("it lets us in only under a nick registered for us: set nick in its table of [rooms]", roomPerson)
	case stream.JIDMalformed:
		m.fail(fmt.Sprintf("it does not allow the nick %q: set another in its table of [rooms]", m.conf.Nick), roomPerson)
	case stream.ServiceUnavailable:
		m.fail("it is full, or its service is down", m.wait())
	case stream.RemoteServerNotFound, stream.RemoteServerTimeout, stream.RecipientUnavailable:
		m.fail("its service cannot be reached", m.wait())
	default:
		m.fail("its service says "+strings.TrimSpace(e.Condition+" "+e.Text), m.wait())
	}
}

// conflict is a nick that is somebody else's: another is tried, and the own one again later. The lock is held.
func (m *room) conflict() {
	if m.tries++; m.tries >= roomNicks {
		m.fail(fmt.Sprintf("the nick %s and those like it are taken: set another in its table of [rooms]", m.conf.Nick), roomPerson)
		return
	}
	m.nick = fmt.Sprintf("%s-%d", m.conf.Nick, m.tries+1)
	m.join()
}

// leave tells the room that we go, at the end or when it is not in the configuration any more.
func (m *room) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.goodbye()
	m.out("the gateway is stopping")
	m.stage = roomAway
}

// goodbye sends unavailable where we are in. The lock is held.
func (m *room) goodbye() {
	if m.stage == roomJoining || m.stage == roomIn {
		_, hub := m.b.addresses().Hub()
		m.b.send(presenceTo("unavailable", hub, m.jid+"/"+m.nick))
	}
}
