package mqtt_test

import (
	"testing"

	"tidings/devices"
	"tidings/drivers/mqtt/broker"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
	"tidings/drivers/mqtt/discovery/homeassistant"
)

// TestHomeAssistantDevices: all that the corpus has come from one broker, as in a house that has everything.
func TestHomeAssistantDevices(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	convention := homeassistant.New(homeassistant.Options{})
	keys := map[string]bool{}
	for _, m := range discoverytest.Announcements(t, "discovery/homeassistant/testdata") {
		s.say(m.Topic, string(m.Payload), true)
		changed, _ := convention.Take(discovery.NewMessage(m.Topic, m.Payload))
		for _, key := range changed {
			keys[key] = true
		}
	}
	do, sink, _ := run(t, s, local+"discovery = [\"homeassistant\"]\n")
	there := 0
	for key := range keys {
		want := convention.Device(key)
		if want == nil {
			continue
		}
		there++
		info := sink.WaitAnnounced(t, devices.ID("homeassistant:"+key))
		if info.Name != want.Name || len(info.Points) != len(want.Points) {
			t.Errorf("%s: %q with %d points, want %q with %d", key, info.Name, len(info.Points), want.Name, len(want.Points))
		}
	}
	if there < 50 {
		t.Errorf("%d devices", there)
	}

	// A light of Zigbee2MQTT: there when the bridge and the light are, told and confirmed.
	const light devices.ID = "homeassistant:zigbee2mqtt_0x0017880104e45517"
	s.say("zigbee2mqtt/bridge/state", `{"state":"online"}`, true)
	s.say("zigbee2mqtt/Stehlampe/availability", `{"state":"online"}`, true)
	sink.WaitLink(t, light, true)
	s.say("zigbee2mqtt/Stehlampe", `{"brightness":127,"color_mode":"color_temp","color_temp":370,"state":"ON"}`, true)
	sink.WaitValue(t, light, "brightness", devices.Number(50))
	sink.WaitValue(t, light, "color_temp", devices.Number(2700))
	s.listen("zigbee2mqtt/Stehlampe/set")
	if _, err := do.Do(t.Context(), devices.Command{Device: light, Point: "brightness", Value: devices.Number(40)}); err != nil {
		t.Fatal(err)
	}
	s.expect(`zigbee2mqtt/Stehlampe/set={"state":"ON","brightness":102}`)

	// A sensor that any gateway may hear.
	const sensor devices.ID = "homeassistant:A4C138010203"
	sink.WaitLink(t, sensor, true)
	s.say("home/OMG_attic/BTtoMQTT/A4C138010203", `{"tempc":22.3,"hum":47.1}`, false)
	sink.WaitValue(t, sensor, "tempc", devices.Number(22.3))
}
