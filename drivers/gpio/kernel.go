package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// cdev is the kernel's character device, as much of it as is needed here; cdev_linux.go has the real one.
type cdev interface {
	paths() []string // of the chips there are
	open(path string) (cdevChip, error)
}

type cdevChip interface {
	about() cdevAbout
	line(offset int) (cdevInfo, error) // fails with ENODEV once the chip is gone
	request(offset int, r request) (cdevLine, error)
	Close() error
}

type cdevLine interface {
	Value() (int, error)
	SetValue(int) error
	Close() error // waits for a request's notify that is under way
}

type cdevAbout struct {
	name, label string
	lines       int
	debounces   bool // Linux 5.10 and later
}

type cdevInfo struct{ name, consumer string }

// A request says how a line is wanted.
type request struct {
	output   bool
	level    gpio.Level // of an output, from the first moment
	pull     gpio.Pull
	debounce time.Duration
	edge     gpio.Edge
	notify   func(stampedEdge) // of edges; called from a goroutine of its own, not to be held up
}

// openChip opens a chip by path, name or label.
func openChip(k cdev, chip string) (Chip, error) {
	if strings.Contains(chip, "/") {
		return open(k, chip)
	}
	c, err := open(k, "/dev/"+chip)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	return openLabel(k, chip)
}

func open(k cdev, path string) (Chip, error) {
	c, err := k.open(path)
	if err != nil {
		return nil, err
	}
	return &kernelChip{cdevChip: c}, nil
}

// openLabel opens the one chip that has a label. What chips there are is part of the error.
func openLabel(k cdev, label string) (Chip, error) {
	var found cdevChip
	var denied error
	var there []string
	for _, path := range k.paths() {
		c, err := k.open(path)
		if err != nil {
			if errors.Is(err, fs.ErrPermission) {
				denied = err
			}
			continue
		}
		about := c.about()
		there = append(there, fmt.Sprintf("%s (%s)", about.name, about.label))
		switch {
		case about.label != label:
			_ = c.Close()
		case found != nil:
			other := found.about().name
			_ = c.Close()
			_ = found.Close()
			return nil, fmt.Errorf("%s and %s are both labelled %s: name one of them in chip", other, about.name, label)
		default:
			found = c
		}
	}
	switch {
	case found != nil:
		return &kernelChip{cdevChip: found}, nil
	case denied != nil: // it may be the one
		return nil, denied
	case len(there) == 0:
		return nil, fmt.Errorf("there is no chip %s, nor any other: %w", label, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("there is no chip %s, but %s: %w", label, strings.Join(there, ", "), fs.ErrNotExist)
}

// kernelChip makes a Chip of a character device.
type kernelChip struct {
	cdevChip
	pins []*kernelPin
}

func (c *kernelChip) Check() error {
	_, err := c.line(0)
	return c.describe(err)
}

func (c *kernelChip) describe(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.about().name, err)
}

func (c *kernelChip) Close() error {
	var errs []error
	for _, p := range c.pins {
		errs = append(errs, p.Halt())
	}
	return errors.Join(append(errs, c.cdevChip.Close())...)
}

// Pin finds a line by name, else by number: a line may be named "7".
func (c *kernelChip) Pin(line string) (gpio.PinIO, error) {
	offset := -1
	for n := range c.about().lines {
		info, err := c.line(n)
		if err != nil {
			return nil, c.describe(err)
		}
		if info.name == line {
			offset = n
			break
		}
	}
	if n, err := strconv.Atoi(line); err == nil && offset < 0 && n >= 0 && n < c.about().lines {
		offset = n
	}
	if offset < 0 {
		return nil, fmt.Errorf("%s: there is no line %s: `gpioinfo` lists those there are", c.about().name, line)
	}
	// One pin a line: asking again is the same line, and a chip that is open for months does not grow.
	if i := slices.IndexFunc(c.pins, func(p *kernelPin) bool { return p.offset == offset }); i >= 0 {
		return c.pins[i], nil
	}
	p := &kernelPin{chip: c, offset: offset, name: line}
	c.pins = append(c.pins, p)
	return p, nil
}

// edgesKept is how many edges of a line are kept until they are waited for. A new one then drives out the oldest: it
// is the latest level that counts.
const edgesKept = 32

type stampedEdge struct {
	level  gpio.Level
	at     time.Time
	number uint32 // of the line's edges since it was requested, from 1; 0: the kernel does not number them
}

// kernelPin is gpio.PinIO over a requested line, and what the driver knows to ask for besides.
type kernelPin struct {
	chip   *kernelChip
	offset int
	name   string

	pull     gpio.Pull
	debounce time.Duration
	held     cdevLine // nil: not held
	output   bool

	mu     sync.Mutex // for what WaitForEdge and LastEdge share with the others
	edges  chan stampedEdge
	halted chan struct{}
	last   stampedEdge
}

var (
	_ gpio.PinIO  = (*kernelPin)(nil)
	_ Debouncer   = (*kernelPin)(nil)
	_ EdgeReader  = (*kernelPin)(nil)
	_ EdgeCounter = (*kernelPin)(nil)
	_ LevelReader = (*kernelPin)(nil)
)

func (p *kernelPin) Name() string   { return p.name }
func (p *kernelPin) Number() int    { return p.offset }
func (p *kernelPin) String() string { return fmt.Sprintf("%s(%d)", p.name, p.offset) }

func (p *kernelPin) Function() string {
	switch {
	case p.held == nil:
		return ""
	case p.output:
		return "Out"
	}
	return "In"
}

// Debounce makes the kernel debounce the line from the next In on.
func (p *kernelPin) Debounce(d time.Duration) error {
	if d > 0 && !p.chip.about().debounces {
		return fmt.Errorf("%s: the kernel does not debounce: %w", p, errors.ErrUnsupported)
	}
	p.debounce = d
	return nil
}

// In requests the line as an input, anew if it is held.
func (p *kernelPin) In(pull gpio.Pull, edge gpio.Edge) error {
	edges, halted := make(chan stampedEdge, edgesKept), make(chan struct{})
	r := request{pull: pull, debounce: p.debounce, edge: edge}
	if edge != gpio.NoEdge {
		r.notify = func(e stampedEdge) { keepLatest(edges, e) }
	}
	if err := p.request(r); err != nil {
		return err
	}
	p.pull = pull
	p.mu.Lock()
	p.edges, p.halted, p.last = edges, halted, stampedEdge{}
	p.mu.Unlock()
	return nil
}

// keepLatest is called by one goroutine only, so that there is room after one edge was taken out.
func keepLatest(edges chan stampedEdge, e stampedEdge) {
	select {
	case edges <- e:
		return
	default:
	}
	select {
	case <-edges:
	default:
	}
	edges <- e
}

// Out sets the line; one that is not held as an output is requested with that level.
func (p *kernelPin) Out(level gpio.Level) error {
	if p.held == nil || !p.output {
		return p.request(request{output: true, level: level})
	}
	value := 0
	if level {
		value = 1
	}
	return p.describe(p.held.SetValue(value))
}

func (p *kernelPin) request(r request) error {
	if err := p.Halt(); err != nil {
		return err
	}
	held, err := p.chip.request(p.offset, r)
	if err != nil {
		return p.describe(err)
	}
	p.held, p.output = held, r.output
	return nil
}

// describe names the line, and whoever else holds it.
func (p *kernelPin) describe(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.EBUSY) {
		if info, infoErr := p.chip.line(p.offset); infoErr == nil && info.consumer != "" {
			return fmt.Errorf("%s: line %s is in use by %q: %w", p.chip.about().name, p.name, info.consumer, err)
		}
	}
	return fmt.Errorf("%s: line %s: %w", p.chip.about().name, p.name, err)
}

// Halt lets go of the line.
func (p *kernelPin) Halt() error {
	p.mu.Lock()
	if p.halted != nil {
		close(p.halted)
		p.halted = nil
	}
	p.mu.Unlock()
	held := p.held
	p.held = nil
	if held == nil {
		return nil
	}
	return p.describe(held.Close())
}

// Read is Level for those who do not ask why not.
func (p *kernelPin) Read() gpio.Level {
	level, _ := p.Level()
	return level
}

// Level reads the line; debounced, where the kernel does that.
func (p *kernelPin) Level() (gpio.Level, error) {
	if p.held == nil {
		return gpio.Low, fmt.Errorf("line %s: not held: %w", p, fs.ErrClosed)
	}
	value, err := p.held.Value()
	return value != 0, p.describe(err)
}

// WaitForEdge waits for an edge, for ever with a negative timeout. It ends with false at Halt.
func (p *kernelPin) WaitForEdge(timeout time.Duration) bool {
	p.mu.Lock()
	edges, halted := p.edges, p.halted
	p.mu.Unlock()
	if halted == nil {
		return false
	}
	var expired <-chan time.Time
	if timeout >= 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case e := <-edges:
		p.mu.Lock()
		p.last = e
		p.mu.Unlock()
		return true
	case <-halted:
	case <-expired:
	}
	return false
}

// LastEdge is the edge WaitForEdge last returned for, with the kernel's time of it.
func (p *kernelPin) LastEdge() (gpio.Level, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.level, p.last.at
}

// EdgeNumber is the number the kernel gave that edge. Those it had no room to keep, and those that nobody waited for in
// time, are missing among them.
func (p *kernelPin) EdgeNumber() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.number
}

func (p *kernelPin) Pull() gpio.Pull        { return p.pull }
func (p *kernelPin) DefaultPull() gpio.Pull { return gpio.PullNoChange }

// PWM is not something the character device has.
func (p *kernelPin) PWM(gpio.Duty, physic.Frequency) error {
	return fmt.Errorf("line %s: PWM: %w", p, errors.ErrUnsupported)
}
