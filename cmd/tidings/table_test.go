package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tidings/devices"
	"tidings/gateway"
)

func TestTable(t *testing.T) {
	t.Parallel()
	long := table{columns: []column{{head: "DEVICE"}, {head: "NAME", shrink: true}, {head: "PLACE", shrink: true}, {head: "STATE"},
		{head: "READS", shrink: true}, {head: "ADDRESS", drop: true}}}
	long.row("lamp", "Lamp", "Hall", "online", "on", "lamp@localhost/lamp")
	long.row("greenhouse-2", "The greenhouse behind the old apple tree", "Garden, far end", "offline", "silent for 2 min: serial port gone", "greenhouse-2@things.example.org/greenhouse-2")
	for width, want := range map[int]string{
		0: `
DEVICE        NAME                                      PLACE            STATE    READS                               ADDRESS
lamp          Lamp                                      Hall             online   on                                  lamp@localhost/lamp
greenhouse-2  The greenhouse behind the old apple tree  Garden, far end  offline  silent for 2 min: serial port gone  greenhouse-2@things.example.org/greenhouse-2
`,
		130: `
DEVICE        NAME                   PLACE            STATE    READS                  ADDRESS
lamp          Lamp                   Hall             online   on                     lamp@localhost/lamp
greenhouse-2  The greenhouse behin…  Garden, far end  offline  silent for 2 min: se…  greenhouse-2@things.example.org/greenhouse-2
`,
		100: `
DEVICE        NAME                           PLACE            STATE    READS
lamp          Lamp                           Hall             online   on
greenhouse-2  The greenhouse behind the ol…  Garden, far end  offline  silent for 2 min: serial por…
`,
		80: `
DEVICE        NAME                 PLACE            STATE    READS
lamp          Lamp                 Hall             online   on
greenhouse-2  The greenhouse beh…  Garden, far end  offline  silent for 2 min: …
`,
		10: `
DEVICE        NAME      PLACE     STATE    READS
lamp          Lamp      Hall      online   on
greenhouse-2  The gre…  Garden,…  offline  silent …
`,
	} {
		var out strings.Builder
		if err := long.print(&out, width); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != want {
			t.Errorf("at %d it is%swant%s", width, got, want)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 10 && n > width {
				t.Errorf("a line of %d at %d", n, width)
			}
		}
	}
}

// TestTableShows leaves nothing of a device's text that a terminal would obey.
func TestTableShows(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	list := []gateway.DeviceStatus{{ID: "lamp", Slug: "lamp", Name: "Lamp\x1b[2J\r\n", Online: true, Status: "on\t"}}
	if err := printDevices(&out, list); err != nil {
		t.Fatal(err)
	}
	if want := "DEVICE  NAME      PLACE  STATE   READS  ADDRESS\nlamp    Lamp [2J         online  on\n"; out.String() != want {
		t.Errorf("it prints\n%swant\n%s", out.String(), want)
	}
}

func TestPrintDevice(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 9, 22, 15, 30, 0, 0, time.Local)
	var out strings.Builder
	err := printDevice(&out, gateway.DeviceStatus{ID: "greenhouse", Slug: "greenhouse", Name: "Greenhouse", JID: "greenhouse@localhost/greenhouse", Driver: "garden",
		Location: "Garden", Online: true, Status: "21.4 °C · 48 %", Points: []gateway.PointStatus{
			{Name: "temperature", Value: "21.4 °C", At: now.Add(-3 * time.Second)},
			{Name: "humidity", Value: "48 %", At: now.Add(-24 * time.Hour)},
			{Name: "pump", Value: "no reading yet"},
		}, Commands: []string{"pump on", "set target VALUE"}, Notes: []string{"field x is not configured"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	const want = `name     Greenhouse
address  greenhouse@localhost/greenhouse
place    Garden
driver   garden
state    online
reads    21.4 °C · 48 %
note     field x is not configured

POINT        VALUE           READ
temperature  21.4 °C         15:29:57
humidity     48 %            2026-09-21 15:30:00
pump         no reading yet  never

tidings send greenhouse pump on
tidings send greenhouse set target VALUE
`
	if out.String() != want {
		t.Errorf("it prints\n%swant\n%s", out.String(), want)
	}
}

func TestFindDevice(t *testing.T) {
	t.Parallel()
	list := []gateway.DeviceStatus{{ID: "lamp", Slug: "lamp"}, {ID: "greenhouse", Slug: "greenhouse"}}
	if d, err := findDevice(list, "greenhouse"); err != nil || d.ID != devices.ID("greenhouse") {
		t.Errorf("%v %v", d, err)
	}
	for id, want := range map[string]string{
		"lmap":   `lmap: no such device: did you mean "lamp"?`,
		"heater": "heater: no such device: `tidings devices` lists what there is",
	} {
		if _, err := findDevice(list, id); err == nil || err.Error() != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestDefaultSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := map[string]string{"XDG_RUNTIME_DIR": filepath.Join(dir, "run"), "HOME": filepath.Join(dir, "home"), "STATE_DIRECTORY": "relative"}
	look := func() string { return defaultSocket(func(name string) string { return env[name] }) }
	if got := look(); got != systemSocket {
		t.Errorf("with none it is %s", got)
	}
	for _, directory := range []string{"home/.local/state/tidings", "run"} { // the later comes first
		path := filepath.Join(dir, directory, "tidings.sock")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := look(); got != path {
			t.Errorf("it is %s, want %s", got, path)
		}
	}
}
