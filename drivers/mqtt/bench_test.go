package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	"tidings/drivers/mqtt/broker"
)

// A counting sink knows how many devices are up and how many points have been read, and keeps the latest of each, as the gateway
// does.
type countingSink struct {
	mu     sync.Mutex
	infos  map[devices.ID]devices.Info
	up     map[devices.ID]bool
	values map[string]devices.Reading
	change chan struct{}
}

func newCountingSink() *countingSink {
	return &countingSink{infos: map[devices.ID]devices.Info{}, up: map[devices.ID]bool{}, values: map[string]devices.Reading{}, change: make(chan struct{}, 1)}
}

func (s *countingSink) changed(do func()) {
	s.mu.Lock()
	do()
	s.mu.Unlock()
	select {
	case s.change <- struct{}{}:
	default:
	}
}

func (s *countingSink) Announce(i devices.Info) { s.changed(func() { s.infos[i.ID] = i }) }
func (s *countingSink) Withdraw(id devices.ID, _ devices.Why) {
	s.changed(func() { delete(s.infos, id); delete(s.up, id) })
}
func (s *countingSink) Link(id devices.ID, up bool, _ error) {
	s.changed(func() {
		if delete(s.up, id); up {
			s.up[id] = true
		}
	})
}
func (s *countingSink) Health(error) {}
func (s *countingSink) Publish(readings ...devices.Reading) {
	s.changed(func() {
		for _, r := range readings {
			if r.Quality == devices.Good {
				s.values[string(r.Device)+" "+r.Point] = r
			}
		}
	})
}

// wait waits until so many devices are up and so many points have been read.
func (s *countingSink) wait(b *testing.B, up, read int) {
	b.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		gotUp, gotRead := len(s.up), len(s.values)
		s.mu.Unlock()
		if gotUp == up && gotRead >= read {
			return
		}
		select {
		case <-s.change:
		case <-deadline.C:
			b.Fatalf("%d devices are up and %d points read, want %d and %d", gotUp, gotRead, up, read)
		}
	}
}

// zigbee publishes what a bridge says of n devices with eight points each, in Home Assistant's convention: an announcement a point,
// one state and one availability a device.
func zigbee(b *testing.B, c paho.Client, n int) {
	b.Helper()
	var tokens []paho.Token
	say := func(topic, format string, args ...any) {
		tokens = append(tokens, c.Publish(topic, 1, true, fmt.Sprintf(format, args...)))
		if len(tokens) == 500 {
			for _, token := range tokens {
				done(b, token)
			}
			tokens = tokens[:0]
		}
	}
	say("zigbee2mqtt/bridge/state", `{"state":"online"}`)
	for i := range n {
		common := fmt.Sprintf(`"state_topic":"zigbee2mqtt/d%[1]d","availability_mode":"all","availability":[{"topic":"zigbee2mqtt/bridge/state","value_template":"{{ value_json.state }}"},`+
			`{"topic":"zigbee2mqtt/d%[1]d/availability","value_template":"{{ value_json.state }}"}],"origin":{"name":"Zigbee2MQTT","sw":"2.1.0"},`+
			`"device":{"identifiers":["zigbee2mqtt_0x%016[1]x"],"name":"Device %[1]d","manufacturer":"Aqara","model":"Plug","model_id":"SP-EUC01","sw_version":"1.0"}`, i)
		for _, field := range []string{"power", "energy", "voltage", "current", "temperature", "humidity", "linkquality"} {
			say(fmt.Sprintf("homeassistant/sensor/0x%016x/%s/config", i, field),
				`{"name":"%[1]s","unique_id":"0x%016[2]x_%[1]s","object_id":"d%[2]d_%[1]s","value_template":"{{ value_json.%[1]s }}","state_class":"measurement",%[3]s}`, field, i, common)
		}
		say(fmt.Sprintf("homeassistant/switch/0x%016x/switch/config", i),
			`{"name":null,"unique_id":"0x%016[1]x_switch","command_topic":"zigbee2mqtt/d%[1]d/set","payload_on":"ON","payload_off":"OFF","value_template":"{{ value_json.state }}",%[2]s}`, i, common)
		say(fmt.Sprintf("zigbee2mqtt/d%d/availability", i), `{"state":"online"}`)
		say(fmt.Sprintf("zigbee2mqtt/d%d", i), `{"power":%d.5,"energy":1.25,"voltage":230,"current":0.1,"temperature":21.5,"humidity":48,"linkquality":120,"state":"ON"}`, i)
	}
	for _, token := range tokens {
		done(b, token)
	}
}

func liveHeap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkDiscovery is the time from the start of the driver until a thousand devices of eight points each are announced, up and
// read, and the heap that they cost in the driver and in what is kept of them here.
func BenchmarkDiscovery(b *testing.B) {
	const n = 1000
	s := newStation(b, broker.Options{})
	zigbee(b, s.client, n)
	for b.Loop() {
		before := liveHeap()
		typ := mqtt.Type(mqtt.Options{Local: s.broker.Dial})
		c := drivertest.Connection(b, typ, local+"discovery = [\"homeassistant\"]\n")
		c.Log = nil
		d := typ.Build(c)
		sink := newCountingSink()
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- d.Run(ctx, sink) }()
		sink.wait(b, n, 8*n)
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
		b.ReportMetric((liveHeap()-before)/1e6, "MB")
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(d)
		runtime.KeepAlive(sink)
	}
}

// BenchmarkStateOfDevice is one message of a device with eight points through the driver, the broker inside included.
func BenchmarkStateOfDevice(b *testing.B) {
	s := newStation(b, broker.Options{})
	zigbee(b, s.client, 1)
	typ := mqtt.Type(mqtt.Options{Local: s.broker.Dial})
	c := drivertest.Connection(b, typ, local+"discovery = [\"homeassistant\"]\n")
	c.Log = nil
	sink := newCountingSink()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- typ.Build(c).Run(ctx, sink) }()
	sink.wait(b, 1, 8)
	conn := connectClient(b, "bench", make(chan string, 1), func() (net.Conn, error) { return s.broker.Dial(ctx) })
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		conn.Publish("zigbee2mqtt/d0", 0, false, fmt.Sprintf(`{"power":%d,"energy":1.25,"voltage":230,"current":0.1,"temperature":21.5,"humidity":48,"linkquality":120,"state":"ON"}`, i))
		for want := devices.Number(float64(i)); ; <-sink.change {
			sink.mu.Lock()
			got := sink.values["homeassistant:zigbee2mqtt_0x0000000000000000 power"].Value
			sink.mu.Unlock()
			if got == want {
				break
			}
		}
	}
	cancel()
	<-ended
}
