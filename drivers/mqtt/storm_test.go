package mqtt_test

import (
	"fmt"
	"strings"
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
	up := map[devices.ID]bool{}
	sink.Wait(t, 0, fmt.Sprint(want, " devices"), func(e drivertest.Event) bool {
		if e.Kind == drivertest.Linked && e.Up && strings.HasPrefix(string(e.ID), "fake:") {
			up[e.ID] = true
		}
		return len(up) == want
	})
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
