package gateway

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
)

// announceDevices has n devices announce themselves for Home Assistant on the broker inside, with eight points each and their states.
func announceDevices(b *testing.B, g *Gateway, n int) {
	b.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID("devices").
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return g.dialBroker(b.Context()) }))
	wait := func(token paho.Token) {
		if !token.WaitTimeout(time.Minute) || token.Error() != nil {
			b.Fatal(token.Error())
		}
	}
	wait(c.Connect())
	defer c.Disconnect(250)
	var parts []string
	for i, class := range []string{"temperature", "humidity", "power", "energy", "voltage", "current", "battery"} {
		unit := []string{"°C", "%%", "W", "kWh", "V", "A", "%%"}[i]
		parts = append(parts, fmt.Sprintf(`"%[1]s":{"p":"sensor","unique_id":"%%[1]d_%[1]s","dev_cla":"%[1]s","unit_of_meas":"%[2]s","val_tpl":"{{ value_json.%[1]s }}"}`, class, unit))
	}
	format := `{"dev":{"ids":"d%[1]d","name":"Device %[1]d","mf":"Maker","mdl":"Plug"},"o":{"name":"firmware"},"stat_t":"d/%[1]d","avty_t":"d/%[1]d/there","cmps":{` +
		`"relay":{"p":"switch","unique_id":"%[1]d_relay","name":null,"cmd_t":"d/%[1]d/set","val_tpl":"{{ value_json.state }}"},` + strings.Join(parts, ",") + "}}"
	for i := range n {
		wait(c.Publish(fmt.Sprintf("homeassistant/device/d%d/config", i), 1, true, fmt.Sprintf(format, i)))
		wait(c.Publish(fmt.Sprintf("d/%d/there", i), 1, true, "online"))
		wait(c.Publish(fmt.Sprintf("d/%d", i), 1, true, `{"temperature":21.5,"humidity":48,"power":3,"energy":1.25,"voltage":230,"current":0.1,"battery":90,"state":"ON"}`))
	}
}

// BenchmarkDiscovery is the time from the start of the driver until a thousand devices of eight points each have announced
// themselves and are there with every reading, through router, rules and one alert, and with one person who is told the presence
// of each; and the heap that all of it takes beside the broker.
func BenchmarkDiscovery(b *testing.B) {
	const n = 1000
	const config = `[gateway]
data_dir = "data"
[xmpp]
mode = "component"
address = "things.example.org"
secret_file = "secret"
[control]
socket = "t.sock"
[access]
"alice@example.org" = "operator"
[broker]
listen = []
[drivers.house]
type = "mqtt"
broker = "local"
discovery = ["homeassistant"]
[alerts.hot]
device = "*"
when = "temperature > 35"
to = ["alice@example.org"]
`
	targets := make([]string, n)
	for i := range targets {
		targets[i] = fmt.Sprintf("device-%d@things.example.org", i)
	}
	for b.Loop() {
		b.StopTimer()
		g, counted := benchParts(b, config, targets)
		g.setBroker(g.config.Load())
		announceDevices(b, g, n)
		before := liveHeap()
		b.StartTimer()
		began := time.Now()
		g.startDrivers(g.config.Load())
		for !present(g, n) || counted.stanzas.Load() < n {
			if time.Since(began) > time.Minute {
				b.Fatalf("%d devices and %d stanzas after a minute", len(g.router.Devices()), counted.stanzas.Load())
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
		b.StopTimer()
		b.ReportMetric(float64(liveHeap()-before)/1e6, "MB")
		g.stopConnections(func(*connection) bool { return true }, func(string, devices.ID) bool { return false })
		g.stopBroker()
		b.StartTimer()
	}
}

// present reports whether n devices are there with all of their points read.
func present(g *Gateway, n int) bool {
	all := g.router.Devices()
	if len(all) < n {
		return false
	}
	for _, d := range all {
		_, state, ok := g.router.Device(d.ID)
		if !ok || !state.Up || len(state.Points) < 8 {
			return false
		}
		for _, p := range state.Points {
			if p.At.IsZero() {
				return false
			}
		}
	}
	return true
}
