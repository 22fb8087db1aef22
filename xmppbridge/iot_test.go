package xmppbridge

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

const (
	nsSD, nsCTR, nsEvents = "urn:nf:iot:sd:1.0", "urn:nf:iot:ctr:1.0", "urn:nf:iot:events:1.0"
	nsXSD, nsXCTR         = "urn:xmpp:iot:sensordata", "urn:xmpp:iot:control"
)

// short writes an element for comparison: without the times of readings, and with short names for namespaces.
func short(e *stream.Element) string {
	if e == nil {
		return ""
	}
	s := regexp.MustCompile(` (v|value)='\d{4}-[^']*'`).ReplaceAllString(e.String(), "")
	return strings.NewReplacer(nsSD, "SD", nsCTR, "CTR", nsEvents, "EV", nsXSD, "XSD", nsXCTR, "XCTR").Replace(s)
}

// long puts the namespaces back.
func long(s string) string {
	return strings.NewReplacer("'SD'", "'"+nsSD+"'", "'CTR'", "'"+nsCTR+"'", "'EV'", "'"+nsEvents+"'", "'XSD'", "'"+nsXSD+"'", "'XCTR'", "'"+nsXCTR+"'").Replace(s)
}

// ask delivers an IQ and returns everything that goes out for it: its answer first.
func (f *fixture) ask(typ, from, to, payload string) []*stream.Element {
	f.t.Helper()
	f.sent()
	f.asks++
	f.deliver(fmt.Sprintf("<iq type='%s' id='q%d' from='%s' to='%s'>%s</iq>", typ, f.asks, from, to, long(payload)))
	out := f.sent()
	if len(out) == 0 || out[0].Name != "iq" || out[0].Attr("id") != fmt.Sprintf("q%d", f.asks) || out[0].Attr("to") != from {
		f.t.Fatalf("%s\nis answered by %v", payload, out)
	}
	return out
}

// verdict is what an answer comes to: its payload, or its error with the type and the parameter it names.
func verdict(iq *stream.Element) string {
	e := stream.ParseError(iq)
	if e == nil {
		return short(iq.First())
	}
	out := e.Type + " " + e.Condition
	for _, app := range e.App {
		out += " " + app.Attr("n") + app.Attr("var")
	}
	return out
}

// payloads are the payloads of messages, which all have to be to one address and be kept by nobody.
func payloads(t *testing.T, to string, sent []*stream.Element) []string {
	t.Helper()
	var out []string
	for _, st := range sent {
		if st.Name != "message" {
			continue
		}
		if st.Attr("to") != to || st.Child(nsHints, "no-store") == nil || st.Body() != "" {
			t.Errorf("message %s", st)
		}
		out = append(out, short(st.First()))
	}
	return out
}

func TestReadout(t *testing.T) {
	const lampNow = `<ts><b n='power' v='false' m='true' ar='true' ctr='true'/></ts>`
	bubble(t, setup{}, func(f *fixture) {
		for _, c := range []struct{ from, to, ask, want string }{
			{otto, lamp, `<req xmlns='SD' id='R1' m='true'/>`, `<resp xmlns='SD' id='R1'>` + lampNow + `</resp>`},
			{otto, lampBare, `<req xmlns='SD' id='R1' m='true'><f n='power'/></req>`, `<resp xmlns='SD' id='R1'>` + lampNow + `</resp>`},
			{otto, lamp, `<req xmlns='SD' id='R1' m='true'><nd id='lamp'/></req>`, `<resp xmlns='SD' id='R1'><nd id='lamp'>` + lampNow + `</nd></resp>`},
			// A viewer cannot set it, nor can a program what is dangerous.
			{vera, lamp, `<req xmlns='SD' id='R1' m='true'/>`, `<resp xmlns='SD' id='R1'><ts><b n='power' v='false' m='true' ar='true'/></ts></resp>`},
			{otto, oven, `<req xmlns='SD' id='R1' m='true'/>`, `<resp xmlns='SD' id='R1'><ts><b n='heat' v='false' m='true' ar='true'/>` +
				`<q n='target' v='180' u='°C' m='true' ar='true' ctr='true'/><e n='mode' v='Bake' t='mode' m='true' ar='true' ctr='true'/></ts></resp>`},
			{otto, oven, `<req xmlns='SD' id='R1' m='true'><f n='target'/></req>`, `<resp xmlns='SD' id='R1'><ts><q n='target' v='180' u='°C' m='true' ar='true' ctr='true'/></ts></resp>`},
			{otto, oven, `<req xmlns='SD' id='R1' i='true' s='true'/>`, `<resp xmlns='SD' id='R1'><ts><b n='online' v='true' s='true' ar='true'/><s n='id' v='oven' i='true'/>` +
				`<s n='name' v='Oven' i='true'/><s n='location' v='Kitchen' i='true'/><s n='class' v='switch' i='true'/><s n='model' v='Hot 3' i='true'/></ts></resp>`},
			// Where no history is kept there is nothing to read of it.
			{otto, oven, `<req xmlns='SD' id='R1' h='true' p='true' c='true' from='2026-01-01T00:00:00Z'/>`, "cancel feature-not-implemented"},
			{vera, lamp, `<req xmlns='SD' id='R1' h='true' m='true'/>`, `<resp xmlns='SD' id='R1'><ts><b n='power' v='false' m='true' ar='true'/></ts></resp>`},
			// The hub: all, one by name, and what a role hides.
			{vera, hub, `<req xmlns='SD' id='R1' s='true'/>`, `<resp xmlns='SD' id='R1'><nd id='lamp'><ts><b n='online' v='true' s='true' ar='true'/></ts></nd>` +
				`<nd id='oven'><ts><b n='online' v='true' s='true' ar='true'/></ts></nd></resp>`},
			{vera, hub, `<req xmlns='SD' id='R1' s='true'><nd id='oven'/></req>`, `<resp xmlns='SD' id='R1'><nd id='oven'><ts><b n='online' v='true' s='true' ar='true'/></ts></nd></resp>`},
			{wim, hub, `<req xmlns='SD' id='R1' s='true'/>`, `<resp xmlns='SD' id='R1'><nd id='lamp'><ts><b n='online' v='true' s='true' ar='true'/></ts></nd></resp>`},
			{wim, hub, `<req xmlns='SD' id='R1' s='true'><nd id='oven'/></req>`, "cancel item-not-found"},
			{vera, hub, `<req xmlns='SD' id='R1'><f n='target'/><f n='power'/></req>`, `<resp xmlns='SD' id='R1'><nd id='lamp'><ts><b n='power' v='false' m='true' ar='true'/></ts></nd>` +
				`<nd id='oven'><ts><q n='target' v='180' u='°C' m='true' ar='true'/></ts></nd></resp>`},
			{vera, hub, `<req xmlns='SD' id='R1'><nd id='nothing'/></req>`, "cancel item-not-found"},
			{vera, lamp, `<req xmlns='SD' id='R1'><nd id='oven'/></req>`, "cancel item-not-found"},
			{vera, lamp, `<req xmlns='SD' id='R1'><f n='target'/></req>`, "cancel item-not-found"},
			{vera, lamp, `<req xmlns='SD' id='R1' m='perhaps'/>`, "modify bad-request"},
			{vera, lamp, `<req xmlns='SD'/>`, "modify bad-request"},
			{wim, oven, `<req xmlns='SD' id='R1'/>`, "cancel item-not-found"},
			{mallory, lamp, `<req xmlns='SD' id='R1'/>`, "cancel service-unavailable"},
			{mallory, "nothing@" + domain, `<req xmlns='SD' id='R1'/>`, "cancel service-unavailable"},
			{vera, lamp, `<req xmlns='urn:example:iot:sd:1.0' id='R1'/>`, "cancel service-unavailable"},
			{vera, lamp, `<req xmlns='CTR' id='R1'/>`, "cancel service-unavailable"},
		} {
			out := f.ask("get", c.from, c.to, c.ask)
			if got := verdict(out[0]); got != c.want || len(out) != 1 {
				t.Errorf("%s to %s: %s\ngot  %s, %d more\nwant %s", c.from, c.to, c.ask, got, len(out)-1, c.want)
			}
		}
		// The other namespaces of the same words.
		for _, space := range []string{"urn:ieee:iot:sd:1.0", "urn:nfi:iot:sd:1.0"} {
			if got := f.ask("get", vera, lamp, `<req xmlns='`+space+`' id='R1' m='true'/>`)[0].First(); !got.Is(space, "resp") || got.First().First().Attr("v") != "false" {
				t.Errorf("%s: %s", space, got)
			}
		}
	})
}

// XEP-0323: accepted, then the values by message; a refusal says so beside the error.
func TestReadoutByMessage(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		out := f.ask("get", vera, lamp, `<req xmlns='XSD' seqnr='7' momentary='true'/>`)
		if got := verdict(out[0]); got != `<accepted xmlns='XSD' seqnr='7'/>` {
			t.Errorf("answer %s", got)
		}
		equal(t, "values", payloads(t, vera, out), []string{`<fields xmlns='XSD' seqnr='7' done='true'><node nodeId='lamp'><timestamp>` +
			`<boolean name='power' value='false' momentary='true' automaticReadout='true'/></timestamp></node></fields>`})
		if got := out[1].Attr("from"); got != lamp {
			t.Errorf("values come from %s", got)
		}
		for _, ask := range []string{`<req xmlns='XSD' seqnr='8'><field name='none'/></req>`, `<req xmlns='XSD' seqnr='8'><node nodeId='oven'/></req>`,
			`<req xmlns='XSD' seqnr='8' momentary='?'/>`} {
			out = f.ask("get", vera, lamp, ask)
			if r := out[0].Child(nsXSD, "rejected"); stream.ParseError(out[0]) == nil || r.Attr("seqnr") != "8" || r.ChildText(nsXSD, "error") == "" || len(out) != 1 {
				t.Errorf("%s: %v", ask, out)
			}
		}
	})
}

// What a device measured before it went is not what it measures now.
func TestReadoutOffline(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		f.house.link("lamp", fmt.Errorf("unplugged"))
		if got := verdict(f.ask("get", vera, lamp, `<req xmlns='SD' id='R1' m='true'/>`)[0]); got != "wait recipient-unavailable" {
			t.Errorf("values of a lamp that is away: %s", got)
		}
		out := f.ask("get", vera, lamp, `<req xmlns='XSD' seqnr='1' momentary='true'/>`)
		if got := payloads(t, vera, out); len(got) != 1 || !strings.Contains(got[0], "<failure xmlns='XSD' seqnr='1' done='true'>") || !strings.Contains(got[0], "unplugged") {
			t.Errorf("values of a lamp that is away: %v", got)
		}
		want := `<resp xmlns='SD' id='R1'><nd id='lamp'><ts><b n='online' v='false' s='true' ar='true'/></ts></nd><nd id='oven'><ts><b n='heat' v='false' m='true' ar='true'/>` +
			`<q n='target' v='180' u='°C' m='true' ar='true'/><e n='mode' v='Bake' t='mode' m='true' ar='true'/></ts><ts><b n='online' v='true' s='true' ar='true'/></ts></nd></resp>`
		if got := verdict(f.ask("get", vera, hub, `<req xmlns='SD' id='R1' m='true' s='true'/>`)[0]); got != want {
			t.Errorf("all devices: %s", got)
		}
	})
}

// A readout that is scheduled waits, and can be cancelled; it ends with who asked for it.
func TestReadoutScheduled(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		out := f.ask("get", vera, lamp, `<req xmlns='SD' id='R1' m='true' when='`+at(time.Minute)+`'/>`)
		if got := verdict(out[0]); got != `<accepted xmlns='SD' id='R1' queued='true'/>` || len(out) != 1 {
			t.Errorf("scheduled: %v", out)
		}
		if got := verdict(f.ask("get", vera, lamp, `<req xmlns='SD' id='R1' m='true' when='`+at(time.Minute)+`'/>`)[0]); got != "cancel conflict" {
			t.Errorf("the same id again: %s", got)
		}
		f.house.read("lamp", "power", devices.Bool(true))
		time.Sleep(time.Minute + time.Second)
		equal(t, "at its time", payloads(t, vera, f.sent()), []string{`<started xmlns='SD' id='R1'/>`,
			`<resp xmlns='SD' id='R1'><ts><b n='power' v='true' m='true' ar='true'/></ts></resp>`})

		for _, typ := range []string{"get", "set"} {
			f.ask("get", vera, lamp, `<req xmlns='SD' id='R2' when='`+at(time.Minute)+`'/>`)
			if out := f.ask(typ, vera, lamp, `<cancel xmlns='SD' id='R2'/>`); out[0].Attr("type") != "result" || out[0].First() != nil {
				t.Errorf("cancelled: %v", out)
			}
		}
		f.ask("get", vera, lamp, `<req xmlns='XSD' seqnr='3' when='`+at(time.Minute)+`'/>`)
		if got := verdict(f.ask("get", vera, lamp, `<cancel xmlns='XSD' seqnr='3'/>`)[0]); got != `<cancelled xmlns='XSD' seqnr='3'/>` {
			t.Errorf("cancelled: %s", got)
		}
		f.ask("get", vera, lamp, `<req xmlns='SD' id='R4' when='`+at(time.Minute)+`'/>`)
		f.deliver("<presence type='unavailable' from='" + vera + "' to='" + lampBare + "'/>")
		for _, cancel := range []string{`<cancel xmlns='SD' id='R4'/>`, `<cancel xmlns='XSD' seqnr='9'/>`} {
			if got := verdict(f.ask("get", vera, lamp, cancel)[0]); got != "cancel item-not-found" {
				t.Errorf("%s: %s", cancel, got)
			}
		}
		time.Sleep(2 * time.Minute)
		if got := payloads(t, vera, f.sent()); len(got) != 0 {
			t.Errorf("after all were cancelled: %v", got)
		}
		if got := verdict(f.ask("get", vera, lamp, `<req xmlns='SD' id='R5' when='`+at(48*time.Hour)+`'/>`)[0]); got != "modify not-acceptable" {
			t.Errorf("in two days: %s", got)
		}
		for i := range maxReadoutsPerJID {
			f.ask("get", vera, lamp, fmt.Sprintf(`<req xmlns='SD' id='B%d' when='%s'/>`, i, at(time.Hour)))
		}
		if got := verdict(f.ask("get", vera, lamp, `<req xmlns='SD' id='more' when='`+at(time.Hour)+`'/>`)[0]); got != "wait resource-constraint" {
			t.Errorf("too many: %s", got)
		}
		if n := len(f.events.alarms); n != maxReadoutsPerJID {
			t.Errorf("%d alarms are set", n)
		}
	})
}

// What does not fit one stanza comes in several, each within what servers take.
func TestReadoutInParts(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		const n = 700
		for i := range n {
			f.house.step(announceSwitch(devices.ID(fmt.Sprintf("d%d", i))))
		}
		out := f.ask("get", alice, hub, `<req xmlns='SD' id='R1' m='true'><f n='class'/></req>`)
		if got := payloads(t, alice, out); verdict(out[0]) != `<started xmlns='SD' id='R1'/>` || !slices.Equal(got, []string{`<done xmlns='SD' id='R1'/>`}) {
			t.Errorf("nothing to say: %v", out)
		}
		for _, c := range []struct {
			ask, first string
			last       func(*stream.Element) bool
		}{
			{`<req xmlns='SD' id='R1' s='true' i='true'/>`, `<started xmlns='SD' id='R1'/>`,
				func(e *stream.Element) bool { return e.Attr("more") != "true" }},
			{`<req xmlns='XSD' seqnr='1' status='true' identity='true'/>`, `<accepted xmlns='XSD' seqnr='1'/>`,
				func(e *stream.Element) bool { return e.Attr("done") == "true" }},
		} {
			out := f.ask("get", alice, hub, c.ask)
			if got := verdict(out[0]); got != c.first {
				t.Errorf("answer %s", got)
			}
			seen := 0
			out = slices.DeleteFunc(out[1:], func(st *stream.Element) bool { return st.Name != "message" })
			for i, st := range out {
				if c.last(st.First()) != (i == len(out)-1) {
					t.Errorf("part %d of %d: %.100s", i, len(out), st)
				}
				if size := len(st.AppendXML(nil)); size > 64<<10 {
					t.Errorf("a part of %d bytes", size)
				}
				seen += strings.Count(st.String(), "'online'")
			}
			if seen != n+2 || len(out) < 3 {
				t.Errorf("%d devices in %d parts", seen, len(out))
			}
		}
	})
}

// One that is under way ends when it is cancelled.
func TestReadoutCancelled(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for i := range 700 {
			f.house.step(announceSwitch(devices.ID(fmt.Sprintf("d%d", i))))
		}
		parts := 0
		f.network.set(func(n *testNetwork) {
			n.refuse = func(st *stream.Element) error {
				if st.Name == "message" {
					if parts++; parts > 2 {
						return stream.ErrFull // the server is slow
					}
				}
				return nil
			}
		})
		f.deliver("<iq type='get' id='1' from='" + alice + "' to='" + hub + "'><req xmlns='" + nsSD + "' id='R1' s='true' i='true'/></iq>")
		time.Sleep(time.Second)
		if got := verdict(f.ask("set", alice, hub, `<cancel xmlns='SD' id='R1'/>`)[0]); got != "" {
			t.Errorf("cancelled: %s", got)
		}
		f.network.set(func(n *testNetwork) { n.refuse = nil })
		time.Sleep(time.Second)
		if got := len(payloads(t, alice, f.sent())); got > 1 {
			t.Errorf("%d parts after it was cancelled", got)
		}
	})
}
