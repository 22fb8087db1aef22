package component

import (
	"encoding/json"
	"fmt"
	"slices"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// vacuum says everything in one JSON object: state, battery_level, fan_speed.
func (b *builder) vacuum() error {
	w := b.writer("command_topic", "")
	features := b.list("supported_features")
	if !b.Has("supported_features") {
		features = []string{"start", "stop", "return_home", "status", "battery", "clean_spot"}
	}
	can := func(feature string) *writer { return unless(w, !slices.Contains(features, feature)) }
	p := devices.Point{Kind: devices.KindChoice, Class: "vacuum"}
	var write writeFunc
	p.Options, write = writeState([]command{
		{"cleaning", b.Text("payload_start", "start"), can("start")},
		{"paused", b.Text("payload_pause", "pause"), can("pause")},
		{"docked", b.Text("payload_return_to_base", "return_to_base"), can("return_home")},
		{"idle", b.Text("payload_stop", "stop"), can("stop")}})
	states := []string{"cleaning", "docked", "paused", "idle", "returning", "error"}
	p.States = without(slices.Clone(states), p.Options)
	said := func(name string, parse parseFunc) []discovery.Source {
		topic := b.topic("state_topic")
		if topic == "" {
			return nil
		}
		return source(topic, b.reader("value_template"), func(text string) (devices.Value, error) {
			if text == "" || text[0] != '{' {
				return devices.Value{}, fmt.Errorf("payload: %s is not a JSON object", discovery.Quote([]byte(text)))
			}
			return member(name, parse)(text)
		})
	}
	b.add("", p, said("state", parseOption(states)), write)
	if slices.Contains(features, "battery") {
		b.add("battery", devices.Point{Kind: devices.KindNumber, Class: "battery", Unit: "%"}, said("battery_level", parseNumber), nil)
	}
	if speeds := b.list("fan_speed_list"); len(speeds) > 0 && slices.Contains(features, "fan_speed") {
		b.add("fan_speed", devices.Point{Kind: devices.KindChoice, Options: speeds}, said("fan_speed", parseOption(speeds)),
			writeOption(b.writer("set_fan_speed_topic", ""), speeds))
	}
	b.add("locate", devices.Point{Kind: devices.KindAction}, nil, writeAction(can("locate"), b.Text("payload_locate", "locate")))
	b.add("clean_spot", devices.Point{Kind: devices.KindAction}, nil, writeAction(can("clean_spot"), b.Text("payload_clean_spot", "clean_spot")))
	return b.must("command_topic")
}

// mower is a lawn mower.
func (b *builder) mower() error {
	p := devices.Point{Kind: devices.KindChoice, Class: "lawn_mower"}
	var write writeFunc
	p.Options, write = writeState([]command{
		{"mowing", "start_mowing", b.writer("start_mowing_command_topic", "start_mowing_command_template")},
		{"paused", "pause", b.writer("pause_command_topic", "pause_command_template")},
		{"docked", "dock", b.writer("dock_command_topic", "dock_command_template")}})
	activities := []string{"mowing", "paused", "docked", "returning", "error"}
	p.States = without(slices.Clone(activities), p.Options)
	b.add("", p, b.sources("activity_state_topic", "activity_value_template", parseOption(activities)), write)
	return b.must("activity_state_topic")
}

// update is the firmware: what is installed, what there is, and the action that installs it.
func (b *builder) update() error {
	read := func(name string, alone bool) []discovery.Source {
		return b.sources("state_topic", "value_template", func(text string) (devices.Value, error) {
			var object map[string]any
			if err := json.Unmarshal([]byte(text), &object); err == nil {
				return member(name, parseText)(text)
			}
			if !alone {
				return devices.Value{}, discovery.ErrAbsent
			}
			return parseText(text)
		})
	}
	b.add("installed_version", devices.Point{Kind: devices.KindText}, read("installed_version", true), nil)
	latest := b.sources("latest_version_topic", "latest_version_template", parseText)
	latest = append(latest, read("latest_version", false)...)
	b.add("latest_version", devices.Point{Kind: devices.KindText}, latest, nil)
	if b.Has("payload_install") {
		b.add("install", devices.Point{Kind: devices.KindAction, Class: "update"}, nil,
			writeAction(b.writer("command_topic", ""), b.Text("payload_install", "")))
	}
	return b.must("state_topic")
}

func quoted(s string) string {
	q, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(q)
}
