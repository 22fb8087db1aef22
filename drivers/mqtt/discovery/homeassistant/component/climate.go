package component

import (
	"math"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// climate is a thermostat or an air conditioner. It has no part that is all of it.
func (b *builder) climate() error {
	b.temperatures(7, 35)
	b.modes("mode", "mode", [2]string{"mode_state_template", "mode_command_template"},
		orDefault(b.list("modes"), "auto", "off", "cool", "heat", "dry", "fan_only"))
	actions := []string{"off", "heating", "cooling", "drying", "idle", "fan", "preheating", "defrosting"}
	b.add("action", devices.Point{Kind: devices.KindChoice, Options: actions}, b.sources("action_topic", "action_template", parseOption(actions)), nil)
	b.modes("fan_mode", "fan_mode", [2]string{"fan_mode_state_template", "fan_mode_command_template"},
		orDefault(b.list("fan_modes"), "auto", "low", "medium", "high"))
	b.modes("swing_mode", "swing_mode", [2]string{"swing_mode_state_template", "swing_mode_command_template"},
		orDefault(b.list("swing_modes"), "on", "off"))
	b.modes("swing_horizontal_mode", "swing_horizontal_mode",
		[2]string{"swing_horizontal_mode_state_template", "swing_horizontal_mode_command_template"}, orDefault(b.list("swing_horizontal_modes"), "on", "off"))
	b.modes("preset_mode", "preset_mode", [2]string{"preset_mode_value_template", "preset_mode_command_template"}, none(b.list("preset_modes")))
	b.power()
	b.add("current_humidity", devices.Point{Kind: devices.KindNumber, Class: "humidity", Unit: "%"},
		b.sources("current_humidity_topic", "current_humidity_template", parseNumber), nil)
	b.humidity("target_humidity", 30, 99)
	return b.must("mode_command_topic")
}

// none adds the preset that is none to some.
func none(presets []string) []string {
	if len(presets) == 0 {
		return nil
	}
	return append(without(presets, []string{"none"}), "none")
}

// temperatures adds what is measured and what is wanted: one temperature, or the two between which it is to be.
func (b *builder) temperatures(low, high float64) {
	p := devices.Point{Kind: devices.KindNumber, Class: "temperature", Unit: "°C"}
	step := 1.0
	if b.Text("temperature_unit", "C") == "F" {
		p.Unit, low, high = "°F", math.Round(low*1.8+32), math.Round(high*1.8+32)
	}
	b.add("current_temperature", p, b.sources("current_temperature_topic", "current_temperature_template", parseNumber), nil)
	p.Low, p.High = b.number("min_temp", low), b.number("max_temp", high)
	p.Step = math.Abs(b.number("temp_step", b.number("precision", step)))
	for _, t := range []struct{ suffix, key string }{
		{"target", "temperature"}, {"target_low", "temperature_low"}, {"target_high", "temperature_high"},
	} {
		var write writeFunc
		if w := b.writer(t.key+"_command_topic", t.key+"_command_template"); w != nil {
			write = func(v devices.Value) ([]discovery.Message, error) {
				f, err := toNumber(v)
				if err != nil {
					return nil, err
				}
				return w.float(f)
			}
		}
		b.add(t.suffix, p, b.sources(t.key+"_state_topic", t.key+"_state_template", parseNumber), write)
	}
}

// power adds the switch of a thing that has one beside its modes.
func (b *builder) power() {
	on, off := b.Text("payload_on", "ON"), b.Text("payload_off", "OFF")
	b.add("power", devices.Point{Kind: devices.KindSwitch}, b.sources("power_state_topic", "power_state_template", parseSwitch(on, off)),
		writeSwitch(b.writer("power_command_topic", "power_command_template"), on, off))
}

// humidity adds the humidity that is wanted.
func (b *builder) humidity(suffix string, low, high float64) {
	p := devices.Point{Kind: devices.KindNumber, Class: "humidity", Unit: "%", Step: 1,
		Low: b.number("min_humidity", low), High: b.number("max_humidity", high)}
	var write writeFunc
	if w := b.writer("target_humidity_command_topic", "target_humidity_command_template"); w != nil {
		write = func(v devices.Value) ([]discovery.Message, error) {
			f, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			return w.integer(f, nil)
		}
	}
	b.add(suffix, p, b.sources("target_humidity_state_topic", "target_humidity_state_template", parseNumber), write)
}

// humidifier is a humidifier or a dehumidifier.
func (b *builder) humidifier() error {
	b.onOff("", "state_value_template")
	b.humidity("target_humidity", 0, 100)
	b.add("current_humidity", devices.Point{Kind: devices.KindNumber, Class: "humidity", Unit: "%"},
		b.sources("current_humidity_topic", "current_humidity_template", parseNumber), nil)
	actions := []string{"off", "humidifying", "drying", "idle"}
	b.add("action", devices.Point{Kind: devices.KindChoice, Options: actions}, b.sources("action_topic", "action_template", parseOption(actions)), nil)
	b.modes("mode", "mode", [2]string{"mode_state_template", "mode_command_template"}, b.list("modes"))
	return b.must("command_topic")
}

// waterHeater is a boiler.
func (b *builder) waterHeater() error {
	b.temperatures(43, 60)
	b.modes("mode", "mode", [2]string{"mode_state_template", "mode_command_template"},
		orDefault(b.list("modes"), "off", "eco", "electric", "gas", "heat_pump", "high_demand", "performance"))
	b.power()
	return b.must("mode_command_topic")
}

// fan has a speed in percent of its range, which is between 1 and so many speeds.
func (b *builder) fan() error {
	b.onOff("", "state_value_template")
	low, high := b.number("speed_range_min", 1), b.number("speed_range_max", 100)
	if w, speeds := b.writer("percentage_command_topic", "percentage_command_template"), high-low+1; speeds >= 1 && (w != nil || b.Has("percentage_state_topic")) {
		reset := b.Text("payload_reset_percentage", "None")
		var write writeFunc
		power, off := b.writer("command_topic", "command_template"), b.Text("payload_off", "OFF")
		if w != nil {
			write = func(v devices.Value) ([]discovery.Message, error) {
				f, err := toNumber(v)
				switch {
				case err != nil:
					return nil, err
				case f <= 0 && power != nil:
					return power.text(off)
				}
				return w.integer(speeds*max(0, min(100, f))/100+low-1, nil)
			}
		}
		b.add("speed", percentPoint(speeds), b.sources("percentage_state_topic", "percentage_value_template",
			func(text string) (devices.Value, error) {
				f, known, err := number(text)
				if text == reset || err == nil && !known {
					return devices.Value{}, nil
				}
				if err != nil {
					return devices.Value{}, err
				}
				return devices.Number(max(0, min(100, math.Round((f-low+1)*100/speeds)))), nil
			}), write)
	}
	b.modes("preset_mode", "preset_mode", [2]string{"preset_mode_value_template", "preset_mode_command_template"}, b.list("preset_modes"))
	on, off := b.Text("payload_oscillation_on", "oscillate_on"), b.Text("payload_oscillation_off", "oscillate_off")
	b.add("oscillation", devices.Point{Kind: devices.KindSwitch},
		b.sources("oscillation_state_topic", "oscillation_value_template", parseSwitch(on, off)),
		writeSwitch(b.writer("oscillation_command_topic", "oscillation_command_template"), on, off))
	b.modes("direction", "direction", [2]string{"direction_value_template", "direction_command_template"}, []string{"forward", "reverse"})
	return b.must("command_topic")
}
