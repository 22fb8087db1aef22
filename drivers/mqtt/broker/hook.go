package broker

import (
	"context"
	"log/slog"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is what the broker adds to mochi: who may come in, and what is kept.
type hook struct {
	mochi.HookBase
	server *mochi.Server
	users  *users // nil: everyone
	log    *slog.Logger
}

// ID names the hook.
func (h *hook) ID() string { return "tidings" }

// Provides says which of mochi's questions the hook answers.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnWill, mochi.OnClientExpired, mochi.OnSessionEstablished,
		mochi.OnSubscribe:
		return true
	}
	return false
}

// OnConnectAuthenticate lets in the gateway itself, everyone when there are no users, and users with their password.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	if cl.Net.Listener == localID || h.users == nil {
		return true
	}
	ok, err := h.users.check(pk.Connect.Username, pk.Connect.Password)
	if err != nil {
		h.log.Error("broker lets nobody in", "err", err)
	}
	if !ok {
		h.log.Warn("mqtt client refused", "client", short(cl.ID), "user", short(string(pk.Connect.Username)), "remote", cl.Net.Remote)
	}
	return ok
}

// OnACLCheck allows every topic to whoever is in; mochi itself keeps $SYS for reading.
func (h *hook) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnSessionEstablished tells of a client that is in.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	h.log.Debug("mqtt client here", "client", short(cl.ID), "remote", cl.Net.Remote)
}

// OnSubscribe makes the packet's identifier free. mochi keeps one list of identifiers for both directions, and refuses
// a SUBSCRIBE whose identifier is also that of a message on its way to the client: a client that takes its session up
// again would lose its retained messages. The message has been sent again just before; only its acknowledgement will
// find nothing.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	cl.State.Inflight.Delete(pk.PacketID)
	return pk
}

// OnPublish takes the retain flag off a message that would make one topic too many.
func (h *hook) OnPublish(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Retain && len(pk.Payload) > 0 && !h.mayRetain(pk.TopicName) {
		pk.FixedHeader.Retain = false
	}
	return pk, nil
}

// OnWill does the same for last wills, which do not pass OnPublish.
func (h *hook) OnWill(_ *mochi.Client, will mochi.Will) (mochi.Will, error) {
	if will.Retain && !h.mayRetain(will.TopicName) {
		will.Retain = false
	}
	return will, nil
}

func (h *hook) mayRetain(topic string) bool {
	retained := h.server.Topics.Retained
	if retained.Len() < maxRetained {
		return true
	}
	_, ok := retained.Get(topic)
	return ok
}

// OnClientExpired takes the subscriptions of an expired session out of the index, which mochi forgets.
func (h *hook) OnClientExpired(cl *mochi.Client) {
	cl.ClearInflights()
	h.server.UnsubscribeClient(cl)
}

// short cuts what a stranger chose to what fits a line of the log.
func short(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// quiet passes mochi's own log on as Debug: it warns of every client that leaves without saying so. Once it is hushed it
// passes nothing on: mochi has goroutines that nobody can wait for, and they log their end after that of Run.
type quiet struct {
	slog.Handler
	state *quietState // shared by the handlers made of this one
}

type quietState struct {
	mu     sync.RWMutex
	hushed bool
}

func newQuiet(h slog.Handler) quiet { return quiet{h, &quietState{}} }

// hush returns when nothing is being logged any more.
func (q quiet) hush() {
	q.state.mu.Lock()
	defer q.state.mu.Unlock()
	q.state.hushed = true
}

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	q.state.mu.RLock()
	defer q.state.mu.RUnlock()
	return !q.state.hushed && q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	q.state.mu.RLock()
	defer q.state.mu.RUnlock()
	if q.state.hushed {
		return nil
	}
	out := slog.NewRecord(r.Time, slog.LevelDebug, "mochi: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "pk" && a.Key != "packet" { // whole packets, with whatever is in them
			out.AddAttrs(a)
		}
		return true
	})
	return q.Handler.Handle(ctx, out)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.state}
}

func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.state}
}
