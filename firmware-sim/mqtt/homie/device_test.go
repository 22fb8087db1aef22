package homie

import (
	"strings"
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

func blinds(version int) *Device {
	return &Device{Version: version, Ident: "blinds", Name: "Blinds", Nodes: []*Node{{ID: "slats", Name: "Slats", Type: "blind", Properties: []*Property{
		{ID: "position", Name: "Position", Datatype: "integer", Format: "0:100", Unit: "%", Settable: true, Initial: "100", Glide: 10 * time.Second},
		{ID: "lamp", Name: "Lamp", Datatype: "boolean", Settable: true, Initial: "false"},
		{ID: "mode", Name: "Mode", Datatype: "enum", Format: "sun,rain", Settable: true, Initial: "sun"},
		{ID: "light", Name: "Light", Datatype: "float", Unit: "lx", Value: func(time.Time) string { return "120.5" }},
		{ID: "button", Name: "Button", Datatype: "enum", Format: "short,long", Volatile: true},
	}}}}
}

func TestVersion5(t *testing.T) {
	t.Parallel()
	d := blinds(5)
	if will := d.Will(); will.Topic != "homie/5/blinds/$state" || will.Payload != "lost" || !will.Retained {
		t.Errorf("%+v", will)
	}
	start := d.Start(noon)
	if first, last := start[0], start[len(start)-1]; first.Payload != "init" || last.Payload != "ready" || last.Topic != "homie/5/blinds/$state" {
		t.Errorf("%+v … %+v", first, last)
	}
	if got := said(start, "homie/5/blinds/$description"); !strings.Contains(got, `"homie":"5.0"`) || !strings.Contains(got, `"retained":false`) ||
		!strings.Contains(got, `"light":{"datatype":"float","name":"Light","unit":"lx"}`) {
		t.Error(got)
	}
	for _, c := range [][3]string{{"lamp", "true", "true"}, {"lamp", "ON", "(nothing)"}, {"mode", "rain", "rain"}, {"mode", "snow", "(nothing)"},
		{"light", "1", "(nothing)"}, {"position", "200", "(nothing)"}} {
		if got := said(d.Take(noon, "homie/5/blinds/slats/"+c[0]+"/set", c[1]), "homie/5/blinds/slats/"+c[0]); got != c[2] {
			t.Errorf("%v: %s", c, got)
		}
	}
	if got := said(d.Take(noon, "homie/5/blinds/slats/position/set", "20"), "homie/5/blinds/slats/position/$target"); got != "20" {
		t.Error("where it goes:", got)
	}
	if got := said(d.Step(noon.Add(3*time.Second)), "homie/5/blinds/slats/position"); got != "70" {
		t.Error("on its way:", got)
	}
	if got := said(d.Step(noon.Add(9*time.Second)), "homie/5/blinds/slats/position"); got != "20" {
		t.Error("there:", got)
	}
	if m := d.Happen("slats", "button", "long")[0]; m.Retained || m.QoS != 0 {
		t.Errorf("an event is kept: %+v", m)
	}
	if got := said(d.Alert("low battery"), "homie/5/blinds/$alert/service"); got != "low battery" {
		t.Error(got)
	}
	for _, m := range d.Vanish(noon, true) {
		if m.Payload != "" || !m.Retained {
			t.Errorf("left behind: %+v", m)
		}
	}
}

func TestVersion4(t *testing.T) {
	t.Parallel()
	d := blinds(4)
	start := d.Start(noon)
	for topic, want := range map[string]string{"$homie": "4.0.0", "$name": "Blinds", "$nodes": "slats", "slats/$properties": "position,lamp,mode,light,button",
		"slats/position/$format": "0:100", "slats/button/$retained": "false", "slats/lamp/$settable": "true", "slats/light": "120.5", "$state": "ready"} {
		if got := said(start, "homie/blinds/"+topic); got != want {
			t.Errorf("%s says %s, want %s", topic, got, want)
		}
	}
	if got := said(d.Take(noon, "homie/blinds/slats/lamp/set", "true"), "homie/blinds/slats/lamp"); got != "true" {
		t.Error(got)
	}
	if got := said(d.Stop(), "homie/blinds/$state"); got != "disconnected" {
		t.Error(got)
	}
}
