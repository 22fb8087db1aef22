package tasmota

import (
	"time"

	"tidings/firmware-sim/mqtt/board"
)

// The numbers of places in the lists of an announcement.
const (
	relays, switches, buttons, names = 32, 28, 32, 8
)

// announce is the device's discovery.
func (d *Device) announce(now time.Time) []board.Message {
	config := board.Message{Topic: "tasmota/discovery/" + d.MAC + "/config", Retained: true, About: board.Announcement}
	sensors := board.Message{Topic: "tasmota/discovery/" + d.MAC + "/sensors", Retained: true, About: board.Announcement}
	if !d.gone {
		config.Payload = board.JSON(d.config())
		sensors.Payload = board.JSON(map[string]any{"sn": d.sensors(now), "ver": 1})
	}
	return []board.Message{config, sensors}
}

func (d *Device) config() map[string]any {
	name := d.Name
	if d.renamed {
		name += " 2"
	}
	friendly, relay := make([]any, names), make([]int, relays)
	friendly[0] = name
	subtype, module := 0, "Sonoff Basic"
	shutters, tilts := []int{}, [][3]int{}
	switch d.Kind {
	case Relay:
		relay[0] = 1
	case Plug:
		relay[0], module = 1, "Athom Plug V2"
	case Dimmer:
		relay[0], subtype, module = 2, 1, "Athom Dimmer"
	case RGBCCT:
		relay[0], subtype, module = 2, 5, "Athom Bulb 15W"
	case Shutter:
		relay[0], relay[1], module = 3, 3, "Shelly 2.5"
		friendly[1] = name + " down"
		shutters, tilts = []int{0}, [][3]int{{0, 0, 0}}
	case Sensor:
		module = "Generic"
	}
	modes, wired := make([]int, switches), make([]any, switches)
	for i := range modes {
		modes[i] = -1
	}
	return map[string]any{
		"ip": "192.168.1.42", "dn": name, "fn": friendly, "hn": d.Topic, "mac": d.MAC, "md": module, "ty": 0, "if": 0,
		"ofln": "Offline", "onln": "Online", "state": []string{"OFF", "ON", "TOGGLE", "HOLD"}, "sw": version,
		"t": d.Topic, "ft": "%prefix%/%topic%/", "tp": []string{"cmnd", "stat", "tele"},
		"rl": relay, "swc": modes, "swn": wired, "btn": make([]int, buttons),
		"so": map[string]int{"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0},
		"lk": 1, "lt_st": subtype, "bat": 0, "dslp": 0, "sho": shutters, "sht": tilts, "ver": 1,
	}
}
