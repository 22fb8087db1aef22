package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/mapping"
)

// An alert that does not fit the device that announced itself is in the log, once.
func TestMisfitLogged(t *testing.T) {
	t.Parallel()
	cfg := readMapping(t, `
[access]
"alice@example.org" = "admin"
[devices.thermostat]
driver = "house"
match = "homeassistant:1"
[alerts.typo]
device = "thermostat"
when = "temprature > 3"
to = ["alice@example.org"]
`)
	var log bytes.Buffer
	registry := devices.NewRegistry()
	r := newRouter(mapping.NewRules(cfg, registry, mapping.RulesOptions{}), registry, nobody{}, slog.New(slog.NewTextHandler(&log, nil)))
	info := devices.Info{ID: "thermostat", Name: "Thermostat", Points: []devices.Point{{Name: "temperature", Kind: devices.KindNumber, Readable: true}}}
	for range 2 {
		r.step(mapping.Change{Announce: &info})
	}
	const want = `level=WARN msg="alert does not fit its device" device=thermostat alert=typo why="Thermostat has no point \"temprature\": did you mean \"temperature\"?"`
	if strings.Count(log.String(), want) != 1 {
		t.Errorf("the log has %s", log.String())
	}
	if d, _, _ := r.Device("thermostat"); d == nil || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], `alert typo: Thermostat has no point "temprature"`) {
		t.Errorf("it is shown as %+v", d)
	}
}
