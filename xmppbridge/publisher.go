package xmppbridge

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

const (
	// maxPublished bounds the nodes kept elsewhere.
	maxPublished = 5000
	// publishTimeout bounds one request to a service, publishRetry is when what it refused is tried again.
	publishTimeout = 30 * time.Second
	publishRetry   = 10 * time.Minute
	// publishPause is how long nothing is asked of a service that does not answer.
	publishPause = time.Minute
)

// publisher keeps nodes at the server of an account (XEP-0163), or at a service (XEP-0060). Each is made closed, with a list of
// those who may see the device, before anything is published to it, and every item says again that it is to be closed: what
// somebody opened meanwhile takes none. One goroutine (run) does one request after the other; what changes waits in an inbox that
// holds each point once.
type publisher struct {
	b       *Bridge
	service string // where to; empty: nowhere
	ready   chan struct{}
	pause   atomic.Int64 // until then the server is left alone, in nanoseconds since 1970

	mu    sync.Mutex
	dirty map[changedField]struct{}
	check bool                   // access or the stream changed: look at every node
	known map[PublishedNode]bool // a cache over the store, of other services, too; true: of a device that is gone for good

	made map[string]*remoteNode // of run
}

// A remoteNode is a node as far as we know it.
type remoteNode struct {
	closed  bool     // made, or seen to be as it should
	members []string // sorted; nil: not known
	value   devices.Value
	next    time.Time // nothing is published before
}

func loadPublisher(ctx context.Context, b *Bridge) (*publisher, error) {
	p := &publisher{b: b, ready: make(chan struct{}, 1), dirty: map[changedField]struct{}{}, known: map[PublishedNode]bool{},
		made: map[string]*remoteNode{}}
	if b.o.Audience == Rosters {
		return p, nil
	}
	hub, _ := b.addresses().Hub()
	switch {
	case !b.o.Publish.Enabled:
	case b.o.Publish.Service != "":
		p.service = b.o.Publish.Service
	case b.o.Audience == Broadcast:
		p.service = hub
	}
	list, err := b.o.Store.Published(ctx)
	for _, n := range list {
		p.known[n] = false
	}
	if p.service != "" {
		b.events.watchAll(1)
	}
	return p, err
}

// needed reports whether there is anything to do: to publish, or to take away what was published under an older configuration.
func (p *publisher) needed() bool { return p.service != "" || len(p.known) > 0 }

// see takes a point that was read. It is called by events.
func (p *publisher) see(f changedField) {
	if p.service == "" {
		return
	}
	p.mu.Lock()
	p.dirty[f] = struct{}{}
	p.mu.Unlock()
	poke(p.ready)
}

// again has every node looked at.
func (p *publisher) again() {
	p.checkNext()
	p.pause.Store(0)
	poke(p.ready)
}

// checkNext has the next round look at every node.
func (p *publisher) checkNext() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.check = true
}

// withdraw has the nodes of a device that is gone for good deleted.
func (p *publisher) withdraw(id devices.ID) {
	prefix := p.b.nodeOf(changedField{device: id})
	p.mu.Lock()
	for n := range p.known {
		if strings.HasPrefix(n.Node, prefix) {
			p.known[n] = true
		}
	}
	p.mu.Unlock()
	p.again()
}

func (p *publisher) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.ready:
		}
		if rest := time.Until(time.Unix(0, p.pause.Load())); rest > 0 {
			timer.Reset(rest)
			continue
		}
		if p.b.o.Audience == Broadcast && !p.b.rosterKnown.Load() {
			continue // it tells who of a domain is let in; when it comes that is said
		}
		wait, err := p.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.b.log.Debug("not published for now", "err", err)
			wait = publishPause // or until the stream is up again
			p.pause.Store(time.Now().Add(wait).UnixNano())
		}
		timer.Reset(wait)
	}
}

// round does what there is to do and returns how long there is nothing more. An error is one of the stream.
func (p *publisher) round(ctx context.Context) (time.Duration, error) {
	p.mu.Lock()
	check := p.check
	p.check = false
	p.mu.Unlock()
	if check {
		if err := p.sweep(ctx); err != nil {
			p.checkNext()
			return 0, err
		}
		p.everything()
	}
	p.mu.Lock()
	todo := slices.SortedFunc(maps.Keys(p.dirty), func(a, b changedField) int {
		return strings.Compare(string(a.device)+"\n"+a.field, string(b.device)+"\n"+b.field)
	})
	p.mu.Unlock()
	wait := time.Hour
	for _, f := range todo {
		at, err := p.publish(ctx, f)
		if err != nil {
			return 0, err
		}
		if at.IsZero() {
			continue
		}
		p.mu.Lock()
		p.dirty[f] = struct{}{}
		p.mu.Unlock()
		wait = min(wait, max(time.Until(at), 10*time.Millisecond))
	}
	return wait, nil
}

// everything marks every point of every device, and of those that have not been announced yet and have nodes: what was published of
// them before is for those alone who may see it now.
func (p *publisher) everything() {
	if p.service == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.b.o.House.Devices() {
		for i := range d.Points {
			if published(&d.Points[i]) {
				p.dirty[changedField{d.ID, d.Points[i].Name}] = struct{}{}
			}
		}
	}
	for n := range p.known {
		if f, ok := p.b.fieldOf(n.Node); ok && n.Service == p.service {
			p.dirty[f] = struct{}{}
		}
	}
}

// sweep deletes the nodes that are nobody's: of devices that are gone for good, of a service that is not ours any more. A device
// that has not been announced yet has its address already.
func (p *publisher) sweep(ctx context.Context) error {
	p.mu.Lock()
	known := maps.Clone(p.known)
	p.mu.Unlock()
	for n, gone := range known {
		if f, ok := p.b.fieldOf(n.Node); !gone && n.Service == p.service && ok && p.wanted(f) {
			continue
		}
		_, err := p.request(ctx, n.Service, "set", stream.New(nsPubsubOwner, "pubsub").Add(stream.New(nsPubsubOwner, "delete", "node", n.Node)))
		if refused(err) == nil && err != nil {
			return err
		}
		if e := refused(err); e != nil && e.Condition != stream.ItemNotFound {
			p.b.log.Warn("a pubsub node could not be deleted", "service", n.Service, "node", n.Node, "err", e)
		}
		if err := p.b.o.Store.ForgetPublished(ctx, n); err != nil {
			return err
		}
		p.mu.Lock()
		delete(p.known, n)
		p.mu.Unlock()
		delete(p.made, n.Node)
	}
	return nil
}

// wanted reports whether a point is to have a node: one of a device that is there and has such a point, or has not been announced.
func (p *publisher) wanted(f changedField) bool {
	d, _, there := p.b.o.House.Device(f.device)
	return !there || published(d.Point(f.field))
}

// publish publishes the present reading of a point, or says when that may be done.
func (p *publisher) publish(ctx context.Context, f changedField) (again time.Time, err error) {
	p.mu.Lock()
	delete(p.dirty, f)
	p.mu.Unlock()
	name, now := p.b.nodeOf(f), time.Now()
	_, point, s, ok := p.b.readable(f)
	item := (*stream.Element)(nil)
	if ok {
		item = p.b.item(nsPubsub, f, point, s)
	}
	p.mu.Lock()
	_, kept := p.known[PublishedNode{p.service, name}]
	p.mu.Unlock()
	if item == nil && !kept {
		return time.Time{}, nil // nothing to say yet, nor did an earlier life of the gateway
	}
	n := p.made[name]
	if n == nil {
		if len(p.made) >= maxPublished {
			return time.Time{}, nil
		}
		n = &remoteNode{}
		p.made[name] = n
	}
	if now.Before(n.next) {
		return n.next, nil
	}
	if err = p.close(ctx, name, n); err == nil {
		err = p.admit(ctx, name, n, f)
	}
	if err == nil && item != nil && moved(point, n.value, s.Value) {
		n.next = now.Add(p.b.every())
		if err = p.put(ctx, name, item); err == nil {
			n.value = s.Value
		}
	}
	e := refused(err)
	switch {
	case err == nil:
		return time.Time{}, nil
	case e == nil:
		p.checkNext()
		return time.Time{}, err
	}
	n.closed, n.members, n.next = false, nil, now.Add(publishRetry)
	if e.Condition == stream.Conflict { // somebody has opened it: close it, and try again
		n.next = now.Add(p.b.every())
	}
	p.b.log.Warn("a reading could not be published", "service", p.service, "node", name, "err", e, "again", n.next.Sub(now))
	return n.next, nil
}

// close makes a node, closed; one that is there already is closed.
func (p *publisher) close(ctx context.Context, name string, n *remoteNode) error {
	if n.closed {
		return nil
	}
	known := PublishedNode{p.service, name}
	if err := p.b.o.Store.SavePublished(ctx, known); err != nil { // before, or a crash would leave it
		return err
	}
	p.mu.Lock()
	p.known[known] = false
	p.mu.Unlock()
	_, err := p.request(ctx, p.service, "set", stream.New(nsPubsub, "pubsub").Add(stream.New(nsPubsub, "create", "node", name),
		stream.New(nsPubsub, "configure").Add(nodeConfig())))
	if e := refused(err); e != nil && e.Condition == stream.Conflict { // it is there
		_, err = p.request(ctx, p.service, "set", stream.New(nsPubsubOwner, "pubsub").
			Add(stream.New(nsPubsubOwner, "configure", "node", name).Add(nodeConfig())))
	}
	n.closed = err == nil
	return err
}

// nodeConfig is what every node is to be: closed, with one item that is kept. Subscribers are told when it goes, which
// ejabberd leaves out unless asked: whoever was subscribed to a node made anew has to subscribe again.
func nodeConfig() *stream.Element {
	return newForm("submit", "", "").Add(
		newField("FORM_TYPE", "hidden", "", nsPubsub+"#node_config"),
		newField("pubsub#access_model", "", "", "whitelist"),
		newField("pubsub#publish_model", "", "", "publishers"),
		newField("pubsub#persist_items", "", "", "1"),
		newField("pubsub#max_items", "", "", "1"),
		newField("pubsub#deliver_payloads", "", "", "1"),
		newField("pubsub#notify_delete", "", "", "1"))
}

// put publishes an item, to a node that is closed.
func (p *publisher) put(ctx context.Context, name string, item *stream.Element) error {
	options := newForm("submit", "", "").Add(
		newField("FORM_TYPE", "hidden", "", nsPubsub+"#publish-options"),
		newField("pubsub#access_model", "", "", "whitelist"))
	_, err := p.request(ctx, p.service, "set", stream.New(nsPubsub, "pubsub").Add(
		stream.New(nsPubsub, "publish", "node", name).Add(item),
		stream.New(nsPubsub, "publish-options").Add(options)))
	return err
}

func (p *publisher) request(ctx context.Context, service, typ string, what *stream.Element) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, hub := p.b.addresses().Hub()
	return p.b.o.Network.Request(ctx, stream.New(stream.NS, "iq", "type", typ, "from", hub, "to", service).Add(what))
}

// refused is the answer of a server that would not; nil where there was no answer.
func refused(err error) *stream.StanzaError {
	e := (*stream.StanzaError)(nil)
	errors.As(err, &e)
	return e
}
