package devices

import (
	"slices"
	"sync"
	"time"
)

// A Registry knows the present state of every device. One goroutine writes (the router); any number read. What it
// hands out is never changed afterwards, except by copy.
type Registry struct {
	mu      sync.RWMutex
	devices map[ID]*entry
}

type entry struct {
	info   *Info
	up     bool
	cause  error
	since  time.Time // of up
	heard  time.Time
	points []PointState // in the order of info.Points
}

// PointState is the last reading of one point. The zero value is a point never read.
type PointState struct {
	Value   Value
	Quality Quality
	At      time.Time
	Err     error
}

// State is the present state of one device.
type State struct {
	Info   *Info // shared: not to be changed
	Up     bool  // the driver can reach it
	Cause  error // why not
	Since  time.Time
	Heard  time.Time    // the last reading; zero: never
	Points []PointState // in the order of Info.Points
}

// Point returns the state of one point by name.
func (s State) Point(name string) (PointState, bool) {
	if i := s.Info.index(name); i >= 0 {
		return s.Points[i], true
	}
	return PointState{}, false
}

func (i *Info) index(point string) int {
	for n := range i.Points {
		if i.Points[n].Name == point {
			return n
		}
	}
	return -1
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry { return &Registry{devices: map[ID]*entry{}} }

// Announce adds a device or replaces what is known of it. Points that it still has keep their last reading.
func (r *Registry) Announce(info Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &entry{info: &info, points: make([]PointState, len(info.Points))}
	if old := r.devices[info.ID]; old != nil {
		e.up, e.cause, e.since, e.heard = old.up, old.cause, old.since, old.heard
		for i, p := range info.Points {
			if j := old.info.index(p.Name); j >= 0 {
				e.points[i] = old.points[j]
			}
		}
	}
	r.devices[info.ID] = e
}

// Withdraw forgets a device and reports whether it was there.
func (r *Registry) Withdraw(id ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.devices[id]
	delete(r.devices, id)
	return ok
}

// Link records whether the driver can reach a device. It reports whether that, or the reason, is new.
func (r *Registry) Link(id ID, up bool, cause error, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[id]
	if e == nil || e.up == up && sameError(e.cause, cause) {
		return false
	}
	if e.up != up || e.since.IsZero() {
		e.since = at
	}
	e.up, e.cause = up, cause
	return true
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Error() == b.Error()
}

// Read records a reading. It returns the state it replaces, and false when there is no such device or point.
func (r *Registry) Read(rd Reading) (before PointState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[rd.Device]
	if e == nil {
		return PointState{}, false
	}
	i := e.info.index(rd.Point)
	if i < 0 {
		return PointState{}, false
	}
	before = e.points[i]
	e.points[i] = PointState{Value: rd.Value, Quality: rd.Quality, At: rd.At, Err: rd.Err}
	if rd.At.After(e.heard) {
		e.heard = rd.At
	}
	return before, true
}

// Put records a reading that the gateway made itself: the device was not heard.
func (r *Registry) Put(rd Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[rd.Device]
	if e == nil {
		return
	}
	if i := e.info.index(rd.Point); i >= 0 {
		e.points[i] = PointState{Value: rd.Value, Quality: rd.Quality, At: rd.At, Err: rd.Err}
	}
}

// State returns a copy of a device's state.
func (r *Registry) State(id ID) (State, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e := r.devices[id]
	if e == nil {
		return State{}, false
	}
	return State{Info: e.info, Up: e.up, Cause: e.cause, Since: e.since, Heard: e.heard, Points: slices.Clone(e.points)}, true
}

// Point returns the last reading of one point without copying the others.
func (r *Registry) Point(id ID, point string) (PointState, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.devices[id]; e != nil {
		if i := e.info.index(point); i >= 0 {
			return e.points[i], true
		}
	}
	return PointState{}, false
}

// IDs are the devices there are, sorted.
func (r *Registry) IDs() []ID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := make([]ID, 0, len(r.devices))
	for id := range r.devices {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
