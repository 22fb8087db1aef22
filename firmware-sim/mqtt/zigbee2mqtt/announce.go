package zigbee2mqtt

import "tidings/firmware-sim/mqtt/board"

// A component is one of what a device is announced as.
type component struct {
	kind, object string
	config       map[string]any
}

// A product is what the pages of a device say.
type product struct{ vendor, description, model string }

var products = map[Kind]product{
	Climate:  {"Aqara", "Temperature and humidity sensor", "WSDCGQ11LM"},
	Contact:  {"Aqara", "Door and window sensor", "MCCGQ11LM"},
	Motion:   {"Philips", "Hue motion sensor", "9290012607"},
	Leak:     {"Aqara", "Water leak sensor", "SJCGQ11LM"},
	Plug:     {"Innr", "Smart plug", "SP 240"},
	White:    {"IKEA", "TRADFRI bulb E27, white spectrum, globe, opal, 1055 lm", "LED2101G4"},
	Color:    {"IKEA", "TRADFRI bulb E27, color/white spectrum, globe, opal, 806 lm", "LED1924G9"},
	Blind:    {"IKEA", "FYRTUR roller blind, block-out", "E1757"},
	Shade:    {"Aqara", "Roller shade driver E1", "ZNCLBL01LM"},
	Radiator: {"Bosch", "Radiator thermostat II", "BTH-RA"},
}

// sensor is the component of a number. One with a class needs no name.
func sensor(property, name, class, unit string) component {
	c := component{"sensor", property, map[string]any{
		"value_template": `{{ value_json["` + property + `"] }}`, "state_class": "measurement", "unit_of_measurement": unit,
	}}
	if class != "" {
		c.config["device_class"] = class
	}
	if name != "" {
		c.config["name"] = name
	}
	return c
}

// diagnostic is one that says how the device itself is.
func (c component) diagnostic() component {
	c.config["entity_category"] = "diagnostic"
	return c
}

// binary is the component of something that is or is not.
func binary(property, class string, on, off bool) component {
	return component{"binary_sensor", property, map[string]any{
		"device_class": class, "payload_on": on, "payload_off": off, "value_template": `{{ value_json["` + property + `"] }}`,
	}}
}

// components are what a device is announced as.
func (b *Bridge) components(d *Device) []component {
	set := b.topic(d.Name) + "/set"
	quality := sensor("linkquality", "Linkquality", "", "lqi").diagnostic()
	quality.config["enabled_by_default"], quality.config["icon"] = false, "mdi:signal"
	battery := sensor("battery", "", "battery", "%").diagnostic()
	battery.config["enabled_by_default"] = true
	voltage := sensor("voltage", "", "voltage", "mV").diagnostic()
	voltage.config["enabled_by_default"] = true
	small := []component{battery, voltage, quality}
	switch d.Kind {
	case Climate:
		return append([]component{sensor("temperature", "", "temperature", "°C"), sensor("humidity", "", "humidity", "%"),
			sensor("pressure", "", "atmospheric_pressure", "hPa")}, small...)
	case Contact:
		return append([]component{binary("contact", "door", false, true)}, small...)
	case Motion:
		return append([]component{binary("occupancy", "occupancy", true, false), sensor("illuminance", "", "illuminance", "lx"),
			sensor("temperature", "", "temperature", "°C")}, battery, quality)
	case Leak:
		return append([]component{binary("water_leak", "moisture", true, false)}, small...)
	case Plug:
		energy := sensor("energy", "", "energy", "kWh")
		energy.config["state_class"] = "total_increasing"
		return []component{
			{"switch", "switch", map[string]any{"name": nil, "command_topic": set, "payload_on": "ON", "payload_off": "OFF",
				"value_template": `{{ value_json["state"] }}`}},
			sensor("power", "", "power", "W"), sensor("current", "", "current", "A"), energy,
			sensor("voltage", "", "voltage", "V"), quality,
		}
	case White, Color:
		modes := []string{"color_temp"}
		if d.Kind == Color {
			modes = []string{"xy", "color_temp"}
		}
		return []component{
			{"light", "light", map[string]any{"name": nil, "schema": "json", "command_topic": set, "brightness": true, "brightness_scale": 254,
				"supported_color_modes": modes, "min_mireds": 153, "max_mireds": 454, "effect": true,
				"effect_list": []string{"blink", "breathe", "okay", "channel_change", "finish_effect", "stop_effect"}}},
			quality,
		}
	case Blind, Shade:
		c := map[string]any{"name": nil, "command_topic": set, "position_template": `{{ value_json["position"] }}`,
			"position_topic": b.topic(d.Name), "set_position_template": `{ "position": {{ position }} }`, "set_position_topic": set}
		if d.Kind == Blind {
			c["state_closed"], c["state_open"], c["state_stopped"], c["value_template"] = "CLOSE", "OPEN", "STOP", `{{ value_json["state"] }}`
		} else {
			c["state_opening"], c["state_closing"], c["state_stopped"] = "opening", "closing", "stopped"
			c["value_template"] = `{% if "motor_state" in value_json and value_json["motor_state"] %} {{ value_json["motor_state"] }} {% else %} stopped {% endif %}`
		}
		return []component{{"cover", "cover", c}, battery, quality}
	case Radiator:
		demand := sensor("pi_heating_demand", "PI heating demand", "", "%")
		return []component{
			{"climate", "climate", map[string]any{"name": nil, "temperature_unit": "C", "temp_step": 0.5, "min_temp": "5", "max_temp": "30",
				"current_temperature_topic": b.topic(d.Name), "current_temperature_template": `{{ value_json["local_temperature"] }}`,
				"mode_state_topic": b.topic(d.Name), "mode_state_template": `{{ value_json["system_mode"] }}`,
				"modes": []string{"off", "heat", "auto"}, "mode_command_topic": set + "/system_mode",
				"action_topic":              b.topic(d.Name),
				"action_template":           `{% set values = {None:None,'idle':'idle','heat':'heating','cool':'cooling','fan_only':'fan'} %}{{ values[value_json["running_state"]] }}`,
				"temperature_command_topic": set + "/occupied_heating_setpoint", "temperature_state_topic": b.topic(d.Name),
				"temperature_state_template": `{{ value_json["occupied_heating_setpoint"] }}`}},
			demand, battery, quality,
		}
	}
	return nil
}

// announce announces a device, or takes back what was announced of it.
func (b *Bridge) announce(d *Device, gone bool) []board.Message {
	var out []board.Message
	p := products[d.Kind]
	device := map[string]any{"identifiers": []string{"zigbee2mqtt_" + d.IEEE}, "name": d.Name, "manufacturer": p.vendor,
		"model": p.description, "model_id": p.model, "via_device": "zigbee2mqtt_bridge_" + b.options.IEEE}
	if d.Area != "" {
		device["suggested_area"] = d.Area
	}
	for _, c := range b.components(d) {
		m := board.Message{Topic: b.options.Discovery + "/" + c.kind + "/" + d.IEEE + "/" + c.object + "/config", Retained: true, QoS: 1,
			About: board.Announcement}
		if !gone {
			c.config["availability"] = []map[string]any{
				{"topic": b.topic("bridge/state"), "value_template": "{{ value_json.state }}"},
				{"topic": b.topic(d.Name) + "/availability", "value_template": "{{ value_json.state }}"},
			}
			c.config["availability_mode"] = "all"
			c.config["device"], c.config["origin"] = device, map[string]any{"name": "Zigbee2MQTT", "sw": version, "url": "https://www.zigbee2mqtt.io"}
			object := lowerName(d.Name)
			if c.object != c.kind {
				object += "_" + c.object
			}
			c.config["object_id"], c.config["unique_id"] = object, d.IEEE+"_"+c.object+"_"+b.options.Base
			if c.kind != "climate" {
				c.config["state_topic"] = b.topic(d.Name)
			}
			m.Payload = board.JSON(c.config)
		}
		out = append(out, m)
	}
	return out
}
