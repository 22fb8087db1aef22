package homeassistant

import (
	"fmt"
	"testing"

	"tidings/drivers/mqtt/discovery"
)

// announcements are those of the eight components of a device that Zigbee2MQTT would announce.
func announcements(device string) []*discovery.Message {
	var all []*discovery.Message
	for _, name := range []string{"temperature", "humidity", "pressure", "battery", "voltage", "power", "energy", "current"} {
		all = append(all, discovery.NewMessage("homeassistant/sensor/"+device+"/"+name+"/config", fmt.Appendf(nil,
			`{"availability":[{"topic":"zigbee2mqtt/bridge/state","value_template":"{{ value_json.state }}"},`+
				`{"topic":"zigbee2mqtt/%[1]s/availability","value_template":"{{ value_json.state }}"}],"availability_mode":"all",`+
				`"device":{"identifiers":["zigbee2mqtt_%[1]s"],"manufacturer":"Aqara","model":"Sensor","model_id":"WSDCGQ11LM","name":"%[1]s"},`+
				`"device_class":%[2]q,"enabled_by_default":true,"object_id":"%[1]s_%[2]s",`+
				`"origin":{"name":"Zigbee2MQTT","sw":"2.6.3","url":"https://www.zigbee2mqtt.io"},"state_class":"measurement",`+
				`"state_topic":"zigbee2mqtt/%[1]s","unique_id":"%[1]s_%[2]s_zigbee2mqtt","unit_of_measurement":"x",`+
				`"value_template":"{{ value_json[\"%[2]s\"] }}"}`, device, name)))
	}
	return all
}

// BenchmarkAnnouncement is one announcement of eight of a device, and an eighth of the device that is made of them.
func BenchmarkAnnouncement(b *testing.B) {
	var messages []*discovery.Message
	for i := range 1000 {
		messages = append(messages, announcements(fmt.Sprintf("0x%016x", i))...)
	}
	b.ReportAllocs()
	c := New(Options{})
	for i := 0; b.Loop(); i++ {
		if i%len(messages) == 0 {
			c = New(Options{})
		}
		changed, _ := c.Take(messages[i%len(messages)])
		if i%8 == 7 {
			for _, key := range changed {
				if c.Device(key) == nil {
					b.Fatal(key)
				}
			}
		}
	}
}

// BenchmarkState is a message with the readings of eight points.
func BenchmarkState(b *testing.B) {
	c := New(Options{})
	for _, m := range announcements("lamp") {
		c.Take(m)
	}
	d := c.Device("zigbee2mqtt_lamp")
	state := []byte(`{"battery":91,"humidity":52.38,"linkquality":94,"pressure":997.2,"temperature":21.46,"voltage":2995,"power":12,"energy":1.5,"current":0.1}`)
	b.ReportAllocs()
	for b.Loop() {
		m := discovery.NewMessage("zigbee2mqtt/lamp", state)
		for _, p := range d.Points {
			if _, err := p.Sources[0].Read(m); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkCommand is a command to a light.
func BenchmarkCommand(b *testing.B) {
	c := New(Options{})
	take(c, `light/lamp {"schema":"json","cmd_t":"lamp/set","stat_t":"lamp","brightness":true,"bri_scl":254,"dev":{"ids":["lamp"]}}`)
	p := c.Device("lamp").Points[1]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Write(values[2]); err != nil {
			b.Fatal(err)
		}
	}
}
