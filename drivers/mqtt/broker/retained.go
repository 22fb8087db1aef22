package broker

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// messageCost is about what a retained message takes in memory beside its topic and its payload.
const messageCost = 200

// A message is a retained message. It is never changed.
type message struct {
	topic      string
	payload    []byte
	qos        byte
	expires    int64  // Unix time in seconds; 0: never
	origin     string // the client that published it; not kept across a restart
	properties *properties
}

// properties are those of MQTT 5 that go with a message.
type properties struct {
	User          []packets.UserProperty
	ContentType   string
	ResponseTopic string
	Correlation   []byte
	Text          bool // the payload is text, the publisher says
}

// keptProperties are what is kept of a packet's properties; nil for most.
func keptProperties(p packets.Properties) *properties {
	k := properties{User: p.User, ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, Correlation: p.CorrelationData, Text: p.PayloadFormatFlag && p.PayloadFormat == 1}
	if len(k.User) == 0 && k.ContentType == "" && k.ResponseTopic == "" && len(k.Correlation) == 0 && !k.Text {
		return nil
	}
	return &k
}

// mqtt is the way back.
func (m *message) mqtt() packets.Properties {
	k := m.properties
	if k == nil {
		return packets.Properties{}
	}
	p := packets.Properties{User: k.User, ContentType: k.ContentType, ResponseTopic: k.ResponseTopic, CorrelationData: k.Correlation}
	if k.Text {
		p.PayloadFormat, p.PayloadFormatFlag = 1, true
	}
	return p
}

func (m *message) size() int {
	n := messageCost + len(m.topic) + len(m.payload)
	if k := m.properties; k != nil {
		n += messageCost + len(k.ContentType) + len(k.ResponseTopic) + len(k.Correlation)
		for _, u := range k.User {
			n += len(u.Key) + len(u.Val) + 32
		}
	}
	return n
}

func (m *message) equal(other *message) bool {
	return m.qos == other.qos && m.expires == other.expires && bytes.Equal(m.payload, other.payload) && reflect.DeepEqual(m.properties, other.properties)
}

func (m *message) expired(now int64) bool { return m.expires > 0 && m.expires <= now }

// retained are the retained messages. Safe for concurrent use.
type retained struct {
	max int // bytes

	mu      sync.Mutex
	byTopic map[string]*message
	bytes   int
	changed map[string]struct{} // topics, since what changed was taken for the disk
}

func newRetained(max int) *retained {
	return &retained{max: max, byTopic: map[string]*message{}, changed: map[string]struct{}{}}
}

// set keeps a message in place of the topic's earlier one; an empty one only removes that. It reports false when there is no
// room: the earlier one is removed then, too, for it is no longer true.
func (r *retained) set(m *message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.byTopic[m.topic]
	if len(m.payload) == 0 {
		r.remove(old)
		return true
	}
	if old != nil && old.equal(m) { // as what is announced once more, every hour; nothing new for the disk
		r.byTopic[m.topic] = m
		return true
	}
	size := m.size()
	if old != nil {
		size -= old.size()
	}
	if r.bytes+size > r.max {
		r.remove(old)
		return false
	}
	r.bytes += size
	r.byTopic[m.topic] = m
	r.changed[m.topic] = struct{}{}
	return true
}

// remove takes a message out; nil is none. r.mu is held.
func (r *retained) remove(m *message) {
	if m == nil {
		return
	}
	delete(r.byTopic, m.topic)
	r.bytes -= m.size()
	r.changed[m.topic] = struct{}{}
}

func (r *retained) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byTopic)
}

// get returns the message of a topic, nil when there is none.
func (r *retained) get(topic string) *message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.byTopic[topic]; m != nil && !m.expired(time.Now().Unix()) {
		return m
	}
	return nil
}

// matching returns the topics in a filter, in order.
func (r *retained) matching(filter string) []string {
	if !strings.ContainsAny(filter, "+#") {
		return []string{filter}
	}
	levels := strings.Split(filter, "/")
	r.mu.Lock()
	var topics []string
	for topic := range r.byTopic {
		if matches(levels, topic) {
			topics = append(topics, topic)
		}
	}
	r.mu.Unlock()
	slices.Sort(topics)
	return topics
}

// expire removes what has expired.
func (r *retained) expire() {
	now := time.Now().Unix()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.byTopic {
		if m.expired(now) {
			r.remove(m)
		}
	}
}

// takeChanged returns what changed since it was asked last: the message of each topic, nil where it was removed.
func (r *retained) takeChanged() map[string]*message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changed) == 0 {
		return nil
	}
	out := make(map[string]*message, len(r.changed))
	for topic := range r.changed {
		out[topic] = r.byTopic[topic]
	}
	r.changed = map[string]struct{}{}
	return out
}

// giveBack marks what could not be written as changed once more.
func (r *retained) giveBack(changed map[string]*message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range changed {
		r.changed[topic] = struct{}{}
	}
}

// all returns every message, in the order of topics.
func (r *retained) all() []*message {
	r.mu.Lock()
	out := make([]*message, 0, len(r.byTopic))
	for _, m := range r.byTopic {
		out = append(out, m)
	}
	r.mu.Unlock()
	slices.SortFunc(out, func(a, b *message) int { return strings.Compare(a.topic, b.topic) })
	return out
}

// used is how many bytes the messages take.
func (r *retained) used() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes
}
