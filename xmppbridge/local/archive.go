package local

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"mellium.im/xmpp/jid"

	"tidings/xmppbridge/stream"
)

const (
	nsDelay   = "urn:xmpp:delay"
	stampTime = "2006-01-02T15:04:05.000Z" // of XEP-0082
)

// ErrNotArchived says that an id is none of the archive's.
var ErrNotArchived = errors.New("there is no such message in the archive")

// Messages are those kept for people: the archive that their clients read, and what waits for somebody to be there. All but
// Archive may wait for a disk.
type Messages interface {
	// Archive keeps a message, unless the account's archive has one with that id already. It queues and returns at once.
	Archive(m Archived)
	// Archived returns a page of an account's archive, also of what was queued before. ErrNotArchived says that an id in the
	// question is none.
	Archived(ctx context.Context, account string, q ArchiveQuery) (ArchivePage, error)
	// PruneArchive forgets what is older than a moment, and of each account the oldest beyond so many messages or bytes.
	PruneArchive(ctx context.Context, before time.Time, messages, bytes int) error

	// PutOffline keeps a message until somebody takes it; ErrFull says that more than so many messages or bytes would wait for
	// the account.
	PutOffline(ctx context.Context, account string, stanza []byte, messages, bytes int) error
	// TakeOffline returns what waits for an account, in order, and forgets it.
	TakeOffline(ctx context.Context, account string) ([][]byte, error)
}

// ErrFull says that a bound is reached.
var ErrFull = errors.New("there is too much already")

// An Archived is a message in an account's archive.
type Archived struct {
	Account  string
	ID       string
	At       time.Time
	With     string // the other's bare JID
	Resource string // and resource, if it was named
	Stanza   []byte
}

// An ArchiveQuery asks for a page of an archive. Fields that are empty ask for nothing special.
type ArchiveQuery struct {
	With       string // bare, or full
	Start, End time.Time
	IDs        []string // these and no others
	After      []string // later than all of these
	Before     []string // earlier than all of these
	Last       bool     // the last of what is asked for, and not the first
	Limit      int      // messages of the page; 0 asks how many there are
	Bytes      int      // of their stanzas; one is always given
}

// An ArchivePage is the answer, oldest first.
type ArchivePage struct {
	Messages []Archived
	Complete bool // there is nothing more in the direction asked for
	Count    int  // of all that is asked for, of which this is a page
}

// lasting reports whether a message is one of those that are kept: of people and devices talking, and not said to be for
// the moment (XEP-0334).
func lasting(st *stream.Element) bool {
	switch st.Attr("type") {
	case "", "normal", "chat":
		return st.Child(nsHints, "no-store") == nil && (st.Child(nsHints, "store") != nil || says(st))
	}
	return false
}

// archivable reports whether a message goes into archives.
func (s *Server) archivable(st *stream.Element) bool {
	return s.archive > 0 && lasting(st) && st.Child(nsHints, "no-permanent-store") == nil
}

// unforged takes out of a client's message what only the server may say (XEP-0359 §6): the ids it gives.
func (s *Server) unforged(st *stream.Element) {
	st.Nodes = slices.DeleteFunc(st.Nodes, func(e *stream.Element) bool {
		if !e.Is(nsStanzaID, "stanza-id") {
			return false
		}
		by, err := jid.Parse(e.Attr("by"))
		return err != nil || by.Domainpart() == s.domain
	})
}

// incoming is a message as the account it is to gets it, and what its archive keeps of it, if anything. By is the client it
// comes from, nil for the house.
func (s *Server) incoming(a *account, st *stream.Element, by *session) (*stream.Element, *Archived) {
	out := withoutPrivate(st)
	if !s.archivable(st) {
		return out, nil
	}
	m := &Archived{Account: a.name, ID: newID(), At: time.Now(), Stanza: out.AppendXML(nil)}
	if by == nil {
		m.ID = s.archiveID(a, st)
	}
	if from, err := jid.Parse(st.Attr("from")); err == nil {
		m.With, m.Resource = from.Bare().String(), from.Resourcepart()
	}
	return withID(out, a.bare, m.ID), m
}

// archiveID is the id of what the house says. A message that it repeats under its own id, because nobody confirmed the first, is
// the same in the archive: clients see that they know it, and it is kept once. Like the others it cannot be guessed.
func (s *Server) archiveID(a *account, st *stream.Element) string {
	if st.Attr("id") == "" {
		return newID()
	}
	mac := hmac.New(sha256.New, s.decoys)
	for _, part := range []string{"archive", a.name, bare(st.Attr("from")), st.Attr("id")} {
		mac.Write([]byte(part + "\x00"))
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// withID is a message with the id that an account's archive has it under (XEP-0359).
func withID(st *stream.Element, by, id string) *stream.Element {
	out := *st
	out.Nodes = append(slices.Clip(st.Nodes), stream.New(nsStanzaID, "stanza-id", "by", by, "id", id))
	return &out
}

// outgoing is a message as the sender's other clients see it, kept in the sender's archive. It needs Server.mu.
func (c *session) outgoing(st *stream.Element) *stream.Element {
	s, a := c.server, c.account
	if !s.archivable(st) {
		return st
	}
	m := &Archived{Account: a.name, ID: newID(), At: time.Now(), Stanza: st.AppendXML(nil)}
	if to, err := jid.Parse(st.Attr("to")); err == nil {
		m.With, m.Resource = to.Bare().String(), to.Resourcepart()
	} else {
		m.With = a.bare
	}
	s.keep(m)
	return withID(st, a.bare, m.ID)
}

// keep puts a message into an archive; nil is none. It needs Server.mu, so that the order is that of delivery.
func (s *Server) keep(m *Archived) {
	if m == nil {
		return
	}
	s.store.Archive(*m)
	s.grown += 1 + len(m.Stanza)/4096
	if s.grown > pruneAfter {
		s.grown = 0
		select {
		case s.prune <- struct{}{}:
		default:
		}
	}
}

const (
	// pruneAfter is how many messages, or times 4 KiB, archives may grow by before the bounds are looked at again.
	pruneAfter = 500
	pruneEvery = time.Hour
)

// pruneArchive keeps the archives within their bounds until ctx is done. Without an archive it forgets what an earlier
// configuration kept.
func (s *Server) pruneArchive(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		err := s.store.PruneArchive(ctx, time.Now().Add(-s.archive), s.limits.Archive, s.limits.ArchiveBytes)
		if err != nil && ctx.Err() == nil {
			s.log.Error("old messages stay in the archive for now", "err", err)
		}
		if s.archive == 0 && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.prune:
		}
	}
}
