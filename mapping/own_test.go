package mapping

import (
	"strings"
	"testing"

	"tidings/devices"
	"tidings/devices/schema"
)

// TestOwnPoints has a driver that knows by a device's table which points there are: conditions, texts and `primary` find
// them, and a table of one needs no kind.
func TestOwnPoints(t *testing.T) {
	t.Parallel()
	o := options()
	o.Types = map[string]devices.Type{"bus": {Name: "i2c", Points: func(_, device *schema.Table) []devices.Point {
		if device.Name() != "climate" {
			return nil
		}
		return []devices.Point{{Name: "temperature", Kind: devices.KindNumber}, {Name: "heater", Kind: devices.KindSwitch, Writable: true}}
	}}}
	const file = "[devices.climate]\ndriver = \"bus\"\nprimary = [\"temperature\"]\n" +
		"[devices.climate.points.heater]\nclass = \"running\"\n" +
		"[access]\n\"alice@example.org\" = \"admin\"\n"
	const alert = "[alerts.hot]\ndevice = \"climate\"\nto = [\"alice@example.org\"]\ntext = \"{{.temperature}}\"\nwhen = "
	for when, want := range map[string]string{
		`"temperature > 30 and heater"`: "",
		`"humidity > 30"`:               `climate has no point "humidity"`,
		`"heater > 30"`:                 `mismatched types true or false and number`,
	} {
		cfg, problems := readFile(t, file+alert+when+"\n", o)
		if got := strings.Join(problems, "\n"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
		p := findPoint(cfg.Devices["climate"].points, "heater")
		if p == nil || p.kind != devices.KindSwitch || p.readOnly {
			t.Errorf("the heater is %+v", p)
		}
		if p := findPoint(cfg.Devices["climate"].points, "temperature"); p == nil || p.kind != devices.KindNumber || !p.readOnly {
			t.Errorf("the temperature is %+v", p)
		}
	}
}
