package xmppbridge

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/iot"
)

// events watches readings for those who subscribed to them. What changed is left by Readings in an inbox of its own, so
// that the router never waits for more than a map; one goroutine (run) looks at it, keeps the times and sends.
//
// The inbox holds each field once, however often it changed: it is bounded by the points that are watched. Conditions are
// looked at with the values of that moment.
type events struct {
	b     *Bridge
	ready chan struct{} // holds one token while there is something to look at

	inbox   sync.Mutex
	watched map[devices.ID]int // watches of a device; others' readings are not taken in
	all     int                // reasons to take in everybody's
	dirty   map[changedField]struct{}

	mu     sync.Mutex
	byID   map[devices.ID][]*watch
	byKey  map[string]map[string][]*watch // by full JID and id of the subscription
	total  int
	alarms alarms

	perJID, inAll int // bounds of watches
}

type changedField struct {
	device devices.ID
	field  string
}

func newEvents(b *Bridge) *events {
	return &events{b: b, ready: make(chan struct{}, 1), watched: map[devices.ID]int{}, dirty: map[changedField]struct{}{},
		byID: map[devices.ID][]*watch{}, byKey: map[string]map[string][]*watch{},
		perJID: maxWatchesPerJID, inAll: maxWatches}
}

// Readings says that points have been read, for programs that subscribed to them; their values are asked of the House when
// there is time. It takes what the router gives and keeps none of it, and never waits for the network.
func (b *Bridge) Readings(readings []devices.Reading) {
	e := b.events
	e.inbox.Lock()
	some := false
	if len(e.watched) > 0 || e.all > 0 {
		for i := range readings {
			if r := &readings[i]; e.all > 0 || e.watched[r.Device] > 0 {
				e.dirty[changedField{r.Device, r.Point}] = struct{}{}
				some = true
			}
		}
	}
	e.inbox.Unlock()
	if some {
		e.wake()
	}
}

// watchToo takes in the readings of a device for n reasons more, or less.
func (e *events) watchToo(id devices.ID, n int) {
	e.inbox.Lock()
	defer e.inbox.Unlock()
	if e.watched[id] += n; e.watched[id] <= 0 {
		delete(e.watched, id)
	}
}

// watchAll takes in all readings for n reasons more, or less.
func (e *events) watchAll(n int) {
	e.inbox.Lock()
	defer e.inbox.Unlock()
	e.all += n
}

// changed says that a field which is no point has changed.
func (e *events) changed(id devices.ID, field string) {
	e.inbox.Lock()
	watched := e.watched[id] > 0
	if watched {
		e.dirty[changedField{id, field}] = struct{}{}
	}
	e.inbox.Unlock()
	if watched {
		e.wake()
	}
}

func (e *events) wake() {
	poke(e.ready)
}

// run looks at what changed and rings alarms until ctx is done.
func (e *events) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var spare map[changedField]struct{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.ready:
			spare = e.look(spare)
		case <-timer.C:
		}
		timer.Reset(e.ring(ctx))
	}
}

// maxSpare is how large a map is kept to be used again.
const maxSpare = 4096

// look takes the inbox and looks at each field in it, exchanging it for an empty map.
func (e *events) look(empty map[changedField]struct{}) map[changedField]struct{} {
	if empty == nil {
		empty = map[changedField]struct{}{}
	}
	e.inbox.Lock()
	dirty := e.dirty
	e.dirty = empty
	e.inbox.Unlock()
	now := time.Now()
	for c := range dirty {
		d, state, ok := e.b.o.House.Device(c.device)
		if !ok {
			continue
		}
		v, category := e.b.value(c.device, d, state, c.field)
		e.trips(c, v, category, now)
		e.b.items.see(c, now)
		e.b.publisher.see(c)
	}
	if len(dirty) > maxSpare {
		return nil
	}
	clear(dirty)
	return dirty
}

// trips looks at one field for every watch of its device.
func (e *events) trips(c changedField, v devices.Value, category iot.Category, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.byID[c.device] {
		e.trip(w, c.field, v, category, now)
	}
}

// ring rings the alarms that are due and returns how long there is none.
func (e *events) ring(ctx context.Context) time.Duration {
	for ctx.Err() == nil {
		e.mu.Lock()
		if len(e.alarms) == 0 {
			e.mu.Unlock()
			return time.Hour
		}
		next := e.alarms[0]
		if wait := time.Until(next.at); wait > 0 {
			e.mu.Unlock()
			return wait
		}
		heap.Pop(&e.alarms)
		e.mu.Unlock()
		next.ring(ctx)
	}
	return time.Hour
}

// room reports whether a program may watch n devices more, counting out what a subscription of the same id has.
func (e *events) room(key programKey, n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	mine := 0
	for _, list := range e.byKey[key.full] {
		mine += len(list)
	}
	old := len(e.byKey[key.full][key.id])
	return mine-old+n <= e.perJID && e.total-old+n <= e.inAll
}

// subscribe begins a subscription, in the place of one with the same id. now: its values are wanted at once.
func (e *events) subscribe(key programKey, watches []*watch, now bool) {
	e.end(key)
	at := time.Now()
	e.mu.Lock()
	if e.byKey[key.full] == nil {
		e.byKey[key.full] = map[string][]*watch{}
	}
	e.byKey[key.full][key.id] = watches
	e.total += len(watches)
	for _, w := range watches {
		w.alarm.ring = func(context.Context) { e.tell(w) }
		e.byID[w.device] = append(e.byID[w.device], w)
		switch {
		case now:
			e.setLocked(&w.alarm, at)
		case w.max > 0:
			e.setLocked(&w.alarm, at.Add(w.max))
		}
	}
	e.mu.Unlock()
	e.inbox.Lock()
	for _, w := range watches {
		e.watched[w.device]++
		// What the subscriber knows may be old already, and what changed while this was answered is not missed.
		for field := range w.trips {
			e.dirty[changedField{w.device, field}] = struct{}{}
		}
	}
	e.inbox.Unlock()
	e.wake()
}

// end ends a subscription and reports whether there was one.
func (e *events) end(key programKey) bool {
	e.mu.Lock()
	list, was := e.byKey[key.full][key.id]
	delete(e.byKey[key.full], key.id)
	e.endLocked(list)
	e.mu.Unlock()
	e.unwatch(list)
	return was
}

// endAll ends the subscriptions of a program that has gone.
func (e *events) endAll(full string) {
	e.mu.Lock()
	var list []*watch
	for _, watches := range e.byKey[full] {
		list = append(list, watches...)
	}
	delete(e.byKey, full)
	e.endLocked(list)
	e.mu.Unlock()
	e.unwatch(list)
}

// endIf ends single watches: of devices that are gone, of people who may not see them any more.
func (e *events) endIf(ended func(*watch) bool) {
	var list []*watch
	e.mu.Lock()
	for _, watches := range e.byID {
		for _, w := range watches {
			if ended(w) {
				list = append(list, w)
			}
		}
	}
	e.endLocked(list)
	e.mu.Unlock()
	e.unwatch(list)
}

// endLocked takes watches out. The inbox still has to be told, without e.mu.
func (e *events) endLocked(list []*watch) {
	for _, w := range list {
		w.ended = true
		e.dropLocked(&w.alarm)
		e.total--
		if rest := without(e.byID[w.device], w); len(rest) > 0 {
			e.byID[w.device] = rest
		} else {
			delete(e.byID, w.device)
		}
		mine := e.byKey[w.key.full]
		if rest := without(mine[w.key.id], w); len(rest) > 0 {
			mine[w.key.id] = rest
			continue
		}
		if delete(mine, w.key.id); len(mine) == 0 {
			delete(e.byKey, w.key.full)
		}
	}
}

// without is a copy of a list of watches without one of them.
func without(list []*watch, w *watch) []*watch {
	return slices.DeleteFunc(slices.Clone(list), func(x *watch) bool { return x == w })
}

func (e *events) unwatch(list []*watch) {
	e.inbox.Lock()
	defer e.inbox.Unlock()
	for _, w := range list {
		if e.watched[w.device]--; e.watched[w.device] <= 0 {
			delete(e.watched, w.device)
		}
	}
}

// An alarm is something that has its time. The zero value is not set.
type alarm struct {
	at   time.Time
	pos  int                       // in alarms, counted from 1; 0: not set
	ring func(ctx context.Context) // by run, without a lock
}

// set sets an alarm, or sets it anew.
func (e *events) set(a *alarm, at time.Time) {
	e.mu.Lock()
	e.setLocked(a, at)
	e.mu.Unlock()
	e.wake()
}

func (e *events) setLocked(a *alarm, at time.Time) {
	a.at = at
	if a.pos > 0 {
		heap.Fix(&e.alarms, a.pos-1)
		return
	}
	heap.Push(&e.alarms, a)
}

// drop takes an alarm out that may be set.
func (e *events) drop(a *alarm) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropLocked(a)
}

func (e *events) dropLocked(a *alarm) {
	if a.pos > 0 {
		heap.Remove(&e.alarms, a.pos-1)
	}
}

// alarms is a heap by time.
type alarms []*alarm

func (h alarms) Len() int           { return len(h) }
func (h alarms) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h alarms) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i+1, j+1
}

func (h *alarms) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, a)
	a.pos = len(*h)
}

func (h *alarms) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	a.pos = 0
	return a
}
