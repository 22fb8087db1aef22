package xmppbridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// The bounds of readouts. What is read is in memory; it is the stanzas that cost.
const (
	// readAtOnce is how many devices are read before the request is answered; more are read by a worker.
	readAtOnce = 50
	// maxReadoutSize is about how many bytes of values go into one stanza: servers cap them, some at 64 KiB.
	maxReadoutSize = 48 << 10
	// maxReadoutsPerJID and maxReadouts bound those that wait for their time or are being sent.
	maxReadoutsPerJID = 16
	maxReadouts       = 500
	// maxReadoutWait is how far ahead one can be scheduled.
	maxReadoutWait = 24 * time.Hour
	slowServer     = 50 * time.Millisecond
)

// readoutQueue is the workers' queue of a program's readouts: no device has this id.
const readoutQueue devices.ID = "\x00readout"

// A readout is one request for data being answered.
type readout struct {
	asker
	from    string // our address, as it was asked
	dialect *iot.Dialect
	req     iot.Request
	devices []*mapping.Device
	named   bool
	fields  map[string]bool // wanted; nil: all
	alarm   alarm           // of one that is scheduled
	ended   atomic.Bool     // cancelled, or its asker has gone
}

// readouts are those that wait or are under way, by who asked and the id they gave.
type readouts struct {
	mu   sync.Mutex
	live map[programKey]*readout
}

// A programKey names something of a program's: ids are unique for a full JID.
type programKey struct{ full, id string }

// begin notes a readout, unless there are too many.
func (s *readouts) begin(o *readout) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := programKey{o.full, o.req.ID}
	if s.live[key] != nil {
		return stream.NewStanzaError(stream.Conflict, "a readout with this id is under way")
	}
	mine := 0
	for k := range s.live {
		if k.full == o.full {
			mine++
		}
	}
	if mine >= maxReadoutsPerJID || len(s.live) >= maxReadouts {
		return stream.NewStanzaError(stream.ResourceConstraint, "too many readouts are under way: wait for them, or cancel one")
	}
	s.live[key] = o
	return nil
}

// end takes a readout out and reports whether it was there.
func (s *readouts) end(key programKey) (*readout, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.live[key]
	if o == nil {
		return nil, false
	}
	o.ended.Store(true)
	delete(s.live, key)
	return o, true
}

// finish takes out a readout that has come to its end, before its last word goes out: with that word the program may use its id
// again. One that was cancelled is out, and its id may be another's.
func (s *readouts) finish(o *readout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := (programKey{o.full, o.req.ID}); s.live[key] == o {
		delete(s.live, key)
	}
}

// endAll ends the readouts of a program that has gone.
func (s *readouts) endAll(full string) (ended []*readout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, o := range s.live {
		if key.full == full {
			o.ended.Store(true)
			delete(s.live, key)
			ended = append(ended, o)
		}
	}
	return ended
}

// answerRead answers req: with the values where the dialect has them in the answer and they fit one stanza, else with a
// word that they come by message.
func answerRead(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		req, err := d.ReadRequest(r.query)
		if err != nil {
			return nil, b.refuseData(d, r, req.ID, err)
		}
		o := &readout{asker: r.asker, from: r.to, dialect: d, req: req}
		if o.devices, o.named, err = b.nodes(r.asker, r.target, req.Nodes); err == nil {
			err = o.want(req.Fields)
		}
		if err != nil {
			return nil, b.refuseData(d, r, req.ID, err)
		}
		if err := b.wantStored(o); err != nil {
			return nil, b.refuseData(d, r, req.ID, err)
		}
		wait := time.Until(req.When)
		switch {
		case req.When.IsZero(), wait <= 0:
			if len(o.devices) <= readAtOnce && !o.stored() {
				return b.readNow(r, o)
			}
		case wait > maxReadoutWait:
			return nil, b.refuseData(d, r, req.ID, stream.NewStanzaError(stream.NotAcceptable, "a readout can be scheduled for at most a day ahead"))
		}
		if err := b.readouts.begin(o); err != nil {
			return nil, b.refuseData(d, r, req.ID, err)
		}
		if wait > 0 && !req.When.IsZero() {
			b.send(stream.Result(r.iq, d.Accepted(req.ID, true)))
			o.alarm.ring = func(context.Context) { b.startReadout(o) }
			b.events.set(&o.alarm, time.Now().Add(wait))
			return nil, errLater
		}
		if o.stored() && len(o.devices) <= readAtOnce {
			return nil, b.readStored(r, o)
		}
		return nil, b.readLater(r, o)
	}
}

// want notes which fields are asked for: those that no device has are an error.
func (o *readout) want(names []string) error {
	if len(names) == 0 {
		return nil
	}
	o.fields = map[string]bool{}
	for _, name := range names {
		o.fields[name] = true
	}
	for _, name := range names {
		if !hasField(o.devices, name) {
			return stream.NewStanzaError(stream.ItemNotFound, "there is no field "+name)
		}
	}
	return nil
}

// readNow answers a readout that fits one stanza; a larger one goes on by message.
func (b *Bridge) readNow(r *request, o *readout) (*stream.Element, error) {
	var blocks []iot.Block
	whole, err := b.readout(context.Background(), o, func(part []iot.Block, more bool) bool {
		blocks = part
		return !more
	})
	if err != nil {
		return nil, err
	}
	if !whole {
		if err := b.readouts.begin(o); err != nil {
			return nil, b.refuseData(o.dialect, r, o.req.ID, err)
		}
		return nil, b.readLater(r, o)
	}
	return b.answerWhole(r, o, blocks)
}

// answerWhole answers with all there is.
func (b *Bridge) answerWhole(r *request, o *readout, blocks []iot.Block) (*stream.Element, error) {
	d, id := o.dialect, o.req.ID
	if why := b.unread(o, blocks); why != "" {
		offline := stream.NewStanzaError(stream.RecipientUnavailable, why)
		failure := d.Failure(id, b.addresses().Slug(o.devices[0].ID), offline.Text, time.Now())
		if failure == nil {
			return nil, b.refuseData(d, r, id, offline)
		}
		b.send(stream.Result(r.iq, d.Accepted(id, false)))
		b.send(iotMessage(o.from, o.full, failure))
		return nil, errLater
	}
	if !d.ByMessage {
		return d.Values(id, blocks, false), nil
	}
	b.send(stream.Result(r.iq, d.Accepted(id, false)))
	b.send(iotMessage(o.from, o.full, d.Values(id, blocks, false)))
	return nil, errLater
}

// unread says why the one device that was asked for what it measures has nothing to say.
func (b *Bridge) unread(o *readout, blocks []iot.Block) string {
	if len(blocks) > 0 || len(o.devices) != 1 || o.req.Categories&iot.Momentary == 0 {
		return ""
	}
	if online, why := b.o.House.Online(o.devices[0].ID); !online {
		return o.devices[0].Name + " is offline: " + why
	}
	return ""
}

// readLater says that a readout has begun and hands it to a worker.
func (b *Bridge) readLater(r *request, o *readout) error {
	begun := o.dialect.Started(o.req.ID)
	if o.dialect.ByMessage {
		begun = o.dialect.Accepted(o.req.ID, false)
	}
	answer := stream.Result(r.iq, begun)
	failed := func() { b.readouts.finish(o) }
	if !b.work.do(jobKey{o.full, readoutQueue}, job{failed: failed, do: func(ctx context.Context) {
		b.send(answer)
		b.sendReadout(ctx, o)
	}}) {
		b.readouts.finish(o)
		return b.refuseData(o.dialect, r, o.req.ID, devices.ErrBusy)
	}
	return errLater
}

// startReadout begins a scheduled readout, later if there is no worker for it now.
func (b *Bridge) startReadout(o *readout) {
	if o.ended.Load() {
		return
	}
	failed := func() { b.readouts.finish(o) }
	if !b.work.do(jobKey{o.full, readoutQueue}, job{failed: failed, do: func(ctx context.Context) {
		if b.sendPatiently(ctx, iotMessage(o.from, o.full, o.dialect.Started(o.req.ID))) == nil {
			b.sendReadout(ctx, o)
		}
	}}) {
		b.events.set(&o.alarm, time.Now().Add(time.Second))
	}
}

// sendReadout sends the values by message.
func (b *Bridge) sendReadout(ctx context.Context, o *readout) {
	defer b.readouts.finish(o)
	sent := 0
	_, err := b.readout(ctx, o, func(part []iot.Block, more bool) bool {
		sent++
		return b.sendPart(ctx, o, part, more)
	})
	if err != nil {
		b.endEarly(ctx, o, err)
	}
	b.log.Debug("readout sent", "jid", o.full, "messages", sent)
}

// sendPart sends some of the values by message.
func (b *Bridge) sendPart(ctx context.Context, o *readout, part []iot.Block, more bool) bool {
	if o.ended.Load() {
		return false
	}
	payload := o.dialect.Values(o.req.ID, part, more)
	if !more && len(part) == 0 {
		payload = o.dialect.Done(o.req.ID)
	}
	if !more {
		b.readouts.finish(o)
	}
	return b.sendPatiently(ctx, iotMessage(o.from, o.full, payload)) == nil
}

// endEarly ends by message a readout that the disk does not let go on, as far as the dialect has a word for it.
func (b *Bridge) endEarly(ctx context.Context, o *readout, err error) {
	b.log.Error("readout ended", "jid", o.full, "err", err)
	if o.ended.Load() || len(o.devices) == 0 {
		return
	}
	payload := o.dialect.Failure(o.req.ID, b.addresses().Slug(o.devices[0].ID), "the history cannot be read", time.Now())
	if payload == nil {
		payload = o.dialect.Done(o.req.ID)
	}
	b.readouts.finish(o)
	// The program is gone when this fails.
	_ = b.sendPatiently(ctx, iotMessage(o.from, o.full, payload))
}

// readout hands the values over in parts that each fit one stanza, the last one with more false, and reports whether all
// were taken. What the asker may not see any more, and devices that are gone meanwhile, are left out.
func (b *Bridge) readout(ctx context.Context, o *readout, take func(part []iot.Block, more bool) bool) (whole bool, err error) {
	p := &parts{take: take}
	for _, d := range o.devices {
		now, state, there := b.o.House.Device(d.ID)
		if !there || !b.sees(o.asker, d.ID) {
			continue
		}
		online, _ := b.o.House.Online(d.ID)
		p.begin(b.node(o.dialect, d.ID, o.named))
		for _, f := range b.fields(o.asker, now, state, o.req.Categories, o.fields, online) {
			if !p.add(f, fieldSize) {
				return false, nil
			}
		}
		if o.stored() {
			if more, err := b.storedFields(ctx, o, now, p); err != nil || !more {
				return false, err
			}
		}
	}
	p.end()
	return take(p.done, false), nil
}

// About how many bytes a field takes beside its name and value, and one with a time of its own.
const (
	fieldSize      = 100
	timedFieldSize = 170
)

// parts are fields on their way, cut into what fits a stanza.
type parts struct {
	take  func(part []iot.Block, more bool) bool
	done  []iot.Block
	block iot.Block
	size  int
}

// begin goes on with the fields of another device.
func (p *parts) begin(device string) {
	p.end()
	p.block = iot.Block{Device: device}
}

func (p *parts) end() {
	if len(p.block.Fields) > 0 {
		p.done = append(p.done, p.block)
	}
	p.block.Fields = nil
}

// add takes a field and reports whether more is wanted.
func (p *parts) add(f iot.Field, size int) bool {
	size += len(f.Name) + len(f.Value)
	if p.size > 0 && p.size+size > maxReadoutSize {
		p.end()
		if !p.take(p.done, true) {
			return false
		}
		p.done, p.size = nil, 0
	}
	p.block.Fields = append(p.block.Fields, f)
	p.size += size
	return true
}

// node names a device in an answer; empty where it goes without saying.
func (b *Bridge) node(d *iot.Dialect, id devices.ID, named bool) string {
	if named || d.ByMessage {
		return b.addresses().Slug(id)
	}
	return ""
}

// answerCancel ends a readout that waits or is under way.
func answerCancel(d *iot.Dialect) handler {
	return func(b *Bridge, r *request) (*stream.Element, error) {
		id, err := d.ReadID(r.query)
		if err != nil {
			return nil, b.refuseData(d, r, id, err)
		}
		o, found := b.readouts.end(programKey{r.full, id})
		if !found {
			return nil, b.refuseData(d, r, id, stream.NewStanzaError(stream.ItemNotFound, "no readout with this id is under way"))
		}
		b.events.drop(&o.alarm)
		return d.Cancelled(id), nil
	}
}
