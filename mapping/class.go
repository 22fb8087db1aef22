package mapping

import (
	"slices"
	"strings"
)

// A switchWords holds the words of a switch: how its two states are called, and what people say to bring them about.
type switchWords struct {
	on, off         string // the states
	turnOn, turnOff string // the verbs of commands; empty: "Pump on"
}

var plainWords = switchWords{on: "on", off: "off"}

func (w switchWords) state(on bool) string {
	if on {
		return w.on
	}
	return w.off
}

// verb is what people say to bring a state about; empty where that is the state alone.
func (w switchWords) verb(on bool) string {
	if on {
		return w.turnOn
	}
	return w.turnOff
}

// means reports whether a lower-case word typed by a person stands for a state.
func (w switchWords) means(typed string, on bool) bool {
	if typed == w.state(on) {
		return true
	}
	if on {
		return typed == "on" || typed == "true" || typed == "yes" || typed == "1" || w.turnOn != "" && typed == strings.ToLower(w.turnOn)
	}
	return typed == "off" || typed == "false" || typed == "no" || typed == "0" || w.turnOff != "" && typed == strings.ToLower(w.turnOff)
}

var (
	openWords = switchWords{on: "open", off: "closed", turnOn: "Open", turnOff: "Close"}
	// As Home Assistant has it, a lock that is on is open.
	lockWords = switchWords{on: "unlocked", off: "locked", turnOn: "Unlock", turnOff: "Lock"}
)

// switchClasses are Home Assistant's device classes of binary sensors, covers, switches and valves with our words.
// See https://www.home-assistant.io/integrations/binary_sensor/#device-class.
var switchClasses = map[string]switchWords{
	"awning": openWords, "blind": openWords, "curtain": openWords, "damper": openWords, "door": openWords,
	"garage": openWords, "garage_door": openWords, "gate": openWords, "opening": openWords, "shade": openWords,
	"shutter": openWords, "valve": openWords, "window": openWords,
	"lock": lockWords,

	"battery":          {on: "battery low", off: "battery fine"},
	"battery_charging": {on: "charging", off: "not charging"},
	"carbon_monoxide":  {on: "carbon monoxide", off: "no carbon monoxide"},
	"cold":             {on: "cold", off: "not cold"},
	"connectivity":     {on: "connected", off: "disconnected"},
	"gas":              {on: "gas", off: "no gas"},
	"heat":             {on: "hot", off: "not hot"},
	"light":            {on: "light", off: "dark"},
	"moisture":         {on: "wet", off: "dry"},
	"motion":           {on: "motion", off: "no motion"},
	"moving":           {on: "moving", off: "still"},
	"occupancy":        {on: "occupied", off: "free"},
	"outlet":           plainWords,
	"plug":             {on: "plugged in", off: "unplugged"},
	"power":            {on: "powered", off: "no power"},
	"presence":         {on: "home", off: "away"},
	"problem":          {on: "problem", off: "no problem"},
	"running":          {on: "running", off: "not running"},
	"safety":           {on: "unsafe", off: "safe"},
	"smoke":            {on: "smoke", off: "no smoke"},
	"sound":            {on: "sound", off: "silent"},
	"switch":           plainWords,
	"tamper":           {on: "tampered with", off: "untouched"},
	"update":           {on: "update available", off: "up to date"},
	"vibration":        {on: "vibration", off: "no vibration"},
}

// wordsOf are the words of a class; "on" and "off" where it has none of its own.
func wordsOf(class string) switchWords {
	if w, ok := switchClasses[class]; ok {
		return w
	}
	return plainWords
}

var (
	concentrationUnits = []string{"µg/m³", "mg/m³", "ppb", "ppm"}
	energyUnits        = []string{"kWh", "Wh", "mWh", "MWh", "GWh", "TWh", "J", "kJ", "MJ", "GJ", "cal", "kcal", "Mcal", "Gcal"}
	pressureUnits      = []string{"hPa", "Pa", "mPa", "kPa", "mbar", "cbar", "bar", "mmHg", "inHg", "inH₂O", "psi"}
	speedUnits         = []string{"m/s", "km/h", "mph", "kn", "ft/s", "in/s", "in/h", "in/d", "mm/s", "mm/h", "mm/d", "Beaufort"}
	volumeUnits        = []string{"L", "mL", "m³", "ft³", "CCF", "MCF", "gal", "fl. oz."}
)

// numberClasses are Home Assistant's device classes of sensors with the units they take, the one to take when none
// is given first; "" there means that a number of this class needs none. An empty list takes any unit.
// See https://www.home-assistant.io/integrations/sensor/#device-class.
var numberClasses = map[string][]string{
	"absolute_humidity":                {"g/m³", "mg/m³"},
	"apparent_power":                   {"VA", "mVA", "kVA"},
	"aqi":                              {""},
	"area":                             {"m²", "mm²", "cm²", "km²", "in²", "ft²", "yd²", "mi²", "ac", "ha"},
	"atmospheric_pressure":             pressureUnits,
	"battery":                          {"%"},
	"blood_glucose_concentration":      {"mmol/L", "mg/dL"},
	"carbon_dioxide":                   {"ppm"},
	"carbon_monoxide":                  {"ppm", "ppb", "mg/m³", "µg/m³"},
	"conductivity":                     {"µS/cm", "mS/cm", "S/cm"},
	"current":                          {"A", "mA"},
	"data_rate":                        {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s", "GB/s", "KiB/s", "MiB/s", "GiB/s"},
	"data_size":                        {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB", "bit", "kbit", "Mbit", "Gbit"},
	"distance":                         {"m", "km", "cm", "mm", "mi", "nmi", "yd", "ft", "in"},
	"duration":                         {"s", "min", "h", "d", "ms", "µs"},
	"energy":                           energyUnits,
	"energy_distance":                  {"kWh/100km", "Wh/km", "mi/kWh", "km/kWh"},
	"energy_storage":                   energyUnits,
	"frequency":                        {"Hz", "mHz", "kHz", "MHz", "GHz"},
	"gas":                              {"m³", "L", "ft³", "CCF", "MCF"},
	"humidity":                         {"%"},
	"illuminance":                      {"lx"},
	"irradiance":                       {"W/m²", "BTU/(h⋅ft²)"},
	"moisture":                         {"%"},
	"monetary":                         {},
	"nitrogen_dioxide":                 concentrationUnits,
	"nitrogen_monoxide":                concentrationUnits,
	"nitrous_oxide":                    concentrationUnits,
	"ozone":                            concentrationUnits,
	"ph":                               {""},
	"pm1":                              {"µg/m³"},
	"pm10":                             {"µg/m³"},
	"pm25":                             {"µg/m³"},
	"pm4":                              {"µg/m³"},
	"power":                            {"W", "mW", "kW", "MW", "GW", "TW"},
	"power_factor":                     {"", "%"},
	"precipitation":                    {"mm", "cm", "in"},
	"precipitation_intensity":          {"mm/h", "mm/d", "in/h", "in/d"},
	"pressure":                         pressureUnits,
	"reactive_energy":                  {"varh", "kvarh"},
	"reactive_power":                   {"var", "mvar", "kvar"},
	"signal_strength":                  {"dBm", "dB"},
	"sound_pressure":                   {"dB", "dBA"},
	"speed":                            speedUnits,
	"sulphur_dioxide":                  concentrationUnits,
	"temperature":                      {"°C", "°F", "K"},
	"temperature_delta":                {"K", "°C", "°F"},
	"volatile_organic_compounds":       {"µg/m³", "mg/m³"},
	"volatile_organic_compounds_parts": {"ppb", "ppm"},
	"voltage":                          {"V", "mV", "µV", "kV", "MV"},
	"volume":                           volumeUnits,
	"volume_flow_rate":                 {"L/min", "L/h", "L/s", "mL/s", "m³/h", "m³/min", "m³/s", "ft³/min", "gal/min", "gal/h", "gal/d"},
	"volume_storage":                   volumeUnits,
	"water":                            {"L", "m³", "ft³", "CCF", "MCF", "gal"},
	"weight":                           {"kg", "g", "mg", "µg", "oz", "lb", "st"},
	"wind_direction":                   {"°"},
	"wind_speed":                       speedUnits,
}

// otherClasses are the device classes of points that are neither a number nor a switch.
var otherClasses = []string{"button", "date", "doorbell", "enum", "identify", "restart", "timestamp"}

// deviceClasses are what a whole device can be.
var deviceClasses = []string{
	"alarm", "blind", "button", "camera", "climate", "cover", "door", "fan", "garage", "gate", "heater", "humidifier",
	"light", "lock", "meter", "outlet", "pump", "sensor", "siren", "switch", "valve", "vacuum", "water_heater", "window",
}

// componentClasses are the classes of devices for components of Home Assistant that are called otherwise.
var componentClasses = map[string]string{"alarm_control_panel": "alarm", "lawn_mower": "vacuum"}

// deviceClass is the class of a device that says itself what it is; empty where that is nothing we know.
func deviceClass(said string) string {
	if class, ok := componentClasses[said]; ok {
		return class
	}
	if slices.Contains(deviceClasses, said) {
		return said
	}
	return ""
}

// deviceWords are the classes of devices that give a switch without a class of its own its words.
var deviceWords = map[string]string{
	"blind": "blind", "cover": "shutter", "door": "door", "garage": "garage_door", "gate": "gate", "lock": "lock",
	"valve": "valve", "window": "window",
}

// normalUnit writes a unit the one way we know it: the micro sign, not the letter mu.
func normalUnit(unit string) string { return strings.ReplaceAll(unit, "μ", "µ") }

// unitFits reports whether a number of a class may have a unit; a class we do not know takes any.
func unitFits(class, unit string) bool {
	units := numberClasses[class]
	return len(units) == 0 || slices.Contains(units, unit)
}

// sameUnit compares a unit as people type it ("C", "w", "%") with the one of a point.
func sameUnit(typed, unit string) bool {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("°", "", "³", "3", "²", "2", " ", "", "µ", "u").Replace(normalUnit(s)))
	}
	return unit != "" && (typed == unit || plain(typed) == plain(unit))
}
