package gpio

import (
	"context"
	"fmt"
	"time"

	"tidings/devices"
)

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second

	// probeEvery is how often the chip is asked whether it is still there, which nothing else would tell of a chip
	// with idle lines, and every line is read, which mends an edge that got lost and shows an output that somebody
	// moved. It also bounds how long gpiocdev spins on the lines of a chip that was unplugged.
	probeEvery = time.Second
)

// loop is one Run: the state of the chip, of its devices and of its lines, owned by the goroutine of run.
type loop struct {
	*driver
	out   devices.Sink
	edges chan edge // unbuffered: edges wait in their pins

	chip    Chip  // nil: not open
	why     error // why not
	retry   backoff
	probeAt time.Time
	devices []*attached
	taken   map[int]*line           // by number on the chip
	totals  map[*lineConfig]float64 // of pulses, since they were recalled
}

// backoff spaces attempts out. The zero value is due at once.
type backoff struct {
	wait time.Duration
	at   time.Time
}

func (b *backoff) failed(now time.Time) {
	b.wait = min(max(2*b.wait, firstRetry), lastRetry)
	b.at = now.Add(b.wait)
}

func newLoop(d *driver, out devices.Sink) *loop {
	r := &loop{driver: d, out: out, edges: make(chan edge), taken: map[int]*line{}, totals: map[*lineConfig]float64{}}
	for i := range d.devices {
		r.devices = append(r.devices, &attached{device: &d.devices[i]})
	}
	return r
}

func (r *loop) run(ctx context.Context) {
	defer r.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-r.edges:
			r.edge(e)
		case j := <-r.desk.Jobs():
			j.Answer(r.do(j.What))
		case <-timer.C:
		}
		r.due(time.Now())
		timer.Reset(time.Until(r.next()))
	}
}

// close leaves everything safe. It runs before Run returns, whatever ended it.
func (r *loop) close() {
	for _, dev := range r.devices {
		r.detach(dev)
	}
	if r.chip != nil {
		if err := r.chip.Close(); err != nil {
			r.log.Warn("closing the chip", "err", err)
		}
		r.chip = nil
	}
}

// due does what is to be done by now.
func (r *loop) due(now time.Time) {
	if r.chip == nil {
		if now.Before(r.retry.at) {
			return
		}
		if r.openChip(now); r.chip == nil {
			return
		}
	}
	if !now.Before(r.probeAt) {
		r.probe(now)
	}
	for _, dev := range r.devices {
		if r.chip == nil { // went meanwhile
			return
		}
		if dev.lines == nil && !now.Before(dev.retry.at) {
			r.attach(dev, now)
		}
		for _, l := range dev.lines {
			r.dueLine(l, now)
		}
	}
}

// next is when due has something to do again. There is always something: the probe, or the next attempt to open.
func (r *loop) next() time.Time {
	if r.chip == nil {
		return r.retry.at
	}
	at := r.probeAt
	for _, dev := range r.devices {
		if dev.lines == nil && dev.retry.at.Before(at) {
			at = dev.retry.at
		}
		for _, l := range dev.lines {
			if t := l.next(); !t.IsZero() && t.Before(at) {
				at = t
			}
		}
	}
	return at
}

func (r *loop) openChip(now time.Time) {
	chip, err := r.open(r.driver.chip)
	if err != nil {
		r.lost(err, now)
		return
	}
	r.log.Info("chip open", "chip", r.driver.chip)
	r.chip, r.why = chip, nil
	r.probeAt = now.Add(probeEvery)
	for _, dev := range r.devices {
		dev.retry = backoff{}
	}
	r.out.Health(nil)
}

// lost takes all devices down, because the chip cannot be opened or is gone.
func (r *loop) lost(err error, now time.Time) {
	err = r.explain(err)
	r.close()
	r.why = err
	r.retry.failed(now)
	r.out.Health(err)
	for _, dev := range r.devices {
		r.down(dev, err)
	}
}

// explain makes of an error what a person is told.
func (r *loop) explain(err error) error {
	return fmt.Errorf("gpio %s: %w%s", r.name, err, wayOut(err))
}

// probe looks after the chip and after lines whose change was not noticed.
func (r *loop) probe(now time.Time) {
	if err := r.chip.Check(); err != nil {
		r.lost(err, now)
		return
	}
	r.retry = backoff{} // it has lasted: the next loss is a new one
	r.probeAt = now.Add(probeEvery)
	for _, dev := range r.devices {
		for _, l := range dev.lines {
			if l.poll == 0 {
				r.look(l, now)
			}
		}
	}
}

// edge takes in what a watcher says.
func (r *loop) edge(e edge) {
	if e.ended {
		// The chip went, most probably, which the probe will tell; if not, the line is looked at from now on.
		r.probeAt, e.line.poll, e.line.pollAt = e.at, slowPoll, e.at.Add(slowPoll)
		if p := e.line.pulses; p != nil {
			p.byEdge, e.line.poll = false, fastPoll
			if level, err := readLevel(e.line.pin); err == nil { // what it was since it was taken is not known
				e.line.on = e.line.lineConfig.on(level)
			}
		}
		return
	}
	if p := e.line.pulses; p != nil && p.byEdge {
		r.pulse(e.line, e.n, e.at)
		return
	}
	if !e.known {
		on, ok := r.read(e.line, e.at)
		if !ok {
			return
		}
		e.on = on
	}
	if e.line.observe(e.on, e.at, true) {
		r.changed(e.line, e.at)
	}
}

// dueLine does what one line has to have done by now.
func (r *loop) dueLine(l *line, now time.Time) {
	if !l.offAt.IsZero() && !now.Before(l.offAt) {
		r.endPulse(l, now)
	}
	if l.poll > 0 && !now.Before(l.pollAt) {
		l.pollAt = now.Add(l.poll)
		r.look(l, now)
	}
	if at := l.settleAt(); !at.IsZero() && !now.Before(at) {
		// The line itself has the last word: an edge back may be on its way.
		if on, ok := r.read(l, now); ok && on != l.on {
			l.on = on
			r.changed(l, l.since)
		}
		l.since = time.Time{}
	}
	if l.pulses != nil && !l.faulty {
		if at := l.pulses.next(); !at.IsZero() && !now.Before(at) {
			r.report(l, now)
		}
	}
}

// look reads a line without having heard of an edge.
func (r *loop) look(l *line, now time.Time) {
	on, ok := r.read(l, now)
	switch {
	case !ok:
	case l.output:
		if on != l.on {
			l.on = on
			r.publish(l, now)
		}
	case l.pulses != nil && l.pulses.byEdge: // it could be read, that is all
	case l.observe(on, now, false):
		r.changed(l, now)
	}
}

// read reads a line. A line that cannot be read is published as faulty, once, and read again when it can.
func (r *loop) read(l *line, now time.Time) (on, ok bool) {
	level, err := readLevel(l.pin)
	if err != nil {
		if !l.faulty {
			l.faulty = true
			r.probeAt = now // once: a line that stays faulty is looked at by the probe
			if !l.action {
				r.out.Publish(l.faults(now, err)...)
			}
		}
		return false, false
	}
	on = l.lineConfig.on(level)
	if l.faulty {
		l.faulty = false
		l.on = on
		if l.pulses != nil {
			l.pulses.reported = time.Time{} // all of it is news after a fault
		}
		r.publish(l, now)
	}
	return on, true
}

// changed takes in that the level of an input changed: that is a reading, or may be a pulse.
func (r *loop) changed(l *line, at time.Time) {
	switch {
	case l.pulses == nil:
		r.publish(l, at)
	case l.counts.counted(l.lineConfig.level(l.on)):
		r.pulse(l, 1, at)
	}
}

// publish publishes what a line reads.
func (r *loop) publish(l *line, at time.Time) {
	switch {
	case l.pulses != nil:
		r.report(l, at)
	case !l.action:
		r.out.Publish(devices.Reading{Device: l.device, Point: l.point, Value: devices.Bool(l.on), At: at})
	}
}

// do carries out one command.
func (r *loop) do(j job) (devices.Result, error) {
	var l *line
	var why error
	for _, dev := range r.devices {
		if dev.id != j.line.device {
			continue
		}
		why = dev.why
		for _, held := range dev.lines {
			if held.lineConfig == j.line {
				l = held
			}
		}
	}
	switch {
	case l == nil && why == nil: // before the first attempt
		return devices.Result{}, fmt.Errorf("gpio %s: %s: %w", r.name, j.line.device, devices.ErrDown)
	case l == nil:
		return devices.Result{}, fmt.Errorf("%w: %w", devices.ErrDown, why)
	case l.pulses != nil:
		return r.setTotal(l, j.total), nil
	case j.on && !l.offAt.IsZero():
		return devices.Result{}, fmt.Errorf("gpio %s: %s: %s: a pulse is under way: %w", r.name, l.device, l.point, devices.ErrBusy)
	}
	written := time.Now()
	if err := r.set(l, j.on); err != nil {
		return devices.Result{}, &devices.AskedError{Err: err}
	}
	l.offAt = time.Time{}
	if l.pulse > 0 && j.on {
		l.offAt = time.Now().Add(l.pulse)
	}
	return devices.Result{Written: written}, nil
}

// set writes an output and publishes what it then reads, which is what confirms a command: a relay that sticks reads
// as before.
func (r *loop) set(l *line, on bool) error {
	if err := l.pin.Out(l.level(on)); err != nil {
		r.probeAt = time.Now()
		return r.explain(err)
	}
	r.log.Debug("line set", "device", l.device, "point", l.point, "on", on)
	now := time.Now()
	if is, ok := r.read(l, now); ok {
		l.on = is
		r.publish(l, now)
	}
	return nil
}

// endPulse switches a pulsed line off. If that fails it is tried again for as long as the chip is there.
func (r *loop) endPulse(l *line, now time.Time) {
	if err := r.set(l, false); err != nil {
		r.log.Warn("pulse cannot be ended", "device", l.device, "point", l.point, "err", err)
		l.offAt = now.Add(probeEvery)
		return
	}
	l.offAt = time.Time{}
}
