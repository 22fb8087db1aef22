package profile

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"tidings/devices/schema"
)

//go:embed *.toml
var builtIn embed.FS

// maxFile bounds a profile, in bytes.
const maxFile = 1 << 20

// spec is what a profile's file may hold. The keys of its device and points are checked where they are used.
var spec = schema.Spec{Keys: []schema.Key{
	{Name: "model", Kind: schema.String, Required: true, Help: "what device it is of"},
	{Name: "source", Kind: schema.String, Required: true, Help: "the document that its registers are from"},
	{Name: "protocol", Kind: schema.String, Required: true, Help: "the protocol of the driver it is for"},
	{Name: "line", Kind: schema.String, Help: "baud and mode as it leaves the factory"},
	{Name: "device", Kind: schema.SubTable, Help: "keys of the device's table"},
	{Name: "points", Kind: schema.Named, Spec: nil, Help: "its points"},
}}

// Names are the profiles that are part of the program, sorted.
func Names() []string {
	files, err := builtIn.ReadDir(".")
	if err != nil {
		panic(err) // it is in the program
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(f.Name(), ".toml")
	}
	return names
}

// plain is what a profile may be called: it is the name of a file.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Read reads a profile: from folder, where there is one and it has it, else from the program. Its mistakes go to ps. The error
// says why there is none.
func Read(name, folder string, ps *schema.Problems) (*schema.Table, error) {
	if !plain.MatchString(name) {
		return nil, fmt.Errorf("%q is no name for one: it is the name of a file without .toml", name)
	}
	file := name + ".toml"
	if folder != "" {
		path := filepath.Join(folder, file)
		data, err := readSmall(path)
		switch {
		case err == nil:
			return parse(path, data, ps)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	data, err := builtIn.ReadFile(file)
	if err == nil {
		return parse("profile "+file, data, ps)
	}
	names := slices.Concat(Names(), own(folder))
	text := fmt.Sprintf("there is no profile %q", name)
	if near := schema.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("%s: did you mean %q?", text, near)
	}
	return nil, fmt.Errorf("%s: there are %s", text, strings.Join(names, ", "))
}

// own are the names of the profiles in a folder, as far as it can be read.
func own(folder string) []string {
	if folder == "" {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(folder, "*.toml"))
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(p), ".toml")
	}
	return names
}

func readSmall(path string) ([]byte, error) {
	// Without O_NONBLOCK a named pipe would hold the load until someone writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var told *fs.PathError
		if errors.As(err, &told) {
			err = told.Err
		}
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("not a file with text in it")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("the file is larger than 1 MB: is it a profile?")
	}
	return data, err
}

func parse(file string, data []byte, ps *schema.Problems) (*schema.Table, error) {
	t, err := schema.ParseInto(file, data, ps)
	if err != nil {
		return nil, err
	}
	t.Check(spec)
	return t, nil
}

// Expand lays the profile that a device's table names, if it does, under that table. protocol is what the device's driver speaks,
// and folder, which may be empty, is where its user has profiles. Mistakes are recorded in the table.
func Expand(device *schema.Table, protocol, folder string) {
	name := device.String("profile")
	if name == "" { // absent, or of a kind that the check of the keys objects to
		if device.Has("profile_points") && !device.Has("profile") {
			device.Errorf("profile_points", "profile_points are those of a profile, and none is named: add profile, or take it out")
		}
		return
	}
	p, err := Read(name, folder, device.Problems())
	if err != nil {
		device.Errorf("profile", "profile: %v", err)
		return
	}
	if want := p.String("protocol"); want != "" && want != protocol && !(want == "modbus" && protocol == "modbus-tcp") {
		device.Errorf("profile", "profile: %s is for protocol = %q, and the driver's is %q", name, want, protocol)
		return
	}
	points := p.Table("points")
	if device.Has("profile_points") {
		points = some(device, name, points)
	}
	below := schema.NewTable(device.Path, p.File, 1, device.Problems())
	for _, key := range p.Table("device").Keys() {
		v, _ := p.Table("device").Get(key)
		if key == "primary" {
			v.V = there(v.V, points, device.Table("points"))
		}
		below.Set(key, v)
	}
	if v, ok := p.Get("model"); ok {
		below.Set("model", v)
	}
	if v, ok := p.Get("points"); ok && points != nil {
		v.V = points
		below.Set("points", v)
	}
	lay(device, below)
}

// some are the points of a profile that the device's table asks for.
func some(device *schema.Table, profile string, points *schema.Table) *schema.Table {
	out := schema.NewTable("points", device.File, device.Line, device.Problems())
	for _, want := range device.Strings("profile_points") {
		v, ok := points.Get(want)
		if !ok {
			hint := ""
			if near := schema.Nearest(want, points.Keys()); near != "" {
				hint = fmt.Sprintf(": did you mean %q?", near)
			}
			device.Errorf("profile_points", "profile_points: %s has no point %q%s", profile, want, hint)
			continue
		}
		out.Set(want, v)
	}
	return out
}

// there are those of a profile's primary points that the device has.
func there(primary any, points, own *schema.Table) any {
	list, ok := primary.([]any)
	if !ok {
		return primary // for the check of the keys to object to
	}
	return slices.DeleteFunc(slices.Clone(list), func(name any) bool {
		s, isString := name.(string)
		return isString && !points.Has(s) && !own.Has(s)
	})
}

// lay puts under a table what another one has and it has not.
func lay(over, below *schema.Table) {
	for _, key := range below.Keys() {
		v, _ := below.Get(key)
		sub, isTable := v.V.(*schema.Table)
		mine, has := over.Get(key)
		switch {
		case !has:
			if isTable {
				v.V = moved(sub, schema.JoinPath(over.Path, key), over.Problems())
			}
			over.Set(key, v)
		case isTable && over.Table(key) != nil:
			lay(over.Table(key), sub)
			if over.Path != "" && key != "points" {
				// Among its like it stands where it does in the profile: points are in that order.
				mine.File, mine.Line = v.File, v.Line
				over.Set(key, mine)
			}
		}
	}
}

// moved is a copy of a table in another place.
func moved(t *schema.Table, path string, ps *schema.Problems) *schema.Table {
	out := schema.NewTable(path, t.File, t.Line, ps)
	for _, key := range t.Keys() {
		v, _ := t.Get(key)
		if sub, ok := v.V.(*schema.Table); ok {
			v.V = moved(sub, schema.JoinPath(path, key), ps)
		}
		out.Set(key, v)
	}
	return out
}

// Switches makes points of a Modbus device switches that are a bit, and do not say what they are.
func Switches(device *schema.Table) {
	for _, p := range device.Table("points").Tables() {
		of := "source"
		if p.String(of) == "" {
			of = "write"
		}
		table, _, _ := strings.Cut(p.String(of), ":")
		typ, _, _ := strings.Cut(p.String("type"), ":")
		if v, ok := p.Get(of); ok && !p.Has("kind") && (table == "coil" || table == "discrete" || typ == "bit") {
			v.V = "switch"
			p.Set("kind", v)
		}
	}
}

// Units gives a device's numbers that have none the unit that of knows for their source, so that what is computed of them knows it,
// too; of returns "" where it knows none.
func Units(device *schema.Table, of func(source string) string) {
	for _, p := range device.Table("points").Tables() {
		v, _ := p.Get("source")
		source, _ := v.V.(string)
		if source == "" || p.Has("unit") || p.Has("scale") || p.Has("on") || p.Has("off") || p.StringOr("kind", "number") != "number" {
			continue
		}
		if v.V = of(source); v.V != "" {
			p.Set("unit", v)
		}
	}
}
