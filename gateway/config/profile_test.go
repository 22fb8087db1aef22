package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/drivers/serial/profile"
)

const profiled = `
[xmpp]
mode = "local"
address = "home.arpa"
[drivers.meters]
type     = "serial"
port     = "/dev/ttyUSB0"
protocol = "modbus"
`

// TestProfiles: every profile makes a device without a mistake, and people see its points as if they stood in the file.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, name := range profile.Names() {
		text := profiled + fmt.Sprintf("[devices.d]\ndriver = \"meters\"\nslave = 1\nprofile = %q\n", name)
		cfg, _, err := load(t, options(nil), text, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := cfg.Mapping.Devices["d"]; !ok || cfg.Drivers[0].Driver == nil {
			t.Errorf("%s: there is no device", name)
		}
	}
}

func TestProfileKeys(t *testing.T) {
	t.Parallel()
	const meter = "[devices.meter]\ndriver = \"meters\"\nslave = 1\nprofile = \"mine\"\n"
	const mine = "model = \"Mine\"\nsource = \"my own\"\nprotocol = \"modbus\"\n[points.power]\nsource = \"input:12\"\nunit = \"W\"\n[points.relay]\nsource = \"coil:1\"\nwrite = \"coil:1\"\n"
	folder := strings.Replace(profiled, "protocol", "profiles = \"own\"\nprotocol", 1)
	cfg, _, err := load(t, options(nil), folder+meter+"[devices.meter.points.power]\nunit = \"kW\"\nscale = 0.001\n[devices.meter.points.relay]\nsafe = false\ndanger = true\n", map[string]string{"own/mine.toml": mine})
	if err != nil {
		t.Fatal(err)
	}
	if safe := cfg.Mapping.SafeRaw("meter", "relay"); safe != devices.Bool(false) {
		t.Errorf("safe is %q", safe)
	}
	dir := write(t, map[string]string{"gateway.toml": folder + meter, "own/mine.toml": mine})
	reload := func(profile string) string {
		if err := os.WriteFile(filepath.Join(dir, "own", "mine.toml"), []byte(profile), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(filepath.Join(dir, "gateway.toml"), options(nil))
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Drivers[0].Canonical
	}
	was := reload(mine)
	if reload("# a comment\n"+mine) != was {
		t.Error("nothing changed in the profile, and a reload would replace the driver")
	}
	if reload(strings.Replace(mine, "input:12", "input:14", 1)) == was {
		t.Error("a register of the profile changed, and a reload would not notice")
	}

	for want, text := range map[string]string{
		"mine.toml:6: devices.meter.points.power: unit = \"lx\" contradicts class = \"power\"":  strings.Replace(mine, `"W"`, "\"lx\"\nclass = \"power\"", 1),
		"mine.toml:6: devices.meter.points.power: unknown key \"unti\": did you mean \"unit\"?": strings.Replace(mine, "unit", "unti", 1),
		"mine.toml:5: devices.meter.points.power: source: \"inputs:12\" is no place in a slave": strings.Replace(mine, "input:", "inputs:", 1),
	} {
		_, _, err := load(t, options(nil), folder+meter, map[string]string{"own/mine.toml": text})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	_, _, err = load(t, options(nil), folder+strings.Replace(meter, `"mine"`, `"min"`, 1), map[string]string{"own/mine.toml": mine})
	if err == nil || !strings.Contains(err.Error(), `gateway.toml:13: devices.meter: profile: there is no profile "min": did you mean "mine"?`) {
		t.Error(err)
	}
}
