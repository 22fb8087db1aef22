package template

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func run(t *testing.T, source string, vars Vars) (Output, error) {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		return Output{}, err
	}
	return tmpl.Execute(vars)
}

func Example() {
	t, err := Parse("{{ value_json.temperature | float | round(1) }}")
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := t.Execute(&Payload{Text: `{"temperature": 21.54}`})
	fmt.Println(out.Text, err)
	_, err = t.Execute(&Payload{Text: `{"humidity": 48}`})
	fmt.Println(err)
	// Output:
	// 21.5 <nil>
	// template: column 29: value_json.temperature is undefined
}

func TestCommandVariables(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		vars   Map
		want   string
	}{
		{`{"position": {{ position }}, "tilt": {{ tilt_position | int }}}`, Map{"position": Int(40), "tilt_position": Float(12.5)}, `{"position": 40, "tilt": 12}`},
		{`{"state":"ON"{%- if brightness is defined -%},"brightness":{{ brightness }}{%- endif -%}{%- if red is defined and green is defined and blue is defined -%},"color":[{{ red }},{{ green }},{{ blue }}]{%- endif -%}}`,
			Map{"red": Int(255), "green": Int(0), "blue": Int(64)}, `{"state":"ON","color":[255,0,64]}`},
		{"{{ this.state }} {{ entity_id }}", Map{"this": Dict(Map{"state": String("on")}), "entity_id": String("lamp")}, "on lamp"},
		{"{{ hs | join(',') }} {{ on }} {{ effect is none }}", Map{"hs": List(Float(120), Int(50)), "on": Bool(true), "effect": None()}, "120.0,50 True True"},
		{"{{ value }}", nil, ""},
	} {
		out, err := run(t, c.source, c.vars)
		if err != nil || out.Text != c.want {
			t.Errorf("%s: %q %v, want %q", c.source, out.Text, err, c.want)
		}
	}
	tmpl, err := Parse("x{{ value }}")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tmpl.Execute(nil); err != nil || out != (Output{Text: "x", Undefined: "value"}) {
		t.Errorf("without variables: %+v %v", out, err)
	}
}

// TestOutput tells apart what is None, what is empty, and what was not there.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, text string
		want         Output
		none         bool
	}{
		{"{{ value_json.t }}", `{"t":null}`, Output{Text: "None"}, true},
		{"None", "", Output{Text: "None"}, true},
		{"{{ value_json.t }}", `{"t":""}`, Output{}, false},
		{"{{ value_json['t'] }}", `{}`, Output{Undefined: "value_json['t']"}, false},
		{"{{ value_json.a.b }}", `{"a":[]}`, Output{Undefined: "value_json.a.b"}, false},
		{"a {{ value_json.t }} {{ value_json.u }}", `{}`, Output{Text: "a", Undefined: "value_json.t"}, false},
		{"{{ value_json.t }}", `not JSON`, Output{}, false},
		{"{{ value_json }}", `not JSON`, Output{Undefined: "value_json"}, false},
	} {
		out, err := run(t, c.source, &Payload{Text: c.text})
		if c.text == "not JSON" && c.source == "{{ value_json.t }}" {
			if !errors.Is(err, ErrUndefined) {
				t.Errorf("an attribute of what is no JSON: %v", err)
			}
			continue
		}
		if err != nil || out != c.want || out.None() != c.none {
			t.Errorf("%s of %s: %+v %v, want %+v", c.source, c.text, out, err, c.want)
		}
	}
}

func TestPayload(t *testing.T) {
	t.Parallel()
	p := &Payload{Text: `{"t":1}`, More: Map{"entity_id": String("x"), "value": String("hidden")}}
	out, err := run(t, "{{ value_json.t }} {{ value }} {{ entity_id }} {{ other }}", p)
	if err != nil || out.Text != `1 {"t":1} x` {
		t.Errorf("%q %v", out.Text, err)
	}
	if _, err := p.JSON(); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"", "{", "[1 2]", strings.Repeat("[", 100), `{"a":` + strings.Repeat("1", 400) + "}", "1 2", "tru", `"\q"`, "\"\n\"", "nan"} {
		if v, err := (&Payload{Text: text}).JSON(); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
	if _, err := JSON(strings.Repeat(" ", 2<<20)); err == nil {
		t.Error("2 MiB are JSON")
	}
	if _, err := JSON("[" + strings.Repeat("1,", 100_000) + "1]"); err == nil {
		t.Error("100,001 values are JSON")
	}
	if p.Now().IsZero() || time.Since(p.Now()) > time.Minute {
		t.Error("a payload without a time is not of the present")
	}
}

// TestManyKeys is about dicts that have an index.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	out, err := run(t, "{{ value_json.k0 }} {{ value_json.k499 }} {{ value_json.k77 }} {{ value_json.k500 is defined }} {{ value_json | length }}",
		&Payload{Text: "{" + b.String() + `"k77":"again"}`})
	if err != nil || out.Text != "0 499 again False 500" {
		t.Errorf("%q %v", out.Text, err)
	}
}

// TestErrors are mistakes of who wrote a template, by place and words.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"{{ value | flaot }}", `template: column 12: there is no filter "flaot": did you mean float?`},
		{"{{ valu", "template: column 1: a tag is not closed with }}"},
		{"äöü {{ x | nofilter }}", `template: column 12: there is no filter "nofilter"`},
		{"a\nb {{ nofunction() }}", `template: line 2, column 6: there is no function "nofunction"`},
		{"{{ 'x'.foo() }}", `template: column 8: there is no method "foo"`},
		{"{{ x is pleasant }}", `template: column 9: there is no test "pleasant"`},
		{"{% if x %}", "template: column 11: {% endif %} is missing"},
		{"{% endif %}", "template: column 4: {% endif %} closes nothing"},
		{"{% fro x in y %}", `template: column 4: there is no tag "fro"`},
		{"{{ x | replace('a') }}", "template: column 8: replace needs its argument new"},
		{"{{ x | float(0, 1) }}", "template: column 8: float takes 1 arguments at most"},
		{"{{ x | float(standard=0) }}", `template: column 8: float has no argument "standard"`},
		{"{{ 1 + }}", "template: column 8: an expression is expected here, not }}"},
		{"{{ (1 }}", `template: column 7: "}" closes nothing`},
		{"{{ 'x }}", "template: column 4: a text is not closed with '"},
		{"{{ states('sensor.x') }}", "template: column 4: states() needs Home Assistant: there is none here"},
		{"{% include 'x' %}", "template: column 4: templates stand alone here: include would read another one"},
		{"{{ 'n/a' | float }}", `template: column 12: float cannot use the text "n/a", and has no default: write float(default=0), for example`},
		{"{{ none | int }}", "template: column 11: int cannot use None, and has no default: write int(default=0), for example"},
		{"{{ value_json.a.b }}", "template: column 14: value_json is undefined"},
		{"{{ 1 + x.y }}", "template: column 9: x is undefined"},
		{"{{ 'a' + 1 }}", `template: column 8: + cannot stand between the text "a" and 1`},
		{"{{ 1 < 'a' }}", `template: column 6: 1 and the text "a" cannot be compared with <`},
		{"{{ 1 / 0 }}", "template: column 6: division by zero"},
		{"{{ 'a' | regex_search('(?=x)') }}", "template: column 10: the regular expression looks around with (?=, which is not understood"},
	} {
		if _, err := run(t, c[0], nil); err == nil || err.Error() != c[1] {
			t.Errorf("%s\n got %v\nwant %s", c[0], err, c[1])
		}
	}
}

// TestConcurrent runs one template and one payload from several goroutines, for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("{% set ns = namespace(n=0) %}{% for v in value_json.l %}{% set ns.n = ns.n + v %}{% endfor %}{{ ns.n }} {{ [3, 1] | sort }}")
	if err != nil {
		t.Fatal(err)
	}
	p := &Payload{Text: `{"l":[1,2,3]}`}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if out, err := tmpl.Execute(p); err != nil || out.Text != "6 [1, 3]" {
					t.Errorf("%q %v", out.Text, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestForgets makes sure that what one execution set is not there in the next.
func TestForgets(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("{{ x }}{% if value %}{% set x = value %}{% endif %}{{ x }}")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"secret", ""} {
		if out, err := tmpl.Execute(&Payload{Text: text}); err != nil || out.Text != text {
			t.Errorf("%q: %q %v", text, out.Text, err)
		}
	}
}

func TestSlugify(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"Living Room", "living_room"}, {"  Küche -- Süd ", "kuche_sud"}, {"a.b/c", "a_b_c"}, {"Straße", "strasse"}, {"21.5 °C", "21_5_c"},
		{"☃", "unknown"}, {"", ""},
	} {
		out, err := run(t, "{{ value | slugify }}", &Payload{Text: c[0]})
		if err != nil || out.Text != c[1] {
			t.Errorf("%q: %q %v, want %q", c[0], out.Text, err, c[1])
		}
	}
	if out, err := run(t, "{{ slugify('a b', separator='-') }}", nil); err != nil || out.Text != "a-b" {
		t.Errorf("%q %v", out.Text, err)
	}
}
