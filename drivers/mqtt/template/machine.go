package template

import (
	"sync"
	"time"
)

// What one execution may use. A step is a node of the tree, an element of a list or 32 bytes of text that are looked at;
// bytes are what it makes besides its output.
const (
	maxSteps  = 50_000
	maxBytes  = 256 << 10
	maxOutput = 64 << 10
	maxDepth  = 64 // of values in values
)

const sizeOfValue = 40 // bytes of a Value in a list

// machine is the state of one execution.
type machine struct {
	vars    Vars
	clock   time.Time
	out     []byte
	missing string
	slots   []Value
	stack   []Value // arguments of the calls under way
	loops   []loop
	steps   int
	bytes   int
	flow    flow
}

// flow is what a statement does to those behind it.
type flow uint8

const (
	onward flow = iota
	breaking
	continuing
)

// loop is a for loop under way.
type loop struct {
	items []Value
	at    int
}

var machines = sync.Pool{New: func() any { return new(machine) }}

func (m *machine) start(vars Vars, slots int) {
	m.vars, m.steps, m.bytes = vars, maxSteps, maxBytes
	for range slots {
		m.slots = append(m.slots, Value{})
	}
}

// release forgets everything, so that no message is kept, and gives the machine back.
func (m *machine) release() {
	clear(m.slots[:cap(m.slots)])
	clear(m.stack[:cap(m.stack)])
	clear(m.loops[:cap(m.loops)])
	out := m.out[:0]
	if cap(out) > 4<<10 {
		out = nil
	}
	*m = machine{out: out, slots: m.slots[:0], stack: m.stack[:0], loops: m.loops[:0]}
	machines.Put(m)
}

// now is the same throughout an execution.
func (m *machine) now() time.Time {
	if m.clock.IsZero() {
		if c, ok := m.vars.(interface{ Now() time.Time }); ok {
			m.clock = c.Now()
		} else {
			m.clock = time.Now()
		}
	}
	return m.clock
}

// step takes n steps.
func (m *machine) step(n int) error {
	if m.steps -= n; m.steps < 0 || n < 0 {
		return tooLong()
	}
	return nil
}

func tooLong() error {
	return &Error{Text: "the template works too long: fewer or smaller loops", cause: ErrLimit}
}

// look takes the steps that n bytes of text cost.
func (m *machine) look(n int) error { return m.step(1 + n/32) }

// alloc takes n bytes, before they are made.
func (m *machine) alloc(n int) error {
	if n < 0 || n > m.bytes {
		return &Error{Text: "the template makes too much: over 256 KiB of text and lists", cause: ErrLimit}
	}
	m.bytes -= n
	return m.step(1 + n/32)
}

// allocList takes the bytes of n values.
func (m *machine) allocList(n int) error {
	if n > maxBytes {
		n = maxBytes
	}
	if err := m.step(n); err != nil {
		return err
	}
	return m.alloc(n * sizeOfValue)
}

// print adds a value to the output.
func (m *machine) print(v Value) error {
	if v.isUndefined() && m.missing == "" {
		m.missing = v.str
	}
	out, err := m.appendStr(m.out, v)
	if err != nil {
		return err
	}
	if len(out) > maxOutput {
		return &Error{Text: "the template prints over 64 KiB", cause: ErrLimit}
	}
	m.out = out
	return nil
}
