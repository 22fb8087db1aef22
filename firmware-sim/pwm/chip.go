package pwm

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A Chip is a PWM chip.
type Chip struct {
	name string

	mu     sync.Mutex
	gone   bool
	denied bool
	n      int
	out    map[int]*output // exported
	change chan struct{}   // closed and replaced when something is written
}

type output struct {
	period, duty int // ns
	enabled      bool
	inversed     bool
}

// NewChip makes a chip with n outputs.
func NewChip(name string, n int) *Chip {
	return &Chip{name: name, n: n, out: map[int]*output{}, change: make(chan struct{})}
}

// SetGone takes the chip away, with what its outputs were set to, or brings it back.
func (c *Chip) SetGone(gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone {
		c.out = map[int]*output{}
	}
	c.gone = gone
	c.changed()
}

// SetDenied makes every write fail with EACCES.
func (c *Chip) SetDenied(denied bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied = denied
}

func (c *Chip) changed() {
	close(c.change)
	c.change = make(chan struct{})
}

// Duty is for how much of the time an output is high, in %: what a voltmeter shows.
func (c *Chip) Duty(channel int) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.duty(channel)
}

func (c *Chip) duty(channel int) float64 {
	o := c.out[channel]
	if o == nil || !o.enabled || o.period == 0 {
		return 0
	}
	percent := 100 * float64(o.duty) / float64(o.period)
	if o.inversed {
		return 100 - percent
	}
	return percent
}

// Period is that of an output, in ns.
func (c *Chip) Period(channel int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.out[channel]; o != nil {
		return o.period
	}
	return 0
}

// Wait returns when an output is high for so much of the time, or with ctx's error.
func (c *Chip) Wait(ctx context.Context, channel int, percent float64) error {
	for {
		c.mu.Lock()
		is, change := c.duty(channel), c.change
		c.mu.Unlock()
		if math.Abs(is-percent) < 0.01 {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// file finds what a name means: a file of the chip, or of an exported output.
func (c *Chip) file(name string) (o *output, file string, err error) {
	chip, rest, _ := strings.Cut(name, "/")
	if c.gone || chip != c.name {
		return nil, "", syscall.ENOENT
	}
	directory, file, nested := strings.Cut(rest, "/")
	if !nested {
		return nil, rest, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(directory, "pwm"))
	if o = c.out[n]; err != nil || o == nil {
		return nil, "", syscall.ENOENT
	}
	return o, file, nil
}

// Read reads a file.
func (c *Chip) Read(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, file, err := c.file(name)
	switch {
	case err != nil:
		return "", err
	case o == nil && file == "npwm":
		return strconv.Itoa(c.n), nil
	case o == nil:
		return "", syscall.ENOENT
	}
	switch file {
	case "period":
		return strconv.Itoa(o.period), nil
	case "duty_cycle":
		return strconv.Itoa(o.duty), nil
	case "enable":
		return map[bool]string{false: "0", true: "1"}[o.enabled], nil
	case "polarity":
		return map[bool]string{false: "normal", true: "inversed"}[o.inversed], nil
	}
	return "", syscall.ENOENT
}

// Write writes a file.
func (c *Chip) Write(name, value string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, file, err := c.file(name)
	if err != nil {
		return err
	}
	if c.denied {
		return syscall.EACCES
	}
	defer c.changed()
	if file == "polarity" && o != nil {
		if o.enabled || value != "normal" && value != "inversed" {
			return fmt.Errorf("polarity: %w", syscall.EBUSY)
		}
		o.inversed = value == "inversed"
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return syscall.EINVAL
	}
	if o == nil {
		return c.export(file, n)
	}
	return o.set(file, n)
}

func (c *Chip) export(file string, n int) error {
	switch {
	case file != "export" && file != "unexport":
		return syscall.EACCES
	case n >= c.n:
		return syscall.ENODEV
	case file == "unexport":
		delete(c.out, n)
		return nil
	case c.out[n] != nil:
		return syscall.EBUSY
	}
	c.out[n] = &output{}
	return nil
}

// set is pwm_apply_state: no duty beyond the period, and no output that is on without one.
func (o *output) set(file string, n int) error {
	next := *o
	switch file {
	case "period":
		next.period = n
	case "duty_cycle":
		next.duty = n
	case "enable":
		next.enabled = n != 0
	default:
		return syscall.ENOENT
	}
	if next.period == 0 || next.duty > next.period {
		return syscall.EINVAL
	}
	*o = next
	return nil
}
