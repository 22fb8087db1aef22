package gpio

import (
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"

	"tidings/devices"
)

// countConfig is what the configuration says of the pulses at one line.
type countConfig struct {
	edge  gpio.Edge
	total string        // the point that counts them; empty: none
	rate  string        // the point that says how fast they come; empty: none
	per   time.Duration // the rate is pulses in this time
}

func (c *countConfig) has(point string) bool {
	return point != "" && (c.total == point || c.rate == point)
}

// counted reports whether a change to that level is a pulse.
func (c *countConfig) counted(level gpio.Level) bool {
	return c.edge == gpio.BothEdges || (c.edge == gpio.RisingEdge) == bool(level)
}

func (c *countConfig) info() (points []devices.Point) {
	if c.total != "" {
		points = append(points, devices.Point{Name: c.total, Kind: devices.KindNumber, Readable: true, Writable: true, Confirms: true})
	}
	if c.rate != "" {
		points = append(points, devices.Point{Name: c.rate, Kind: devices.KindNumber, Readable: true})
	}
	return points
}

const (
	// reportEvery is how often at most a line's pulses are readings. What comes meanwhile is in the next.
	reportEvery = time.Second

	// A rate falls when the next pulse is overdue: to what it would be if the pulse came now, whenever that is a quarter
	// more than at the last reading, and to 0 after the time it is counted in, a minute at least.
	overdue     = 1.25
	leastFading = time.Minute
)

// pulses is what is known of the pulses at a line that is held. It belongs to the loop.
type pulses struct {
	*countConfig
	byEdge bool // every edge the pin tells of is one; else the levels are watched

	sum      float64
	news     bool      // since the last reading
	reported time.Time // the last reading; zero: none

	last      time.Time // the last pulse, or when the line was taken
	since     time.Time // the pulse that the next rate is counted from; zero: none yet
	intervals int       // between pulses since then
	speed     float64   // the last rate
	known     bool      // there is one
	fadeAt    time.Time // when it falls, without a pulse; zero: never

	lost   int // edges nobody was told of, since the log said so
	lostAt time.Time
}

// next is when there is a reading to publish; zero: only after a pulse.
func (p *pulses) next() time.Time {
	if p.news {
		return p.reported.Add(reportEvery)
	}
	return p.fadeAt
}

// fading is after how long without a pulse the rate is 0.
func (p *pulses) fading() time.Duration { return max(p.per, leastFading) }

// measure brings the rate up to date. Pulses since the last time are spread over the time between the first and the last of
// them, as the pin saw them. It reports whether the rate is new.
func (p *pulses) measure(now time.Time) bool {
	speed, known := p.speed, p.known
	if span := p.last.Sub(p.since); p.intervals > 0 && span > 0 {
		speed, known = float64(p.intervals)*float64(p.per)/float64(span), true
		p.since, p.intervals = p.last, 0
	}
	switch idle := now.Sub(p.last); {
	case idle >= p.fading():
		speed, known = 0, true
	case idle > 0:
		speed = min(speed, float64(p.per)/float64(idle))
	}
	isNew := known && (!p.known || speed != p.speed)
	p.speed, p.known = speed, known
	p.fadeAt = p.last.Add(p.fading())
	if known {
		step := p.last.Add(time.Duration(min(overdue*float64(p.per)/speed, float64(p.fading()))))
		p.fadeAt = latest(step, now.Add(reportEvery))
	}
	if known && speed == 0 {
		p.fadeAt = time.Time{}
	}
	return isNew
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// recall begins with the total that was kept.
func (r *loop) recall(c *lineConfig) (*pulses, error) {
	p := &pulses{countConfig: c.counts, last: time.Now()}
	sum, there := r.totals[c]
	if !there && r.memory != nil && c.counts.total != "" {
		var err error
		if sum, _, err = r.memory.Recall(c.device, c.counts.total); err != nil {
			return nil, fmt.Errorf("%s: the count so far cannot be read, and a new one would replace it: %w", c.counts.total, err)
		}
	}
	r.totals[c] = sum
	p.sum = sum
	return p, nil
}

// keep has the total of a line kept, if it counts one.
func (r *loop) keep(l *line) {
	if l.pulses == nil {
		return
	}
	r.totals[l.lineConfig] = l.pulses.sum
	if r.memory != nil && l.counts.total != "" {
		r.memory.Keep(l.device, l.counts.total, l.pulses.sum)
	}
}

// pulse counts n pulses, the last of them at a time.
func (r *loop) pulse(l *line, n uint32, at time.Time) {
	p := l.pulses
	p.sum += float64(n)
	p.news, p.last = true, at
	if p.since.IsZero() {
		p.since = at
	} else {
		p.intervals += int(n)
	}
	if p.lost += int(n) - 1; p.lost > 0 && at.Sub(p.lostAt) > time.Minute {
		r.log.Warn("edges came faster than they could be taken: they are counted, but when they came is not known",
			"device", l.device, "point", l.point, "edges", p.lost)
		p.lost, p.lostAt = 0, at
	}
}

// report publishes what was counted, and how fast, as far as it is news.
func (r *loop) report(l *line, now time.Time) {
	p := l.pulses
	at, first := now, p.reported.IsZero()
	if p.news {
		at = p.last
	}
	if p.total != "" && (p.news || first) {
		r.keep(l)
		r.out.Publish(devices.Reading{Device: l.device, Point: p.total, Value: devices.Number(p.sum), At: at})
	}
	if p.rate != "" && (p.measure(now) || first && p.known) {
		r.out.Publish(devices.Reading{Device: l.device, Point: p.rate, Value: devices.Number(p.speed), At: at})
	}
	p.news, p.reported = false, now
}

// setTotal sets what is counted to what a person reads off the meter.
func (r *loop) setTotal(l *line, total float64) devices.Result {
	written := time.Now()
	if l.pulses.news { // of before
		r.report(l, written)
	}
	l.pulses.sum = total
	r.keep(l)
	r.log.Info("count set", "device", l.device, "point", l.counts.total, "pulses", total)
	r.out.Publish(devices.Reading{Device: l.device, Point: l.counts.total, Value: devices.Number(total), At: time.Now()})
	return devices.Result{Written: written}
}
