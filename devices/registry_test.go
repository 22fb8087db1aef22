package devices

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	at := time.Now()
	read := func(point string, v Value, at time.Time) bool {
		_, ok := r.Read(Reading{Device: "lamp", Point: point, Value: v, At: at})
		return ok
	}
	if read("power", Bool(true), at) {
		t.Error("a reading of a device never announced was taken")
	}
	r.Announce(Info{ID: "lamp", Points: []Point{{Name: "power"}, {Name: "load"}}})
	if !read("power", Bool(true), at) || read("none", Bool(true), at) {
		t.Error("readings go to points that are there")
	}
	if !r.Link("lamp", true, nil, at) || r.Link("lamp", true, nil, at) || !r.Link("lamp", false, errors.New("gone"), at.Add(1)) ||
		r.Link("lamp", false, errors.New("gone"), at.Add(2)) {
		t.Error("a link is news when it, or its cause, changes")
	}
	s, ok := r.State("lamp")
	if !ok || s.Up || s.Cause.Error() != "gone" || !s.Since.Equal(at.Add(1)) || !s.Heard.Equal(at) {
		t.Errorf("state %+v", s)
	}

	// Announced again: what it still has keeps its reading, in whatever order.
	r.Announce(Info{ID: "lamp", Points: []Point{{Name: "colour"}, {Name: "power"}}})
	if p, ok := r.Point("lamp", "power"); !ok || p.Value != Bool(true) {
		t.Errorf("power %+v", p)
	}
	if _, ok := r.Point("lamp", "load"); ok {
		t.Error("a point that is gone is still there")
	}
	if p, ok := s.Point("load"); !ok || !p.At.IsZero() {
		t.Error("a state handed out has changed")
	}
	r.Announce(Info{ID: "door"})
	if got := r.IDs(); !slices.Equal(got, []ID{"door", "lamp"}) {
		t.Errorf("ids %v", got)
	}
	if !r.Withdraw("lamp") || r.Withdraw("lamp") {
		t.Error("a device is withdrawn once")
	}
	if _, ok := r.State("lamp"); ok {
		t.Error("a withdrawn device has a state")
	}
}

// One writes while others read; the race detector looks on.
func TestRegistryConcurrently(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	r.Announce(Info{ID: "a", Points: []Point{{Name: "p"}}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				s, _ := r.State("a")
				if p, ok := s.Point("p"); ok && !p.At.IsZero() && p.Value.IsZero() {
					t.Error("half a reading was seen")
				}
			}
		})
	}
	for i := range 1000 {
		r.Read(Reading{Device: "a", Point: "p", Value: Number(float64(i + 1)), At: time.Now()})
		if i%100 == 0 {
			r.Announce(Info{ID: "a", Points: []Point{{Name: "q"}, {Name: "p"}}})
		}
	}
	wg.Wait()
}
