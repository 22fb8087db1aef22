package mapping

import (
	"reflect"
	"testing"
)

func TestPlot(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]Plot{
		"temperature > 35":                             {Point: "temperature", Thresholds: []Threshold{{35, true}}},
		"temperature <= -12.5":                         {Point: "temperature", Thresholds: []Threshold{{-12.5, false}}},
		"35 < temperature":                             {Point: "temperature", Thresholds: []Threshold{{35, true}}},
		"temperature < 5 or temperature > 30":          {Point: "temperature", Thresholds: []Threshold{{5, false}, {30, true}}},
		"pump and temperature > 30":                    {Point: "temperature", Thresholds: []Threshold{{30, true}}},
		"online and humidity < 20 and temperature > 3": {Point: "humidity", Thresholds: []Threshold{{20, false}}},
		"devices.heat-pump.flow > 55 and pump":         {Device: "heat-pump", Point: "flow", Thresholds: []Threshold{{55, true}}},
		"temperature > target":                         {Point: "temperature"},
		"not pump":                                     {Point: "pump"},
		"temperature == 4":                             {Point: "temperature"},
		"temperature > 1 and temperature > 1":          {Point: "temperature", Thresholds: []Threshold{{1, true}}},
		"offline":                                      {},
	} {
		e, err := parseExpression(source)
		if err != nil {
			t.Fatal(source, err)
		}
		got, ok := e.plot()
		if ok != (want.Point != "") || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", source, got, want)
		}
	}
	if _, ok := (&Config{}).Plot("none"); ok {
		t.Error("there is something to draw of an alert that is not there")
	}
}
