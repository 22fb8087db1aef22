package broker

import (
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	// packetCost is about what a message takes in memory beside its topic and its payload, as mochi keeps those that
	// are not acknowledged.
	packetCost = 700
	countPause = 100 * time.Millisecond // between two counts of what is held for a client that has too much
)

// A session is what is known of a client that has logged in, for as long as mochi knows it.
type session struct {
	client *mochi.Client
	conn   *conn
	inside bool   // the gateway itself
	user   string // empty without users
	hash   string // the user's when it logged in
	rights atomic.Pointer[rights]

	subscribing atomic.Bool  // between OnSubscribe and OnSubscribed
	handed      atomic.Int32 // of a session from inside: messages that mochi was given and has not written yet, about
	feed        feed

	mu      sync.Mutex
	held    int       // bytes of messages not acknowledged, about; counted when it is too much
	counted time.Time // when
	denied  time.Time // when a refusal was logged last
}

// may returns the client's rights under the rules in force.
func (s *session) may(u *users) *rights {
	if s.inside || u == nil {
		return everything
	}
	now := u.now.Load()
	r := s.rights.Load()
	if r == nil || r.of != now {
		r = now.rights(s.user, s.client.ID)
		s.rights.Store(r)
	}
	return r
}

var everything = &rights{all: true}

// keepUp has whoever publishes wait until mochi has handed on most of what it was given for the gateway itself: of what its queue
// does not hold it loses messages, and a house that announces itself all at once fills that on a machine that has other things
// to do. Not everything that is counted gets there, so that no wait is for long.
func (s *session) keepUp() {
	const longest = 100 * time.Millisecond
	for began := time.Now(); s.handed.Load() >= maxPending/2 && !s.client.Closed(); time.Sleep(200 * time.Microsecond) {
		if time.Since(began) > longest {
			s.handed.Store(0)
		}
	}
	s.handed.Add(1)
}

// kept notes that mochi has written a message.
func (s *session) kept() {
	if s.handed.Add(-1) < 0 {
		s.handed.Store(0)
	}
}

// hold notes a message that waits for its acknowledgement, or with a negative size one that got it.
func (s *session) hold(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = max(s.held+size, 0)
}

// overfull reports whether more is held for the client than may be. mochi does not tell of everything it lets go of: what is too
// much is counted, no more often than every countPause.
func (s *session) overfull(max int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held < max || time.Since(s.counted) < countPause {
		return s.held >= max
	}
	s.count()
	return s.held >= max
}

// count adds up what is held. s.mu is held.
func (s *session) count() {
	s.held, s.counted = 0, time.Now()
	for _, pk := range s.client.State.Inflight.GetAll(false) {
		s.held += heldSize(pk)
	}
}

// heldSize is about what a message takes that is not acknowledged.
func heldSize(pk packets.Packet) int { return packetCost + len(pk.TopicName) + len(pk.Payload) }

// recount counts anew and returns the bytes.
func (s *session) recount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count()
	return s.held
}

// mayLog reports whether a refusal may be logged: once a minute a client.
func (s *session) mayLog() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.denied) < time.Minute {
		return false
	}
	s.denied = time.Now()
	return true
}

// of is the session of a client that has logged in; nil for any other.
func of(cl *mochi.Client) *session {
	if c, ok := cl.Net.Conn.(*conn); ok {
		return c.session.Load()
	}
	return nil
}
