package serial

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/drivers/serial/modbus"
)

// register is one point of a slave, as it was configured.
type register struct {
	devices.Point
	at      modbus.Item // what is read; its Count is 0 where nothing is
	to      modbus.Item // what is written; its Count is 0 where nothing is
	format  modbus.Format
	on, off *float64 // what a switch reads as; nil: anything but 0 is on
	// onTo and offTo are what is written for a switch.
	onTo, offTo float64
	multiple    bool
	poll        time.Duration
	safe        devices.Value
}

func address(port string, slave int) string { return fmt.Sprintf("%s slave %d", port, slave) }

// buildRegister reads one table of points. It reports whether there was no mistake in it.
func buildRegister(pc devices.PointConfig, poll time.Duration) (*register, bool) {
	t, ok := pc.Table, true
	mistake := func(key, format string, args ...any) {
		ok = false
		t.Errorf(key, format, args...)
	}
	r := &register{safe: pc.Safe, multiple: t.Bool("multiple", false)}
	r.Point = devices.Point{Name: pc.Name, Kind: pc.Kind}
	var good bool
	if r.poll, good = pollOf(t, poll); !good {
		ok = false
	}
	var err error
	if r.format, err = modbus.ParseFormat(t.String("type"), t.String("order")); err != nil && !strings.HasPrefix(err.Error(), "order") {
		mistake("type", "%v", err)
	}
	for key, item := range map[string]*modbus.Item{"source": &r.at, "write": &r.to} {
		text := t.String(key)
		if text == "" {
			continue
		}
		if *item, err = parseItem(text); err != nil {
			mistake(key, "%s: %v", key, err)
			continue
		}
		if !item.Table.Bits() {
			item.Count = r.format.Registers()
		}
		if end := int(item.Address) + item.Count; end > 1<<16 {
			mistake(key, "%s: %s ends behind the last register, 65535", key, text)
		}
	}
	r.Readable = r.at.Count > 0 && pc.Kind != devices.KindAction
	r.Writable = r.to.Count > 0
	r.Confirms = r.Readable && r.Writable
	bits := r.at.Count > 0 && r.at.Table.Bits() || r.at.Count == 0 && r.to.Count > 0 && r.to.Table.Bits()
	switch {
	case !t.Has("source") && !t.Has("write"):
		mistake("source", "source is missing: what is read, as in \"input:12\": coil, discrete, holding or input, and the address from 0")
	case t.Has("write") && r.to.Count > 0 && !r.to.Table.Writable():
		mistake("write", "write: %s can only be read: coil and holding can be written", r.to)
	case pc.Kind != devices.KindNumber && pc.Kind != devices.KindSwitch && pc.Kind != devices.KindAction:
		mistake("kind", "kind: a register is a number, a switch or an action, and no %s", pc.Kind)
	case pc.Kind == devices.KindNumber && bits:
		mistake("kind", "kind: a coil or discrete input is on or off, and no number")
	case t.Has("type") && bits:
		mistake("type", "type is for holding and input registers: a coil or discrete input is one bit")
	case t.Has("write_on") && pc.Kind == devices.KindNumber, t.Has("write_off") && pc.Kind != devices.KindSwitch:
		mistake(map[bool]string{true: "write_on", false: "write_off"}[t.Has("write_on")], "write_on and write_off are for kind = \"switch\", and this is a %s", pc.Kind)
	case !r.safe.IsZero() && !r.Writable:
		mistake("safe", "safe needs write: what is set")
	}
	r.on, good = switchNumber(t, "on")
	ok = ok && good
	r.off, good = switchNumber(t, "off")
	ok = ok && good
	switch {
	case t.Has("on") != t.Has("off"):
		mistake("on", "on and off go together: what the register reads for each")
	case t.Has("on") && pc.Kind != devices.KindSwitch:
		mistake("on", "on and off are for kind = \"switch\", and this is a %s", pc.Kind)
	case t.Has("on") && bits:
		mistake("on", "on and off are for registers: a coil or discrete input is one bit")
	case r.on != nil && r.off != nil && *r.on == *r.off:
		mistake("on", "on and off are both %v", *r.on)
	}
	for _, key := range []string{"multiple", "write_on", "write_off"} {
		if t.Has(key) && !t.Has("write") {
			mistake(key, "%s says how the point is written, and it is not: add write, or take it out", key)
		}
	}
	r.onTo, r.offTo = 1, 0
	if r.on != nil && r.off != nil {
		r.onTo, r.offTo = *r.on, *r.off
	}
	r.onTo, r.offTo = t.Float("write_on", r.onTo), t.Float("write_off", r.offTo)
	if !ok || !r.Writable {
		return r, ok
	}
	for _, try := range r.samples() {
		if _, err := r.data(try.v); err != nil {
			mistake(try.key, "%s: %v", try.key, err)
			break
		}
	}
	return r, ok
}

type sample struct {
	key string
	v   devices.Value
}

// samples are values that a write is tried with when it is configured, and the keys they are from.
func (r *register) samples() []sample {
	var out []sample
	switch r.Kind {
	case devices.KindSwitch:
		out = append(out, sample{"write_on", devices.Bool(true)}, sample{"write_off", devices.Bool(false)})
	case devices.KindAction:
		out = append(out, sample{"write_on", devices.Value{}})
	}
	if !r.safe.IsZero() {
		out = append(out, sample{"safe", r.safe})
	}
	return out
}

// switchNumber reads what a switch reads as: a number, or a text with one.
func switchNumber(t *schema.Table, key string) (*float64, bool) {
	v, ok := t.Get(key)
	if !ok {
		return nil, true
	}
	if _, isBool := v.V.(bool); !isBool {
		if f, err := strconv.ParseFloat(scalarText(v.V), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return &f, true
		}
	}
	t.Errorf(key, "%s: %q is no number that a register could read", key, scalarText(v.V))
	return nil, false
}

// parseItem reads "holding:12" or "holding:0x000C".
func parseItem(s string) (modbus.Item, error) {
	word, number, found := strings.Cut(s, ":")
	item := modbus.Item{Count: 1}
	for ; item.Table <= modbus.Input; item.Table++ {
		if item.Table.String() == word {
			break
		}
	}
	if !found || item.Table > modbus.Input {
		return modbus.Item{}, fmt.Errorf("%q is no place in a slave: it is coil, discrete, holding or input and the address from 0, as in \"input:12\"", s)
	}
	n, err := strconv.ParseUint(number, 0, 16)
	if err != nil {
		return modbus.Item{}, fmt.Errorf("%q: the address is 0 to 65535, or 0x0000 to 0xFFFF; a manual's 30013 is input:12, its 40013 holding:12", s)
	}
	item.Address = uint16(n)
	return item, nil
}

// value makes a value of what was read: the registers of the point, or a byte for a bit.
func (r *register) value(data []byte) (devices.Value, devices.Quality, error) {
	var n float64
	if r.at.Table.Bits() {
		n = float64(data[0])
	} else {
		n = r.format.Number(data)
	}
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return devices.Value{}, devices.Unknown, nil // how meters say that they do not know
	case r.Kind == devices.KindNumber:
		return devices.Number(n), devices.Good, nil
	case r.on == nil || r.off == nil:
		return devices.Bool(n != 0), devices.Good, nil
	case n == *r.on:
		return devices.Bool(true), devices.Good, nil
	case n == *r.off:
		return devices.Bool(false), devices.Good, nil
	}
	return devices.Value{}, devices.Faulty, fmt.Errorf("value: %v is neither on = %v nor off = %v", n, *r.on, *r.off)
}

// data is what is written for a value: registers, or a byte for a coil, 0 or 1. Of a bit of a register it is that bit alone.
func (r *register) data(v devices.Value) ([]byte, error) {
	n, isNumber := v.Number()
	on, isBool := v.Bool()
	switch {
	case r.Kind == devices.KindAction:
		n = r.onTo
	case r.Kind == devices.KindNumber && isNumber:
	case r.Kind == devices.KindSwitch && isBool && on:
		n = r.onTo
	case r.Kind == devices.KindSwitch && isBool:
		n = r.offTo
	default:
		return nil, fmt.Errorf("%w: %q for a point of kind %s", devices.ErrValue, v, r.Kind)
	}
	if r.to.Table.Bits() {
		if n != 0 && n != 1 {
			return nil, fmt.Errorf("%w: a coil takes 0 and 1, and not %v", devices.ErrRange, n)
		}
		return []byte{byte(n)}, nil
	}
	data, err := r.format.Append(nil, n)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", devices.ErrRange, err)
	}
	return data, nil
}
