package esphome

import (
	"encoding/json"
	"testing"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func said(messages []board.Message, topic string) string {
	text := "(nothing)"
	for _, m := range messages {
		if m.Topic == topic {
			text = m.Payload
		}
	}
	return text
}

func panel() *Node {
	return &Node{Name: "panel", Title: "Panel", Area: "Hall", MAC: "a0b7650000ff", Entities: []Entity{
		&Sensor{Common: Common{Name: "Temperature"}, Class: "temperature", Unit: "°C", Digits: 1, Value: func(time.Time) float64 { return 21.26 }},
		&Binary{Common: Common{Name: "Motion"}, Class: "motion", On: func(at time.Time) bool { return at.Minute() > 0 }},
		&Text{Common: Common{Name: "Version"}, Value: func(time.Time) string { return "1.2" }},
		&Switch{Common: Common{Name: "Relay"}}, &Light{Common: Common{Name: "Ring"}, Brightness: 255, Effects: []string{"Pulse"}},
		&Cover{Common: Common{Name: "Gate"}, Class: "gate", Travel: 10 * time.Second},
		&Climate{Common: Common{Name: "Floor"}, Target: 20, Mode: "heat", Temperature: func(time.Time) float64 { return 19 }},
		&Fan{Common: Common{Name: "Fan"}, Speed: 1, Speeds: 3}, &Lock{Common: Common{Name: "Bolt"}},
		&Number{Common: Common{Name: "Delay"}, Max: 60, Step: 5}, &Select{Common: Common{Name: "Mode"}, Options: []string{"Eco", "Full"}, Value: "Eco"},
		&Button{Common: Common{Name: "Restart"}, Class: "restart"},
	}}
}

func TestNode(t *testing.T) {
	t.Parallel()
	n := panel()
	if will := n.Will(); will.Topic != "panel/status" || will.Payload != "offline" || !will.Retained {
		t.Errorf("%+v", will)
	}
	start := n.Start(noon)
	for topic, want := range map[string]string{
		"panel/status": "online", "panel/sensor/temperature/state": "21.3", "panel/binary_sensor/motion/state": "OFF", "panel/sensor/version/state": "1.2",
		"panel/switch/relay/state": "OFF", "panel/cover/gate/position/state": "0", "panel/climate/floor/action/state": "heating", "panel/lock/bolt/state": "LOCKED",
		"panel/light/ring/state": `{"brightness":255,"color":{"b":0,"g":0,"r":0},"color_mode":"rgb","effect":"None","state":"OFF"}`,
	} {
		if got := said(start, topic); got != want {
			t.Errorf("%s says %s, want %s", topic, got, want)
		}
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(said(start, "homeassistant/cover/panel/gate/config")), &config); err != nil {
		t.Fatal(err)
	}
	if config["stat_t"] != nil || config["pos_t"] != "panel/cover/gate/position/state" || config["cmd_t"] != "panel/cover/gate/command" ||
		config["avty_t"] != "panel/status" || config["dev"].(map[string]any)["sa"] != "Hall" {
		t.Errorf("a cover with a position: %v", config)
	}
	for _, c := range []struct{ topic, payload, at, want string }{
		{"switch/relay/command", "ON", "switch/relay/state", "ON"},
		{"switch/relay/command", "WARP", "switch/relay/state", "ON"},
		{"light/ring/command", `{"state":"ON","brightness":128,"color":{"r":255,"g":0,"b":7}}`, "light/ring/state",
			`{"brightness":128,"color":{"b":7,"g":0,"r":255},"color_mode":"rgb","effect":"None","state":"ON"}`},
		{"climate/floor/target_temperature/command", "18.5", "climate/floor/target_temperature/state", "18.5"},
		{"climate/floor/mode/command", "OFF", "climate/floor/mode/state", "off"},
		{"fan/fan/speed_level/command", "3", "fan/fan/speed_level/state", "3"},
		{"fan/fan/command", "OFF", "fan/fan/state", "OFF"},
		{"lock/bolt/command", "UNLOCK", "lock/bolt/state", "UNLOCKED"},
		{"number/delay/command", "61", "number/delay/state", "0"},
		{"number/delay/command", "15", "number/delay/state", "15"},
		{"select/mode/command", "Full", "select/mode/state", "Full"},
	} {
		if got := said(n.Take(noon, "panel/"+c.topic, c.payload), "panel/"+c.at); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.topic, c.payload, got, c.want)
		}
	}
	n.Take(noon, "panel/cover/gate/command", "OPEN")
	if got := said(n.Step(noon.Add(3*time.Second)), "panel/cover/gate/position/state"); got != "30" {
		t.Errorf("after 3 of 10 seconds the gate is at %s", got)
	}
	n.Take(noon.Add(4*time.Second), "panel/cover/gate/command", "STOP")
	if got := said(n.Step(noon.Add(9*time.Second)), "panel/cover/gate/position/state"); got != "(nothing)" {
		t.Errorf("it was stopped, and is at %s", got)
	}
	if got := said(n.Step(noon.Add(time.Minute)), "panel/binary_sensor/motion/state"); got != "ON" {
		t.Errorf("motion: %s", got)
	}
	if got := n.Vanish(noon, true); said(got, "homeassistant/lock/panel/bolt/config") != "" || len(got) != 12 {
		t.Errorf("still announced: %+v", got)
	}
}
