package gpio

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/gpio"
)

// taken opens the chip and returns one of its lines.
func taken(t *testing.T, c *Chip, line string) (*Handle, gpio.PinIO) {
	t.Helper()
	h, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Pin(line)
	if err != nil {
		t.Fatal(err)
	}
	return h, p
}

func TestPullDecidesWhatNobodyDrives(t *testing.T) {
	t.Parallel()
	c := NewChip("test", "A", "B")
	_, p := taken(t, c, "A")
	for pull, want := range map[gpio.Pull]gpio.Level{gpio.PullUp: gpio.High, gpio.PullDown: gpio.Low} {
		if err := p.In(pull, gpio.NoEdge); err != nil {
			t.Fatal(err)
		}
		if p.Read() != want {
			t.Errorf("%v: the open line reads %v", pull, p.Read())
		}
		c.Press("A")
		if p.Read() != gpio.Low {
			t.Errorf("%v: the closed contact reads high", pull)
		}
		c.Set("A", gpio.High)
		if p.Read() != gpio.High {
			t.Errorf("%v: a line driven high reads low", pull)
		}
		c.Release("A")
		if p.Read() != want {
			t.Errorf("%v: the line does not come back to its pull", pull)
		}
	}
}

func TestEdges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewChip("test", "A")
		_, p := taken(t, c, "0")
		if err := p.In(gpio.PullUp, gpio.BothEdges); err != nil {
			t.Fatal(err)
		}
		if p.WaitForEdge(time.Second) {
			t.Error("taking the line was an edge")
		}
		c.Press("A")
		c.Press("A")
		if !p.WaitForEdge(0) || p.WaitForEdge(0) {
			t.Error("one press is not one edge")
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
		if c.Held("A") {
			t.Error("a halted line is held")
		}
	})
}

func TestContactBouncesAndKeepsItsSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewChip("test", "A")
		_, p := taken(t, c, "A")
		if err := p.In(gpio.PullUp, gpio.BothEdges); err != nil {
			t.Fatal(err)
		}
		door := c.Contact("A")
		door.SetBounce(3, time.Millisecond)
		began := time.Now()
		door.Close()
		edges := 0
		for p.WaitForEdge(0) {
			edges++
		}
		if edges != 7 || time.Since(began) != 6*time.Millisecond || c.Level("A") != gpio.Low {
			t.Errorf("%d edges in %v", edges, time.Since(began))
		}
		door.SetBounce(0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- door.Run(ctx, 20*time.Second, 5*time.Second) }()
		for _, step := range []struct {
			after time.Duration
			want  gpio.Level
		}{{10 * time.Second, gpio.Low}, {12 * time.Second, gpio.High}, {5 * time.Second, gpio.Low}} {
			time.Sleep(step.after)
			if c.Level("A") != step.want {
				t.Errorf("after %v: %v", step.after, c.Level("A"))
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	c := NewChip("test", "A", "B")
	h, p := taken(t, c, "B")
	relay := c.Relay("B")
	if err := p.Out(gpio.High); err != nil || !relay.On() || p.Read() != gpio.High {
		t.Fatalf("out: %v, %v", err, relay.On())
	}

	c.SetFault("B", Stuck, true)
	if err := p.Out(gpio.Low); err != nil || !relay.On() || p.Read() != gpio.High {
		t.Errorf("a stuck relay moved: %v", err)
	}
	c.SetFault("B", Stuck, false)

	_, rival := taken(t, c, "B")
	if err := rival.Out(gpio.Low); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a held line was taken: %v", err)
	}
	c.SetFault("A", Busy, true)
	a, err := h.Pin("A")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.In(gpio.Float, gpio.NoEdge); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a busy line was taken: %v", err)
	}
	c.SetFault("A", Busy, false)
	c.SetFault("", NoEdges, true)
	if err := a.In(gpio.Float, gpio.BothEdges); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("edges without interrupts: %v", err)
	}
	if err := a.In(gpio.Float, gpio.NoEdge); err != nil {
		t.Error(err)
	}

	c.SetFault("", Gone, true)
	if err := p.Out(gpio.High); !errors.Is(err, syscall.ENODEV) || relay.On() || c.Held("B") {
		t.Errorf("out on a chip that is gone: %v", err)
	}
	if _, err := c.Open(); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("opened: %v", err)
	}
	c.SetFault("", Gone, false)
	if err := h.Check(); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a handle outlived its chip: %v", err)
	}
	c.SetFault("", Denied, true)
	if _, err := c.Open(); !errors.Is(err, syscall.EACCES) {
		t.Errorf("opened: %v", err)
	}
}

func TestRelayWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewChip("test", "A")
		_, p := taken(t, c, "A")
		if err := p.Out(gpio.Low); err != nil {
			t.Fatal(err)
		}
		drawn := make(chan error)
		go func() { drawn <- c.Relay("A").Wait(t.Context(), true) }()
		synctest.Wait()
		if err := p.Out(gpio.High); err != nil {
			t.Fatal(err)
		}
		if err := <-drawn; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Relay("A").Wait(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waited for nothing: %v", err)
		}
	})
}
