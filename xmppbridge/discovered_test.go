package xmppbridge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
)

// A lamp says much of itself: what configures it comes last, and is nothing that "all off" turns off; a colour and a time are set by
// a form that says how, and by programs as XEP-0325 has them.
func TestColorLamp(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		all := func(p devices.Point) devices.Point {
			p.Readable, p.Writable, p.Confirms = true, true, true
			return p
		}
		f.house.step(mapping.Change{Announce: &devices.Info{ID: "lamp", Driver: "line", Class: "light", Points: []devices.Point{
			all(devices.Point{Name: "led", Kind: devices.KindSwitch, Label: "Status LED", Minor: true}),
			all(devices.Point{Name: "power", Kind: devices.KindSwitch}),
			all(devices.Point{Name: "color", Kind: devices.KindColor}),
			all(devices.Point{Name: "wake", Kind: devices.KindTime}),
		}}})
		var menu []string
		for c := range f.ask("get", otto, lamp, `<query xmlns='`+nsDiscoItems+`' node='`+nsCommands+`'/>`)[0].First().Children() {
			menu = append(menu, c.Attr("name"))
		}
		if want := []string{"Power on", "Power off", "Set color…", "Set wake…", "Status LED on", "Status LED off", "Status"}; !slices.Equal(menu[:len(want)], want) {
			t.Errorf("menu: %q", menu)
		}
		for node, want := range map[string]string{"color": `#ff8800`, "wake": `2026-01-31 18:30`} {
			form := f.ask("set", otto, lamp, `<command xmlns='`+nsCommands+`' node='lamp/`+node+`/set'/>`)[0].First().Child(nsForm, "x")
			if desc := form.Child(nsForm, "field").ChildText(nsForm, "desc"); !strings.Contains(desc, want) {
				t.Errorf("%s: %s", node, form)
			}
		}
		f.requests()
		for set, want := range map[string]devices.Value{
			`<set xmlns='XCTR'><color name='color' value='FF8800'/></set>`:                 devices.Color(255, 136, 0),
			`<set xmlns='CTR'><cl n='color' v='ff8800'/></set>`:                            devices.Color(255, 136, 0),
			`<set xmlns='XCTR'><string name='color' value='red'/></set>`:                   devices.Color(255, 0, 0),
			`<set xmlns='XCTR'><dateTime name='wake' value='2026-01-31T18:30:00Z'/></set>`: devices.Time(time.Date(2026, 1, 31, 18, 30, 0, 0, time.UTC)),
			`<set xmlns='XCTR'><color name='color' value='FF88'/></set>`:                   {},
			`<set xmlns='XCTR'><duration name='color' value='PT5M'/></set>`:                {},
			`<set xmlns='XCTR'><double name='color' value='5'/></set>`:                     {},
			`<set xmlns='XCTR'><color name='power' value='FF8800'/></set>`:                 {},
		} {
			answer := f.ask("set", otto, lamp, set)[0]
			got := f.requests()
			if want.IsZero() && len(got) == 0 && answer.Attr("type") == "error" || len(got) == 1 && got[0].Value == want {
				continue
			}
			t.Errorf("%s: asked %+v, answered %s", set, got, answer)
		}
		f.hear(otto, hub, "all off")
		for _, r := range f.requests() {
			if r.Point == "led" {
				t.Error("all off turned the status LED off")
			}
		}
	})
}

// Two devices that are called the same are told apart by what their addresses have.
func TestTwins(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		const twin = "homeassistant:0x2"
		f.house.step(mapping.Change{Announce: &devices.Info{ID: twin, Driver: "line", Name: "Lamp", Match: twin, Points: []devices.Point{
			{Name: "power", Kind: devices.KindSwitch, Readable: true, Writable: true, Confirms: true}}}})
		f.addresses().Introduce(twin, "Lamp")
		f.house.link(twin, nil)
		f.house.read(twin, "power", devices.Bool(false))
		f.requests()
		for _, c := range []struct {
			say, want string
			device    devices.ID
		}{
			{"lamp on", "There are several of that name: lamp-2, lamp@things.example.org. Say which by its address.", ""},
			{"lamp-2 on", "Lamp: Power is on (confirmed by the device).", twin},
			{"lamp@things.example.org on", "Lamp: Power is on (confirmed by the device).", "lamp"},
			{"lamp-3 on", `I know no device "lamp-3": did you mean "lamp-2"?`, ""},
		} {
			if got := f.hear(otto, hub, c.say); len(got) != 1 || got[0] != c.want {
				t.Errorf("%s: %q", c.say, got)
			}
			if got := f.requests(); c.device == "" && len(got) > 0 || c.device != "" && (len(got) != 1 || got[0].Device != c.device) {
				t.Errorf("%s: asked %+v", c.say, got)
			}
		}
		list := f.ask("get", otto, hub, `<query xmlns='`+nsDiscoItems+`' node='`+nsCommands+`'/>`)[0].String()
		items := f.ask("get", otto, hub, `<query xmlns='`+nsDiscoItems+`'/>`)[0].String()
		for _, want := range []string{"Lamp (lamp): Power on", "Lamp (lamp-2): Power on", "Oven: "} {
			if !strings.Contains(list, want) || strings.Contains(list, "'Lamp: ") || strings.Contains(list, "\"Lamp: ") {
				t.Errorf("commands without %s: %s", want, list)
			}
		}
		if !strings.Contains(items, "Lamp (lamp-2)") {
			t.Error(items)
		}
	})
}
