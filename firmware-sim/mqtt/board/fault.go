package board

import (
	"fmt"
	"slices"
	"time"
)

// A Fault is something that goes wrong.
type Fault string

// The faults there are.
const (
	Offline Fault = "offline" // gone without a word, so that the last will is published, until it is switched off
	Garbage Fault = "garbage" // its states are what nobody understands
	Flood   Fault = "flood"   // it says its states again, 2,000 messages a second
	Slow    Fault = "slow"    // it obeys after Options.Late
	Stuck   Fault = "stuck"   // it does not obey, and answers nothing
	Rename  Fault = "rename"  // it announces itself by another name
	Vanish  Fault = "vanish"  // it takes its announcement back
)

// Faults are all there are.
func Faults() []Fault { return []Fault{Offline, Garbage, Flood, Slow, Stuck, Rename, Vanish} }

// SetFault switches a fault on or off. The error is an unknown fault, or one that this firmware cannot have.
func (b *Board) SetFault(f Fault, on bool) error {
	if !slices.Contains(Faults(), f) {
		return fmt.Errorf("fault: %q is none of %v", f, Faults())
	}
	announcer, can := b.firmware.(Announcer)
	if !can && (f == Rename || f == Vanish) {
		return fmt.Errorf("fault: %s: it announces nothing", f)
	}
	b.mu.Lock()
	was := b.faults[f]
	b.faults[f] = on
	b.mu.Unlock()
	if was == on {
		return nil
	}
	switch f {
	case Rename:
		b.Do(func(now time.Time) []Message { return announcer.Rename(now, on) })
	case Vanish:
		b.Do(func(now time.Time) []Message { return announcer.Vanish(now, on) })
	default:
		b.kick()
	}
	return nil
}

func (b *Board) has(f Fault) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults[f]
}

// kick has the loop look at the faults.
func (b *Board) kick() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// The flood: so many messages so often.
const (
	floodEvery = 5 * time.Millisecond
	floodBurst = 10
	maxStates  = 64 // topics that the flood goes through
)

// garbled is a payload as the fault has it.
func garbled(payload string) string { return "\xff\x00" + payload[:len(payload)/2] + "{" }
