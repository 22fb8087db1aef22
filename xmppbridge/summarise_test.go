package xmppbridge

import (
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	at := time.Now()
	number := &mapping.Point{Label: "Temperature", Kind: devices.KindNumber, Unit: "°C", Precision: -1}
	fixed := &mapping.Point{Label: "Temperature", Kind: devices.KindNumber, Unit: "°C", Precision: 1}
	door := &mapping.Point{Label: "Door", Kind: devices.KindSwitch, Class: "door"}
	spans := []Span{
		{Start: at},
		{Start: at.Add(time.Minute), Count: 2, Min: 20, Mean: 20.5, Max: 21, Last: 21, Known: time.Minute},
		{Start: at.Add(2 * time.Minute)},
		{Start: at.Add(3 * time.Minute), Count: 1, Min: 23, Mean: 23, Max: 23, Last: 23, Known: 20 * time.Second},
	}
	for _, c := range []struct {
		p     *mapping.Point
		spans []Span
		want  string
	}{
		{number, spans, "min 20 °C, mean 21.1 °C, max 23 °C, last 23 °C"},
		{fixed, spans, "min 20.0 °C, mean 21.1 °C, max 23.0 °C, last 23.0 °C"},
		{number, spans[:1], ""},
		{number, nil, ""},
		{number, []Span{{Count: 1, Min: 3, Max: 3, Mean: 3, Last: 3}}, "min 3 °C, mean 3 °C, max 3 °C, last 3 °C"},
		{door, []Span{{Count: 3, Max: 1, Mean: 0.25, Last: 1, Known: time.Hour}}, "open 25 % (15 min), closed 75 % (45 min), last open"},
	} {
		if got := summaryText(c.p, c.spans); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if table := summaryTable("Greenhouse", number, spans); len(table.rows) != 4 || table.columns[0] != "Temperature" {
		t.Errorf("%+v", table)
	}
	if summaryTable("Greenhouse", number, nil) != nil {
		t.Error("a table of nothing")
	}
}
