package xmppbridge

import (
	"cmp"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
)

// onlineField is the status field that every device has: whether it is there.
const onlineField = "online"

// identities are the fields that say what a device is, each where it is known.
var identities = []struct {
	name string
	of   func(b *Bridge, d *mapping.Device) string
}{
	{"id", func(b *Bridge, d *mapping.Device) string { return b.addresses().Slug(d.ID) }},
	{"name", func(_ *Bridge, d *mapping.Device) string { return d.Name }},
	{"location", func(_ *Bridge, d *mapping.Device) string { return d.Location }},
	{"class", func(_ *Bridge, d *mapping.Device) string { return d.Class }},
	{"model", func(_ *Bridge, d *mapping.Device) string { return d.Model }},
}

// hasField reports whether one of the devices has a field of that name.
func hasField(list []*mapping.Device, name string) bool {
	if name == onlineField {
		return true
	}
	for _, i := range identities {
		if i.name == name {
			return true
		}
	}
	for _, d := range list {
		if p := d.Point(name); p != nil && p.Measured() {
			return true
		}
		if i, ok := storedName(name); ok && d.Point(name[:i]) != nil && summed(d.Point(name[:i])) {
			return true
		}
	}
	return false
}

// fields are what a device has to say: what it measures as momentary fields, where it is live; whether it is there as
// status; what it is as identity. A point comes before a status or identity of its name. wanted limits them, nil does not.
// Points without a good reading have nothing to say. What comes from the history is in iothistory.go.
func (b *Bridge) fields(a asker, d *mapping.Device, state devices.State, want iot.Category, wanted map[string]bool, live bool) []iot.Field {
	var out []iot.Field
	if want&iot.Momentary != 0 && live {
		controls := b.access().CanControl(a.bare, d.ID)
		for i := range d.Points {
			p := &d.Points[i]
			if !p.Measured() || wanted != nil && !wanted[p.Name] {
				continue
			}
			s, ok := state.Point(p.Name)
			if !ok || s.Quality != devices.Good || s.At.IsZero() || s.Value.IsZero() {
				continue
			}
			f := pointField(p, s)
			f.Writable = p.Writable && p.Programs && controls
			out = append(out, f)
		}
	}
	now := time.Now()
	own := func(name string) bool {
		return d.Point(name) == nil && (wanted == nil || wanted[name])
	}
	if want&iot.Status != 0 && own(onlineField) {
		online, _ := b.o.House.Online(d.ID)
		out = append(out, iot.Field{Name: onlineField, Kind: iot.BoolField, Value: devices.Bool(online).String(),
			Categories: iot.Status, Automatic: true, At: now})
	}
	if want&iot.Identity != 0 {
		for _, i := range identities {
			if value := i.of(b, d); value != "" && own(i.name) {
				out = append(out, iot.Field{Name: i.name, Kind: iot.TextField, Value: value, Categories: iot.Identity, At: now})
			}
		}
	}
	return out
}

// pointField is the momentary field of a point.
func pointField(p *mapping.Point, s devices.PointState) iot.Field {
	f := iot.Field{Name: p.Name, Kind: iot.TextField, Value: s.Value.String(), Categories: iot.Momentary, Automatic: true, At: s.At}
	switch p.Kind {
	case devices.KindNumber:
		f.Kind, f.Unit = iot.NumberField, p.Unit
	case devices.KindSwitch:
		f.Kind = iot.BoolField
	case devices.KindChoice:
		f.Kind, f.Type = iot.EnumField, cmp.Or(p.Class, p.Name)
	}
	return f
}
