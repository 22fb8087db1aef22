package mapping

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// ReadOptions is what mapping has to know of the rest of the file.
type ReadOptions struct {
	Mode   string // Component, Client or Local
	Layout string // LayoutContact or LayoutResource
	Domain string // the address of [xmpp]: a domain, or in client mode the account's bare JID
	Hub    string
	// Types are the types of the tables of [drivers], by the table's name. A table that is not among them is taken to
	// be of a type whose points are numbers.
	Types map[string]devices.Type
	// Accounts are the names (localparts) of the local server's accounts where they are known.
	Accounts []string
}

var (
	pointName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	plainName = regexp.MustCompile(`^[a-z0-9-]+$`)
)

// Read reads [devices], [alerts], [access], mapping's part of [drivers] and the names of [rooms] from the whole file, in which the keys were
// already checked against their declarations. Mistakes are recorded at their place with Table.Errorf; what is returned
// is then of what could be understood.
func Read(root *schema.Table, o ReadOptions) *Config {
	r := &reader{ReadOptions: o, cfg: &Config{Devices: map[devices.ID]*DeviceConfig{}, silence: map[string]time.Duration{}}}
	r.drivers(root.Table("drivers"))
	r.devices(root.Table("devices"))
	r.access(root.Table("access"), r.rooms(root.Table("rooms")))
	r.collisions(root.Table("devices"))
	r.alerts(root.Table("alerts"))
	return r.cfg
}

type reader struct {
	ReadOptions
	cfg         *Config
	connections *schema.Table                // [drivers]
	points      map[pointConfig]*pointConfig // those that are alike are one

	pending     []*computedPoint
	byName      map[computedName]*computedPoint
	expressions map[string]*expression

	strangers bool // devices without a table may come
}

func (r *reader) drivers(t *schema.Table) {
	r.connections = t
	for _, driver := range t.Tables() {
		if driver.Has("offline_after") {
			r.cfg.silence[driver.Name()] = driver.Duration("offline_after", 0)
		}
		if discovers := r.Types[driver.Name()].Discovers; discovers != nil && discovers(driver) {
			r.strangers = true
		}
	}
}

func (r *reader) devices(t *schema.Table) {
	r.points = map[pointConfig]*pointConfig{}
	r.byName, r.expressions = map[computedName]*computedPoint{}, map[string]*expression{}
	for _, device := range t.Tables() {
		d := r.device(device)
		r.cfg.Devices[d.ID] = d
	}
	r.resolve()
}

func (r *reader) device(t *schema.Table) *DeviceConfig {
	d := &DeviceConfig{
		ID: devices.ID(t.Name()), Driver: t.String("driver"), Name: t.String("name"), Location: t.String("location"),
		Class: t.String("class"), Labels: t.Strings("labels"), Disabled: !t.Bool("enabled", true),
		Settle: t.Duration("settle", defaultSettle), offlineAfter: t.Duration("offline_after", notSet),
		Primary: t.Strings("primary"), Match: t.String("match"),
	}
	if !plainName.MatchString(string(d.ID)) {
		t.Errorf("", "%q is no name for a device: use small letters, digits and hyphens", t.Name())
	}
	if !t.Has("driver") && !computedOnly(t) {
		t.Errorf("driver", "driver is missing: the table of [drivers] it is reached through")
	}
	if d.Class != "" && !slices.Contains(deviceClasses, d.Class) {
		t.Errorf("class", "unknown class %q%s", d.Class, didYouMean(d.Class, deviceClasses, listed(deviceClasses, "or")))
	}
	kinds := map[string]devices.PointKind{}
	var own []devices.Point // what the driver knows of the points by the device's table
	if typ := r.Types[d.Driver]; typ.Points != nil && !t.Has("match") {
		own = typ.Points(r.connections.Table(d.Driver), t)
	}
	for _, pt := range withOwn(t, own) {
		if pt.Has("value") {
			kinds[pt.Name()] = devices.KindNumber
			r.computed(pt, d)
			continue
		}
		p := r.point(pt, d.Driver, own, t.Has("match"))
		kinds[p.name] = p.kind
		d.points = append(d.points, r.share(p))
	}
	for _, name := range d.Primary {
		if kind, ok := kinds[name]; !ok && t.Has("match") {
			continue // the device may have it
		} else if !ok {
			t.Errorf("primary", "primary names no point %q%s", name, didYouMean(name, slices.Sorted(maps.Keys(kinds)), ""))
		} else if kind == devices.KindAction {
			t.Errorf("primary", "primary: %s is an action and has nothing to show", name)
		} else if kind == devices.KindImage {
			t.Errorf("primary", "primary: %s is a picture, which fits no line", name)
		} else if kind == devices.KindEvent {
			t.Errorf("primary", "primary: %s is an event, which is over as soon as it is told", name)
		}
	}
	return d
}

// withOwn are the tables of a device's points, and one for each point that it has by itself and no table describes: that is
// there, too, for whatever names it. It says the unit where another one is converted: a device may say another one when it
// announces the point, and what is computed from it has to be right all the same.
func withOwn(device *schema.Table, own []devices.Point) []*schema.Table {
	points := device.Table("points")
	tables := points.Tables()
	for _, p := range own {
		if points.Table(p.Name) == nil {
			made := schema.NewTable(device.Path+".points."+p.Name, device.File, device.Line, device.Problems())
			if units[normalUnit(p.Unit)].of != "" {
				made.Set("unit", schema.Value{V: p.Unit, File: device.File, Line: device.Line})
			}
			tables = append(tables, made)
		}
	}
	return tables
}

// didYouMean is what follows the name of something unknown: the name it is probably meant to be, else the names there
// are, else nothing.
func didYouMean(name string, known []string, all string) string {
	if near := schema.Nearest(name, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if all != "" {
		return ": there are " + all
	}
	return ""
}

// point reads one table of points. Of a device that is discovered, the table says only what it overrides: then the kind is known
// where it is given, and what hangs on it is not checked elsewhere.
func (r *reader) point(t *schema.Table, driver string, own []devices.Point, discovered bool) pointConfig {
	p := pointConfig{
		name: t.Name(), class: t.String("class"), unit: normalUnit(t.String("unit")), precision: -1,
		min: t.Float("min", math.Inf(-1)), max: t.Float("max", math.Inf(1)),
		step: t.Float("step", 0), deadband: t.Float("deadband", 0), scale: t.Float("scale", 1), offset: t.Float("offset", 0),
		danger: t.Bool("danger", false), confirmWithin: t.Duration("confirm_within", defaultConfirm),
	}
	p.programs = t.Bool("programs", !p.danger)
	byDriver := r.Types[driver].Kind
	if writes := r.Types[driver].Writes; writes != nil && !discovered {
		p.readOnly = !writes(t)
	}
	if i := slices.IndexFunc(own, func(raw devices.Point) bool { return raw.Name == p.name }); i >= 0 {
		byDriver, p.readOnly, p.said = own[i].Kind, !own[i].Writable, normalUnit(own[i].Unit)
		if is, want := units[p.said].of, units[p.unit].of; is != "" && want != "" && is != want && !t.Has("scale") && !t.Has("offset") {
			t.Errorf("unit", "unit = %q contradicts the device, which measures in %s", p.unit, p.said)
		}
	}
	p.noHistory = !t.Bool("history", true)
	checkName(t)
	r.kind(t, &p, driver, byDriver, discovered)
	r.class(t, &p)
	r.numbers(t, &p)
	r.options(t, &p)
	r.safe(t, &p, discovered)
	r.delays(t, &p, driver)
	return p
}

func checkName(t *schema.Table) {
	if !pointName.MatchString(t.Name()) {
		t.Errorf("", "%q is no name for a point: use small letters, digits and underscores, a letter first", t.Name())
	}
}

// PointKind is the kind of a point by its table: what it says, else a switch where it has the payloads of one, else
// what the driver's points are.
func PointKind(t *schema.Table, byDriver devices.PointKind) devices.PointKind {
	if kind, err := devices.ParsePointKind(t.String("kind")); err == nil {
		return kind
	}
	if t.Has("on") || t.Has("off") {
		return devices.KindSwitch
	}
	return byDriver
}

func (r *reader) kind(t *schema.Table, p *pointConfig, driver string, byDriver devices.PointKind, discovered bool) {
	_, known := r.Types[driver]
	p.kind = PointKind(t, byDriver)
	if known && !discovered || t.Has("kind") || t.Has("on") || t.Has("off") {
		p.has |= hasKind
	}
	said := t.String("kind")
	switch kinds := devices.PointKinds(); {
	case !t.Has("kind") || slices.Contains(kinds, said):
	default:
		t.Errorf("kind", "unknown kind %q%s", said, didYouMean(said, kinds, listed(kinds, "and")))
	}
}

// class checks the class against the kind and the unit.
func (r *reader) class(t *schema.Table, p *pointConfig) {
	if t.Has("unit") {
		p.has |= hasUnit
	}
	if p.unit != "" && p.kind != devices.KindNumber && p.has&hasKind != 0 {
		t.Errorf("unit", "a %s has no unit", p.kind)
	}
	if p.class == "" {
		return
	}
	_, number := numberClasses[p.class]
	_, onOff := switchClasses[p.class]
	switch {
	case !number && !onOff && choiceClasses[p.class] == nil && !slices.Contains(otherClasses, p.class):
		all := slices.Concat(slices.Sorted(maps.Keys(numberClasses)), slices.Sorted(maps.Keys(switchClasses)), slices.Sorted(maps.Keys(choiceClasses)), otherClasses)
		t.Errorf("class", "unknown class %q%s", p.class, didYouMean(p.class, all, ""))
	case p.has&hasKind == 0:
	case p.kind == devices.KindNumber && !number:
		t.Errorf("class", "class = %q is not for a number", p.class)
	case p.kind == devices.KindSwitch && !onOff:
		t.Errorf("class", "class = %q is not for a switch", p.class)
	case p.kind == devices.KindNumber && p.has&hasUnit != 0 && !unitFits(p.class, p.unit):
		t.Errorf("unit", "unit = %q contradicts class = %q, which has %s", p.unit, p.class, unitsInWords(p.class))
	}
}

// unitsInWords are the units a class takes, the first few where there are many.
func unitsInWords(class string) string {
	units := slices.Clone(numberClasses[class])
	for i, u := range units {
		if u == "" {
			units[i] = "none"
		}
	}
	const enough = 6
	if len(units) > enough {
		return strings.Join(units[:enough], ", ") + ", …"
	}
	return listed(units, "or")
}

// numbers checks the keys that make sense for numbers only, and their values.
func (r *reader) numbers(t *schema.Table, p *pointConfig) {
	if p.kind != devices.KindNumber {
		for _, key := range []string{"scale", "offset", "precision", "min", "max", "deadband", "range", "step"} {
			if t.Has(key) {
				t.Errorf(key, "%s is for numbers, and this is a %s", key, p.kind)
			}
		}
		p.min, p.max, p.scale, p.offset, p.step, p.deadband = math.Inf(-1), math.Inf(1), 1, 0, 0, 0
		return
	}
	for _, v := range []struct {
		key string
		f   *float64
		def float64
	}{{"scale", &p.scale, 1}, {"offset", &p.offset, 0}, {"min", &p.min, math.Inf(-1)}, {"max", &p.max, math.Inf(1)}, {"step", &p.step, 0}, {"deadband", &p.deadband, 0}} {
		if t.Has(v.key) && devices.Number(*v.f).IsZero() {
			t.Errorf(v.key, "%s has to be a finite number", v.key)
			*v.f = v.def
		}
	}
	if p.scale == 0 {
		t.Errorf("scale", "scale = 0 would make every reading the same: leave it out, or give what one raw unit is")
		p.scale = 1
	}
	if p.min >= p.max {
		at := "max"
		if !t.Has(at) {
			at = "min"
		}
		t.Errorf(at, "min = %v is not below max = %v", p.min, p.max)
		p.min, p.max = math.Inf(-1), math.Inf(1)
	}
	if t.Has("precision") {
		if n := t.Int("precision", 0); n < 0 || n > 9 {
			t.Errorf("precision", "precision is a number of digits from 0 to 9")
		} else {
			p.precision = int8(n)
		}
	}
	for _, v := range []struct {
		key string
		f   *float64
	}{{"step", &p.step}, {"deadband", &p.deadband}} {
		if *v.f < 0 {
			t.Errorf(v.key, "%s cannot be negative", v.key)
			*v.f = 0
		}
	}
	if !t.Has("range") {
		return
	}
	rng := t.Floats("range")
	if len(rng) != 2 || !(rng[0] < rng[1]) || math.IsInf(rng[0], 0) || math.IsInf(rng[1], 0) {
		t.Errorf("range", "range is the lowest and the highest value that may be commanded: write it as in range = [5, 30]")
		return
	}
	p.rng = Span{Low: rng[0], High: rng[1]}
	if p.step > p.rng.High-p.rng.Low {
		t.Errorf("step", "step = %v is larger than the whole range", p.step)
		p.step = 0
	}
}

func (r *reader) options(t *schema.Table, p *pointConfig) {
	options := t.Strings("options")
	switch {
	case p.kind != devices.KindChoice && (p.has&hasKind != 0 || !t.Has("options")):
		if t.Has("options") {
			t.Errorf("options", "options are for a choice, and this is a %s", p.kind)
		}
		return
	case len(options) == 0:
		t.Errorf("options", `options are missing: a choice needs them, as in options = ["auto", "heat", "off"]`)
		return
	}
	p.has |= hasOptions
	seen := map[string]bool{}
	for i, o := range options {
		switch folded := strings.ToLower(o); {
		case strings.TrimSpace(o) != o || o == "" || cutLine(o, maxShownText) != o:
			t.Errorf("options", "%q cannot be an option: give a short text without spaces around it", o)
			options[i] = "?"
		case seen[folded]:
			t.Errorf("options", "the option %q stands there twice (capitals do not tell them apart)", o)
		default:
			seen[folded] = true
		}
	}
	p.options = strings.Join(options, optionSep)
}

// safe reads the value the point is set to when the gateway stops, in the terms of people.
func (r *reader) safe(t *schema.Table, p *pointConfig, discovered bool) {
	v, ok := t.Get("safe")
	if !ok {
		return
	}
	if discovered && units[p.unit].of != "" && p.scale == 1 && p.offset == 0 {
		// The driver is given the value as the device takes it, and °C may be °F to that.
		t.Errorf("safe", "safe: in which unit the device is set is known only when it announces itself: leave unit out, and give safe in the device's own")
		return
	}
	kind := p.kind
	if p.has&hasKind == 0 {
		kind = kindOf(v)
	}
	point := mergePoint(&devices.Point{Name: p.name, Kind: kind, Writable: true}, p, "")
	var value devices.Value
	switch said := v.V.(type) {
	case bool:
		value = devices.Bool(said)
	case int64:
		value = devices.Number(float64(said))
	case float64:
		value = devices.Number(said)
	case string:
		parsed, err := point.Parse(said)
		if err != nil {
			t.Errorf("safe", "safe: %v", err)
			return
		}
		value = parsed
	default:
		return // Check said so
	}
	if kind == devices.KindAction || kind == devices.KindEvent {
		t.Errorf("safe", "an action has no safe value: nothing is done when the gateway stops")
		return
	}
	checked, err := point.Check(value)
	if err != nil {
		t.Errorf("safe", "safe: %v", err)
		return
	}
	p.safe = checked
}

// kindOf is the kind of a point that a value of the file is for, where nothing else says.
func kindOf(v schema.Value) devices.PointKind {
	switch v.V.(type) {
	case bool:
		return devices.KindSwitch
	case string:
		return devices.KindText
	}
	return devices.KindNumber
}

// SafeRaw is the value a point of a configured device is set to when the gateway stops, as the device takes it. It is
// zero when nothing is to be done.
func (c *Config) SafeRaw(id devices.ID, point string) devices.Value {
	d := c.Devices[id]
	if d == nil {
		return devices.Value{}
	}
	p := findPoint(d.points, point)
	if p == nil || p.safe.IsZero() {
		return devices.Value{}
	}
	merged := mergePoint(&devices.Point{Name: p.name, Kind: p.kind, Unit: p.said}, p, "")
	return merged.ToRaw(p.safe)
}

// collisions finds devices whose addresses would be somebody else's.
func (r *reader) collisions(t *schema.Table) {
	accounts := map[string]bool{}
	if r.Mode == Local && r.Layout != LayoutResource { // elsewhere people and devices share no names
		for _, name := range r.Accounts {
			accounts[name] = true
		}
		for address := range r.cfg.Access.exact {
			if j, ok := normalise(address); ok && j.Domainpart() == r.domain() {
				accounts[j.Localpart()] = true
			}
		}
	}
	for _, device := range t.Tables() {
		switch name := device.Name(); {
		case name == r.Hub:
			device.Errorf("", "a device cannot be named like the hub: rename it, or set hub in [xmpp]")
		case accounts[name]:
			device.Errorf("", "a device cannot be named like the account %s: rename one of them", name)
		case len(name) > maxSlug:
			device.Errorf("", "the name is longer than %d letters", maxSlug)
		}
	}
}

// domain is the normalised domain of the gateway's addresses.
func (r *reader) domain() string {
	if j, ok := normalise(r.Domain); ok {
		return j.Domainpart()
	}
	return r.Domain
}
