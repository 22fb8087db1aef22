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
				for i := range c.devices {
					b.retained[fmt.Sprintf("fake/%d/config", i)] = announcement{Points: []fakePoint{{Name: "p", Kind: "number", State: fmt.Sprint("state/", i)}}}.text()
				}
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
