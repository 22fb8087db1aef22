package mapping

import (
	"fmt"
	"maps"
	"slices"
)

// A unit is what is known of one to convert it: the unit of its quantity that others are counted in is
// (x + shift) × factor.
type unit struct {
	of     string // the quantity
	factor float64
	shift  float64
}

// units are those of Home Assistant's device classes (numberClasses) that measure the same as another one. The factors are
// those of the SI Brochure (9th edition) and, for the others, of NIST Special Publication 811, appendix B.8: the
// thermochemical calorie, conventional mmHg and inHg, US gallons. Bytes are as IEC 80000-13 has them.
var units = func() map[string]unit {
	const (
		inch, foot, mile = 0.0254, 0.3048, 1609.344
		cubicFoot        = 28.316846592  // L
		gallon           = 3.785411784   // L
		pound            = 0.45359237    // kg
		mercury          = 133.322387415 // Pa of 1 mm
		water            = 9.80665       // Pa of 1 mm
		hour, day        = 3600.0, 86400.0
	)
	all := map[string]unit{
		"°C": {of: "temperature", factor: 1}, "°F": {of: "temperature", factor: 5.0 / 9, shift: -32}, "K": {of: "temperature", factor: 1, shift: -273.15},
	}
	for quantity, factors := range map[string]map[string]float64{
		"energy": {"J": 1, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9, "mWh": 3.6, "Wh": hour, "kWh": 3.6e6, "MWh": 3.6e9, "GWh": 3.6e12, "TWh": 3.6e15,
			"cal": 4.184, "kcal": 4184, "Mcal": 4.184e6, "Gcal": 4.184e9},
		"power": {"mW": 1e-3, "W": 1, "kW": 1e3, "MW": 1e6, "GW": 1e9, "TW": 1e12},
		"pressure": {"mPa": 1e-3, "Pa": 1, "hPa": 100, "kPa": 1e3, "mbar": 100, "cbar": 1e3, "bar": 1e5, "mmHg": mercury, "inHg": 25.4 * mercury,
			"inH₂O": 25.4 * water, "psi": pound * 9.80665 / (inch * inch)},
		"speed": {"m/s": 1, "km/h": 1e3 / hour, "mph": mile / hour, "kn": 1852 / hour, "ft/s": foot, "in/s": inch, "in/h": inch / hour,
			"in/d": inch / day, "mm/s": 1e-3, "mm/h": 1e-3 / hour, "mm/d": 1e-3 / day},
		"volume": {"mL": 1e-3, "L": 1, "m³": 1e3, "ft³": cubicFoot, "CCF": 100 * cubicFoot, "MCF": 1000 * cubicFoot, "gal": gallon, "fl. oz.": gallon / 128},
		"flow": {"mL/s": 60e-3, "L/s": 60, "L/min": 1, "L/h": 1.0 / 60, "m³/h": 1e3 / 60, "m³/min": 1e3, "m³/s": 60e3, "ft³/min": cubicFoot,
			"gal/min": gallon, "gal/h": gallon / 60, "gal/d": gallon / 1440},
		"distance":  {"mm": 1e-3, "cm": 1e-2, "m": 1, "km": 1e3, "in": inch, "ft": foot, "yd": 0.9144, "mi": mile, "nmi": 1852},
		"mass":      {"µg": 1e-9, "mg": 1e-6, "g": 1e-3, "kg": 1, "oz": pound / 16, "lb": pound, "st": 14 * pound},
		"duration":  {"µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": hour, "d": day},
		"current":   {"mA": 1e-3, "A": 1},
		"voltage":   {"µV": 1e-6, "mV": 1e-3, "V": 1, "kV": 1e3, "MV": 1e6},
		"frequency": {"mHz": 1e-3, "Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
		"data size": {"bit": 1.0 / 8, "kbit": 1e3 / 8, "Mbit": 1e6 / 8, "Gbit": 1e9 / 8, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
			"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50},
		"data rate": {"bit/s": 1.0 / 8, "kbit/s": 1e3 / 8, "Mbit/s": 1e6 / 8, "Gbit/s": 1e9 / 8, "B/s": 1, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9,
			"KiB/s": 1 << 10, "MiB/s": 1 << 20, "GiB/s": 1 << 30},
	} {
		for name, factor := range factors {
			all[name] = unit{of: quantity, factor: factor}
		}
	}
	return all
}()

// conversion is how a number in one unit becomes one in another: to = from × scale + offset. It reports false where
// nothing is known of one of them, or they measure different things.
func conversion(from, to string) (scale, offset float64, ok bool) {
	f, known := units[from]
	t, alsoKnown := units[to]
	if !known || !alsoKnown || f.of != t.of {
		return 1, 0, false
	}
	if from == to {
		return 1, 0, true
	}
	scale = f.factor / t.factor
	return scale, f.shift*scale - t.shift, true
}

// convertible says why a number in one unit cannot become one in another.
func convertible(from, to string) error {
	for _, name := range []string{from, to} {
		if _, ok := units[name]; !ok {
			return fmt.Errorf("no unit %q is known%s", name, likelyUnit(name))
		}
	}
	if _, _, ok := conversion(from, to); !ok {
		return fmt.Errorf("%s is a unit of %s and %s one of %s: one cannot become the other", from, units[from].of, to, units[to].of)
	}
	return nil
}

// unitNamed is the unit that a person means, who may leave out a ° or write another case; empty when it is none, or could be
// several: mW and MW.
func unitNamed(typed string) string {
	typed = normalUnit(typed)
	if _, ok := units[typed]; ok {
		return typed
	}
	found := ""
	for name := range units {
		switch {
		case !sameUnit(typed, name):
		case found != "":
			return ""
		default:
			found = name
		}
	}
	return found
}

// likelyUnit asks for the unit that is probably meant.
func likelyUnit(name string) string {
	for _, u := range slices.Sorted(maps.Keys(units)) {
		if sameUnit(name, u) {
			return fmt.Sprintf(": did you mean %q?", u)
		}
	}
	return didYouMean(name, slices.Sorted(maps.Keys(units)), "")
}
