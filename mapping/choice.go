package mapping

import (
	"slices"
	"strings"

	"tidings/devices"
)

// A verb is what people say to bring one state of a choice about, in the classes of what opens, locks or drives about.
type verb struct {
	state string   // the option it sets
	say   string   // "Open"
	by    []string // what a device may answer that is on its way there, or has got there by another name
}

// openVerbs are those of covers and valves. What stops is open or closed, if it does not say that it stopped.
var openVerbs = []verb{
	{"open", "Open", []string{"opening"}},
	{"closed", "Close", []string{"closing"}},
	{"stopped", "Stop", []string{"open", "closed"}},
}

// choiceClasses are the classes of choices that have verbs: components of Home Assistant's MQTT conventions, with their states.
// See https://www.home-assistant.io/integrations/mqtt/.
var choiceClasses = map[string][]verb{
	"cover": openVerbs,
	"valve": openVerbs,
	"lock": {
		{"locked", "Lock", []string{"locking"}},
		{"unlocked", "Unlock", []string{"unlocking", "open", "opening"}},
		{"open", "Unlatch", []string{"opening", "unlocking"}},
	},
	"vacuum": {
		{"cleaning", "Start", nil},
		{"paused", "Pause", []string{"idle"}},
		{"idle", "Stop", []string{"paused"}},
		{"docked", "Return to dock", []string{"returning"}},
	},
	"lawn_mower": {
		{"mowing", "Start", nil},
		{"paused", "Pause", nil},
		{"docked", "Return to dock", []string{"returning"}},
	},
	"alarm_control_panel": {
		{"disarmed", "Disarm", []string{"disarming"}},
		{"armed_home", "Arm home", []string{"arming", "pending"}},
		{"armed_away", "Arm away", []string{"arming", "pending"}},
		{"armed_night", "Arm night", []string{"arming", "pending"}},
		{"armed_vacation", "Arm vacation", []string{"arming", "pending"}},
		{"armed_custom_bypass", "Arm with bypass", []string{"arming", "pending"}},
		{"triggered", "Trigger", []string{"pending"}},
	},
}

// verbs are those of the point's options, in the order of the class; nil where it has none of its own.
func (p *Point) verbs() []verb {
	if p.Kind != devices.KindChoice {
		return nil
	}
	all := choiceClasses[p.Class]
	for _, o := range p.Options { // a word of somebody's own for one of them: then they are all chosen from a list
		if !slices.ContainsFunc(all, func(v verb) bool { return v.state == o }) {
			return nil
		}
	}
	out := make([]verb, 0, len(all))
	for _, v := range all {
		if slices.Contains(p.Options, v.state) {
			out = append(out, v)
		}
	}
	return out
}

// obeys reports whether a device that was asked for a state and answers another one has accepted: a cover that is to be open and
// is opening.
func (p *Point) obeys(asked, got string) bool {
	return slices.ContainsFunc(choiceClasses[p.Class], func(v verb) bool {
		return strings.EqualFold(v.state, asked) && slices.Contains(v.by, strings.ToLower(got))
	})
}

// meant finds the option that a verb stands for, in any case.
func (p *Point) meant(typed string) (string, bool) {
	for _, v := range p.verbs() {
		if strings.EqualFold(v.say, typed) {
			return v.state, true
		}
	}
	return "", false
}
