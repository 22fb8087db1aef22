package zigbee2mqtt

import (
	"math"
	"time"
)

// A Kind is a product.
type Kind uint8

// The products there are.
const (
	Climate  Kind = iota // Aqara WSDCGQ11LM: temperature, humidity, pressure
	Contact              // Aqara MCCGQ11LM: a door or window
	Motion               // Philips 9290012607: occupancy and light
	Leak                 // Aqara SJCGQ11LM: water
	Plug                 // Innr SP 240: a switch that meters
	White                // IKEA LED2101G4: brightness and colour temperature
	Color                // IKEA LED1924G9: colour, too
	Blind                // IKEA E1757: a roller blind, which does not tell that it moves
	Shade                // Aqara ZNCLBL01LM: a roller blind that does
	Radiator             // Bosch BTH-RA: a thermostat
)

// An Environment is what there is to measure where a device is. What is nil is as indoors, in a quiet room.
type Environment struct {
	Temperature func(time.Time) float64 // °C
	Humidity    func(time.Time) float64 // %
	Light       func(time.Time) float64 // lx
	Load        func(time.Time) float64 // W, while on
	Active      func(time.Time) bool    // open, occupied, wet
}

// A Device is one that has joined the network.
type Device struct {
	Kind  Kind
	IEEE  string // 0x and 16 digits
	Name  string // its friendly name
	Area  string // homeassistant.device.suggested_area of its settings; empty: none
	Every time.Duration
	Environment

	state    map[string]any
	position float64 // of a blind: 0 is closed
	target   float64
	moved    time.Time
	energy   float64 // kWh
	metered  time.Time
	said     time.Time
	first    string // the friendly name it joined with
	lost     bool
	removed  bool
}

const (
	defaultEvery = 10 * time.Second
	blindTime    = 8 * time.Second // from closed to open
)

func (d *Device) setUp(now time.Time) {
	d.first = d.Name
	d.metered, d.moved = now, now
	if d.Every == 0 {
		d.Every = defaultEvery
	}
	if d.Temperature == nil {
		d.Temperature = func(time.Time) float64 { return 21 }
	}
	if d.Humidity == nil {
		d.Humidity = func(time.Time) float64 { return 45 }
	}
	if d.Light == nil {
		d.Light = func(time.Time) float64 { return 120 }
	}
	if d.Load == nil {
		d.Load = func(time.Time) float64 { return 40 }
	}
	if d.Active == nil {
		d.Active = func(time.Time) bool { return false }
	}
	d.state = map[string]any{"linkquality": 60 + int(d.IEEE[len(d.IEEE)-1])%8*20}
	switch d.Kind {
	case Plug:
		d.state["state"] = "OFF"
		d.energy = 12.4
	case White, Color:
		d.state["state"], d.state["brightness"], d.state["color_mode"], d.state["color_temp"] = "OFF", 254, "color_temp", 370
		if d.Kind == Color {
			d.state["color"] = map[string]any{"x": 0.4599, "y": 0.4106}
		}
	case Blind, Shade:
		d.position, d.target = 100, 100
		d.state["battery"] = 74
	case Radiator:
		d.state["system_mode"], d.state["occupied_heating_setpoint"], d.state["battery"] = "heat", 21.0, 88
	default:
		d.state["battery"], d.state["voltage"] = 97, 2985
	}
	d.measure(now)
}

// measure brings the state up to date and reports whether something changed that is said at once.
func (d *Device) measure(now time.Time) (urgent bool) {
	flip := func(key string, v any) {
		urgent = urgent || d.state[key] != v
		d.state[key] = v
	}
	switch d.Kind {
	case Climate:
		d.state["temperature"] = round(d.Temperature(now), 2)
		d.state["humidity"] = round(d.Humidity(now), 2)
		d.state["pressure"] = round(1013+4*math.Sin(float64(now.Unix())/40_000), 1)
	case Contact:
		flip("contact", !d.Active(now))
	case Motion:
		lux := int(d.Light(now))
		flip("occupancy", d.Active(now))
		d.state["illuminance"] = lux
		d.state["temperature"] = round(d.Temperature(now), 1)
	case Leak:
		flip("water_leak", d.Active(now))
	case Plug:
		watts := 0.0
		if d.state["state"] == "ON" {
			watts = d.Load(now)
		}
		d.energy += watts * now.Sub(d.metered).Hours() / 1000
		d.metered = now
		d.state["power"], d.state["voltage"] = round(watts, 1), 231
		d.state["current"], d.state["energy"] = round(watts/231, 3), round(d.energy, 3)
	case Blind, Shade:
		step := float64(now.Sub(d.moved)) / float64(blindTime) * 100
		d.moved = now
		moves := "stopped"
		if d.target > d.position {
			d.position = min(d.position+step, d.target)
			moves = "opening"
		} else if d.target < d.position {
			d.position = max(d.position-step, d.target)
			moves = "closing"
		}
		if d.position == d.target {
			moves = "stopped"
		}
		if d.Kind == Shade {
			flip("motor_state", moves)
		}
		flip("position", int(math.Round(d.position)))
		flip("state", map[bool]string{true: "CLOSE", false: "OPEN"}[math.Round(d.position) == 0])
	case Radiator:
		at := d.Temperature(now)
		wanted, _ := d.state["occupied_heating_setpoint"].(float64)
		d.state["local_temperature"] = round(at, 1)
		heats := d.state["system_mode"] != "off" && at < wanted
		flip("running_state", map[bool]string{true: "heat", false: "idle"}[heats])
		d.state["pi_heating_demand"] = 0
		if heats {
			d.state["pi_heating_demand"] = min(100, int((wanted-at)*50)+10)
		}
	}
	return urgent
}

// set obeys one attribute and reports whether there is one of that name.
func (d *Device) set(now time.Time, attribute string, v any) bool {
	number, isNumber := v.(float64)
	text, _ := v.(string)
	switch {
	case attribute == "state" && (d.Kind == Plug || d.Kind == White || d.Kind == Color):
		switch text {
		case "ON", "OFF":
			d.measure(now) // what was used so far
			d.state["state"] = text
		case "TOGGLE":
			d.state["state"] = map[bool]string{true: "OFF", false: "ON"}[d.state["state"] == "ON"]
		}
	case attribute == "state" && (d.Kind == Blind || d.Kind == Shade):
		d.measure(now)
		switch text {
		case "OPEN":
			d.target = 100
		case "CLOSE":
			d.target = 0
		case "STOP":
			d.target = d.position
		}
	case attribute == "position" && (d.Kind == Blind || d.Kind == Shade) && isNumber:
		d.measure(now)
		d.target = min(max(number, 0), 100)
	case attribute == "brightness" && (d.Kind == White || d.Kind == Color) && isNumber:
		level := int(min(max(number, 0), 254))
		d.state["state"] = map[bool]string{true: "ON", false: "OFF"}[level > 0]
		if level > 0 {
			d.state["brightness"] = level
		}
	case attribute == "color_temp" && (d.Kind == White || d.Kind == Color) && isNumber:
		d.state["color_temp"], d.state["color_mode"] = int(min(max(number, 153), 454)), "color_temp"
	case attribute == "color" && d.Kind == Color:
		return d.setColor(v)
	case attribute == "effect" && (d.Kind == White || d.Kind == Color):
	case attribute == "occupied_heating_setpoint" && d.Kind == Radiator && isNumber:
		d.state[attribute] = min(max(math.Round(number*2)/2, 5), 30)
	case attribute == "system_mode" && d.Kind == Radiator && (text == "off" || text == "heat" || text == "auto"):
		d.state[attribute] = text
	default:
		return false
	}
	return true
}

// setColor takes {"x":…,"y":…}, {"r":…,"g":…,"b":…} and {"hex":"#RRGGBB"}.
func (d *Device) setColor(v any) bool {
	parts, ok := v.(map[string]any)
	if !ok {
		return false
	}
	n := func(key string) float64 { f, _ := parts[key].(float64); return f }
	x, y := n("x"), n("y")
	if _, given := parts["r"]; given {
		x, y = xy(n("r"), n("g"), n("b"))
	}
	if y <= 0 {
		return false
	}
	d.state["color"], d.state["color_mode"] = map[string]any{"x": round(x, 4), "y": round(y, 4)}, "xy"
	return true
}

// xy is the chromaticity of a colour of sRGB, 0 to 255 each.
func xy(r, g, b float64) (x, y float64) {
	linear := func(c float64) float64 {
		if c /= 255; c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	r, g, b = linear(r), linear(g), linear(b)
	bigX, bigY, bigZ := 0.4124*r+0.3576*g+0.1805*b, 0.2126*r+0.7152*g+0.0722*b, 0.0193*r+0.1192*g+0.9505*b
	sum := bigX + bigY + bigZ
	if sum == 0 {
		return 0.3127, 0.329
	}
	return bigX / sum, bigY / sum
}

func round(f float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(f*p) / p
}
