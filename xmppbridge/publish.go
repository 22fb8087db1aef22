package xmppbridge

import (
	"math"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// Readings as pubsub items (XEP-0060), for programs: a node for each point of each device, with one item, the present reading. Where
// the bare JIDs are ours the bridge answers itself (pubsub.go, and listen.go for those whose presence asks for it); an account
// publishes to its server, and any gateway to a service if one is named (publisher.go).

const (
	nsPubsub       = "http://jabber.org/protocol/pubsub"
	nsPubsubEvent  = nsPubsub + "#event"
	nsPubsubErrors = nsPubsub + "#errors"
	nsPubsubOwner  = nsPubsub + "#owner"

	// nodePrefix begins the name of every node: tidings/DEVICE/POINT.
	nodePrefix = "tidings/"
	// itemID is that of every item: a node has one.
	itemID = "current"
	// leastPublish is between two items of a node where Publish.Every is not set.
	leastPublish = time.Second
)

// Publish says whether readings are published, and where.
type Publish struct {
	Enabled bool
	Service string        // a pubsub service; empty: the bridge itself, or the account's own nodes
	Every   time.Duration // at most one item in this time, a node
}

// publishesItself reports whether the bridge answers for the nodes.
func (o *Options) publishesItself() bool {
	return o.Publish.Enabled && o.Publish.Service == "" && o.Audience != Broadcast
}

// nodeOf is the name of the node of a point.
func (b *Bridge) nodeOf(f changedField) string {
	return nodePrefix + b.addresses().Slug(f.device) + "/" + f.field
}

// fieldOf finds the point of a node's name.
func (b *Bridge) fieldOf(node string) (changedField, bool) {
	rest, ours := strings.CutPrefix(node, nodePrefix)
	slug, point, two := strings.Cut(rest, "/")
	if !ours || !two {
		return changedField{}, false
	}
	id, ok := b.addresses().Lookup(slug)
	return changedField{id, point}, ok
}

// readable finds a point that has a node.
func (b *Bridge) readable(f changedField) (*mapping.Device, *mapping.Point, devices.PointState, bool) {
	d, state, ok := b.o.House.Device(f.device)
	if !ok {
		return nil, nil, devices.PointState{}, false
	}
	p := d.Point(f.field)
	if !published(p) {
		return nil, nil, devices.PointState{}, false
	}
	s, _ := state.Point(f.field)
	return d, p, s, true
}

func published(p *mapping.Point) bool { return p != nil && p.Measured() }

// item is the present reading of a point as an item; nil where there is no good one.
func (b *Bridge) item(space string, f changedField, p *mapping.Point, s devices.PointState) *stream.Element {
	if s.Quality != devices.Good || s.At.IsZero() || s.Value.IsZero() {
		return nil
	}
	return stream.New(space, "item", "id", itemID).Add(itemDialect.Values("", []iot.Block{
		{Device: b.addresses().Slug(f.device), Fields: []iot.Field{pointField(p, s)}}}, false))
}

// itemDialect is what items are written in.
var itemDialect, _ = iot.Of("urn:nf:iot:sd:1.0")

// moved reports whether a value is worth another item.
func moved(p *mapping.Point, from, to devices.Value) bool {
	if from.IsZero() {
		return true
	}
	x, okX := from.Number()
	y, okY := to.Number()
	if okX && okY && p.Deadband > 0 {
		return math.Abs(y-x) >= p.Deadband
	}
	return from != to
}

// every is the least time between two items of a node.
func (b *Bridge) every() time.Duration {
	b.settings.RLock()
	defer b.settings.RUnlock()
	return max(b.o.Publish.Every, leastPublish)
}

// SetPublishEvery puts another least time between two items of a node in force. What waits already waits as long as it was to.
func (b *Bridge) SetPublishEvery(every time.Duration) {
	b.settings.Lock()
	defer b.settings.Unlock()
	b.o.Publish.Every = every
}
