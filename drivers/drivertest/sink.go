package drivertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidings/devices"
)

// patience is how long a wait lasts before it fails the test; that for an event lasts as long as there are others meanwhile, and at
// most six times that. It is long, because a machine may be busy; a test that passes never waits for it.
const patience = 20 * time.Second

// An EventKind says which method of the sink was called.
type EventKind uint8

// The kinds of an event.
const (
	Announced EventKind = iota
	Withdrawn
	Read
	Linked
	Healthy
)

// An Event is one call of the sink; Publish makes one event a reading.
type Event struct {
	Kind    EventKind
	ID      devices.ID // empty for Healthy
	Info    devices.Info
	Why     devices.Why
	Reading devices.Reading
	Up      bool  // of Linked
	Err     error // the cause of Linked, the error of Healthy
}

// String is the event as a line of a test's log.
func (e Event) String() string {
	switch e.Kind {
	case Announced:
		return fmt.Sprintf("announce %s %+v", e.ID, e.Info.Points)
	case Withdrawn:
		return fmt.Sprintf("withdraw %s (%d)", e.ID, e.Why)
	case Read:
		return fmt.Sprintf("read %s %s = %q (%s) %v", e.ID, e.Reading.Point, e.Reading.Value, e.Reading.Quality, e.Reading.Err)
	case Linked:
		return fmt.Sprintf("link %s %t %v", e.ID, e.Up, e.Err)
	}
	return fmt.Sprintf("health %v", e.Err)
}

// A Sink records everything a driver says, and what of it breaks the contract of devices.Sink. The zero value is
// ready for use. It keeps every event, so it is for tests, not for hours. Safe for concurrent use.
type Sink struct {
	mu         sync.Mutex
	events     []Event
	violations []string
	known      map[devices.ID]*device
	closed     bool
	changed    chan struct{} // closed and replaced at every event
}

// device is what the sink has been told of one device.
type device struct {
	info   devices.Info
	linked bool // a Link was heard at all
	up     bool
	cause  error
}

var _ devices.Sink = (*Sink)(nil)

// Announce records that a device exists.
func (s *Sink) Announce(info devices.Info) {
	info.Points, info.Notes = slices.Clone(info.Points), slices.Clone(info.Notes)
	s.add(Event{Kind: Announced, ID: info.ID, Info: info})
}

// Withdraw records that a device no longer exists.
func (s *Sink) Withdraw(id devices.ID, why devices.Why) {
	s.add(Event{Kind: Withdrawn, ID: id, Why: why})
}

// Publish records readings.
func (s *Sink) Publish(readings ...devices.Reading) {
	events := make([]Event, len(readings))
	for i, r := range readings {
		events[i] = Event{Kind: Read, ID: r.Device, Reading: r}
	}
	s.add(events...)
}

// Link records whether a device can be reached.
func (s *Sink) Link(id devices.ID, up bool, cause error) {
	s.add(Event{Kind: Linked, ID: id, Up: up, Err: cause})
}

// Health records how the connection is.
func (s *Sink) Health(err error) { s.add(Event{Kind: Healthy, Err: err}) }

func (s *Sink) add(events ...Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[devices.ID]*device{}
	}
	for _, e := range events {
		if fault := s.judge(e); fault != "" {
			s.violations = append(s.violations, fmt.Sprintf("%s (event %d: %s)", fault, len(s.events), e))
		}
		s.events = append(s.events, e)
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// judge takes the event in and says what is wrong with it, or "".
func (s *Sink) judge(e Event) string {
	d := s.known[e.ID]
	switch {
	case s.closed:
		return "said after Run had returned"
	case e.Kind == Announced:
		if d == nil {
			d = &device{}
			s.known[e.ID] = d
		}
		d.info = e.Info
		return ""
	case e.Kind == Healthy:
		return ""
	case d == nil:
		return "of a device that was not announced"
	case e.Kind == Withdrawn:
		delete(s.known, e.ID)
		return ""
	case e.Kind == Linked:
		d.linked, d.up, d.cause = true, e.Up, e.Err
		if e.Up == (e.Err != nil) {
			return "a link is up without a cause, or down with one"
		}
		return ""
	case !d.up:
		return "a reading of a device that is not up"
	}
	return judgeReading(d.info, e.Reading)
}

func judgeReading(info devices.Info, r devices.Reading) string {
	i := slices.IndexFunc(info.Points, func(p devices.Point) bool { return p.Name == r.Point })
	switch {
	case i < 0:
		return "a reading of a point that was not announced"
	case !info.Points[i].Readable:
		return "a reading of a point that is not readable"
	case r.At.IsZero():
		return "a reading without its time"
	case r.Quality == devices.Good && r.Value.IsZero():
		return "a good reading without a value"
	case r.Quality != devices.Good && !r.Value.IsZero():
		return "a value in a reading that is not good"
	case r.Quality == devices.Faulty && r.Err == nil:
		return "a faulty reading that does not say why"
	}
	return ""
}

// Close marks that Run has returned: whatever is said from now on is a violation, until Open.
func (s *Sink) Close() { s.setClosed(true) }

// Open takes Close back, for a driver that is run again.
func (s *Sink) Open() { s.setClosed(false) }

func (s *Sink) setClosed(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
}

// Violations are the breaches of the contract so far, in words.
func (s *Sink) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Events are all events so far, in order.
func (s *Sink) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Announced returns what was last announced of a device, and whether it is there.
func (s *Sink) Announced(id devices.ID) (devices.Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.known[id]; d != nil {
		return d.info, true
	}
	return devices.Info{}, false
}

// Linked returns whether a device is up and, when it is not, why; a device that never linked is down without a cause.
func (s *Sink) Linked(id devices.ID) (up bool, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.known[id]; d != nil {
		return d.up, d.cause
	}
	return false, nil
}

// Last returns the last reading of a point.
func (s *Sink) Last(id devices.ID, point string) (devices.Reading, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.last(id, point); i >= 0 {
		return s.events[i].Reading, true
	}
	return devices.Reading{}, false
}

func (s *Sink) last(id devices.ID, point string) int {
	for i, e := range slices.Backward(s.events) {
		if e.Kind == Read && e.ID == id && e.Reading.Point == point {
			return i
		}
	}
	return -1
}

// Mark is the number of events so far: what [Sink.Wait] takes to look only at later ones.
func (s *Sink) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// Wait returns the first event at or after mark that matches, waiting for it. The test fails with what, and with the
// events there were, when it does not come.
func (s *Sink) Wait(t testing.TB, mark int, what string, match func(Event) bool) Event {
	t.Helper()
	began := time.Now()
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for {
		s.mu.Lock()
		for ; mark < len(s.events); mark++ {
			if e := s.events[mark]; match(e) {
				s.mu.Unlock()
				return e
			}
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
			silence.Reset(min(patience, time.Until(began.Add(6*patience))))
		case <-silence.C:
			t.Fatalf("sink: waited in vain for %s; heard:\n%s", what, s.transcript())
		}
	}
}

// transcript is the tail of the events, a line each.
func (s *Sink) transcript() string {
	events := s.Events()
	var b strings.Builder
	const tail = 60
	if cut := len(events) - tail; cut > 0 {
		fmt.Fprintf(&b, "  … %d more\n", cut)
		events = events[cut:]
	}
	for _, e := range events {
		b.WriteString("  " + e.String() + "\n")
	}
	return b.String()
}

// WaitAnnounced waits until a device is announced.
func (s *Sink) WaitAnnounced(t testing.TB, id devices.ID) devices.Info {
	t.Helper()
	return s.Wait(t, 0, fmt.Sprintf("%s to be announced", id), func(e Event) bool {
		return e.Kind == Announced && e.ID == id
	}).Info
}

// WaitLink waits until a device is, or comes, up or down as asked, and returns the cause.
func (s *Sink) WaitLink(t testing.TB, id devices.ID, up bool) error {
	t.Helper()
	s.mu.Lock()
	mark := len(s.events)
	if d := s.known[id]; d != nil && d.linked && d.up == up {
		defer s.mu.Unlock()
		return d.cause
	}
	s.mu.Unlock()
	return s.Wait(t, mark, fmt.Sprintf("link %s %t", id, up), func(e Event) bool {
		return e.Kind == Linked && e.ID == id && e.Up == up
	}).Err
}

// linkedAt is the mark of the last event that said of a device whether it is up.
func (s *Sink) linkedAt(id devices.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range slices.Backward(s.events) {
		if e.Kind == Linked && e.ID == id {
			return i
		}
	}
	return 0
}

// WaitReading waits until a reading of a point matches: the last one there is, or any later one. A nil match takes
// any.
func (s *Sink) WaitReading(t testing.TB, id devices.ID, point string, match func(devices.Reading) bool) devices.Reading {
	t.Helper()
	s.mu.Lock()
	mark := max(0, s.last(id, point))
	s.mu.Unlock()
	return s.WaitReadingAfter(t, mark, id, point, match)
}

// WaitReadingAfter is WaitReading among the events at or after mark.
func (s *Sink) WaitReadingAfter(t testing.TB, mark int, id devices.ID, point string, match func(devices.Reading) bool) devices.Reading {
	t.Helper()
	return s.Wait(t, mark, fmt.Sprintf("a reading of %s %s", id, point), func(e Event) bool {
		return e.Kind == Read && e.ID == id && e.Reading.Point == point && (match == nil || match(e.Reading))
	}).Reading
}

// WaitValue waits until a point reads v, well.
func (s *Sink) WaitValue(t testing.TB, id devices.ID, point string, v devices.Value) devices.Reading {
	t.Helper()
	return s.WaitReading(t, id, point, func(r devices.Reading) bool { return r.Quality == devices.Good && r.Value == v })
}

// WaitHealth waits until the connection's health, the last that was told or any later one, matches.
func (s *Sink) WaitHealth(t testing.TB, match func(error) bool) error {
	t.Helper()
	s.mu.Lock()
	mark := 0
	for i, e := range slices.Backward(s.events) {
		if e.Kind == Healthy {
			mark = i
			break
		}
	}
	s.mu.Unlock()
	return s.Wait(t, mark, "the connection's health", func(e Event) bool {
		return e.Kind == Healthy && match(e.Err)
	}).Err
}
