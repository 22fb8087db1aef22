package mqtt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	"tidings/firmware-sim/mqtt/shelly"
)

// simulate runs a driver of a configuration in simulated time.
func simulate(t *testing.T, config string, test func(*testing.T, *pipeBroker, *drivertest.Sink, devices.Actuator)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker()
		d := drivertest.Build(t, mqtt.Type(mqtt.Options{Local: b.dial}), config)
		sink := &drivertest.Sink{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx, sink) }()
		synctest.Wait()
		test(t, b, sink, d.(devices.Actuator))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if broken := sink.Violations(); len(broken) > 0 {
			t.Errorf("contract: %s", strings.Join(broken, "\n"))
		}
	})
}

// told are the readings of a point, as "21.5", "unknown: why", …
func told(sink *drivertest.Sink, id devices.ID, point string) (out []string) {
	for _, e := range sink.Events() {
		switch r := e.Reading; {
		case e.Kind != drivertest.Read || e.ID != id || r.Point != point:
		case r.Quality == devices.Good:
			out = append(out, r.Value.String())
		case r.Err == nil:
			out = append(out, r.Quality.String())
		default:
			out = append(out, r.Quality.String()+": "+r.Err.Error())
		}
	}
	return out
}

func wantTold(t *testing.T, sink *drivertest.Sink, id devices.ID, point string, want ...string) {
	t.Helper()
	got := told(sink, id, point)
	if !slices.EqualFunc(got, want, func(got, want string) bool { return got == want || len(want) > 9 && strings.HasPrefix(got, want) }) {
		t.Errorf("%s %s: %q, want %q", id, point, got, want)
	}
}

func kinds(sink *drivertest.Sink, id devices.ID, kind drivertest.EventKind) (n int) {
	for _, e := range sink.Events() {
		if e.Kind == kind && e.ID == id {
			n++
		}
	}
	return n
}

// TestSettling: one device is made of many announcements, when they have calmed down or after two seconds.
func TestSettling(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		a := lamp()
		for range 5 {
			a.Notes = append(a.Notes, "more")
			b.say("fake/lamp1/config", a.text(), true)
			time.Sleep(100 * time.Millisecond)
		}
		if n := kinds(sink, "fake:lamp1", drivertest.Announced); n != 0 {
			t.Errorf("announced %d times while it was speaking", n)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if info, _ := sink.Announced("fake:lamp1"); kinds(sink, "fake:lamp1", drivertest.Announced) != 1 || len(info.Notes) != 6 {
			t.Errorf("announced %d times, %d notes", kinds(sink, "fake:lamp1", drivertest.Announced), len(info.Notes))
		}
		for range 40 { // one that never stops
			a.Notes = append(a.Notes, "more")
			b.say("fake/lamp1/config", a.text(), true)
			time.Sleep(100 * time.Millisecond)
		}
		if n := kinds(sink, "fake:lamp1", drivertest.Announced); n != 2 && n != 3 {
			t.Errorf("announced %d times in four seconds of speaking", n)
		}
		if info, _ := sink.Announced("fake:lamp1"); len(info.Notes) > 20 {
			t.Errorf("%d notes", len(info.Notes))
		}
	})
}

// TestExpireAndOffDelay: readings go stale, and what only ever says on goes off by itself.
func TestExpireAndOffDelay(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.say("fake/s/config", announcement{Points: []fakePoint{
			{Name: "temperature", Kind: "number", State: "s/t", Expire: time.Minute},
			{Name: "motion", Kind: "switch", State: "s/motion", OffDelay: 10 * time.Second},
		}}.text(), true)
		time.Sleep(time.Second)
		for range 3 {
			b.say("s/t", "20", false)
			time.Sleep(50 * time.Second)
		}
		wantTold(t, sink, "fake:s", "temperature", "20", "20", "20")
		time.Sleep(11 * time.Second)
		wantTold(t, sink, "fake:s", "temperature", "20", "20", "20", "stale: nothing new for 1m0s")
		time.Sleep(time.Hour)
		b.say("s/t", "21", false)
		wantTold(t, sink, "fake:s", "temperature", "20", "20", "20", "stale: nothing new for 1m0s", "21")

		b.say("s/motion", "true", false)
		time.Sleep(6 * time.Second)
		b.say("s/motion", "true", false)
		time.Sleep(6 * time.Second)
		wantTold(t, sink, "fake:s", "motion", "true", "true")
		time.Sleep(5 * time.Second)
		wantTold(t, sink, "fake:s", "motion", "true", "true", "false")
		b.say("s/motion", "true", false)
		b.leave() // what is due while the broker is away is done when it is back
		time.Sleep(time.Minute)
		wantTold(t, sink, "fake:s", "motion", "true", "true", "false", "true")
		b.back()
		wantTold(t, sink, "fake:s", "motion", "true", "true", "false", "true", "false")
	})
}

// TestPointAvailability: a point that is not there is not believed, and takes no commands.
func TestPointAvailability(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, do devices.Actuator) {
		b.say("fake/p/config", announcement{Points: []fakePoint{
			{Name: "level", Kind: "number", State: "p/level", Command: []string{"p/set"}, Availability: []string{"p/there"}, QoS: -1},
			{Name: "other", Kind: "number", State: "p/other"},
			{Name: "late", Kind: "number", State: "p/late", Availability: []string{"p/nothing"}},
		}}.text(), true)
		b.say("p/level", "1", true)
		time.Sleep(time.Second)
		b.say("p/there", "online", true) // retained from the start, it could come before the broker has answered
		wantTold(t, sink, "fake:p", "level", "unknown: nothing heard from it: p/there says nothing yet", "1")
		wantTold(t, sink, "fake:p", "late", "unknown: nothing heard from it: p/nothing says nothing yet")
		b.say("p/there", "offline", true)
		b.say("p/other", "7", false)
		wantTold(t, sink, "fake:p", "level", "unknown: nothing", "1", `unknown: p/there says "offline"`)
		wantTold(t, sink, "fake:p", "other", "7")
		set := devices.Command{Device: "fake:p", Point: "level", Value: devices.Number(3)}
		if _, err := do.Do(t.Context(), set); !errors.Is(err, devices.ErrDown) || !strings.Contains(err.Error(), `p/there says "offline"`) {
			t.Errorf("a command: %v", err)
		}
		b.say("p/there", "online", true)
		wantTold(t, sink, "fake:p", "level", "unknown: nothing", "1", `unknown: p/there says "offline"`, "1")
		b.say("p/there", "offline", true)
		b.say("p/level", "2", true)
		b.say("p/there", "online", true)
		if got := told(sink, "fake:p", "level"); got[len(got)-1] != "2" {
			t.Errorf("what it said meanwhile: %q", got)
		}
		if _, err := do.Do(t.Context(), set); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if b.times("p/set=3") != 1 {
			t.Errorf("heard %q", b.heard)
		}
	})
}

// TestReconnect: devices stay while the broker is away; those that were removed meanwhile go, after a time.
func TestReconnect(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		for _, key := range []string{"a", "b", "c"} {
			b.retained["fake/"+key+"/config"] = announcement{Name: key, Points: []fakePoint{{Name: "p", Kind: "number", State: key + "/p"}}}.text()
		}
		b.leave()
		b.back()
		b.say("fake/live/config", announcement{Name: "live"}.text(), false) // announced, and not retained
		time.Sleep(time.Second)
		for _, id := range []devices.ID{"fake:a", "fake:b", "fake:c", "fake:live"} {
			if up, cause := sink.Linked(id); !up {
				t.Errorf("%s: %v", id, cause)
			}
		}
		b.leave()
		if up, cause := sink.Linked("fake:a"); up || cause == nil {
			t.Errorf("up without a broker: %v", cause)
		}
		delete(b.retained, "fake/c/config")
		time.Sleep(time.Hour)
		b.back()
		if up, _ := sink.Linked("fake:a"); !up || !b.has("a/p") || kinds(sink, "fake:a", drivertest.Announced) != 1 {
			t.Errorf("after the reconnect: %t, %t, announced %d times", up, b.has("a/p"), kinds(sink, "fake:a", drivertest.Announced))
		}
		if _, there := sink.Announced("fake:c"); !there {
			t.Error("c was given up at once")
		}
		time.Sleep(3 * time.Minute)
		for id, want := range map[devices.ID]bool{"fake:a": true, "fake:b": true, "fake:c": false, "fake:live": true} {
			if _, there := sink.Announced(id); there != want {
				t.Errorf("%s is there: %t", id, there)
			}
		}
		if b.has("c/p") || !b.has("a/p") {
			t.Errorf("subscribed: %v", b.granted)
		}
		b.leave() // a broker without a memory
		clear(b.retained)
		b.back()
		time.Sleep(time.Hour)
		for _, id := range []devices.ID{"fake:a", "fake:b"} {
			if _, there := sink.Announced(id); !there {
				t.Errorf("%s is gone with the memory of the broker", id)
			}
		}
		if b.times("fake/ask=who is there?") != 4 {
			t.Errorf("asked %d times in 4 connections", b.times("fake/ask=who is there?"))
		}
	})
}

// TestRefusedTopicGoes: a topic that the broker refuses troubles the connection as long as a device wants it.
func TestRefusedTopicGoes(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		health := func() (err error) {
			for _, e := range sink.Events() {
				if e.Kind == drivertest.Healthy {
					err = e.Err
				}
			}
			return err
		}
		b.say("fake/x/config", announcement{Points: []fakePoint{{Name: "p", Kind: "number", State: "secret/p"}}}.text(), true)
		time.Sleep(time.Second)
		says(t, health(), `refuses the topic "secret/p"`)
		b.say("fake/x/config", "", true)
		time.Sleep(time.Second)
		if err := health(); err != nil {
			t.Errorf("after the device has gone: %v", err)
		}
	})
}

// TestEvents: what happens is told each time, and what was retained has not happened now.
func TestEvents(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		b.say("button/action", "old", true)
		b.say("fake/button/config", announcement{Points: []fakePoint{{Name: "action", Kind: "event", State: "button/action"}}}.text(), true)
		time.Sleep(time.Second)
		wantTold(t, sink, "fake:button", "action")
		for range 3 {
			b.say("button/action", "single", false)
		}
		wantTold(t, sink, "fake:button", "action", "single", "single", "single")
	})
}

// TestEcho: what a broker sends once for each of two subscriptions has happened once.
func TestEcho(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		const topic = "fake/events/config"
		b.say("fake/button/config", announcement{Points: []fakePoint{{Name: "action", Kind: "event", State: topic}}}.text(), true)
		time.Sleep(time.Second)
		for _, text := range []string{"1 single", "1 single", "2 single", "2 single"} {
			b.say(topic, text, false)
		}
		time.Sleep(time.Minute)
		b.say(topic, "2 single", false)
		wantTold(t, sink, "fake:button", "action", "1 single", "2 single", "2 single")
	})
}

// TestBirth: where Home Assistant is not there, devices are asked to announce themselves, once a connection.
func TestBirth(t *testing.T) {
	simulate(t, local+"discovery = [\"homeassistant\"]\ndiscovery_prefix = \"ha\"\nbirth = true\n", func(t *testing.T, b *pipeBroker, _ *drivertest.Sink, _ devices.Actuator) {
		times := func(want int) {
			t.Helper()
			if got := b.times("ha/status=online"); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		}
		time.Sleep(900 * time.Millisecond)
		times(0)
		time.Sleep(5 * time.Second)
		times(1)
		b.leave()
		b.back()
		times(2)
		b.leave()
		b.retained["ha/status"] = "online" // Home Assistant is there
		b.back()
		times(2)
	})
}

// TestWildcardSource: what several receivers hear of a device, each on a topic of its own, is a reading all the same.
func TestWildcardSource(t *testing.T) {
	simulate(t, discover, func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		a := announcement{Points: []fakePoint{{Name: "t", Kind: "number", State: "+/BT/tag"}, {Name: "version", Kind: "number", Value: "3"}}}
		b.say("fake/tag/config", a.text(), true)
		time.Sleep(time.Second)
		wantTold(t, sink, "fake:tag", "version", "3")
		b.say("hall/BT/tag", "1", false)
		b.say("attic/BT/tag", "2", false)
		b.say("attic/BT/other", "3", false)
		wantTold(t, sink, "fake:tag", "t", "1", "2")
		a.Points[1].Value = "4"
		b.say("fake/tag/config", a.text(), true)
		time.Sleep(time.Second)
		wantTold(t, sink, "fake:tag", "version", "3", "4")
		b.say("hall/BT/tag", "5", false)
		wantTold(t, sink, "fake:tag", "t", "1", "2", "5")
		b.say("fake/tag/config", "", true)
		time.Sleep(time.Second)
		if b.has("+/BT/tag") {
			t.Error("still subscribed")
		}
	})
}

// shellyPlug has a plug of Shelly's come to a broker, and returns its id.
func shellyPlug(b *pipeBroker) devices.ID {
	plug := &shelly.Device{Model: shelly.Plus1PM, MAC: "A8032ABE54DC", Name: "Boiler", Load: func(time.Time) float64 { return 0 }}
	b.mu.Lock()
	b.answer = func(topic, payload string) (said [][2]string) {
		for _, m := range plug.Take(time.Now(), topic, payload) {
			said = append(said, [2]string{m.Topic, m.Payload})
		}
		return said
	}
	b.mu.Unlock()
	plug.Start(time.Now())
	b.say(plug.Will().Topic, "true", true)
	return "shelly:shellyplus1pm-a8032abe54dc"
}

// TestQuietShelly: a device that says nothing new is asked once what it is and once how it is, and then left alone.
func TestQuietShelly(t *testing.T) {
	simulate(t, local+"discovery = [\"shelly\"]\n", func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		id := shellyPlug(b)
		time.Sleep(time.Hour)
		synctest.Wait()
		b.mu.Lock()
		asked := len(b.heard)
		b.mu.Unlock()
		if n := kinds(sink, id, drivertest.Announced); n != 1 || asked != 4 {
			t.Errorf("asked %d times and announced %d times in an hour: %q", asked, n, b.heard)
		}
		if up, cause := sink.Linked(id); !up {
			t.Error(cause)
		}
	})
}

// TestGarbledShelly: of a device that cannot be understood nothing is believed, until it can be; then it is asked for what it would
// not say by itself.
func TestGarbledShelly(t *testing.T) {
	simulate(t, local+"discovery = [\"shelly\"]\n", func(t *testing.T, b *pipeBroker, sink *drivertest.Sink, _ devices.Actuator) {
		id := shellyPlug(b)
		time.Sleep(time.Minute)
		synctest.Wait()
		const events = "shellyplus1pm-a8032abe54dc/events/rpc"
		for range 2 {
			b.say(events, `{"method":"NotifySta`, false)
		}
		wantTold(t, sink, id, "signal", "-58", "faulty: payload:", "faulty: payload:")
		b.mu.Lock()
		asked := len(b.heard)
		b.mu.Unlock()
		for range 2 {
			b.say(events, `{"method":"NotifyStatus","params":{"switch:0":{"output":true}}}`, false)
		}
		wantTold(t, sink, id, "signal", "-58", "faulty: payload:", "faulty: payload:", "-58")
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.heard) != asked+1 {
			t.Errorf("asked for it: %q", b.heard[asked:])
		}
	})
}
