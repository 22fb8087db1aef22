package gateway

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

type deaf struct{ alerts int }

func (*deaf) present(mapping.Presence)          {}
func (*deaf) turned(devices.ID, bool)           {}
func (d *deaf) alert(mapping.Alert, remembered) { d.alerts++ }
func (*deaf) appeared(*mapping.Device)          {}
func (*deaf) gone(devices.ID)                   {}
func (*deaf) read([]devices.Reading)            {}

// Ten thousand alerts at once hold the router up for no longer than the readings behind them may wait.
func TestAlertStorm(t *testing.T) {
	t.Parallel()
	const n = 10000
	out := &deaf{}
	r := newRouter(mapping.NewRules(&mapping.Config{}, devices.NewRegistry(), mapping.RulesOptions{}), devices.NewRegistry(), out,
		slog.New(slog.DiscardHandler))
	began := time.Now()
	for _, over := range []bool{false, true} {
		intents := make([]mapping.Intent, n)
		for i := range intents {
			intents[i] = mapping.Alert{Key: fmt.Sprint("gone/d", i), Recovery: over}
		}
		r.carryOut(intents)
		if got := len(r.Alerts()); got != map[bool]int{false: n}[over] {
			t.Errorf("%d alerts are active, over = %v", got, over)
		}
	}
	if took := time.Since(began); took > heartbeat {
		t.Errorf("it took %v", took)
	}
	// Of one that comes and goes in a step the end counts.
	r.carryOut([]mapping.Intent{mapping.Alert{Key: "a"}, mapping.Alert{Key: "a", Recovery: true}, mapping.Alert{Key: "b"}})
	if got := r.Alerts(); len(got) != 1 || got[0].Key != "b" || out.alerts != 2*n+3 {
		t.Errorf("%v, %d told", got, out.alerts)
	}
}
