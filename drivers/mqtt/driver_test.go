package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	"tidings/drivers/mqtt/broker"
)

// run runs the driver of a configuration, in which local is the station's broker.
func run(t *testing.T, s *station, config string) (devices.Actuator, *drivertest.Sink, func()) {
	t.Helper()
	var o mqtt.Options
	if s != nil {
		o.Local = s.broker.Dial
	}
	d := drivertest.Build(t, mqtt.Type(o), config)
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	t.Cleanup(func() {
		if broken := sink.Violations(); len(broken) > 0 {
			t.Errorf("contract: %s", strings.Join(broken, "\n"))
		}
	})
	return d.(devices.Actuator), sink, stop
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v: does not say %q", err, w)
		}
	}
}

const local = "[drivers.house]\ntype = \"mqtt\"\nbroker = \"local\"\nclient_id = \"gateway\"\n"

func TestAvailability(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.say("stat/lamp/POWER", "OFF", true)
	do, sink, _ := run(t, s, local+`
[devices.lamp]
availability = "tele/lamp/LWT"
online = "Online"
offline = "Offline"
[devices.lamp.points.power]
source = "stat/lamp/POWER"
command = "cmnd/lamp/POWER"
on = "ON"
off = "OFF"`)
	on := devices.Command{Device: "lamp", Point: "power", Value: devices.Bool(true)}
	down := func(words ...string) {
		t.Helper()
		sink.Wait(t, 0, strings.Join(words, " and "), func(e drivertest.Event) bool {
			return e.Kind == drivertest.Linked && e.Err != nil && strings.Contains(e.Err.Error(), words[0])
		})
		_, err := do.Do(t.Context(), on)
		if !errors.Is(err, devices.ErrDown) {
			t.Errorf("do: %v", err)
		}
		says(t, err, words...)
	}
	down("tele/lamp/LWT says nothing yet")
	s.say("tele/lamp/LWT", "Online", true)
	sink.WaitLink(t, "lamp", true)
	sink.WaitValue(t, "lamp", "power", devices.Bool(false)) // heard before it was online
	s.say("tele/lamp/LWT", "Offline", true)
	down(`tele/lamp/LWT says "Offline"`)
	s.say("stat/lamp/POWER", "ON", false)
	s.say("tele/lamp/LWT", "Online", true)
	sink.WaitLink(t, "lamp", true)
	sink.WaitValue(t, "lamp", "power", devices.Bool(true))
	s.say("tele/lamp/LWT", "perhaps", true)
	down(`says "perhaps": neither online ("Online") nor offline ("Offline")`)
	s.say("tele/lamp/LWT", "", true) // a retained message taken back is no news
	s.say("tele/lamp/LWT", "Online", false)
	sink.WaitLink(t, "lamp", true)
}

func TestSeveralDevicesOnOneTopic(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, local+`
[devices.kitchen.points.temperature]
source = "home/all"
path = "kitchen.t"
[devices.kitchen.points.humidity]
source = "home/all"
path = "kitchen.h"
[devices.bath.points.temperature]
source = "home/all"
path = "rooms\\.bath.0"
[devices.bath.points.raw]
source = "home/all"
kind = "text"`)
	sink.WaitLink(t, "bath", true)
	s.say("home/all", `{"kitchen":{"t":21.5},"rooms.bath":[23]}`, false)
	sink.WaitValue(t, "kitchen", "temperature", devices.Number(21.5))
	sink.WaitValue(t, "bath", "temperature", devices.Number(23))
	sink.WaitValue(t, "bath", "raw", devices.Text(`{"kitchen":{"t":21.5},"rooms.bath":[23]}`))
	r := sink.WaitReading(t, "kitchen", "humidity", nil)
	if r.Quality != devices.Unknown {
		t.Errorf("humidity, never said: %+v", r)
	}
	says(t, r.Err, "the message has no value of it: kitchen.h")

	mark := sink.Mark()
	s.say("home/all", `{"kitchen":{"h":48}}`, false)
	sink.WaitValue(t, "kitchen", "humidity", devices.Number(48))
	s.say("home/all", `rubbish`, false)
	sink.WaitValue(t, "bath", "raw", devices.Text("rubbish"))
	for _, e := range sink.Events()[mark:] {
		if e.Kind == drivertest.Read && e.ID == "kitchen" && e.Reading.Point == "temperature" && e.Reading.Quality != devices.Faulty {
			t.Errorf("a message without the temperature gave %+v", e.Reading)
		}
	}
	faulty := sink.WaitReading(t, "kitchen", "temperature", func(r devices.Reading) bool { return r.Quality == devices.Faulty })
	says(t, faulty.Err, `"rubbish" is not JSON`)
	s.say("home/all", `{"kitchen":{"t":null}}`, false)
	sink.WaitReading(t, "kitchen", "temperature", func(r devices.Reading) bool { return r.Quality == devices.Unknown })
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for qos := range 3 {
		t.Run(strconv.Itoa(qos), func(t *testing.T) {
			t.Parallel()
			s := newStation(t, broker.Options{})
			s.listen("cmnd/#")
			do, sink, stop := run(t, s, local+fmt.Sprintf(`qos = %d
[devices.boiler.points.target]
command = "cmnd/target"
write = '{"set":{{.Value}}}'
kind = "number"
[devices.boiler.points.mode]
command = "cmnd/mode"
kind = "choice"
retain = true
options = ["eco", "comfort"]
[devices.boiler.points.reset]
command = "cmnd/reset"
kind = "action"
[devices.boiler.points.pump]
command = "cmnd/pump"
kind = "switch"
safe = false`, qos))
			sink.WaitLink(t, "boiler", true)
			for _, c := range []struct {
				point string
				value devices.Value
				heard string
			}{
				{"target", devices.Number(21.5), `cmnd/target={"set":21.5}`},
				{"mode", devices.Text("eco"), "cmnd/mode=eco"},
				{"reset", devices.Value{}, "cmnd/reset=ON"},
				{"pump", devices.Bool(true), "cmnd/pump=ON"},
			} {
				if _, err := do.Do(t.Context(), devices.Command{Device: "boiler", Point: c.point, Value: c.value}); err != nil {
					t.Errorf("%s: %v", c.point, err)
				}
				s.expect(c.heard)
			}
			if _, err := do.Do(t.Context(), devices.Command{Device: "boiler", Point: "pump", Value: devices.Number(1)}); !errors.Is(err, devices.ErrValue) {
				t.Errorf("a number for a switch: %v", err)
			}
			stop()
			s.expect("cmnd/pump=OFF")
			late := make(chan string, 10)
			c := connectClient(t, "late", late, func() (net.Conn, error) { return s.broker.Dial(t.Context()) })
			done(t, c.Subscribe("cmnd/#", 1, nil))
			if got := <-late; got != "cmnd/mode=eco" {
				t.Errorf("retained: %s", got)
			}
		})
	}
}

// gate is a sink that holds readings up until it is opened.
type gate struct {
	drivertest.Sink
	open chan struct{}
}

func (g *gate) Publish(readings ...devices.Reading) {
	<-g.open
	g.Sink.Publish(readings...)
}

func TestFloodHarmsNobody(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("cmnd/pump")
	d := drivertest.Build(t, mqtt.Type(mqtt.Options{Local: s.broker.Dial}), local+`
[devices.meter.points.power]
source = "meter"
[devices.meter.points.quiet]
source = "quiet"
[devices.pump.points.run]
command = "cmnd/pump"
kind = "switch"`)
	g := &gate{open: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, g) }()
	g.WaitLink(t, "meter", true)
	s.say("quiet", "7", false)
	const flood = 5000
	var tokens []paho.Token
	for i := 1; i <= flood; i++ {
		tokens = append(tokens, s.client.Publish("meter", 1, false, strconv.Itoa(i)))
		if len(tokens) == 10 { // the broker drops what is too much at once; that is not what is tested
			for _, token := range tokens {
				done(t, token)
			}
			tokens = nil
		}
	}
	if _, err := d.(devices.Actuator).Do(t.Context(), devices.Command{Device: "pump", Point: "run", Value: devices.Bool(true)}); err != nil {
		t.Errorf("a command during the flood: %v", err)
	}
	s.expect("cmnd/pump=ON")
	close(g.open)
	g.WaitValue(t, "meter", "power", devices.Number(flood))
	g.WaitValue(t, "meter", "quiet", devices.Number(7))
	n := 0
	for _, e := range g.Events() {
		if e.Kind == drivertest.Read {
			n++
		}
	}
	if n > 2000 {
		t.Errorf("%d readings came through: nothing coalesced", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTopicsOfAnEarlierConfigurationAreForgotten(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	before := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID("gateway").SetAutoReconnect(false).
		SetCleanSession(false).SetCustomOpenConnectionFn(dialFn(s)))
	done(t, before.Connect())
	for _, filter := range []string{"old", "older/+", "fake/+/config"} {
		done(t, before.Subscribe(filter, 1, nil))
	}
	before.Disconnect(250)

	c := drivertest.Connection(t, mqtt.Type(mqtt.Options{Local: s.broker.Dial}), local+"[devices.a.points.p]\nsource = \"new\"\n")
	var log lockedBuffer
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	sink := &drivertest.Sink{}
	drivertest.Start(t, mqtt.Type(mqtt.Options{Local: s.broker.Dial}).Build(c), sink)
	sink.WaitLink(t, "a", true)
	for range 100 { // until the broker has taken the UNSUBSCRIBE
		for _, topic := range []string{"old", "older/x", "fake/x/config"} {
			s.say(topic, "x", false)
		}
		s.say("new", "1", false)
		sink.WaitReadingAfter(t, sink.Mark()-1, "a", "p", nil)
	}
	if n := strings.Count(log.String(), "topic=old\n"); n != 1 {
		t.Errorf("the topic was forgotten %d times:\n%s", n, log.String())
	}
	if n := strings.Count(log.String(), "topic=older/x"); n != 1 {
		t.Errorf("what comes by a filter was said %d times", n)
	}
	if strings.Contains(log.String(), "topic=fake") {
		t.Error("the announcements of a convention that is switched off still come")
	}
}

func TestAnotherClientWithTheSameID(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, local+"[devices.a.points.p]\nsource = \"a\"\n")
	sink.WaitLink(t, "a", true)
	connectClient(t, "gateway", make(chan string, 1), func() (net.Conn, error) { return s.broker.Dial(context.Background()) })
	says(t, sink.WaitLink(t, "a", false), "mqtt house: local: the broker ended the connection", `another client has the client_id "gateway"`)
	sink.WaitLink(t, "a", true) // and takes its place again
}

func TestTooLongAMessage(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{MaxPacket: 2_000_000})
	_, sink, _ := run(t, s, local+"[devices.a.points.p]\nsource = \"a\"\n[devices.a.points.q]\nsource = \"b\"\n")
	sink.WaitLink(t, "a", true)
	s.say("a", strings.Repeat("1", 1_500_000), false)
	says(t, sink.WaitLink(t, "a", false), "a message of 1500003 bytes: at most 1048576 are taken")
	sink.WaitLink(t, "a", true)
	s.say("b", "1", false)
	sink.WaitValue(t, "a", "q", devices.Number(1))
}

// A reading's time is when it came, not when it was looked at.
func TestTimeOfAReading(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	do, sink, _ := run(t, s, local+"[devices.a.points.p]\nsource = \"p\"\ncommand = \"p\"\n")
	sink.WaitLink(t, "a", true)
	for i := range 20 {
		v := devices.Number(float64(i))
		asked := time.Now()
		res, err := do.Do(t.Context(), devices.Command{Device: "a", Point: "p", Value: v})
		if err != nil {
			t.Fatal(err)
		}
		r := sink.WaitValue(t, "a", "p", v)
		if res.Written.Before(asked) || r.At.Before(res.Written) {
			t.Errorf("asked %v, written %v, read %v", asked, res.Written, r.At)
		}
	}
}

func TestCommandsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("p")
	do, sink, _ := run(t, s, local+"qos = 1\n[devices.a.points.p]\ncommand = \"p\"\n[devices.b.points.p]\ncommand = \"p\"\n")
	sink.WaitLink(t, "b", true)
	var all sync.WaitGroup
	for _, id := range []devices.ID{"a", "b"} {
		all.Go(func() {
			for i := range 50 {
				n := float64(i)
				if id == "b" {
					n += 1000
				}
				if _, err := do.Do(t.Context(), devices.Command{Device: id, Point: "p", Value: devices.Number(n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	heard := map[bool][]int{}
	for range 100 {
		n, err := strconv.Atoi(strings.TrimPrefix(<-s.heard, "p="))
		if err != nil {
			t.Fatal(err)
		}
		heard[n >= 1000] = append(heard[n >= 1000], n)
	}
	if !slices.IsSorted(heard[false]) || !slices.IsSorted(heard[true]) {
		t.Errorf("out of order: %v", heard)
	}
}

// lockedBuffer is a bytes.Buffer for a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
