package serial

import (
	"slices"
	"time"

	"tidings/drivers/serial/modbus"
)

const (
	// restFirst and restMost bound how long a slave that does not answer is left alone before it is asked again: every
	// question to it costs the others the time it is waited for.
	restFirst, restMost = 2 * time.Second, 30 * time.Second
	// refusedPoll is how often at most a register is asked for that the slave says it does not have.
	refusedPoll = time.Minute
)

// A slave is one address on the line, with every device in it.
type slave struct {
	address   byte
	devices   []*polledDevice
	registers []*register     // those that are read, of all its devices
	owners    []*polledDevice // of registers
	items     []modbus.Item   // of registers

	up, said bool          // what was said by Link last, and whether anything was
	cause    error         // why it is not
	tries    int           // of the question that was not answered
	failing  *task         // that question; nothing else is asked until it is
	accused  *task         // one that was asked in vain before failing: it may be at fault, and not the slave
	rest     time.Duration // how long it is left alone
	until    time.Time     // and until when
}

// A task is a block of a slave that is read again and again.
type task struct {
	slave *slave
	block modbus.Block // its items are of slave.items
	every time.Duration
	due   time.Time

	good   bool  // it was answered once
	failed error // how it was not the last time
}

// slaves groups the devices by their slaves, in the order of the configuration.
func slaves(list []*polledDevice) []*slave {
	var out []*slave
	find := func(address byte) *slave {
		for _, s := range out {
			if s.address == address {
				return s
			}
		}
		out = append(out, &slave{address: address})
		return out[len(out)-1]
	}
	for _, d := range list {
		s := find(d.slave)
		s.devices = append(s.devices, d)
		for _, r := range d.registers {
			if r.Readable {
				s.registers, s.owners, s.items = append(s.registers, r), append(s.owners, d), append(s.items, r.at)
			}
		}
	}
	return out
}

// tasks are the blocks of a slave: registers that are polled as often and lie together are one. Where nothing is read, its
// first register or coil that is written is asked for, to know whether it is there.
func (s *slave) tasks(now time.Time) []*task {
	gap, most := 0, 125
	polls := map[time.Duration][]int{}
	var order []time.Duration
	for _, d := range s.devices {
		gap, most = max(gap, d.gap), min(most, d.most)
	}
	for i, r := range s.registers {
		if polls[r.poll] == nil {
			order = append(order, r.poll)
		}
		polls[r.poll] = append(polls[r.poll], i)
	}
	var out []*task
	for _, every := range order {
		which := polls[every]
		items := make([]modbus.Item, len(which))
		for i, w := range which {
			items[i] = s.items[w]
		}
		for _, b := range modbus.Plan(items, gap, most) {
			for i := range b.Items {
				b.Items[i] = which[b.Items[i]]
			}
			out = append(out, &task{slave: s, block: b, every: every, due: now})
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, d := range s.devices {
		for _, r := range d.registers {
			if r.Writable {
				probe := modbus.Block{Item: modbus.Item{Table: r.to.Table, Address: r.to.Address, Count: 1}}
				return []*task{{slave: s, block: probe, every: r.poll, due: now}}
			}
		}
	}
	return nil
}

// when is the time a task can run: its own, unless its slave is being left alone or has a question open.
func (t *task) when() (time.Time, bool) {
	if f := t.slave.failing; f != nil && f != t {
		return time.Time{}, false
	}
	if t.due.Before(t.slave.until) {
		return t.slave.until, true
	}
	return t.due, true
}

// soonest is the task to run first, and when.
func soonest(tasks []*task) (first *task, at time.Time) {
	for _, t := range tasks {
		if due, ok := t.when(); ok && (first == nil || due.Before(at)) {
			first, at = t, due
		}
	}
	return first, at
}

// done sets a task's next time. One that is late does not catch up, so that a line that is too slow for its polls slows all
// of them down alike.
func (t *task) done(now time.Time) {
	if t.due = t.due.Add(t.every); t.due.Before(now) {
		t.due = now
	}
}

// answered notes that the slave is there. It returns the task that was asked in vain before, if one was.
func (s *slave) answered() (accused *task) {
	accused = s.accused
	s.tries, s.failing, s.accused, s.rest, s.until = 0, nil, nil, 0, time.Time{}
	return accused
}

// silent notes that a question was not answered, and reports whether the slave is taken for gone. It is not before it was asked
// so many times, and then something else as often: there are devices that do not answer when they are asked for what they
// do not have. What is asked of one that is gone goes around.
func (s *slave) silent(t *task, tasks []*task, tries int, now time.Time) bool {
	s.failing = t
	s.tries++
	other := s.other(t, tasks)
	switch {
	case s.rest > 0:
		s.failing = other
	case s.tries < tries:
		return false
	case s.accused == nil && other != t:
		s.accused, s.failing, s.tries = t, other, 0
		other.due = now
		return false
	}
	s.accused = nil
	s.rest = min(max(2*s.rest, restFirst), restMost)
	s.until = now.Add(s.rest)
	return true
}

// other is a task of the slave beside t: the next one of those that were answered once, else the next one, else t itself.
func (s *slave) other(t *task, tasks []*task) *task {
	at := slices.Index(tasks, t)
	best := t
	for i := range tasks {
		o := tasks[(at+1+i)%len(tasks)]
		switch {
		case o.slave != s || o == t:
		case o.good:
			return o
		case best == t:
			best = o
		}
	}
	return best
}
