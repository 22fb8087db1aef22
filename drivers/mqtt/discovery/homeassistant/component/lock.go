package component

import (
	"fmt"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/template"
)

func (b *builder) lock() error {
	w := b.writer("command_topic", "command_template")
	p := devices.Point{Kind: devices.KindChoice, Class: "lock"}
	if w != nil && b.Has("code_format") {
		b.note("it wants a code for each command, and so is only read")
		w = nil
	}
	commands := []command{{"locked", b.Text("payload_lock", "LOCK"), w}, {"unlocked", b.Text("payload_unlock", "UNLOCK"), w}}
	if b.Has("payload_open") {
		commands = append(commands, command{"open", b.Text("payload_open", "OPEN"), w})
	}
	var write writeFunc
	p.Options, write = writeState(commands)
	p.States = without([]string{"locked", "unlocked", "locking", "unlocking", "jammed", "open", "opening"}, p.Options)
	reset := b.Text("payload_reset", "None")
	parse := parseState([]state{{b.Text("state_locked", "LOCKED"), "locked"}, {b.Text("state_unlocked", "UNLOCKED"), "unlocked"},
		{b.Text("state_locking", "LOCKING"), "locking"}, {b.Text("state_unlocking", "UNLOCKING"), "unlocking"},
		{b.Text("state_jammed", "JAMMED"), "jammed"}, {b.Text("state_open", "OPEN"), "open"}, {b.Text("state_opening", "OPENING"), "opening"}})
	b.add("", p, b.sources("state_topic", "value_template", func(text string) (devices.Value, error) {
		if text == reset {
			return devices.Value{}, nil
		}
		return parse(text)
	}), write)
	return b.must("command_topic")
}

// arms are the ways to arm an alarm: the feature, the state, and the default of what is published.
var arms = []struct{ feature, state, key, payload string }{
	{"arm_home", "armed_home", "payload_arm_home", "ARM_HOME"},
	{"arm_away", "armed_away", "payload_arm_away", "ARM_AWAY"},
	{"arm_night", "armed_night", "payload_arm_night", "ARM_NIGHT"},
	{"arm_vacation", "armed_vacation", "payload_arm_vacation", "ARM_VACATION"},
	{"arm_custom_bypass", "armed_custom_bypass", "payload_arm_custom_bypass", "ARM_CUSTOM_BYPASS"},
}

// alarm is an alarm control panel. A code that the announcement gives is given back with commands; one that only people and
// the panel know makes that the commands it is for are left out.
func (b *builder) alarm() error {
	w := b.writer("command_topic", "command_template")
	code := b.Text("code", "")
	remote := strings.HasPrefix(code, "REMOTE_CODE")
	given := template.Map{"code": template.String(code)}
	if code == "" || remote {
		given["code"] = template.None()
	}
	if w != nil && w.template == nil && w.err == nil {
		w.template, w.err = b.templates.parse("{{ action }}") // what Home Assistant has for none
	}
	features := b.list("supported_features")
	if !b.Has("supported_features") {
		features = []string{"arm_home", "arm_away", "arm_night", "arm_vacation", "arm_custom_bypass", "trigger"}
	}
	p := devices.Point{Kind: devices.KindChoice, Class: "alarm_control_panel"}
	payloads := make(map[string]string)
	offer := func(state, key, payload, codeKey string) {
		switch {
		case w == nil:
		case remote && b.Flag(codeKey, true):
			b.note("%s wants a code that only the panel knows", strings.ReplaceAll(state, "_", " "))
		default:
			p.Options = append(p.Options, state)
			payloads[state] = b.Text(key, payload)
		}
	}
	offer("disarmed", "payload_disarm", "DISARM", "code_disarm_required")
	for _, arm := range arms {
		if slices.Contains(features, arm.feature) {
			offer(arm.state, arm.key, arm.payload, "code_arm_required")
		}
	}
	if slices.Contains(features, "trigger") {
		offer("triggered", "payload_trigger", "TRIGGER", "code_trigger_required")
	}
	states := []string{"disarmed", "armed_home", "armed_away", "armed_night", "armed_vacation", "armed_custom_bypass", "pending", "triggered",
		"arming", "disarming"}
	p.States = without(slices.Clone(states), p.Options)
	var write writeFunc
	if len(p.Options) > 0 {
		options := p.Options
		write = func(v devices.Value) ([]discovery.Message, error) {
			s, err := toOption(v, options)
			if err != nil {
				return nil, err
			}
			vars := template.Map{"action": template.String(payloads[s]), "code": given["code"]}
			return w.publish(template.String(payloads[s]), payloads[s], vars)
		}
	}
	b.add("", p, b.sources("state_topic", "value_template", parseOption(states)), write)
	b.class = "alarm"
	return b.must("command_topic")
}

// siren is one with tones, a volume and a duration, each of which sounds it.
func (b *builder) siren() error {
	on, off := b.Text("payload_on", "ON"), b.Text("payload_off", "OFF")
	w := b.writer("command_topic", "command_template")
	if w == nil {
		return b.must("command_topic")
	}
	silent := *w
	if b.Has("command_off_template") {
		silent = *b.writer("command_topic", "command_off_template")
	}
	sound := func(w *writer, payload, key, value string, v template.Value) ([]discovery.Message, error) {
		vars, plain := template.Map{"state": template.String(payload)}, `{"state":`+quoted(payload)
		if key != "" {
			vars[key] = v
			plain += "," + quoted(key) + ":" + value
		}
		return w.publish(template.String(payload), plain+"}", vars)
	}
	said := func(name string, parse parseFunc, plain bool) []discovery.Source {
		return b.sources("state_topic", "state_value_template", func(text string) (devices.Value, error) {
			if !plain && !strings.HasPrefix(strings.TrimSpace(text), "{") {
				return devices.Value{}, discovery.ErrAbsent
			}
			return member(name, parse)(text)
		})
	}
	b.add("", devices.Point{Kind: devices.KindSwitch}, said("state", parseSwitch(b.Text("state_on", on), b.Text("state_off", off)), true),
		func(v devices.Value) ([]discovery.Message, error) {
			is, err := toBool(v)
			switch {
			case err != nil:
				return nil, err
			case is:
				return sound(w, on, "", "", template.Value{})
			}
			return sound(&silent, off, "", "", template.Value{})
		})
	if tones := b.list("available_tones"); len(tones) > 0 {
		b.add("tone", devices.Point{Kind: devices.KindChoice, Options: tones}, said("tone", parseOption(tones), false),
			func(v devices.Value) ([]discovery.Message, error) {
				s, err := toOption(v, tones)
				if err != nil {
					return nil, err
				}
				return sound(w, on, "tone", quoted(s), template.String(s))
			})
	}
	if b.Flag("support_duration", true) {
		b.add("duration", devices.Point{Kind: devices.KindNumber, Class: "duration", Unit: "s", Step: 1}, said("duration", parseNumber, false),
			func(v devices.Value) ([]discovery.Message, error) {
				f, err := toNumber(v)
				if err == nil && f < 0 {
					err = fmt.Errorf("%w: a duration is not negative", devices.ErrValue)
				}
				if err != nil {
					return nil, err
				}
				return sound(w, on, "duration", integer(f), template.Int(int64(f)))
			})
	}
	if b.Flag("support_volume_set", true) {
		b.add("volume", percentPoint(100), said("volume_level", scaled(0, 1, 0, 100), false), func(v devices.Value) ([]discovery.Message, error) {
			f, err := toNumber(v)
			if err != nil {
				return nil, err
			}
			level := max(0, min(1, f/100))
			return sound(w, on, "volume_level", devices.Number(level).String(), template.Float(level))
		})
	}
	return nil
}
