package shelly

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

// call sends a request as src "me" and returns the answer and the notification.
func call(d *Device, at time.Time, method, params string) (answer, notice string) {
	out := d.Take(at, d.id()+"/rpc", `{"id":1,"src":"me","method":"`+method+`","params":`+params+`}`)
	return said(out, "me/rpc"), said(out, d.id()+"/events/rpc")
}

func contains(t *testing.T, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	d := &Device{Model: Plus1PM, MAC: "A8032ABE54DC", Name: "Boiler", Status: true, Load: func(time.Time) float64 { return 2000 }}
	if will := d.Will(); will.Topic != "shellyplus1pm-a8032abe54dc/online" || will.Payload != "false" || !will.Retained {
		t.Errorf("%+v", will)
	}
	start := d.Start(noon)
	contains(t, said(start, d.id()+"/online"), "true")
	contains(t, said(start, d.id()+"/events/rpc"), `"method":"NotifyFullStatus"`, `"switch:0"`, `"sys"`)
	contains(t, said(start, d.id()+"/status/switch:0"), `"output":false`)

	answer, notice := call(d, noon, "Switch.Set", `{"id":0,"on":true}`)
	contains(t, answer, `"result":{"was_on":false}`, `"id":1`, `"dst":"me"`)
	contains(t, notice, `"method":"NotifyStatus"`, `"output":true`, `"apower":2000`, `"source":"MQTT"`)
	answer, _ = call(d, noon, "Switch.Set", `{"id":0}`)
	contains(t, answer, `"error":{"code":-103`)
	answer, _ = call(d, noon, "Switch.Set", `{"id":3,"on":true}`)
	contains(t, answer, `"error":{"code":-103`)
	answer, _ = call(d, noon, "Light.Set", `{"id":0,"on":true}`)
	contains(t, answer, `"error":{"code":404`)
	answer, _ = call(d, noon, "Shelly.GetDeviceInfo", `{}`)
	contains(t, answer, `"app":"Plus1PM"`, `"name":"Boiler"`, `"mac":"A8032ABE54DC"`, `"gen":2`)
	answer, _ = call(d, noon, "Shelly.GetConfig", `{}`)
	contains(t, answer, `"switch:0":{"id":0`, `"status_ntf":true`)
	answer, _ = call(d, noon.Add(time.Hour), "Shelly.GetStatus", `{}`)
	contains(t, answer, `"total":20400`)
	contains(t, said(d.Take(noon, d.id()+"/command/switch:0", "toggle"), d.id()+"/events/rpc"), `"output":false`)
	for _, junk := range []string{"", "{", `{"id":1,"method":"Switch.Set"}`, "[]"} {
		if got := d.Take(noon, d.id()+"/rpc", junk); got != nil {
			t.Errorf("%q: %+v", junk, got)
		}
	}
	d.Rename(noon, true)
	answer, _ = call(d, noon, "Shelly.GetDeviceInfo", `{}`)
	contains(t, answer, `"name":"Boiler 2"`)
}

func TestCover(t *testing.T) {
	t.Parallel()
	d := &Device{Model: Plus2PM, MAC: "A8032ABE54DD", Name: "Awning"}
	contains(t, said(d.Start(noon), d.id()+"/events/rpc"), `"state":"open"`, `"current_pos":100`, `"target_pos":null`)
	answer, notice := call(d, noon, "Cover.Close", `{"id":0}`)
	contains(t, answer, `"result":null`)
	contains(t, notice, `"state":"closing"`, `"target_pos":0`)
	contains(t, said(d.Step(noon.Add(5*time.Second)), d.id()+"/events/rpc"), `"current_pos":50`, `"state":"closing"`)
	_, notice = call(d, noon.Add(6*time.Second), "Cover.Stop", `{"id":0}`)
	contains(t, notice, `"state":"stopped"`, `"current_pos":40`, `"last_direction":"close"`)
	_, notice = call(d, noon.Add(6*time.Second), "Cover.GoToPosition", `{"id":0,"pos":60}`)
	contains(t, notice, `"state":"opening"`, `"target_pos":60`)
	answer, _ = call(d, noon.Add(6*time.Second), "Cover.GoToPosition", `{"id":0,"pos":160}`)
	contains(t, answer, `"error"`)
	contains(t, said(d.Step(noon.Add(9*time.Second)), d.id()+"/events/rpc"), `"current_pos":60`, `"state":"stopped"`)
}

func TestOthers(t *testing.T) {
	t.Parallel()
	light := &Device{Model: Dimmer, MAC: "A8032ABE54DE"}
	light.Start(noon)
	_, notice := call(light, noon, "Light.Set", `{"id":0,"on":true,"brightness":35}`)
	contains(t, notice, `"brightness":35`, `"output":true`)
	meter := &Device{Model: Pro3EM, MAC: "A8032ABE54DF", Load: func(time.Time) float64 { return 1000 }}
	contains(t, said(meter.Start(noon), meter.id()+"/events/rpc"), `"total_act_power":1000`, `"a_act_power":500`, `"emdata:0"`)
	buttons := &Device{Model: PlusI4, MAC: "A8032ABE54E0"}
	buttons.Start(noon)
	contains(t, said(buttons.Press(noon, 2, "double_push"), buttons.id()+"/events/rpc"), `"method":"NotifyEvent"`, `"component":"input:2"`, `"event":"double_push"`)
	climate := &Device{Model: PlusHT, MAC: "A8032ABE54E1", Temperature: func(time.Time) float64 { return 21.5 }}
	contains(t, said(climate.Start(noon), climate.id()+"/events/rpc"), `"tC":21.5`, `"rh":40`)
}
