package gpio

import (
	"fmt"
	"strconv"
	"sync"
	"syscall"

	"periph.io/x/conn/v3/gpio"
)

// A Fault is something that goes wrong with a line or with the whole chip.
type Fault uint8

// The faults there are, and what shows of each.
const (
	Stuck   Fault = iota // of a line: an output takes every level and keeps the one it has
	Busy                 // of a line: another program holds it, configuring it fails with EBUSY
	NoEdges              // of the chip: lines cannot interrupt, asking for edges fails with ENXIO
	Denied               // of the chip: opening it fails with EACCES
	Gone                 // of the chip: unplugged; opening it fails with ENOENT, what is open with ENODEV
)

// A Chip is a simulated GPIO chip with the lines it was made with, numbered from 0.
type Chip struct {
	label string

	mu      sync.Mutex
	lines   []*line
	noEdges bool
	denied  bool
	gone    bool
	plugged int // how often it was unplugged: handles of an earlier life stay dead
}

type line struct {
	number int
	name   string
	level  gpio.Level // what a voltmeter would show
	wired  bool       // the outside drives the line to outer
	outer  gpio.Level
	stuck  bool
	busy   bool
	bounce bounce
	holder *pin          // whoever configured it; nil: free
	change chan struct{} // closed and replaced when level changes
}

// NewChip makes a chip with one line a name. An empty name is a line that has only its number.
func NewChip(label string, lines ...string) *Chip {
	c := &Chip{label: label}
	for i, name := range lines {
		c.lines = append(c.lines, &line{number: i, name: name, change: make(chan struct{})})
	}
	return c
}

// Label is the name the chip was made with.
func (c *Chip) Label() string { return c.label }

// find returns the line of a name or number. c.mu is held.
func (c *Chip) find(nameOrNumber string) (*line, error) {
	for _, l := range c.lines {
		if l.name != "" && l.name == nameOrNumber {
			return l, nil
		}
	}
	if n, err := strconv.Atoi(nameOrNumber); err == nil && n >= 0 && n < len(c.lines) {
		return c.lines[n], nil
	}
	return nil, fmt.Errorf("%s: there is no line %s", c.label, nameOrNumber)
}

// must is find for those who wired the chip themselves: a line that is not there is a mistake in their program.
func (c *Chip) must(nameOrNumber string) *line {
	l, err := c.find(nameOrNumber)
	if err != nil {
		panic("firmware-sim/gpio: " + err.Error())
	}
	return l
}

// Set drives a line from outside to a level, as a sensor with a push-pull output does.
func (c *Chip) Set(nameOrNumber string, level gpio.Level) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.must(nameOrNumber)
	l.wired, l.outer = true, level
	l.settle()
}

// Press closes a contact between the line and ground, Release opens it: the pull resistor then decides. Neither
// bounces; a [Contact] does.
func (c *Chip) Press(nameOrNumber string) { c.Set(nameOrNumber, gpio.Low) }

// Release is the other half of Press.
func (c *Chip) Release(nameOrNumber string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.must(nameOrNumber)
	l.wired = false
	l.settle()
}

// Level is what a voltmeter at the line shows.
func (c *Chip) Level(nameOrNumber string) gpio.Level {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.must(nameOrNumber).level
}

// Held reports whether a program has configured the line and not let go of it.
func (c *Chip) Held(nameOrNumber string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.must(nameOrNumber).holder != nil
}

// SetFault switches a fault on or off. The line is "" for faults of the chip.
func (c *Chip) SetFault(nameOrNumber string, f Fault, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f {
	case Stuck:
		c.must(nameOrNumber).stuck = on
	case Busy:
		c.must(nameOrNumber).busy = on
	case NoEdges:
		c.noEdges = on
	case Denied:
		c.denied = on
	case Gone:
		if on && !c.gone {
			c.unplug()
		}
		c.gone = on
	}
}

// unplug takes the power away: everybody loses their lines, and outputs fall low.
func (c *Chip) unplug() {
	c.plugged++
	for _, l := range c.lines {
		if p := l.holder; p != nil {
			p.let()
		}
		l.set(gpio.Low)
	}
}

// settle lets the line take the level that its wiring and its configuration give it. The chip's mu is held.
func (l *line) settle() {
	p := l.holder
	switch {
	case p != nil && p.output:
		if !l.stuck {
			l.set(p.out)
		}
	case l.wired:
		l.set(l.outer)
	case p != nil && p.pull == gpio.PullUp:
		l.set(gpio.High)
	case p != nil && p.pull == gpio.PullDown:
		l.set(gpio.Low)
	}
}

func (l *line) set(level gpio.Level) {
	if l.level == level {
		return
	}
	l.level = level
	close(l.change)
	l.change = make(chan struct{})
	if l.holder != nil {
		l.holder.changed(level)
	}
}

// A Handle is the chip as a program sees it that has opened it.
type Handle struct {
	chip *Chip
	life int
	pins []*pin // under chip.mu
}

// Open opens the chip. Any number of programs may; what they compete for is its lines.
func (c *Chip) Open() (*Handle, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.gone:
		return nil, fmt.Errorf("%s: %w", c.label, syscall.ENOENT)
	case c.denied:
		return nil, fmt.Errorf("%s: %w", c.label, syscall.EACCES)
	}
	return &Handle{chip: c, life: c.plugged}, nil
}

// dead reports whether the chip was unplugged since it was opened. chip.mu is held.
func (h *Handle) dead() error {
	if h.chip.gone || h.life != h.chip.plugged {
		return fmt.Errorf("%s: %w", h.chip.label, syscall.ENODEV)
	}
	return nil
}

// Check says whether the chip is still there.
func (h *Handle) Check() error {
	h.chip.mu.Lock()
	defer h.chip.mu.Unlock()
	return h.dead()
}

// Pin returns a line by name or number. It is held from its first In or Out until its Halt.
func (h *Handle) Pin(nameOrNumber string) (gpio.PinIO, error) {
	h.chip.mu.Lock()
	defer h.chip.mu.Unlock()
	if err := h.dead(); err != nil {
		return nil, err
	}
	l, err := h.chip.find(nameOrNumber)
	if err != nil {
		return nil, err
	}
	p := &pin{handle: h, line: l}
	h.pins = append(h.pins, p)
	return p, nil
}

// Close lets go of every line that came from this handle.
func (h *Handle) Close() error {
	h.chip.mu.Lock()
	defer h.chip.mu.Unlock()
	for _, p := range h.pins {
		p.let()
	}
	h.pins = nil
	return nil
}
