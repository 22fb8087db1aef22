package shelly

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// names are the components that people look at, in order.
func (d *Device) names() []string { return slices.Sorted(maps.Keys(d.components(d.metered))) }

// components are the states of those that people look at.
func (d *Device) components(now time.Time) map[string]any {
	switch d.Model {
	case Plus1PM:
		d.meter(now)
		watts := 0.0
		if d.on {
			watts = d.Load(now)
		}
		return map[string]any{"switch:0": map[string]any{"id": 0, "source": d.source, "output": d.on, "apower": round(watts, 1), "voltage": 231.4,
			"freq": 50.0, "current": round(watts/231.4, 3), "pf": 0.98, "aenergy": d.counter(now), "temperature": celsius(41.3)}}
	case Plus2PM:
		state := map[bool]string{true: "open", false: "stopped"}[d.position == 100]
		if d.position == 0 {
			state = "closed"
		}
		watts, target := 0.0, any(nil)
		if d.moves != "" {
			state, watts, target = d.moves, 122.4, int(math.Round(d.target))
		}
		var last any
		if d.last != "" {
			last = d.last
		}
		return map[string]any{"cover:0": map[string]any{"id": 0, "source": d.source, "state": state, "apower": watts, "voltage": 231.1, "current": round(watts/231, 3),
			"pf": 0.0, "freq": 50.0, "aenergy": d.counter(now), "temperature": celsius(38.6), "pos_control": true, "last_direction": last,
			"current_pos": int(math.Round(d.position)), "target_pos": target}}
	case Dimmer:
		return map[string]any{"light:0": map[string]any{"id": 0, "source": d.source, "output": d.on, "brightness": d.bright, "temperature": celsius(36.2)}}
	case Pro3EM:
		d.meter(now)
		watts := d.Load(now)
		em := map[string]any{"id": 0, "n_current": nil}
		var current float64
		for phase, share := range map[string]float64{"a": 0.5, "b": 0.3, "c": 0.2} {
			em[phase+"_voltage"], em[phase+"_act_power"], em[phase+"_aprt_power"] = 230.8, round(watts*share, 1), round(watts*share*1.04, 1)
			em[phase+"_current"], em[phase+"_pf"], em[phase+"_freq"] = round(watts*share/230.8, 3), 0.96, 50.0
			current += watts * share / 230.8
		}
		em["total_current"], em["total_act_power"], em["total_aprt_power"] = round(current, 3), round(watts, 1), round(watts*1.04, 1)
		data := map[string]any{"id": 0, "total_act": round(d.energy, 2), "total_act_ret": 0.0}
		for phase, share := range map[string]float64{"a": 0.5, "b": 0.3, "c": 0.2} {
			data[phase+"_total_act_energy"], data[phase+"_total_act_ret_energy"] = round(d.energy*share, 2), 0.0
		}
		return map[string]any{"em:0": em, "emdata:0": data}
	case PlusI4:
		out := map[string]any{}
		for i := range 4 {
			out["input:"+strconv.Itoa(i)] = map[string]any{"id": i, "state": nil} // a button has no state
		}
		return out
	case PlusHT:
		return map[string]any{"temperature:0": map[string]any{"id": 0, "tC": round(d.Temperature(now), 1), "tF": round(d.Temperature(now)*1.8+32, 1)},
			"humidity:0":    map[string]any{"id": 0, "rh": round(d.Humidity(now), 1)},
			"devicepower:0": map[string]any{"id": 0, "battery": map[string]any{"V": 5.7, "percent": 84}, "external": map[string]any{"present": false}}}
	}
	return nil
}

func (d *Device) counter(now time.Time) map[string]any {
	return map[string]any{"total": round(d.energy, 3), "by_minute": []float64{0, 0, 0}, "minute_ts": now.Unix() / 60 * 60}
}

func celsius(c float64) map[string]any { return map[string]any{"tC": c, "tF": round(c*1.8+32, 1)} }

// status is what Shelly.GetStatus says.
func (d *Device) status(now time.Time) map[string]any {
	s := maps.Clone(d.components(now))
	up := int(now.Sub(d.begun).Seconds())
	s["sys"] = map[string]any{"mac": d.MAC, "restart_required": false, "time": now.Format("15:04"), "unixtime": now.Unix(), "uptime": up, "ram_size": 262_000,
		"ram_free": 150_000, "fs_size": 393_216, "fs_free": 106_496, "cfg_rev": 11, "available_updates": map[string]any{}}
	s["wifi"] = map[string]any{"sta_ip": "192.168.1.61", "status": "got ip", "ssid": "home", "rssi": -58}
	s["mqtt"], s["cloud"] = map[string]any{"connected": true}, map[string]any{"connected": false}
	return s
}

// config is what Shelly.GetConfig says.
func (d *Device) config() map[string]any {
	c := map[string]any{
		"sys": map[string]any{"device": map[string]any{"name": d.name(), "mac": d.MAC, "fw_id": firmware, "discoverable": true, "eco_mode": false},
			"cfg_rev": 11, "location": map[string]any{"tz": "Europe/Berlin"}},
		"mqtt": map[string]any{"enable": true, "server": "192.168.1.10:1883", "client_id": d.id(), "topic_prefix": d.prefix(), "rpc_ntf": true,
			"status_ntf": d.Status, "enable_rpc": true, "enable_control": true},
		"wifi": map[string]any{"sta": map[string]any{"ssid": "home", "enable": true}},
	}
	for i, name := range d.names() {
		part := map[string]any{"id": 0, "name": nil}
		switch d.Model {
		case Plus1PM:
			part["in_mode"], part["initial_state"] = "follow", "restore_last"
		case Plus2PM:
			part["in_mode"], part["maxtime_open"], part["maxtime_close"] = "dual", 60, 60
		case PlusI4:
			part["id"], part["type"], part["enable"], part["invert"] = i, "button", true, false
		}
		c[name] = part
	}
	return c
}
