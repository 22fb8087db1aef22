package schema

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	nested := &Spec{Keys: []Key{{Name: "role", Kind: String, Choices: []string{"viewer", "admin"}, Required: true, Help: "what they may"}}}
	spec := Spec{Keys: []Key{
		{Name: "port", Kind: String, Required: true, Help: "the serial device"},
		{Name: "baud", Kind: Int},
		{Name: "scale", Kind: Float},
		{Name: "dtr", Kind: Bool},
		{Name: "wait", Kind: Duration},
		{Name: "size", Kind: Size},
		{Name: "labels", Kind: Strings},
		{Name: "range", Kind: Floats},
		{Name: "safe", Kind: Scalar},
		{Name: "mode", Kind: String, Choices: []string{"fast", "slow"}, LaterChoices: []string{"warp"}},
		{Name: "password", Kind: String, Secret: true, Required: true, Help: "for the broker"},
		{Name: "upload", Kind: String, Later: true},
		{Name: "token", Kind: String, Later: true, Secret: true},
		{Name: "local", Kind: SubTable, Spec: nested},
		{Name: "points", Kind: Named, Spec: nested},
		{Name: "who", Kind: Roles, Spec: nested},
	}}
	for _, c := range []struct{ doc, want string }{
		{"port = 'x'\npassword_file = 'f'", ""},
		{"port = 'x'\npassword = 'f'\nbaud = 1\nscale = 1\ndtr = true\nwait = '1.5d'\nsize = 100\nlabels = ['a']\nrange = [1, 2.5]\nsafe = 1", ""},
		{"", "f:1: port is missing: the serial device|f:1: password is missing: for the broker"},
		{"port = 1", "f:1: port is 1, but takes a string"},
		{"prot = ''", `f:1: unknown key "prot": did you mean "port"?`},
		{"passwrd_file = ''", `f:1: unknown key "passwrd_file": did you mean "password_file"?`},
		{"zzz = ''", `f:1: unknown key "zzz"`},
		{"password = 12345", "f:1: password takes a string"},
		{"\nupload = ''", "f:2: not in this version: upload"},
		{"token_file = ''", "f:1: not in this version: token_file"},
		{"baud = 1.5", "f:1: baud is 1.5, but takes a whole number"},
		{"scale = '2'", `f:1: scale is the string "2", but takes a number`},
		{"dtr = 2024-01-02", "f:1: dtr is a date, but takes true or false"},
		{"wait = '5 min'", `f:1: wait: "5 min" is not a duration: write it as in "500ms", "30s", "5m", "2h" or "30d"`},
		{"wait = 5", `f:1: wait is 5, but takes a duration such as "30s"`},
		{"size = '5 kilo'", `f:1: size: "5 kilo" is not a size: write it as in "256KB" or "10MB"`},
		{"size = -1", `f:1: size is -1, but takes a size such as "256KB"`},
		{"labels = ['a', 1]", "f:1: labels is an array, but takes an array of strings"},
		{"range = 5", "f:1: range is 5, but takes an array of numbers"},
		{"safe = [1]", "f:1: safe is an array, but takes a string, a number or true or false"},
		{"mode = 'fsat'", `f:1: mode: "fsat" is none of fast, slow: did you mean "fast"?`},
		{"mode = 'warp'", `f:1: not in this version: mode = "warp"`},
		{"mode = 'x'", `f:1: mode: "x" is none of fast, slow`},
		{"[[baud]]", "f:1: baud is an array of tables, but takes a whole number"},
		{"[port]", "f:1: port is a table, but takes a string"},
		{"local = 1", "f:1: local is 1, but takes a table"},
		{"[local]\nrole = 'vieweer'", `f:2: local: role: "vieweer" is none of viewer, admin: did you mean "viewer"?`},
		{"points = 1", "f:1: points is 1, but takes a table of tables"},
		{"[points]\n'a b' = 1", `f:2: points: a b is 1: a table [points."a b"] belongs here`},
		{"[points.x]\n\n[points.'a.b']\nrole = ''", `f:1: points.x: role is missing: what they may|f:4: points."a.b": role: "" is none of viewer, admin`},
		{"who = 1", "f:1: who is 1, but takes a string or a table"},
		{"who = { rolle = '' }", `f:1: who: unknown key "rolle": did you mean "role"?|f:1: who: role is missing: what they may`},
	} {
		table, err := Parse("f", []byte(c.doc))
		if err != nil {
			t.Fatalf("%s: %v", c.doc, err)
		}
		table.Check(spec)
		var got []string
		for _, p := range table.Problems().All() {
			if c.doc == "" || !strings.Contains(p.String(), "f:1: port is missing") && !strings.Contains(p.String(), "f:1: password is missing") {
				got = append(got, p.String())
			}
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.doc, strings.Join(got, "|"), c.want)
		}
	}
}

func TestGetters(t *testing.T) {
	t.Parallel()
	table, err := Parse("f", []byte("s = 'x'\ni = 7\nf = 1.5\nb = true\nd = '2m'\nsize = '1.5MB'\nn = 12\nl = ['a', 'b']\nfl = [1, 2.5]\n[t.one]\n[t.two]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"string":   table.String("s") == "x" && table.String("i") == "" && table.StringOr("none", "y") == "y",
		"int":      table.Int("i", 1) == 7 && table.Int("f", 1) == 1,
		"float":    table.Float("f", 1) == 1.5 && table.Float("i", 1) == 7 && table.Float("s", 1) == 1,
		"bool":     table.Bool("b", false) && !table.Bool("s", false),
		"duration": table.Duration("d", 0) == 2*time.Minute && table.Duration("s", time.Second) == time.Second,
		"size":     table.Size("size", 0) == 1_500_000 && table.Size("n", 0) == 12 && table.Size("b", 5) == 5,
		"strings":  slices.Equal(table.Strings("l"), []string{"a", "b"}) && table.Strings("s") == nil,
		"floats":   slices.Equal(table.Floats("fl"), []float64{1, 2.5}) && table.Floats("s") == nil,
		"tables":   len(table.Table("t").Tables()) == 2 && table.Table("t").Tables()[1].Path == "t.two",
		"nil":      table.Table("none").String("x") == "" && table.Table("none").Tables() == nil && !table.Table("none").Has("x"),
	} {
		if !ok {
			t.Errorf("%s: wrong", what)
		}
	}
}

func TestDurationsAndSizes(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "0.5d": 12 * time.Hour, "0": 0,
		"": -1, "5": -1, "-1s": -1, "d": -1, "nand": -1, "infd": -1, "1e9d": -1, "9999999h": -1, "30 d": -1,
	} {
		if got, err := ParseDuration(s); err == nil != (want >= 0) || err == nil && got != want {
			t.Errorf("duration %q: %v, %v", s, got, err)
		}
	}
	for s, want := range map[string]int64{
		"512": 512, "256KB": 256_000, "10MB": 10_000_000, "1.5 GB": 1_500_000_000, "2K": 2000, "10B": 10,
		"": -1, "KB": -1, "-1": -1, "nan": -1, "inf": -1, "1TB": -1, "1KKB": -1, "1e300G": -1,
	} {
		if got, err := ParseSize(s); err == nil != (want >= 0) || err == nil && got != want {
			t.Errorf("size %q: %v, %v", s, got, err)
		}
	}
	if d, err := ParseDuration("106751d"); err == nil && d < 0 {
		t.Error("overflow", math.MaxInt64)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	candidates := []string{"source", "scale", "offset", "on", "off"}
	for name, want := range map[string]string{"sorce": "source", "osurce": "source", "scael": "scale", "Source": "source", "xyzzy": "", "o": "on", "": ""} {
		if got := Nearest(name, candidates); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"lmap": "lamp", "lam": "lamp", "Lamp 2": "lamp", "set": "", "bet": "bed", "living": "", "what": "", "chrat": "chart", "xx": "", "": ""} {
		if got := Near(name, []string{"lamp", "bed", "awning", "chart"}); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	text := func(doc string) string {
		table, err := Parse("f", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		return string(table.AppendCanonical(nil))
	}
	if a, b := text("a = 1\n[t]\nx = ['y', 2.0]\n"), text("# moved\nt = { x = [\n'y', 2.0] }\na = 1"); a != b {
		t.Errorf("equal contents differ:\n%s\n%s", a, b)
	}
	seen := map[string]string{}
	for _, doc := range []string{"a = 1", "a = 1.0", "a = '1'", "a = true", "a = [1]", "a = ['1;']", "'a=1;' = 1", "[a]", "a = ['b', 'c']", "a = ['b,c']", "a = ['', '']"} {
		if other, ok := seen[text(doc)]; ok {
			t.Errorf("%s and %s are the same: %s", doc, other, text(doc))
		}
		seen[text(doc)] = doc
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	var ps Problems
	if ps.Err() != nil || ps.Len() != 0 {
		t.Error("the zero value is not empty")
	}
	ps.Add(Problem{File: "b", Line: 1, Text: "last"})
	ps.Add(Problem{File: "a", Line: 10, Path: "x.y", Text: "second"})
	ps.Add(Problem{File: "a", Line: 9, Text: "first"})
	ps.Add(Problem{File: "a", Line: 9, Text: "first"})
	ps.Add(Problem{File: "c", Text: "one\ntwo\x1b[31m'"})
	if want := "a:9: first\na:10: x.y: second\nb:1: last\nc: one\\ntwo\\x1b[31m'"; ps.Err().Error() != want {
		t.Errorf("got\n%s\nwant\n%s", ps.Err(), want)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	table, err := Parse("f", []byte("a = 1\nb = 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	ps := table.Problems()
	table.Errorf("a", "one")
	table.Errorf("a", "two")
	table.Errorf("", "table")
	ps.Settle()
	table.Errorf("a", "a consequence")
	table.Errorf("b", "three")
	table.Errorf("b", "four")
	table.Errorf("", "another of the table")
	if want := "f:1: one\nf:1: two\nf:1: table\nf:1: another of the table\nf:2: three\nf:2: four"; ps.Err().Error() != want {
		t.Errorf("got\n%s\nwant\n%s", ps.Err(), want)
	}
}
