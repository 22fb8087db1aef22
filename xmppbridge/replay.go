package xmppbridge

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"sync"
	"time"

	"tidings/xmppbridge/stream"
)

const nsDelay = "urn:xmpp:delay"

const (
	replayLife = 10 * time.Minute
	maxReplay  = 10000
)

// replay remembers what was carried out, so that a stanza delivered twice (a stream resumed, a queue replayed) acts
// once. A sender that goes unavailable is forgotten: some clients count their ids from one again.
type replay struct {
	store Store
	mu    sync.Mutex
	done  map[replayKey]time.Time
}

type replayKey struct{ from, id, sum string }

func loadReplay(ctx context.Context, store Store) (*replay, error) {
	list, err := store.Executed(ctx)
	if err != nil {
		return nil, err
	}
	r := &replay{store: store, done: map[replayKey]time.Time{}}
	for _, e := range list {
		r.done[replayKey{e.From, e.ID, e.Sum}] = e.At
	}
	r.expire(time.Now())
	return r, nil
}

// first reports whether this stanza is seen for the first time, and remembers it.
func (r *replay) first(from string, st *stream.Element, now time.Time) bool {
	key := keyOf(from, st)
	if key.id == "" {
		return true // nothing to know it by
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, seen := r.done[key]; seen {
		return false
	}
	if len(r.done) >= maxReplay {
		r.makeRoom()
	}
	r.done[key] = now
	r.store.SaveExecuted(Executed{From: from, ID: key.id, Sum: key.sum, At: now})
	return true
}

func keyOf(from string, st *stream.Element) replayKey {
	h := sha256.New()
	h.Write([]byte(st.Attr("to") + "\n"))
	for c := range st.Children() {
		h.Write(c.AppendXML(nil))
	}
	return replayKey{from, st.Attr("id"), base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:12])}
}

// undo forgets a stanza that was not carried out after all. The store may keep it: after a restart nobody sends it again.
func (r *replay) undo(from string, st *stream.Element) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.done, keyOf(from, st))
}

// makeRoom forgets the oldest tenth at once, so that a flood does not look through all of them for each. The lock is held.
func (r *replay) makeRoom() {
	times := slices.SortedFunc(maps.Values(r.done), time.Time.Compare)
	last := times[len(times)/10]
	maps.DeleteFunc(r.done, func(_ replayKey, at time.Time) bool { return !at.After(last) })
}

func (r *replay) forget(from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := false
	for k := range r.done {
		if k.from == from {
			delete(r.done, k)
			found = true
		}
	}
	if found {
		r.store.ForgetExecuted(from)
	}
}

func (r *replay) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, at := range r.done {
		if now.Sub(at) > replayLife {
			delete(r.done, k)
		}
	}
}

// refuseOld refuses what may have waited on its way: stanzas stamped as delayed (XEP-0203), and whatever came before
// the stream had proved that nothing older is under way.
func (b *Bridge) refuseOld(st *stream.Element, fresh bool) error {
	if st.Child(nsDelay, "delay") != nil {
		return stream.NewStanzaError(stream.NotAllowed, "too old, not done")
	}
	if !fresh {
		e := stream.NewStanzaError(stream.ResourceConstraint,
			"the gateway has just connected and cannot tell how old this is, so it was not done: send it again")
		return e
	}
	return nil
}
