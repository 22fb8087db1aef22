package tasmota

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// Take obeys a command. What comes to all devices counts, too.
func (d *Device) Take(now time.Time, topic, payload string) []board.Message {
	command := strings.ToUpper(topic[strings.LastIndexByte(topic, '/')+1:])
	if rest, ok := strings.CutPrefix(command, "BACKLOG"); ok && strings.Trim(rest, "0123456789") == "" {
		var out []board.Message
		for _, part := range strings.Split(payload, ";") {
			name, argument, _ := strings.Cut(strings.TrimSpace(part), " ")
			out = append(out, d.obey(now, strings.ToUpper(name), strings.TrimSpace(argument))...)
		}
		return out
	}
	return d.obey(now, command, strings.TrimSpace(payload))
}

func (d *Device) obey(now time.Time, command, payload string) []board.Message {
	if command == "" {
		return nil
	}
	switch strings.TrimSuffix(command, "1") {
	case "STATE":
		return []board.Message{d.say("stat", "RESULT", d.state(now))}
	case "STATUS":
		return d.status(now, payload)
	case "TELEPERIOD":
		if n, err := strconv.Atoi(payload); err == nil && n >= 10 && n <= 3600 {
			d.Every = time.Duration(n) * time.Second
		}
		return append([]board.Message{d.say("stat", "RESULT", map[string]any{"TelePeriod": int(d.Every.Seconds())})}, d.report(now)...)
	case "POWER":
		if d.Kind != Sensor && d.Kind != Shutter {
			return d.switched(now, payload)
		}
	case "DIMMER", "HSBCOLOR", "COLOR", "COLOR2", "CT", "WHITE":
		if d.light() {
			if out := d.lit(strings.TrimSuffix(command, "1"), payload); out != nil {
				return out
			}
		}
	case "SHUTTEROPEN", "SHUTTERCLOSE", "SHUTTERSTOP", "SHUTTERPOSITION":
		if d.Kind == Shutter {
			return d.drive(now, strings.TrimSuffix(command, "1"), payload)
		}
	}
	return []board.Message{d.say("stat", "RESULT", map[string]any{"Command": "Unknown", "Input": command + " " + payload})}
}

// status answers the parts of Status that are asked for.
func (d *Device) status(now time.Time, payload string) []board.Message {
	parts := map[string]any{
		"": map[string]any{"Status": map[string]any{"DeviceName": d.Name, "FriendlyName": []string{d.Name}, "Topic": d.Topic,
			"Power": map[bool]string{true: "1", false: "0"}[d.on]}},
		"2":  map[string]any{"StatusFWR": map[string]any{"Version": version + "(tasmota)", "Hardware": "ESP8266EX"}},
		"5":  map[string]any{"StatusNET": map[string]any{"Hostname": d.Topic, "IPAddress": "192.168.1.42", "Mac": d.MAC}},
		"10": map[string]any{"StatusSNS": d.sensors(now)},
		"11": map[string]any{"StatusSTS": d.state(now)},
	}
	if payload == "8" {
		return []board.Message{d.say("stat", "STATUS8", parts["10"])}
	}
	var out []board.Message
	for _, n := range []string{"", "2", "5", "10", "11"} {
		if payload == "0" || payload == n {
			out = append(out, d.say("stat", "STATUS"+n, parts[n]))
		}
	}
	return out
}

// switched is Power: 0, 1, 2 or a word; nothing asks.
func (d *Device) switched(now time.Time, payload string) []board.Message {
	d.meter(now)
	switch strings.ToUpper(payload) {
	case "ON", "1", "TRUE":
		d.on = true
	case "OFF", "0", "FALSE":
		d.on = false
	case "TOGGLE", "2":
		d.on = !d.on
	}
	return []board.Message{d.say("stat", "RESULT", map[string]any{"POWER": d.power()}), d.relay()}
}

// lit is a command of lights: by default they go on with it (SetOption20 0). Nothing is answered to what it does not take.
func (d *Device) lit(command, payload string) []board.Message {
	n, err := strconv.Atoi(payload)
	was := d.on
	switch {
	case payload == "": // asks
	case command == "DIMMER" && (payload == "+" || payload == "-"):
		d.dimmer = min(max(d.dimmer+map[string]int{"+": 10, "-": -10}[payload], 0), 100)
		d.on = d.dimmer > 0
	case command == "DIMMER" && err == nil && n >= 0 && n <= 100:
		if d.on = n > 0; d.on {
			d.dimmer = n
		}
	case d.Kind != RGBCCT:
		return nil
	case command == "CT" && err == nil && n >= 153 && n <= 500:
		d.ct, d.on = n, true
	case command == "WHITE" && err == nil && n >= 0 && n <= 100:
		d.ct, d.dimmer, d.on = max(d.ct, 153), n, n > 0
	case command == "HSBCOLOR":
		var h, s, b int
		if _, err := fmt.Sscanf(payload, "%d,%d,%d", &h, &s, &b); err != nil || h < 0 || h > 360 || s < 0 || s > 100 || b < 0 || b > 100 {
			return nil
		}
		d.hue, d.sat, d.ct, d.on = h, s, 0, b > 0
		if d.on {
			d.dimmer = b
		}
	case command == "COLOR" && !d.colored(payload):
		return nil
	case command == "COLOR2": // as bright as it was
		level := d.dimmer
		if !d.colored(payload) {
			return nil
		}
		d.dimmer = level
	}
	s := map[string]any{"POWER": d.power()}
	d.lights(s)
	out := []board.Message{d.say("stat", "RESULT", s)}
	if d.on != was {
		out = append(out, d.relay())
	}
	return out
}

// colored is Color: #RRGGBB, RRGGBB with or without channels of white, or decimals with commas.
func (d *Device) colored(payload string) bool {
	var r, g, b int
	text := strings.TrimPrefix(payload, "#")
	if strings.Contains(text, ",") {
		if _, err := fmt.Sscanf(text, "%d,%d,%d", &r, &g, &b); err != nil {
			return false
		}
	} else {
		v, err := strconv.ParseUint(text[:min(len(text), 6)], 16, 24)
		if err != nil || len(text) < 6 {
			return false
		}
		r, g, b = int(v>>16), int(v>>8&255), int(v&255)
	}
	top, low := max(r, g, b), min(r, g, b)
	if top == 0 {
		d.on = false
		return true
	}
	h := 0.0
	if span := float64(top - low); span > 0 {
		switch top {
		case r:
			h = math.Mod(float64(g-b)/span+6, 6)
		case g:
			h = float64(b-r)/span + 2
		default:
			h = float64(r-g)/span + 4
		}
	}
	d.hue, d.sat, d.dimmer = int(math.Round(h*60)), (top-low)*100/top, top*100/255
	d.ct, d.on = 0, true
	return true
}

// drive has the motor run.
func (d *Device) drive(now time.Time, command, payload string) []board.Message {
	d.move(now)
	switch n, err := strconv.Atoi(payload); {
	case command == "SHUTTEROPEN":
		d.target = 100
	case command == "SHUTTERCLOSE":
		d.target = 0
	case command == "SHUTTERSTOP":
		d.target = d.position
	case payload == "":
	case err != nil || n < 0 || n > 100:
		return []board.Message{d.say("stat", "RESULT", map[string]any{"Command": "Error"})}
	default:
		d.target = float64(n)
	}
	d.moves = 0
	if d.target > d.position {
		d.moves = 1
	} else if d.target < d.position {
		d.moves = -1
	}
	d.moved = now
	return []board.Message{d.say("stat", "RESULT", d.shutter())}
}
