package schema

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"pgregory.net/rapid"
)

// places lists "path:line" for every key of a table and of the tables in it.
func places(t *Table) []string {
	var out []string
	for _, k := range t.Keys() {
		v, _ := t.Get(k)
		out = append(out, fmt.Sprintf("%s:%d", JoinPath(t.Path, k), v.Line))
		out = append(out, valuePlaces(v.V)...)
	}
	return out
}

func valuePlaces(v any) []string {
	var out []string
	switch v := v.(type) {
	case *Table:
		return places(v)
	case []any:
		for _, e := range v {
			out = append(out, valuePlaces(e)...)
		}
	}
	return out
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	doc := `# a comment with = and [brackets]
top = 1
"quoted key" = "a # in = a [string]"
'literal' = '\'
"\u00e9\t\"x\"" = 1
dotted . "two.parts".three = 3

[devices.lamp.points.power] # later comes the table above it
source = """
one = 1
\""" two = 2 """""
on = '''
x = 1
''''
off = "\\"

[devices.lamp]
driver = "house"
list = [ 1, # one = 1
  2, ["]", ']'], { a = 1, b.c = {
    d = 4 } },
]
when = 2024-01-02 03:04:05

[[many]]
x = 1
[[many]]
x = 2
[many.sub]
y = 3
[[many.inner]]
z = 4
[access]
"alice@example.org" = "admin"
bob-1_2 = { role = "viewer", devices = ["a"] }`
	root, err := Parse("f.toml", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	got := places(root)
	slices.Sort(got)
	want := strings.Fields(`top:2 "quoted_key":3 literal:4 "é\u0009\"x\"":5 dotted:6 dotted."two.parts":6
		dotted."two.parts".three:6 devices:8 devices.lamp:17 devices.lamp.points:8 devices.lamp.points.power:8
		devices.lamp.points.power.source:9 devices.lamp.points.power.on:12 devices.lamp.points.power.off:15
		devices.lamp.driver:18 devices.lamp.list:19 devices.lamp.list[3].a:20 devices.lamp.list[3].b:20
		devices.lamp.list[3].b.c:20 devices.lamp.list[3].b.c.d:21 devices.lamp.when:23
		many:25 many[0].x:26 many[1].x:28 many[1].sub:29 many[1].sub.y:30 many[1].inner:31 many[1].inner[0].z:32
		access:33 access."alice@example.org":34 access.bob-1_2:35 access.bob-1_2.role:35 access.bob-1_2.devices:35`)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "quoted_key", "quoted key")
	}
	slices.Sort(want)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("no %s", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("unexpected %s", g)
		}
	}
	if name := root.Table("access").Table("bob-1_2").Name(); name != "bob-1_2" {
		t.Errorf("name %q", name)
	}
	if power := root.Table("devices").Table("lamp").Table("points").Table("power"); power.Line != 8 || power.File != "f.toml" || power.Name() != "power" {
		t.Errorf("power is %s:%d %s", power.File, power.Line, power.Name())
	}
}

func TestTableNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		table := NewTable(JoinPath(`a."b.c"`, key), "f", 1, nil)
		if got := table.Name(); got != key {
			t.Fatalf("path %s has the name %q, want %q", table.Path, got, key)
		}
	})
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ doc, want string }{
		{"a = 1\nb = \nc = 2", "f.toml:2: b: there is no value after the ="},
		{"a = 1\nb =", "f.toml:2: b: there is no value after the ="},
		{"a = 1\nb = # nothing\n", "f.toml:2: b: there is no value after the ="},
		{"a = 1\n[b]\nc = home\n", `f.toml:3: b.c: "home" is not a value: text stands in quotes`},
		{"[b]\nport = /dev/ttyUSB0\n", `f.toml:2: b.port: '/' is not a value: text stands in quotes`},
		{"a = \"x\nb = 2\n", "f.toml:1: a: the closing quote is missing on this line"},
		{"a = 1\nb = \"x", "f.toml:2: b: the closing quote is missing on this line"},
		{"\n\na = \"\"\"x\n\n", `f.toml:4: a: the text opened with """ is never closed`},
		{"a = 'C:\\x'\nb = \"C:\\Users\"\n", `f.toml:2: b: \U means nothing inside "…": write \\ for a backslash`},
		{"[x]\na = 1\nb = 1\na = 2\n", "f.toml:4: x.a is there a second time: a key or a table can stand only once"},
		{"[x]\na = 1\n\n[x]\nb = 2\n", "f.toml:4: x is there a second time: a key or a table can stand only once"},
		{"a = 1\n[a.b]\nc = 1\n", "f.toml:2: a is there a second time: a key or a table can stand only once"},
		{"a = 1\nbaud 9600\n", "f.toml:2: there is no = after the key"},
		{"a = 1\nbaud\n", "f.toml:2: there is no = after the key"},
		{"a = [1, 2\nb = 3\n", "f.toml:2: a: expected a comma"},
		{"a = 01\n", "f.toml:1: a: invalid integer \"01\": cannot have leading zeroes"},
		{"a = \xff\n", "f.toml:1: a: invalid UTF-8 byte"},
		{strings.Repeat("#\n", MaxFile/2+1), "f.toml: the file is larger than 16 MB: is it the right one?"},
		{"a = 1\n" + strings.Repeat("b.", 20_000) + "c = 1\n", "f.toml:2: the line is longer than 16 KB: is this a configuration file?"},
		{"a = 1\nb = " + strings.Repeat("[\n", 100_000), "f.toml:502: more than 500 brackets are open here"},
	} {
		table, err := Parse("f.toml", []byte(c.doc))
		if err == nil || table != nil {
			t.Errorf("%.40q: no error", c.doc)
		} else if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%.40q:\n got %s\nwant %s", c.doc, err, c.want)
		}
	}
}

// TestPlacesOfGenerated writes documents while noting where each key goes.
func TestPlacesOfGenerated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &writer{t: t, line: 1}
		w.pairs("", nil)
		for i := range rapid.IntRange(0, 4).Draw(t, "tables") {
			w.junk()
			name := fmt.Sprintf("t%d", i)
			if rapid.Bool().Draw(t, "array") {
				for j := range 2 {
					w.note(name, j == 0)
					w.write("[[ " + name + " ]]\n")
					w.pairs(fmt.Sprintf("%s[%d]", name, j), nil)
				}
			} else {
				key, path := w.key(i)
				w.note(name, true)
				w.note(JoinPath(name, path), true)
				w.write("[" + name + "." + key + "]\n")
				w.pairs(JoinPath(name, path), nil)
			}
		}
		doc := w.String()
		root, err := Parse("f", []byte(doc))
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		got := places(root)
		slices.Sort(got)
		slices.Sort(w.want)
		if !slices.Equal(got, w.want) {
			t.Fatalf("got  %q\nwant %q\nin\n%s", got, w.want, doc)
		}
	})
}

// writer writes a document and keeps the places of its keys.
type writer struct {
	strings.Builder
	t    *rapid.T
	line int
	want []string
}

func (w *writer) write(s string) {
	w.WriteString(s)
	w.line += strings.Count(s, "\n")
}

func (w *writer) note(path string, first bool) {
	if first {
		w.want = append(w.want, fmt.Sprintf("%s:%d", path, w.line))
	}
}

func (w *writer) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(w.t, label)
}

func (w *writer) junk() {
	w.write(w.pick("junk", "", "\n", "# x = 1\n", "\r\n\t\n", "  # [t]\n"))
}

// key returns a key of some spelling, unique by n, and the name it stands for.
func (w *writer) key(n int) (spelled, name string) {
	switch rapid.IntRange(0, 3).Draw(w.t, "spelling") {
	case 0:
		return fmt.Sprintf("k%d", n), fmt.Sprintf("k%d", n)
	case 1:
		return fmt.Sprintf(`"a b.%d\""`, n), fmt.Sprintf(`a b.%d"`, n)
	case 2:
		return fmt.Sprintf(`'[%d]\'`, n), fmt.Sprintf(`[%d]\`, n)
	}
	return fmt.Sprintf(`"\u00e9#%d"`, n), fmt.Sprintf(`é#%d`, n)
}

func (w *writer) pairs(path string, separator []string) {
	for n := range rapid.IntRange(0, 3).Draw(w.t, "pairs") {
		if separator == nil {
			w.junk()
		} else if n > 0 {
			w.write(w.pick("comma", separator...))
		}
		spelled, name := w.key(n)
		full := JoinPath(path, name)
		w.note(full, true)
		if rapid.Bool().Draw(w.t, "dotted") {
			full = JoinPath(full, "d")
			w.note(full, true)
			spelled += w.pick("dot", ".d", ` . "d"`, ".'d'")
		}
		w.write(spelled + w.pick("equals", "=", " = ", "\t= "))
		w.value(full, 0)
		if separator == nil {
			w.write(w.pick("end", "\n", " # y = 2\n", "\r\n"))
		}
	}
}

func (w *writer) value(path string, depth int) {
	kind := rapid.IntRange(0, 4).Draw(w.t, "value")
	switch {
	case kind == 0:
		w.write(w.pick("number", "1", "-2.5e3", "0x1F", "true", "inf", "1979-05-27 07:32:00", "07:32:00"))
	case kind == 1:
		w.write(w.pick("text", `"# = [ { \" \\"`, `'"\'`, `""`, `''`, `"]}"`))
	case kind == 2:
		w.write(w.pick("long text", "\"\"\"\na = 1\n\\\"\"\" [\"\"\"\"\"", "'''x\n\n'''''", "\"\"\"\\\n  \\\\\"\"\"", `""""""`))
	case kind == 3 && depth < 3:
		w.write("[")
		for i := range rapid.IntRange(0, 3).Draw(w.t, "elements") {
			w.write(w.pick("before element", "", "\n", " # {\n"))
			w.value(fmt.Sprintf("%s[%d]", path, i), depth+1)
			w.write(w.pick("after element", ",", " ,\n", ", # ]\n"))
		}
		w.write("]")
	case depth < 3:
		w.write("{ ")
		w.inline(path, depth)
		w.write(" }")
	default:
		w.write("0")
	}
}

func (w *writer) inline(path string, depth int) {
	for n := range rapid.IntRange(0, 2).Draw(w.t, "inline pairs") {
		if n > 0 {
			w.write(w.pick("comma", ", ", ",", ",\n"))
		}
		spelled, name := w.key(n)
		w.note(JoinPath(path, name), true)
		w.write(spelled + " = ")
		w.value(JoinPath(path, name), depth+1)
	}
}

// FuzzParse compares with the library: what it accepts is accepted, every key it finds is there and has a line.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		"a = 1\n[b.c]\nd = { e = [ {f = 1} ] }\n", "[[a]]\nb = \"\"\"x\"\"\"\"\"\n[a.c]\n", "a.'b'.\"c\" = 1979-05-27 07:32:00",
		"\xef\xbb\xbfa = 1", "\"\\u00e9\\e\\x41\" = 1", "a = [[[[]]],{}]", "a", "= 1", "[", "\"", "a={b", "'''\n",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse("f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		if table.Problems().Len() != 0 {
			t.Errorf("problems: %v", table.Problems().Err())
		}
		var tree map[string]any
		if _, err := toml.Decode(string(data), &tree); err != nil {
			t.Fatalf("accepted, but: %v", err)
		}
		lines := strings.Count(string(data), "\n") + 1
		compare(t, tree, table, lines)
	})
}

func compare(t *testing.T, tree map[string]any, table *Table, lines int) {
	if len(tree) != len(table.Keys()) {
		t.Errorf("%q: %d keys, want %d", table.Path, len(table.Keys()), len(tree))
	}
	for k, want := range tree {
		v, ok := table.Get(k)
		if !ok || v.Line < 1 || v.Line > lines {
			t.Errorf("%q: key %q is there: %v, line %d of %d", table.Path, k, ok, v.Line, lines)
		}
		if sub, ok := want.(map[string]any); ok {
			if table.Table(k) == nil {
				t.Errorf("%q: %q is no table", table.Path, k)
			} else {
				compare(t, sub, table.Table(k), lines)
			}
		}
	}
}
