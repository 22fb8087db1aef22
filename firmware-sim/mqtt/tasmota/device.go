package tasmota

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

const version = "15.1.0"

// A Kind is what the hardware of a device is.
type Kind uint8

// The hardware there is.
const (
	Relay   Kind = iota
	Plug         // a relay that meters
	Dimmer       // a light of one channel
	RGBCCT       // a light of five: colours, and cold and warm white
	Shutter      // two relays and a motor
	Sensor       // an AM2301: temperature and humidity, no relay
)

// A Device is firmware. What is exported is set before it starts.
type Device struct {
	Kind  Kind
	Topic string
	MAC   string // 12 digits, upper case
	Name  string // DeviceName, and FriendlyName1
	Every time.Duration

	Temperature, Humidity func(time.Time) float64 // of a Sensor
	Load                  func(time.Time) float64 // W, of a Plug that is on
	Travel                time.Duration           // of a Shutter; default 12 s

	begun    time.Time
	said     time.Time
	renamed  bool
	gone     bool
	on       bool
	dimmer   int // %
	hue, sat int // 0–360, 0–100
	ct       int // 153–500; 0: it shines in colour
	position float64
	target   float64
	moves    int // 1 opens, -1 closes
	moved    time.Time
	energy   float64 // kWh
	metered  time.Time
}

// ID is the client's.
func (d *Device) ID() string { return "DVES_" + d.MAC[len(d.MAC)-6:] }

// Will says that the device is offline.
func (d *Device) Will() board.Message { return d.presence("Offline") }

func (d *Device) presence(word string) board.Message {
	return board.Message{Topic: "tele/" + d.Topic + "/LWT", Payload: word, Retained: true, QoS: 1, About: board.Presence}
}

// Filters are what it listens to: its own topic, that of all, and its fallback topic.
func (d *Device) Filters() []string {
	return []string{"cmnd/" + d.Topic + "/#", "cmnd/tasmotas/#", "cmnd/" + d.ID() + "_fb/#"}
}

func (d *Device) say(prefix, what string, v any) board.Message {
	return board.Message{Topic: prefix + "/" + d.Topic + "/" + what, Payload: board.JSON(v)}
}

func (d *Device) light() bool { return d.Kind == Dimmer || d.Kind == RGBCCT }

// Start says what the device is and how.
func (d *Device) Start(now time.Time) []board.Message {
	if d.begun.IsZero() {
		d.begun, d.metered, d.moved = now, now, now
		d.Every, d.Travel = cmp.Or(d.Every, 10*time.Second), cmp.Or(d.Travel, 12*time.Second)
		d.dimmer, d.hue, d.ct, d.energy = 100, 30, 153, 3.2
		d.position, d.target = 100, 100
	}
	out := []board.Message{d.presence("Online")}
	if d.Kind != Sensor && d.Kind != Shutter {
		out = append(out, d.say("stat", "RESULT", map[string]any{"POWER": d.power()}), d.relay())
	}
	out = append(out, d.announce(now)...)
	return append(out, d.report(now)...)
}

// relay is what follows a relay.
func (d *Device) relay() board.Message {
	return board.Message{Topic: "stat/" + d.Topic + "/POWER", Payload: d.power()}
}

func (d *Device) power() string {
	if d.on {
		return "ON"
	}
	return "OFF"
}

// report is STATE and, where there are sensors, SENSOR.
func (d *Device) report(now time.Time) []board.Message {
	d.said = now
	out := []board.Message{d.say("tele", "STATE", d.state(now))}
	if s := d.sensors(now); len(s) > 1 {
		out = append(out, d.say("tele", "SENSOR", s))
	}
	return out
}

// Step moves the shutter, and reports when it is due.
func (d *Device) Step(now time.Time) []board.Message {
	var out []board.Message
	if d.moves != 0 {
		d.move(now)
		out = append(out, d.say("stat", "RESULT", d.shutter()))
	}
	if now.Sub(d.said) >= d.Every {
		out = append(out, d.report(now)...)
	}
	return out
}

// Stop says that the device goes.
func (d *Device) Stop() []board.Message { return []board.Message{d.presence("Offline")} }

// Rename gives it another DeviceName.
func (d *Device) Rename(now time.Time, on bool) []board.Message {
	d.renamed = on
	return d.announce(now)
}

// Vanish is SetOption19: its discovery is switched off.
func (d *Device) Vanish(now time.Time, on bool) []board.Message {
	d.gone = on
	return d.announce(now)
}

func (d *Device) move(now time.Time) {
	step := float64(now.Sub(d.moved)) / float64(d.Travel) * 100
	d.moved = now
	if d.moves > 0 {
		d.position = min(d.position+step, d.target)
	} else if d.moves < 0 {
		d.position = max(d.position-step, d.target)
	}
	if d.position == d.target {
		d.moves = 0
	}
}

func (d *Device) shutter() map[string]any {
	return map[string]any{"Shutter1": map[string]any{"Position": int(math.Round(d.position)), "Direction": d.moves, "Target": int(math.Round(d.target)), "Tilt": 0}}
}

// state is what STATE says.
func (d *Device) state(now time.Time) map[string]any {
	up := int(now.Sub(d.begun).Seconds())
	s := map[string]any{"Time": clock(now), "Uptime": fmt.Sprintf("%dT%02d:%02d:%02d", up/86400, up/3600%24, up/60%60, up%60), "UptimeSec": up,
		"Heap": 25, "SleepMode": "Dynamic", "Sleep": 50, "LoadAvg": 19, "MqttCount": 1,
		"Wifi": map[string]any{"AP": 1, "SSId": "home", "BSSId": "B0:95:75:11:22:33", "Channel": 6, "Mode": "HT20", "RSSI": 72, "Signal": -64, "LinkCount": 1,
			"Downtime": "0T00:00:03"}}
	switch d.Kind {
	case Relay, Plug, Dimmer, RGBCCT:
		s["POWER"] = d.power()
	case Shutter:
		s["POWER1"], s["POWER2"] = onOff(d.moves > 0), onOff(d.moves < 0)
	}
	if d.light() {
		d.lights(s)
		s["Fade"], s["Speed"], s["LedTable"] = "OFF", 1, "ON"
	}
	return s
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

// lights adds what a light says of itself.
func (d *Device) lights(s map[string]any) {
	s["Dimmer"] = d.dimmer
	if d.Kind != RGBCCT {
		s["Channel"] = []int{d.dimmer}
		return
	}
	r, g, b := hsb(float64(d.hue), float64(d.sat)/100, float64(d.dimmer)/100)
	warm := (d.ct - 153) * 100 / (500 - 153)
	cold, hot, white := 0, 0, 0
	if d.ct > 0 {
		r, g, b, white = 0, 0, 0, d.dimmer
		cold, hot = (100-warm)*d.dimmer/100, warm*d.dimmer/100
	}
	s["Color"] = fmt.Sprintf("%02X%02X%02X%02X%02X", r, g, b, cold*255/100, hot*255/100)
	level := d.dimmer
	if d.ct > 0 {
		level = 0
	}
	s["HSBColor"], s["White"] = fmt.Sprintf("%d,%d,%d", d.hue, d.sat, level), white
	s["CT"] = max(d.ct, 153)
	s["Channel"] = []int{r * 100 / 255, g * 100 / 255, b * 100 / 255, cold, hot}
}

// sensors is what SENSOR says.
func (d *Device) sensors(now time.Time) map[string]any {
	s := map[string]any{"Time": clock(now)}
	switch d.Kind {
	case Plug:
		watts := 0.0
		if d.on {
			watts = d.Load(now)
		}
		d.meter(now)
		s["ENERGY"] = map[string]any{"TotalStartTime": "2026-01-01T00:00:00", "Total": round(d.energy, 3), "Yesterday": 0.412,
			"Today": round(d.energy-3.2, 3), "Power": round(watts, 0), "ApparentPower": round(watts*1.05, 0), "ReactivePower": round(watts*0.3, 0),
			"Factor": 0.95, "Voltage": 231, "Current": round(watts/231, 3)}
	case Shutter:
		d.move(now)
		s["Shutter1"] = d.shutter()["Shutter1"]
	case Sensor:
		t, h := d.Temperature(now), d.Humidity(now)
		s["AM2301"] = map[string]any{"Temperature": round(t, 1), "Humidity": round(h, 1), "DewPoint": round(t-(100-h)/5, 1)}
		s["TempUnit"] = "C"
	}
	return s
}

func (d *Device) meter(now time.Time) {
	if d.on && d.Load != nil {
		d.energy += d.Load(now) * now.Sub(d.metered).Hours() / 1000
	}
	d.metered = now
}

func clock(now time.Time) string { return now.Format("2006-01-02T15:04:05") }

func round(f float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(f*p) / p
}

// hsb is a colour as three channels of 0 to 255.
func hsb(h, s, b float64) (red, green, blue int) {
	part := func(n float64) int {
		k := math.Mod(n+h/60, 6)
		return int(math.Round(255 * b * (1 - s*max(0, min(k, 4-k, 1)))))
	}
	return part(5), part(3), part(1)
}
