package serial

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/modbus"
)

const (
	// safeAll is how long all safe values may take on stop.
	safeAll = time.Second
	// again is when a value that was written is read once more where it is not what was written yet: some devices
	// answer first and act then.
	again, againTimes = 300 * time.Millisecond, 4
)

// asking is one session with a Modbus line. One goroutine, run's, asks; commands wait for it, and go before polls.
type asking struct {
	*polled
	master *modbus.Master
	out    devices.Sink
	slaves []*slave
	tasks  []*task
	checks []*check
	notes  map[*register]string // what is told of a point, beside its reading
	ill    bool                 // what was said by Health last
	slow   bool                 // it was said that the line is too slow

	mu    sync.Mutex
	queue []*command
	over  bool
}

// A command is a write that waits for its turn.
type command struct {
	ctx    context.Context
	slave  *slave
	point  *register
	value  devices.Value
	data   []byte
	result chan outcome // has room for it
}

type outcome struct {
	devices.Result
	err error
}

// A check reads once more what was written.
type check struct {
	slave *slave
	point *register
	want  devices.Value
	sent  time.Time // when it was written
	due   time.Time
	left  int
}

func newAsking(p *polled, m *modbus.Master, out devices.Sink) *asking {
	a := &asking{polled: p, master: m, out: out, slaves: slaves(p.devices), notes: map[*register]string{}}
	now := time.Now()
	for _, s := range a.slaves {
		a.tasks = append(a.tasks, s.tasks(now)...)
	}
	return a
}

// run asks until the port fails or ctx is done.
func (a *asking) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, a.master.Wake)
	defer stop()
	defer a.end()
	for {
		if ctx.Err() != nil {
			a.makeSafe()
			return nil
		}
		if c := a.take(); c != nil {
			if err := a.write(ctx, c); err != nil {
				return err
			}
			continue
		}
		t, at := soonest(a.tasks)
		now := time.Now()
		c := a.firstCheck()
		var err error
		switch {
		case c != nil && (t == nil || !at.Before(c.due) || !now.Before(c.due)):
			if at = c.due; !now.Before(at) {
				err = a.check(ctx, c)
			} else {
				err = a.master.Idle(at)
			}
		case t == nil:
			err = a.master.Idle(now.Add(time.Hour)) // nothing to read: for commands, and to hear that the port goes
		case now.Before(at):
			err = a.master.Idle(at)
		default:
			err = a.poll(ctx, t, now.Sub(at))
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// poll reads a block. The error is the port's.
func (a *asking) poll(ctx context.Context, t *task, late time.Duration) error {
	s := t.slave
	answer, err := a.master.Exchange(ctx, modbus.Read(s.address, t.block.Table, t.block.Address, t.block.Count))
	now := time.Now()
	switch refused, isException := errors.AsType[modbus.Exception](err); {
	case err == nil:
		t.good = true
		a.present(s)
		a.publish(s, t.block, answer)
		t.done(now)
	case isException && !refused.Unreachable():
		a.present(s)
		if refused.Refuses() && a.split(t) {
			return nil
		}
		a.refused(t, refused, answer.Sent, now)
	case lineTrouble(err):
		a.trouble(t, err, now)
	default:
		return err
	}
	if late > t.every && s.up && !a.slow {
		a.slow = true
		a.log.Warn("the line is too slow for how often it is polled: a higher baud, longer polls or fewer points help", "port", a.port)
	}
	return nil
}

// lineTrouble reports whether an error is about an answer, and not about the port.
func lineTrouble(err error) bool {
	if e, ok := errors.AsType[modbus.Exception](err); ok {
		return e.Unreachable()
	}
	return errors.Is(err, modbus.ErrNoAnswer) || errors.Is(err, modbus.ErrDamaged) || errors.Is(err, modbus.ErrBusyLine)
}

// split has a block that was refused read in two halves, and reports whether there were two.
func (a *asking) split(t *task) bool {
	first, second, ok := t.block.Halves(t.slave.items)
	if !ok {
		return false
	}
	other := *t
	t.block, other.block = first, second
	a.tasks = append(a.tasks, &other)
	a.log.Debug("block refused, read in two", "slave", t.slave.address, "first", first.Item.String(), "second", second.Item.String())
	return true
}

// refused says of the points of a task why they have no value.
func (a *asking) refused(t *task, e modbus.Exception, at, now time.Time) {
	s := t.slave
	if e.Refuses() {
		t.due = now.Add(max(t.every, refusedPoll))
	} else {
		t.done(now)
	}
	for _, i := range t.block.Items {
		r, d := s.registers[i], s.owners[i]
		a.out.Publish(devices.Reading{Device: d.info.ID, Point: r.Name, Quality: devices.Faulty, At: at, Err: fmt.Errorf("%s: %w", r.at, e)})
		if e.Refuses() {
			a.note(d, r, fmt.Sprintf("%s: slave %d refuses %s: %v", r.Name, s.address, r.at, e))
		}
	}
}

// blame deals with a task that a slave does not answer to while it answers to others.
func (a *asking) blame(t *task) {
	s, now := t.slave, time.Now()
	switch {
	case !errors.Is(t.failed, modbus.ErrNoAnswer):
		t.done(now) // it does answer, only badly
		return
	case a.split(t):
		return
	}
	t.due = now.Add(max(t.every, refusedPoll))
	for _, i := range t.block.Items {
		r, d := s.registers[i], s.owners[i]
		err := fmt.Errorf("%s: no answer, though it answers to other questions: does it have that?", r.at)
		a.out.Publish(devices.Reading{Device: d.info.ID, Point: r.Name, Quality: devices.Faulty, At: now, Err: err})
		a.note(d, r, fmt.Sprintf("%s: slave %d does not answer when it is asked for %s: is source right?", r.Name, s.address, r.at))
	}
}

// note tells of a point on its device, or takes back what was told where text is empty.
func (a *asking) note(d *polledDevice, r *register, text string) {
	if a.notes[r] == text {
		return
	}
	a.notes[r] = text
	info := d.info
	for _, other := range d.registers {
		if a.notes[other] != "" {
			info.Notes = append(info.Notes, a.notes[other])
		}
	}
	a.out.Announce(info)
}

// present says that a slave answers.
func (a *asking) present(s *slave) {
	accused := s.answered()
	if !s.up || !s.said {
		s.up, s.said, s.cause = true, true, nil
		for _, d := range s.devices {
			a.out.Link(d.info.ID, true, nil)
		}
	}
	if a.ill {
		a.ill = false
		a.out.Health(nil)
	}
	if accused != nil {
		a.blame(accused)
	}
}

// trouble notes that a question was not answered and, when that was often enough, says that the slave is gone.
func (a *asking) trouble(t *task, err error, now time.Time) {
	s := t.slave
	a.log.Debug("no answer", "slave", s.address, "err", err, "try", s.tries+1)
	t.failed = err
	if t.due = now; !s.silent(t, a.tasks, a.tries, now) {
		return
	}
	a.gone(s, a.explain(s, err))
	for _, other := range a.slaves {
		if other.rest == 0 {
			return
		}
	}
	if !a.ill {
		a.ill = true
		a.out.Health(fmt.Errorf("serial %s: %s: nothing on the line answers: are baud and mode right, and the two wires not swapped?", a.name, a.port))
	}
}

// explain says why a slave is not there and what to look at.
func (a *asking) explain(s *slave, err error) error {
	hint := "is it on, and are slave, baud and mode right?"
	switch _, behind := errors.AsType[modbus.Exception](err); {
	case errors.Is(err, modbus.ErrDamaged):
		hint = "are baud and mode right, and the ends of the line terminated?"
	case behind, errors.Is(err, modbus.ErrBusyLine):
		return fmt.Errorf("slave %d: %w", s.address, err)
	}
	return fmt.Errorf("slave %d: %w within %v, asked %d times: %s", s.address, err, a.line.Timeout, a.tries, hint)
}

func (a *asking) gone(s *slave, cause error) {
	if s.said && !s.up && s.cause.Error() == cause.Error() {
		return
	}
	s.up, s.said, s.cause = false, true, cause
	for _, d := range s.devices {
		a.out.Link(d.info.ID, false, fmt.Errorf("serial %s: %w", a.name, cause))
	}
}

// publish hands over the readings of a block.
func (a *asking) publish(s *slave, b modbus.Block, answer modbus.Answer) {
	readings := make([]devices.Reading, 0, len(b.Items))
	for _, i := range b.Items {
		r := s.registers[i]
		v, q, err := r.value(b.Part(answer.Data, r.at))
		readings = append(readings, devices.Reading{Device: s.owners[i].info.ID, Point: r.Name, Value: v, Quality: q, At: answer.Sent, Err: err})
		a.note(s.owners[i], r, "")
	}
	if len(readings) > 0 {
		a.out.Publish(readings...)
	}
}

// end refuses every command that waits or comes later, and takes the notes back: what comes next may be other devices.
func (a *asking) end() {
	for _, d := range a.devices {
		for _, r := range d.registers {
			a.note(d, r, "")
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for _, c := range a.queue {
		c.result <- outcome{err: devices.ErrDown}
	}
	a.queue = nil
}
