package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// drivers builds every driver of the file. One whose type is unknown is left out, that being told already.
func (l *loader) drivers(root *schema.Table, cfg *Config) []Driver {
	var out []Driver
	clients := map[[2]string]string{} // the driver of each MQTT client at each broker
	for _, t := range root.Table("drivers").Tables() {
		typ := l.typeNamed(t.String("type"))
		if typ == nil {
			continue
		}
		if client := [2]string{strings.ToLower(t.String("broker")), t.String("client_id")}; typ.Name == "mqtt" {
			if other := clients[client]; other != "" {
				t.Errorf("broker", "broker: drivers.%s is the same client at it, and the broker lets only one of them stay: put the devices on one driver, or give this one a client_id", other)
			}
			clients[client] = t.Name()
		}
		d := Driver{Name: t.Name(), Type: typ.Name, Connection: devices.Connection{
			Name: t.Name(), Table: t, Devices: deviceConfigs(root, t, typ, cfg.Mapping), Log: l.Log.With("driver", t.Name()), Memory: l.Memory,
		}}
		if typ.Name == "mqtt" && t.String("broker") == "local" && cfg.Broker == nil {
			t.Errorf("broker", `broker = "local" is the broker inside, and there is no section [broker]: add one, it may be empty`)
		}
		d.Discovers = typ.Discovers != nil && typ.Discovers(t)
		d.Driver = typ.Build(d.Connection)
		d.Canonical = canonical(typ, d.Connection)
		d.Connection.Devices = withoutTables(d.Connection.Devices)
		out = append(out, d)
	}
	return out
}

// withoutTables copies the names of devices. Their tables were for Build: kept, they would be most of the memory that a
// device takes.
func withoutTables(list []devices.DeviceConfig) []devices.DeviceConfig {
	out := make([]devices.DeviceConfig, len(list))
	for i, d := range list {
		out[i].ID = d.ID
	}
	return out
}

// deviceConfigs are the devices on one driver that are enabled, in the order of the file, and those with match that are not.
func deviceConfigs(root, driver *schema.Table, typ *devices.Type, meaning *mapping.Config) []devices.DeviceConfig {
	var out []devices.DeviceConfig
	for _, t := range root.Table("devices").Tables() {
		if t.String("driver") != driver.Name() || !t.Bool("enabled", true) && !t.Has("match") {
			continue
		}
		d := devices.DeviceConfig{ID: devices.ID(t.Name()), Table: t, Disabled: !t.Bool("enabled", true)}
		for _, p := range t.Table("points").Tables() {
			if p.Has("value") { // computed: mapping's alone
				continue
			}
			d.Points = append(d.Points, devices.PointConfig{
				Name: p.Name(), Kind: mapping.PointKind(p, typ.KindOf(driver, t, p.Name())), Options: p.Strings("options"),
				KindGiven: p.Has("kind") || p.Has("on") || p.Has("off"),
				Safe:      meaning.SafeRaw(d.ID, p.Name()), Table: p,
			})
		}
		out = append(out, d)
	}
	return out
}

// canonical digests what the driver reads: its own table, and of its devices and their points what it declares. A
// digest, because secrets are among it.
func canonical(typ *devices.Type, c devices.Connection) string {
	var text []byte
	text = fmt.Appendf(text, "%s %s ", typ.Name, c.Name)
	text = without(c.Table, "enabled").AppendCanonical(text)
	for _, d := range slices.SortedFunc(slices.Values(c.Devices), func(a, b devices.DeviceConfig) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		text = fmt.Appendf(text, "\n%q %t ", d.ID, d.Disabled)
		text = only(d.Table, typ.Device).AppendCanonical(text)
		for _, p := range d.Points {
			text = fmt.Appendf(text, "\n %q %v %t %q %d %q ", p.Name, p.Kind, p.KindGiven, p.Options, p.Safe.Kind(), p.Safe)
			text = only(p.Table, typ.Point).AppendCanonical(text)
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// without is a copy of t without some keys.
func without(t *schema.Table, keys ...string) *schema.Table {
	out := schema.NewTable(t.Path, t.File, t.Line, t.Problems())
	for _, k := range t.Keys() {
		if v, _ := t.Get(k); !slices.Contains(keys, k) {
			out.Set(k, v)
		}
	}
	return out
}

// only is a copy of t with the declared keys.
func only(t *schema.Table, declared []schema.Key) *schema.Table {
	names := map[string]bool{}
	for _, k := range declared {
		names[k.Name] = true
	}
	var drop []string
	for _, k := range t.Keys() {
		if !names[k] {
			drop = append(drop, k)
		}
	}
	return without(t, drop...)
}
