package local

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

// What Send and Run can fail with, for errors.Is.
var (
	// ErrOffline says that nobody got the stanza: the account has no client that would take it. Backend.Available tells when
	// one comes.
	ErrOffline = errors.New("nobody is there")
	// ErrNoAccount says that there is no such account; a Store returns it, too.
	ErrNoAccount = errors.New("no such account")
)

// Backend is the house behind the server: everything at the domain that is no account. Its methods are called from the
// connections' goroutines, concurrently for different clients and in order for each; they must not block. Deliver, Available and
// Unavailable may call the Server; Account, Contacts and Resources must not, for they are asked with its locks held. Elements are
// theirs to read, not to change, and to Clone if kept.
type Backend interface {
	// Account reports whether a name (a normalised localpart) is an account.
	Account(name string) bool
	// Deliver takes a stanza from a client to the domain, the hub or a device; from is the client's full JID, or the bare one
	// for subscription stanzas. Answers go through Server.Send. Presence of type probe asks for the presence of the
	// address it is sent to, to be sent to the full JID it comes from.
	Deliver(st *stream.Element)
	// Contacts are the contacts that the house gives an account.
	Contacts(account string) []Contact
	// Resources are the full JIDs that a contact of the house shows itself under, available or not. Locks are held as for
	// Contacts.
	Resources(contact string) []string
	// Available says that a client came (initial) or that its presence changed. On initial the backend sends the presence of the
	// account's contacts, to that full JID. Messages that Send refused with ErrOffline may go through after either: a
	// client takes those to the bare JID when its priority is not negative.
	Available(full string, presence *stream.Element, initial bool)
	// Unavailable says that a client that was available went, also when its stream died.
	Unavailable(full string)
}

// A Contact is an entry of the roster that the house gives an account, always subscribed both ways.
type Contact struct {
	JID    string // bare
	Name   string
	Groups []string
}

// Store is what the server has to remember. Its methods may be called concurrently, but never twice at once for one account's
// items. They may touch a disk: only the client that made the call necessary waits.
type Store interface {
	// Credentials returns those of an account; an error that is ErrNoAccount says that there is none.
	Credentials(ctx context.Context, account string) (Credentials, error)
	// Items returns all that is remembered about an account's roster.
	Items(ctx context.Context, account string) ([]Item, error)
	// PutItem keeps an item, in place of the one with the same JID.
	PutItem(ctx context.Context, account string, item Item) error
	// DeleteItem forgets the item of a JID; it is no error if there is none.
	DeleteItem(ctx context.Context, account, jid string) error

	Messages
	Blocklist
	Nodes
}

// An Item is what is remembered about one address in one account's roster: for a contact of the house, what the person changed
// about it; for another person, the roster item and the state of the subscriptions (RFC 6121 §3, Appendix A).
type Item struct {
	JID    string // bare, normalised
	Name   string // where Renamed, or Listed
	Groups []string

	Renamed   bool // Name replaces the one the house gives
	Regrouped bool // Groups replace those the house gives
	Hidden    bool // removed by the person

	Listed  bool // in the roster although the house does not give it
	To      bool // the account sees the contact's presence
	From    bool // the contact sees the account's presence
	Ask     bool // the account asked to see the contact's presence and has no answer yet
	Pending bool // the contact asked to see the account's presence and has no answer yet
}

// blank reports whether an item says nothing that would have to be remembered.
func (i Item) blank() bool {
	return !i.Renamed && !i.Regrouped && !i.Hidden && !i.Listed && !i.To && !i.From && !i.Ask && !i.Pending
}

// Limits bound what clients can make the server spend. A zero field has the default given with it.
type Limits struct {
	LoginTime       time.Duration // to finish TLS, login and bind: 30 s
	LoginBytes      int           // in one element before login: 10 KiB
	Unauthenticated int           // connections not logged in, in all: 100; the next are closed at once
	PerAddress      int           // connections not logged in from one address (IPv6: one /64): 10
	Attempts        int           // failed logins on one stream: 3
	FailureDelay    time.Duration // before the login after a failed one from the same address, doubling up to 16 s: 500 ms

	Stanza         stream.Limits // of one stanza after login; Bytes 256 KiB
	BytesPerSecond int           // read from one client, after a burst of four times that: 64 KiB
	StanzasPerSec  int           // likewise: 100

	Queue    int // bytes waiting for one client, which is cut off beyond: 8 MiB, as ten thousand devices say at once
	Held     int // bytes of presence held back for a client at which nobody looks, which then gets it: 4 MiB
	Lost     int // clients that lost their connection and may resume, in all: 100; those who lost it first are ended
	Waiting  int // bytes kept for all of these: 32 MiB; the next for whom something comes is ended
	Streams  int // clients of one account: 16
	Directed int // addresses one client may have sent directed presence to: 200

	Roster   int // items a person may add to what the house gives: 500
	Blocked  int // addresses a person may block: 500
	Groups   int // groups of one item: 16
	NameSize int // bytes of a name or a group: 256

	// What is kept for one account.
	Archive      int // messages in its archive: 10,000
	ArchiveBytes int // and their bytes: 16 MiB
	Offline      int // messages that wait while nobody is there: 100; the next are refused
	OfflineBytes int // and their bytes: 1 MiB

	Resume time.Duration // how long a client that lost its connection may take to resume (XEP-0198): 5 min

	Idle time.Duration // silence after which a client is pinged: 1 min; it is dead after twice that
}

func (l Limits) withDefaults() Limits {
	def(&l.LoginTime, 30*time.Second)
	def(&l.LoginBytes, 10<<10)
	def(&l.Unauthenticated, 100)
	def(&l.PerAddress, 10)
	def(&l.Attempts, 3)
	def(&l.FailureDelay, 500*time.Millisecond)
	def(&l.Stanza.Bytes, 256<<10)
	def(&l.BytesPerSecond, 64<<10)
	def(&l.StanzasPerSec, 100)
	def(&l.Queue, 8<<20)
	def(&l.Held, 4<<20)
	def(&l.Lost, 100)
	def(&l.Waiting, 32<<20)
	def(&l.Streams, 16)
	def(&l.Directed, 200)
	def(&l.Roster, 500)
	def(&l.Blocked, 500)
	def(&l.Archive, 10000)
	def(&l.ArchiveBytes, 16<<20)
	def(&l.Offline, 100)
	def(&l.OfflineBytes, 1<<20)
	def(&l.Groups, 16)
	def(&l.NameSize, 256)
	def(&l.Resume, 5*time.Minute)
	def(&l.Idle, time.Minute)
	return l
}

func def[T int | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Options are what New needs. Domain, Certificate, Backend, Store and one of Listen and Listeners are required.
type Options struct {
	Domain      string         // whose server this is; "localhost" is one
	Listen      []string       // addresses such as "[::]:5222"; STARTTLS and direct TLS on each
	Listeners   []net.Listener // likewise, open already; Run closes them
	WebSocket   string         // an address for web clients: with TLS, unless only this machine reaches it; "" for none
	Upload      *Upload        // nil: no place for files
	Invites     Invites        // nil: no account is made over the network
	Certificate tls.Certificate
	Backend     Backend
	Store       Store
	Log         *slog.Logger // nil: slog.Default()
	Limits      Limits
	Archive     time.Duration // how long messages are kept for people's clients (XEP-0313); 0: not at all
}

// Server is the server inside the gateway. Make one with New; its methods may be called concurrently, also before and after Run.
type Server struct {
	domain  string
	listen  []string
	backend Backend
	store   Store
	log     *slog.Logger
	limits  Limits
	decoys  []byte // key of the salts shown for accounts that do not exist
	gate    *gate
	archive time.Duration // 0: there is none
	prune   chan struct{} // one token: the archives have grown
	reading sync.Mutex    // held while an archive is read
	waiting atomic.Int64  // bytes kept for clients that lost their connection

	tls        atomic.Pointer[tlsSetup]
	listeners  []net.Listener
	doors      []*door  // for HTTP
	uploads    *uploads // nil: none
	invites    Invites  // nil: none
	uploadDoor *door
	addrs      []net.Addr    // listened on; see ready
	ready      chan struct{} // closed when addrs is set

	mu        sync.Mutex // guards what follows and what of accounts and sessions says so; nothing blocks under it
	stopping  bool
	lost      int                 // clients that lost their connection
	resumable map[string]*session // by what they resume by
	grown     int                 // of the archives, since they were last pruned
	accounts  map[string]*account // those somebody was logged in to or wrote to, by name
}

// New returns a server that does not listen yet, or says what is wrong with the options.
func New(o Options) (*Server, error) {
	domain, err := jid.Parse(o.Domain)
	switch {
	case err != nil:
		return nil, fmt.Errorf("xmpp server: domain %q: %w", o.Domain, err)
	case domain.String() != domain.Domainpart():
		return nil, fmt.Errorf("xmpp server: %q is not a domain", o.Domain)
	case len(o.Listen) == 0 && len(o.Listeners) == 0:
		return nil, errors.New("xmpp server: no address to listen on")
	case o.Backend == nil || o.Store == nil:
		return nil, errors.New("xmpp server: needs a backend and a store")
	}
	s := &Server{
		domain:    domain.String(),
		listen:    o.Listen,
		listeners: o.Listeners,
		backend:   o.Backend,
		store:     o.Store,
		log:       o.Log,
		limits:    o.Limits.withDefaults(),
		archive:   max(0, o.Archive),
		prune:     make(chan struct{}, 1),
		ready:     make(chan struct{}),
		accounts:  make(map[string]*account),
		resumable: make(map[string]*session),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.gate = newGate(s.limits)
	s.invites = o.Invites
	if o.WebSocket != "" {
		s.doors = append(s.doors, &door{address: o.WebSocket, plain: isLoopback(o.WebSocket), answer: s.webSocketHandler})
	}
	if o.Upload != nil {
		s.uploads = newUploads(*o.Upload)
		s.uploadDoor = &door{address: o.Upload.Listen, answer: s.uploadHandler}
		s.doors = append(s.doors, s.uploadDoor)
	}
	if err := s.SetCertificate(o.Certificate); err != nil {
		return nil, err
	}
	s.decoys = decoyKey(o.Certificate)
	return s, nil
}

// Addrs returns the addresses the server listens on. It waits until it does, or ctx is done, which yields nil.
func (s *Server) Addrs(ctx context.Context) []net.Addr {
	select {
	case <-ctx.Done():
		return nil
	case <-s.ready:
	}
	return slices.Clone(s.addrs)
}

// WebAddr returns the address that a door for HTTP listens on, by the address it was given in the options. It waits as Addrs
// does; nil says that there is no such door.
func (s *Server) WebAddr(ctx context.Context, address string) net.Addr {
	select {
	case <-ctx.Done():
		return nil
	case <-s.ready:
	}
	for _, d := range s.doors {
		if d.address == address {
			return d.listener.Addr()
		}
	}
	return nil
}

// locked runs f with the server's lock. A panic in f is one client's misfortune and must not leave the lock to everyone else.
func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// newID makes the id of a stream or a stanza: not guessable, as RFC 6120 §4.7.3 asks.
func newID() string { return rand.Text() }
