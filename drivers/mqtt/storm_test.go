package mqtt_test

import (
	"fmt"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt/broker"
)

// fill publishes retained announcements: one in every of them is of a device, the others of nobody.
func fill(t *testing.T, c paho.Client, topics, every int) {
	t.Helper()
	var tokens []paho.Token
	for i := range topics {
		payload := fmt.Sprintf("a stranger's announcement %060d", i)
		if i%every == 0 {
			payload = announcement{Name: fmt.Sprint("Device ", i), Points: []fakePoint{{Name: "p", Kind: "number", State: fmt.Sprintf("state/%d", i)}}}.text()
		}
		tokens = append(tokens, c.Publish(fmt.Sprintf("fake/%d/config", i), 1, true, payload))
		if len(tokens) == 500 {
			for _, token := range tokens {
				done(t, token)
			}
			tokens = nil
		}
	}
	for _, token := range tokens {
		done(t, token)
	}
}

// waitDevices waits until so many devices are there and up.
func waitDevices(t *testing.T, sink *drivertest.Sink, want int) {
	t.Helper()
	// A tenth at a time: on a busy machine all of them take longer than one thing may.
	for _, kind := range []drivertest.EventKind{drivertest.Announced, drivertest.Linked} {
		for part := want / 10; part <= want; part += want / 10 {
			seen := map[devices.ID]bool{}
			sink.Wait(t, 0, fmt.Sprint(part, " devices"), func(e drivertest.Event) bool {
				switch {
				case e.Kind != kind:
				case kind == drivertest.Announced:
					seen[e.Info.ID] = true
				case e.Up:
					seen[e.ID] = true
				}
				return len(seen) >= part
			})
		}
	}
}

// TestStorm: the broker inside has as many announcements as it retains, most of strangers, and none of those that count is lost.
func TestStorm(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	fill(t, s.client, 9000, 10)
	_, sink, _ := run(t, s, discover+"qos = 1\n")
	waitDevices(t, sink, 900)
	s.say("state/0", "7", false)
	sink.WaitReading(t, "fake:0", "p", nil)
}
