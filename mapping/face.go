package mapping

import (
	"cmp"
	"maps"
	"slices"

	"tidings/devices"
)

// pointFaces are the classes of points that have a face, and which. Those left out say little about what a thing is.
var pointFaces = map[string]string{
	"absolute_humidity": "humidity", "humidity": "humidity",
	"temperature": "temperature", "temperature_delta": "temperature", "cold": "temperature", "heat": "temperature",
	"atmospheric_pressure": "pressure", "pressure": "pressure", "weight": "pressure", "speed": "pressure",
	"illuminance": "illuminance", "irradiance": "illuminance", "light": "illuminance",
	"aqi": "air", "carbon_dioxide": "air", "nitrogen_dioxide": "air", "nitrogen_monoxide": "air", "nitrous_oxide": "air", "ozone": "air",
	"pm1": "air", "pm10": "air", "pm25": "air", "pm4": "air", "sulphur_dioxide": "air", "volatile_organic_compounds": "air",
	"volatile_organic_compounds_parts": "air", "wind_direction": "air", "wind_speed": "air",
	"apparent_power": "power", "current": "power", "power": "power", "power_factor": "power", "reactive_power": "power", "voltage": "power",
	"energy": "meter", "energy_storage": "meter", "reactive_energy": "meter", "gas": "meter",
	"battery": "battery", "battery_charging": "battery",
	"precipitation": "rain", "precipitation_intensity": "rain",
	"volume": "water", "volume_flow_rate": "water", "volume_storage": "water", "water": "water",
	"moisture": "moisture",
	"motion":   "motion", "moving": "motion", "vibration": "motion",
	"occupancy": "presence", "presence": "presence",
	"sound": "sound", "sound_pressure": "sound",
	"carbon_monoxide": "smoke", "smoke": "smoke",
	"problem": "alarm", "safety": "alarm", "tamper": "alarm",
	"door": "door", "opening": "door", "window": "window", "garage": "garage", "garage_door": "garage", "gate": "gate",
	"awning": "blind", "blind": "blind", "curtain": "blind", "shade": "blind", "shutter": "cover",
	"damper": "valve", "valve": "valve", "lock": "lock", "outlet": "outlet", "plug": "outlet", "switch": "switch",
	"button": "button", "doorbell": "button",
}

// unitFaces are for numbers whose class nobody gave.
var unitFaces = map[string]string{"°C": "temperature", "°F": "temperature", "hPa": "pressure", "bar": "pressure", "lx": "illuminance",
	"W": "power", "V": "power", "A": "power", "kWh": "meter", "Wh": "meter", "mm": "rain", "L": "water", "L/min": "water", "ppm": "air"}

// Faces are the names of all pictures that Face returns for the classes we know, for those who draw them.
func Faces() []string {
	all := slices.Concat(deviceClasses, slices.Collect(maps.Values(pointFaces)), slices.Collect(maps.Values(unitFaces)))
	slices.Sort(all)
	return slices.Compact(all)
}

// Face is the name of the picture that stands for the device: its class's, or for what is merely a sensor or a switch the
// one of what it shows first. Classes we do not know stand for themselves.
func (d *Device) Face() string {
	if d.Class != "sensor" && d.Class != "switch" {
		return d.Class
	}
	for _, i := range d.Primary {
		if face := d.Points[i].face(); face != "" {
			return face
		}
	}
	for i := range d.Points {
		if face := d.Points[i].face(); face != "" {
			return face
		}
	}
	return d.Class
}

// face is the picture of what a point measures or does, or empty. Points are often called after their class, but a switch
// called power is one.
func (p *Point) face() string {
	if p.Kind == devices.KindSwitch && p.Writable {
		return cmp.Or(pointFaces[p.Class], "switch")
	}
	for _, class := range []string{p.Class, p.Name} {
		if face := pointFaces[class]; face != "" {
			return face
		}
	}
	return unitFaces[p.Unit]
}
