package drivertest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tidings/devices"
	"tidings/devices/schema"
)

// testKeys: every key is declared once, with help and a default that is one, and what the driver reads is declared.
func testKeys(t *testing.T, s Stage) {
	if s.Type.Name == "" || s.Type.Help == "" {
		t.Errorf("type %q has the help %q", s.Type.Name, s.Type.Help)
	}
	for _, part := range []struct {
		of   string
		keys []schema.Key
	}{{"connection", s.Type.Connection}, {"device", s.Type.Device}, {"point", s.Type.Point}} {
		seen := map[string]bool{}
		for _, k := range part.keys {
			if seen[k.Name] {
				t.Errorf("%s key %s is declared twice", part.of, k.Name)
			}
			seen[k.Name] = true
			testKey(t, part.of, k)
		}
	}
	declared := declaredKeys(s.Type)
	for key, place := range readKeys(t, s.sources) {
		if !slices.Contains(declared, key) {
			t.Errorf("%s: the key %q is read and not declared", place, key)
		}
	}
}

func testKey(t *testing.T, of string, k schema.Key) {
	t.Helper()
	if k.Help == "" || strings.Contains(k.Help, "\n") {
		t.Errorf("%s key %s: help is one line, and is %q", of, k.Name, k.Help)
	}
	if k.Default == "" {
		return
	}
	if k.Required {
		t.Errorf("%s key %s: is required and has a default", of, k.Name)
	}
	var problems schema.Problems
	for _, text := range []string{k.Default, strconv.Quote(k.Default)} { // a default that is a string may stand without quotes
		problems = schema.Problems{}
		table, err := schema.ParseInto("default", []byte(k.Name+" = "+text+"\n"), &problems)
		if err != nil {
			continue
		}
		table.Check(schema.Spec{Keys: []schema.Key{{Name: k.Name, Kind: k.Kind, Choices: k.Choices, Spec: k.Spec}}})
		if problems.Len() == 0 {
			return
		}
	}
	t.Errorf("%s key %s: the default %s is not one: %v", of, k.Name, k.Default, problems.Err())
}

// declaredKeys are the names a driver may read: its own, and those of every table.
func declaredKeys(typ devices.Type) []string {
	names := []string{"type", "offline_after", "match", "points", "value"}
	var add func([]schema.Key)
	add = func(keys []schema.Key) {
		for _, k := range keys {
			names = append(names, k.Name)
			if k.Secret {
				names = append(names, k.Name+"_file")
			}
			if k.Spec != nil {
				add(k.Spec.Keys)
			}
		}
	}
	add(typ.Connection)
	add(typ.Device)
	add(typ.Point)
	return names
}

// getters are the methods of schema.Table that read a key.
var getters = []string{
	"String", "StringOr", "Int", "Float", "Bool", "Duration", "Size", "Strings", "Floats", "Has", "Get", "Table", "Errorf",
}

// keyName is what a key looks like; the first argument of some other type's Errorf does not.
var keyName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// readKeys finds the keys that the package under test reads, with the place of each: calls such as table.Int("baud",
// 9600) in the sources of its directory. Nothing at run time could show a key that is read and not
// declared, because a file that has it does not pass the check of unknown keys.
func readKeys(t *testing.T, dir string) map[string]token.Position {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatalf("keys: %v", err)
	}
	set, found := token.NewFileSet(), map[string]token.Position{}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("keys: reading the sources of the package: %v", err)
		}
		imported := importNames(file)
		ast.Inspect(file, func(n ast.Node) bool {
			if key, ok := readKey(n, imported); ok {
				found[key] = set.Position(n.Pos())
			}
			return true
		})
	}
	return found
}

func importNames(file *ast.File) []string {
	var names []string
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names = append(names, name)
	}
	return names
}

// readKey reports the key that a call of a getter names in its first argument.
func readKey(n ast.Node, imported []string) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(getters, method.Sel.Name) {
		return "", false
	}
	if on, ok := method.X.(*ast.Ident); ok && slices.Contains(imported, on.Name) {
		return "", false // fmt.Errorf, slog.String
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	key, err := strconv.Unquote(literal.Value)
	return key, err == nil && keyName.MatchString(key)
}
