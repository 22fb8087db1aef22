package config

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/devices/schema"
)

// TestSecrets: from every source the driver reads the same, and nothing prints it.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const house = "[drivers.house]\ntype = 'mqtt'\nbroker = 'mqtt://127.0.0.1:1883'\nusername = 'gateway'\n"
	vars := map[string]string{}
	credentials := write(t, map[string]string{"xmpp-secret": "from systemd\n", "mqtt-house": "hunter2\n"})
	for name, text := range map[string]string{
		"file":       component + house + "password_file = 'mqtt'\n",
		"literal":    component + house + "password = 'hunter2'\n",
		"variable":   component + house + "password = '${MQTT}'\n",
		"credential": "[xmpp]\nmode = 'component'\naddress = 'things.example.org'\n" + house,
		"empty file": component + house + "password_file = ''\npassword = 'hunter2'\n",
	} {
		vars["MQTT"], vars["CREDENTIALS_DIRECTORY"] = "hunter2", credentials
		var log bytes.Buffer
		o := options(vars)
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cfg, _, err := load(t, o, text, map[string]string{"secret": "from a file", "mqtt": "hunter2\n"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := "from a file"
		if name == "credential" {
			want = "from systemd"
		}
		if string(cfg.XMPP.Secret) != want {
			t.Errorf("%s: the secret is %q", name, string(cfg.XMPP.Secret))
		}
		d, _ := cfg.Driver("house")
		if got := d.Connection.Table.String("password"); got != "hunter2" || d.Connection.Table.Has("password_file") {
			t.Errorf("%s: the driver reads %q", name, got)
		}
		o.Log.Info("configuration", "xmpp", cfg.XMPP, "canonical", d.Canonical)
		if s := log.String(); strings.Contains(s, "hunter2") || strings.Contains(s, want) {
			t.Errorf("%s: the log shows a secret: %s", name, s)
		}
	}
}

// TestCanonical: a reload restarts a driver exactly when something that it reads has changed.
func TestCanonical(t *testing.T) {
	t.Parallel()
	const base = `
[drivers.house]
type = "mqtt"
broker = "mqtt://127.0.0.1:1883"
username = "u"
password_file = "mqtt"
[devices.lamp]
driver = "house"
name = "Lamp"
[devices.lamp.points.power]
source = "stat/lamp/POWER"
kind = "switch"
on = "ON"
off = "OFF"
command = "cmnd/lamp/POWER"
[devices.lamp.points.level]
source = "stat/lamp/LEVEL"
command = "cmnd/lamp/LEVEL"
scale = 0.1
safe = 5
`
	text := func(change ...string) string {
		cfg, _, err := load(t, options(nil), component+strings.NewReplacer(change...).Replace(base), map[string]string{"secret": "x", "mqtt": "one", "other": "one", "another": "two"})
		if err != nil {
			t.Fatal(err)
		}
		d, ok := cfg.Driver("house")
		if !ok || d.Driver == nil || d.Type != "mqtt" || len(d.Connection.Devices) != 1 {
			t.Fatalf("driver: %+v", d)
		}
		return d.Canonical
	}
	same, changed := text(), text("safe = 5", "safe = 6")
	if same == changed {
		t.Error("a safe value is not part of it")
	}
	for _, change := range [][]string{
		{`name = "Lamp"`, `name = "Other"`}, {`driver = "house"`, "driver = 'house' # moved\n\n\n"}, {"scale = 0.1\nsafe = 5", "scale = 0.2\nsafe = 10"},
		{`password_file = "mqtt"`, `password_file = "other"`}, {`username = "u"`, "enabled = true\nusername = \"u\""}, {"scale", "precision = 1\nscale"},
	} {
		if text(change...) != same {
			t.Errorf("%q restarts the driver", change)
		}
	}
	for _, change := range [][]string{
		{`password_file = "mqtt"`, `password_file = "another"`}, {`username = "u"`, `username = "v"`}, {`on = "ON"`, `on = "on"`},
		{"points.level", "points.brightness"}, {"devices.lamp", "devices.lantern"}, {"safe = 5", "safe = 5\nretain = true"}, {"scale = 0.1", "scale = 0.2"},
	} {
		if text(change...) == same {
			t.Errorf("%q leaves the driver running", change)
		}
	}
}

// TestConnection: what a driver is built from.
func TestConnection(t *testing.T) {
	t.Parallel()
	var got devices.Connection
	typ := devices.Type{
		Name: "test", Help: "a driver of the test", Kind: devices.KindText,
		Connection: []schema.Key{{Name: "port", Kind: schema.String, Path: true}},
		Point:      []schema.Key{{Name: "source", Kind: schema.String}, {Name: "on", Kind: schema.String}},
		Build: func(c devices.Connection) devices.Driver {
			got = c
			return nil
		},
	}
	o := options(nil)
	o.Types = append(o.Types, typ)
	_, dir, err := load(t, o, component+`
[drivers.x]
type = "test"
port = "tty"
[devices.b]
driver = "x"
[devices.b.points.text]
source = "1"
[devices.b.points.number]
kind = "number"
scale = 0.1
offset = 1
safe = 6
[devices.b.points.switch]
on = "ON"
safe = true
[devices.b.points.choice]
kind = "choice"
options = ["a", "B"]
safe = "b"
[devices.a]
driver = "x"
`, map[string]string{"secret": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "x" || got.Table.String("port") != filepath.Join(dir, "tty") || got.Log == nil || len(got.Devices) != 2 ||
		got.Devices[0].ID != "b" || got.Devices[1].ID != "a" || len(got.Devices[1].Points) != 0 {
		t.Fatalf("connection: %+v", got)
	}
	want := []devices.PointConfig{
		{Name: "text", Kind: devices.KindText},
		{Name: "number", Kind: devices.KindNumber, Safe: devices.Number(50)},
		{Name: "switch", Kind: devices.KindSwitch, Safe: devices.Bool(true)},
		{Name: "choice", Kind: devices.KindChoice, Options: []string{"a", "B"}, Safe: devices.Text("B")},
	}
	for i, p := range got.Devices[0].Points {
		if p.Name != want[i].Name || p.Kind != want[i].Kind || p.Safe != want[i].Safe || !slices.Equal(p.Options, want[i].Options) || p.Table.Name() != p.Name {
			t.Errorf("point: %+v, want %+v", p, want[i])
		}
	}
}

// TestTakenOut: `enabled = false` takes alerts and drivers out and disables devices, which alerts may still be about.
func TestTakenOut(t *testing.T) {
	t.Parallel()
	const house = `[gateway]
include = ["over.toml"]
[access]
"alice@example.org" = "admin"
[drivers.house]
type = "mqtt"
broker = "mqtt://127.0.0.1:1883"
[drivers.other]
type = "mqtt"
broker = "mqtt://127.0.0.2:1883"
[devices.lamp]
driver = "house"
[devices.lamp.points.power]
source = "lamp"
[devices.plug]
driver = "other"
[devices.plug.points.power]
source = "plug"
[alerts.dark]
device = "lamp"
when = "power < 1"
to = ["alice@example.org"]
[alerts.gone]
device = "*"
when = "offline"
to = ["alice@example.org"]
`
	for over, want := range map[string]string{
		"":                                "house other lamp plug dark gone",
		"[drivers.house]\nenabled=false":  "other lamp! plug dark gone",
		"[devices.lamp]\nenabled=false":   "house other lamp! plug dark gone",
		"[alerts.dark]\nenabled=false":    "house other lamp plug gone",
		"[devices.lamp]\nname='Lantern'":  "house other lamp plug dark gone",
		"[devices.plug]\nenabled = false": "house other lamp plug! dark gone",
	} {
		cfg, _, err := load(t, options(nil), component+house, map[string]string{"secret": "x", "over.toml": over})
		if err != nil {
			t.Errorf("%s: %v", over, err)
			continue
		}
		var got []string
		for _, d := range cfg.Drivers {
			got = append(got, d.Name)
			for _, c := range d.Connection.Devices {
				if cfg.Mapping.Devices[c.ID].Disabled {
					t.Errorf("%s: driver %s is told of %s", over, d.Name, c.ID)
				}
			}
		}
		for _, id := range []devices.ID{"lamp", "plug"} {
			name := string(id)
			if cfg.Mapping.Devices[id].Disabled {
				name += "!"
			}
			got = append(got, name)
		}
		for _, a := range cfg.Mapping.Alerts {
			got = append(got, a.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: there are %s, want %s", over, got, want)
		}
	}
}

// Two drivers that a broker takes for one client would throw each other out for ever.
func TestSameMQTTClient(t *testing.T) {
	t.Parallel()
	text := component + `
[drivers.a]
type = "mqtt"
broker = "mqtt://127.0.0.1:1883"
[drivers.b]
type = "mqtt"
broker = "mqtt://127.0.0.1:1883"
`
	if _, _, err := load(t, options(nil), text, map[string]string{"secret": "x"}); err == nil || !strings.Contains(err.Error(), "drivers.b: broker: drivers.a is the same client at it") {
		t.Errorf("the same client twice: %v", err)
	}
	for _, other := range []string{`client_id = "other"`, ``} {
		was := "broker = \"mqtt://127.0.0.1:1883\"\n"
		i := strings.LastIndex(text, was)
		changed := text[:i] + was + other + "\n"
		if other == "" {
			changed = text[:i] + "broker = \"mqtt://127.0.0.1:1884\"\n"
		}
		if _, _, err := load(t, options(nil), changed, map[string]string{"secret": "x"}); err != nil {
			t.Errorf("%q: %v", other, err)
		}
	}
}
