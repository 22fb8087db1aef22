package mapping

import (
	"math"
	"time"
)

// A counter is what became of a point since it is counted: how many seconds a switch was on, how often it was turned on, or
// the sum of a number × seconds. A value holds until the next one; time in which it is not known is not counted.
type counter struct {
	total float64
	rate  float64 // what a second adds, of the present value
	at    time.Duration
	known bool
	last  onOff // of a switch: what it was when it was last known
}

// onOff is a switch that may never have been known.
type onOff uint8

const (
	neverKnown onOff = iota
	wasOff
	wasOn
)

// counterStep is how often something that goes on is counted on although nothing happens.
const counterStep = time.Minute

// advance counts up to a time, at which the value is as it was.
func (c *counter) advance(now time.Duration) {
	if c.known {
		if total := c.total + c.rate*(now-c.at).Seconds(); !math.IsInf(total, 0) {
			c.total = total
		}
	}
	c.at = now
}

// number says what a number is from now on.
func (c *counter) number(now time.Duration, value float64, known bool) {
	c.advance(now)
	c.rate, c.known = value, known
}

// on says what a switch is from now on, for how long it is on.
func (c *counter) on(now time.Duration, on, known bool) {
	c.advance(now)
	c.rate, c.known = 0, known
	if on {
		c.rate = 1
	}
}

// start says what a switch is from now on, for how often it is turned on. One that was off, then not known, and then on
// was turned on meanwhile.
func (c *counter) start(now time.Duration, on, known bool) {
	c.at = now
	if !known {
		return
	}
	if on && c.last == wasOff {
		c.total++
	}
	c.last = wasOff
	if on {
		c.last = wasOn
	}
}

// due is when the total is another although no value comes. It reports false when it stays as it is.
func (c *counter) due() (time.Duration, bool) {
	return c.at + counterStep, c.known && c.rate != 0
}
