package tasmota

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// A quantity is what a key of a sensor measures, with Home Assistant's device class.
type quantity struct{ class, unit string }

// quantities are those of the firmware's keys (see support_tasmota.ino and the drivers of sensors). Temperature and its like,
// pressure and speed have the unit that the device is set to.
var quantities = map[string]quantity{
	"Temperature": {"temperature", "temp"}, "DewPoint": {"temperature", "temp"}, "Humidity": {"humidity", "%"},
	"Pressure": {"pressure", "pressure"}, "SeaPressure": {"pressure", "pressure"}, "Illuminance": {"illuminance", "lx"},
	"CarbonDioxide": {"carbon_dioxide", "ppm"}, "eCO2": {"carbon_dioxide", "ppm"}, "TVOC": {"volatile_organic_compounds_parts", "ppb"},
	"PM1": {"pm1", "µg/m³"}, "PM2.5": {"pm25", "µg/m³"}, "PM10": {"pm10", "µg/m³"}, "Moisture": {"moisture", "%"},
	"Power": {"power", "W"}, "ApparentPower": {"apparent_power", "VA"}, "ReactivePower": {"reactive_power", "var"},
	"Factor": {"power_factor", ""}, "Voltage": {"voltage", "V"}, "Current": {"current", "A"}, "Frequency": {"frequency", "Hz"},
	"Total": {"energy", "kWh"}, "Today": {"energy", "kWh"}, "Yesterday": {"energy", "kWh"}, "ExportActive": {"energy", "kWh"},
	"Distance": {"distance", "cm"}, "Weight": {"weight", "kg"}, "Speed": {"speed", "speed"}, "UvIndex": {"", ""},
}

// notMeasured are the keys beside those of sensors.
var notMeasured = []string{"Time", "TempUnit", "PressureUnit", "SpeedUnit", "Epoch"}

// sensors makes a point of each number that the sensors have said. It is called like the quantity, and like the sensor too where
// several have the same.
func (b *builder) sensors(said map[string]any) {
	uses := map[string]int{}
	each(said, nil, func(path []string, _ any) { uses[path[len(path)-1]]++ })
	units := map[string]string{"temp": "°C", "pressure": "hPa", "speed": "m/s"}
	for key, unit := range map[string]string{"TempUnit": "temp", "PressureUnit": "pressure", "SpeedUnit": "speed"} {
		if s := discovery.Text(said[key]); s != "" {
			units[unit] = s
		}
	}
	if units["temp"] == "F" || units["temp"] == "C" {
		units["temp"] = "°" + units["temp"]
	}
	each(said, nil, func(path []string, v any) {
		if len(b.out.Points) >= discovery.MaxPoints {
			return
		}
		last := path[len(path)-1]
		name := discovery.PointName(apart(last))
		if uses[last] > 1 || b.taken[name] {
			name = discovery.PointName(strings.Join(path[:len(path)-1], "_") + "_" + apart(last))
		}
		q := quantities[last]
		if index := strings.Trim(last, "0123456789") == ""; index && len(path) > 1 { // of a list: one a phase, or a channel
			q = quantities[path[len(path)-2]]
			name = discovery.PointName(apart(path[len(path)-2]) + "_" + last)
		}
		if unit, ok := units[q.unit]; ok {
			q.unit = unit
		}
		p := discovery.Point{}
		p.Point = devices.Point{Name: name, Kind: devices.KindNumber, Class: q.class, Unit: q.unit, Readable: true}
		if _, isNumber := v.(json.Number); isNumber {
			p.Sources = b.measured(discovery.Number, path...)
		} else {
			p.Kind, p.Class, p.Unit = devices.KindText, "", ""
			p.Sources = b.measured(text, path...)
		}
		b.add(p)
	})
}

// each goes through the numbers and texts of a tree, in the order of their names. Switches and shutters have points already.
func each(tree map[string]any, path []string, found func(path []string, v any)) {
	const deepest = 4
	if len(path) >= deepest {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		if len(path) == 0 && (slices.Contains(notMeasured, key) || strings.HasPrefix(key, "Switch") || strings.HasPrefix(key, "Shutter")) {
			continue
		}
		at := append(slices.Clone(path), key)
		switch v := tree[key].(type) {
		case map[string]any:
			each(v, at, found)
		case []any:
			for i, part := range v {
				if _, ok := part.(json.Number); ok && i < 8 {
					found(append(slices.Clone(at), string(rune('0'+i))), part)
				}
			}
		case json.Number:
			found(at, v)
		case string:
			if len(path) > 0 && key != "Id" && key != "TotalStartTime" {
				found(at, v)
			}
		}
	}
}

// apart writes the words of a key apart: "ApparentPower" is two.
func apart(key string) string { return words.ReplaceAllString(key, "${1}_$2") }

var words = regexp.MustCompile(`([a-z])([A-Z][a-z])`)

func text(v any) (devices.Value, error) {
	s, ok := discovery.Scalar(v)
	if !ok {
		return devices.Value{}, discovery.ErrAbsent
	}
	return devices.Text(s), nil
}
