package mapping

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// withPoint is a file with one device whose point has some keys.
func withPoint(keys string) string {
	return "[devices.box]\ndriver = \"attic\"\n[devices.box.points.p]\n" + keys
}

// withAlert is a file with the house and an alert about the greenhouse with some keys in the place of the usual ones.
func withAlert(keys string) string {
	for _, key := range []string{`device = "greenhouse"`, `when = "temperature > 35"`, `to = ["alice@example.org"]`} {
		if name, _, _ := strings.Cut(key, " "); !strings.Contains("\n"+keys, "\n"+name+" ") {
			keys += "\n" + key
		}
	}
	return house + "[alerts.test]\n" + keys
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const room = "\n[rooms.\"ops@rooms.example.org\"]\n"
	client := func(o *ReadOptions) { o.Mode, o.Domain = Client, "gateway@example.org" }
	local := func(o *ReadOptions) { o.Mode, o.Domain, o.Accounts = Local, "home.local", []string{"carol"} }
	resource := func(o *ReadOptions) { local(o); o.Layout = LayoutResource }
	for name, c := range map[string]struct {
		file string
		mode func(*ReadOptions)
		want string // the mistake after its line, or several; empty for none
	}{
		"contradiction":          {withPoint(`class = "temperature"` + "\n" + `unit = "W"`), nil, `devices.box.points.p: unit = "W" contradicts class = "temperature", which has °C, °F or K`},
		"many units":             {withPoint(`class = "energy"` + "\n" + `unit = "W"`), nil, `devices.box.points.p: unit = "W" contradicts class = "energy", which has kWh, Wh, mWh, MWh, GWh, TWh, …`},
		"unit of ph":             {withPoint(`class = "ph"` + "\n" + `unit = "W"`), nil, `devices.box.points.p: unit = "W" contradicts class = "ph", which has none`},
		"mu":                     {withPoint(`class = "pm25"` + "\n" + `unit = "μg/m³"`), nil, ""},
		"any money":              {withPoint(`class = "monetary"` + "\n" + `unit = "EUR"`), nil, ""},
		"unknown class":          {withPoint(`class = "temprature"`), nil, `devices.box.points.p: unknown class "temprature": did you mean "temperature"?`},
		"class of a switch":      {withPoint(`class = "temperature"` + "\n" + `kind = "switch"`), nil, `devices.box.points.p: class = "temperature" is not for a switch`},
		"class of a number":      {withPoint(`class = "door"`), nil, `devices.box.points.p: class = "door" is not for a number`},
		"unit of a switch":       {withPoint(`on = "ON"` + "\n" + `unit = "W"`), nil, `devices.box.points.p: a switch has no unit`},
		"scale":                  {withPoint(`scale = 0`), nil, `devices.box.points.p: scale = 0 would make every reading the same: leave it out, or give what one raw unit is`},
		"scale is not finite":    {withPoint(`scale = inf`), nil, `devices.box.points.p: scale has to be a finite number`},
		"offset is no number":    {withPoint(`offset = nan`), nil, `devices.box.points.p: offset has to be a finite number`},
		"min and max":            {withPoint("min = 5\nmax = 5"), nil, `devices.box.points.p: min = 5 is not below max = 5`},
		"range on a switch":      {withPoint(`range = [0, 1]` + "\n" + `kind = "switch"`), nil, `devices.box.points.p: range is for numbers, and this is a switch`},
		"range the wrong way":    {withPoint(`range = [5, 1]`), nil, `devices.box.points.p: range is the lowest and the highest value that may be commanded: write it as in range = [5, 30]`},
		"step":                   {withPoint("range = [1, 5]\nstep = 10"), nil, `devices.box.points.p: step = 10 is larger than the whole range`},
		"negative":               {withPoint("deadband = -1"), nil, `devices.box.points.p: deadband cannot be negative`},
		"precision":              {withPoint("precision = 400"), nil, `devices.box.points.p: precision is a number of digits from 0 to 9`},
		"no options":             {withPoint(`kind = "choice"`), nil, `devices.box.points.p: options are missing: a choice needs them, as in options = ["auto", "heat", "off"]`},
		"options twice":          {withPoint(`kind = "choice"` + "\n" + `options = ["A", "a"]`), nil, `devices.box.points.p: the option "a" stands there twice (capitals do not tell them apart)`},
		"odd option":             {withPoint(`kind = "choice"` + "\n" + `options = ["a\u0000b"]`), nil, `devices.box.points.p: "a\x00b" cannot be an option: give a short text without spaces around it`},
		"options of a number":    {withPoint(`options = ["A"]`), nil, `devices.box.points.p: options are for a choice, and this is a number`},
		"unknown kind":           {withPoint(`kind = "swich"`), nil, `devices.box.points.p: unknown kind "swich": did you mean "switch"?`},
		"safe":                   {withPoint("range = [5, 30]\nsafe = 40"), nil, `devices.box.points.p: safe: p: 40 is out of range: it takes 5 to 30`},
		"safe of a switch":       {withPoint(`kind = "switch"` + "\n" + `safe = "shut"`), nil, `devices.box.points.p: safe: p: "shut" is not a value for it: say "on" or "off"`},
		"safe of an action":      {withPoint(`kind = "action"` + "\n" + `safe = true`), nil, `devices.box.points.p: an action has no safe value: nothing is done when the gateway stops`},
		"safe in whose unit":     {"[devices.box]\ndriver = \"attic\"\nmatch = \"homeassistant:1\"\n[devices.box.points.target]\nunit = \"°C\"\nsafe = 5", nil, `devices.box.points.target: safe: in which unit the device is set is known only when it announces itself: leave unit out, and give safe in the device's own`},
		"safe in its own unit":   {"[devices.box]\ndriver = \"attic\"\nmatch = \"homeassistant:1\"\n[devices.box.points.target]\nsafe = 5\n[devices.box.points.level]\nunit = \"%\"\nsafe = 5", nil, ""},
		"point name":             {"[devices.box]\ndriver = \"attic\"\n[devices.box.points.P-1]", nil, `devices.box.points.P-1: "P-1" is no name for a point: use small letters, digits and underscores, a letter first`},
		"device name":            {"[devices.Box_1]\ndriver = \"attic\"", nil, `devices.Box_1: "Box_1" is no name for a device: use small letters, digits and hyphens`},
		"device class":           {"[devices.box]\ndriver = \"attic\"\nclass = \"lihgt\"", nil, `devices.box: unknown class "lihgt": did you mean "light"?`},
		"primary":                {"[devices.box]\ndriver = \"attic\"\nprimary = [\"temp\"]\n[devices.box.points.temp1]", nil, `devices.box: primary names no point "temp": did you mean "temp1"?`},
		"the hub's name":         {"[devices.home]\ndriver = \"attic\"", nil, `devices.home: a device cannot be named like the hub: rename it, or set hub in [xmpp]`},
		"an account's name":      {"[devices.carol]\ndriver = \"attic\"", local, `devices.carol: a device cannot be named like the account carol: rename one of them`},
		"the hub's account":      {"[access]\n\"Home@home.local\" = \"viewer\"", local, `access: Home@home.local is the gateway itself: give that account another name, or set hub in [xmpp]`},
		"no clash":               {"[access]\n\"dave@home.local\" = \"viewer\"\n[devices.dave]\ndriver = \"attic\"", resource, ""},
		"primary action":         {"[devices.box]\ndriver = \"attic\"\nprimary = [\"p\"]\n[devices.box.points.p]\nkind = \"action\"", nil, `devices.box: primary: p is an action and has nothing to show`},
		"a line's name":          {"[access]\n\"dave@home.local\" = \"viewer\"\n[devices.dave]\ndriver = \"attic\"", local, `devices.dave: a device cannot be named like the account dave: rename one of them`},
		"role":                   {"[access]\n\"a@b\" = \"operater\"", nil, `access: unknown role "operater": did you mean "operator"?`},
		"role in a table":        {"[access]\n\"a@b\" = { devices = [\"box\"] }", nil, `access."a@b": role is missing: viewer, operator or admin`},
		"role is a number":       {"[access]\n\"a@b\" = 3", nil, `access: the role has to be a string, or a table such as { role = "viewer", devices = ["door*"] }`},
		"no address":             {"[access]\n\"a b@c\" = \"viewer\"", nil, `access: "a b@c" is no address: write "alice@example.org", or "*@example.org" for everyone there`},
		"a domain":               {"[access]\n\"example.org\" = \"viewer\"", nil, `access: "example.org" has no name before an @: write "*@example.org" for everyone there`},
		"a resource":             {"[access]\n\"a@example.org/phone\" = \"viewer\"", nil, `access: "a@example.org/phone": leave the part from the slash on out: access is for a person, whichever client they use`},
		"a room":                 {"[access]\n\"room:ops@rooms.example.org\" = \"viewer\"", nil, `access: the gateway does not join ops@rooms.example.org: add [rooms."ops@rooms.example.org"]`},
		"a room, nearly":         {room + "[access]\n\"room:opps@rooms.example.org\" = \"viewer\"", nil, `access: the gateway does not join opps@rooms.example.org: did you mean "ops@rooms.example.org"?`},
		"a room that is":         {room + "[access]\n\"room:OPS@rooms.example.org\" = \"viewer\"", nil, ""},
		"a room twice":           {room + "[access]\n\"room:ops@rooms.example.org\" = \"viewer\"\n\"room:OPS@rooms.example.org\" = \"admin\"", nil, `access: room:OPS@rooms.example.org stands there twice, in two spellings`},
		"no room":                {"[access]\n\"room:rooms.example.org\" = \"viewer\"", nil, `access: "room:rooms.example.org" is no room: write it as in "room:ops@rooms.example.org"`},
		"a room inside":          {"[access]\n\"room:ops@home.local\" = \"viewer\"", local, `access: the server inside has no rooms: take the line out, or join a server that has with mode = "component" or "client"`},
		"a room as a person":     {room + "[access]\n\"ops@rooms.example.org\" = \"viewer\"", nil, `access: ops@rooms.example.org is a room: write "room:ops@rooms.example.org"`},
		"a limited room":         {room + "[access.\"room:ops@rooms.example.org\"]\nrole = \"viewer\"\ndevices = [\"*\"]", client, ""},
		"twice":                  {"[access]\n\"a@example.org\" = \"viewer\"\n\"A@EXAMPLE.org\" = \"admin\"", nil, `access: A@EXAMPLE.org stands there twice, in two spellings`},
		"limited admin":          {house + "[access.\"c@b\"]\nrole = \"admin\"\ndevices = [\"greenhouse\"]", nil, `access."c@b": an admin sees and controls every device: leave devices out, or make it operator`},
		"unknown device":         {house + "[access.\"c@b\"]\nrole = \"viewer\"\ndevices = [\"grenhouse\"]", nil, `access."c@b": there is no device "grenhouse": did you mean "greenhouse"?`},
		"limited to nothing":     {"[access.\"c@b\"]\nrole = \"viewer\"\ndevices = []", nil, `access."c@b": devices = [] gives nothing: name some, or take the line out`},
		"limited in client":      {"[access.\"c@b\"]\nrole = \"viewer\"\ndevices = [\"*\"]", client, `access."c@b": in client mode the server shows every device to every contact of the account, so a role cannot be limited to some: leave devices out, or use component mode`},
		"foreign":                {"[access]\n\"a@example.org\" = \"viewer\"", local, `access: a@example.org is at another server, which local mode does not reach: give people accounts here (NAME@home.local)`},
		"no such device":         {withAlert(`device = "grenhouse"`), nil, `alerts.test: there is no device "grenhouse": did you mean "greenhouse"?`},
		"no device matches":      {withAlert(`device = "x*"`), nil, `alerts.test: no device matches "x*"`},
		"unknown point":          {withAlert(`when = "temprature > 35"`), nil, `alerts.test: when: greenhouse has no point "temprature": did you mean "temperature"?`},
		"other's point":          {withAlert(`when = "devices.front-door.opened"`), nil, `alerts.test: when: front-door has no point "opened": did you mean "open"?`},
		"other device":           {withAlert(`when = "devices.front-dor.open"`), nil, `alerts.test: when: there is no device "front-dor": did you mean "front-door"?`},
		"mean":                   {withAlert(`when = 'mean(temperature, "10m") > 3'`), nil, ""},
		"max of a window":        {withAlert(`when = 'max(temperature, "10m") > 3'`), nil, ""},
		"types":                  {withAlert(`when = "temperature > 'hot'"`), nil, `alerts.test: when: invalid operation: > (mismatched types number and text)`},
		"not a condition":        {withAlert(`when = "temperature + 1"`), nil, `alerts.test: when: expected true or false, but got number`},
		"nothing":                {withAlert(`when = "1 > 2"`), nil, `alerts.test: when: it names no point, so nothing can ever change it`},
		"syntax":                 {withAlert(`when = "temperature >"`), nil, `alerts.test: when: unexpected token EOF`},
		"an action":              {withAlert("device = \"front-door\"\nwhen = \"bell\""), nil, `alerts.test: when: bell is an action and has no value`},
		"until":                  {withAlert(`until = "temperatur < 3"`), nil, `alerts.test: until: greenhouse has no point "temperatur": did you mean "temperature"?`},
		"to nobody":              {withAlert(`to = []`), nil, `alerts.test: to = [] tells nobody: name who is told`},
		"to a stranger":          {withAlert(`to = ["eve@example.org"]`), nil, `alerts.test: eve@example.org may not see greenhouse and would not get this alert: give them a role in [access], or take them out`},
		"to somebody twice":      {withAlert(`to = ["alice@example.org", "ALICE@example.org"]`), nil, `alerts.test: ALICE@example.org stands there twice`},
		"to a room":              {withAlert(`to = ["room:ops@rooms.example.org"]`), nil, `alerts.test: the gateway does not join ops@rooms.example.org: add [rooms."ops@rooms.example.org"]`},
		"to a blind room":        {withAlert(`to = ["room:ops@rooms.example.org"]`) + room, nil, `alerts.test: room:ops@rooms.example.org may not see greenhouse and would not get this alert: give it a role in [access], or take it out`},
		"to a room that may":     {withAlert(`to = ["room:OPS@rooms.example.org"]`) + room + "[access.\"room:ops@rooms.example.org\"]\nrole = \"viewer\"", nil, ""},
		"to no room":             {withAlert(`to = ["room:ops"]`), nil, `alerts.test: "room:ops" is no room: write it as in "room:ops@rooms.example.org"`},
		"to a room twice":        {withAlert(`to = ["room:ops@rooms.example.org", "room:ops@ROOMS.example.org"]`) + room + "[access.\"room:ops@rooms.example.org\"]\nrole = \"viewer\"", nil, `alerts.test: room:ops@ROOMS.example.org stands there twice`},
		"to a domain":            {withAlert(`to = ["*@family.example.org"]`), nil, `alerts.test: "*@family.example.org" is no person's address: write it as in "alice@example.org"`},
		"to those who may":       {withAlert(`to = ["bob@example.net", "anyone@family.example.org"]`), nil, ""},
		"text":                   {withAlert(`text = "{{.temprature}}"`), nil, `alerts.test: text: greenhouse has no point "temprature": did you mean "temperature"?`},
		"text that does more":    {withAlert(`text = '{{printf "%99999d" 1}}'`), nil, `alerts.test: text: only {{.POINT}}, {{.device}} and {{.location}} can stand in a text`},
		"text that is broken":    {withAlert(`text = "{{.temperature"`), nil, `alerts.test: text: unclosed action`},
		"level":                  {withAlert(`level = "urgent"`), nil, `alerts.test: level: "urgent" is none of info, warning, critical`},
		"repeat":                 {withAlert(`repeat = "1s"`), nil, `alerts.test: repeat is less than 10 s: leave it out, or give how often it is said again, as in "30m"`},
		"chart":                  {withAlert(`chart = "0s"`), nil, `alerts.test: chart is how much of the time before the picture shows, as in "6h": more than nothing and at most a year`},
		"escalate at once":       {withAlert(`escalate = { after = "0s", to = ["bob@example.net"] }`), nil, `alerts.test.escalate: after = "0s" would tell them at once: put them into the alert's own to, or give how long others have to acknowledge it`},
		"escalate to a stranger": {withAlert(`escalate = { after = "5m", to = ["eve@example.org"] }`), nil, `alerts.test.escalate: eve@example.org may not see greenhouse and would not get this alert: give them a role in [access], or take them out`},
		"escalate to the same":   {withAlert(`escalate = { after = "5m", to = ["alice@example.org"] }`), nil, `alerts.test.escalate: alice@example.org is in the alert's own to already and hears of it first: name somebody else, or take escalate out`},
		"escalate to nobody":     {withAlert(`escalate = { after = "5m" }`), nil, `alerts.test.escalate: to is missing: who is told then`},
		"quiet":                  {withAlert(`quiet = { from = "22:00", to = "25:00" }`), nil, `alerts.test.quiet: to: "25:00" is no time of day: write it as in "22:00"`},
		"always quiet":           {withAlert(`quiet = { from = "7:00", to = "07:00" }`), nil, `alerts.test.quiet: quiet from 7:00 to 7:00 is the whole day: nobody would ever be told`},
		"quiet but":              {withAlert(`quiet = { from = "22:00", to = "07:00", except = "urgent" }`), nil, `alerts.test.quiet: except: "urgent" is none of info, warning, critical`},
		"offer":                  {withAlert(`offer = ["pomp on"]`), nil, `alerts.test: offer: greenhouse has no command "pomp on": did you mean "pump on"?`},
		"offer of another":       {withAlert(`offer = ["bell"]`), nil, `alerts.test: offer: greenhouse has no command "bell"`},
		"offer to read": {withAlert(`offer = ["pump on"]`), func(o *ReadOptions) {
			o.Types = map[string]devices.Type{"attic": {Writes: func(p *schema.Table) bool { return p.Name() != "pump" }}}
		}, `alerts.test: offer: greenhouse has no command "pump on"`},
		"offer twice":          {withAlert(`offer = ["pump on", "pump on"]`), nil, `alerts.test: offer: "pump on" stands there twice`},
		"too many offers":      {withAlert(`offer = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]`), nil, `alerts.test: offer has 9 commands, and more than 8 are no help: leave some out`},
		"the whole life":       {withAlert("repeat = \"30m\"\nchart = \"6h\"\noffer = [\"pump on\", \"set target\"]\nescalate = { after = \"15m\", to = [\"bob@example.net\"] }\nquiet = { from = \"22:00\", to = \"07:00\", except = \"critical\" }"), nil, ""},
		"alert name":           {house + "[alerts.Too_Hot]\ndevice = \"greenhouse\"\nwhen = \"offline\"\nto = [\"alice@example.org\"]", nil, `alerts.Too_Hot: "Too_Hot" is no name for an alert: use small letters, digits and hyphens`},
		"every device offline": {withAlert("device = \"*\"\nwhen = \"offline\"\nto = [\"bob@example.net\"]"), nil, ""},
		"discovered":           {withAlert(`when = 'devices["front-door"].open or devices.front-door.offline'`), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			if c.mode != nil {
				c.mode(&o)
			}
			_, problems := readFile(t, c.file, o)
			for i, p := range problems {
				file, rest, _ := strings.Cut(p, ": ")
				if !strings.HasPrefix(file, "gateway.toml:") {
					t.Errorf("no line: %s", p)
				}
				problems[i] = rest
			}
			if got := strings.Join(problems, "\n"); got != c.want {
				t.Errorf("got\n  %s\nwant\n  %s", got, c.want)
			}
		})
	}
}

// A mistake does not hide the next one.
func TestEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	file := strings.NewReplacer("scale = 0.1", "scale = 0", `"admin"`, `"boss"`, "max = 80", "max = -80", `"Auto", "Heat"`, `"Auto", "auto"`).Replace(house) +
		"[alerts.a]\ndevice = \"greenhouse\"\nwhen = \"x\"\nto = [\"alice@example.org\"]\ntext = \"{{.y}}\"\n"
	_, problems := readFile(t, file, options())
	if len(problems) != 7 {
		t.Errorf("%d mistakes:\n%s", len(problems), strings.Join(problems, "\n"))
	}
}

func TestReadHalfAFile(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"", "devices = 3", "[devices]\nbox = 3", "[devices.box]\npoints = 3", "[devices.box.points]\np = 3", "[access]\n", "alerts = []",
		"[alerts.a]", "[alerts.a]\nwhen = 3\nto = \"x\"\ndevice = 1\ntext = 7", "[[devices.box]]", "[drivers.x]\noffline_after = 7",
		"[devices.box.points.p]\nrange = \"x\"\nsafe = []\nclass = 3\nkind = 4\noptions = 5",
	} {
		root, err := schema.Parse("gateway.toml", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{Component, Client, Local, ""} {
			if cfg := Read(root, ReadOptions{Mode: mode}); cfg.Access == nil || cfg.Devices == nil {
				t.Errorf("%q: a part is missing", file)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(house + tooHot)
	f.Add(withAlert("repeat = \"30m\"\nchart = \"6h\"\noffer = [\"pump on\"]\nescalate = { after = \"15m\", to = [\"bob@example.net\"] }\nquiet = { from = \"22:00\", to = \"07:00\", except = \"critical\" }"))
	f.Add(withPoint(`class = "temperature"`))
	f.Fuzz(func(t *testing.T, file string) {
		root, err := schema.Parse("gateway.toml", []byte(file))
		if err != nil {
			return
		}
		rules := NewRules(Read(root, options()), devices.NewRegistry(), RulesOptions{})
		info := greenhouseInfo()
		rules.Step(time.Now(), Change{Announce: &info})
		rules.Step(time.Now(), Change{Link: &Link{ID: info.ID, Up: true}})
		rules.Step(time.Now(), Change{Readings: []devices.Reading{{Device: info.ID, Point: "temperature", Value: num(400)}}})
	})
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	cfg := mustParse(t, house+tooHot)
	if raw := cfg.SafeRaw("greenhouse", "pump"); raw != boo(false) {
		t.Errorf("safe of the pump = %v", raw)
	}
	for _, c := range [][2]string{{"greenhouse", "target"}, {"greenhouse", "nothing"}, {"nobody", "x"}} {
		if raw := cfg.SafeRaw(devices.ID(c[0]), c[1]); !raw.IsZero() {
			t.Errorf("safe of %v = %v", c, raw)
		}
	}
	scaled := mustParse(t, withPoint("scale = 0.1\nsafe = 21.5"))
	if raw := scaled.SafeRaw("box", "p"); raw != num(215) {
		t.Errorf("safe in raw = %v", raw)
	}
	a := cfg.Alerts[0]
	if a.Name != "too-hot" || a.For != time.Minute || a.Level != Critical || !slices.Equal(a.To, []string{"alice@example.org"}) {
		t.Errorf("alert = %+v", a)
	}
	off := strings.Replace(tooHot, "[alerts.too-hot]", "[alerts.too-hot]\nenabled = false", 1)
	if n := len(mustParse(t, house+off).Alerts); n != 0 {
		t.Errorf("an alert that is not enabled runs")
	}
}

// Programs may set what is not dangerous, unless the table says otherwise.
func TestReadPrograms(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]bool{
		"": true, "danger = true": false, "danger = true\nprograms = true": true, "programs = false": false, "danger = false": true,
	} {
		cfg := mustParse(t, withPoint(keys))
		p := mergePoint(&devices.Point{Name: "p", Writable: true}, findPoint(cfg.Devices["box"].points, "p"), "")
		if p.Programs != want {
			t.Errorf("%q: programs = %v", keys, p.Programs)
		}
	}
	if p := point(devices.KindSwitch, nil); !p.Programs {
		t.Error("programs may not set a point without a table")
	}
}

func TestKeysAreDocumented(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]schema.Key{DriverKeys, DeviceKeys, PointKeys, AlertKeys, AccessSpec.Keys} {
		for _, k := range keys {
			if k.Help == "" || strings.HasSuffix(k.Help, ".") {
				t.Errorf("help of %s: %q", k.Name, k.Help)
			}
		}
	}
}

func TestClassesAreDistinct(t *testing.T) {
	t.Parallel()
	for class, w := range switchClasses {
		if w.on == w.off || w.on == "" || w.off == "" || (w.turnOn == "") != (w.turnOff == "") {
			t.Errorf("%s: %+v", class, w)
		}
	}
	for class, units := range numberClasses {
		if slices.Contains(units, "μ") {
			t.Errorf("%s has the letter mu", class)
		}
	}
	for device, class := range deviceWords {
		if _, ok := switchClasses[class]; !ok || !slices.Contains(deviceClasses, device) {
			t.Errorf("%s: %s", device, class)
		}
	}
}
