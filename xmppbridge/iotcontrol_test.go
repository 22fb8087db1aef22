package xmppbridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

func TestControl(t *testing.T) {
	request := func(id devices.ID, point string, v devices.Value) devices.Request {
		return devices.Request{By: "otto@example.org", Via: devices.ViaIoT, Device: id, Point: point, Value: v}
	}
	form := func(fields string) string {
		return `<x xmlns='jabber:x:data' type='submit'>` + fields + `</x>`
	}
	field := func(name, value string) string {
		return `<field var='` + name + `'><value>` + value + `</value></field>`
	}
	bubble(t, setup{}, func(f *fixture) {
		for _, c := range []struct {
			from, to, set, want string
			asked               []devices.Request
		}{
			{otto, lamp, `<set xmlns='CTR'><b n='power' v='true'/></set>`, `<resp xmlns='CTR'><p n='power'/></resp>`,
				[]devices.Request{request("lamp", "power", devices.Bool(true))}},
			{otto, hub, `<set xmlns='CTR'><nd id='lamp'/><b n='power' v='0'/></set>`, `<resp xmlns='CTR'><nd id='lamp'/><p n='power'/></resp>`,
				[]devices.Request{request("lamp", "power", devices.Bool(false))}},
			{otto, lamp, `<set xmlns='XCTR'><boolean name='power' value='true'/></set>`, `<setResponse xmlns='XCTR' responseCode='OK'/>`,
				[]devices.Request{request("lamp", "power", devices.Bool(true))}},
			{otto, oven, `<set xmlns='CTR'><s n='mode' v='grill'/><i n='target' v='200'/></set>`, `<resp xmlns='CTR'><p n='mode'/><p n='target'/></resp>`,
				[]devices.Request{request("oven", "mode", devices.Text("Grill")), request("oven", "target", devices.Number(200))}},
			{otto, oven, `<set xmlns='CTR'>` + form(field("mode", "Bake")+field("target", "99.5")+`<field var='FORM_TYPE'><value>x</value></field>`) + `</set>`,
				`<resp xmlns='CTR'><p n='target'/><p n='mode'/></resp>`,
				[]devices.Request{request("oven", "target", devices.Number(99.5)), request("oven", "mode", devices.Text("Bake"))}},
			{otto, lamp, `<set xmlns='XCTR'><bool name='power' value='true'/></set>`, `<setResponse xmlns='XCTR' responseCode='OK'/>`,
				[]devices.Request{request("lamp", "power", devices.Bool(true))}},
			// Nothing is done when one of them cannot be.
			{otto, oven, `<set xmlns='CTR'><s n='mode' v='Grill'/><db n='target' v='500'/></set>`, "modify bad-request target", nil},
			{otto, oven, `<set xmlns='CTR'><s n='mode' v='Grill'/><b n='heat' v='true'/></set>`, "auth forbidden heat", nil},
			{otto, oven, `<set xmlns='XCTR'><string name='mode' value='Grill'/><boolean name='heat' value='true'/></set>`, "auth forbidden heat", nil},
			{otto, oven, `<set xmlns='CTR'><s n='mode' v='Boil'/></set>`, "modify bad-request mode", nil},
			{otto, oven, `<set xmlns='CTR'><s n='target' v='200'/></set>`, "modify bad-request target", nil},
			{otto, oven, `<set xmlns='CTR'><b n='target' v='true'/></set>`, "modify bad-request target", nil},
			{otto, lamp, `<set xmlns='CTR'><i n='power' v='1'/></set>`, "modify bad-request power", nil},
			{otto, lamp, `<set xmlns='CTR'><cl n='power' v='FF0000'/></set>`, "modify bad-request power", nil},
			{otto, lamp, `<set xmlns='CTR'><b n='power' v='on'/></set>`, "modify bad-request power", nil},
			{otto, lamp, `<set xmlns='CTR'><b n='colour' v='true'/></set>`, "modify item-not-found colour", nil},
			{otto, lamp, `<set xmlns='XCTR'><boolean name='colour' value='true'/></set>`, "modify item-not-found colour", nil},
			{otto, lamp, `<set xmlns='CTR'/>`, "modify bad-request", nil},
			{otto, lamp, `<set xmlns='CTR'><nd id='oven'/><b n='power' v='true'/></set>`, "cancel item-not-found", nil},
			{otto, hub, `<set xmlns='CTR'><b n='power' v='true'/></set>`, "modify bad-request", nil},
			{otto, hub, `<set xmlns='CTR'><nd id='lamp'/><nd id='oven'/><b n='power' v='true'/></set>`, "modify item-not-found power", nil},
			{otto, oven, `<set xmlns='CTR'>` + form(field("target", "hot")) + `</set>`, "modify bad-request target", nil},
			{otto, oven, `<set xmlns='CTR'>` + form(field("mode", "Bake")+field("none", "1")) + `</set>`, "modify item-not-found none", nil},
			{otto, oven, `<set xmlns='CTR'>` + form(`<field var='target'/>`) + `</set>`, "modify bad-request target", nil},
			{otto, oven, `<set xmlns='CTR'>` + form(field("heat", "1")) + `</set>`, "auth forbidden heat", nil},
			{otto, oven, `<set xmlns='CTR'>` + form(field("heat", "maybe")) + `</set>`, "modify bad-request heat", nil},
			{otto, oven, `<set xmlns='CTR'>` + form("") + `</set>`, "modify bad-request", nil},
			{otto, oven, `<set xmlns='CTR'><x xmlns='jabber:x:data' type='form'/></set>`, "modify bad-request", nil},
			{vera, lamp, `<set xmlns='CTR'><b n='power' v='true'/></set>`, "auth forbidden", nil},
			{wim, hub, `<set xmlns='CTR'><nd id='oven'/><b n='heat' v='true'/></set>`, "cancel item-not-found", nil},
			{mallory, lamp, `<set xmlns='CTR'><b n='power' v='true'/></set>`, "cancel service-unavailable", nil},
			{otto, lamp, `<set xmlns='urn:example:ctr'><b n='power' v='true'/></set>`, "cancel service-unavailable", nil},
			{otto, lamp, `<set xmlns='CTR'><b n='power' v='true'/><delay xmlns='urn:xmpp:delay'/></set>`, `<resp xmlns='CTR'><p n='power'/></resp>`,
				[]devices.Request{request("lamp", "power", devices.Bool(true))}},
		} {
			out := f.ask("set", c.from, c.to, c.set)
			got := verdict(out[0])
			if asked := f.requests(); got != c.want || !slices.Equal(asked, c.asked) {
				t.Errorf("%s to %s: %s\ngot  %s, asked %+v\nwant %s", c.from, c.to, c.set, got, asked, c.want)
			}
			if strings.Contains(c.set, "XCTR") && stream.ParseError(out[0]) != nil {
				code := map[string]string{"item-not-found": "NotFound", "forbidden": "InsufficientPrivileges"}[stream.ParseError(out[0]).Condition]
				if r := out[0].Child(nsXCTR, "setResponse"); r.Attr("responseCode") != code || r.First().Attr("name") == "" {
					t.Errorf("%s: %s, want %s", c.set, r, code)
				}
			}
		}
	})
}

// What a device did not do is an error, which says what was done before.
func TestControlFails(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		failure := error(&devices.AskedError{Err: fmt.Errorf("%w within 2 s", devices.ErrNoConfirm)})
		f.execute = func(_ context.Context, r devices.Request) (devices.Outcome, error) {
			if r.Point == "target" {
				return devices.Outcome{}, failure
			}
			return devices.Outcome{Confirmed: true, Value: r.Value}, nil
		}
		set := `<set xmlns='CTR'><s n='mode' v='Grill'/><i n='target' v='200'/></set>`
		out := f.ask("set", otto, oven, set)
		if got := verdict(out[0]); got != "wait remote-server-timeout target" || !strings.Contains(stream.ParseError(out[0]).Text, "done before: oven mode") {
			t.Errorf("not confirmed: %s", out[0])
		}
		failure = &devices.AskedError{Err: fmt.Errorf("stuck")}
		if got := verdict(f.ask("set", otto, oven, set)[0]); got != "cancel internal-server-error target" {
			t.Errorf("an error of the driver: %s", got)
		}
		f.house.link("lamp", fmt.Errorf("unplugged"))
		f.requests()
		if got := verdict(f.ask("set", otto, lamp, `<set xmlns='CTR'><b n='power' v='true'/></set>`)[0]); got != "wait recipient-unavailable power" || len(f.requests()) != 0 {
			t.Errorf("a lamp that is away: %s", got)
		}
	})
}

// A thousand sets while the device is busy: what there is room for is done, in order, the rest is refused.
func TestControlFlood(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		free := make(chan struct{})
		f.execute = func(_ context.Context, r devices.Request) (devices.Outcome, error) {
			<-free
			return devices.Outcome{Value: r.Value}, nil
		}
		for i := range 1000 {
			f.deliver(fmt.Sprintf("<iq type='set' id='%d' from='%s' to='%s'><set xmlns='%s'><i n='target' v='%d'/></set></iq>", i, otto, oven, nsCTR, 50+i%100))
		}
		out := f.sent()
		for _, st := range out {
			if got := verdict(st); got != "wait resource-constraint" {
				t.Fatalf("answer %s", got)
			}
		}
		close(free)
		if done := f.sent(); len(out)+len(done) != 1000 || len(done) != maxQueuedPerKey {
			t.Errorf("%d refused, %d done", len(out), len(done))
		}
		for i, r := range f.requests() {
			if n, _ := r.Value.Number(); n != float64(50+i) {
				t.Errorf("number %d was %v", i, n)
			}
		}
	})
}

// What may be old is refused, what comes twice acts once, by IQ and by message, in every dialect.
func TestControlReplayed(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		set := "<set xmlns='" + nsXCTR + "'><boolean name='power' value='true'/></set>"
		iq := "<iq type='set' id='1' from='" + otto + "' to='" + lamp + "'>" + set + "</iq>"
		if got := verdict(f.answer(iq)); got != `<setResponse xmlns='XCTR' responseCode='OK'/>` {
			t.Errorf("once: %s", got)
		}
		if got := verdict(f.answer(iq)); got != "cancel conflict" {
			t.Errorf("twice: %s", got)
		}
		late := f.parse("<iq type='set' id='2' from='" + otto + "' to='" + lamp + "'>" + set + "</iq>")
		f.Deliver(late, false)
		if out := f.sent(); len(out) != 1 || verdict(out[0]) != "wait resource-constraint" {
			t.Errorf("not fresh: %v", out)
		}
		if got := verdict(f.answer("<iq type='set' id='3' from='" + otto + "' to='" + lamp + "'>" + set + "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/></iq>")); got != "cancel not-allowed" {
			t.Errorf("delayed: %s", got)
		}
		if n := len(f.requests()); n != 1 {
			t.Fatalf("%d requests", n)
		}
		message := func(id, from, typ, extra string) string {
			return "<message id='" + id + "' type='" + typ + "' from='" + from + "' to='" + lamp + "'>" + set + extra + "</message>"
		}
		f.silence(message("4", otto, "set", ""))
		if n := len(f.requests()); n != 1 {
			t.Errorf("%d requests by message", n)
		}
		for _, st := range []string{message("4", otto, "set", ""), message("5", vera, "", ""), message("6", mallory, "", ""), message("7", otto, "groupchat", ""),
			message("8", otto, "error", ""), message("9", otto, "", "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>"), message("10", lamp, "", ""),
			strings.ReplaceAll(message("11", otto, "", ""), "power", "none"), strings.ReplaceAll(message("12", otto, "", ""), "'true'", "'on'")} {
			f.silence(st)
			if asked := f.requests(); len(asked) != 0 {
				t.Errorf("%s: %+v", st, asked)
			}
		}
	})
}

func TestControlForm(t *testing.T) {
	bubble(t, setup{file: strings.Replace(houseFile, "danger = true", "danger = true\nprograms = true", 1)}, func(f *fixture) {
		f.house.step(mapping.Change{Announce: &devices.Info{ID: "oven", Driver: "line", Points: []devices.Point{
			{Name: "heat", Kind: devices.KindSwitch, Readable: true, Writable: true}, {Name: "target", Kind: devices.KindNumber, Readable: true, Writable: true},
			{Name: "mode", Kind: devices.KindChoice, Readable: true, Writable: true}, {Name: "bell", Kind: devices.KindAction, Writable: true},
			{Name: "fan", Kind: devices.KindSwitch, Readable: true}}}})
		for _, space := range []string{nsCTR, nsXCTR} {
			form := f.ask("get", otto, oven, `<getForm xmlns='`+space+`'/>`)[0].First()
			var got []string
			for c := range form.Children() {
				if c.Name == "field" {
					got = append(got, c.Attr("var")+" "+c.Attr("type")+" "+c.ChildText(nsForm, "value"))
				}
			}
			equal(t, "fields", got, []string{"heat boolean false", "target text-single 180", "mode list-single Bake", "bell boolean 0"})
			if !form.Is(nsForm, "x") || form.Attr("type") != "form" || !strings.Contains(form.String(), "<range min='50' max='250'/>") || strings.Contains(form.String(), "required") {
				t.Errorf("form %s", form)
			}
		}
		// programs = true: a program may, and is not asked.
		if got := verdict(f.ask("set", otto, oven, `<set xmlns='CTR'><b n='heat' v='true'/></set>`)[0]); got != `<resp xmlns='CTR'><p n='heat'/></resp>` {
			t.Errorf("set heat: %s", got)
		}
		// A bell is rung, and not when a form says that it should not be.
		f.requests()
		for set, n := range map[string]int{`<b n='bell' v='true'/>`: 1, `<x xmlns='jabber:x:data' type='submit'><field var='bell'><value>0</value></field></x>`: 0,
			`<x xmlns='jabber:x:data' type='submit'><field var='bell'><value>1</value></field></x>`: 1} {
			if got := verdict(f.ask("set", otto, oven, `<set xmlns='CTR'>`+set+`</set>`)[0]); !strings.HasPrefix(got, "<resp") || len(f.requests()) != n {
				t.Errorf("%s: %s", set, got)
			}
		}
		for _, c := range []struct{ from, to, ask, want string }{
			{otto, oven, `<set xmlns='CTR'><b n='bell' v='false'/></set>`, "modify bad-request bell"},
			{otto, oven, `<set xmlns='CTR'><b n='fan' v='true'/></set>`, "modify item-not-found fan"},
			{vera, oven, `<getForm xmlns='CTR'/>`, "auth forbidden"},
			{otto, hub, `<getForm xmlns='CTR'/>`, "modify bad-request"},
			{otto, hub, `<getForm xmlns='CTR'><nd id='lamp'/><nd id='oven'/></getForm>`, "modify bad-request"},
			{otto, hub, `<getForm xmlns='CTR'><nd id='none'/></getForm>`, "cancel item-not-found"},
			{otto, hub, `<getForm xmlns='CTR'><nd/></getForm>`, "modify bad-request"},
			{mallory, oven, `<getForm xmlns='CTR'/>`, "cancel service-unavailable"},
		} {
			typ := "get"
			if strings.HasPrefix(c.ask, "<set") {
				typ = "set"
			}
			if got := verdict(f.ask(typ, c.from, c.to, c.ask)[0]); got != c.want {
				t.Errorf("%s to %s: %s: %s, want %s", c.from, c.to, c.ask, got, c.want)
			}
		}
	})
}
