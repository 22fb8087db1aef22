package gpio

import (
	"context"
	"time"
)

// A Contact is a switch between a line and ground: a door contact, a push button, a reed. Closed, the line is low;
// open, its pull resistor decides.
type Contact struct {
	chip *Chip
	line string
}

// bounce is how often a contact falls back when it moves, and how long each time.
type bounce struct {
	times int
	gap   time.Duration
}

// Contact returns the contact that is wired to a line.
func (c *Chip) Contact(nameOrNumber string) *Contact { return &Contact{chip: c, line: nameOrNumber} }

// SetBounce makes the contact fall back and move again so many times at every move, with the gap between. 0 times:
// a clean contact, as it is at first.
func (ct *Contact) SetBounce(times int, gap time.Duration) {
	ct.chip.mu.Lock()
	defer ct.chip.mu.Unlock()
	ct.chip.must(ct.line).bounce = bounce{times: times, gap: gap}
}

// Close closes the contact and returns when it has stopped bouncing.
func (ct *Contact) Close() { ct.move(true) }

// Open opens the contact and returns when it has stopped bouncing.
func (ct *Contact) Open() { ct.move(false) }

func (ct *Contact) move(closed bool) {
	ct.chip.mu.Lock()
	b := ct.chip.must(ct.line).bounce
	ct.chip.mu.Unlock()
	ct.set(closed)
	for range b.times {
		time.Sleep(b.gap)
		ct.set(!closed)
		time.Sleep(b.gap)
		ct.set(closed)
	}
}

func (ct *Contact) set(closed bool) {
	if closed {
		ct.chip.Press(ct.line)
	} else {
		ct.chip.Release(ct.line)
	}
}

// Run closes and opens the contact by schedule until ctx is done, beginning closed.
func (ct *Contact) Run(ctx context.Context, closed, open time.Duration) error {
	for {
		ct.Close()
		if !sleep(ctx, closed) {
			return nil
		}
		ct.Open()
		if !sleep(ctx, open) {
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// A Meter is the pulse output of a meter (S0 of IEC 62053-31): it pulls the line to ground for a moment whenever a certain
// amount has gone through.
type Meter struct{ contact *Contact }

// Meter returns the meter that is wired to a line.
func (c *Chip) Meter(nameOrNumber string) *Meter { return &Meter{c.Contact(nameOrNumber)} }

// Pulse gives one pulse that is so long, 30 ms at least with most meters, and returns when it is over.
func (m *Meter) Pulse(length time.Duration) {
	m.contact.Close()
	time.Sleep(length)
	m.contact.Open()
}

// Run gives a pulse every so often until ctx is done.
func (m *Meter) Run(ctx context.Context, every, length time.Duration) error {
	return m.contact.Run(ctx, length, every-length)
}

// A Relay is a coil on an output line: drawn while the line is high.
type Relay struct {
	chip *Chip
	line string
}

// Relay returns the relay that is wired to a line.
func (c *Chip) Relay(nameOrNumber string) *Relay { return &Relay{chip: c, line: nameOrNumber} }

// On reports whether the coil is drawn.
func (r *Relay) On() bool { return bool(r.chip.Level(r.line)) }

// Wait returns when the coil is in that state, or with ctx's error.
func (r *Relay) Wait(ctx context.Context, on bool) error {
	for {
		r.chip.mu.Lock()
		l := r.chip.must(r.line)
		is, change := bool(l.level), l.change
		r.chip.mu.Unlock()
		if is == on {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
