package mapping

import (
	"cmp"
	"slices"
	"strings"

	"tidings/devices"
)

// How much a reading says of a device at a glance: the lower, the more. What is not here says usual where it can be set or is no
// number, and ordinary where it is a number that is only measured.
const (
	usual    = 1
	ordinary = 3
	electric = 5 // this and what follows is shown when there is nothing else
	service  = 9 // how the device itself does
)

var tellingSwitches = map[string]int{
	"awning": 0, "blind": 0, "carbon_monoxide": 0, "curtain": 0, "door": 0, "garage": 0, "garage_door": 0, "gas": 0, "gate": 0, "moisture": 0,
	"motion": 0, "occupancy": 0, "opening": 0, "presence": 0, "shade": 0, "shutter": 0, "smoke": 0, "sound": 0, "valve": 0, "vibration": 0,
	"window":  0,
	"battery": service, "battery_charging": service, "connectivity": service, "problem": service, "tamper": service, "update": service,
}

var tellingNumbers = map[string]int{
	"power": usual, "temperature": usual,
	"carbon_dioxide": 2, "humidity": 2, "pm10": 2, "pm25": 2, "precipitation": 2, "wind_speed": 2,
	"atmospheric_pressure": 4, "pressure": 4,
	"apparent_power": electric, "current": electric, "frequency": electric, "power_factor": electric, "reactive_power": electric, "voltage": electric,
	"battery": service, "data_rate": service, "data_size": service, "duration": service, "signal_strength": service,
}

func (p *Point) telling() int {
	if p.Minor {
		return service
	}
	weights, otherwise := tellingSwitches, usual
	if p.Kind == devices.KindText && !p.Writable {
		otherwise = ordinary // words beside a state: "not fully locked"
	}
	if p.Kind == devices.KindNumber {
		weights = tellingNumbers
		if !p.Writable {
			otherwise = ordinary
		}
	}
	if weight, ok := weights[p.Class]; ok {
		switch {
		case p.beside():
			return max(weight, ordinary)
		case len(p.Name) > 2 && p.Name[1] == '_' && p.Name[0] <= 'c': // one phase of three
			return max(weight, electric)
		}
		return weight
	}
	if p.Unit == "°" && !p.Writable {
		return electric // where on earth, or under which angle
	}
	return otherwise
}

// beside reports whether it is not what one takes for the temperature.
func (p *Point) beside() bool {
	return strings.HasPrefix(p.Name, "device_") || strings.HasSuffix(p.Name, "dew_point")
}

// aims finds the numbers that say what another one is to be.
func (s *shape) aims() {
	for i := range s.points {
		s.points[i].aim = s.measured(&s.points[i]) >= 0
	}
}

// measured is the point that a number which can be set is the aim of: the first one of its unit that is only read and says something
// of the room. Shares are of anything: of those only what is called a target is one. It is -1 where there is none.
func (s *shape) measured(p *Point) int {
	if !p.Writable || p.Kind != devices.KindNumber || p.Unit == "" || p.Minor || p.Unit == "%" && !strings.Contains(p.Name, "target") {
		return -1
	}
	for i := range s.points {
		if q := &s.points[i]; q.Readable && !q.Writable && q.Kind == devices.KindNumber && q.Unit == p.Unit && !q.beside() && q.telling() < service {
			return i
		}
	}
	return -1
}

// most are the two points that say most of a device, in its driver's order where they say as much, and what is measured before what it
// is to be: what is shown of one that announced itself. Whoever writes a device down begins with what counts, so that of those it is
// the first two.
func (s *shape) most() []int {
	var all []int
	for i := range s.points {
		if p := &s.points[i]; p.Measured() && p.Kind != devices.KindEvent {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(s.points[a].telling(), s.points[b].telling()) })
	for k := 0; k < min(len(all), 2); k++ {
		measured := s.measured(&s.points[all[k]])
		if from := slices.Index(all, measured); from > k {
			all = slices.Insert(slices.Delete(all, from, from+1), k, measured)
		}
	}
	all = all[:min(len(all), 2)]
	if len(all) == 2 && s.points[all[0]].telling() < electric && s.points[all[1]].telling() >= electric {
		all = all[:1]
	}
	return all
}
