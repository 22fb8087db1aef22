package broker

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	maxClientID   = 256 // bytes
	takeOverLimit = 2 * flushTimeout
)

// hook is what the broker adds to mochi: who may come in, what each may do and make the broker hold, and retained
// messages, which mochi keeps at ten times their size and looks through every second.
type hook struct {
	mochi.HookBase
	server   *mochi.Server
	users    *users // nil: everyone
	gate     *gate
	retained *retained
	max      limits
	log      *slog.Logger

	held    atomic.Int64 // bytes of messages not acknowledged, of all clients, at most
	feeding sync.WaitGroup

	mu       sync.Mutex
	wills    map[string]time.Time // delayed ones, by client, and when they are sent
	counting time.Time            // when held was counted last
}

// ID names the hook.
func (h *hook) ID() string { return "tidings" }

// Provides says which of mochi's questions the hook answers.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mochi.OnPacketRead, mochi.OnConnect, mochi.OnConnectAuthenticate, mochi.OnSessionEstablish, mochi.OnSessionEstablished, mochi.OnDisconnect,
		mochi.OnClientExpired, mochi.OnPacketEncode, mochi.OnACLCheck, mochi.OnPublish, mochi.OnWill, mochi.OnWillSent, mochi.OnQosPublish,
		mochi.OnQosComplete, mochi.OnSubscribe, mochi.OnSubscribed, mochi.OnPacketProcessed:
		return true
	}
	return false
}

// OnConnect looks at a CONNECT that is well-formed, before the password.
func (h *hook) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	c := cl.Net.Conn.(*conn)
	cl.Properties.Will.Retain = c.willRetain
	// A message left out when the queue is full would take the name behind an alias with it.
	cl.Properties.Props.TopicAliasMaximum = 0
	// A will that is sent later than the session lasts would find nobody who may retain it.
	cl.Properties.Will.WillDelayInterval = min(cl.Properties.Will.WillDelayInterval, longestWillDelay, max(cl.Properties.Props.SessionExpiryInterval, 1)-1)
	if len(cl.ID) > maxClientID {
		return errors.Join(packets.ErrClientIdentifierNotValid, h.server.SendConnack(cl, packets.ErrClientIdentifierNotValid, false, nil))
	}
	if cl.Net.Listener != localID && h.others() >= h.max.clients {
		return errors.Join(packets.ErrServerBusy, h.server.SendConnack(cl, packets.ErrServerUnavailable, false, nil))
	}
	return nil
}

// others are the clients that are connected, the gateway itself left out.
func (h *hook) others() (n int) {
	for _, cl := range h.server.Clients.GetAll() {
		if cl.Net.Listener != localID && !cl.Closed() {
			n++
		}
	}
	return n
}

// OnConnectAuthenticate lets in the gateway itself, everyone when there are no users, and users with their password. A
// client id that somebody else's session has is refused: what waits in that session is not for whoever comes.
func (h *hook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	c := cl.Net.Conn.(*conn)
	s := &session{client: cl, conn: c, inside: cl.Net.Listener == localID}
	s.feed.init()
	if !s.inside && h.users != nil {
		hash, ok := h.login(c, pk)
		if !ok {
			h.log.Warn("mqtt client refused: wrong user or password", "client", short(cl.ID), "user", short(string(pk.Connect.Username)), "remote", cl.Net.Remote)
			return false
		}
		s.user, s.hash = string(pk.Connect.Username), hash
	}
	if before, ok := h.server.Clients.Get(cl.ID); ok && !s.inside {
		if b := of(before); b != nil && (b.inside || b.user != s.user) {
			h.log.Warn("mqtt client refused: its client id is taken by another user", "client", short(cl.ID), "user", short(s.user), "remote", cl.Net.Remote)
			return false
		}
	}
	c.session.Store(s)
	c.gate()
	return true
}

// login checks a password, later where wrong ones came from before.
func (h *hook) login(c *conn, pk packets.Packet) (hash string, ok bool) {
	name, password := pk.Connect.Username, pk.Connect.Password
	h.refresh()
	if hash, ok := h.users.recalls(name, password); ok {
		return hash, true
	}
	wait, ok := h.gate.delay(c.origin(), time.Now())
	if !ok {
		return "", false
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-c.gone:
			return "", false
		}
	}
	if hash, ok = h.users.check(name, password); !ok {
		h.gate.failed(c.origin(), time.Now())
	}
	return hash, ok
}

// refresh reads the file of users again if it changed, and ends the connections and sessions of users who are gone or
// have another password. Those whose rules changed stay: their rights are looked up with every message.
func (h *hook) refresh() {
	if h.users == nil || !h.users.refresh() {
		return
	}
	h.log.Info("broker users read again", "users", len(h.users.now.Load().users))
	for id, cl := range h.server.Clients.GetAll() {
		s := of(cl)
		if s == nil || s.inside || h.users.now.Load().users[s.user].hash == s.hash {
			continue
		}
		if !cl.Closed() {
			cut(cl, packets.ErrNotAuthorized)
		} else if _, still := h.users.now.Load().users[s.user]; !still {
			h.forget(id, cl)
		}
	}
}

// OnSessionEstablish waits until an earlier connection of the same client has ended, last will and all: its will would
// otherwise come after what the client says now, and mochi would forget the new one instead of the old. Then it makes
// room, if there are too many sessions.
func (h *hook) OnSessionEstablish(cl *mochi.Client, _ packets.Packet) {
	before, ok := h.server.Clients.Get(cl.ID)
	if ok && !before.Closed() {
		cut(before, packets.ErrSessionTakenOver)
		select {
		case <-before.Net.Conn.(*conn).ended:
		case <-time.After(takeOverLimit):
		}
	}
	if ok || h.server.Clients.Len() < h.max.clients {
		return
	}
	var oldest *mochi.Client
	for _, other := range h.server.Clients.GetAll() {
		if at := other.StopTime(); at != 0 && (oldest == nil || at < oldest.StopTime()) {
			oldest = other
		}
	}
	if oldest != nil {
		h.forget(oldest.ID, oldest)
	}
}

// cut ends a connection from this side. A client that mochi ends itself may end as one that said goodbye, without its last will:
// Client.Read of v2.7.9 returns no error when it finds itself closed. So it is the connection that goes.
func cut(cl *mochi.Client, why packets.Code) {
	if cl.Properties.ProtocolVersion == 5 {
		_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: why.Code}) // it may be gone already
	}
	_ = cl.Net.Conn.Close()
}

// forget ends a session whose client is not there.
func (h *hook) forget(id string, cl *mochi.Client) {
	h.OnClientExpired(cl)
	h.server.Clients.Delete(id)
}

// OnSessionEstablished tells of a client that is in.
func (h *hook) OnSessionEstablished(cl *mochi.Client, _ packets.Packet) {
	if s := of(cl); s != nil { // of a session that goes on there may be some
		h.held.Add(int64(s.recount()))
	}
	h.log.Debug("mqtt client here", "client", short(cl.ID), "remote", cl.Net.Remote)
}

// OnDisconnect ends what is done for the connection.
func (h *hook) OnDisconnect(cl *mochi.Client, _ error, _ bool) {
	if s := of(cl); s != nil {
		s.feed.end()
	}
}

// lost does what mochi does when a connection ends, for one that ended in a panic: it publishes the last will, and forgets
// the session.
func (h *hook) lost(s *session) {
	cl := s.client
	s.feed.end()
	cl.Stop(packets.ErrMalformedPacket)
	if now, ok := h.server.Clients.Get(cl.ID); !ok || now != cl {
		return
	}
	if will := cl.Properties.Will; will.Flag != 0 && mochi.IsValidFilter(will.TopicName, true) && !tooDeep(will.TopicName) {
		// With QoS 0, for nobody acknowledges it. It is under the client's rules like any message.
		_ = h.server.InjectPacket(cl, packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: will.Retain}, TopicName: will.TopicName, Payload: will.Payload,
			Properties: packets.Properties{User: will.User},
		})
	}
	h.forget(cl.ID, cl)
}

// OnClientExpired takes the subscriptions of an expired session out of the index, which mochi forgets.
func (h *hook) OnClientExpired(cl *mochi.Client) {
	cl.ClearInflights()
	h.server.UnsubscribeClient(cl)
}

// OnPacketEncode tells clients of MQTT 5 what they may send, and counts what the gateway was sent.
func (h *hook) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Connack:
		pk.Properties.MaximumPacketSize = uint32(h.max.packet)
	case packets.Publish:
		if s := of(cl); s != nil && s.inside {
			s.kept()
		}
	}
	return pk
}

// short cuts what a stranger chose to what fits a line of the log.
func short(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
