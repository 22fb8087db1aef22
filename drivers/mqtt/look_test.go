package mqtt_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

// TestDropped: a broker that drops announcements, and answers with them, as mosquitto does for a slow reader, is asked until none is
// new, and no more often.
func TestDropped(t *testing.T) {
	for _, c := range []struct {
		name           string
		devices, asked int
		room           []int
	}{
		{"few", 500, 1, nil},
		{"many, and none is dropped", 600, 2, nil},
		{"the answer too", 600, 4, []int{550, 0}},
		{"always some", 600, 5, []int{510, 520, 599}},
		{"few, and not all at once", 50, 2, []int{20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
				b.leave()
				b.announceMany(c.devices)
				b.room, b.asked = c.room, 0
				b.back()
				for i := range c.devices {
					if _, there := sink.Announced(devices.ID(fmt.Sprint("fake:", i))); !there {
						t.Errorf("device %d is missing", i)
					}
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.asked != c.asked {
					t.Errorf("asked %d times, want %d", b.asked, c.asked)
				}
			})
		})
	}
}

// TestDroppedIsNotGone: what a broker drops each time it is asked is not taken for what was removed.
func TestDroppedIsNotGone(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.leave()
		const count = 600
		b.announceMany(count)
		b.back()
		time.Sleep(time.Hour)
		b.leave()
		for range 100 {
			b.room = append(b.room, count-50)
		}
		b.back()
		time.Sleep(time.Hour)
		for _, e := range sink.Events() {
			if e.Kind == drivertest.Withdrawn {
				t.Fatalf("%s is gone", e.ID)
			}
		}
	})
}

// TestSlowReader: what is made of twenty thousand announcements takes a minute. That is no reason to think that the broker is gone, or to
// ask it again before it was done.
func TestSlowReader(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.leave()
		const count = 20_000
		for i := range count {
			b.retained[fmt.Sprintf("fake/%05d/config", i)] = slowly + "is a stranger's announcement read"
		}
		b.retained["fake/z/config"] = announcement{Points: []fakePoint{{Name: "p", Kind: "number", State: "state"}}}.text() // the last one
		b.dials, b.asked = 0, 0
		b.back()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if up, cause := sink.Linked("fake:z"); !up {
			t.Errorf("the device is down: %v", cause)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.dials != 1 || b.asked != 2 {
			t.Errorf("%d connections, asked %d times", b.dials, b.asked)
		}
	})
}
