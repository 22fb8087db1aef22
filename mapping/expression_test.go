package mapping

import (
	"strings"
	"testing"
	"time"

	"tidings/devices"
)

// hostile are expressions that would take time or memory, reach into the machine, or are nonsense.
var hostile = []string{
	"len(1..1000000000) > 3", "map(1..10, # * 2)[0] > temperature", "all([1,2], {# > temperature})", "repeat('x', 1000000) == 'y'",
	"reduce(1..9, #acc + #, 0) > temperature", "let x = temperature; x > 3", "temperature | abs() > 3 ; true", "{'a': temperature}.a > 3",
	"$env.temperature > 3", "$env['temperature'] > 3", "temperature.foo > 3", "now() > date('2020')", "toJSON(temperature) == 'x'",
	"fromJSON('[]') == temperature", "temperature[0] > 1", "humidity ?? temperature > 3", "filter([temperature], true) == []",
	"mode matches mode", "split(mode, '')[0] == 'x'", "int(mode) > 3", "sort([temperature]) == []", "devices.x > 3", "devices > 3", "devices.greenhouse",
	"devices[mode].open", "D0 > 3", "D1 and devices.greenhouse.temperature > 3", "temperature..3 == []", "print(temperature) > 3",
	"abs(abs) > 3", "temperature in 1..5", "#", "nil == temperature", "get(temperature, 'x') > 3", "foo(temperature)",
	strings.Repeat("(", 400) + "temperature" + strings.Repeat(")", 400) + " > 3",
	strings.Repeat("1 + ", 240) + "temperature + " + "1 > 2",
	strings.Repeat("not ", 240) + "offline",
	"temperature > 3" + strings.Repeat(" ", 1000),
	"'" + strings.Repeat("\\", 500), "`", "'", "\"\\", "\xff > 3", "temperature > \x00", "🌡 > 3", "",
}

func TestHostileExpressions(t *testing.T) {
	t.Parallel()
	for _, source := range hostile {
		start := time.Now()
		_, problems := readFile(t, withAlert("when = "+tomlString(source)), options())
		if len(problems) == 0 && !strings.HasPrefix(source, "(((") && !strings.HasPrefix(source, "not not") {
			t.Errorf("%q is accepted", source)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%q took %v", source, took)
		}
		for _, p := range problems {
			if strings.Contains(p, "\n") || len(p) > 500 {
				t.Errorf("%q: a mistake of more than a line: %q", source, p)
			}
		}
	}
}

// tomlString quotes s for a TOML file.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "�") {
		switch {
		case r == '"' || r == '\\':
			b.WriteString("\\" + string(r))
		case r < ' ' || r == 0x7f:
			b.WriteString("\\u00" + string("0123456789abcdef"[r>>4]) + string("0123456789abcdef"[r&15]))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	values := map[string]devices.Value{
		"temperature": num(21.5), "pump": boo(true), "mode": devices.Text("Heat"), "devices.a-b.c": num(3), "devices.2nd.x": boo(false), "round": num(1),
	}
	for source, want := range map[string]bool{
		"temperature > 21":                              true,
		"temperature == 21.5 and pump":                  true,
		"temperature - devices.a-b.c-1 > 17":            true,
		"devices.a-b.c * 2 == 6":                        true,
		`devices["a-b"].c == 3`:                         true,
		"not devices.2nd.x":                             true,
		"mode == 'Heat' && !pump":                       false,
		"mode in ['Heat', 'Cool']":                      true,
		"mode contains 'eat' and mode startsWith \"H\"": true,
		"mode matches '^H'":                             true,
		"lower(mode) == 'devices.not.me'":               false,
		"abs(temperature - 30) < 5":                     false,
		"max(temperature, 30) == 30":                    true,
		"round(temperature) == 22":                      true,
		"round + 1 == 2":                                true,
		"pump ? temperature > 30 : temperature > 20":    false,
		"temperature / 0 > 1000":                        true,
		"len(mode) == 4":                                true,
	} {
		e, err := parseExpression(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		var in []devices.Value
		for _, ref := range e.refs {
			name := ref.point
			if ref.device != "" {
				name = "devices." + string(ref.device) + "." + name
			}
			v, ok := values[name]
			if !ok {
				t.Errorf("%s: depends on %q", source, name)
			}
			in = append(in, v)
		}
		var ps programs
		for range 2 { // compiled once
			if got, ok := ps.holds(e, in); !ok || got != want {
				t.Errorf("%s = %v, %v", source, got, ok)
			}
		}
		if n := len(ps.byKinds[e]); n != 1 {
			t.Errorf("%s: compiled %d times", source, n)
		}
	}
}

// A value of a kind the expression is not for leaves it unknown, as often as it comes.
func TestExpressionOnAnotherKind(t *testing.T) {
	t.Parallel()
	e, err := parseExpression("temperature > 21")
	if err != nil {
		t.Fatal(err)
	}
	var ps programs
	for range 3 {
		if _, ok := ps.holds(e, []devices.Value{devices.Text("warm")}); ok {
			t.Error("a text was compared with a number")
		}
	}
	if got, ok := ps.holds(e, []devices.Value{num(22)}); !ok || !got {
		t.Errorf("= %v, %v", got, ok)
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Add("convert(mean(temperature, '10m') + max(devices.a.b, '1h'), '°F', \"K\")")
	f.Add("runtime(pump) > 3 ? energy(power) : integral(flow, 'min') - count(pump)")
	f.Add("temperature > 35 and devices.front-door.open or mode matches '^H'")
	f.Fuzz(func(t *testing.T, source string) {
		e, err := parseExpression(source)
		if err != nil {
			return
		}
		var ps programs
		values := make([]devices.Value, len(e.refs))
		for _, v := range []devices.Value{num(3), boo(true), devices.Text("x")} {
			for i := range values {
				values[i] = v
			}
			ps.holds(e, values)
			for _, kind := range resultKinds {
				if out, err := ps.value(e, values, kind); err == nil && out.Kind() != kind {
					t.Errorf("%q is %v, and not of kind %d", source, out, kind)
				}
			}
		}
		if _, err := (&unitReader{e, func(*ref) string { return "W" }}).read(); err != nil && len(err.Error()) > 500 {
			t.Errorf("%q: a mistake of more than a line: %v", source, err)
		}
		e.likelyResult()
	})
}

func FuzzText(f *testing.F) {
	f.Add("{{.device}}: {{.temperature}} {{/* x */}}")
	f.Add("{{range 1000000000}}x{{end}}")
	f.Add("{{define \"x\"}}{{template \"x\"}}{{end}}")
	f.Fuzz(func(t *testing.T, source string) {
		m, err := parseText(source)
		if err != nil {
			return
		}
		if out := m.fill(func(string) string { return strings.Repeat("x", 300) }); len(out) > maxMessage+4 {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

func TestTextsThatDoMore(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"{{range 1000000000}}x{{end}}", "{{.a.b}}", "{{$x := .a}}", "{{.a | printf}}", "{{with .a}}{{.}}{{end}}", "{{if .a}}x{{end}}",
		"{{template \"x\"}}", "{{define \"x\"}}x{{end}}{{template \"x\"}}", "{{.a 1}}", "{{a}}", "{{1}}", "{{", "{{.}}", "{{call .a}}",
		strings.Repeat("{{.a}}", 500), "{{block \"x\" .}}x{{end}}", "{{break}}", "{{end}}",
	} {
		if _, err := parseText(source); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", source, err)
		}
	}
}
