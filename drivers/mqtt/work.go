package mqtt

import (
	"errors"
	"math"
	"time"

	"tidings/drivers/mqtt/discovery"
)

// The work of templates is counted in their steps, of which a core of a Pi makes some millions a second. All points of a connection
// are read by one goroutine: what strangers announce is not to keep it from the others.
const (
	busy     = 10_000_000 // steps in the last seconds from which on there is too much to do
	jammed   = 10 * busy  // more than this is not counted
	fairWork = 400_000    // steps of one device that are fine when it begins to be too much; the more there is to do, the fewer are
	workMean = 10 * time.Second
)

// errBusy is why a point is not read.
var errBusy = errors.New("left out: its templates are too much work, or those of all devices together are")

// A work is how many steps were made lately: what is older than workMean counts little.
type work struct {
	steps float64
	at    time.Time
}

// lately are the steps that count now.
func (w *work) lately(now time.Time) float64 {
	if w.steps == 0 {
		return 0
	}
	return w.steps * math.Exp(-float64(max(now.Sub(w.at), 0))/float64(workMean))
}

func (w *work) add(steps int, now time.Time) {
	w.steps, w.at = min(w.lately(now)+float64(steps), jammed), now
}

// affordsWork reports whether there is time to read something of a device that took so many steps the last time; 0: it was not read yet.
func (d *driver) affordsWork(dev *device, steps int, now time.Time) bool {
	all := d.work.lately(now)
	if all <= busy {
		return true
	}
	room := fairWork * (busy / all) * (busy / all)
	return dev.work.lately(now) <= room && float64(steps) <= room && (steps > 0 || all <= jammed/2)
}

// worked notes what reading a message took, since it had taken so many steps.
func (d *driver) worked(dev *device, m *discovery.Message, before int, now time.Time) (steps int) {
	if steps = m.Work() - before; steps > 0 {
		d.work.add(steps, now)
		dev.work.add(steps, now)
	}
	return steps
}
