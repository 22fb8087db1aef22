package mapping

import (
	"math"
	"slices"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
)

// computedKeys are the keys of a point that is computed: it has neither a source nor a raw value, and is not set.
var computedKeys = []string{"value", "kind", "class", "unit", "precision", "min", "max", "deadband", "delay_on", "delay_off", "history"}

// CheckPoint is Check for the table of a point, whose spec is mapping's keys and those of its driver: of a computed one only
// some make sense.
func CheckPoint(t *schema.Table, spec schema.Spec) {
	if !t.Has("value") {
		t.Check(spec)
		return
	}
	var computed schema.Spec
	for _, k := range spec.Keys {
		switch {
		case slices.Contains(computedKeys, k.Name):
			computed.Keys = append(computed.Keys, k)
		case t.Has(k.Name) || k.Secret && t.Has(k.Name+"_file"):
			t.Errorf(k.Name, "%s is for what a device says or is told, and a point with value is computed: take one of them out", k.Name)
			k.Required = false
			computed.Keys = append(computed.Keys, k)
		}
	}
	t.Check(computed)
}

// computedOnly reports whether all points of a device are computed: it needs no driver.
func computedOnly(device *schema.Table) bool {
	points := device.Table("points").Tables()
	return len(points) > 0 && !device.Has("match") && !slices.ContainsFunc(points, func(p *schema.Table) bool { return !p.Has("value") })
}

// A computedPoint is one that is still to be understood: all points have to be known for that.
type computedPoint struct {
	pointConfig
	table  *schema.Table
	device *DeviceConfig
	slot   int // in device.points
	state  understanding
	bad    bool // a mistake was recorded for it, or for what it is made of
}

type understanding uint8

const (
	notYet understanding = iota
	underWay
	understood
)

// computed reads the table of a computed point, as far as that can be done without the others.
func (r *reader) computed(t *schema.Table, d *DeviceConfig) {
	c := &computedPoint{table: t, device: d, slot: len(d.points), pointConfig: pointConfig{
		name: t.Name(), class: t.String("class"), unit: normalUnit(t.String("unit")), precision: -1,
		min: t.Float("min", math.Inf(-1)), max: t.Float("max", math.Inf(1)), deadband: t.Float("deadband", 0), scale: 1,
		confirmWithin: defaultConfirm, readOnly: true, programs: true, noHistory: !t.Bool("history", true),
	}}
	checkName(t)
	if t.Has("unit") {
		c.has |= hasUnit
	}
	v, _ := t.Get("value")
	source, isString := v.V.(string)
	c.bad = !isString // Check said so
	if isString {
		e, err := r.expression(source)
		if err != nil {
			t.Errorf("value", "value: %v", err)
			c.bad = true
		}
		c.value = e
	}
	d.points = append(d.points, &c.pointConfig)
	r.pending = append(r.pending, c)
	r.byName[computedName{d.ID, c.name}] = c
}

type computedName struct {
	device devices.ID
	point  string
}

// expression parses a source; those that are alike are one.
func (r *reader) expression(source string) (*expression, error) {
	if e := r.expressions[source]; e != nil {
		return e, nil
	}
	e, err := parseExpression(source)
	if err == nil {
		r.expressions[source] = e
	}
	return e, err
}

// resolve understands the computed points, each after those it is made of.
func (r *reader) resolve() {
	for _, c := range r.pending {
		r.understand(c, nil)
	}
	for _, c := range r.pending {
		c.device.points[c.slot] = r.share(c.pointConfig)
	}
}

// share returns the one of point tables that are alike.
func (r *reader) share(p pointConfig) *pointConfig {
	shared, ok := r.points[p]
	if !ok {
		shared = &p
		r.points[p] = shared
	}
	return shared
}

// understand finds out what a computed point is. The path are the points on whose behalf it is asked for.
func (r *reader) understand(c *computedPoint, path []*computedPoint) {
	switch {
	case c.state == understood:
		return
	case c.state == underWay:
		r.circle(path[slices.Index(path, c):])
		return
	}
	c.state = underWay
	defer func() { c.state = understood }()
	if c.bad {
		return
	}
	for i := range c.value.refs {
		in := r.computedOf(&c.value.refs[i], c.device)
		if in == nil {
			continue
		}
		r.understand(in, append(path, c))
		c.bad = c.bad || in.bad
		c.rank = max(c.rank, in.rank+1)
	}
	if !c.bad {
		r.meaning(c)
	}
}

// circle records that points are made of each other.
func (r *reader) circle(points []*computedPoint) {
	first := points[0]
	var words []string
	for _, c := range append(slices.Clone(points), first) {
		name := c.name
		if slices.ContainsFunc(points, func(o *computedPoint) bool { return o.device != first.device }) {
			name = "devices." + string(c.device.ID) + "." + name
		}
		words = append(words, name)
	}
	first.table.Errorf("value", "value: it is made of itself, and so never known: %s", strings.Join(words, " → "))
	for _, c := range points {
		c.bad = true
	}
}

// computedOf finds the computed point that a reference is to, or returns nil.
func (r *reader) computedOf(ref *ref, own *DeviceConfig) *computedPoint {
	if ref.device != "" {
		own = r.cfg.Devices[ref.device]
	}
	if own == nil {
		return nil
	}
	return r.byName[computedName{own.ID, ref.point}]
}

// meaning finds the kind and the unit of a computed point whose inputs are understood.
func (r *reader) meaning(c *computedPoint) {
	t, e := c.table, c.value
	fail := func(key, format string, args ...any) {
		t.Errorf(key, format, args...)
		c.bad = true
	}
	for i := range e.refs {
		if e.refs[i].state && e.refs[i].device == "" {
			fail("value", "value: nothing is computed while the device is offline: %s cannot stand in it", e.refs[i].point)
			return
		}
	}
	kinds, unknown := r.kinds(e, c.device)
	if unknown != "" {
		fail("value", "value: %s", unknown)
		return
	}
	result, err := r.resultOf(e, kinds)
	if err != nil {
		fail("value", "value: %v", err)
		return
	}
	if !r.computedKind(c, result) {
		c.bad = true
		return
	}
	unit, err := (&unitReader{e, func(ref *ref) string { return r.unitOf(ref, c.device) }}).read()
	if err != nil {
		fail("value", "value: %v", err)
		return
	}
	scale, offset := 1.0, 0.0
	switch from, to := units[unit], units[c.unit]; {
	case c.kind != devices.KindNumber || unit == "" || unit == c.unit:
	case c.has&hasUnit == 0:
		c.unit, c.has = unit, c.has|hasUnit
	case from.of != "" && from.of == to.of:
		scale, offset, _ = conversion(unit, c.unit)
		if c.class == "temperature_delta" {
			offset = 0
		}
	case from.of != "" && to.of != "":
		fail("unit", "unit = %q contradicts the value, which is in %s", c.unit, unit)
		return
	}
	r.class(t, &c.pointConfig)
	r.numbers(t, &c.pointConfig)
	r.delays(t, &c.pointConfig, "")
	c.scale, c.offset = scale, offset
}

// resultOf is the kind of what e results in, as far as it can be told: None where only the devices can say what they have.
func (r *reader) resultOf(e *expression, kinds []devices.ValueKind) (devices.ValueKind, error) {
	if slices.Contains(kinds, devices.None) {
		return e.likelyResult(), nil
	}
	return e.result(kinds)
}

// computedKind decides the kind of a computed point, and reports whether it could.
func (r *reader) computedKind(c *computedPoint, result devices.ValueKind) bool {
	t := c.table
	c.has |= hasKind
	if t.Has("kind") {
		kind, err := devices.ParsePointKind(t.String("kind"))
		switch {
		case err != nil || valueKind(kind) == devices.None || kind > devices.KindText:
			t.Errorf("kind", "what is computed is a number, a switch or a text, and not %q", t.String("kind"))
			return false
		case result != devices.None && valueKind(kind) != result:
			t.Errorf("kind", "kind = %q contradicts the value, which is a %s: take kind out", kind, kindOfResult(result))
			return false
		}
		c.kind = kind
		return true
	}
	if result == devices.None {
		t.Errorf("value", `value: only the devices can say what this is: say it yourself, as in kind = "number"`)
		return false
	}
	c.kind = kindOfResult(result)
	return true
}

// kindOfResult is the kind of point that holds what an expression results in.
func kindOfResult(k devices.ValueKind) devices.PointKind {
	switch k {
	case devices.BoolKind:
		return devices.KindSwitch
	case devices.TextKind:
		return devices.KindText
	}
	return devices.KindNumber
}

// unitOf is the unit of the point that a reference is to, as far as the configuration says it.
func (r *reader) unitOf(ref *ref, own *DeviceConfig) string {
	if ref.device != "" {
		own = r.cfg.Devices[ref.device]
	}
	if own == nil || ref.state {
		return ""
	}
	p := findPoint(own.points, ref.point)
	switch {
	case p == nil || p.kind != devices.KindNumber:
		return ""
	case p.has&hasUnit != 0 || own.Match != "":
		return p.unit
	case p.said != "":
		return p.said
	}
	if all := numberClasses[p.class]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// delays reads delay_on and delay_off.
func (r *reader) delays(t *schema.Table, p *pointConfig, driver string) {
	for _, v := range []struct {
		key string
		to  *time.Duration
	}{{"delay_on", &p.delayOn}, {"delay_off", &p.delayOff}} {
		if !t.Has(v.key) {
			continue
		}
		*v.to = t.Duration(v.key, 0)
		switch {
		case p.has&hasKind != 0 && p.kind != devices.KindSwitch:
			t.Errorf(v.key, "%s is for a switch, and this is a %s", v.key, p.kind)
			*v.to = 0
		case r.Types[driver].Writes != nil && p.has&hasKind != 0 && !p.readOnly:
			t.Errorf(v.key, "%s is for a switch that is only read: what is set has to be seen at once, or no command is confirmed", v.key)
			*v.to = 0
		}
	}
}
