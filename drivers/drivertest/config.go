package drivertest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/devices/schema"
)

// Connection reads a TOML text with one [drivers.NAME] table and the [devices.*] tables on it, the way the gateway
// does. The keys that are mapping's to declare are left in their tables and not looked at. Its log goes to the test's.
func Connection(t testing.TB, typ devices.Type, toml string) devices.Connection {
	t.Helper()
	var problems schema.Problems
	c := connection(t, typ, toml, &problems)
	if err := problems.Err(); err != nil {
		t.Fatalf("configuration:\n%v", err)
	}
	return c
}

// Build builds the driver of such a text and fails the test when there is any mistake in it.
func Build(t testing.TB, typ devices.Type, toml string) devices.Driver {
	t.Helper()
	d, problems := build(t, typ, toml)
	if err := problems.Err(); err != nil {
		t.Fatalf("configuration:\n%v", err)
	}
	if d == nil {
		t.Fatal("configuration: Build returned nil and no mistake")
	}
	return d
}

// Problems builds the driver of such a text and returns the mistakes found, a line each, as `tidings check` prints
// them. The file is called gateway.toml. Unknown keys are noticed in the driver's own table only: those of devices
// and points may be mapping's.
func Problems(t testing.TB, typ devices.Type, toml string) []string {
	t.Helper()
	_, problems := build(t, typ, toml)
	lines := make([]string, 0, problems.Len())
	for _, p := range problems.All() {
		lines = append(lines, p.String())
	}
	return lines
}

func build(t testing.TB, typ devices.Type, toml string) (devices.Driver, *schema.Problems) {
	t.Helper()
	problems := new(schema.Problems)
	c := connection(t, typ, toml, problems)
	return typ.Build(c), problems
}

func connection(t testing.TB, typ devices.Type, toml string, problems *schema.Problems) devices.Connection {
	t.Helper()
	root, err := schema.ParseInto("gateway.toml", []byte(toml), problems)
	if err != nil {
		t.Fatalf("configuration: %v", err)
	}
	drivers := root.Table("drivers").Tables()
	if len(drivers) != 1 {
		t.Fatalf("configuration: %d tables of [drivers], and one is needed", len(drivers))
	}
	own := drivers[0]
	if name := own.StringOr("type", typ.Name); name != typ.Name {
		t.Fatalf("configuration: type = %q, and the driver is %q", name, typ.Name)
	}
	own.Check(schema.Join(typ.Connection, []schema.Key{
		{Name: "type", Kind: schema.String}, {Name: "offline_after", Kind: schema.Duration},
	}))
	c := devices.Connection{
		Name:  own.Name(),
		Table: own,
		Log:   slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("driver", own.Name()),
	}
	for _, d := range root.Table("devices").Tables() {
		if d.StringOr("driver", c.Name) != c.Name {
			continue
		}
		if typ.Expand != nil {
			typ.Expand(own, d)
		}
		checkDeclared(d, typ.Device, problems)
		dc := devices.DeviceConfig{ID: devices.ID(d.Name()), Table: d}
		for _, p := range d.Table("points").Tables() {
			if p.Has("value") { // computed: mapping's alone
				continue
			}
			checkDeclared(p, typ.Point, problems)
			dc.Points = append(dc.Points, pointConfig(t, typ, own, d, p))
		}
		c.Devices = append(c.Devices, dc)
	}
	return c
}

func pointConfig(t testing.TB, typ devices.Type, driver, device, p *schema.Table) devices.PointConfig {
	t.Helper()
	pc := devices.PointConfig{Name: p.Name(), Kind: typ.KindOf(driver, device, p.Name()), Options: p.Strings("options"), Table: p}
	if p.Has("on") || p.Has("off") {
		pc.Kind, pc.KindGiven = devices.KindSwitch, true
	}
	if word := p.String("kind"); word != "" {
		kind, err := devices.ParsePointKind(word)
		if err != nil {
			t.Fatalf("configuration: %s: %v", p.Path, err)
		}
		pc.Kind, pc.KindGiven = kind, true
	}
	if safe, ok := p.Get("safe"); ok {
		v, err := devices.ParseValue(pc.Kind, fmt.Sprint(safe.V))
		if err != nil {
			t.Fatalf("configuration: %s: safe: %v", p.Path, err)
		}
		if f, ok := v.Number(); ok {
			v = devices.Number((f - p.Float("offset", 0)) / p.Float("scale", 1))
		}
		pc.Safe = v
	}
	return pc
}

// checkDeclared checks those keys of a table that the driver declares; the others may be mapping's.
func checkDeclared(t *schema.Table, keys []schema.Key, problems *schema.Problems) {
	own := schema.NewTable(t.Path, t.File, t.Line, problems)
	for _, k := range keys {
		for _, name := range []string{k.Name, k.Name + "_file"} {
			if v, ok := t.Get(name); ok && (name == k.Name || k.Secret) {
				own.Set(name, v)
			}
		}
	}
	own.Check(schema.Spec{Keys: keys})
}

// indent puts each line of what on a line of its own, set in.
func indent(lines []string) string { return "  " + strings.Join(lines, "\n  ") }
