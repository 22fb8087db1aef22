package shelly

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// A field is a value that a component's status may have, with the point that it is.
type field struct {
	path  string // with dots
	name  string // empty: the component's own
	kind  devices.PointKind
	class string
	unit  string
}

// power are what components measure that switch or only measure; energies are in watt-hours.
var power = []field{
	{"apower", "active_power", devices.KindNumber, "power", "W"}, {"act_power", "active_power", devices.KindNumber, "power", "W"},
	{"aprt_power", "apparent_power", devices.KindNumber, "apparent_power", "VA"}, {"voltage", "voltage", devices.KindNumber, "voltage", "V"},
	{"current", "current", devices.KindNumber, "current", "A"}, {"pf", "power_factor", devices.KindNumber, "power_factor", ""},
	{"freq", "frequency", devices.KindNumber, "frequency", "Hz"}, {"aenergy.total", "energy", devices.KindNumber, "energy", "Wh"},
	{"ret_aenergy.total", "energy_returned", devices.KindNumber, "energy", "Wh"},
	{"total_act_energy", "energy", devices.KindNumber, "energy", "Wh"}, {"total_act_ret_energy", "energy_returned", devices.KindNumber, "energy", "Wh"},
	{"temperature.tC", "device_temperature", devices.KindNumber, "temperature", "°C"},
}

// phases are those of a three-phase meter.
var phases = func() []field {
	out := []field{
		{"total_act_power", "active_power", devices.KindNumber, "power", "W"}, {"total_aprt_power", "apparent_power", devices.KindNumber, "apparent_power", "VA"},
		{"total_current", "current", devices.KindNumber, "current", "A"}, {"total_act", "energy", devices.KindNumber, "energy", "Wh"},
		{"total_act_ret", "energy_returned", devices.KindNumber, "energy", "Wh"},
	}
	for _, phase := range []string{"a", "b", "c"} {
		for _, f := range []field{
			{"_act_power", "active_power", devices.KindNumber, "power", "W"}, {"_voltage", "voltage", devices.KindNumber, "voltage", "V"},
			{"_current", "current", devices.KindNumber, "current", "A"}, {"_pf", "power_factor", devices.KindNumber, "power_factor", ""},
		} {
			f.path, f.name = phase+f.path, phase+"_"+f.name
			out = append(out, f)
		}
	}
	return out
}()

// measured are the fields of components that are only read, by the component's kind.
var measured = map[string][]field{
	"temperature": {{"tC", "", devices.KindNumber, "temperature", "°C"}},
	"humidity":    {{"rh", "", devices.KindNumber, "humidity", "%"}},
	"illuminance": {{"lux", "", devices.KindNumber, "illuminance", "lx"}},
	"voltmeter":   {{"voltage", "", devices.KindNumber, "voltage", "V"}},
	"devicepower": {{"battery.percent", "battery", devices.KindNumber, "battery", "%"}, {"battery.V", "battery_voltage", devices.KindNumber, "voltage", "V"}},
	"smoke":       {{"alarm", "", devices.KindSwitch, "smoke", ""}},
	"flood":       {{"alarm", "", devices.KindSwitch, "moisture", ""}},
	"presence":    {{"state", "", devices.KindSwitch, "occupancy", ""}},
	"em":          phases, "emdata": phases,
	"em1": power, "em1data": power, "pm1": power,
	"wifi": {{"rssi", "signal", devices.KindNumber, "signal_strength", "dBm"}},
}

// silent are the components of which there is nothing to show.
var silent = []string{"sys", "cloud", "mqtt", "ble", "ws", "eth", "ui", "plugs_ui", "script", "bthome", "knx", "modbus", "matter", "schedule",
	"webhook", "group", "bm", "serial", "lora", "dali", "ota", "web"}

// A builder makes the points of one device.
type builder struct {
	*device
	source string // where answers to what the points ask come
	out    *discovery.Device
	taken  map[string]bool
}

// A component is one part of a device, "switch:0".
type component struct {
	key, kind string
	id        json.Number
	name      string // what its points are called, or begin with
	label     string // what people call it; empty: nothing
	only      bool   // of its kind
	config    map[string]any
	status    map[string]any
}

func (b *builder) build() {
	kinds := map[string]int{}
	for key := range b.status {
		kind, _, _ := strings.Cut(key, ":")
		kinds[kind]++
	}
	for _, key := range ordered(b.status) {
		c := component{key: key}
		kind, id, _ := strings.Cut(key, ":")
		c.kind, c.id, c.only = kind, json.Number(id), kinds[kind] == 1
		if n, err := strconv.Atoi(id); id != "" && (err != nil || strconv.Itoa(n) != id) {
			continue
		}
		c.status, _ = b.status[key].(map[string]any)
		c.config, _ = b.config[key].(map[string]any)
		name, _ := discovery.In(c.config, "name")
		c.label = discovery.Text(name)
		if c.name = discovery.PointName(kind); !c.only {
			c.name = discovery.PointName(kind + "_" + id)
		}
		if c.status != nil && len(b.out.Points) < discovery.MaxPoints {
			b.component(c)
		}
	}
}

// rank puts what a device is for before what else it measures.
var rank = []string{"switch", "light", "rgb", "rgbw", "cct", "cover", "thermostat", "smoke", "flood", "presence", "temperature", "humidity", "em", "em1", "pm1"}

// ordered are the components in the order to show them.
func ordered(status map[string]any) []string {
	place := func(key string) int {
		kind, _, _ := strings.Cut(key, ":")
		if i := slices.Index(rank, kind); i >= 0 {
			return i
		}
		if kind == "wifi" {
			return len(rank) + 1
		}
		return len(rank)
	}
	return slices.SortedFunc(maps.Keys(status), func(x, y string) int {
		if a, b := place(x), place(y); a != b {
			return a - b
		}
		return strings.Compare(x, y)
	})
}

func (b *builder) component(c component) {
	switch fields := measured[c.kind]; {
	case fields != nil:
		b.fields(c, fields)
	case slices.Contains(silent, c.kind):
	default:
		build := components[c.kind]
		if build == nil {
			b.note(c.key)
			return
		}
		build(b, c)
	}
}

func (b *builder) note(what string) {
	if len(b.out.Notes) < discovery.MaxNotes {
		b.out.Notes = append(b.out.Notes, "not understood: "+what)
	}
}

// fields adds the points of what the component's status has.
func (b *builder) fields(c component, fields []field) {
	for _, f := range fields {
		path := strings.Split(f.path, ".")
		if _, has := discovery.In(c.status, path...); !has {
			continue
		}
		name := f.name
		switch {
		case name == "":
			name = c.name
		case !c.only:
			name = c.name + "_" + name
		}
		p := devices.Point{Name: name, Kind: f.kind, Class: f.class, Unit: f.unit, Minor: f.name == "device_temperature"}
		if f.name == "" || !c.only {
			p.Label = c.label
		}
		if p.Label != "" && f.name != "" {
			p.Label += " " + strings.ReplaceAll(f.name, "_", " ")
		}
		parse := discovery.Number
		if f.kind == devices.KindSwitch {
			parse = truth
		}
		b.add(c, p, parse, path, nil)
	}
}

// add adds a point that is read at a path of its component, and written with a call of a method, if any.
func (b *builder) add(c component, p devices.Point, parse func(any) (devices.Value, error), path []string, call caller) {
	if b.taken[p.Name] || len(b.out.Points) >= discovery.MaxPoints {
		return
	}
	b.taken[p.Name] = true
	out := discovery.Point{Point: p}
	if parse != nil {
		out.Sources = []discovery.Source{
			discovery.At(b.prefix+"/events/rpc", parse, append([]string{"params", c.key}, path...)...),
			discovery.At(b.source+"/rpc", parse, append([]string{"result", c.key}, path...)...),
			discovery.At(b.prefix+"/status/"+c.key, parse, path...),
		}
		out.Readable = true
	}
	if call != nil {
		out.Write = func(v devices.Value) ([]discovery.Message, error) {
			method, params, err := call(v)
			if err != nil {
				return nil, err
			}
			params["id"] = c.id
			// Nobody waits for the answer: the status that follows says what the device has.
			return []discovery.Message{request(b.prefix, b.source, 0, method, params)}, nil
		}
		out.Writable, out.Confirms = true, out.Readable
	}
	b.out.Points = append(b.out.Points, out)
}

// A caller makes the call that sets a value, but for the id of the component.
type caller func(devices.Value) (method string, params map[string]any, err error)

// set calls a method with one parameter.
func set(method, param string, value func(devices.Value) (any, bool), want string) caller {
	return func(v devices.Value) (string, map[string]any, error) {
		x, ok := value(v)
		if !ok {
			return "", nil, discovery.Wrong(v, want)
		}
		return method, map[string]any{param: x}, nil
	}
}

func asBool(v devices.Value) (any, bool)  { on, ok := v.Bool(); return on, ok }
func asText(v devices.Value) (any, bool)  { s, ok := v.Text(); return s, ok }
func asFloat(v devices.Value) (any, bool) { f, ok := v.Number(); return f, ok }

func truth(v any) (devices.Value, error) {
	on, ok := v.(bool)
	if !ok {
		return devices.Value{}, fmt.Errorf("it says %.60v, which is neither true nor false", v)
	}
	return devices.Bool(on), nil
}

func word(v any) (devices.Value, error) {
	s, ok := v.(string)
	if !ok {
		return devices.Value{}, fmt.Errorf("it says %.60v, which is no text", v)
	}
	return devices.Text(s), nil
}

// sleeps is how long the device sleeps between two times that it is there; 0: it does not.
func (d *device) sleeps() time.Duration {
	period, _ := discovery.In(d.status, "sys", "wakeup_period")
	if seconds, ok := discovery.Float(period); ok && seconds > 0 && seconds < 1e8 {
		return time.Duration(seconds) * time.Second
	}
	return 0
}
