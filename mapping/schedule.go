package mapping

import (
	"container/heap"
	"time"
)

// nextDue is when something of d is due although nothing happens.
func (r *Rules) nextDue(d *device) (due time.Duration, ok bool) {
	at := func(t time.Duration) {
		if !ok || t < due {
			due, ok = t, true
		}
	}
	if d.model.Disabled {
		return 0, false
	}
	settled := d.state != notAnnounced && (d.state == announcedOnline) == d.online
	if !settled {
		at(r.announceAt(d))
	} else if show, _ := r.presence(d); d.dirty || show != d.show {
		at(r.sendAt(d, show))
	}
	if d.online && d.model.watched() {
		late := d.heard + d.model.OfflineAfter/2
		if r.now < late {
			at(late)
		} else {
			at(d.heard + d.model.OfflineAfter)
		}
	}
	if t := r.heardBy(d); t > r.now {
		at(t)
	}
	if of := r.derived[d]; of != nil {
		for k := range of.delayed {
			if t, ok := r.delayDue(d, &of.delayed[k]); ok && t > r.now {
				at(t)
			}
		}
	}
	if len(r.series) > 0 {
		for _, s := range r.series[d.model.ID] {
			if t, ok := s.due(); ok {
				at(max(t, r.now+1))
			}
		}
	}
	for _, i := range d.alerts {
		if t := i.since + i.alert.For; i.state == pending && t > r.now {
			at(t)
		}
		if l := i.life; l != nil && l.waits && l.due > r.now {
			at(l.due)
		}
	}
	return due, ok
}

// schedule queues d for the next time something of it is due.
func (r *Rules) schedule(d *device) {
	due, ok := r.nextDue(d)
	switch {
	case !ok:
		r.unqueue(d)
	case d.queued < 0:
		d.due = due
		heap.Push(&r.due, d)
	case due < d.due || d.due <= r.now:
		d.due = due
		heap.Fix(&r.due, int(d.queued))
	}
	// One that is due later than it is queued for is looked at too early once, which costs less than moving it at
	// every reading.
}

func (r *Rules) unqueue(d *device) {
	if d.queued >= 0 {
		heap.Remove(&r.due, int(d.queued))
	}
}

// A dueHeap orders devices by when they are due.
type dueHeap []*device

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].queued, h[j].queued = int32(i), int32(j)
}
func (h *dueHeap) Push(x any) {
	d := x.(*device)
	d.queued = int32(len(*h))
	*h = append(*h, d)
}
func (h *dueHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	d.queued = -1
	return d
}
