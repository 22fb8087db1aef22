package chips

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidings/devices"
)

// worker is one chip while the bus is open: the goroutine of run owns it.
type worker struct {
	*driver
	*config
	out  devices.Sink
	shut func()                  // no command comes any more
	lost context.CancelCauseFunc // called when the bus is gone
	bus  *sharedBus

	link       *link
	instrument instrument // nil: down
	samples    []sample
	why        error // why it is down
	told       bool  // whether it is up was told
	retry      backoff
	publishAt  time.Time
	doubtful   bool // a command went wrong, or could not be read back: the chip is looked at now
}

func (w *worker) run(ctx context.Context) {
	defer w.shut()
	w.link = &link{bus: w.bus, ctx: ctx}
	w.samples = make([]sample, len(w.channels))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			w.leave()
			return
		case j := <-w.desk.Jobs():
			j.Answer(w.do(j.What))
			if w.doubtful {
				w.doubtful = false
				timer.Reset(0)
			}
			continue
		case <-timer.C:
		}
		begun := time.Now()
		wait := w.step(begun)
		timer.Reset(max(0, time.Until(begun.Add(wait))))
	}
}

// step measures, setting the chip up first if that is due, and returns how long after it began it wants to be called again.
func (w *worker) step(now time.Time) time.Duration {
	fresh := w.instrument == nil
	err := w.measure()
	if err != nil && !fresh { // once more from the beginning: it may have lost its settings, or the line was disturbed
		w.instrument = nil
		err = w.measure()
	}
	if w.link.ctx.Err() != nil {
		return 0
	}
	if err != nil {
		w.instrument = nil
		w.down(err)
		return w.retry.next()
	}
	w.retry = backoff{}
	if !now.Before(w.publishAt) {
		w.publishAt = now.Add(w.poll - w.poll/10) // a chip that is read more often than it is told of
		w.publish()
	}
	if w.model.cadence > 0 {
		return min(w.poll, w.model.cadence)
	}
	return w.poll
}

// measure reads all channels. Its error says that the chip is not there; what else is wrong is a fault of the channels.
func (w *worker) measure() error {
	if w.instrument == nil {
		w.link.begin()
		var err error
		if w.instrument, err = w.setUp(); err != nil {
			w.instrument = nil
			return w.explain(err)
		}
		w.link.again, w.publishAt = true, time.Time{}
	}
	w.link.begin()
	clear(w.samples)
	err := w.instrument.measure(w.samples)
	switch {
	case err == nil:
	case w.link.err != nil, errors.Is(err, errReset):
		return w.explain(err)
	default:
		for i := range w.samples {
			w.samples[i] = fault(err)
		}
	}
	w.up()
	return nil
}

func (w *worker) setUp() (instrument, error) {
	if w.kind == "spi" {
		return w.model.openSPI(w.config, spiLink{w.link})
	}
	return w.model.open(w.config, i2cLink{w.link, w.addr})
}

// explain makes of what went wrong what a person is told. The error of the transaction says more than what periph's packages
// make of it.
func (w *worker) explain(err error) error {
	if w.link.err != nil {
		err = w.link.err
	}
	if lost := gone(w.bus, err); lost != nil {
		w.lost(lost)
		return lost
	}
	if silent(err) {
		return fmt.Errorf("nothing answers: check the wiring and the address (`i2cdetect` lists what is there): %w", err)
	}
	return err
}

func (w *worker) up() {
	if w.told && w.why == nil {
		return
	}
	w.told, w.why = true, nil
	w.out.Link(w.id, true, nil)
}

// down tells that the chip is, once for the same reason.
func (w *worker) down(err error) {
	err = fmt.Errorf("%s %s: %s: %w", w.kind, w.name, w.where(), err)
	if w.why == nil || w.why.Error() != err.Error() {
		w.log.Warn("chip is down", "device", w.id, "err", err)
		w.out.Link(w.id, false, err)
	}
	w.told, w.why = true, err
}

func (w *worker) publish() {
	now := time.Now()
	readings := make([]devices.Reading, 0, len(w.samples))
	for i, s := range w.samples {
		r := devices.Reading{Device: w.id, Point: w.channels[i].Name, Value: s.value, Quality: s.quality, At: now, Err: s.err}
		if s.value.IsZero() && s.quality == devices.Good {
			r.Quality = devices.Unknown
		}
		readings = append(readings, r)
	}
	w.out.Publish(readings...)
}

// do carries out one command, and reads the chip back.
func (w *worker) do(j job) (devices.Result, error) {
	s, ok := w.instrument.(setter)
	if !ok {
		if w.why != nil {
			return devices.Result{}, fmt.Errorf("%w: %w", devices.ErrDown, w.why)
		}
		return devices.Result{}, fmt.Errorf("%s %s: %s: %w", w.kind, w.name, w.id, devices.ErrDown)
	}
	written := time.Now()
	w.link.begin()
	if err := s.set(j.channel, j.value); err != nil {
		err = fmt.Errorf("%s %s: %s: %w", w.kind, w.name, w.where(), w.explain(err))
		w.doubtful = true
		return devices.Result{}, &devices.AskedError{Err: err}
	}
	w.log.Debug("output set", "device", w.id, "point", w.channels[j.channel].Name, "value", j.value)
	if w.measure() == nil {
		w.publish()
	} else {
		w.doubtful = true
	}
	return devices.Result{Written: written}, nil
}

// leave sets what has a safe value to it. The chip's goroutine is to end, so that nothing is waited for.
func (w *worker) leave() {
	s, ok := w.instrument.(setter)
	if !ok || w.bus.Check() != nil {
		return
	}
	w.link.ctx = context.WithoutCancel(w.link.ctx)
	w.link.begin()
	for i := range w.channels {
		if safe := w.channels[i].safe; !safe.IsZero() {
			if err := s.set(i, safe); err != nil {
				w.log.Warn("output let go in an unknown state", "device", w.id, "point", w.channels[i].Name, "err", err)
			}
		}
	}
}
