package mqtt_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt/broker"
)

const everything = local + "discovery = [\"homeassistant\", \"homie\", \"tasmota\", \"shelly\"]\n"

// plug is a device of Home Assistant's convention.
const plug = `{"dev":{"ids":"plug","name":"Plug"},"name":null,"uniq_id":"plug","stat_t":"plug/state","cmd_t":"plug/set"}`

// TestStrangers: whatever others announce, what is announced of it can be shown, and the connection and an honest device stay.
func TestStrangers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	many := strings.Repeat("option,", 15_000)
	sensor := func(rest string) string { return `{"dev":{"ids":"bad"},"uniq_id":"bad",` + rest + `}` }
	homie := func(rest string) string {
		return `{"homie":"5.0","name":"\u202eroof\u0000\uffff","nodes":{"n":{"properties":{"p":` + rest + `}}}}`
	}
	for name, said := range map[string][2]string{
		"a name that is turned round":           {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/s","name":"\u202eroof tnorF\u200b"`)},
		"control characters":                    {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/s","name":"a\u0000b\u001b[31m","unit_of_meas":"W\nX","dev_cla":"\ufffe"`)},
		"half of a surrogate":                   {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/s","name":"\ud800"`)},
		"a name without an end":                 {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/s","name":"` + long + `"`)},
		"a topic shared with others":            {"homeassistant/sensor/bad/config", sensor(`"stat_t":"$share/us/plug/set"`)},
		"a topic with a wildcard":               {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/#"`)},
		"an availability of the server":         {"homeassistant/sensor/bad/config", sensor(`"stat_t":"bad/s","avty_t":"$SYS/broker/uptime"`)},
		"options that cannot be told apart":     {"homeassistant/select/bad/config", sensor(`"cmd_t":"bad/c","options":["a","A","a","\u200ba","` + long + `"]`)},
		"a range without numbers":               {"homeassistant/number/bad/config", sensor(`"cmd_t":"bad/c","min":"-1e308","max":1e308,"step":1e-300`)},
		"ten thousand options":                  {"homie/5/bad/$description", homie(`{"datatype":"enum","settable":true,"format":"` + many + `"}`)},
		"an option for nobody to see":           {"homie/5/bad/$description", homie(`{"datatype":"enum","settable":true,"format":"a\u0000,b\u202e,c"}`)},
		"a label and a unit with line breaks":   {"homie/5/bad/$description", homie(`{"datatype":"float","name":"a\nb\u2028c","unit":"\u202eW\n"}`)},
		"a root with a wildcard":                {"homie/5/bad/$description", `{"root":"#","nodes":{}}`},
		"a topic of two gigabytes":              {"tasmota/discovery/600194AABBCC/config", `{"dn":"x","t":"` + long + `","ft":"` + strings.Repeat("%topic%", 15_000) + `","tp":["cmnd","stat","tele"]}`},
		"a wildcard by way of a template":       {"tasmota/discovery/600194AABBCC/config", `{"dn":"x","t":"x","ft":"%prefix%/%topic%/","tp":["$share/g","+","#"]}`},
		"questions to the server":               {"tasmota/discovery/600194AABBCC/config", `{"dn":"x","t":"x","ft":"$SYS/%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1]}`},
		"a document of half a million nothings": {"homeassistant/sensor/bad/config", "[" + strings.Repeat("0,", 120_000) + "0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStation(t, broker.Options{})
			s.say(said[0], said[1], true)
			_, sink, _ := run(t, s, everything)
			s.say("homeassistant/switch/plug/config", plug, true)
			const id = "homeassistant:plug"
			sink.WaitLink(t, id, true)
			s.say("plug/state", "ON", false)
			sink.WaitValue(t, id, "switch", devices.Bool(true))
			for _, e := range sink.Events() {
				switch {
				case e.Kind == drivertest.Healthy && e.Err != nil:
					t.Errorf("the connection suffered: %v", e.Err)
				case e.Kind == drivertest.Announced:
					showable(t, e.Info)
				}
			}
		})
	}
}

// showable checks that all that is announced can be shown to people in a line.
func showable(t *testing.T, info devices.Info) {
	t.Helper()
	check := func(s string, most int) {
		if len(s) > most || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Noncharacter_Code_Point, r)
		}) {
			t.Errorf("%s: %d bytes: %.60q", info.ID, len(s), s)
		}
	}
	for _, s := range append([]string{info.Name, info.Model, info.Version, info.Area, info.Class, info.Address}, info.Notes...) {
		check(s, 310)
	}
	for _, p := range info.Points {
		check(p.Label, 310)
		check(p.Unit, 310)
		check(p.Class, 310)
		for i, o := range slices.Concat(p.Options, p.States) {
			if check(o, 255); i >= 512 {
				t.Errorf("%s: %s: %d options", info.ID, p.Name, len(p.Options))
				break
			}
		}
	}
}

// TestPublishesForDevices: a command goes to the topics that a device names, but announces nothing, and is not for the server.
func TestPublishesForDevices(t *testing.T) {
	t.Parallel()
	s := newStation(t, broker.Options{})
	s.listen("#")
	do, sink, _ := run(t, s, everything)
	for i, topic := range []string{"homeassistant/switch/other/config", "homeassistant/status", "$SYS/broker/clients", "other/online", "homie/5/other/$description",
		"tasmota/discovery/600194AABBCC/config", strings.Repeat("t", 600)} {
		id := devices.ID(fmt.Sprintf("homeassistant:d%d", i))
		s.say(fmt.Sprintf("homeassistant/button/d%d/config", i), fmt.Sprintf(`{"dev":{"ids":"d%d"},"uniq_id":"d%d","cmd_t":%q,"avty_t":"d/there"}`, i, i, topic), true)
		if len(topic) > 512 {
			continue // there is no such point
		}
		sink.WaitAnnounced(t, id)
		s.say("d/there", "online", true)
		sink.WaitLink(t, id, true)
		_, err := do.Do(t.Context(), devices.Command{Device: id, Point: "button", Value: devices.Bool(true)})
		says(t, err, "for a device")
	}
	s.say("the/end", "", false)
	for {
		said := <-s.heard
		if said == "the/end=" {
			break
		}
		if strings.HasSuffix(said, "=PRESS") {
			t.Errorf("published: %s", said)
		}
	}
}
