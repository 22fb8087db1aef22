package homeassistant

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tidings/drivers/mqtt/discovery"
)

// take hears announcements, one a line: the topic without prefix and "config", and the payload.
func take(c *Convention, lines ...string) (changed []string) {
	for _, line := range lines {
		topic, payload, _ := strings.Cut(line, " ")
		keys, _ := c.Take(discovery.NewMessage("homeassistant/"+topic+"/config", []byte(payload)))
		changed = append(changed, keys...)
	}
	return changed
}

// sensor announces a sensor whose device is described by the JSON in device.
func sensor(object, device string) string {
	return fmt.Sprintf(`sensor/%s {"stat_t":"s/%s","uniq_id":"%[1]s","name":"%[1]s","unit_of_meas":"W","dev":{%[3]s}}`, object, object, device)
}

// known are the devices there are and their points, one a line: "key: point point".
func known(c *Convention) []string {
	var out []string
	for key := range c.groups.keyed {
		if d := c.Device(key); d != nil {
			names := make([]string, len(d.Points))
			for i, p := range d.Points {
				names[i] = p.Name
			}
			out = append(out, key+": "+strings.Join(names, " "))
		}
	}
	slices.Sort(out)
	return out
}

// expect compares the devices that are known.
func expect(t *testing.T, c *Convention, want ...string) {
	t.Helper()
	if got := known(c); !slices.Equal(got, want) {
		t.Errorf("known:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOneDeviceOfWhatHasAnythingInCommon(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"the same identifiers", []string{sensor("a", `"ids":["x"]`), sensor("b", `"ids":"x"`)}, []string{"x: a b"}},
		{"one of several", []string{sensor("a", `"ids":["x","y"]`), sensor("b", `"ids":["y"]`), sensor("c", `"ids":["z","y"]`)}, []string{"x: a b c"}},
		{"only a connection", []string{sensor("a", `"ids":["x"],"cns":[["mac","AA-BB-CC-DD-EE-FF"]]`), sensor("b", `"cns":[["mac","aabbccddeeff"]]`)},
			[]string{"x: a b"}},
		{"connections without identifiers", []string{sensor("a", `"cns":[["mac","AA:BB:CC:DD:EE:FF"]]`)}, []string{"connection:mac:aa:bb:cc:dd:ee:ff: a"}},
		{"a number", []string{sensor("a", `"ids":[12345]`), sensor("b", `"ids":"12345"`)}, []string{"12345: a b"}},
		{"no device", []string{`sensor/garden {"stat_t":"g","uniq_id":"g1","dev_cla":"temperature","name":"Garden"}`, `switch/n/o {"cmd_t":"c"}`},
			[]string{"entity:sensor:g1: temperature", "topic:switch/n/o: switch"}},
		{"an identifier that looks like something else", []string{sensor("a", `"ids":["entity:sensor:g1"]`),
			`sensor/garden {"stat_t":"g","uniq_id":"g1"}`}, []string{"entity:sensor:g1: value", "identifier:entity:sensor:g1: a"}},
		{"an announcement of two devices", []string{sensor("a", `"ids":["x"]`), sensor("b", `"ids":["y"]`), sensor("c", `"ids":["x","y"]`)},
			[]string{"x: a c", "y: b"}},
		{"one by what only one of them has", []string{sensor("a", `"ids":["x1","x2"]`), sensor("b", `"ids":["y1","y2"]`), sensor("c", `"ids":["x2","y2"]`)},
			[]string{"x1: a c", "y1: b"}},
	} {
		for range 20 {
			rand.Shuffle(len(test.lines), func(i, j int) { test.lines[i], test.lines[j] = test.lines[j], test.lines[i] })
			c := New(Options{})
			take(c, test.lines...)
			if got := known(c); !slices.Equal(got, test.want) {
				t.Fatalf("%s: %v, want %v; in the order %v", test.name, got, test.want, test.lines)
			}
			for _, line := range test.lines {
				topic, _, _ := strings.Cut(line, " ")
				take(c, topic+" ")
			}
			if got := known(c); len(got) > 0 || len(c.groups.anchored)+len(c.groups.named)+len(c.groups.identities)+len(c.owners)+len(c.announced) > 0 {
				t.Fatalf("%s: left: %v", test.name, got)
			}
		}
	}
}

func TestAKeyThatWasGivenStays(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, sensor("p", `"ids":["lamp","lamp-mac"],"name":"Lamp"`))
	expect(t, c, "lamp: p")
	// Others may join a device, but neither take its key nor its place.
	take(c, sensor("q", `"ids":["a-lamp","lamp-mac"]`), sensor("r", `"ids":["a-lamp","lamp-mac"]`), sensor("s", `"ids":["lamp-mac"]`))
	expect(t, c, "lamp: p q r s")
	take(c, sensor("p", `"ids":["lamp","lamp-mac"],"name":"Leselampe"`))
	expect(t, c, "lamp: p q r s")
	// Nor make two one.
	take(c, sensor("t", `"ids":["tv"]`))
	expect(t, c, "lamp: p q r s", "tv: t")
	changed := take(c, sensor("u", `"ids":["tv","lamp-mac"]`), sensor("v", `"ids":["tv","lamp-mac"]`))
	expect(t, c, "lamp: p q r s", "tv: t u v")
	if !slices.Contains(changed, "tv") {
		t.Errorf("changed: %v", changed)
	}
	d := c.Device("tv")
	if !slices.Contains(d.Notes, "it names itself as lamp, which is another device") {
		t.Errorf("notes: %q", d.Notes)
	}
	if changed := take(c, "sensor/p ", "sensor/q ", "sensor/r ", "sensor/s "); !slices.Contains(changed, "lamp") || c.Device("lamp") != nil {
		t.Errorf("changed: %v; known: %v", changed, known(c))
	}
}

func TestAUniqueIDIsOnes(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, `switch/lamp {"cmd_t":"lamp/set","uniq_id":"u1","dev":{"ids":["lamp"]}}`,
		`switch/evil {"cmd_t":"evil/set","uniq_id":"u1","dev":{"ids":["evil"]}}`, `sensor/other {"stat_t":"o","uniq_id":"u1","dev":{"ids":["other"]}}`)
	expect(t, c, "evil: ", "lamp: switch", "other: value")
	if d := c.Device("evil"); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "its unique_id is the one of another") {
		t.Errorf("notes: %q", d.Notes)
	}
	changed := take(c, "switch/lamp ")
	expect(t, c, "evil: switch", "other: value")
	if !slices.Equal(changed, []string{"evil", "lamp"}) {
		t.Errorf("changed: %v", changed)
	}
}

// A hand-over, as https://www.home-assistant.io/integrations/mqtt/#migration-from-single-component-to-device-based-discovery has it.
func TestHandOver(t *testing.T) {
	t.Parallel()
	const (
		single = `sensor/0AFFD2/bla1 {"stat_t":"foobar/s1","uniq_id":"bla_sensor001","name":"Left","dev":{"ids":["0AFFD2"],"name":"foobar"},"o":{"name":"foobar"}}`
		whole  = `device/0AFFD2 {"dev":{"ids":["0AFFD2"],"name":"foobar"},"o":{"name":"foobar"},"cmps":{"one":{"p":"sensor","stat_t":"foobar/s1","uniq_id":"bla_sensor001","name":"Left"}}}`
	)
	c := New(Options{})
	take(c, single)
	steps := []struct{ line, want string }{
		{whole, "0AFFD2: bla1"}, // refused, as long as there is the other
		{`device/0AFFD2 `, "0AFFD2: bla1"},
		{`sensor/0AFFD2/bla1 {"migrate_discovery": true}`, "0AFFD2: bla1"},
		{whole, "0AFFD2: bla1"}, // the name stays
		{`sensor/0AFFD2/bla1 `, "0AFFD2: bla1"},
		{`device/0AFFD2 {"migr_discvry": true}`, "0AFFD2: bla1"}, // and back
		{single, "0AFFD2: bla1"},
		{`device/0AFFD2 `, "0AFFD2: bla1"},
	}
	for _, step := range steps {
		take(c, step.line)
		expect(t, c, step.want)
		if len(c.Device("0AFFD2").Points) != 1 {
			t.Errorf("%s: %v", step.line, c.Device("0AFFD2").Points)
		}
	}
	if notes := c.Device("0AFFD2").Notes; len(notes) > 0 {
		t.Errorf("notes: %q", notes)
	}
	take(c, `sensor/0AFFD2/bla1 `)
	expect(t, c)
}

func TestAComponentIsTakenBack(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, `device/d {"dev":{"ids":["d"]},"o":{"name":"x"},"cmps":{"a":{"p":"sensor","stat_t":"a"},"b":{"p":"switch","cmd_t":"b"}}}`)
	expect(t, c, "d: b a")
	take(c, `device/d {"dev":{"ids":["d"]},"o":{"name":"x"},"cmps":{"a":{"p":"sensor","stat_t":"a"},"b":{"p":"switch"}}}`)
	expect(t, c, "d: a")
	take(c, `device/d `)
	expect(t, c)
}

func TestNamesStayWhenNamesChange(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, `sensor/kitchen_temperature {"stat_t":"k","uniq_id":"k1","name":"Kitchen Temperature","dev_cla":"temperature","dev":{"ids":["k"],"name":"Kitchen"}}`)
	expect(t, c, "k: temperature")
	if p := c.Device("k").Points[0]; p.Label != "Temperature" {
		t.Errorf("label %q", p.Label)
	}
	take(c, `sensor/kitchen_temperature {"stat_t":"k","uniq_id":"k1","name":"Küche Wärme","dev_cla":"temperature","dev":{"ids":["k"],"name":"Küche"}}`)
	expect(t, c, "k: temperature")
	if d := c.Device("k"); d.Name != "Küche" || d.Points[0].Label != "Wärme" {
		t.Errorf("%q, label %q", d.Name, d.Points[0].Label)
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	line := sensor("a", `"ids":["x"]`)
	if changed := take(c, line); !slices.Equal(changed, []string{"x"}) {
		t.Errorf("%v", changed)
	}
	if changed := take(c, line, line); len(changed) > 0 {
		t.Errorf("%v", changed)
	}
	// What cannot be read leaves what was said before.
	if changed := take(c, "sensor/a {", "sensor/a []", "sensor/a 1 2"); len(changed) > 0 {
		t.Errorf("%v", changed)
	}
	expect(t, c, "x: a")
	if reports := c.Report(); len(reports) != 3 || !strings.Contains(reports[0], "homeassistant/sensor/a/config: the announcement is not a JSON object") {
		t.Errorf("reports: %q", reports)
	}
	if reports := c.Report(); len(reports) > 0 {
		t.Errorf("reported again: %q", reports)
	}
}

func TestMainsAreCalledByWhatTheyAre(t *testing.T) {
	t.Parallel()
	light := func(object, name string) string {
		return fmt.Sprintf(`light/%s {"cmd_t":"c","bri_cmd_t":"b","name":%s,"dev":{"ids":["x"],"name":"Lamp"}}`, object, name)
	}
	for _, test := range []struct {
		lines []string
		want  string
	}{
		{[]string{light("light", "null")}, "x: light brightness"},
		{[]string{light("ceiling", `"Ceiling"`)}, "x: ceiling brightness"},
		{[]string{light("left", `"Left"`), light("right", `"Right"`)}, "x: left left_brightness right right_brightness"},
		{[]string{light("light", "null"), light("right", `"Right"`)}, "x: light brightness right right_brightness"},
		{[]string{light("light", "null"), `sensor/brightness {"stat_t":"s","dev":{"ids":["x"]}}`}, "x: light brightness sensor_brightness"},
		{[]string{sensor("a_b", `"ids":["x"]`), sensor("a-b", `"ids":["x"]`), sensor("a__b", `"ids":["x"]`)}, "x: a_b sensor_a_b sensor_a_b_2"},
	} {
		c := New(Options{})
		take(c, test.lines...)
		expect(t, c, test.want)
		slices.Reverse(test.lines)
		c = New(Options{})
		take(c, test.lines...)
		expect(t, c, test.want)
	}
}

func TestAvailability(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, `sensor/a {"stat_t":"a","avty_t":"x/status","dev":{"ids":["x"]}}`, `sensor/b {"stat_t":"b","avty":[{"t":"x/status"}],"dev":{"ids":["x"]}}`,
		`device_automation/t {"atype":"trigger","t":"t","type":"action","stype":"single","dev":{"ids":["x"]}}`)
	if d := c.Device("x"); d.Available == nil || d.Points[0].Available != nil || d.Points[1].Available != nil {
		t.Error("one availability of all is not the device's")
	}
	take(c, `sensor/c {"stat_t":"c","dev":{"ids":["x"]}}`)
	d := c.Device("x")
	if d.Available != nil || d.Points[0].Available == nil || d.Points[1].Available == nil || d.Points[2].Available != nil {
		t.Error("an availability of some is not theirs")
	}
	for mode, want := range map[string]discovery.Mode{"": discovery.Latest, "latest": discovery.Latest, "all": discovery.All, "any": discovery.Any} {
		c := New(Options{})
		take(c, `sensor/a {"stat_t":"a","avty":[{"t":"~/x"},{"t":"y/~","pl_avail":"1","pl_not_avail":"0","val_tpl":"{{ value_json.up }}"}],"avty_mode":"`+mode+
			`","~":"base","dev":{"ids":["x"]}}`)
		if mode == "" {
			take(c, `sensor/a {"stat_t":"a","avty":[{"t":"~/x"},{"t":"y/~","pl_avail":"1","pl_not_avail":"0","val_tpl":"{{ value_json.up }}"}],"~":"base","dev":{"ids":["x"]}}`)
		}
		a := c.Device("x").Available
		if a == nil || a.Mode != want || len(a.Topics) != 2 || a.Topics[0].Topic != "base/x" || a.Topics[1].Topic != "y/base" {
			t.Errorf("mode %q: %+v", mode, a)
			continue
		}
		for payload, up := range map[string]bool{`{"up":1}`: true, `{"up":0}`: false} {
			if got, err := a.Topics[1].Read(discovery.NewMessage("y/base", []byte(payload))); got != up || err != nil {
				t.Errorf("mode %q, %s: %v, %v", mode, payload, got, err)
			}
		}
		if _, err := a.Topics[1].Read(discovery.NewMessage("y/base", []byte("up"))); err == nil {
			t.Errorf("mode %q: up is neither", mode)
		}
	}
	c = New(Options{})
	take(c, `sensor/a {"stat_t":"a","avty_t":"x","avty_mode":"most","dev":{"ids":["x"]}}`)
	if d := c.Device("x"); len(d.Points) > 0 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], `availability_mode "most" is none of all, any, latest`) {
		t.Errorf("%v", d.Notes)
	}
}

func TestOnlyWhatIsWrongIsLeftOut(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, sensor("good", `"ids":["x"]`), `sensor/none {"dev":{"ids":["x"]}}`, `sensor/wild {"stat_t":"a/#","dev":{"ids":["x"]}}`,
		`toaster/t {"cmd_t":"t","dev":{"ids":["x"]}}`, `sensor/bad {"stat_t":"b","val_tpl":"{{ value_json. }}","dev":{"ids":["x"]}}`,
		`select/empty {"cmd_t":"e","dev":{"ids":["x"]}}`)
	expect(t, c, "x: bad good")
	d := c.Device("x")
	for _, want := range []string{"sensor none: it has no state_topic", `sensor wild: state_topic: "a/#" is not a topic that can be used`,
		"toaster t: there is no such component here", "select empty: it has no options", "bad: value_template: template: "} {
		if !slices.ContainsFunc(d.Notes, func(note string) bool { return strings.Contains(note, want) }) {
			t.Errorf("no note %q in %q", want, d.Notes)
		}
	}
	if _, err := d.Points[0].Sources[0].Read(discovery.NewMessage("b", []byte("{}"))); err == nil || !strings.Contains(err.Error(), "value_template") {
		t.Errorf("a template that does not compile reads %v", err)
	}
}

// TestTemplates: what a template asks for that the message does not have says nothing; what no message can have is an error.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ template, message, want, err string }{
		{"{{ value_json.w }}", `{"w": 12}`, "12", ""},
		{"{{ value_json.w }}", `{"v": 12}`, "", "the message has no value of it"},
		{"{{ value_json.w | float }}", `{"v": 12}`, "", "the message has no value of it"},
		{"{{ value_json.w.x.y }}", `{"w": {}}`, "", "the message has no value of it"},
		{"{{ value_json.w | default('None') }}", `{}`, "", ""},
		{"{{ value_json.w }}", `{"w": null}`, "", ""},
		{"{{ value_json.w }}", `{"w": ""}`, "", "the message has no value of it"},
		{"{{ value_json.w }}", `{"w": "much"}`, "", `"much" is not a number`},
		{"{{ value_json.w }}", `12`, "", "the message has no value of it"},
		{"{{ value_json.w }}", `watts: 12`, "", "is not JSON"},
		{"{{ value.split(' ')[1] }}", `watts: 12`, "12", ""},
		{"{{ states('sensor.other') }}", `12`, "", "needs Home Assistant"},
		{"{{ this.state }}", `12`, "", "is undefined"},
		{"{{ entity_id }}", `12`, "", "is undefined"},
		{"{{ value | shout }}", `12`, "", `no filter "shout"`},
		{"{% for i in range(100000000) %}x{% endfor %}{{ value }}", `12`, "", "template: "},
	} {
		c := New(Options{})
		source, _ := json.Marshal(test.template)
		take(c, fmt.Sprintf(`sensor/a {"stat_t":"s","unit_of_meas":"W","val_tpl":%s,"dev":{"ids":["x"]}}`, source))
		v, err := c.Device("x").Points[0].Sources[0].Read(discovery.NewMessage("s", []byte(test.message)))
		if v.String() != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s of %s: %v, %v; want %q, %q", test.template, test.message, v, err, test.want, test.err)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for i := range 500 {
		take(c, sensor(fmt.Sprint("s", i), `"ids":["x"]`), sensor(fmt.Sprint("t", i), fmt.Sprintf(`"ids":["t%d","x"]`, i)))
	}
	d := c.Device("x")
	if len(d.Points) != discovery.MaxPoints || len(d.Notes) > discovery.MaxNotes || len(c.groups.named["x"]) > maxIdentities {
		t.Errorf("%d points, %d notes, %d identities", len(d.Points), len(d.Notes), len(c.groups.named["x"]))
	}
	if changed := take(c, "sensor/"+strings.Repeat("n", 100)+"/"+strings.Repeat("o", 100)+` {"stat_t":"s"}`); len(changed) != 1 || len(changed[0]) > 200 {
		t.Errorf("%q", changed)
	}
	long := `sensor/long {"stat_t":"` + strings.Repeat("x", discovery.MaxAnnouncement) + `"}`
	if changed := take(c, long); len(changed) > 0 {
		t.Errorf("%v", changed)
	}
}

// What configures a device or diagnoses it says so, and comes behind what the device is for.
func TestMinor(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	take(c, `switch/a {"cmd_t":"a","stat_t":"a","uniq_id":"a","name":"Child lock","ent_cat":"config","dev":{"ids":["x"]}}`,
		`sensor/b {"stat_t":"b","uniq_id":"b","name":"Temperature","dev":{"ids":["x"]}}`)
	d := c.Device("x")
	if len(d.Points) != 2 || d.Points[0].Minor || !d.Points[1].Minor || d.Points[1].Name != "a" && d.Points[1].Label != "Child lock" {
		t.Errorf("%+v", d.Points)
	}
}

// Strangers who all say that they are the same component cost no more than others.
func TestManyWithOneUniqueID(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	said := 0
	const many = 3000
	announce := func(i int, name string) {
		said += len(take(c, fmt.Sprintf(`sensor/s%d {"stat_t":"s","uniq_id":"same","name":%q,"dev":{"ids":"d%[1]d"}}`, i, name)))
	}
	for i := range many {
		announce(i, "x")
	}
	announce(0, "y") // which it may go on saying
	if said > 2*maxOwners*maxOwners+many+maxOwners {
		t.Errorf("%d devices were said to have changed", said)
	}
	if d := c.Device("d0"); len(d.Points) != 1 {
		t.Errorf("the first one has %d points", len(d.Points))
	}
	for _, key := range []string{"d1", fmt.Sprint("d", many-1)} {
		if d := c.Device(key); len(d.Points) != 0 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "unique_id is the one of") {
			t.Errorf("%s: %d points, notes %q", key, len(d.Points), d.Notes)
		}
	}
}

// What an announcement repeats for each of its components takes no more memory than it may. It runs alone: it measures.
func TestRepeatedForEachComponent(t *testing.T) {
	var components, availability []string
	for i := range discovery.MaxPoints {
		components = append(components, fmt.Sprintf(`"c%d":{"p":"sensor","uniq_id":"%[1]d","stat_t":"~a","cmd_t":"~","a_topic":"~","b_topic":"~","c_topic":"~"}`, i))
	}
	for range 10_000 {
		availability = append(availability, `{"t":"a"}`)
	}
	for name, more := range map[string]string{
		"a long ~":          `"~":"` + strings.Repeat("x", 200_000) + `"`,
		"many availability": `"avty":[` + strings.Join(availability, ",") + `]`,
	} {
		payload := `{"dev":{"ids":"x"},"o":{"name":"x"},` + more + `,"cmps":{` + strings.Join(components, ",") + `}}`
		if len(payload) > discovery.MaxAnnouncement {
			t.Fatalf("%s: %d bytes are not read at all", name, len(payload))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := New(Options{})
		changed := take(c, "device/x "+payload)
		c.Device("x")
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 || len(changed) != 1 {
			t.Errorf("%s: %d bytes for %d, %q", name, used, len(payload), changed)
		}
	}
}
