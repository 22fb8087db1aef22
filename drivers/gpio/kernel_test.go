package gpio

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// fakeKernel is a few character devices by path.
type fakeKernel map[string]*fakeChip

type fakeChip struct {
	cdevAbout
	denied  bool
	gone    atomic.Bool
	noEdges bool
	names   []string
	rival   atomic.Value // string: who else holds the first line, "" for nobody
	held    map[int]*fakeLine
	opened  int
	closed  int
}

type fakeLine struct {
	request
	chip   *fakeChip
	offset int
	value  atomic.Int32
	edges  uint32
}

func fake(name, label string, lines ...string) *fakeChip {
	c := &fakeChip{
		cdevAbout: cdevAbout{name: name, label: label, lines: len(lines), debounces: true},
		names:     lines,
		held:      map[int]*fakeLine{},
	}
	c.rival.Store("")
	return c
}

func (k fakeKernel) paths() []string {
	var out []string
	for n := range 4 {
		if path := fmt.Sprintf("/dev/gpiochip%d", n); k[path] != nil {
			out = append(out, path)
		}
	}
	return out
}

func (k fakeKernel) open(path string) (cdevChip, error) {
	c := k[path]
	switch {
	case c == nil || c.gone.Load():
		return nil, fmt.Errorf("%s: %w", path, syscall.ENOENT)
	case c.denied:
		return nil, fmt.Errorf("%s: %w", path, syscall.EACCES)
	}
	c.opened++
	return c, nil
}

func (c *fakeChip) about() cdevAbout { return c.cdevAbout }

func (c *fakeChip) line(offset int) (cdevInfo, error) {
	if c.gone.Load() {
		return cdevInfo{}, syscall.ENODEV
	}
	info := cdevInfo{name: c.names[offset]}
	if offset == 0 {
		info.consumer = c.rival.Load().(string)
	}
	return info, nil
}

func (c *fakeChip) request(offset int, r request) (cdevLine, error) {
	switch {
	case c.gone.Load():
		return nil, syscall.ENODEV
	case offset == 0 && c.rival.Load() != "" || c.held[offset] != nil:
		return nil, syscall.EBUSY
	case c.noEdges && (r.edge != gpio.NoEdge || r.debounce > 0):
		return nil, syscall.ENXIO
	}
	l := &fakeLine{request: r, chip: c, offset: offset}
	if r.output && bool(r.level) || r.pull == gpio.PullUp {
		l.value.Store(1)
	}
	c.held[offset] = l
	return l, nil
}

func (c *fakeChip) Close() error { c.closed++; return nil }

func (l *fakeLine) Value() (int, error) {
	if l.chip.gone.Load() {
		return 0, syscall.ENODEV
	}
	return int(l.value.Load()), nil
}

func (l *fakeLine) SetValue(v int) error {
	if l.chip.gone.Load() {
		return syscall.ENODEV
	}
	l.value.Store(int32(v))
	return nil
}

func (l *fakeLine) Close() error {
	delete(l.chip.held, l.offset)
	return nil
}

// change is what the kernel does when the level at an input changes.
func (l *fakeLine) change(level gpio.Level, at time.Time) {
	if level {
		l.value.Store(1)
	} else {
		l.value.Store(0)
	}
	if l.edge != gpio.BothEdges && (l.edge == gpio.RisingEdge) != bool(level) {
		return
	}
	l.edges++
	l.notify(stampedEdge{level, at, l.edges})
}

func TestOpenChip(t *testing.T) {
	t.Parallel()
	k := fakeKernel{
		"/dev/gpiochip0": fake("gpiochip0", "pinctrl-bcm2711", "GPIO0"),
		"/dev/gpiochip1": fake("gpiochip1", "raspberrypi-exp-gpio", "BT_ON"),
		"/dev/gpiochip2": fake("gpiochip2", "ftdi-cbus"),
		"/dev/gpiochip3": fake("gpiochip3", "ftdi-cbus"),
	}
	for chip, want := range map[string]string{
		"gpiochip0": "gpiochip0", "/dev/gpiochip1": "gpiochip1", "pinctrl-bcm2711": "gpiochip0", "raspberrypi-exp-gpio": "gpiochip1",
	} {
		c, err := openChip(k, chip)
		if err != nil {
			t.Errorf("%s: %v", chip, err)
			continue
		}
		if got := c.(*kernelChip).about().name; got != want {
			t.Errorf("%s is %s, want %s", chip, got, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	for chip, want := range map[string]string{
		"gpiochip9":      "there is no chip gpiochip9, but gpiochip0 (pinctrl-bcm2711), gpiochip1 (raspberrypi-exp-gpio), ",
		"/dev/gpiochip9": "/dev/gpiochip9: no such file or directory",
		"ftdi-cbus":      "gpiochip2 and gpiochip3 are both labelled ftdi-cbus: name one of them in chip",
	} {
		if _, err := openChip(k, chip); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", chip, err, want)
		}
	}
	if _, err := openChip(fakeKernel{}, "gpiochip0"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nor any other") {
		t.Errorf("no chips at all: %v", err)
	}
	k["/dev/gpiochip1"].denied = true
	for _, chip := range []string{"gpiochip1", "raspberrypi-exp-gpio"} {
		if _, err := openChip(k, chip); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s, which may not be opened: %v", chip, err)
		}
	}
	for path, c := range k {
		if c.opened != c.closed {
			t.Errorf("%s was opened %d times and closed %d times", path, c.opened, c.closed)
		}
	}
}

func kernelPinOf(t *testing.T, c *fakeChip, line string) *kernelPin {
	t.Helper()
	chip, err := openChip(fakeKernel{"/dev/gpiochip0": c}, "gpiochip0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := chip.Pin(line)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*kernelPin)
}

func TestKernelLineByNameThenNumber(t *testing.T) {
	t.Parallel()
	c := fake("gpiochip0", "x", "GPIO0", "2", "GPIO2")
	for line, want := range map[string]int{"GPIO0": 0, "0": 0, "2": 1, "1": 1, "GPIO2": 2} {
		if p := kernelPinOf(t, c, line); p.Number() != want {
			t.Errorf("%s is line %d, want %d", line, p.Number(), want)
		}
	}
	chip := &kernelChip{cdevChip: c}
	for _, line := range []string{"GPIO9", "3", "-1"} {
		if _, err := chip.Pin(line); err == nil || !strings.Contains(err.Error(), "gpiochip0: there is no line "+line) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestKernelOutput(t *testing.T) {
	t.Parallel()
	c := fake("gpiochip0", "x", "A")
	p := kernelPinOf(t, c, "A")
	for _, level := range []gpio.Level{gpio.High, gpio.Low, gpio.High} {
		before := c.held[0]
		if err := p.Out(level); err != nil {
			t.Fatal(err)
		}
		if before != nil && c.held[0] != before {
			t.Error("an output was let go of to set it, which lets it fall for a moment")
		}
		if p.Read() != level {
			t.Errorf("set to %v, reads %v", level, p.Read())
		}
	}
	if !c.held[0].output || c.held[0].level != gpio.High {
		t.Errorf("requested as %+v: not at once with its level", c.held[0].request)
	}
	if err := p.Halt(); err != nil || c.held[0] != nil {
		t.Errorf("halt: %v, held %v", err, c.held[0])
	}
	if _, err := p.Level(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read without holding it: %v", err)
	}
}

func TestKernelEdges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fake("gpiochip0", "x", "A")
		p := kernelPinOf(t, c, "A")
		if p.WaitForEdge(-1) {
			t.Error("an edge of a line that is not held")
		}
		if err := p.In(gpio.PullDown, gpio.BothEdges); err != nil {
			t.Fatal(err)
		}
		if p.WaitForEdge(time.Second) {
			t.Error("an edge without one")
		}
		at := time.Now()
		c.held[0].change(gpio.High, at)
		time.Sleep(time.Second)
		if !p.WaitForEdge(-1) {
			t.Fatal("no edge")
		}
		if level, when := p.LastEdge(); level != gpio.High || !when.Equal(at) {
			t.Errorf("edge to %v at %v", level, when)
		}
		// More than are kept: the latest are.
		for n := range 3 * edgesKept {
			c.held[0].change(n%2 != 0, at.Add(time.Duration(n)))
		}
		kept := 0
		for p.WaitForEdge(time.Millisecond) {
			kept++
		}
		if level, when := p.LastEdge(); kept != edgesKept || level != gpio.High || when != at.Add(3*edgesKept-1) {
			t.Errorf("%d kept, the last to %v", kept, level)
		}
		ended := make(chan bool)
		go func() { ended <- p.WaitForEdge(-1) }()
		synctest.Wait()
		if err := p.Halt(); err != nil {
			t.Fatal(err)
		}
		if <-ended {
			t.Error("Halt was an edge")
		}
	})
}

// on runs the driver over the adapter over a fake kernel.
func onKernel(t *testing.T, c *fakeChip, toml string) *bench {
	k := fakeKernel{"/dev/gpiochip0": c}
	return runOn(t, nil, func(chip string) (Chip, error) { return openChip(k, chip) }, toml)
}

func TestDriverOverKernel(t *testing.T) {
	t.Parallel()
	const keys = `source = "A"; pull = "up"; debounce = "30ms"`
	t.Run("debounce is the kernel's", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A")
			b := onKernel(t, c, point(keys))
			r := c.held[0].request
			if r.debounce != 30*time.Millisecond || r.edge != gpio.BothEdges || r.pull != gpio.PullUp {
				t.Errorf("requested %+v", r)
			}
			at := time.Now()
			time.Sleep(time.Millisecond)
			c.held[0].change(gpio.Low, at)
			b.expect("10") // at once: what the kernel says has settled
			if last, _ := b.sink.Last("it", "p"); !last.At.Equal(at) {
				t.Errorf("taken at %v, and the edge was at %v", last.At, at)
			}
			b.stop()
			if len(c.held) != 0 || c.closed != 1 {
				t.Errorf("left: %v, closed %d times", c.held, c.closed)
			}
		})
	})
	t.Run("a kernel that does not debounce", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A")
			c.debounces = false
			b := onKernel(t, c, point(keys))
			c.held[0].change(gpio.Low, time.Now())
			time.Sleep(29 * time.Millisecond)
			c.held[0].change(gpio.High, time.Now())
			b.expect("1")
			c.held[0].change(gpio.Low, time.Now())
			time.Sleep(30 * time.Millisecond)
			b.expect("10")
		})
	})
	t.Run("a chip without interrupts", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A")
			c.noEdges = true
			b := onKernel(t, c, point(keys))
			if r := c.held[0].request; r.edge != gpio.NoEdge || r.debounce != 0 || r.notify != nil {
				t.Errorf("requested %+v", r)
			}
			c.held[0].value.Store(0)
			time.Sleep(30 * time.Millisecond)
			b.expect("1")
			time.Sleep(10 * time.Millisecond)
			b.expect("10")
		})
	})
	t.Run("an edge that got lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A")
			b := onKernel(t, c, point(keys))
			c.held[0].value.Store(0)
			time.Sleep(probeEvery)
			b.expect("10")
		})
	})
	t.Run("somebody else's line", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A")
			c.rival.Store("lirc")
			b := onKernel(t, c, point(keys))
			want := `gpio pins: gpiochip0: line A is in use by "lirc": device or resource busy: stop the program that holds it, or take another line`
			if _, cause := b.sink.Linked("it"); cause == nil || cause.Error() != want {
				t.Errorf("cause %v, want %s", cause, want)
			}
			c.rival.Store("")
			time.Sleep(lastRetry)
			b.expect("1")
		})
	})
	t.Run("unplugged", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := fake("gpiochip0", "x", "A", "B")
			b := onKernel(t, c, point(keys)+"[devices.it.points.q]\nsource = 1\ndirection = \"out\"\nsafe = false\n")
			c.gone.Store(true) // and the kernel says nothing of it
			time.Sleep(probeEvery)
			synctest.Wait()
			if up, cause := b.sink.Linked("it"); up || !errors.Is(cause, syscall.ENODEV) {
				t.Errorf("up %t: %v", up, cause)
			}
			if len(c.held) != 0 || c.closed != 1 {
				t.Errorf("left: %v, closed %d times", c.held, c.closed)
			}
			c.gone.Store(false)
			time.Sleep(lastRetry)
			b.expect("11")
		})
	})
}
