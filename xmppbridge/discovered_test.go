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
