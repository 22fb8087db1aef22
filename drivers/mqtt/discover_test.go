package mqtt_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	"tidings/drivers/mqtt/broker"
)

const discover = local + "discovery = [\"fake\"]\n"

// lamp announces itself as a device of the fake convention.
func lamp() announcement {
	return announcement{
		Name: "Kitchen lamp", Model: "Bulb", Area: "Kitchen", Availability: []string{"lamp/there"}, Notes: []string{"effect: not understood"},
		Points: []fakePoint{
			{Name: "power", Kind: "switch", State: "lamp/power", Command: []string{"lamp/set"}, QoS: -1},
			{Name: "linkquality", Kind: "number", State: "lamp/lq"},
		},
	}
}

func pointNames(info devices.Info) (names []string) {
	for _, p := range info.Points {
		names = append(names, p.Name)
	}
	return names
}

// TestDiscovery: a device appears with what it announced, is read and told, changes, and is gone when its announcement is.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("lamp/set", "fake/ask", "fake/lamp1/hello")
	a := lamp()
	s.say("fake/lamp1/config", a.text(), true)
	s.say("lamp/power", "true", true)
	s.say("lamp/there", "online", true)
	do, sink, _ := run(t, s, discover)
	s.expect("fake/ask=who is there?")
	s.expect("fake/lamp1/hello=hello")
	const id = "fake:lamp1"
	info := sink.WaitAnnounced(t, id)
	if info.Name != "Kitchen lamp" || info.Model != "Bulb" || info.Area != "Kitchen" || info.Match != id || info.Driver != "house" ||
		!slices.Equal(info.Notes, []string{"effect: not understood"}) || !slices.Equal(pointNames(info), []string{"power", "linkquality"}) {
		t.Errorf("announced: %+v", info)
	}
	if p := info.Points[0]; !p.Readable || !p.Writable || !p.Confirms || info.Points[1].Writable || info.Points[1].Confirms {
		t.Errorf("points: %+v", info.Points)
	}
	sink.WaitLink(t, id, true)
	sink.WaitValue(t, id, "power", devices.Bool(true))
	if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: "power", Value: devices.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	s.expect("lamp/set=false")
	if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: "linkquality", Value: devices.Number(1)}); !errors.Is(err, devices.ErrNotWritable) {
		t.Errorf("a point that is only read: %v", err)
	}

	mark := sink.Mark()
	a.Name, a.Points = "Lamp", append(a.Points[:1:1], fakePoint{Name: "text", Kind: "text", State: "lamp/text"})
	s.say("lamp/text", "hello", true)
	s.say("fake/lamp1/config", a.text(), true)
	again := sink.Wait(t, mark, "what changed", func(e drivertest.Event) bool { return e.Kind == drivertest.Announced }).Info
	if again.ID != id || again.Name != "Lamp" || !slices.Equal(pointNames(again), []string{"power", "text"}) {
		t.Errorf("changed: %+v", again)
	}
	sink.WaitValue(t, id, "text", devices.Text("hello"))
	if up, cause := sink.Linked(id); !up {
		t.Errorf("the change took it down: %v", cause)
	}
	for _, e := range sink.Events()[mark:] {
		if e.Kind == drivertest.Linked {
			t.Errorf("the change blinked: %s", e)
		}
	}
	s.say("lamp/there", "offline", true)
	says(t, sink.WaitLink(t, id, false), `lamp/there says "offline"`)

	s.say("fake/lamp1/config", "", true)
	sink.Wait(t, mark, "withdrawal", func(e drivertest.Event) bool {
		return e.Kind == drivertest.Withdrawn && e.ID == id && e.Why == devices.Gone
	})
	if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: "power", Value: devices.Bool(false)}); !errors.Is(err, devices.ErrUnknownDevice) {
		t.Errorf("a device that is gone: %v", err)
	}
}

// TestAsked: a device is asked how it is whenever it has come and its topics are heard, and what its announcement itself says of a
// point is a reading, each time it says another.
func TestAsked(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("meter/ask")
	a := announcement{Name: "Meter", Ask: "meter/ask", Availability: []string{"meter/there"}, Points: []fakePoint{
		{Name: "total", Kind: "number", State: "meter/total"}, {Name: "alert", Kind: "text", Value: "battery"},
	}}
	s.say("fake/meter/config", a.text(), true)
	_, sink, _ := run(t, s, discover)
	const id = "fake:meter"
	sink.WaitAnnounced(t, id)
	for range 2 {
		s.say("meter/there", "online", true)
		s.expect("meter/ask=how are you?")
		s.say("meter/total", "5", false) // an answer that nobody keeps
		sink.WaitValue(t, id, "total", devices.Number(5))
		sink.WaitValue(t, id, "alert", devices.Text("battery"))
		s.say("meter/there", "offline", true)
		sink.WaitLink(t, id, false)
	}
	s.say("meter/there", "online", true)
	s.expect("meter/ask=how are you?")
	a.Points[1].Value = "smoke"
	s.say("fake/meter/config", a.text(), true)
	sink.WaitValue(t, id, "alert", devices.Text("smoke"))
	a.Points = append(a.Points, fakePoint{Name: "rate", Kind: "number", State: "meter/rate"})
	s.say("fake/meter/config", a.text(), true)
	s.expect("meter/ask=how are you?")
	s.say("meter/rate", "7", false)
	sink.WaitValue(t, id, "rate", devices.Number(7))
}

// TestMatch: a table takes a discovered device over, and what it says goes before what the device says.
func TestMatch(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("lamp/set", "own/set", "safe/set")
	do, sink, stop := run(t, s, discover+`
[devices.porch]
match  = "fake:lamp1"
online = "here"
[devices.porch.points.power]
on  = "AN"
off = "AUS"
[devices.porch.points.temperature]
path = "t"
[devices.porch.points.level]
command = "own/set"
write = "<{{.Value}}>"
retain = true
[devices.porch.points.own]
source = "own/state"
kind = "text"
[devices.porch.points.safe]
command = "safe/set"
kind = "switch"
safe = false
[devices.porch.points.missing]
path = "x"`)
	const id = "porch"
	if info := sink.WaitAnnounced(t, id); info.Match != "fake:lamp1" || !slices.Equal(pointNames(info), []string{"level", "own", "safe"}) {
		t.Errorf("before it announced itself: %+v", info)
	}
	sink.Wait(t, 0, "the reason", func(e drivertest.Event) bool {
		return e.Kind == drivertest.Linked && e.Err != nil && strings.Contains(e.Err.Error(), "not announced itself yet") && strings.Contains(e.Err.Error(), "fake:lamp1")
	})
	if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: "power", Value: devices.Bool(true)}); !errors.Is(err, devices.ErrDown) {
		t.Errorf("before it announced itself: %v", err)
	}
	mark := sink.Mark()
	s.say("fake/lamp1/config", announcement{
		Name: "Lamp", Availability: []string{"lamp/there"},
		Points: []fakePoint{
			{Name: "power", Kind: "switch", State: "lamp/power", Command: []string{"lamp/set"}},
			{Name: "temperature", Kind: "number", State: "lamp/t"},
			{Name: "level", Kind: "number", State: "lamp/level", Command: []string{"lamp/set"}},
		},
	}.text(), true)
	s.say("lamp/there", "here", true)
	info := sink.Wait(t, mark, "its own announcement", func(e drivertest.Event) bool { return e.Kind == drivertest.Announced }).Info
	if info.ID != id || info.Name != "Lamp" || !slices.Equal(pointNames(info), []string{"power", "temperature", "level", "own", "safe"}) ||
		len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "points.missing") {
		t.Errorf("announced: %+v", info)
	}
	sink.WaitLink(t, id, true)
	s.say("lamp/power", "AN", true)
	s.say("lamp/t", `{"t":21.5}`, true)
	s.say("lamp/level", "3", true)
	s.say("own/state", "x", true)
	sink.WaitValue(t, id, "power", devices.Bool(true))
	sink.WaitValue(t, id, "temperature", devices.Number(21.5))
	sink.WaitValue(t, id, "level", devices.Number(3))
	sink.WaitValue(t, id, "own", devices.Text("x"))
	for _, c := range []struct {
		point string
		value devices.Value
		heard string
	}{
		{"power", devices.Bool(false), "lamp/set=AUS"},
		{"level", devices.Number(4), "own/set=<4>"},
		{"safe", devices.Bool(true), "safe/set=ON"},
	} {
		if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: c.point, Value: c.value}); err != nil {
			t.Errorf("%s: %v", c.point, err)
		}
		s.expect(c.heard)
	}
	mark = sink.Mark()
	s.say("fake/lamp1/config", "", true)
	sink.Wait(t, mark, "the table alone", func(e drivertest.Event) bool { return e.Kind == drivertest.Announced && len(e.Info.Points) == 3 })
	says(t, sink.WaitLink(t, id, false), "not announced itself yet")
	s.say("fake/lamp1/config", announcement{}.text(), true)
	sink.Wait(t, mark, "it again", func(e drivertest.Event) bool { return e.Kind == drivertest.Linked && e.Up })
	stop()
	s.expect("safe/set=OFF")
	for _, e := range sink.Events() {
		if e.ID == "fake:lamp1" || e.Kind == drivertest.Withdrawn {
			t.Errorf("%s", e)
		}
	}
}

// TestDisabled: a device that is taken out by its table stays out, though it announces itself.
func TestDisabled(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	typ := mqtt.Type(mqtt.Options{Local: s.broker.Dial})
	c := drivertest.Connection(t, typ, discover+"[devices.porch]\nmatch = \"fake:lamp1\"\n")
	c.Devices[0].Disabled = true
	sink := &drivertest.Sink{}
	drivertest.Start(t, typ.Build(c), sink)
	s.say("fake/lamp1/config", lamp().text(), true)
	s.say("fake/lamp2/config", lamp().text(), true)
	sink.WaitAnnounced(t, "fake:lamp2")
	for _, id := range []devices.ID{"porch", "fake:lamp1"} {
		if _, there := sink.Announced(id); there {
			t.Errorf("%s is there", id)
		}
	}
}

// TestIgnore leaves devices and points out by their names.
func TestIgnore(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, discover+"ignore = [\"*_LinkQuality\", \"fake:a/*\", \"neighbour*\", \"all_*\"]\n")
	s.say("fake/lamp1/config", lamp().text(), true)
	s.say("fake/lamp2/config", announcement{Name: "Neighbour's lamp", Points: lamp().Points}.text(), true)
	s.say("fake/lamp3/config", announcement{Name: "All", Points: lamp().Points}.text(), true)
	s.say("fake/lamp4/config", announcement{Points: lamp().Points}.text(), true)
	if info := sink.WaitAnnounced(t, "fake:lamp1"); !slices.Equal(pointNames(info), []string{"power"}) {
		t.Errorf("%+v", info.Points)
	}
	if info := sink.WaitAnnounced(t, "fake:lamp4"); !slices.Equal(pointNames(info), []string{"power", "linkquality"}) {
		t.Errorf("one without a name: %+v", info.Points)
	}
	for _, id := range []devices.ID{"fake:lamp2", "fake:lamp3"} {
		if _, there := sink.Announced(id); there {
			t.Errorf("%s is there", id)
		}
	}
}

// TestFaultyConvention: a mistake in a convention is a fault of what it is about, and nothing else notices.
func TestFaultyConvention(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	do, sink, _ := run(t, s, discover)
	s.say("fake/taken/config", announcement{Panic: "take"}.text(), true)
	s.say("fake/made/config", announcement{Panic: "device"}.text(), true)
	s.say("fake/good/config", announcement{Points: []fakePoint{
		{Name: "reads", Kind: "number", State: "good/state", Panic: "read"},
		{Name: "writes", Kind: "number", State: "good/state", Command: []string{"good/set"}, Panic: "write"},
		{Name: "writes", Kind: "number", State: "good/state"},
		{Name: "No Name!", Kind: "number", State: "good/state"},
		{Name: "odd", Kind: "image", State: "good/state"},
		{Name: "other", Kind: "number", State: "good/state"},
	}}.text(), true)
	const id = "fake:good"
	info := sink.WaitAnnounced(t, id)
	if !slices.Equal(pointNames(info), []string{"reads", "writes", "odd", "other"}) || len(info.Notes) != 2 {
		t.Errorf("%q, notes %q", pointNames(info), info.Notes)
	}
	sink.WaitLink(t, id, true)
	s.say("good/state", "3", false)
	sink.WaitValue(t, id, "other", devices.Number(3))
	faulty := sink.WaitReading(t, id, "reads", func(r devices.Reading) bool { return r.Quality == devices.Faulty })
	says(t, faulty.Err, "by a mistake in the gateway")
	_, err := do.Do(t.Context(), devices.Command{Device: id, Point: "writes", Value: devices.Number(1)})
	says(t, err, "by a mistake in the gateway")
	if asked(err) {
		t.Errorf("%v: nothing was sent", err)
	}
	for _, id := range []devices.ID{"fake:taken", "fake:made"} {
		if _, there := sink.Announced(id); there {
			t.Errorf("%s is there", id)
		}
	}
}

// TestCommandOfSeveralMessages: they are published in order, each as it says.
func TestCommandOfSeveralMessages(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("c/#")
	do, sink, _ := run(t, s, discover)
	s.say("fake/c/config", announcement{Points: []fakePoint{
		{Name: "level", Kind: "number", Command: []string{"c/on=ON", "c/level", "c/done=1"}, QoS: 2, Retain: true},
		{Name: "nothing", Kind: "number", Command: []string{""}},
	}}.text(), true)
	info := sink.WaitAnnounced(t, "fake:c")
	if p := info.Points[0]; p.Readable || p.Confirms || !p.Writable {
		t.Errorf("%+v", p)
	}
	sink.WaitLink(t, "fake:c", true)
	for _, level := range []string{"1", "2"} {
		v, _ := devices.ParseValue(devices.KindNumber, level)
		if _, err := do.Do(t.Context(), devices.Command{Device: "fake:c", Point: "level", Value: v}); err != nil {
			t.Fatal(err)
		}
		s.expect("c/on=ON")
		s.expect("c/level=" + level)
		s.expect("c/done=1")
	}
	_, err := do.Do(t.Context(), devices.Command{Device: "fake:c", Point: "nothing", Value: devices.Number(1)})
	if says(t, err, `nothing is published for "1"`); asked(err) {
		t.Errorf("%v: nothing was sent", err)
	}
	late := make(chan string, 10)
	c := connectClient(t, "late", late, func() (net.Conn, error) { return s.broker.Dial(t.Context()) })
	done(t, c.Subscribe("c/level", 1, nil))
	if got := <-late; got != "c/level=2" {
		t.Errorf("retained: %s", got)
	}
}

// TestTopicsOfStrangers: brokers end the connection of whoever names one that is none.
func TestTopicsOfStrangers(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	do, sink, _ := run(t, s, discover)
	deep, long := strings.Repeat("x/", 32)+"x", strings.Repeat("x", 70_000)
	bad := announcement{Points: []fakePoint{{Name: "good", Kind: "number", State: "good", Command: []string{"+/set"}}}}
	for i, topic := range []string{"a/+", "a/#", "a+/b", "a/\x00", "a/\u0085", "a/\ufffe", deep, long} {
		bad.Points = append(bad.Points, fakePoint{Name: fmt.Sprint("p", i), Kind: "number", State: topic},
			fakePoint{Name: fmt.Sprint("a", i), Kind: "number", State: "good", Availability: []string{topic}})
	}
	s.say("fake/bad/config", bad.text(), true)
	info := sink.WaitAnnounced(t, "fake:bad")
	if !slices.Equal(pointNames(info), []string{"good"}) || len(info.Notes) != 16 || !strings.Contains(info.Notes[0], `p0: "a/+" is no topic`) {
		t.Errorf("%q, notes %q", pointNames(info), info.Notes)
	}
	s.say("fake/lost/config", announcement{Availability: []string{"a#"}}.text(), true)
	says(t, sink.WaitLink(t, "fake:lost", false), "does not say where to hear from it")
	sink.WaitLink(t, "fake:bad", true)
	_, err := do.Do(t.Context(), devices.Command{Device: "fake:bad", Point: "good", Value: devices.Number(1)})
	says(t, err, `"+/set" is no topic`)
	if asked(err) {
		t.Errorf("%v: nothing was sent", err)
	}
	s.say("good", "3", false)
	sink.WaitValue(t, "fake:bad", "good", devices.Number(3))
}

// TestKeysOfStrangers: what cannot be a name is none.
func TestKeysOfStrangers(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, discover)
	for _, key := range []string{strings.Repeat("x", 201), "a\u202eb", "a\tb", "\u00a0"} {
		s.say("fake/"+key+"/config", lamp().text(), true)
	}
	s.say("fake/last one, ü/config", lamp().text(), true)
	sink.WaitAnnounced(t, "fake:last one, ü")
	for _, e := range sink.Events() {
		if e.Kind == drivertest.Announced && e.ID != "fake:last one, ü" {
			t.Errorf("%q was announced", e.ID)
		}
	}
}
