package gateway

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

type deaf struct{ alerts int }

func (*deaf) present(mapping.Presence)          {}
func (*deaf) turned(devices.ID, bool)           {}
func (d *deaf) alert(mapping.Alert, remembered) { d.alerts++ }
func (*deaf) remember(remembered)               {}
func (*deaf) meet(*mapping.Device)              {}
func (*deaf) appeared(*mapping.Device)          {}
func (*deaf) gone(devices.ID)                   {}
func (*deaf) read([]devices.Reading)            {}

// A storm is a house of many devices that all have something to say at once.
type storm struct {
	router   *router
	out      *deaf
	readings []devices.Reading
}

// readMapping reads a configuration's meaning.
func readMapping(t testing.TB, text string) *mapping.Config {
	t.Helper()
	root, err := schema.Parse("gateway.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg := mapping.Read(root, mapping.ReadOptions{Mode: mapping.Component, Domain: "things.example.org", Hub: "home"})
	if err := root.Problems().Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func newStorm(t testing.TB, n int) *storm {
	t.Helper()
	cfg := readMapping(t, `
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
`)
	registry, out := devices.NewRegistry(), &deaf{}
	s := &storm{out: out, router: newRouter(mapping.NewRules(cfg, registry, mapping.RulesOptions{}), registry, out, slog.New(slog.DiscardHandler))}
	for i := range n {
		info := devices.Info{ID: devices.ID(fmt.Sprint("d", i)), Points: []devices.Point{{Name: "open", Kind: devices.KindSwitch, Readable: true}}}
		s.router.step(mapping.Change{Announce: &info})
		s.router.step(mapping.Change{Link: &mapping.Link{ID: info.ID, Up: true}})
		s.readings = append(s.readings, devices.Reading{Device: info.ID, Point: "open"})
	}
	return s
}

// turn has every device say the same.
func (s *storm) turn(open bool) {
	for i := range s.readings {
		s.readings[i].Value = devices.Bool(open)
	}
	s.router.step(mapping.Change{Readings: slices.Clone(s.readings)})
}

// Ten thousand alerts at once are each said, and each over.
func TestAlertStorm(t *testing.T) {
	t.Parallel()
	const n = 10000
	s := newStorm(t, n)
	for k, open := range []bool{true, false} {
		s.turn(open)
		if got := len(s.router.Alerts()); got != map[bool]int{true: n}[open] || s.out.alerts != (k+1)*n {
			t.Errorf("%d alerts are active, %d said, open = %v", got, s.out.alerts, open)
		}
	}
}

// BenchmarkAlertStorm is how long a thousand, and ten thousand, alerts that begin at once hold the router up.
func BenchmarkAlertStorm(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint("alerts=", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := newStorm(b, n)
				b.StartTimer()
				s.turn(true)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/alert")
		})
	}
}
