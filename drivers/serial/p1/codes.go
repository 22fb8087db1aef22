package p1

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tidings/devices"
)

// codeTime is the time of the telegram.
const codeTime = "0-0:1.0.0"

// meaning is what the number of a code stands for.
type meaning struct {
	code    string
	point   devices.Point
	offered bool // it is offered to a device that names no points
}

func number(name, label, class, unit string) devices.Point {
	return devices.Point{Name: name, Label: label, Kind: devices.KindNumber, Class: class, Unit: unit, Readable: true}
}

func text(name, label string) devices.Point {
	return devices.Point{Name: name, Label: label, Kind: devices.KindText, Readable: true}
}

// meanings are the codes of the standards, in the order in which people see them.
var meanings = []meaning{
	{"1-0:1.7.0", number("power_import", "Power import", "power", "kW"), true},
	{"1-0:2.7.0", number("power_export", "Power export", "power", "kW"), true},
	{"1-0:1.8.0", number("energy_import", "Energy import", "energy", "kWh"), true},
	{"1-0:1.8.1", number("energy_import_t1", "Energy import tariff 1", "energy", "kWh"), true},
	{"1-0:1.8.2", number("energy_import_t2", "Energy import tariff 2", "energy", "kWh"), true},
	{"1-0:2.8.0", number("energy_export", "Energy export", "energy", "kWh"), true},
	{"1-0:2.8.1", number("energy_export_t1", "Energy export tariff 1", "energy", "kWh"), true},
	{"1-0:2.8.2", number("energy_export_t2", "Energy export tariff 2", "energy", "kWh"), true},
	{"0-0:96.14.0", number("tariff", "Tariff", "", ""), true},
	{"1-0:1.4.0", number("demand", "Average demand", "power", "kW"), true},
	{"1-0:1.6.0", number("peak_demand", "Peak demand of the month", "power", "kW"), true},
	{"1-0:3.7.0", number("reactive_power_import", "Reactive power import", "reactive_power", "kvar"), true},
	{"1-0:4.7.0", number("reactive_power_export", "Reactive power export", "reactive_power", "kvar"), true},
	{"1-0:3.8.0", number("reactive_energy_import", "Reactive energy import", "reactive_energy", "kvarh"), true},
	{"1-0:4.8.0", number("reactive_energy_export", "Reactive energy export", "reactive_energy", "kvarh"), true},
	{"1-0:21.7.0", number("power_import_l1", "Power import L1", "power", "kW"), true},
	{"1-0:41.7.0", number("power_import_l2", "Power import L2", "power", "kW"), true},
	{"1-0:61.7.0", number("power_import_l3", "Power import L3", "power", "kW"), true},
	{"1-0:22.7.0", number("power_export_l1", "Power export L1", "power", "kW"), true},
	{"1-0:42.7.0", number("power_export_l2", "Power export L2", "power", "kW"), true},
	{"1-0:62.7.0", number("power_export_l3", "Power export L3", "power", "kW"), true},
	{"1-0:32.7.0", number("voltage_l1", "Voltage L1", "voltage", "V"), true},
	{"1-0:52.7.0", number("voltage_l2", "Voltage L2", "voltage", "V"), true},
	{"1-0:72.7.0", number("voltage_l3", "Voltage L3", "voltage", "V"), true},
	{"1-0:31.7.0", number("current_l1", "Current L1", "current", "A"), true},
	{"1-0:51.7.0", number("current_l2", "Current L2", "current", "A"), true},
	{"1-0:71.7.0", number("current_l3", "Current L3", "current", "A"), true},

	{code: "1-0:23.7.0", point: number("reactive_power_import_l1", "Reactive power import L1", "reactive_power", "kvar")},
	{code: "1-0:43.7.0", point: number("reactive_power_import_l2", "Reactive power import L2", "reactive_power", "kvar")},
	{code: "1-0:63.7.0", point: number("reactive_power_import_l3", "Reactive power import L3", "reactive_power", "kvar")},
	{code: "1-0:24.7.0", point: number("reactive_power_export_l1", "Reactive power export L1", "reactive_power", "kvar")},
	{code: "1-0:44.7.0", point: number("reactive_power_export_l2", "Reactive power export L2", "reactive_power", "kvar")},
	{code: "1-0:64.7.0", point: number("reactive_power_export_l3", "Reactive power export L3", "reactive_power", "kvar")},
	{code: "0-0:96.7.21", point: number("power_failures", "Power failures", "", "")},
	{code: "0-0:96.7.9", point: number("long_power_failures", "Long power failures", "", "")},
	{code: "1-0:32.32.0", point: number("voltage_sags_l1", "Voltage sags L1", "", "")},
	{code: "1-0:52.32.0", point: number("voltage_sags_l2", "Voltage sags L2", "", "")},
	{code: "1-0:72.32.0", point: number("voltage_sags_l3", "Voltage sags L3", "", "")},
	{code: "1-0:32.36.0", point: number("voltage_swells_l1", "Voltage swells L1", "", "")},
	{code: "1-0:52.36.0", point: number("voltage_swells_l2", "Voltage swells L2", "", "")},
	{code: "1-0:72.36.0", point: number("voltage_swells_l3", "Voltage swells L3", "", "")},
	{code: "0-0:17.0.0", point: number("threshold", "Power limit", "", "kW")},
	{code: "1-0:31.4.0", point: number("fuse", "Fuse", "current", "A")},
	{code: "0-0:96.3.10", point: number("breaker", "Breaker", "", "")},
	{code: "1-3:0.2.8", point: text("version", "Telegram version")},
	{code: "0-0:96.1.4", point: text("version", "Telegram version")},
	{code: "0-0:96.1.1", point: text("serial", "Serial number")},
	{code: "0-0:96.13.0", point: text("message", "Message")},
	{code: "0-0:96.13.1", point: text("message_code", "Message code")},
	{code: "0-0:42.0.0", point: text("name", "Logical device name")},
	{code: codeTime, point: devices.Point{Name: "time", Label: "Time", Kind: devices.KindTime, Readable: true}},
}

var byCode = func() map[string]*meaning {
	m := make(map[string]*meaning, len(meanings))
	for i := range meanings {
		m[meanings[i].code] = &meanings[i]
	}
	return m
}()

// isOctets reports whether the values of a code are texts in hexadecimal digits.
func isOctets(code string) bool {
	switch code {
	case "0-0:96.1.1", "0-0:96.13.0", "0-0:96.13.1", "0-0:42.0.0":
		return true
	}
	return strings.HasPrefix(code, "0-") && (strings.HasSuffix(code, ":96.1.0") || strings.HasSuffix(code, ":96.1.1") || strings.HasSuffix(code, ":96.1.2"))
}

// Describe returns what a source means, as far as its code says it, and whether it is known at all: a number that the
// standards do not name may stand in a telegram, too. What is behind an M-Bus channel says only the telegram.
func Describe(source string) (p devices.Point, known bool) {
	code, timed := strings.CutSuffix(source, timeSuffix)
	code = plainCode(code)
	if timed {
		return devices.Point{Kind: devices.KindTime, Readable: true}, true
	}
	if m := byCode[code]; m != nil {
		return m.point, true
	}
	if isOctets(code) {
		return text("", ""), true
	}
	return devices.Point{Kind: devices.KindNumber, Readable: true}, false
}

// IsSource reports whether s could be one.
func IsSource(s string) bool {
	code, _ := strings.CutSuffix(s, timeSuffix)
	return code != "" && isCode(code) && strings.ContainsAny(code, "0123456789") && strings.Contains(code, ".")
}

// media are the meters behind M-Bus channels by their device type (EN 13757-3).
var media = map[int]devices.Point{
	2:  number("electricity", "Electricity", "energy", ""),
	3:  number("gas", "Gas", "gas", ""),
	4:  number("heat", "Heat", "energy", ""),
	6:  number("warm_water", "Warm water", "water", ""),
	7:  number("water", "Water", "water", ""),
	10: number("cold", "Cold", "energy", ""),
	11: number("cold", "Cold", "energy", ""),
	12: number("heat", "Heat", "energy", ""),
	13: number("heat", "Heat", "energy", ""),
	21: number("hot_water", "Hot water", "water", ""),
	22: number("cold_water", "Cold water", "water", ""),
}

// Offers are the points that a telegram has for who names none, with their sources, in the order in which people see them:
// what the meter measures, then what the meters on its M-Bus channels do.
func (t *Telegram) Offers() iter.Seq2[string, devices.Point] {
	return func(yield func(string, devices.Point) bool) {
		for i := range meanings {
			if m := &meanings[i]; m.offered && t.has(m.code) && !yield(m.code, m.point) {
				return
			}
		}
		var names []string
		for i := range t.lines {
			code := t.lines[i].code
			channel, ok := channelOf(code)
			if !ok || slices.ContainsFunc(t.lines[:i], func(l line) bool { return l.code == code }) {
				continue
			}
			v, timed := t.lines[i].value()
			if v.Clockless {
				continue // nothing is there
			}
			p := t.medium(channel)
			p.Unit = v.Unit
			if slices.Contains(names, p.Name) {
				p = behind(p, channel)
			}
			names = append(names, p.Name)
			if !yield(code, p) {
				return
			}
			if timed && !yield(code+timeSuffix, timeOf(p)) {
				return
			}
		}
	}
}

// channels is how many M-Bus channels a meter has.
const channels = 4

// Offered are all the points that [Telegram.Offers] can have, whatever a meter is and whatever is connected to it.
func Offered() []devices.Point {
	var out []devices.Point
	for i := range meanings {
		if meanings[i].offered {
			out = append(out, meanings[i].point)
		}
	}
	counted := map[string]devices.Point{unknownMedium.Name: unknownMedium}
	for _, p := range media {
		counted[p.Name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(counted)) {
		out = append(out, counted[name], timeOf(counted[name]))
		for channel := 1; channel <= channels; channel++ {
			p := behind(counted[name], strconv.Itoa(channel))
			out = append(out, p, timeOf(p))
		}
	}
	return out
}

// unknownMedium is what a meter counts that does not say what it is.
var unknownMedium = number("meter", "Meter", "", "")

// behind is the point of a meter on a channel where one on another has the name already.
func behind(p devices.Point, channel string) devices.Point {
	p.Name, p.Label = p.Name+"_"+channel, p.Label+" "+channel
	return p
}

// timeOf is the point with the time that a meter was read at.
func timeOf(p devices.Point) devices.Point {
	return devices.Point{Name: p.Name + "_time", Label: p.Label + " read at", Kind: devices.KindTime, Readable: true}
}

// medium is what the meter behind an M-Bus channel counts.
func (t *Telegram) medium(channel string) devices.Point {
	if v, ok := t.Find("0-" + channel + ":24.1.0"); ok {
		if n, err := strconv.Atoi(v.Text); err == nil && media[n].Name != "" {
			return media[n]
		}
	}
	return unknownMedium
}

func (t *Telegram) has(code string) bool {
	return slices.ContainsFunc(t.lines, func(l line) bool { return l.code == code })
}

// channelOf is the M-Bus channel of a code for what the meter behind it has counted: 0-n:24.2.1, or another last number.
func channelOf(code string) (channel string, ok bool) {
	rest, ok := strings.CutPrefix(code, "0-")
	channel, rest, cut := strings.Cut(rest, ":")
	if !ok || !cut || channel == "" || channel == "0" || strings.Trim(channel, "0123456789") != "" || len(channel) > 2 {
		return "", false
	}
	return channel, strings.HasPrefix(rest, "24.2.")
}
