package mapping

import (
	"strings"
	"testing"
)

func TestComputedMistakes(t *testing.T) {
	t.Parallel()
	const box = `
[drivers.attic]
type = "serial"
[devices.other]
driver = "attic"
[devices.other.points.outside]
class = "temperature"
unit = "°F"
[devices.other.points.back]
value = "devices.box.p"
[devices.box]
driver = "attic"
[devices.box.points.temperature]
class = "temperature"
[devices.box.points.power]
unit = "W"
[devices.box.points.mode]
kind = "text"
[devices.box.points.on]
kind = "switch"
[devices.box.points.bell]
kind = "action"
[devices.box.points.p]
`
	for keys, want := range map[string]string{
		`value = "temperature - 1"`:                                          "",
		`value = "temperature - p"`:                                          `value: it is made of itself, and so never known: p → p`,
		`value = "devices.other.back"`:                                       `devices.other.points.back: value: it is made of itself, and so never known: devices.other.back → devices.box.p → devices.other.back`,
		`value = "temperatur - 1"`:                                           `value: box has no point "temperatur": did you mean "temperature"?`,
		`value = "devices.othr.outside"`:                                     `value: there is no device "othr": did you mean "other"?`,
		`value = "devices.other.inside"`:                                     `value: other has no point "inside": did you mean "outside"?`,
		`value = "devices.other.offline"`:                                    "",
		`value = "offline"`:                                                  `value: nothing is computed while the device is offline: offline cannot stand in it`,
		`value = "bell"`:                                                     `value: bell is an action and has no value`,
		`value = "mode - 1"`:                                                 `value: invalid operation: - (mismatched types text and number)`,
		`value = "on ? 1 : 'x'"`:                                             `value: its value is not always of one kind: let both sides of ? and : be numbers, or both texts`,
		`value = "on ? -1 : 2.5 + 1"`:                                        "",
		`value = "on ? 1 : temperature > 3 ? 2 + 2 : 3.5"`:                   "",
		`value = "len(mode) % 2 == 0 ? 1 : 2"`:                               "",
		`value = "on ? 1 : 2.5"`:                                             "",
		`value = "on ? temperature : 2"`:                                     "",
		`value = "len(mode)"`:                                                "",
		`value = "[temperature, 2]"`:                                         `value: its value is not always of one kind: let both sides of ? and : be numbers, or both texts`,
		`value = 3`:                                                          `value is 3, but takes a string`,
		`value = "3"`:                                                        `value: it names no point, so nothing can ever change it`,
		`value = "temperature"` + "\nkind = 'switch'":                        `kind = "switch" contradicts the value, which is a number: take kind out`,
		`value = "temperature"` + "\nkind = 'choice'":                        `what is computed is a number, a switch or a text, and not "choice"`,
		`value = "temperature"` + "\nkind = 'number'":                        "",
		`value = "temperature"` + "\nunit = '°F'":                            "",
		`value = "temperature"` + "\nunit = 'kWh'":                           `unit = "kWh" contradicts the value, which is in °C`,
		`value = "temperature"` + "\nclass = 'power'":                        `unit = "°C" contradicts class = "power", which has W, mW, kW, MW, GW or TW`,
		`value = "on"` + "\nunit = 'W'":                                      `a switch has no unit`,
		`value = "on"` + "\nprecision = 1":                                   `precision is for numbers, and this is a switch`,
		`value = "temperature"` + "\nscale = 2":                              `scale is for what a device says or is told, and a point with value is computed: take one of them out`,
		`value = "temperature"` + "\nsource = 't'":                           `source is for what a device says or is told, and a point with value is computed: take one of them out`,
		`value = "temperature"` + "\nwrote = 't'":                            `unknown key "wrote"`,
		`value = "temperature"` + "\ndelay_on = '1m'":                        `delay_on is for a switch, and this is a number`,
		`value = "on"` + "\ndelay_on = '1m'":                                 "",
		`delay_on = '1m'`:                                                    `delay_on is for a switch, and this is a number`,
		`value = "temperature + power"`:                                      `value: °C and W cannot be added or compared: one is a unit of temperature, the other of power`,
		`value = "temperature > devices.other.outside"`:                      `value: °C and °F cannot be added or compared as they are: write convert(…, "°F", "°C") around one of them`,
		`value = "temperature > convert(devices.other.outside, '°F', '°C')"`: "",
		`value = "min(temperature, devices.other.outside)"`:                  `value: °C and °F cannot be added or compared as they are: write convert(…, "°F", "°C") around one of them`,
		`value = "convert(temperature, '°F', 'K')"`:                          `value: convert says °F, and what it converts is in °C`,
		`value = "convert(temperature, '°C', 'kWh')"`:                        `value: °C is a unit of temperature and kWh one of energy: one cannot become the other`,
		`value = "convert(temperature, 'C', 'K')"`:                           `value: no unit "C" is known: did you mean "°C"?`,
		`value = "convert(temperature, 'K')"`:                                `value: write convert as in convert(temperature, "°F", "°C")`,
		`value = "convert(temperature * 2, mode, 'K')"`:                      `value: write convert as in convert(temperature, "°F", "°C")`,
		`value = "mean(mode, '10m')"`:                                        `value: mean is of a number, and mode is a text`,
		`value = "runtime(temperature)"`:                                     `value: runtime is of a switch, and temperature is a number`,
		`value = "energy(temperature)"`:                                      `value: energy is of a power, and temperature is in °C: give the point the unit of a power, or take integral(temperature, "h")`,
		`value = "energy(power)"` + "\nunit = 'Wh'":                          "",
		`value = "energy(power)"` + "\nunit = '°C'":                          `unit = "°C" contradicts the value, which is in kWh`,
		`value = "integral(power, 'h')"` + "\nclass = 'energy'":              "",
		`value = "integral(power, 'week')"`:                                  `value: integral: "week" is none of "s", "min", "h" and "d"`,
		`value = "mean(temperature)"`:                                        `value: write mean as in mean(temperature, "10m")`,
		`value = "mean(temperature, '10 minutes')"`:                          `value: mean: "10 minutes" is not a duration: write it as in "500ms", "30s", "5m", "2h" or "30d"`,
		`value = "mean(temperature, '90d')"`:                                 `value: mean: a window is from 1 s to 31 d long`,
		`value = "mean(temperature - 1, '10m')"`:                             `value: mean is of one point, as in mean(temperature, "10m"): make what you calculate a computed point, and take that`,
		`value = "max(temperature, 3, '10m')"`:                               `value: write max as in max(temperature, "10m")`,
		`value = "count(bell)"`:                                              `value: bell is an action and has no value`,
		`value = "count(on, {# > 1})"`:                                       `value: write count as in count(pump)`,
		`value = "mean(offline, '10m')"`:                                     `value: mean is of a point, and offline is none`,
		`value = "median(temperature, '10m')"`:                               `value: there is no function median: there are abs, ceil, convert, count, energy, floor, integral, len, lower, max, mean, min, round, runtime, trim and upper`,
	} {
		_, problems := readFile(t, box+keys, options())
		var got []string
		for _, p := range problems {
			file, rest, _ := strings.Cut(p, ": ")
			if !strings.HasPrefix(file, "gateway.toml:") {
				t.Errorf("no line: %s", p)
			}
			got = append(got, strings.TrimPrefix(rest, "devices.box.points.p: "))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s\ngot  %s\nwant %s", keys, strings.Join(got, "\n     "), want)
		}
	}
}
