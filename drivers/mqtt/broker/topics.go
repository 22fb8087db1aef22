package broker

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	maxSubscriptions    = 5_000  // of one client: another gateway has a topic or two a device
	maxAllSubscriptions = 20_000 // of all
	maxDelayedWills     = 256
	longestWillDelay    = 24 * 3600 // seconds
)

// OnPacketRead looks at each packet before mochi does. An error ends the connection.
func (h *hook) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	c := cl.Net.Conn.(*conn)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		// mochi refuses retained wills where it does not retain messages itself.
		c.willRetain, pk.Connect.WillRetain = pk.Connect.WillRetain, false
		return pk, nil
	case packets.Publish:
		if tooDeep(pk.TopicName) {
			return pk, h.reject(cl, packets.ErrTopicNameInvalid)
		}
	case packets.Puback, packets.Pubrec:
		if sent, ok := cl.State.Inflight.Get(pk.PacketID); ok && sent.FixedHeader.Type == packets.Publish {
			if s := of(cl); s != nil {
				s.hold(-heldSize(sent))
				h.held.Add(-int64(heldSize(sent)))
			}
		}
	case packets.Subscribe, packets.Unsubscribe:
		if len(pk.Filters) > maxSubscriptions {
			return pk, h.reject(cl, packets.ErrQuotaExceeded)
		}
		for _, f := range pk.Filters {
			if strings.Count(f.Filter, "/") > maxLevels+2 {
				return pk, h.reject(cl, packets.ErrTopicFilterInvalid)
			}
		}
	}
	if cl.Net.Listener != localID {
		c.pace(pk.FixedHeader.Remaining)
	}
	return pk, nil
}

// tooDeep reports whether a topic has more levels than mochi should look at.
func tooDeep(topic string) bool { return strings.Count(topic, "/") >= maxLevels }

// reject ends a connection, with the reason where the protocol has words for it.
func (h *hook) reject(cl *mochi.Client, code packets.Code) error {
	h.log.Warn("mqtt client cut off", "client", short(cl.ID), "remote", cl.Net.Remote, "err", code)
	if cl.Properties.ProtocolVersion == 5 {
		_ = h.server.DisconnectClient(cl, code) // returns the code
	}
	return packets.ErrRejectPacket
}

// OnACLCheck answers who may write a topic, subscribe to a filter, and have a message. mochi asks the last two in the
// same way.
func (h *hook) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	s := of(cl)
	if s == nil {
		return false
	}
	rights := s.may(h.users)
	switch {
	case write && cl.Properties.ProtocolVersion < 5:
		return true // mochi would cut it off; OnPublish looks
	case write:
		return rights.may(topic, true) || h.denied(s, "publish", topic)
	case strings.ContainsAny(topic, "+#") || s.subscribing.Load():
		return rights.maySubscribe(topic) || h.denied(s, "subscribe", topic)
	}
	return rights.may(topic, false) && h.takes(s)
}

// denied logs what a client may not do, and returns false.
func (h *hook) denied(s *session, what, topic string) bool {
	if s.mayLog() {
		h.log.Warn("mqtt client may not use a topic", "client", short(s.client.ID), "user", short(s.user), "what", what, "topic", short(topic))
	}
	return false
}

// takes reports whether one more message may wait for a client.
func (h *hook) takes(s *session) bool {
	if s.conn.full() || s.overfull(h.max.queue) {
		return false
	}
	if s.inside {
		s.keepUp()
	}
	if h.held.Load() < h.max.waiting {
		return true
	}
	h.countHeld()
	if h.held.Load() < h.max.waiting {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held < fairShare
}

// countHeld adds up what is held for all clients, once a second at most.
func (h *hook) countHeld() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.counting) < time.Second {
		return
	}
	h.counting = time.Now()
	sum := 0
	for _, cl := range h.server.Clients.GetAll() {
		if s := of(cl); s != nil {
			sum += s.recount()
		}
	}
	h.held.Store(int64(sum))
}

// OnQosPublish counts what is held until it is acknowledged.
func (h *hook) OnQosPublish(cl *mochi.Client, pk packets.Packet, _ int64, _ int) {
	if s := of(cl); s != nil && pk.FixedHeader.Type == packets.Publish {
		s.hold(heldSize(pk))
		h.held.Add(int64(heldSize(pk)))
	}
}

// OnQosComplete lets the retained messages that wait for acknowledgements go on.
func (h *hook) OnQosComplete(cl *mochi.Client, _ packets.Packet) {
	if s := of(cl); s != nil {
		signal(s.feed.acked)
	}
}

// OnPublish drops what a client before MQTT 5 may not publish, with an acknowledgement, as there is no other answer; and
// keeps what is to be retained.
func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	s := of(cl)
	if s == nil || !s.may(h.users).may(pk.TopicName, true) && !h.denied(s, "publish", pk.TopicName) {
		return pk, packets.CodeSuccessIgnore
	}
	if pk.FixedHeader.Retain {
		h.retain(cl, pk)
	}
	return pk, nil
}

// OnWill drops a last will that the client may not publish, and keeps one that is to be retained. mochi publishes
// nothing to the empty topic.
func (h *hook) OnWill(cl *mochi.Client, will mochi.Will) (mochi.Will, error) {
	s := of(cl)
	if s == nil || !mochi.IsValidFilter(will.TopicName, true) || tooDeep(will.TopicName) ||
		!s.may(h.users).may(will.TopicName, true) && !h.denied(s, "last will", will.TopicName) {
		cl.Properties.Will.WillDelayInterval = 0
		return mochi.Will{}, nil
	}
	if delay := cl.Properties.Will.WillDelayInterval; delay == 0 || !h.mayDelay(cl.ID, delay) {
		cl.Properties.Will.WillDelayInterval = 0
		if will.Retain {
			h.retain(cl, packets.Packet{
				FixedHeader: packets.FixedHeader{Qos: will.Qos}, TopicName: will.TopicName, Payload: will.Payload,
				Properties: packets.Properties{User: will.User},
			})
		}
	}
	return will, nil
}

// mayDelay reports whether one more last will may wait.
func (h *hook) mayDelay(client string, delay uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for id, at := range h.wills {
		if now.After(at) {
			delete(h.wills, id)
		}
	}
	if _, again := h.wills[client]; !again && len(h.wills) >= maxDelayedWills {
		return false
	}
	h.wills[client] = now.Add(time.Duration(delay)*time.Second + 2*time.Second)
	return true
}

// OnWillSent keeps a retained will that was sent later.
func (h *hook) OnWillSent(cl *mochi.Client, pk packets.Packet) {
	if pk.FixedHeader.Retain && pk.Connect.WillProperties.WillDelayInterval > 0 {
		h.retain(cl, pk)
	}
}

// retain keeps a message, or removes the one kept when it is empty.
func (h *hook) retain(cl *mochi.Client, pk packets.Packet) {
	m := &message{topic: pk.TopicName, payload: pk.Payload, qos: pk.FixedHeader.Qos, expires: pk.Expiry, origin: cl.ID, properties: keptProperties(pk.Properties)}
	if !h.retained.set(m) {
		if s := of(cl); s != nil && s.mayLog() {
			h.log.Warn("mqtt message not retained: there is no room", "client", short(cl.ID), "topic", short(pk.TopicName), "bytes", h.max.retained,
				"mend", "a larger max_retained in [broker]")
		}
	}
	atomic.StoreInt64(&h.server.Info.Retained, int64(h.retained.len()))
}

// OnSubscribe makes the packet's identifier free: mochi keeps one list of identifiers for both directions, and refuses
// a SUBSCRIBE whose identifier is also that of a message on its way to the client: a client that takes its session up
// again would lose its retained messages. The message has been sent again just before; only its acknowledgement will
// find nothing.
//
// It takes out the filters that are too many, and keeps mochi from looking for retained messages, but for those of $SYS.
func (h *hook) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	cl.State.Inflight.Delete(pk.PacketID)
	s := of(cl)
	if s == nil {
		return pk
	}
	s.subscribing.Store(true)
	room := min(maxSubscriptions-cl.State.Subscriptions.Len(), maxAllSubscriptions-h.subscriptions())
	pk.Filters = slices.Clone(pk.Filters)
	s.feed.asked = s.feed.asked[:0]
	for i, f := range pk.Filters {
		_, existed := cl.State.Subscriptions.Get(f.Filter)
		a := asked{Subscription: f, existed: existed}
		_, plain, shared := cutShare(f.Filter)
		switch {
		case !validFilter(plain):
			pk.Filters[i].Filter = "" // which mochi refuses
		case !existed && room <= 0 && !s.inside:
			a.tooMany, pk.Filters[i].Filter = true, ""
		case !existed:
			room--
		}
		if shared || !strings.HasPrefix(plain, mochi.SysPrefix) {
			pk.Filters[i].RetainHandling = 2
		}
		a.silent = shared || strings.HasPrefix(plain, mochi.SysPrefix) || f.RetainHandling == 2 || f.RetainHandling == 1 && existed
		s.feed.asked = append(s.feed.asked, a)
	}
	return pk
}

// subscriptions are those of all clients.
func (h *hook) subscriptions() (n int) {
	for _, cl := range h.server.Clients.GetAll() {
		n += cl.State.Subscriptions.Len()
	}
	return n
}

// OnSubscribed notes what was granted, before the client is told.
func (h *hook) OnSubscribed(cl *mochi.Client, _ packets.Packet, codes []byte) {
	s := of(cl)
	if s == nil {
		return
	}
	s.subscribing.Store(false)
	for i := range s.feed.asked {
		a := &s.feed.asked[i]
		a.granted = codes[i] <= packets.CodeGrantedQos2.Code
		if a.tooMany && cl.Properties.ProtocolVersion == 5 {
			codes[i] = packets.ErrQuotaExceeded.Code
		}
		if a.tooMany && s.mayLog() {
			h.log.Warn("mqtt client has too many subscriptions", "client", short(cl.ID), "user", short(s.user), "topic", short(a.Filter))
		}
	}
}

// OnPacketProcessed sends retained messages once the client has been told that it is subscribed.
func (h *hook) OnPacketProcessed(cl *mochi.Client, pk packets.Packet, err error) {
	s := of(cl)
	if s == nil || pk.FixedHeader.Type != packets.Subscribe {
		return
	}
	for _, a := range s.feed.asked {
		if err == nil && a.granted && !a.silent && !h.feed(s, a.Subscription) {
			_ = h.reject(cl, packets.ErrQuotaExceeded)
			cl.Stop(packets.ErrQuotaExceeded)
			break
		}
	}
	s.feed.asked = nil
}
