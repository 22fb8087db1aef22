package tasmota

import (
	"strings"
	"testing"
	"time"

	"tidings/firmware-sim/mqtt/board"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func said(messages []board.Message, topic string) string {
	for _, m := range messages {
		if m.Topic == topic {
			return m.Payload
		}
	}
	return "(nothing)"
}

// asks sends commands and looks for what is wanted in the answers.
func asks(t *testing.T, d *Device, at time.Time, rows ...[4]string) {
	t.Helper()
	for _, r := range rows {
		if got := said(d.Take(at, "cmnd/"+d.Topic+"/"+r[0], r[1]), "stat/"+d.Topic+"/"+r[2]); !strings.Contains(got, r[3]) {
			t.Errorf("%s %s: %s says %s, want %s", r[0], r[1], r[2], got, r[3])
		}
	}
}

func TestPlug(t *testing.T) {
	t.Parallel()
	d := &Device{Kind: Plug, Topic: "plug", MAC: "DC4F22A1B2C3", Name: "Plug", Load: func(time.Time) float64 { return 1000 }}
	if will := d.Will(); will.Topic != "tele/plug/LWT" || will.Payload != "Offline" || !will.Retained || d.ID() != "DVES_A1B2C3" {
		t.Errorf("%+v", will)
	}
	start := d.Start(noon)
	for topic, want := range map[string]string{
		"tele/plug/LWT": "Online", "tele/plug/STATE": `"POWER":"OFF"`, "tele/plug/SENSOR": `"Total":3.2`,
		"tasmota/discovery/DC4F22A1B2C3/config":  `"rl":[1,0,0,0`,
		"tasmota/discovery/DC4F22A1B2C3/sensors": `{"sn":{"ENERGY":{`,
	} {
		if got := said(start, topic); !strings.Contains(got, want) {
			t.Errorf("%s: %s lacks %s", topic, got, want)
		}
	}
	asks(t, d, noon,
		[4]string{"POWER", "on", "RESULT", `{"POWER":"ON"}`}, [4]string{"Power1", "", "POWER", "ON"}, [4]string{"POWER", "TOGGLE", "POWER", "OFF"},
		[4]string{"Backlog", "Power 1; Status 10", "STATUS10", `{"StatusSNS":{`}, [4]string{"STATUS", "11", "STATUS11", `"POWER":"ON"`},
		[4]string{"STATUS", "8", "STATUS8", "ENERGY"}, [4]string{"STATUS", "0", "STATUS2", version}, [4]string{"STATE", "", "RESULT", `"UptimeSec":0`},
		[4]string{"Warp", "9", "RESULT", `"Command":"Unknown"`}, [4]string{"Dimmer", "9", "RESULT", `"Command":"Unknown"`},
		[4]string{"TelePeriod", "60", "RESULT", `{"TelePeriod":60}`},
	)
	if got := said(d.Step(noon.Add(time.Hour)), "tele/plug/SENSOR"); !strings.Contains(got, `"Total":4.2`) || !strings.Contains(got, `"Power":1000`) {
		t.Error(got)
	}
	for _, m := range d.Vanish(noon, true) {
		if m.Payload != "" || !m.Retained {
			t.Errorf("still announced: %+v", m)
		}
	}
}

func TestLights(t *testing.T) {
	t.Parallel()
	bulb := &Device{Kind: RGBCCT, Topic: "ball", MAC: "DC4F22A1B2C4", Name: "Ball"}
	if got := said(bulb.Start(noon), "tasmota/discovery/DC4F22A1B2C4/config"); !strings.Contains(got, `"lt_st":5`) || !strings.Contains(got, `"rl":[2,0,`) {
		t.Error(got)
	}
	asks(t, bulb, noon,
		[4]string{"Dimmer", "40", "RESULT", `"Dimmer":40`}, [4]string{"Dimmer", "40", "RESULT", `"POWER":"ON"`},
		[4]string{"HSBColor", "120,100,50", "RESULT", `"Color":"0080000000"`}, [4]string{"Color", "#FF0000", "RESULT", `"HSBColor":"0,100,100"`},
		[4]string{"Dimmer", "40", "RESULT", `"Dimmer":40`}, [4]string{"Color2", "0,0,255", "RESULT", `"HSBColor":"240,100,40"`},
		[4]string{"Dimmer", "100", "RESULT", `"Dimmer":100`}, [4]string{"CT", "300", "RESULT", `"CT":300`}, [4]string{"CT", "300", "RESULT", `"White":100`}, [4]string{"White", "20", "RESULT", `"White":20`},
		[4]string{"CT", "900", "RESULT", `"CT":300`}, [4]string{"Dimmer", "0", "POWER", "OFF"},
	)
	dimmer := &Device{Kind: Dimmer, Topic: "desk", MAC: "DC4F22A1B2C5", Name: "Desk"}
	dimmer.Start(noon)
	asks(t, dimmer, noon, [4]string{"Dimmer", "30", "RESULT", `"Channel":[30]`}, [4]string{"Dimmer", "+", "RESULT", `"Dimmer":40`}, [4]string{"CT", "300", "RESULT", "Unknown"})
}

func TestShutter(t *testing.T) {
	t.Parallel()
	d := &Device{Kind: Shutter, Topic: "shutter", MAC: "DC4F22A1B2C6", Name: "Shutter", Travel: 10 * time.Second}
	if got := said(d.Start(noon), "tasmota/discovery/DC4F22A1B2C6/config"); !strings.Contains(got, `"rl":[3,3,0`) || !strings.Contains(got, `"sho":[0]`) {
		t.Error(got)
	}
	asks(t, d, noon, [4]string{"ShutterClose1", "", "RESULT", `{"Shutter1":{"Direction":-1,"Position":100,"Target":0,"Tilt":0}}`})
	if got := said(d.Step(noon.Add(5*time.Second)), "stat/shutter/RESULT"); got != `{"Shutter1":{"Direction":-1,"Position":50,"Target":0,"Tilt":0}}` {
		t.Error(got)
	}
	asks(t, d, noon.Add(6*time.Second), [4]string{"ShutterStop1", "", "RESULT", `{"Shutter1":{"Direction":0,"Position":40,"Target":40,"Tilt":0}}`},
		[4]string{"ShutterPosition1", "60", "RESULT", `"Target":60`}, [4]string{"ShutterPosition1", "160", "RESULT", "Error"})
	if got := said(d.Step(noon.Add(9*time.Second)), "stat/shutter/RESULT"); got != `{"Shutter1":{"Direction":0,"Position":60,"Target":60,"Tilt":0}}` {
		t.Error(got)
	}
}
