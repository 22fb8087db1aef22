package gpio

import (
	"fmt"
	"time"
)

// attached is one device and, while it is up, its lines.
type attached struct {
	*device
	lines []*line // nil: down
	why   error   // why it is down
	retry backoff
}

// down tells that a device is down, once for the same reason.
func (r *loop) down(dev *attached, err error) {
	if dev.why == nil || dev.why.Error() != err.Error() {
		r.out.Link(dev.id, false, err)
	}
	dev.why = err
}

// attach takes hold of a device's lines: of all, or of none. Outputs come last, so that a relay is not moved again
// and again while an input of its device cannot be had.
func (r *loop) attach(dev *attached, now time.Time) {
	lines := make([]*line, 0, len(dev.device.lines))
	for _, c := range dev.ordered() {
		l, err := r.take(c)
		if l != nil {
			lines = append(lines, l)
		}
		if err != nil {
			dev.lines = lines
			r.detach(dev)
			if gone := r.chip.Check(); gone != nil {
				r.lost(gone, now)
				return
			}
			dev.retry.failed(now)
			err = r.explain(err)
			if dev.why == nil || dev.why.Error() != err.Error() {
				r.log.Warn("device cannot be set up", "device", dev.id, "err", err)
			}
			r.down(dev, err)
			return
		}
	}
	dev.lines, dev.why, dev.retry = lines, nil, backoff{}
	r.out.Link(dev.id, true, nil)
	for _, l := range lines {
		if l.poll > 0 {
			l.pollAt = now.Add(l.poll)
		} else if !l.output {
			l.watch(r.edges)
		}
		r.publish(l, now)
	}
}

// ordered are the device's lines, inputs first.
func (d *device) ordered() []*lineConfig {
	var in, out []*lineConfig
	for i := range d.lines {
		if c := &d.lines[i]; c.output {
			out = append(out, c)
		} else {
			in = append(in, c)
		}
	}
	return append(in, out...)
}

// take takes hold of one line and reads it. The line it returns has to be released, also with an error.
func (r *loop) take(c *lineConfig) (*line, error) {
	pin, err := r.chip.Pin(c.source)
	if err != nil {
		return nil, err
	}
	// That one point says GPIO17 and another 17 shows only now that the chip is there.
	if other := r.taken[pin.Number()]; other != nil {
		return nil, fmt.Errorf("line %s is already that of %s.%s, as %s", c.source, other.device, other.point, other.source)
	}
	l := &line{lineConfig: c, pin: pin}
	if c.counts != nil {
		if l.pulses, err = r.recall(c); err != nil {
			return nil, err
		}
	}
	if err := l.take(); err != nil {
		return nil, err
	}
	r.taken[pin.Number()] = l
	level, err := readLevel(pin)
	l.on = c.on(level)
	return l, err
}

// detach lets go of a device's lines.
func (r *loop) detach(dev *attached) {
	for _, l := range dev.lines {
		r.keep(l)
		if err := l.release(); err != nil && r.chip.Check() == nil {
			r.log.Warn("line let go in an unknown state", "device", l.device, "point", l.point, "err", err)
		}
		delete(r.taken, l.pin.Number())
	}
	dev.lines = nil
}
