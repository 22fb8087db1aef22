package mqtt

import (
	"testing"
	"time"

	"tidings/drivers/mqtt/discovery/homie"
)

// TestPace: one that changes all the time has to wait, one that changes now and then does not.
func TestPace(t *testing.T) {
	t.Parallel()
	c := newConvention("homie", homie.New(homie.Options{}))
	now := time.Unix(1e9, 0)
	c.paced("calm", now)
	c.paced("calm", now.Add(time.Minute))
	if next := c.paces["calm"].next(); next.After(now.Add(time.Minute)) {
		t.Errorf("it waits until %v", next)
	}
	made := 0
	for at := now; at.Before(now.Add(10 * time.Minute)); at = at.Add(100 * time.Millisecond) {
		if !at.Before(c.paces["restless"].next()) {
			c.paced("restless", at)
			made++
		}
	}
	if made > 40 {
		t.Errorf("made %d times in ten minutes", made)
	}
	for i := range 50_000 {
		c.paced(string(rune(0x4e00+i)), now)
	}
	if len(c.paces) > 20_000 {
		t.Errorf("%d are remembered", len(c.paces))
	}
}
