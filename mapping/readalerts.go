package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
)

// alerts reads [alerts].
func (r *reader) alerts(t *schema.Table) {
	for _, alert := range t.Tables() {
		if !plainName.MatchString(alert.Name()) {
			alert.Errorf("", "%q is no name for an alert: use small letters, digits and hyphens", alert.Name())
		}
		if a := r.alert(alert); a != nil && alert.Bool("enabled", true) {
			r.cfg.Alerts = append(r.cfg.Alerts, a)
		}
	}
}

// alert reads one table of [alerts]. It returns nil when the alert cannot run.
func (r *reader) alert(t *schema.Table) *AlertConfig {
	a := &AlertConfig{
		Name: t.Name(), Device: t.String("device"), For: t.Duration("for", 0),
		Level: Level(max(slices.Index(levelNames[:], t.StringOr("level", Warning.String())), 0)),
	}
	about := r.matching(a.Device)
	open := r.open(a.Device, about)
	switch {
	case a.Device == "" || open: // Check said so; discovered devices may come
	case len(about) == 0 && strings.Contains(a.Device, "*"):
		t.Errorf("device", "no device matches %q", a.Device)
	case len(about) == 0:
		t.Errorf("device", "%s", r.noDevice(a.Device, `device = "homeassistant:…"`))
	}
	a.To = r.recipients(t, a, about)
	r.life(t, a, about)
	a.when = r.condition(t, "when", about, open)
	a.until = r.condition(t, "until", about, open)
	if source, ok := t.Get("text"); ok {
		s, _ := source.V.(string)
		a.text = r.message(t, s, about, open)
	}
	if a.when == nil || len(about) == 0 && !open || t.Has("until") && a.until == nil {
		return nil
	}
	return a
}

// open reports whether an alert may be about devices or points that are known only once they have announced themselves: what it
// names of them cannot be checked before.
func (r *reader) open(pattern string, about []*DeviceConfig) bool {
	return r.strangers && strings.ContainsAny(pattern, "*:") || slices.ContainsFunc(about, func(d *DeviceConfig) bool { return d.Match != "" })
}

// matching are the configured devices a pattern is for, in the order of their names.
func (r *reader) matching(pattern string) []*DeviceConfig {
	var out []*DeviceConfig
	for _, name := range r.deviceNames() {
		if Match(pattern, name) {
			out = append(out, r.cfg.Devices[devices.ID(name)])
		}
	}
	return out
}

// recipients reads a `to`. Somebody whose role is limited gets the alerts of the devices they see; somebody who sees
// none of them would never get any, which is a mistake.
func (r *reader) recipients(t *schema.Table, a *AlertConfig, about []*DeviceConfig) []string {
	var out []string
	if t.Has("to") && len(t.Strings("to")) == 0 {
		t.Errorf("to", "to = [] tells nobody: name who is told")
	}
	for _, to := range t.Strings("to") {
		if room, is := RoomOf(to); is {
			out = r.roomRecipient(out, t, a, about, to, room)
			continue
		}
		j, ok := normalise(to)
		switch {
		case !ok || j.Localpart() == "" || strings.ContainsAny(to, "/*"):
			t.Errorf("to", `%q is no person's address: write it as in "alice@example.org"`, to)
		case r.Mode == Local && j.Domainpart() != r.domain():
			t.Errorf("to", "%s is at another server, which local mode does not reach: tell NAME@%s", to, r.domain())
		case r.Mode == Local && r.cfg.Access.Role(to) == None:
			// An account's own role decides, which is not in the file.
			out = append(out, j.String())
		case len(about) > 0 && !slices.ContainsFunc(about, func(d *DeviceConfig) bool { return r.cfg.Access.CanSee(to, d.ID) }):
			t.Errorf("to", "%s may not see %s and would not get this alert: give them a role in [access], or take them out", to, a.Device)
		case slices.Contains(out, j.String()):
			t.Errorf("to", "%s stands there twice", to)
		default:
			out = append(out, j.String())
		}
	}
	return out
}

// condition reads `when` or `until` and compiles it against every device it is about.
func (r *reader) condition(t *schema.Table, key string, about []*DeviceConfig, open bool) *expression {
	v, ok := t.Get(key)
	source, isString := v.V.(string)
	if !ok || !isString {
		return nil
	}
	e, err := r.expression(source)
	if err != nil {
		t.Errorf(key, "%s: %v", key, err)
		return nil
	}
	fits := false
	compiled := map[string]bool{} // by kinds: most devices are alike
	for _, d := range about {
		kinds, unknown := r.kinds(e, d)
		if unknown != "" {
			continue
		}
		fits = true
		if slices.Contains(kinds, devices.None) {
			continue // known only at run time
		}
		alike := fmt.Sprint(kinds)
		if compiled[alike] {
			continue
		}
		compiled[alike] = true
		if _, err := (&unitReader{e, func(ref *ref) string { return r.unitOf(ref, d) }}).read(); err != nil {
			t.Errorf(key, "%s: %v", key, err)
			return nil
		}
		if _, err := e.compile(kinds, devices.BoolKind); err != nil {
			t.Errorf(key, "%s: %v", key, err)
			return nil
		}
	}
	if !fits && len(about) > 0 && !open {
		// None of the devices has all the points: say what is missing of the one that is nearest to having them.
		_, unknown := r.kinds(e, about[0])
		t.Errorf(key, "%s: %s", key, unknown)
		return nil
	}
	return e
}

// kinds are what the variables of e hold for a device; None for a point of which only the device itself can say it. The text says
// what one of them does not name.
func (r *reader) kinds(e *expression, d *DeviceConfig) (kinds []devices.ValueKind, unknown string) {
	for _, ref := range e.refs {
		of, name := d, string(d.ID)
		if ref.device != "" {
			if of, name = r.cfg.Devices[ref.device], string(ref.device); of == nil && r.strangers && Discovered(ref.device) {
				kinds = append(kinds, devices.None)
				continue
			} else if of == nil {
				return nil, r.noDevice(name, `devices["homeassistant:…"].`+ref.point)
			}
		}
		p := findPoint(of.points, ref.point)
		switch {
		case ref.state && (p == nil || ref.device == ""):
			kinds = append(kinds, devices.BoolKind)
		case of.Match != "" && (p == nil || p.has&hasKind == 0):
			kinds = append(kinds, devices.None)
		case p == nil:
			names := make([]string, 0, len(of.points)+2)
			for _, p := range of.points {
				names = append(names, p.name)
			}
			names = append(names, "offline", "online")
			return nil, name + " has no point " + quoted(ref.point) + didYouMean(ref.point, names, "")
		default:
			if err := ref.takes(p.kind, r.unitOf(&ref, d)); err != nil {
				return nil, err.Error()
			}
			if ref.fold != present {
				kinds = append(kinds, devices.NumberKind)
				continue
			}
			kinds = append(kinds, valueKind(p.kind))
		}
	}
	return kinds, ""
}

func quoted(s string) string { return `"` + s + `"` }

// message reads `text`.
func (r *reader) message(t *schema.Table, source string, about []*DeviceConfig, open bool) *text {
	m, err := parseText(source)
	if err != nil {
		t.Errorf("text", "text: %v", err)
		return nil
	}
	names := map[string]bool{"device": true, "location": true}
	for _, d := range about {
		for _, p := range d.points {
			names[p.name] = true
		}
	}
	for _, field := range m.fields() {
		if !names[field] && len(about) > 0 && !open {
			t.Errorf("text", "text: %s has no point %q%s", t.String("device"), field, didYouMean(field, slices.Sorted(maps.Keys(names)), ""))
		}
	}
	return m
}
