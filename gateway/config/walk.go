package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/mapping"
)

// tableName is what a driver may be called: it stands in the names of credentials and in messages.
var tableName = regexp.MustCompile(`^[a-z0-9-]+$`)

// typeNamed finds a driver's type.
func (l *loader) typeNamed(name string) *devices.Type {
	for i := range l.Types {
		if l.Types[i].Name == name {
			return &l.Types[i]
		}
	}
	return nil
}

// typeNames are the types there are, sorted.
func (l *loader) typeNames() []string {
	names := make([]string, len(l.Types))
	for i, t := range l.Types {
		names[i] = t.Name
	}
	slices.Sort(names)
	return names
}

// typesByName are the types of the tables of [drivers].
func (l *loader) typesByName(root *schema.Table) map[string]devices.Type {
	out := map[string]devices.Type{}
	for _, t := range root.Table("drivers").Tables() {
		if typ := l.typeNamed(t.String("type")); typ != nil {
			out[t.Name()] = *typ
		}
	}
	return out
}

// likelyType is the type of a driver's table, or the one its misspelt type most probably means. It is nil when
// nothing is known: then the keys of every driver are let through, so that one mistake is not followed by ten.
func (l *loader) likelyType(driver *schema.Table) *devices.Type {
	name := driver.String("type")
	if typ := l.typeNamed(name); typ != nil {
		return typ
	}
	return l.typeNamed(schema.Nearest(name, l.typeNames()))
}

// keysOf returns one of the three lists of keys of a type. When it is not known the keys of all types do, none
// required, and with any simple value where the types differ.
func (l *loader) keysOf(typ *devices.Type, which func(*devices.Type) []schema.Key) []schema.Key {
	if typ != nil {
		return which(typ)
	}
	var all []schema.Key
	for i := range l.Types {
		for _, k := range which(&l.Types[i]) {
			k.Required = false
			at := slices.IndexFunc(all, func(other schema.Key) bool { return other.Name == k.Name })
			switch {
			case at < 0:
				all = append(all, k)
			case all[at].Kind != k.Kind:
				all[at] = schema.Key{Name: k.Name, Kind: schema.Scalar}
			}
		}
	}
	return all
}

func connectionKeys(t *devices.Type) []schema.Key { return t.Connection }
func deviceKeys(t *devices.Type) []schema.Key     { return t.Device }
func pointKeys(t *devices.Type) []schema.Key      { return t.Point }

// specs is what the three tables of a driver's type may hold.
type specs struct{ driver, device, point schema.Spec }

// specsOf makes the specs of a type once: a file may have thousands of points. typ is nil where it is not known.
func (l *loader) specsOf(typ *devices.Type) specs {
	s, ok := l.specs[typ]
	if !ok {
		s = specs{
			driver: schema.Join([]schema.Key{typeKey, enabledKey}, mapping.DriverKeys, l.keysOf(typ, connectionKeys)),
			device: schema.Join(mapping.DeviceKeys, []schema.Key{enabledKey, pointsKey}, l.keysOf(typ, deviceKeys)),
			point:  schema.Join(mapping.PointKeys, l.keysOf(typ, pointKeys)),
		}
		l.specs[typ] = s
	}
	return s
}

// checkDrivers checks the tables of [drivers].
func (l *loader) checkDrivers(root *schema.Table) {
	for _, t := range root.Table("drivers").Tables() {
		if !tableName.MatchString(t.Name()) {
			t.Errorf("", "a driver's name is made of a-z, 0-9 and -")
		}
		if name := t.String("type"); name != "" && l.typeNamed(name) == nil {
			unknown(t, "type", name, "there is no driver %q", l.typeNames())
		}
		t.Check(l.specsOf(l.likelyType(t)).driver)
	}
}

// unknown records that a name is none of those there are; sentence says so, with a verb for the name.
func unknown(t *schema.Table, key, name, sentence string, there []string) {
	hint := orNearest(name, there)
	if hint == "" && len(there) > 0 {
		hint = ", only " + strings.Join(there, ", ")
	}
	t.Errorf(key, sentence+"%s", name, hint)
}

// orNearest asks for the nearest of the names that there are, or is empty.
func orNearest(name string, there []string) string {
	if near := schema.Nearest(name, there); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	return ""
}

// expandDevices has the types of drivers complete the tables of their devices.
func (l *loader) expandDevices(root *schema.Table) {
	for _, t := range root.Table("devices").Tables() {
		driver := root.Table("drivers").Table(t.String("driver"))
		if typ := l.likelyType(driver); driver != nil && typ != nil && typ.Expand != nil {
			typ.Expand(driver, t)
		}
	}
}

// checkDevices checks the tables of [devices] and of their points.
func (l *loader) checkDevices(root *schema.Table) {
	names := root.Table("drivers").Keys()
	for _, t := range root.Table("devices").Tables() {
		driver := t.String("driver")
		if driver != "" && !slices.Contains(names, driver) {
			unknown(t, "driver", driver, "there is no [drivers.%s]", names)
		}
		specs := l.specsOf(l.likelyType(root.Table("drivers").Table(driver)))
		t.Check(specs.device)
		for _, point := range t.Table("points").Tables() {
			mapping.CheckPoint(point, specs.point)
		}
	}
}

// resolvePaths makes every relative path absolute, from the folder of the file that names it.
func (l *loader) resolvePaths(root *schema.Table) {
	resolveTable(root, rootSpec())
	for _, t := range root.Table("drivers").Tables() {
		resolveTable(t, l.specsOf(l.likelyType(t)).driver)
	}
	for _, t := range root.Table("devices").Tables() {
		specs := l.specsOf(l.likelyType(root.Table("drivers").Table(t.String("driver"))))
		resolveTable(t, specs.device)
		for _, point := range t.Table("points").Tables() {
			resolveTable(point, specs.point)
		}
	}
}

func resolveTable(t *schema.Table, spec schema.Spec) {
	for _, k := range spec.Keys {
		switch {
		case k.IsPath():
			resolvePath(t, k.Name)
		case k.Secret:
			resolvePath(t, k.Name+"_file")
		case k.Spec != nil && k.Kind == schema.SubTable && t.Table(k.Name) != nil:
			resolveTable(t.Table(k.Name), *k.Spec)
		case k.Spec != nil && k.Kind == schema.Named:
			for _, each := range t.Table(k.Name).Tables() {
				resolveTable(each, *k.Spec)
			}
		}
	}
}

func resolvePath(t *schema.Table, key string) {
	v, ok := t.Get(key)
	path, isString := v.V.(string)
	if !ok || !isString || path == "" || filepath.IsAbs(path) {
		return
	}
	if absolute, err := filepath.Abs(filepath.Join(filepath.Dir(v.File), path)); err == nil {
		v.V = absolute
		t.Set(key, v)
	}
}
