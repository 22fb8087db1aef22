package gateway

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

type deaf struct{ alerts int }

func (*deaf) present(mapping.Presence)          {}
func (*deaf) turned(devices.ID, bool)           {}
func (d *deaf) alert(mapping.Alert, remembered) { d.alerts++ }
func (*deaf) remember(remembered)               {}
func (*deaf) appeared(*mapping.Device)          {}
func (*deaf) gone(devices.ID)                   {}
func (*deaf) read([]devices.Reading)            {}

// Ten thousand alerts at once hold the router up for no longer than the readings behind them may wait.
func TestAlertStorm(t *testing.T) {
	t.Parallel()
	const n = 10000
	root, err := schema.Parse("gateway.toml", []byte(`
[access]
"alice@example.org" = "admin"
[devices.some]
driver = "house"
[devices.some.points.open]
kind = "switch"
[alerts.open]
device = "*"
when = "open"
to = ["alice@example.org"]
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := mapping.Read(root, mapping.ReadOptions{Mode: mapping.Component, Domain: "things.example.org", Hub: "home"})
	if err := root.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	registry, out := devices.NewRegistry(), &deaf{}
	r := newRouter(mapping.NewRules(cfg, registry, mapping.RulesOptions{}), registry, out, slog.New(slog.DiscardHandler))
	var readings []devices.Reading
	for i := range n {
		info := devices.Info{ID: devices.ID(fmt.Sprint("d", i)), Points: []devices.Point{{Name: "open", Kind: devices.KindSwitch, Readable: true}}}
		r.step(mapping.Change{Announce: &info})
		r.step(mapping.Change{Link: &mapping.Link{ID: info.ID, Up: true}})
		readings = append(readings, devices.Reading{Device: info.ID, Point: "open"})
	}
	for k, open := range []bool{true, false} {
		for i := range readings {
			readings[i].Value = devices.Bool(open)
		}
		began := time.Now()
		r.step(mapping.Change{Readings: slices.Clone(readings)})
		if took := time.Since(began); took > heartbeat {
			t.Errorf("it took %v", took)
		}
		if got := len(r.Alerts()); got != map[bool]int{true: n}[open] || out.alerts != (k+1)*n {
			t.Errorf("%d alerts are active, %d said, open = %v", got, out.alerts, open)
		}
	}
}
