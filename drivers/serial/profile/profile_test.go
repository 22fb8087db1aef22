package profile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidings/devices/schema"
)

var update = flag.Bool("update", false, "write the table of profiles into docs/drivers/modbus.md")

// device expands a device's table of a configuration and returns it with the mistakes.
func device(t *testing.T, toml, protocol, folder string) (*schema.Table, []string) {
	t.Helper()
	var ps schema.Problems
	root, err := schema.ParseInto("gateway.toml", []byte(toml), &ps)
	if err != nil {
		t.Fatal(err)
	}
	d := root.Table("devices").Tables()[0]
	Expand(d, protocol, folder)
	var lines []string
	for _, p := range ps.All() {
		lines = append(lines, p.String())
	}
	return d, lines
}

// TestBuiltIn: every profile names what it is of and where its registers are from, and its points have what a point needs.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	names := Names()
	if len(names) < 12 {
		t.Errorf("%d profiles", len(names))
	}
	for _, name := range names {
		var ps schema.Problems
		p, err := Read(name, "", &ps)
		if err != nil || ps.Len() > 0 {
			t.Errorf("%s: %v %v", name, err, ps.Err())
			continue
		}
		if len(p.String("source")) < 20 {
			t.Errorf("%s: its source is %q", name, p.String("source"))
		}
		places := map[string]string{}
		for _, point := range p.Table("points").Tables() {
			place := point.String("source") + point.String("type")
			if point.String("source") == "" {
				t.Errorf("%s: %s has no source", name, point.Name())
			}
			if other := places[place]; other != "" {
				t.Errorf("%s: %s and %s are both %s", name, point.Name(), other, place)
			}
			places[place] = point.Name()
		}
		if len(places) == 0 {
			t.Errorf("%s has no points", name)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	d, mistakes := device(t, `
[devices.meter]
profile = "sdm120"
class   = "outlet"
slave   = 7
[devices.meter.points.power]
name = "p"
unit = "kW"
scale = 0.001
[devices.meter.points.own]
source = "input:99"
`, "modbus", "")
	if len(mistakes) > 0 {
		t.Errorf("%q", mistakes)
	}
	if d.String("class") != "outlet" || d.Int("gap", 0) != 20 || d.String("model") != "Eastron SDM120-Modbus" || !d.Has("primary") {
		t.Errorf("the device has %q", d.Keys())
	}
	points := d.Table("points")
	power := points.Table("power")
	if power.String("source") != "input:0x000C" || power.String("unit") != "kW" || power.Float("scale", 1) != 0.001 || power.String("type") != "float32" {
		t.Errorf("power is %s", power.AppendCanonical(nil))
	}
	if power.Path != "devices.meter.points.power" || power.File != "gateway.toml" || power.Line != 6 {
		t.Errorf("power stands at %s:%d %s", power.File, power.Line, power.Path)
	}
	voltage := points.Table("voltage")
	if voltage == nil || voltage.Path != "devices.meter.points.voltage" || voltage.File != "profile sdm120.toml" || voltage.Line < 5 {
		t.Errorf("voltage is %+v", voltage)
	}
	if points.Table("own") == nil {
		t.Error("a point of its own is gone")
	}
	unit, _ := voltage.Get("unit")
	voltage.Errorf("unit", "a mistake")
	if got := d.Problems().All()[0].String(); got != fmt.Sprintf("profile sdm120.toml:%d: devices.meter.points.voltage: a mistake", unit.Line) {
		t.Errorf("a mistake in a profile is told as %s", got)
	}
	// The profile itself is as it was for the next device.
	again, _ := device(t, "[devices.b]\nprofile = \"sdm120\"\n", "modbus-tcp", "")
	if got := again.Table("points").Table("power"); got.String("unit") != "W" || got.Path != "devices.b.points.power" {
		t.Errorf("the next device has %+v", got)
	}
}

func TestPoints(t *testing.T) {
	t.Parallel()
	d, mistakes := device(t, "[devices.meter]\nprofile = \"sdm630\"\nprofile_points = [\"power\", \"voltage_l1\"]\n[devices.meter.points.own]\nsource = \"input:0\"\n", "modbus", "")
	keys := d.Table("points").Keys()
	slices.Sort(keys)
	if len(mistakes) > 0 || !slices.Equal(keys, []string{"own", "power", "voltage_l1"}) {
		t.Errorf("%q %q", mistakes, keys)
	}
	if got := d.Strings("primary"); !slices.Equal(got, []string{"power"}) {
		t.Errorf("what the contact list shows is %q", got)
	}
	_, mistakes = device(t, "[devices.meter]\nprofile = \"sdm630\"\nprofile_points = [\"pover\"]\n", "modbus", "")
	if want := []string{`gateway.toml:3: devices.meter: profile_points: sdm630 has no point "pover": did you mean "power"?`}; !slices.Equal(mistakes, want) {
		t.Errorf("%q", mistakes)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"pump":   "model = \"Pump\"\nsource = \"its manual\"\nprotocol = \"json\"\n[points.flow]\nsource = \"f\"\n",
		"sdm120": "model = \"Mine\"\nsource = \"its manual\"\nprotocol = \"modbus\"\n[points.power]\nsource = \"input:1\"\n",
		"broken": "model = \"\nx = 1\n",
		"poor":   "modell = \"x\"\n[points]\nflow = 1\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name+".toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "dir.toml"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		profile, protocol, want string
		model                   string
	}{
		{"pump", "json", "", "Pump"},
		{"sdm120", "modbus", "", "Mine"},
		{"sdm230", "modbus", "", "Eastron SDM230-Modbus"},
		{"pump", "modbus", `gateway.toml:2: devices.d: profile: pump is for protocol = "json", and the driver's is "modbus"`, ""},
		{"pumb", "modbus", `gateway.toml:2: devices.d: profile: there is no profile "pumb": did you mean "pump"?`, ""},
		{"../x", "modbus", `gateway.toml:2: devices.d: profile: "../x" is no name for one: it is the name of a file without .toml`, ""},
		{"dir", "modbus", `gateway.toml:2: devices.d: profile: FOLDER/dir.toml: not a file with text in it`, ""},
		{"broken", "modbus", `gateway.toml:2: devices.d: profile: FOLDER/broken.toml:1: model: the closing quote is missing on this line`, ""},
		{"poor", "modbus", `FOLDER/poor.toml: model is missing: what device it is of`, ""},
		{"poor", "modbus", `FOLDER/poor.toml:1: unknown key "modell": did you mean "model"?`, ""},
		{"poor", "modbus", `FOLDER/poor.toml:3: points: flow is 1: a table [points.flow] belongs here`, ""},
	} {
		d, mistakes := device(t, "[devices.d]\nprofile = \""+c.profile+"\"\n", c.protocol, folder)
		all := strings.ReplaceAll(strings.Join(mistakes, "\n"), folder, "FOLDER")
		if c.want == "" && all != "" || !strings.Contains(strings.ReplaceAll(all, ".toml:1: model is missing", ".toml: model is missing"), c.want) {
			t.Errorf("%s: %s, want %s", c.profile, all, c.want)
		}
		if c.model != "" && d.String("model") != c.model {
			t.Errorf("%s: model %q", c.profile, d.String("model"))
		}
	}
	if _, mistakes := device(t, "[devices.d]\nprofile = \"zzzzzzzzzzzzzzz\"\n", "modbus", folder); len(mistakes) != 1 || !strings.Contains(mistakes[0], "there are dds238, ") || !strings.HasSuffix(mistakes[0], ", sdm120") {
		t.Errorf("%q", mistakes)
	}
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	d, _ := device(t, `
[devices.d]
[devices.d.points.coil]
source = "coil:1"
[devices.d.points.discrete]
source = "discrete:1"
[devices.d.points.bit]
source = "holding:1"
type   = "bit:3"
[devices.d.points.written]
write = "coil:1"
[devices.d.points.action]
write = "coil:1"
kind  = "action"
[devices.d.points.register]
source = "holding:1"
`, "modbus", "")
	Switches(d)
	for name, want := range map[string]string{"coil": "switch", "discrete": "switch", "bit": "switch", "written": "switch", "action": "action", "register": ""} {
		if got := d.Table("points").Table(name).String("kind"); got != want {
			t.Errorf("%s is of kind %q, want %q", name, got, want)
		}
	}
}

// TestTable: docs/drivers/modbus.md lists what is here.
func TestTable(t *testing.T) {
	t.Parallel()
	const page, from, to = "../../../docs/drivers/modbus.md", "<!-- profiles: go test ./drivers/serial/profile -update -->\n", "<!-- /profiles -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| profile | device | points | registers from |\n| --- | --- | --- | --- |\n")
	for _, name := range Names() {
		var ps schema.Problems
		p, err := Read(name, "", &ps)
		if err != nil {
			t.Fatal(err)
		}
		model := p.String("model")
		if line := p.String("line"); line != "" {
			model += ", " + line
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, model, summary(p.Table("points").Keys()), p.String("source"))
	}
	before, rest, ok := bytes.Cut(text, []byte(from))
	_, after, closed := bytes.Cut(rest, []byte(to))
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	want := string(before) + from + table.String() + to + string(after)
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("the table of profiles is not up to date: go test ./drivers/serial/profile -update")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// summary lists points, those of three phases and of many relays as one.
func summary(points []string) string {
	var out []string
	for _, p := range points {
		switch {
		case strings.HasSuffix(p, "_l1"):
			out = append(out, strings.TrimSuffix(p, "1")+"1…3")
		case strings.HasSuffix(p, "_l2"), strings.HasSuffix(p, "_l3"):
		case p == "relay1":
			out = append(out, "relay1…8")
		case strings.HasPrefix(p, "relay"):
		default:
			out = append(out, p)
		}
	}
	return strings.Join(out, ", ")
}

// TestUnits: numbers get the unit that is known of them, unless the table says something of it.
func TestUnits(t *testing.T) {
	t.Parallel()
	d, _ := device(t, `
[devices.meter]
[devices.meter.points.power]
source = "p"
[devices.meter.points.own]
source = "p"
unit = "W"
[devices.meter.points.scaled]
source = "p"
scale = 1000
[devices.meter.points.word]
source = "p"
kind = "text"
[devices.meter.points.on]
source = "p"
on = 1
off = 0
[devices.meter.points.other]
source = "q"
[devices.meter.points.none]
`, "p1", "")
	Units(d, func(source string) string { return map[string]string{"p": "kW"}[source] })
	for name, want := range map[string]string{"power": "kW", "own": "W", "scaled": "", "word": "", "on": "", "other": "", "none": ""} {
		if got := d.Table("points").Table(name).String("unit"); got != want {
			t.Errorf("%s has the unit %q, want %q", name, got, want)
		}
	}
}

func TestPointsOfNoProfile(t *testing.T) {
	t.Parallel()
	_, mistakes := device(t, "[devices.meter]\nprofile_points = [\"power\"]\n", "modbus", "")
	if want := []string{"gateway.toml:2: devices.meter: profile_points are those of a profile, and none is named: add profile, or take it out"}; !slices.Equal(mistakes, want) {
		t.Errorf("%q", mistakes)
	}
}
