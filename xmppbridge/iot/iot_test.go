package iot

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidings/devices"
	"tidings/xmppbridge/stream"
)

// parse reads an element; SD, CTR and EV stand for the namespaces of a dialect.
func parse(t *testing.T, d *Dialect, xml string) *stream.Element {
	t.Helper()
	e, err := stream.Parse([]byte(strings.NewReplacer("SD", d.Data, "CTR", d.Control, "EV", d.Events).Replace(xml)))
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return e
}

func TestOf(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range Dialects() {
		for _, space := range d.Namespaces() {
			if got, ok := Of(space); !ok || got != d || seen[space] {
				t.Errorf("%s is not of one dialect", space)
			}
			seen[space] = true
		}
	}
	if _, ok := Of("urn:example:iot:sd:1.0"); ok || len(seen) != 11 {
		t.Errorf("namespaces %v", seen)
	}
}

func TestReadRequest(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 9, 22, 15, 22, 33, 0, time.UTC)
	for _, c := range []struct {
		dialect *Dialect
		xml     string
		want    Request
	}{
		{nf, `<req xmlns='SD' id='R1' all='true'/>`, Request{ID: "R1", Categories: All, Periods: Readings}},
		{nf, `<req xmlns='SD' id='R1' h='1' p='true'/>`, Request{ID: "R1", Categories: Historical | Peak, Periods: Readings}},
		{xep, `<req xmlns='SD' seqnr='7' historical='true'/>`, Request{ID: "7", Categories: Historical, Periods: Readings}},
		{xep, `<req xmlns='SD' seqnr='7' historicalSecond='true' historicalYear='1'/>`, Request{ID: "7", Categories: Historical, Periods: Readings | Years}},
		{ieee, `<req xmlns='SD' id='R1'/>`, Request{ID: "R1", Categories: Momentary | Status | Identity}},
		{nfi, `<req xmlns='SD' id='R1' m='1' i='true' c='false' from='2026-09-22T15:22:33Z' to='2026-09-22T17:22:33+02:00' when='2026-09-22T15:22:33'>
			<nd id='b'/><nd id='a'/><nd id='b'/><f n='t'/><other/></req>`,
			Request{ID: "R1", Categories: Momentary | Identity, Nodes: []string{"a", "b"}, Fields: []string{"t"}, From: from, To: from, When: from}},
		{xep, `<req xmlns='SD' seqnr='7' momentary='true' historicalDay='true'><node nodeId='x'/><field name='T'/></req>`,
			Request{ID: "7", Categories: Momentary | Historical, Periods: Days, Nodes: []string{"x"}, Fields: []string{"T"}}},
	} {
		got, err := c.dialect.ReadRequest(parse(t, c.dialect, c.xml))
		if err != nil || got.ID != c.want.ID || got.Categories != c.want.Categories || !slices.Equal(got.Nodes, c.want.Nodes) ||
			!slices.Equal(got.Fields, c.want.Fields) || !got.From.Equal(c.want.From) || !got.To.Equal(c.want.To) || !got.When.Equal(c.want.When) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", c.xml, got, err, c.want)
		}
	}
}

func TestReadSubscription(t *testing.T) {
	t.Parallel()
	got, err := nf.ReadSubscription(parse(t, nf, `<subscribe xmlns='EV' id='S1' m='true' minInt='PT0.5S' maxInt='PT1M' req='true'>
		<nd id='n'/><f n='light' v='25.7' by='1' up='' dn='2.5'/><f n='motion'/></subscribe>`))
	want := Subscription{ID: "S1", Nodes: []string{"n"}, Categories: Momentary, Min: 500 * time.Millisecond, Max: time.Minute, Now: true,
		Conditions: []Condition{{Field: "light", Known: "25.7", By: 1, Down: 2.5}, {Field: "motion"}}}
	if err != nil || got.ID != want.ID || got.Min != want.Min || got.Max != want.Max || !got.Now || got.Categories != want.Categories ||
		!slices.Equal(got.Nodes, want.Nodes) || !slices.Equal(got.Conditions, want.Conditions) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadControl(t *testing.T) {
	t.Parallel()
	got, err := ieee.ReadControl(parse(t, ieee, `<set xmlns='CTR'><nd id='n'/><b n='power' v='true'/><db n='target' v='21.5'/><i n='n' v='-3'/>
		<l n='long' v='4294967296'/><s n='text' v=''/><e n='mode' v='eco' t='x'/><cl n='colour' v='FF0000'/></set>`))
	want := []Param{{"power", BoolParam, devices.Bool(true)}, {"target", NumberParam, devices.Number(21.5)}, {"n", NumberParam, devices.Number(-3)},
		{"long", NumberParam, devices.Number(4294967296)}, {"text", TextParam, devices.Text("")}, {"mode", TextParam, devices.Text("eco")},
		{"colour", OtherParam, devices.Text("FF0000")}}
	if err != nil || !slices.Equal(got.Params, want) || !slices.Equal(got.Nodes, []string{"n"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = xep.ReadControl(parse(t, xep, `<set xmlns='CTR'><x xmlns='jabber:x:data' type='submit'/></set>`))
	if err != nil || got.Form == nil {
		t.Errorf("a form: %+v, %v", got, err)
	}
}

// What cannot be read is an error that says so, and names the parameter it is about.
func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxID+1)
	many := func(n int, s string) string { return strings.Repeat(s, n+1) }
	for _, c := range []struct{ xml, param string }{
		{`<req xmlns='SD'/>`, ""},
		{`<req xmlns='SD' id='` + long + `'/>`, ""},
		{`<req xmlns='SD' id='1' m='yes'/>`, ""},
		{`<req xmlns='SD' id='1' all='2'/>`, ""},
		{`<req xmlns='SD' id='1' from='yesterday'/>`, ""},
		{`<req xmlns='SD' id='1' when='15:22'/>`, ""},
		{`<req xmlns='SD' id='1' from='2026-09-22T15:22:33Z' to='2026-09-21T15:22:33Z'/>`, ""},
		{`<req xmlns='SD' id='1'><nd/></req>`, ""},
		{`<req xmlns='SD' id='1'><f/></req>`, ""},
		{`<req xmlns='SD' id='1'><f n='` + long + `'/></req>`, ""},
		{`<req xmlns='SD' id='1'>` + many(maxNodes, `<nd id='a'/>`) + `</req>`, ""},
		{`<req xmlns='SD' id='1'>` + many(maxFields, `<f n='a'/>`) + `</req>`, ""},
		{`<subscribe xmlns='EV'/>`, ""},
		{`<subscribe xmlns='EV' id='1' minInt='1'/>`, ""},
		{`<subscribe xmlns='EV' id='1' minInt='-PT1S'/>`, ""},
		{`<subscribe xmlns='EV' id='1' maxInt='P1Y'/>`, ""},
		{`<subscribe xmlns='EV' id='1' minInt='PT2S' maxInt='PT1S'/>`, ""},
		{`<subscribe xmlns='EV' id='1' req='maybe'/>`, ""},
		{`<subscribe xmlns='EV' id='1'><f n='a' by='-1'/></subscribe>`, ""},
		{`<subscribe xmlns='EV' id='1'><f n='a' by='NaN'/></subscribe>`, ""},
		{`<subscribe xmlns='EV' id='1'><f n='a' up='high'/></subscribe>`, ""},
		{`<subscribe xmlns='EV' id='1'><f n='a'/><f n='a'/></subscribe>`, ""},
		{`<subscribe xmlns='EV' id='1'><f n='a' v='` + long + `'/></subscribe>`, ""},
		{`<set xmlns='CTR'/>`, ""},
		{`<set xmlns='CTR'><b v='true'/></set>`, ""},
		{`<set xmlns='CTR'><q n='a' v='1'/></set>`, ""},
		{`<set xmlns='CTR'><b n='a' v='on'/></set>`, "a"},
		{`<set xmlns='CTR'><b n='a'/></set>`, "a"},
		{`<set xmlns='CTR'><i n='a' v='1.5'/></set>`, "a"},
		{`<set xmlns='CTR'><i n='a' v='4294967296'/></set>`, "a"},
		{`<set xmlns='CTR'><db n='a' v='INF'/></set>`, "a"},
		{`<set xmlns='CTR'><db n='a' v='0x10'/></set>`, "a"},
		{`<set xmlns='CTR'><db n='a' v=''/></set>`, "a"},
		{`<set xmlns='CTR'><b n='a' v='true'/><b n='a' v='false'/></set>`, "a"},
		{`<set xmlns='CTR'><b n='a' v='true'/><x xmlns='jabber:x:data' type='submit'/></set>`, ""},
		{`<set xmlns='CTR'><x xmlns='jabber:x:data'/><x xmlns='jabber:x:data'/></set>`, ""},
		{`<set xmlns='CTR'>` + many(maxParams, `<b n='a' v='true'/>`) + `</set>`, "a"},
	} {
		e := parse(t, nf, c.xml)
		var err error
		switch e.Name {
		case "req":
			_, err = nf.ReadRequest(e)
		case "subscribe":
			_, err = nf.ReadSubscription(e)
		default:
			_, err = nf.ReadControl(e)
		}
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Param != c.param {
			t.Errorf("%.120s: %v", c.xml, err)
		}
		if err != nil && len(err.Error()) > 2*maxID {
			t.Errorf("%.120s: an error of %d bytes", c.xml, len(err.Error()))
		}
	}
}

// Each dialect says the same in its own words.
func TestValues(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 9, 22, 15, 22, 33, 0, time.UTC)
	fields := []Field{
		{Name: "temperature", Kind: NumberField, Value: "12.3", Unit: "°C", Categories: Momentary, Automatic: true, At: at},
		{Name: "power", Kind: BoolField, Value: "true", Categories: Momentary, Writable: true, At: at},
		{Name: "mode", Kind: EnumField, Value: "eco", Type: "mode", Categories: Momentary | Historical, At: at.Add(time.Millisecond)},
		{Name: "serial", Kind: TextField, Value: "", Categories: Identity, At: at.Add(time.Millisecond)},
	}
	for _, c := range []struct {
		got  *stream.Element
		want string
	}{
		{nf.Values("R1", []Block{{Fields: fields}}, false), `<resp xmlns='urn:nf:iot:sd:1.0' id='R1'>` +
			`<ts v='2026-09-22T15:22:33.000Z'><q n='temperature' v='12.3' u='°C' m='true' ar='true'/><b n='power' v='true' m='true' ctr='true'/></ts>` +
			`<ts v='2026-09-22T15:22:33.001Z'><e n='mode' v='eco' t='mode' m='true' h='true'/><s n='serial' v='' i='true'/></ts></resp>`},
		{ieee.Values("R1", []Block{{Device: "lamp", Fields: fields[1:2]}}, true), `<resp xmlns='urn:ieee:iot:sd:1.0' id='R1' more='true'>` +
			`<nd id='lamp'><ts v='2026-09-22T15:22:33.000Z'><b n='power' v='true' m='true' ctr='true'/></ts></nd></resp>`},
		{xep.Values("1", []Block{{Device: "lamp", Fields: fields[:2]}}, false), `<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'>` +
			`<node nodeId='lamp'><timestamp value='2026-09-22T15:22:33.000Z'>` +
			`<numeric name='temperature' value='12.3' unit='°C' momentary='true' automaticReadout='true'/>` +
			`<boolean name='power' value='true' momentary='true' writable='true'/></timestamp></node></fields>`},
		{xep.Values("1", []Block{{Device: "lamp", Fields: []Field{{Name: "t", Kind: NumberField, Value: "1", Categories: Historical, Automatic: true, At: at},
			{Name: "t", Kind: NumberField, Value: "2", Categories: Historical, Periods: Hours | Days, At: at.Add(time.Second)}}}}, true), `<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'>` +
			`<node nodeId='lamp'><timestamp value='2026-09-22T15:22:33.000Z'><numeric name='t' value='1' historicalOther='true' automaticReadout='true'/></timestamp>` +
			`<timestamp value='2026-09-22T15:22:34.000Z'><numeric name='t' value='2' historicalHour='true' historicalDay='true'/></timestamp></node></fields>`},
		{xep.Values("1", nil, true), `<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>`},
		{nfi.Accepted("S1", true), `<accepted xmlns='urn:nfi:iot:sd:1.0' id='S1' queued='true'/>`},
		{nf.Started("R1"), `<started xmlns='urn:nf:iot:sd:1.0' id='R1'/>`},
		{nf.Done("R1"), `<done xmlns='urn:nf:iot:sd:1.0' id='R1'/>`},
		{xep.Done("1"), `<fields xmlns='urn:xmpp:iot:sensordata' seqnr='1' done='true'/>`},
		{xep.Cancelled("1"), `<cancelled xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>`},
		{nf.Cancelled("1"), ``},
		{xep.Failure("2", "x", "Timeout.", at), `<failure xmlns='urn:xmpp:iot:sensordata' seqnr='2' done='true'>` +
			`<error nodeId='x' timestamp='2026-09-22T15:22:33.000Z'>Timeout.</error></failure>`},
		{xep.Rejected("2", "no"), `<rejected xmlns='urn:xmpp:iot:sensordata' seqnr='2'><error>no</error></rejected>`},
		{nf.Set(Written{Nodes: []string{"n"}, Params: []string{"power"}}), `<resp xmlns='urn:nf:iot:ctr:1.0'><nd id='n'/><p n='power'/></resp>`},
		{xep.Set(Written{}), `<setResponse xmlns='urn:xmpp:iot:control' responseCode='OK'/>`},
		{xep.NotSet(stream.NewStanzaError(stream.Forbidden, "no"), "a", false), `<setResponse xmlns='urn:xmpp:iot:control' responseCode='InsufficientPrivileges'>` +
			`<parameter name='a'/><error var='a'>no</error></setResponse>`},
		{xep.NotSet(stream.NewStanzaError(stream.BadRequest, "no"), "", true), `<setResponse xmlns='urn:xmpp:iot:control' responseCode='FormError'><error>no</error></setResponse>`},
		{nf.ParamError("a", "no"), `<paramError xmlns='urn:nf:iot:ctr:1.0' n='a'>no</paramError>`},
		{xep.ParamError("a", "no"), `<paramError xmlns='urn:xmpp:iot:control' var='a'>no</paramError>`},
	} {
		got := ""
		if c.got != nil {
			got = c.got.String()
		}
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"": 0, "PT0S": 0, "PT1S": time.Second, "PT1.5S": 1500 * time.Millisecond, "PT1M": time.Minute, "PT1H2M3S": time.Hour + 2*time.Minute + 3*time.Second,
		"P1DT12H": 36 * time.Hour, "P2D": 48 * time.Hour,
		"P": -1, "PT": -1, "1S": -1, "P1S": -1, "PT1": -1, "PT1M1H": -1, "P1Y": -1, "P1M": -1, "-PT1S": -1, "PT-1S": -1, "PT1.5M": -1, "P1DT": -1,
		"P400D": -1, "PT1e3S": -1, "PT..S": -1, "P99999999999999999999999999999999D": -1,
	} {
		got, err := readDuration(s)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestConditionMet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cond     Condition
		from, to float64
		want     bool
	}{
		{Condition{}, 1, 1, false}, {Condition{}, 1, 1.1, true},
		{Condition{By: 1}, 1, 1.9, false}, {Condition{By: 1}, 1, 2, true}, {Condition{By: 1}, 1, 0, true},
		{Condition{Up: 1}, 1, 2, true}, {Condition{Up: 1}, 1, 0, false},
		{Condition{Down: 1}, 1, 0, true}, {Condition{Down: 1}, 1, 5, false},
		{Condition{Up: 1, Down: 5}, 1, 0, false}, {Condition{Up: 1, Down: 5}, 1, -4, true}, {Condition{By: 3, Up: 1}, 1, 2, true},
	} {
		if got := c.cond.Met(c.from, c.to); got != c.want {
			t.Errorf("%+v from %v to %v: %v", c.cond, c.from, c.to, got)
		}
	}
}

// Whatever a program sends, what was read of it is in bounds.
func TestReadAnything(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom([]string{"", "nd", "f", "b", "i", "db", "s", "x", "node", "field", "boolean", "id", "n", "v", "seqnr", "name", "by", "up", "dn",
		"m", "all", "minInt", "maxInt", "from", "when", "true", "1", "-1", "PT1S", "PT1M", "2026-09-22T15:22:33Z", "NaN", "1e300", "a"})
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom(Dialects()).Draw(t, "dialect")
		space := rapid.SampledFrom(append(d.Namespaces(), "jabber:x:data")).Draw(t, "space")
		e := stream.New(space, "e")
		fill := func(e *stream.Element) {
			for range rapid.IntRange(0, 6).Draw(t, "attributes") {
				if name := words.Draw(t, "name"); name != "" {
					e.SetAttr(name, words.Draw(t, "value"))
				}
			}
		}
		fill(e)
		for range rapid.IntRange(0, 5).Draw(t, "children") {
			if name := words.Draw(t, "child"); name != "" {
				c := stream.New(space, name)
				fill(c)
				e.Add(c)
			}
		}
		if r, err := d.ReadRequest(e); err == nil && (r.ID == "" || r.Categories == 0) {
			t.Fatalf("%s: %+v", e, r)
		}
		if s, err := d.ReadSubscription(e); err == nil {
			for _, c := range s.Conditions {
				if c.By < 0 || math.IsNaN(c.By) || math.IsInf(c.Up, 0) || s.Min < 0 || s.Max < 0 {
					t.Fatalf("%s: %+v", e, s)
				}
			}
		}
		if c, err := d.ReadControl(e); err == nil && (c.Form == nil) == (len(c.Params) == 0) {
			t.Fatalf("%s: %+v", e, c)
		}
	})
}

// Beginnings are those of the zone's calendar, with its days of 23 and 25 hours; a week begins on Monday.
func TestPeriods(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const layout = "2006-01-02 15:04:05 -0700"
	at := func(s string) time.Time {
		t.Helper()
		when, err := time.Parse(layout, s)
		if err != nil {
			t.Fatal(err)
		}
		return when.In(berlin)
	}
	for _, c := range []struct {
		p          Period
		from, next string
	}{
		{Minutes, "2026-09-22 15:22:33 +0200", "2026-09-22 15:23:00 +0200"},
		{Minutes, "2026-09-22 15:23:00 +0200", "2026-09-22 15:24:00 +0200"},
		{Hours, "2026-10-25 02:30:00 +0200", "2026-10-25 02:00:00 +0100"},
		{Hours | Days, "2026-03-29 01:59:59 +0100", "2026-03-29 03:00:00 +0200"},
		{Days, "2026-10-25 00:00:00 +0200", "2026-10-26 00:00:00 +0100"},
		{Weeks, "2026-09-22 15:22:33 +0200", "2026-09-28 00:00:00 +0200"},
		{Weeks, "2026-09-27 23:22:33 +0200", "2026-09-28 00:00:00 +0200"},
		{Weeks | Months, "2026-09-29 00:00:00 +0200", "2026-10-01 00:00:00 +0200"},
		{Months, "2026-12-31 23:59:59 +0100", "2027-01-01 00:00:00 +0100"},
		{Quarters, "2026-08-31 12:00:00 +0200", "2026-10-01 00:00:00 +0200"},
		{Years, "2026-01-01 00:00:00 +0100", "2027-01-01 00:00:00 +0100"},
	} {
		next := c.p.Next(at(c.from))
		if got := next.Format(layout); got != c.next {
			t.Errorf("%b after %s: %s, want %s", c.p, c.from, got, c.next)
		}
		if c.p.At(next) == 0 || c.p.At(next.Add(time.Second)) != 0 {
			t.Errorf("%b at %s: %b", c.p, next, c.p.At(next))
		}
	}
	if !Readings.Next(time.Now()).IsZero() || (Hours|Days|Weeks).At(at("2026-09-22 00:00:00 +0200")) != Hours|Days {
		t.Error("readings have no beginnings; midnight of a Tuesday is that of an hour and a day")
	}
}
