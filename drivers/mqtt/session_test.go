package mqtt_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
)

// announceMany retains announcements of devices with a topic each, so that they are subscribed to in packets of several sizes.
func (b *pipeBroker) announceMany(count int) {
	for i := range count {
		b.retained[fmt.Sprintf("fake/%d/config", i)] = announcement{Points: []fakePoint{{Name: "p", Kind: "number", State: fmt.Sprint("state/", i)}}}.text()
	}
}

// TestLateAnswers: a broker that answers subscriptions only after they were asked for again is as good as any.
func TestLateAnswers(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.leave()
		b.announceMany(150)
		b.dials, b.late = 0, 4500*time.Millisecond
		b.back()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if b.dials != 1 {
			t.Errorf("%d connections", b.dials)
		}
		for i := range 150 {
			if up, cause := sink.Linked(devices.ID(fmt.Sprint("fake:", i))); !up {
				t.Errorf("device %d is down: %v", i, cause)
			}
		}
	})
}

// TestLostAnswer: an answer that was dropped is asked for again, also while messages come all the time.
func TestLostAnswer(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.leave()
		b.announceMany(5)
		b.dials = 0
		b.back()
		b.mu.Lock()
		b.mute = 1
		b.mu.Unlock()
		b.say("fake/5/config", announcement{Points: []fakePoint{{Name: "p", Kind: "number", State: "state/5"}}}.text(), true)
		for range 10 {
			time.Sleep(time.Second)
			b.say("state/0", "1", false)
		}
		if up, cause := sink.Linked("fake:5"); !up || b.dials != 1 {
			t.Errorf("the device is up: %v, %v; %d connections", up, cause, b.dials)
		}
	})
}

// TestNoAnswer: a broker that answers no subscription is named for that.
func TestNoAnswer(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.leave()
		b.mute = 1000
		mark := sink.Mark()
		b.back()
		says(t, healthAfter(sink, mark), "the broker is there, but answers no subscription")
	})
}

// TestSilence: a connection on which nothing comes, not even the answer to a ping, is over; one on which nothing happens is not.
func TestSilence(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		time.Sleep(time.Hour)
		if b.dials != 1 {
			t.Errorf("%d connections in an hour in which nothing happens", b.dials)
		}
		mark := sink.Mark()
		b.dead.Store(true)
		time.Sleep(time.Minute)
		says(t, healthAfter(sink, mark), "nothing has come from the broker for 40s")
	})
}

// healthAfter is the first trouble after mark.
func healthAfter(sink *drivertest.Sink, mark int) error {
	synctest.Wait()
	for _, e := range sink.Events()[mark:] {
		if e.Kind == drivertest.Healthy && e.Err != nil {
			return e.Err
		}
	}
	return nil
}
