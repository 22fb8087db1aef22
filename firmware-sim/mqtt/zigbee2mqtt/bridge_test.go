package zigbee2mqtt

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func find(messages []board.Message, topic string) *board.Message {
	for i := range messages {
		if messages[i].Topic == topic {
			return &messages[i]
		}
	}
	return nil
}

// has checks that a message is there and has what is wanted in its payload.
func has(t *testing.T, messages []board.Message, topic string, want ...string) {
	t.Helper()
	m := find(messages, topic)
	if m == nil {
		t.Errorf("nothing on %s: %+v", topic, messages)
		return
	}
	for _, w := range want {
		if !strings.Contains(m.Payload, w) {
			t.Errorf("%s: %s lacks %s", topic, m.Payload, w)
		}
	}
}

func house() *Bridge {
	return New(Options{Settle: 5 * time.Second},
		&Device{Kind: Color, IEEE: "0x00158d0000000001", Name: "Lamp", Area: "Hall"},
		&Device{Kind: Shade, IEEE: "0x00158d0000000002", Name: "Blind"},
		&Device{Kind: Plug, IEEE: "0x00158d0000000003", Name: "TV", Environment: Environment{Load: func(time.Time) float64 { return 1000 }}},
		&Device{Kind: Radiator, IEEE: "0x00158d0000000004", Name: "Radiator"},
		&Device{Kind: Contact, IEEE: "0x00158d0000000005", Name: "Door", Environment: Environment{Active: func(at time.Time) bool { return at.Minute() == 1 }}},
	)
}

func TestBridge(t *testing.T) {
	t.Parallel()
	b := house()
	if will := b.Will(); will.Topic != "zigbee2mqtt/bridge/state" || will.Payload != `{"state":"offline"}` || !will.Retained {
		t.Errorf("%+v", will)
	}
	start := b.Start(noon)
	has(t, start, "zigbee2mqtt/bridge/state", `{"state":"online"}`)
	has(t, start, "zigbee2mqtt/Lamp/availability", `{"state":"online"}`)
	has(t, start, "homeassistant/light/0x00158d0000000001/light/config", `"schema":"json"`, `"brightness_scale":254`, `"suggested_area":"Hall"`,
		`"availability_mode":"all"`, `"state_topic":"zigbee2mqtt/Lamp"`, `"unique_id":"0x00158d0000000001_light_zigbee2mqtt"`)
	has(t, start, "homeassistant/binary_sensor/0x00158d0000000005/contact/config", `"payload_on":false`)
	for _, m := range start {
		if m.About == board.Announcement && (!m.Retained || !json.Valid([]byte(m.Payload))) {
			t.Errorf("announced %+v", m)
		}
	}

	has(t, b.Take(noon, "zigbee2mqtt/Lamp/set", `{"state":"ON","brightness":102}`), "zigbee2mqtt/Lamp", `"brightness":102`, `"state":"ON"`)
	has(t, b.Take(noon, "zigbee2mqtt/Lamp/set", `{"color":{"r":255,"g":0,"b":0}}`), "zigbee2mqtt/Lamp", `"color":{"x":0.6401,"y":0.33}`, `"color_mode":"xy"`)
	has(t, b.Take(noon, "zigbee2mqtt/Lamp/set", "off"), "zigbee2mqtt/Lamp", `"state":"OFF"`)
	has(t, b.Take(noon, "zigbee2mqtt/Radiator/set/occupied_heating_setpoint", "19.5"), "zigbee2mqtt/Radiator", `"occupied_heating_setpoint":19.5`)
	has(t, b.Take(noon, "zigbee2mqtt/Lamp/get", `{"state":""}`), "zigbee2mqtt/Lamp", `"state":"OFF"`)
	for _, nothing := range []string{`{"warp":9}`, "\xff", ""} {
		if got := b.Take(noon, "zigbee2mqtt/Radiator/set", nothing); got != nil {
			t.Errorf("%q: %+v", nothing, got)
		}
	}

	b.Take(noon, "zigbee2mqtt/Blind/set", "CLOSE")
	half := noon.Add(4 * time.Second)
	has(t, b.Step(half), "zigbee2mqtt/Blind", `"position":50`, `"motor_state":"closing"`, `"state":"OPEN"`)
	has(t, b.Step(noon.Add(9*time.Second)), "zigbee2mqtt/Blind", `"position":0`, `"motor_state":"stopped"`, `"state":"CLOSE"`)

	b.Take(half, "zigbee2mqtt/TV/set", "ON")
	has(t, b.Step(half.Add(time.Hour)), "zigbee2mqtt/TV", `"power":1000`, `"energy":13.4`)
	if find(b.Step(noon.Add(2*time.Hour).Add(time.Minute)), "zigbee2mqtt/Door") == nil {
		t.Error("the door opened, and nothing was said")
	}
}

func TestBridgeChanges(t *testing.T) {
	t.Parallel()
	b := house()
	b.Start(noon)
	renamed := b.Take(noon, "zigbee2mqtt/bridge/request/device/rename", `{"from":"Lamp","to":"Light","transaction":7}`)
	has(t, renamed, "zigbee2mqtt/bridge/response/device/rename", `"status":"ok"`, `"transaction":7`)
	has(t, renamed, "homeassistant/light/0x00158d0000000001/light/config", `"state_topic":"zigbee2mqtt/Light"`)
	has(t, renamed, "zigbee2mqtt/Light/availability", "online")
	if old := find(renamed, "zigbee2mqtt/Lamp/availability"); old == nil || old.Payload != "" || !old.Retained {
		t.Errorf("the old availability is left: %+v", old)
	}
	has(t, b.Take(noon, "zigbee2mqtt/bridge/request/device/remove", "Nobody"), "zigbee2mqtt/bridge/response/device/remove", `"status":"error"`)
	removed := b.Take(noon, "zigbee2mqtt/bridge/request/device/remove", `{"id":"Light"}`)
	if m := find(removed, "homeassistant/light/0x00158d0000000001/light/config"); m == nil || m.Payload != "" || !m.Retained {
		t.Errorf("still announced: %+v", m)
	}
	if got := b.Take(noon, "zigbee2mqtt/Light/set", "ON"); got != nil {
		t.Errorf("a removed device answers: %+v", got)
	}
	has(t, b.Lose(noon, "Door", true), "zigbee2mqtt/Door/availability", "offline")
	if find(b.Step(noon.Add(time.Hour)), "zigbee2mqtt/Door") != nil {
		t.Error("a lost device is heard")
	}
	b.Take(noon.Add(time.Hour), "homeassistant/status", "online")
	if got := b.Step(noon.Add(time.Hour + 4*time.Second)); len(got) > 0 {
		t.Errorf("too early: %+v", got)
	}
	if got := b.Step(noon.Add(time.Hour + 5*time.Second)); len(got) != 3 {
		t.Errorf("after the birth %d states, want 3", len(got))
	}
	if found := find(b.Rename(noon, true), "zigbee2mqtt/Blind 2/availability"); found == nil {
		t.Error("nothing is called otherwise")
	}
	has(t, b.Vanish(noon, true), "homeassistant/cover/0x00158d0000000002/cover/config")
}
