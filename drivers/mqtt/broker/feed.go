package broker

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

const (
	feedWindow  = 100 // retained messages on their way to a client that acknowledges them
	maxToFeed   = 2 * maxSubscriptions
	feedPatient = time.Second // between two looks, should nobody have told
)

// feed brings a client the retained messages of what it subscribed to, as fast as it takes them. mochi would put them
// all into the client's queue at once and drop what does not fit.
type feed struct {
	asked []asked // of the SUBSCRIBE that is being processed; of the goroutine that reads

	acked chan struct{} // a message was acknowledged

	mu      sync.Mutex
	pending []packets.Subscription
	running bool
	ended   bool
}

// asked is one filter of a SUBSCRIBE.
type asked struct {
	packets.Subscription
	existed bool
	tooMany bool
	silent  bool // no retained messages are wanted
	granted bool
}

func (f *feed) init() { f.acked = make(chan struct{}, 1) }

// end keeps anything more from being sent.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended, f.pending = true, nil
}

// feed has retained messages sent, in the order of the subscriptions. It reports false when a client asks for more and more
// without taking what it gets.
func (h *hook) feed(s *session, sub packets.Subscription) bool {
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || slices.ContainsFunc(f.pending, func(p packets.Subscription) bool { return p.Filter == sub.Filter }) {
		return true
	}
	if len(f.pending) >= maxToFeed {
		return false
	}
	f.pending = append(f.pending, sub)
	if !f.running {
		f.running = true
		h.feeding.Go(func() { h.feedAll(s) })
	}
	return true
}

// next takes the next subscription; without one the goroutine ends.
func (f *feed) next() (packets.Subscription, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) == 0 {
		f.running = false
		return packets.Subscription{}, false
	}
	sub := f.pending[0]
	f.pending = f.pending[1:]
	return sub, true
}

func (h *hook) feedAll(s *session) {
	for {
		sub, ok := s.feed.next()
		if !ok {
			return
		}
		for _, topic := range h.retained.matching(sub.Filter) {
			if !s.waitForRoom(sub.Qos > 0) {
				break
			}
			// As late as possible: what has been published meanwhile has already been sent, or will be.
			m := h.retained.get(topic)
			if _, still := s.client.State.Subscriptions.Get(sub.Filter); m != nil && still && s.may(h.users).may(topic, false) && (!sub.NoLocal || m.origin != s.client.ID) {
				h.send(s, sub, m)
			}
		}
	}
}

// waitForRoom waits until the client has taken most of what it got before. It reports false when it is gone.
func (s *session) waitForRoom(acknowledged bool) bool {
	window := feedWindow
	if n := int(s.client.Properties.Props.ReceiveMaximum); n > 0 {
		window = min(window, n)
	}
	for {
		if s.client.Closed() {
			return false
		}
		if s.conn.pending() < s.conn.max/2 && (!acknowledged || s.client.State.Inflight.Len() < window) {
			return true
		}
		select {
		case <-s.conn.room:
		case <-s.feed.acked:
		case <-s.conn.gone:
			return false
		case <-time.After(feedPatient):
		}
	}
}

// send sends one retained message.
func (h *hook) send(s *session, sub packets.Subscription, m *message) {
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: min(m.qos, sub.Qos), Retain: true},
		TopicName:   m.topic, Payload: m.payload, Properties: m.mqtt(), Created: time.Now().Unix(), Expiry: m.expires,
	}
	if sub.Identifier > 0 {
		pk.Properties.SubscriptionIdentifier = []int{sub.Identifier}
	}
	if pk.FixedHeader.Qos > 0 {
		id, err := s.client.NextPacketID()
		if err != nil {
			return
		}
		pk.PacketID = uint16(id)
		s.client.State.Inflight.Set(pk)
		atomic.AddInt64(&h.server.Info.Inflight, 1)
		s.client.State.Inflight.DecreaseSendQuota()
		h.OnQosPublish(s.client, pk, pk.Created, 0)
	}
	// It fails when the client is gone, or told us that it does not take packets of this size.
	if err := s.client.WritePacket(pk); err != nil && pk.FixedHeader.Qos > 0 && !s.client.Closed() {
		if s.client.State.Inflight.Delete(pk.PacketID) {
			atomic.AddInt64(&h.server.Info.Inflight, -1)
			s.client.State.Inflight.IncreaseSendQuota()
		}
	}
}
