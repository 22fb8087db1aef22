package mqtt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt/broker"
)

// TestWorkOfStrangers: devices whose templates work as long as they may, on one topic, are left out after a while, with the reason;
// an honest one is read all the time.
func TestWorkOfStrangers(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	_, sink, _ := run(t, s, everything)
	const slow = "{% for a in range(300) %}{% for b in range(40) %}{% set c = a * b %}{% endfor %}{% endfor %}{{ value }}"
	for i := range 5 {
		var parts []string
		for j := range 100 {
			parts = append(parts, fmt.Sprintf(`"p%d":{"p":"sensor","uniq_id":"%d_%d","stat_t":"all","unit_of_meas":"W","val_tpl":"%s"}`, j, i, j, slow))
		}
		s.say(fmt.Sprintf("homeassistant/device/bad%d/config", i), fmt.Sprintf(`{"dev":{"ids":"bad%d"},"o":{"name":"x"},"cmps":{%s}}`, i, strings.Join(parts, ",")), true)
	}
	s.say("homeassistant/sensor/good/config", `{"dev":{"ids":"good"},"uniq_id":"good","stat_t":"good","unit_of_meas":"W","val_tpl":"{{ value | float | round(1) }}"}`, true)
	for i := range 5 {
		sink.WaitLink(t, devices.ID(fmt.Sprintf("homeassistant:bad%d", i)), true)
	}
	sink.WaitLink(t, "homeassistant:good", true)
	began := time.Now()
	for i := range 20 {
		s.say("all", fmt.Sprint(i), false)
		s.say("good", fmt.Sprint(i), false)
		sink.WaitValue(t, "homeassistant:good", "value", devices.Number(float64(i)))
	}
	t.Logf("%v", time.Since(began)) // without a bound 10,000 templates of some milliseconds
	read, busy := 0, 0
	for _, e := range sink.Events() {
		if e.Kind == drivertest.Read && strings.HasPrefix(string(e.ID), "homeassistant:bad") {
			if read++; e.Reading.Err != nil && strings.Contains(e.Reading.Err.Error(), "too much work") {
				busy++
			}
		}
	}
	if read < 10_000 || read-busy > 1000 {
		t.Errorf("%d readings, of which %d were left out", read, busy)
	}
}
