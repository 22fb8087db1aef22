package gpio

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// edgesKept is how many edges a line keeps until they are waited for, as the kernel does; later ones are dropped.
const edgesKept = 16

// pin is one line in the hands of one program. Its fields are under the chip's mu.
type pin struct {
	handle *Handle
	line   *line

	output bool
	out    gpio.Level
	pull   gpio.Pull
	edge   gpio.Edge
	edges  chan struct{} // made by In
	halted chan struct{} // made by In, closed when the line is let go or configured anew
}

var _ gpio.PinIO = (*pin)(nil)

func (p *pin) Name() string { return p.line.name }
func (p *pin) Number() int  { return p.line.number }

func (p *pin) String() string { return fmt.Sprintf("%s(%d)", p.line.name, p.line.number) }

func (p *pin) Function() string {
	p.handle.chip.mu.Lock()
	defer p.handle.chip.mu.Unlock()
	switch {
	case p.line.holder != p:
		return ""
	case p.output:
		return "Out/" + p.line.level.String()
	}
	return "In/" + p.line.level.String()
}

// take makes p the line's holder. chip.mu is held.
func (p *pin) take() error {
	err := p.handle.dead()
	if err == nil && (p.line.busy || p.line.holder != nil && p.line.holder != p) {
		err = fmt.Errorf("line %s: %w", p, syscall.EBUSY)
	}
	if err != nil {
		return err
	}
	p.stopWaiting()
	p.line.holder = p
	return nil
}

// let lets go of the line; whoever waits for an edge stops. chip.mu is held.
func (p *pin) let() {
	p.stopWaiting()
	if p.line.holder == p {
		p.line.holder = nil
		p.output = false
	}
}

func (p *pin) stopWaiting() {
	if p.halted != nil {
		close(p.halted)
		p.halted = nil
	}
}

// Halt lets go of the line and ends a WaitForEdge. An output keeps its level.
func (p *pin) Halt() error {
	p.handle.chip.mu.Lock()
	defer p.handle.chip.mu.Unlock()
	p.let()
	return nil
}

func (p *pin) In(pull gpio.Pull, edge gpio.Edge) error {
	c := p.handle.chip
	c.mu.Lock()
	defer c.mu.Unlock()
	if edge != gpio.NoEdge && c.noEdges {
		return fmt.Errorf("line %s: %w", p, syscall.ENXIO)
	}
	if err := p.take(); err != nil {
		return err
	}
	if pull != gpio.PullNoChange {
		p.pull = pull
	}
	p.output, p.edge = false, gpio.NoEdge
	p.line.settle() // before edges count: taking a line is no edge
	p.edge = edge
	p.edges, p.halted = make(chan struct{}, edgesKept), make(chan struct{})
	return nil
}

func (p *pin) Out(level gpio.Level) error {
	p.handle.chip.mu.Lock()
	defer p.handle.chip.mu.Unlock()
	if err := p.take(); err != nil {
		return err
	}
	p.output, p.out = true, level
	p.line.settle()
	return nil
}

func (p *pin) Read() gpio.Level {
	p.handle.chip.mu.Lock()
	defer p.handle.chip.mu.Unlock()
	if p.handle.dead() != nil {
		return gpio.Low
	}
	return p.line.level
}

// changed counts an edge. chip.mu is held.
func (p *pin) changed(level gpio.Level) {
	wanted := p.edge == gpio.BothEdges || p.edge == gpio.RisingEdge && level == gpio.High ||
		p.edge == gpio.FallingEdge && level == gpio.Low
	if p.output || !wanted {
		return
	}
	select {
	case p.edges <- struct{}{}:
	default:
	}
}

func (p *pin) WaitForEdge(timeout time.Duration) bool {
	p.handle.chip.mu.Lock()
	edges, halted := p.edges, p.halted
	p.handle.chip.mu.Unlock()
	if halted == nil {
		return false
	}
	select {
	case <-edges: // one that has been waits for nobody, whatever the timeout
		return true
	default:
	}
	var expired <-chan time.Time // nil waits for ever
	if timeout >= 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-halted:
		return false
	case <-edges:
		return true
	case <-expired:
		return false
	}
}

func (p *pin) Pull() gpio.Pull {
	p.handle.chip.mu.Lock()
	defer p.handle.chip.mu.Unlock()
	return p.pull
}

func (p *pin) DefaultPull() gpio.Pull { return gpio.PullNoChange }

func (p *pin) PWM(gpio.Duty, physic.Frequency) error {
	return errors.New("PWM: the simulated chip has none")
}
